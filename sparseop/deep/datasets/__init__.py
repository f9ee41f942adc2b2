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

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sparseop import dotted
from sparseop.deep.datasets.base import Dataset, Images, LazyImages
from sparseop.errors import InputError, choice

__all__ = ["DATASETS", "Dataset", "Images", "LazyImages", "load", "signature"]

_HERE = "sparseop.deep.datasets"
#: name -> the function that loads it, or where that is (imported when asked for: only some need pillow); open, as
#: ``DATASETS["mine"] = load``
DATASETS: dict[str, str | Callable[..., Dataset]] = {
    "digits": f"{_HERE}.digits:load_digits",
    "cifar10": f"{_HERE}.cifar:load_cifar10",
    "cifar100": f"{_HERE}.cifar:load_cifar100",
    "cifar10n": f"{_HERE}.cifar_n:load_cifar10n",
    "cifar100n": f"{_HERE}.cifar_n:load_cifar100n",
    "folder": f"{_HERE}.folder:load_folder",
    "csv": f"{_HERE}.csv:load_csv",
    "imagenet": f"{_HERE}.imagenet:load_imagenet",
    "clothing1m": f"{_HERE}.clothing1m:load_clothing1m",
    "webvision": f"{_HERE}.webvision:load_webvision",
    "shapes": f"{_HERE}.shapes:load_shapes",
    "digits-on-backgrounds": f"{_HERE}.digits_on_backgrounds:load_digits_on_backgrounds",
    "object": f"{_HERE}.base:load_object",
}


def load(name: str, root: Path | str | None = None, *, download: bool = False, **options: Any) -> Dataset:
    """Return a data set.

    Parameters
    ----------
    name : one of ``DATASETS``, or "module:function": anybody's own, given ``root`` and ``download`` if it takes them.
    root : the folder that holds the data; "digits" needs none.
    download : fetch what is missing from its official address into ``root`` (CIFAR and CIFAR-N).
    options : see the table of this module.

    Raises
    ------
    InputError : an unknown name or option; data not found (with the path looked for and how to get them); truncated,
        damaged or inconsistent files.
    """
    known = signature(name).parameters
    for key in options:
        if not known:
            raise InputError(f"dataset {name!r} takes no option, got {key!r}.")
        choice(f"option of dataset {name!r}", key, known)
    function = dotted.function("dataset", name, DATASETS)
    taken = inspect.signature(function).parameters
    given = {"root": root, "download": download}
    dataset = function(**{key: value for key, value in given.items() if key in taken}, **options)
    if not isinstance(dataset, Dataset):
        raise InputError(f"dataset {name!r} must be a sparseop.deep.datasets.Dataset, got {type(dataset).__name__}.")
    return dataset


def signature(name: str) -> inspect.Signature:
    """Return the options of a data set: names, types and defaults."""
    whole = inspect.signature(dotted.function("dataset", name, DATASETS))
    return whole.replace(parameters=[p for p in whole.parameters.values() if p.name not in ("root", "download")])
