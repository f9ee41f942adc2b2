"""A data set as the files of CIFAR-10's official archive for Python, as torchvision reads them."""

import hashlib
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

FOLDER = "cifar-10-batches-py"


def write(root: Path, images: Tensor, labels: Tensor, classes: tuple[str, ...]) -> dict[str, Any]:
    """Write uint8 ``images`` (N, 3, 32, 32) and ``labels`` (N,) as five training batches, ten as the test batch.

    Returns
    -------
    The attributes of torchvision's ``CIFAR10`` that name these files and their MD5 sums: its checks are made as ever,
    on these files in place of the official ones.
    """
    folder = root / FOLDER
    folder.mkdir(parents=True)

    def batch(name: str, index: Tensor) -> list[str]:
        return _dump(folder / name, {"data": images[index].flatten(1).numpy(), "labels": labels[index].tolist()})

    parts = torch.arange(len(labels)).tensor_split(5)
    train = [batch(f"data_batch_{number}", part) for number, part in enumerate(parts, 1)]
    test = [batch("test_batch", torch.arange(min(10, len(labels))))]
    name, md5 = _dump(folder / "batches.meta", {"label_names": list(classes)})
    return {
        "base_folder": FOLDER,
        "train_list": train,
        "test_list": test,
        "meta": {"filename": name, "key": "label_names", "md5": md5},
    }


def _dump(path: Path, content: dict[str, Any]) -> list[str]:
    raw = pickle.dumps(content)
    path.write_bytes(raw)
    return [path.name, hashlib.md5(raw, usedforsecurity=False).hexdigest()]
