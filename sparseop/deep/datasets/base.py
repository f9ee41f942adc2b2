"""What every data set looks like to the trainer, and the checks that all loaders share."""

import dataclasses
import functools
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from sparseop.errors import InputError


@runtime_checkable
class LazyImages(Protocol):
    """Images that are decoded when asked for: too many, or too large, to lie in memory.

    ``shape`` is (N, C, H, W) and ``dtype`` torch.uint8, as for a tensor; ``fetch`` takes an int64 index tensor on the
    CPU and returns the uint8 batch (B, C, H, W).
    """

    shape: tuple[int, int, int, int]
    dtype: torch.dtype

    def __len__(self) -> int:
        """Return N."""

    def fetch(self, index: Tensor) -> Tensor:
        """Return the images of ``index``, uint8 (B, C, H, W)."""


Images = Tensor | LazyImages


@dataclass(frozen=True)
class Dataset:
    """A classification data set; tensors on the CPU.

    Attributes
    ----------
    name : the name ``load`` knows it by.
    train_images, test_images : uint8 (N, C, H, W), or a ``LazyImages`` of that shape.
    train_labels, test_labels : int64 (N,) in 0..K-1. The training labels are the true ones where truth is known.
    classes : the K class names.
    mean, std : each channel's mean and standard deviation, of pixels scaled to [0, 1]; for normalisation.
    given_labels : int64 (N,), the noisy labels a set comes with (CIFAR-N), or None.
    truth_known : whether ``train_labels`` are the true labels (False for web-crawled sets: then nothing can be said
        about memorisation).
    coarse_labels : int64 (N,), the superclass of each training image (CIFAR-100), or None.
    extra_tests : further evaluation sets by name, each (images, labels).
    notes : what a record of a run must say about these data ('checksum differs ...').
    train_names, test_names : the paths of the images within the data folder, where they come from files of their own.
    files_sha256 : a digest of those paths and of the files' sizes.
    """

    name: str
    train_images: Images
    train_labels: Tensor
    test_images: Images
    test_labels: Tensor
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    given_labels: Tensor | None = None
    truth_known: bool = True
    coarse_labels: Tensor | None = None
    extra_tests: Mapping[str, tuple[Images, Tensor]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    train_names: tuple[str, ...] = ()
    test_names: tuple[str, ...] = ()
    files_sha256: str = ""

    def __post_init__(self) -> None:
        """Refuse what would train silently on nonsense: other lengths, labels out of range, an empty set."""
        parts = {"training": (self.train_images, self.train_labels), "test": (self.test_images, self.test_labels)}
        parts |= {f"{name!r} test": part for name, part in self.extra_tests.items()}
        for part, (images, labels) in parts.items():
            if len(images) == 0:
                raise InputError(f"{self.name}: there is no {part} image.")
            if len(images.shape) != 4 or images.dtype != torch.uint8:
                raise InputError(
                    f"{self.name}: {part} images must be uint8 of shape (N, C, H, W), "
                    f"got {images.dtype} {tuple(images.shape)}."
                )
            check_labels(labels, len(images), len(self.classes), f"{self.name}: the {part} label list")
        if self.given_labels is not None:
            check_labels(
                self.given_labels, len(self.train_images), len(self.classes), f"{self.name}: the noisy label list"
            )

    @property
    def n_classes(self) -> int:
        """The number of classes K."""
        return len(self.classes)

    @functools.cached_property
    def images_sha256(self) -> str:
        """A digest of all images: of their files' paths and sizes where they have files, else of their bytes."""
        if self.files_sha256:
            return self.files_sha256
        digest = hashlib.sha256()
        for images in (self.train_images, self.test_images, *(images for images, _ in self.extra_tests.values())):
            digest.update(str(tuple(images.shape)).encode())
            if isinstance(images, Tensor):
                digest.update(images.contiguous().numpy())
        return digest.hexdigest()


def load_object() -> Dataset:
    """Refuse: the data set of this run was an object, and no file says where to find it."""
    raise InputError("this run was given its data as an object, which no file holds: give it again, dataset=...")


def check_labels(labels: Tensor, n: int, n_classes: int, what: str) -> Tensor:
    """Return int64 ``labels`` after checking that there are ``n`` of them, all in 0..n_classes-1."""
    if (
        labels.ndim != 1
        or labels.dtype.is_floating_point
        or labels.dtype in (torch.bool, torch.complex64, torch.complex128)
    ):
        raise InputError(f"{what} must be a list of whole numbers, got {labels.dtype} of shape {tuple(labels.shape)}.")
    if len(labels) != n:
        raise InputError(f"{what} must have {n} entries, one for each image, got {len(labels)}.")
    labels = labels.to(torch.int64)
    wrong = (labels < 0) | (labels >= n_classes)
    if wrong.any():
        where = int(wrong.nonzero()[0])
        raise InputError(
            f"{what} must hold classes 0 to {n_classes - 1}, got {int(labels[where])} at index {where} "
            f"({int(wrong.sum())} of {n} are out of range)."
        )
    return labels


def moments(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return each channel's mean and standard deviation of uint8 images (N, C, H, W), in [0, 1] units."""
    pixels = images.transpose(0, 1).flatten(1)
    found = [torch.std_mean(channel.double() / 255, correction=0) for channel in pixels]
    return tuple(float(m) for _, m in found), tuple(max(float(s), 1e-3) for s, _ in found)


def require_root(name: str, root: Path | str | None, how: str) -> Path:
    """Return the data folder: ``root``, or what the environment variable SPARSEOP_DATA says.

    ``how`` to get the data.
    """
    root = root or os.environ.get("SPARSEOP_DATA")
    if root is None:
        raise InputError(f"{name} needs a data folder: give --data-root DIR or set SPARSEOP_DATA. {how}")
    path = Path(root).expanduser()
    if path.exists() and not path.is_dir():
        raise InputError(f"{name}: the data folder '{path}' is a file.")
    return path


def note_empty_classes(dataset: Dataset) -> Dataset:
    """Return the data set with a note on classes without a test image: its test accuracy says nothing of them."""
    counts = torch.bincount(dataset.test_labels, minlength=dataset.n_classes)
    empty = [name for name, n in zip(dataset.classes, counts.tolist(), strict=True) if n == 0]
    if not empty:
        return dataset
    listed = ", ".join(map(repr, empty[:10])) + (", ..." if len(empty) > 10 else "")
    note = f"{len(empty)} of {dataset.n_classes} classes have no test image: {listed}"
    return dataclasses.replace(dataset, notes=(*dataset.notes, note))


def refuse_page(path: Path) -> None:
    """Refuse a file that is a web page: a login or an error that was saved under the file's name."""
    with path.open("rb") as file:
        start = file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<script")):
        raise InputError(f"'{path}' is a web page that was saved under that name, not the file; get it again.")


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a sort key under which 'class 2' comes before 'class 10'."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]
