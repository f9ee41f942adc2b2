"""Your own images: a folder of class folders."""

from pathlib import Path

from sparseop.deep.datasets.base import Dataset, natural, require_root
from sparseop.deep.datasets.check import Damaged
from sparseop.deep.datasets.own import Listed, dataset
from sparseop.deep.datasets.tree import class_folders, class_names
from sparseop.errors import InputError

HOW = "It holds train/CLASS/*.jpg and test/CLASS/*.jpg, or CLASS/*.jpg alone."


def load_folder(
    root: Path | str | None,
    *,
    download: bool = False,
    size: int = 0,
    held_out: float = 0.2,
    clean: bool = False,
    damaged: Damaged = "refuse",
) -> Dataset:
    """Return the images under ``root/train/CLASS/`` and ``root/test/CLASS/``, or under ``root/CLASS/`` alone.

    Parameters
    ----------
    size : side of the square that images are scaled and cut to; 0: half of the training images are at least that large,
        but no more than 32.
    held_out : where there is no test folder, the share of each class's images that tests instead of training. Which
        ones is decided by their paths: an image keeps its place when others are added.
    clean : whether the folders tell the true classes. Say so when noise is to be made on top and its memorisation
        measured; leave it when the labels are what is in doubt.
    damaged : what to do about images that cannot be read: "refuse" them before training, all in one list, "leave out",
        or "unchecked": found when training reaches them.

    Raises
    ------
    InputError : no class folders, classes without an image, damaged images.
    """
    del download
    base = require_root("folder", root, HOW)
    if not base.is_dir():
        raise InputError(f"folder: '{base}' is not there. {HOW}")
    train, test = _layout(base)
    parts = {"training": train} if test is None else {"training": train, "test": test}
    skipped: list[str] = []
    classes = sorted(class_names(train), key=natural)
    if len(classes) < 2:
        raise InputError(f"folder: '{train}' must hold at least two class folders, got {len(classes)}. {HOW}")
    if "test" in parts:
        strangers = sorted(set(class_names(parts["test"])) - set(classes))
        if strangers:
            raise InputError(f"folder: '{test}' holds the class {strangers[0]!r}, which '{train}' does not have.")
    found: dict[str, Listed] = {}
    for part, place in parts.items():
        paths, labels, left = class_folders(place, classes)
        found[part] = Listed(paths, [classes[label] for label in labels])
        skipped += left.notes(place)
        missing = sorted(set(range(len(classes))) - set(labels))
        if part == "training" and missing:
            there = f" ({'; '.join(skipped)})" if skipped else ""
            raise InputError(f"folder: '{place / classes[missing[0]]}' holds no image{there}.")
    return dataset(
        "folder", base, found, classes, size=size, held_out=held_out, clean=clean, damaged=damaged, notes=skipped
    )


def _layout(base: Path) -> tuple[Path, Path | None]:
    """Return the folders of training and of test classes; without a test folder images are held out.

    A class may be called "train" too: that folder is one of training classes where it holds folders, or stands beside a
    test.
    """
    names = class_names(base)
    test = next((base / part for part in ("test", "val", "valid", "validation") if part in names), None)
    if "train" in names and (test is not None or class_names(base / "train")):
        return base / "train", test
    if test is not None and len(names) <= 2:
        raise InputError(f"folder: '{base / 'train'}' is not there. {HOW}")
    return base, None
