"""ImageNet (ILSVRC 2012) as the trainers of the field lay it out: ``root/train/SYNSET/*.JPEG``, ``root/val/SYNSET/*.JPEG``.

Any set of class folders of that shape will do, such as the hundred classes of ImageNet-100. Images are decoded by
processes of their own, ahead of the training step.
"""

import os
from pathlib import Path

import torch

from sparseop.deep.datasets.base import Dataset, require_root
from sparseop.deep.datasets.files import SUFFIXES, ImageFiles, class_folders
from sparseop.errors import InputError, integer

HOW = (
    "It holds train/SYNSET/*.JPEG and val/SYNSET/*.JPEG, as PyTorch's ImageNet example wants them; get"
    " ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar from https://image-net.org."
)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def load_imagenet(root: Path | str | None, *, download: bool = False, size: int = 256, workers: int = -1) -> Dataset:
    """Return ImageNet; classes are the folders of ``train`` in the order of their names, as everywhere.

    Parameters
    ----------
    size : images are scaled to it on the shorter side and cut to the central square, so that batches have one shape:
        crops come from that square, where the published code crops the whole image.
    workers : processes that decode; 0: threads; -1: as many processes as there are cores, and threads where there are
        fewer than four.

    Raises
    ------
    InputError : folders that are not there or hold no image, a validation set without class folders.
    """
    del download
    integer("workers", workers, -1)
    base = require_root("imagenet", root, HOW)
    train, val = base / "train", base / "val"
    for folder in (train, val):
        if not folder.is_dir():
            raise InputError(f"imagenet was not found: '{folder}' is not there. {HOW}")
    classes = sorted(entry.name for entry in train.iterdir() if entry.is_dir())
    tested = sorted(entry.name for entry in val.iterdir() if entry.is_dir())
    if len(classes) < 2:
        raise InputError(f"imagenet: '{train}' must hold at least two class folders, got {len(classes)}.")
    if not tested and any(entry.suffix.lower() in SUFFIXES for entry in val.iterdir()):
        raise InputError(
            f"imagenet: '{val}' holds images, but no class folders; sort them into folders named by synset."
        )
    for here, there, other in ((tested, classes, train), (classes, tested, val)):
        strangers = sorted(set(here) - set(there))
        if strangers:
            raise InputError(f"imagenet: '{other}' lacks the class {strangers[0]!r} ({len(strangers)} are missing).")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processes = (cores if cores >= 4 else 0) if workers < 0 else workers
    parts = []
    for folder in (train, val):
        paths, labels = class_folders(folder, classes)
        counts = torch.bincount(labels, minlength=len(classes))
        if bool((counts == 0).any()):
            raise InputError(f"imagenet: '{folder / classes[int(counts.argmin())]}' holds no image.")
        parts.append((ImageFiles(paths, size, workers=processes), labels))
    (images, labels), (test_images, test_labels) = parts
    return Dataset("imagenet", images, labels, test_images, test_labels, tuple(classes), MEAN, STD)
