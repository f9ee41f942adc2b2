"""Data sets by name: ``load("digits")``, ``load("cifar10", root)``, ``load("cifar10n", root, labels="worst")``.

=============  ==========================================================================  ==========================
name           what                                                                        options
=============  ==========================================================================  ==========================
digits         1,797 handwritten digits, 8 x 8, in the package: no download, no root
cifar10        CIFAR-10, official archive or folder
cifar100       CIFAR-100, official archive or folder
cifar10n       CIFAR-10 with human labels (CIFAR-10N)                                      labels
cifar100n      CIFAR-100 with human labels (CIFAR-100N)                                    labels
folder         class folders: root/CLASS/*, or root/{train,test}/CLASS/*                  size, held_out, clean, damaged
csv            a table of paths and labels                                                 and file
imagenet       ImageNet in class folders, root/train/SYNSET/*, root/val/SYNSET/*          size, workers, damaged
clothing1m     Clothing1M as distributed                                                   size, damaged
webvision      mini-WebVision (Google, first 50 classes), ILSVRC12 as second test set      and n_classes, ilsvrc12
=============  ==========================================================================  ==========================

Painted by formula, no download: "shapes", ten shapes of any colour, place and size (options train, test, size, classes,
seed), and "digits-on-backgrounds", the digits under the same nuisance (option seed).
"""

import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sparseop.deep.datasets.base import Dataset, Images, LazyImages
from sparseop.errors import InputError, choice

__all__ = ["NAMES", "Dataset", "Images", "LazyImages", "load", "signature"]

#: the data sets, and the module of each (imported when asked for: only the large ones need pillow)
_MODULES = {
    "digits": "digits",
    "cifar10": "cifar",
    "cifar100": "cifar",
    "cifar10n": "cifar_n",
    "cifar100n": "cifar_n",
    "folder": "folder",
    "csv": "csv",
    "imagenet": "imagenet",
    "clothing1m": "clothing1m",
    "webvision": "webvision",
    "shapes": "shapes",
    "digits-on-backgrounds": "digits_on_backgrounds",
}
NAMES = tuple(_MODULES)


def load(name: str, root: Path | str | None = None, *, download: bool = False, **options: Any) -> Dataset:
    """Return a data set.

    Parameters
    ----------
    name : one of ``NAMES``.
    root : the folder that holds the data; "digits" needs none.
    download : fetch what is missing from its official address into ``root`` (CIFAR and CIFAR-N).
    options : see the table of this module.

    Raises
    ------
    InputError : an unknown name or option; data not found (with the path looked for and how to get them); truncated,
        damaged or inconsistent files.
    """
    choice("dataset", name, NAMES)
    known = signature(name).parameters
    for key in options:
        if not known:
            raise InputError(f"dataset {name!r} takes no option, got {key!r}.")
        choice(f"option of dataset {name!r}", key, known)
    dataset: Dataset = _function(name)(root, download=download, **options)
    return dataset


def signature(name: str) -> inspect.Signature:
    """Return the options of a data set: names, types and defaults."""
    whole = inspect.signature(_function(choice("dataset", name, NAMES)))
    options = [p for p in whole.parameters.values() if p.kind is p.KEYWORD_ONLY and p.name != "download"]
    return whole.replace(parameters=options)


def _function(name: str) -> Callable[..., Dataset]:
    function: Callable[..., Dataset] = getattr(
        importlib.import_module(f"{__name__}.{_MODULES[name]}"), f"load_{name.replace('-', '_')}"
    )
    return function
