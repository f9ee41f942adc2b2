"""Your own images: a folder of class folders."""

from pathlib import Path

import torch
from torch import Tensor

from sparseop.deep.datasets.base import Dataset, Images, moments, natural, require_root
from sparseop.deep.datasets.files import ImageFiles, class_folders
from sparseop.errors import InputError

IN_MEMORY = 2**30  # bytes: a set up to this size is decoded once and lives on the device
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's


def load_folder(root: Path | str | None, *, download: bool = False, size: int = 32, clean: bool = False) -> Dataset:
    """Return the images under ``root/train/CLASS/`` and ``root/test/CLASS/`` (or ``root/val/CLASS/``).

    Parameters
    ----------
    size : side of the square that images are scaled and cut to.
    clean : whether the folders tell the true classes. Say so when noise is to be made on top and its memorisation
        measured; leave it when the labels are what is in doubt.
    """
    del download
    how = "It holds train/CLASS/*.jpg and test/CLASS/*.jpg."
    base = require_root("folder", root, how)
    train = base / "train"
    test = next((base / name for name in ("test", "val") if (base / name).is_dir()), base / "test")
    for needed in (train, test):
        if not needed.is_dir():
            raise InputError(f"folder: '{needed}' is not there. {how}")
    classes = sorted((p.name for p in train.iterdir() if p.is_dir()), key=natural)
    strangers = sorted(p.name for p in test.iterdir() if p.is_dir() and p.name not in classes)
    if len(classes) < 2:
        raise InputError(f"folder: '{train}' must hold at least two class folders, got {len(classes)}.")
    if strangers:
        raise InputError(f"folder: '{test}' holds the class {strangers[0]!r}, which '{train}' does not have.")
    (train_images, train_labels), (test_images, test_labels) = (_images(part, classes, size) for part in (train, test))
    counts = torch.bincount(train_labels, minlength=len(classes))
    if (counts == 0).any():
        raise InputError(f"folder: '{train / classes[int(counts.argmin())]}' holds no image.")
    mean, std = moments(train_images) if isinstance(train_images, Tensor) else (_MEAN, _STD)
    return Dataset(
        "folder", train_images, train_labels, test_images, test_labels, tuple(classes), mean, std, truth_known=clean
    )


def _images(folder: Path, classes: list[str], size: int) -> tuple[Images, Tensor]:
    paths, labels = class_folders(folder, classes)
    files = ImageFiles(paths, size)
    if len(paths) * 3 * size * size > IN_MEMORY:
        return files, labels
    return files.fetch(torch.arange(len(paths))), labels
