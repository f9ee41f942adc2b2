"""CIFAR-10 and CIFAR-100 (A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009).

Read from the official archive ``cifar-10-python.tar.gz`` (without unpacking it), or from the folder it unpacks to, or
from anything of that layout, through a reader that never runs a pickle's code. Files that are not the official ones,
to the checksum, are used with a warning, which also goes into ``Dataset.notes`` and so into the record of a run.
"""

import hashlib
import http.client
import lzma
import posixpath
import tarfile
import urllib.error
import urllib.request
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from sparseop.deep.datasets.base import Dataset, refuse_page, require_root
from sparseop.deep.datasets.unpickle import read_pickle
from sparseop.errors import InputError, brief


@dataclass(frozen=True)
class _Archive:
    """One of the two published archives: where it is, how it is laid out, and its MD5 checksums."""

    name: str
    file: str
    md5: str
    folder: str
    train: tuple[tuple[str, str], ...]
    test: tuple[tuple[str, str], ...]
    meta: tuple[str, str]
    labels: str
    classes: str
    n_classes: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


# the constants of normalisation are those of the published SOP and ELR code: 'std' for CIFAR-10 is the mean over images
# of each image's standard deviation (the pixels' own is 0.2470, 0.2435, 0.2616); kept, so that weak views are the same
CIFAR10 = _Archive(
    "cifar10",
    "cifar-10-python.tar.gz",
    "c58f30108f718f92721af3b95e74349a",
    "cifar-10-batches-py",
    train=(
        ("data_batch_1", "c99cafc152244af753f735de768cd75f"),
        ("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
        ("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
        ("data_batch_4", "634d18415352ddfa80567beed471001a"),
        ("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
    ),
    test=(("test_batch", "40351d587109b95175f43aff81a1287e"),),
    meta=("batches.meta", "5ff9c542aee3614f3951f8cda6e48888"),
    labels="labels",
    classes="label_names",
    n_classes=10,
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2023, 0.1994, 0.2010),
)
CIFAR100 = _Archive(
    "cifar100",
    "cifar-100-python.tar.gz",
    "eb9058c3a382ffc7106e4002c42a8d85",
    "cifar-100-python",
    train=(("train", "16019d7e3df5f24257cddd939b257f8d"),),
    test=(("test", "f0ef6b0ae62326f3e7ffdfab6717acfc"),),
    meta=("meta", "7973b15100ade9c7d40fb424638fde48"),
    labels="fine_labels",
    classes="fine_label_names",
    n_classes=100,
    mean=(0.5071, 0.4867, 0.4408),
    std=(0.2675, 0.2565, 0.2761),
)
#: tried in this order; the university has moved the page once
MIRRORS = ("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/")


def load_cifar10(root: Path | str | None, *, download: bool = False) -> Dataset:
    """Return CIFAR-10: 50,000 training and 10,000 test images, uint8 (N, 3, 32, 32), ten classes."""
    return _load(CIFAR10, root, download)


def load_cifar100(root: Path | str | None, *, download: bool = False) -> Dataset:
    """Return CIFAR-100: 50,000 training and 10,000 test images, uint8 (N, 3, 32, 32), 100 fine classes."""
    return _load(CIFAR100, root, download)


def fetch(urls: tuple[str, ...], target: Path) -> None:
    """Download the first of ``urls`` that answers to ``target``, whole or not at all, with a progress bar."""
    part = target.with_name(target.name + ".part")
    failures = []
    for url in urls:
        try:
            with urllib.request.urlopen(url, timeout=30) as answer, part.open("wb") as file:
                size = int(answer.headers.get("Content-Length") or 0)
                with tqdm(total=size or None, unit="B", unit_scale=True, desc=target.name, disable=None) as bar:
                    while block := answer.read(1 << 20):
                        file.write(block)
                        bar.update(len(block))
            if size and part.stat().st_size != size:
                raise EOFError(f"ended after {part.stat().st_size} of {size} bytes")
            part.replace(target)
            return
        except (
            urllib.error.URLError,
            http.client.HTTPException,
            TimeoutError,
            ConnectionError,
            EOFError,
            ValueError,
        ) as error:
            part.unlink(missing_ok=True)
            failures.append(f"{url}: {brief(getattr(error, 'reason', None) or error)}")
    raise InputError(
        f"'{target}' could not be downloaded ({'; '.join(failures)}); get it by another way and put it there."
    )


def _load(archive: _Archive, root: Path | str | None, download: bool) -> Dataset:
    how = f"Get {MIRRORS[0]}{archive.file} into that folder, or give --download."
    if download and root is not None:
        Path(root).expanduser().mkdir(parents=True, exist_ok=True)
    read, where, notes, said = _source(archive, require_root(archive.name, root, how), download, how)
    train = [_batch(archive, read, name, where) for name, _ in archive.train]
    test = [_batch(archive, read, name, where) for name, _ in archive.test]
    meta = read_pickle(read(archive.meta[0]), f"{where}/{archive.meta[0]}")
    classes = meta.get(archive.classes)
    if not isinstance(classes, list) or len(classes) != archive.n_classes:
        raise InputError(
            f"'{where}/{archive.meta[0]}' must list {archive.n_classes} classes under {archive.classes!r}."
        )
    for part, batches, expected in (("training", train, 50_000), ("test", test, 10_000)):
        found = sum(len(images) for images, _, _ in batches)
        if found != expected:
            notes.append(f"{found:,} {part} images instead of {expected:,}")
    if notes:
        notes = [f"{archive.name} is not the published one: {', '.join(notes)}"]
        warnings.warn(f"{notes[0]} (in '{where}').", stacklevel=4)
    coarse = [c for _, _, c in train if c is not None]
    return Dataset(
        name=archive.name,
        train_images=torch.cat([x for x, _, _ in train]),
        train_labels=torch.cat([y for _, y, _ in train]),
        test_images=torch.cat([x for x, _, _ in test]),
        test_labels=torch.cat([y for _, y, _ in test]),
        classes=tuple(map(str, classes)),
        mean=archive.mean,
        std=archive.std,
        coarse_labels=torch.cat(coarse) if coarse else None,
        notes=(*notes, *said),
    )


def _source(
    archive: _Archive, root: Path, download: bool, how: str
) -> tuple[Callable[[str], bytes], str, list[str], list[str]]:
    """Return a reader of the archive's members by name, where it reads from, what differs from the published, notes."""
    members = [*archive.train, *archive.test, archive.meta]
    packed = root / archive.file
    folders = [f for f in (root / archive.folder, root) if any((f / name).is_file() for name, _ in members)]
    whole = next((f for f in folders if all((f / name).is_file() for name, _ in members)), None)
    if whole is None and not packed.is_file():
        if folders and not download:
            lacks = next(name for name, _ in members if not (folders[0] / name).is_file())
            raise InputError(f"'{folders[0] / lacks}' is missing; the folder '{folders[0]}' is not complete. {how}")
        if not download:
            raise InputError(
                f"{archive.name} was not found: neither the folder '{root / archive.folder}' nor the archive "
                f"'{packed}' is there. {how}"
            )
        fetch(tuple(mirror + archive.file for mirror in MIRRORS), packed)
    contents, wrong, said = {}, [], []
    if whole is not None:
        contents = {name: _read(whole / name) for name, _ in members}
        wrong = [name for name, md5 in members if _md5(contents[name]) != md5]
    official = packed.is_file() and (whole is None or bool(wrong)) and _md5(_read(packed)) == archive.md5
    if whole is None or official:  # a folder that was unpacked in part counts for nothing beside the archive
        contents = _members(packed, {f"{archive.folder}/{name}": name for name, _ in members})
        wrong = [] if official else [archive.file]
        said = (
            [f"{archive.name} is read from the archive: the folder '{folders[0].name}' is not whole"] if folders else []
        )
    differs = [f"checksum differs for {' '.join(wrong)}"] if wrong else []
    return contents.__getitem__, str(whole if whole is not None and not official else packed), differs, said


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"'{path}' cannot be read ({error.strerror or brief(error)}).") from None


def _members(packed: Path, wanted: dict[str, str]) -> dict[str, bytes]:
    """Return the contents of the members ``wanted`` (path -> name) of an archive; tar may write './' before a path."""
    contents: dict[str, bytes] = {}
    try:
        with tarfile.open(packed, "r:*") as tar:
            for member in tar:
                path = posixpath.normpath(member.name)
                file = tar.extractfile(member) if path in wanted and member.isfile() else None
                if file is not None:
                    contents[wanted[path]] = file.read()
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        refuse_page(packed)
        raise InputError(
            f"'{packed}' cannot be read; it is truncated or damaged ({brief(error)}); delete it and get it again."
        ) from None
    for path, name in wanted.items():
        if name not in contents:
            raise InputError(f"'{packed}' lacks {path}; it is not the published archive.")
    return contents


def _batch(archive: _Archive, read: Callable[[str], bytes], name: str, where: str) -> tuple[Any, Any, Any]:
    """Return images uint8 (n, 3, 32, 32), labels and superclass labels (or None) of one file."""
    held = read_pickle(read(name), f"{where}/{name}")
    pixels, labels = held.get("data"), held.get(archive.labels)
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[1] != 3072:
        raise InputError(f"'{where}/{name}' must hold uint8 pixels of shape (n, 3072) under 'data'.")
    targets = label_tensor(labels, f"'{where}/{name}', {archive.labels!r},")
    if len(targets) != len(pixels):
        raise InputError(f"'{where}/{name}' holds {len(pixels)} images but {len(targets)} labels.")
    coarse = held.get("coarse_labels")
    return (
        torch.from_numpy(pixels.reshape(-1, 3, 32, 32).copy()),
        targets,
        None if coarse is None else label_tensor(coarse, f"'{where}/{name}', 'coarse_labels',"),
    )


def label_tensor(labels: Any, what: str) -> torch.Tensor:
    """Return a list or array of whole numbers as an int64 tensor (n,)."""
    found = np.asarray(labels) if isinstance(labels, list | np.ndarray) else np.empty(())
    if found.ndim != 1 or not np.issubdtype(found.dtype, np.integer):
        raise InputError(f"{what} must be a list of whole numbers.")
    return torch.from_numpy(found.astype(np.int64))


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
