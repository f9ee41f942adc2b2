"""What all data sets of a user's own pictures share: their size, their held-out share, their normalisation."""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch

from sparseop.deep.datasets.base import Dataset, note_empty_classes
from sparseop.deep.datasets.check import IN_MEMORY, Damaged, check
from sparseop.deep.datasets.pictures import opened
from sparseop.errors import InputError, between, integer

LARGEST_CHOSEN = 32  #: side of pictures that nobody chose: two cores train on it in minutes
SAMPLED = 500  #: pictures whose sizes decide it
_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # for pictures that nobody has looked at


class Listed(NamedTuple):
    """Files of pictures and the class name of each."""

    paths: list[Path]
    labels: list[str]


def dataset(
    name: str,
    root: Path,
    parts: Mapping[str, Listed],
    classes: Sequence[str],
    *,
    size: int,
    held_out: float,
    clean: bool,
    damaged: Damaged,
    notes: Iterable[str] = (),
) -> Dataset:
    """Return the data set of the pictures of ``parts``, "training" and perhaps "test"; see ``load_folder``."""
    integer("size", size, 0)
    between("held_out", held_out, 0, 1, ends="()")
    said = list(notes)
    if "test" not in parts:
        parts = hold_out(parts["training"], root, held_out)
        said.append(
            f"no test folder: {len(parts['test'].paths):,} pictures, {held_out:.0%} of each class, are held out"
        )
    if size == 0:
        size, typical = choose_size(parts["training"].paths)
        if typical > size:
            said.append(
                f"pictures, typically {typical} pixels on the shorter side, are reduced to {size}; see data.size"
            )
    known = {given: label for label, given in enumerate(classes)}
    files = {
        part: (listed.paths, torch.tensor([known[label] for label in listed.labels], dtype=torch.int64))
        for part, listed in parts.items()
    }
    checked = check(name, root, files, size=size, damaged=damaged, in_memory=IN_MEMORY)
    train, test = checked.parts["training"], checked.parts["test"]
    counts = torch.bincount(train.labels, minlength=len(classes))
    if bool((counts == 0).any()):
        raise InputError(f"{name}: no training picture of the class {classes[int(counts.argmin())]!r} is left.")
    mean, std = checked.moments or _IMAGENET
    return note_empty_classes(
        Dataset(
            name,
            train.images,
            train.labels,
            test.images,
            test.labels,
            tuple(classes),
            mean,
            std,
            truth_known=clean,
            notes=(*said, *checked.notes),
            train_names=train.names,
            test_names=test.names,
            files_sha256=checked.sha256,
        )
    )


def hold_out(listed: Listed, root: Path, share: float) -> dict[str, Listed]:
    """Return the pictures as "training" and "test", split by the ``share`` of each class that tests.

    It is rounded, and at least one picture of each class with two or more. Those of the lowest digests of their
    paths are held out: the same ones on every machine.
    """
    members: dict[str, list[int]] = {}
    for place, label in enumerate(listed.labels):
        members.setdefault(label, []).append(place)
    test: set[int] = set()
    for places in members.values():
        ranked = sorted(places, key=lambda place: _digest(listed.paths[place], root))
        test |= set(ranked[: min(max(1, round(share * len(places))), len(places) - 1)])
    return {
        part: Listed([listed.paths[i] for i in places], [listed.labels[i] for i in places])
        for part, places in (
            ("training", [i for i in range(len(listed.paths)) if i not in test]),
            ("test", sorted(test)),
        )
    }


def choose_size(paths: Sequence[Path]) -> tuple[int, int]:
    """Return the side of pictures where nobody says, and the median of their shorter sides, both from a sample."""
    step = max(1, len(paths) // SAMPLED)
    sides = []
    for path in paths[::step]:
        try:
            with opened(path) as image:
                sides.append(min(image.size))
        except InputError:  # told of, with all others, when every picture is looked at
            continue
    typical = int(median(sides)) if sides else LARGEST_CHOSEN
    return max(1, min(typical, LARGEST_CHOSEN)), typical


def _digest(path: Path, root: Path) -> bytes:
    return hashlib.sha256(Path(os.path.relpath(path, root)).as_posix().encode("utf-8", "surrogateescape")).digest()
