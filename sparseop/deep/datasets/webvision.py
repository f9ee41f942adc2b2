"""mini-WebVision: the Google half of WebVision 1.0 (Li et al. 2017), first 50 classes; ILSVRC12 beside it.

As distributed (https://data.vision.ee.ethz.ch/cvl/webvision/dataset2017.html)::

    info/train_filelist_google.txt   lines 'google/q0001/....jpg 0'        google/...
    info/val_filelist.txt            lines 'val000001.jpg 0'               val_images_256/... or val_images/...
    info/synsets.txt                 line i: the synset and the name of class i

The second test set is ImageNet's validation set in folders named by synset: ``ilsvrc12``, else ``ilsvrc12/val``,
``imagenet/val`` or ``val`` under the data folder.
"""

import warnings
from pathlib import Path

import torch
from torch import Tensor

from sparseop.deep.datasets.base import Dataset, check_labels, require_root
from sparseop.deep.datasets.check import Damaged, check
from sparseop.deep.datasets.files import read_lines, read_list, whole_number
from sparseop.deep.datasets.tree import class_folders
from sparseop.errors import InputError, integer

HOW = (
    "Get WebVision 1.0 from https://data.vision.ee.ethz.ch/cvl/webvision/dataset2017.html (the Google images and info)."
)


def load_webvision(
    root: Path | str | None,
    *,
    download: bool = False,
    size: int = 256,
    n_classes: int = 50,
    ilsvrc12: str = "",
    damaged: Damaged = "refuse",
) -> Dataset:
    """Return mini-WebVision with ILSVRC12's validation images as the extra test "ilsvrc12".

    Images are scaled to ``size`` on the shorter side and cut to the central square, so that batches have one shape; the
    published code cuts its random window from the whole image. For ``damaged`` see ``load_imagenet``.
    """
    del download
    integer("n_classes", n_classes, 2, 1000)
    base = require_root("webvision", root, HOW)
    info = base / "info"
    if not (info / "train_filelist_google.txt").is_file():
        raise InputError(f"webvision was not found: '{info / 'train_filelist_google.txt'}' is not there. {HOW}")
    synsets = [(row[0], " ".join(row[1:])) for row in _synsets(info / "synsets.txt", n_classes)]
    parts = {"training": _part(info / "train_filelist_google.txt", base, n_classes)}
    folder = next((base / name for name in ("val_images_256", "val_images") if (base / name).is_dir()), None)
    if folder is None:
        raise InputError(f"webvision: neither '{base / 'val_images_256'}' nor '{base / 'val_images'}' is there. {HOW}")
    parts["test"] = _part(info / "val_filelist.txt", folder, n_classes)
    second, notes = _ilsvrc12(base, ilsvrc12, [synset for synset, _ in synsets])
    checked = check("webvision", base, parts | second, size=size, damaged=damaged, in_memory=0)
    train, test = checked.parts["training"], checked.parts["test"]
    return Dataset(
        "webvision",
        train.images,
        train.labels,
        test.images,
        test.labels,
        classes=tuple(name.split(",")[0] or synset for synset, name in synsets),
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        truth_known=False,
        extra_tests={name: (part.images, part.labels) for name, part in checked.parts.items() if name in second},
        notes=(*notes, *checked.notes),
        train_names=train.names,
        test_names=test.names,
        files_sha256=checked.sha256,
    )


def _synsets(path: Path, n_classes: int) -> list[list[str]]:
    rows = [line.split() for line in read_lines(path, "webvision")]
    if len(rows) < n_classes:
        raise InputError(f"webvision: '{path}' must list at least n_classes = {n_classes} classes, got {len(rows)}.")
    return rows[:n_classes]


def _part(path: Path, base: Path, n_classes: int) -> tuple[list[Path], Tensor]:
    rows = [
        (name, whole_number(label, f"webvision: the label of {name!r} in '{path}'"))
        for name, label in read_list(path, 2, "webvision")
    ]
    kept = [(name, label) for name, label in rows if label < n_classes]  # the later classes are what 'mini' leaves out
    if not kept:
        raise InputError(f"webvision: '{path}' lists no image of the first {n_classes} classes.")
    labels = torch.tensor([label for _, label in kept], dtype=torch.int64)
    return [base / name for name, _ in kept], check_labels(labels, len(kept), n_classes, f"webvision: '{path}'")


def _ilsvrc12(
    base: Path, given: str, synsets: list[str]
) -> tuple[dict[str, tuple[list[Path], Tensor]], tuple[str, ...]]:
    places = (
        [Path(given).expanduser()] if given else [base / "ilsvrc12" / "val", base / "imagenet" / "val", base / "val"]
    )
    folder = next((place for place in places if place.is_dir() and any((place / s).is_dir() for s in synsets)), None)
    if folder is None:
        if given:
            raise InputError(
                f"webvision: data.ilsvrc12 = '{given}' must hold folders named by synset, such as '{synsets[0]}'."
            )
        note = "no ILSVRC12 validation images, so no second test set"
        warnings.warn(f"webvision: {note} (looked for {', '.join(repr(str(p)) for p in places)}).", stacklevel=4)
        return {}, (note,)
    missing = [s for s in synsets if not (folder / s).is_dir()]
    if missing:
        raise InputError(
            f"webvision: '{folder}' lacks the class {missing[0]!r} ({len(missing)} of {len(synsets)} are missing)."
        )
    paths, labels, skipped = class_folders(folder, synsets)
    return {"ilsvrc12": (paths, torch.tensor(labels, dtype=torch.int64))}, tuple(skipped.notes(folder))
