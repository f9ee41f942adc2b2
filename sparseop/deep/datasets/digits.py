"""Handwritten digits, 8 x 8 pixels: real data that comes with the package.

The file ``digits.npz`` holds the 1,797 images that scikit-learn ships as ``load_digits``: the test part of "Optical
Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak, UCI Machine Learning Repository, 1998,
https://doi.org/10.24432/C50P49, licence CC BY 4.0; see ``digits.LICENSE.txt``). Pixels are counts from 0 to 16.
"""

from importlib import resources
from pathlib import Path

import numpy as np
import torch

from sparseop.deep.datasets.base import Dataset


def load_digits(root: Path | str | None = None, *, download: bool = False) -> Dataset:
    """Return the digits: 1,347 training and 450 test images (every fourth image of the list, from the first on).

    Images are uint8 (N, 1, 8, 8), the counts 0..16 scaled to 0..255. ``root`` and ``download`` have no effect.
    """
    del root, download
    with (
        resources.files(__package__).joinpath("digits.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as packed,
    ):
        counts, labels = packed["images"], packed["labels"]
    images = torch.from_numpy(np.round(counts.astype(np.float64) * (255 / 16)).astype(np.uint8)).reshape(-1, 1, 8, 8)
    targets = torch.from_numpy(labels.astype(np.int64))
    test = torch.arange(len(targets)) % 4 == 0
    return Dataset(
        name="digits",
        train_images=images[~test].clone(),
        train_labels=targets[~test].clone(),
        test_images=images[test].clone(),
        test_labels=targets[test].clone(),
        classes=tuple(str(d) for d in range(10)),
        mean=(0.3051,),
        std=(0.3758,),
    )
