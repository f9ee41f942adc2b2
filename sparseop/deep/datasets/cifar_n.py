"""CIFAR-10N and CIFAR-100N: CIFAR with the labels that people gave (Wei et al., ICLR 2022, arXiv:2110.12088).

Three people labelled every training image of CIFAR-10 ("random1" to "random3"); "aggregate" is their majority,
"worst" a wrong label wherever one of them was wrong. CIFAR-100N holds one label an image ("noisy"). The files are
``CIFAR-10_human.pt`` and ``CIFAR-100_human.pt`` (licence CC BY-NC 4.0), in the official order of CIFAR's images, which
the clean labels inside them prove.
"""

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparseop.deep.datasets.base import Dataset, check_labels, require_root
from sparseop.deep.datasets.cifar import fetch, label_tensor, load_cifar10, load_cifar100
from sparseop.deep.datasets.unpickle import read_torch_zip
from sparseop.errors import InputError, choice

#: our name -> the key in the published file
CIFAR10N = {
    "aggregate": "aggre_label",
    "worst": "worse_label",
    "clean": "clean_label",
    **{f"random{i}": f"random_label{i}" for i in (1, 2, 3)},
}
CIFAR100N = {"noisy": "noisy_label", "clean": "clean_label"}
PAGE = "https://github.com/UCSC-REAL/cifar-10-100n"
RAW = "https://raw.githubusercontent.com/UCSC-REAL/cifar-10-100n/main/data/"


def load_cifar10n(root: Path | str | None, *, download: bool = False, labels: str = "worst") -> Dataset:
    """Return CIFAR-10 with ``given_labels`` one of "aggregate", "random1", "random2", "random3", "worst", "clean"."""
    key = CIFAR10N[choice("labels", labels, CIFAR10N)]
    return _with_human_labels(load_cifar10(root, download=download), root, "CIFAR-10_human.pt", key, download)


def load_cifar100n(root: Path | str | None, *, download: bool = False, labels: str = "noisy") -> Dataset:
    """Return CIFAR-100 with ``given_labels`` one of "noisy", "clean"."""
    key = CIFAR100N[choice("labels", labels, CIFAR100N)]
    return _with_human_labels(load_cifar100(root, download=download), root, "CIFAR-100_human.pt", key, download)


def _with_human_labels(clean: Dataset, root: Path | str | None, file: str, key: str, download: bool) -> Dataset:
    how = f"Get {file} from {PAGE} (folder data) into it, or give --download."
    path = require_root(clean.name + "n", root, how) / file
    if not path.is_file():
        if not download:
            raise InputError(f"{clean.name}n needs the file of human labels '{path}', which is not there. {how}")
        fetch((RAW + file,), path)
    held = _read(path)
    for needed in ("clean_label", key):
        if needed not in held:
            raise InputError(f"'{path}' has no {needed!r}; it holds {', '.join(sorted(held))}.")
    n, k = len(clean.train_labels), clean.n_classes
    theirs = check_labels(_tensor(held["clean_label"], f"'{path}', 'clean_label',"), n, k, f"'{path}', 'clean_label',")
    given = check_labels(_tensor(held[key], f"'{path}', {key!r},"), n, k, f"'{path}', {key!r},")
    different = int((theirs != clean.train_labels).sum())
    if different:
        raise InputError(
            f"'{path}' belongs to other images: its clean labels differ from {clean.name}'s for {different} of {n}."
        )
    return dataclasses.replace(clean, name=clean.name + "n", given_labels=given)


def _read(path: Path) -> dict[str, Any]:
    """Return the dictionary in a file of ``torch.save``: of tensors, or (as published) of numpy arrays."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # noqa: BLE001 - torch raises many types for what it did not write
        return read_torch_zip(path)
    if not isinstance(found, dict):
        raise InputError(f"'{path}' must hold a dictionary, got {type(found).__name__}.")
    return found


def _tensor(labels: Any, what: str) -> Tensor:
    return labels if isinstance(labels, Tensor) else label_tensor(labels, what)
