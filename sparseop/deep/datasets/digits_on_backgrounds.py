"""The handwritten digits, coloured, turned and moved on random backgrounds.

Real shapes under the nuisance of ``shapes``.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator, SeedSequence
from numpy.typing import NDArray
from torch import Tensor

from sparseop.deep.datasets import canvas
from sparseop.deep.datasets.base import Dataset, moments
from sparseop.deep.datasets.digits import load_digits
from sparseop.errors import FloatArray, integer

SIZE = 16
SIDES = (10, 15)  # pixels of a glyph's square
TURN = 0.2  # radians
AMPLITUDE, NOISE = 0.12, 0.04
COPIES = (3, 2)  # pictures made of each training and of each test scan


def load_digits_on_backgrounds(root: Path | str | None = None, *, download: bool = False, seed: int = 0) -> Dataset:
    """Return the digits on backgrounds; ``root`` and ``download`` have no effect."""
    del root, download
    return digits_on_backgrounds(seed)


def digits_on_backgrounds(seed: int = 0) -> Dataset:
    """Return 4,041 training and 900 test pictures, uint8 (N, 3, 16, 16).

    Three of each training scan, two of each test scan.

    The split is that of ``digits``, so no scan is in both parts. Do not mirror these pictures: digits have a direction.

    Raises
    ------
    InputError : a negative seed.
    """
    integer("seed", seed, 0, 2**63 - 1)
    plain = load_digits()
    parts = []
    for part, (scans, labels) in enumerate(
        ((plain.train_images, plain.train_labels), (plain.test_images, plain.test_labels))
    ):
        assert isinstance(scans, Tensor)
        rng = np.random.default_rng(SeedSequence(seed, spawn_key=(part,)))
        order = rng.permutation(np.repeat(np.arange(len(labels)), COPIES[part]))
        parts.append((torch.from_numpy(_paint(scans[:, 0].numpy()[order] / 255, rng)), labels[torch.from_numpy(order)]))
    (images, labels), (test_images, test_labels) = parts
    mean, std = moments(images)
    return Dataset("digits-on-backgrounds", images, labels, test_images, test_labels, plain.classes, mean, std)


def _paint(glyphs: FloatArray, rng: Generator) -> NDArray[np.uint8]:
    n = len(glyphs)
    figure, ground = canvas.colours(n, rng)
    picture = canvas.background(ground, SIZE, AMPLITUDE, rng)
    x, y = canvas.placed(n, SIZE, rng.uniform(*SIDES, n) / SIZE, TURN, rng)
    return canvas.develop(canvas.lay(picture, _sample(glyphs, x, y), figure), NOISE, rng)


def _sample(glyphs: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """Return glyphs (n, 8, 8), spread over [-1, 1]^2, at the points (x, y), between pixels linearly; 0 outside."""
    side = glyphs.shape[1]
    padded = np.pad(glyphs, ((0, 0), (1, 1), (1, 1)))
    column, row = ((np.clip(c, -1 - 1 / side, 1 + 1 / side) + 1) * side / 2 + 0.5 for c in (x, y))
    left, top = (np.minimum(place.astype(int), side) for place in (column, row))
    right, low = column - left, row - top
    which = np.arange(len(glyphs))[:, None, None]
    above = padded[which, top, left] * (1 - right) + padded[which, top, left + 1] * right
    below = padded[which, top + 1, left] * (1 - right) + padded[which, top + 1, left + 1] * right
    result: FloatArray = above * (1 - low) + below * low
    return result
