"""ImageNet (ILSVRC 2012) in class folders: ``root/train/SYNSET/*.JPEG``, ``root/val/SYNSET/*.JPEG``.

Any set of class folders of that shape will do, such as the hundred classes of ImageNet-100. Images are decoded by
processes of their own, ahead of the training step.
"""

import os
from pathlib import Path

import torch

from sparseop.deep.datasets.base import Dataset, require_root
from sparseop.deep.datasets.check import Damaged, check
from sparseop.deep.datasets.tree import class_folders, class_names, is_picture
from sparseop.errors import InputError, integer

HOW = (
    "It holds train/SYNSET/*.JPEG and val/SYNSET/*.JPEG, as PyTorch's ImageNet example wants them; get"
    " ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar from https://image-net.org."
)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def load_imagenet(
    root: Path | str | None,
    *,
    download: bool = False,
    size: int = 256,
    workers: int = -1,
    damaged: Damaged = "refuse",
) -> Dataset:
    """Return ImageNet; classes are the folders of ``train`` in the order of their names, as everywhere.

    Parameters
    ----------
    size : images are scaled to it on the shorter side and cut to the central square, so that batches have one shape:
        crops come from that square, where the published code crops the whole image.
    workers : processes that decode; 0: threads; -1: as many processes as there are cores, and threads where there are
        fewer than four.
    damaged : images that cannot be read: "refuse" them before training, all in one list, "leave out", or "unchecked",
        which saves the one pass over all files and finds them when training reaches them.

    Raises
    ------
    InputError : folders that are not there or hold no image, a validation set without class folders, damaged images.
    """
    del download
    integer("workers", workers, -1)
    base = require_root("imagenet", root, HOW)
    train, val = base / "train", base / "val"
    for folder in (train, val):
        if not folder.is_dir():
            raise InputError(f"imagenet was not found: '{folder}' is not there. {HOW}")
    classes, tested = class_names(train), class_names(val)
    if len(classes) < 2:
        raise InputError(f"imagenet: '{train}' must hold at least two class folders, got {len(classes)}.")
    if not tested and any(is_picture(entry.name) for entry in val.iterdir()):
        raise InputError(
            f"imagenet: '{val}' holds images, but no class folders; sort them into folders named by synset."
        )
    for here, there, other in ((tested, classes, train), (classes, tested, val)):
        strangers = sorted(set(here) - set(there))
        if strangers:
            raise InputError(f"imagenet: '{other}' lacks the class {strangers[0]!r} ({len(strangers)} are missing).")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processes = (cores if cores >= 4 else 0) if workers < 0 else workers
    parts, notes = {}, []
    for part, folder in (("training", train), ("test", val)):
        paths, labels, skipped = class_folders(folder, classes)
        counts = torch.bincount(torch.tensor(labels, dtype=torch.int64), minlength=len(classes))
        if bool((counts == 0).any()):
            raise InputError(f"imagenet: '{folder / classes[int(counts.argmin())]}' holds no image.")
        parts[part] = paths, torch.tensor(labels, dtype=torch.int64)
        notes += skipped.notes(folder)
    checked = check("imagenet", base, parts, size=size, damaged=damaged, workers=processes, in_memory=0)
    seen, test = checked.parts["training"], checked.parts["test"]
    return Dataset(
        "imagenet",
        seen.images,
        seen.labels,
        test.images,
        test.labels,
        tuple(classes),
        MEAN,
        STD,
        notes=(*notes, *checked.notes),
        train_names=seen.names,
        test_names=test.names,
        files_sha256=checked.sha256,
    )
