"""Clothing1M (Xiao et al., CVPR 2015): a million photographs from shops, labelled from the text beside them.

As distributed by its authors (on request): lists of files, files of labels, and the images, under one folder::

    noisy_train_key_list.txt  noisy_label_kv.txt                        1,000,000 images with noisy labels
    clean_val_key_list.txt    clean_test_key_list.txt  clean_label_kv.txt   14,313 and 10,526 with clean ones
    images/0/..., images/1/...                                          (the lists may lie in annotations/)
"""

from pathlib import Path

import torch
from torch import Tensor

from sparseop.deep.datasets.base import Dataset, check_labels, require_root
from sparseop.deep.datasets.check import Damaged, check
from sparseop.deep.datasets.files import read_list, whole_number
from sparseop.errors import InputError

CLASSES = (
    "T-Shirt",
    "Shirt",
    "Knitwear",
    "Chiffon",
    "Sweater",
    "Hoodie",
    "Windbreaker",
    "Jacket",
    "Down Coat",
    "Suit",
    "Shawl",
    "Dress",
    "Vest",
    "Underwear",
)
HOW = (
    "Ask its authors for it (https://github.com/Cysu/noisy_label); it comes with noisy_train_key_list.txt and images/."
)


def load_clothing1m(
    root: Path | str | None, *, download: bool = False, size: int = 256, damaged: Damaged = "refuse"
) -> Dataset:
    """Return Clothing1M, images scaled to ``size`` x ``size``; clean validation images are the extra test.

    The constants of normalisation are those of DivideMix's and ELR's code; for ``damaged`` see ``load_imagenet``.
    """
    del download
    base = require_root("clothing1m", root, HOW)
    lists = base / "annotations" if (base / "annotations" / "noisy_train_key_list.txt").is_file() else base
    if not (lists / "noisy_train_key_list.txt").is_file():
        raise InputError(f"clothing1m was not found: '{lists / 'noisy_train_key_list.txt'}' is not there. {HOW}")
    noisy, clean = _labels(lists / "noisy_label_kv.txt"), _labels(lists / "clean_label_kv.txt")
    parts = {
        "training": _part(base, lists / "noisy_train_key_list.txt", noisy),
        "test": _part(base, lists / "clean_test_key_list.txt", clean),
    }
    validation = lists / "clean_val_key_list.txt"
    if validation.is_file():
        parts["validation"] = _part(base, validation, clean)
    checked = check("clothing1m", base, parts, size=size, damaged=damaged, stretch=True, in_memory=0)
    train, test = checked.parts["training"], checked.parts["test"]
    extra = {name: (part.images, part.labels) for name, part in checked.parts.items() if name == "validation"}
    return Dataset(
        "clothing1m",
        train.images,
        train.labels,
        test.images,
        test.labels,
        CLASSES,
        mean=(0.6959, 0.6537, 0.6371),
        std=(0.3113, 0.3192, 0.3214),
        truth_known=False,
        extra_tests=extra,
        notes=checked.notes,
        train_names=train.names,
        test_names=test.names,
        files_sha256=checked.sha256,
    )


def _labels(path: Path) -> dict[str, int]:
    return {
        key: whole_number(label, f"clothing1m: the label of {key!r} in '{path}'")
        for key, label in read_list(path, 2, "clothing1m")
    }


def _part(base: Path, path: Path, labels: dict[str, int]) -> tuple[list[Path], Tensor]:
    keys = [key for (key,) in read_list(path, 1, "clothing1m")]
    missing = [key for key in keys if key not in labels]
    if missing:
        raise InputError(
            f"clothing1m: {len(missing)} of {len(keys)} images of '{path}' have no label, the first {missing[0]!r}."
        )
    targets = torch.tensor([labels[key] for key in keys], dtype=torch.int64)
    return [base / key for key in keys], check_labels(
        targets, len(keys), len(CLASSES), f"clothing1m: the labels of '{path}'"
    )
