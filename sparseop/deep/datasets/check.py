"""Every picture of a data set is looked at before any is trained on: what cannot be read is told in one list.

The same look gives each channel's mean and standard deviation, in whole numbers, and keeps the pictures of a set that
memory holds. What a run must find again when it goes on is a digest of names and sizes.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from sparseop.deep.datasets.base import Images
from sparseop.deep.datasets.decoders import Decoders
from sparseop.deep.datasets.files import THREADS, ImageFiles, read_square
from sparseop.errors import InputError

Damaged = Literal["refuse", "leave out", "unchecked"]  #: what to do about pictures that cannot be read
IN_MEMORY = 2**30  # bytes: a set up to this size is decoded once and lives on the device
LISTED = 100  # damaged files named in one message
_TOLD = 10  # and in the notes of a run that leaves them out


@dataclass(frozen=True)
class Part:
    """Pictures of a part of a data set (training, test), as found in files.

    Attributes
    ----------
    images : uint8 (N, 3, size, size), or lazily decoded.
    labels : int64 (N,).
    names : their paths, relative to the data folder, with forward slashes.
    """

    images: Images
    labels: Tensor
    names: tuple[str, ...]


class Checked(NamedTuple):
    """All parts, notes, the first part's mean and standard deviation (None: unchecked), a digest of the files."""

    parts: dict[str, Part]
    notes: tuple[str, ...]
    moments: tuple[tuple[float, ...], tuple[float, ...]] | None
    sha256: str


class Look(NamedTuple):
    """What was seen of one file: its image if kept, or why it cannot be read; sums over each channel's pixels."""

    image: Tensor | None
    reason: str
    sums: tuple[int, ...]
    squares: tuple[int, ...]


def check(
    name: str,
    root: Path,
    parts: Mapping[str, tuple[Sequence[Path], Tensor]],
    *,
    size: int,
    damaged: Damaged,
    stretch: bool = False,
    workers: int = 0,
    in_memory: int,
) -> Checked:
    """Return the pictures of each of ``parts``, (files, labels), as squares of ``size``.

    Parameters
    ----------
    name : of the data set, for messages.
    root : what names are relative to.
    damaged : "refuse" pictures that cannot be read, "leave out" (a note names them), or leave the files "unchecked",
        where a damaged one ends a run in the middle.
    stretch, workers : see ``ImageFiles``.
    in_memory : bytes of a part up to which it is kept decoded.

    Raises
    ------
    InputError : pictures that cannot be read, all of them in one sentence; a part of which none is left.
    """
    found: dict[str, Part] = {}
    bad: list[tuple[str, str]] = []
    moments, digest = None, hashlib.sha256()
    for number, (part, (paths, labels)) in enumerate(parts.items()):
        names = [_relative(path, root) for path in paths]
        kept = len(paths) * 3 * size * size <= in_memory
        images: Images = ImageFiles(paths, size, stretch=stretch, workers=0 if kept else workers)
        if kept or damaged != "unchecked":
            seen = _look_at(paths, size, stretch=stretch, workers=workers, keep=kept)
            bad += [(names[i], reason) for i, reason in seen.reasons.items()]
            good = [i for i in range(len(paths)) if i not in seen.reasons]
            if seen.reasons:
                paths, names, labels = [paths[i] for i in good], [names[i] for i in good], labels[good]
                images = ImageFiles(paths, size, stretch=stretch, workers=workers)
            if kept and good:
                images = torch.stack(seen.images)
            if number == 0 and good:
                moments = seen.moments(len(good) * size * size)
        found[part] = Part(images, labels, tuple(names))
        for file, path in zip(names, paths, strict=True):
            digest.update(f"{part}/{file}\0{_bytes(path)}\n".encode())
    total = len(bad) + sum(len(part.names) for part in found.values())
    notes = _judged(name, bad, total, damaged)
    empty = next((part for part, held in found.items() if not held.names and parts[part][0]), None)
    if empty is not None:
        raise InputError(f"{name}: none of the {len(parts[empty][0])} {empty} pictures can be read.")
    return Checked(found, notes, moments, digest.hexdigest())


def _judged(name: str, bad: list[tuple[str, str]], total: int, damaged: Damaged) -> tuple[str, ...]:
    if not bad:
        return ()
    if damaged != "leave out":
        listed = "; ".join(reason for _, reason in bad[:LISTED])
        more = f"; and {len(bad) - LISTED} more" if len(bad) > LISTED else ""
        raise InputError(
            f"{name}: {len(bad):,} of {total:,} pictures cannot be read: {listed}{more}. Mend or remove them, or train "
            "without them by data.damaged = 'leave out'."
        )
    listed = ", ".join(file for file, _ in bad[:_TOLD]) + (", ..." if len(bad) > _TOLD else "")
    return (f"{len(bad):,} of {total:,} pictures cannot be read and are left out: {listed}",)


class _Seen:
    """What was seen of all files: images where they are kept, why some cannot be read, sums of the others."""

    def __init__(self) -> None:
        self.images: list[Tensor] = []
        self.reasons: dict[int, str] = {}
        self.sums, self.squares = [0, 0, 0], [0, 0, 0]

    def add(self, place: int, look: Look) -> None:
        if look.reason:
            self.reasons[place] = look.reason
            return
        if look.image is not None:
            self.images.append(look.image)
        self.sums = [a + b for a, b in zip(self.sums, look.sums, strict=True)]
        self.squares = [a + b for a, b in zip(self.squares, look.squares, strict=True)]

    def moments(self, n: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return mean and standard deviation in [0, 1] of ``n`` pixels a channel, from sums in whole numbers."""
        mean = tuple(total / (255 * n) for total in self.sums)
        spread = (n * squares - total**2 for total, squares in zip(self.sums, self.squares, strict=True))
        return mean, tuple(max(value**0.5 / (255 * n), 1e-3) for value in spread)


def _look_at(paths: Sequence[Path], size: int, *, stretch: bool, workers: int, keep: bool) -> _Seen:
    look = partial(_look, size=size, stretch=stretch, keep=keep)
    files, seen = [str(path) for path in paths], _Seen()
    bar = tqdm(total=len(files), desc="looking at pictures", unit="", leave=False, disable=None)
    with bar, _mapping(workers if not keep else 0) as mapped:
        for place, one in enumerate(mapped(look, files)):
            seen.add(place, one)
            bar.update()
    return seen


@contextlib.contextmanager
def _mapping(workers: int) -> Iterator[Any]:
    """Yield a function like ``map`` that works side by side: in processes, or without ``workers`` in threads."""
    if workers:
        decoders = Decoders(workers)
        try:
            yield decoders.map
        finally:
            decoders.close()
    else:
        with ThreadPoolExecutor(THREADS) as pool:
            yield pool.map


def _look(path: str, *, size: int, stretch: bool, keep: bool) -> Look:
    try:
        image = read_square(path, size, stretch=stretch)
    except InputError as error:
        return Look(None, str(error).rstrip("."), (), ())
    levels = image.flatten(1).to(torch.int64)
    sums, squares = levels.sum(1).tolist(), (levels * levels).sum(1).tolist()
    return Look(image if keep else None, "", tuple(sums), tuple(squares))


def _relative(path: Path | str, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()


def _bytes(path: Path | str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return -1
