"""Ten shapes in any colour, place and size: a data set that a second of arithmetic makes.

Class is shape, and nothing else: figure and ground have random colours, the ground a random pattern, and a stroke of
another colour lies across. Neighbours in pixel space are neighbours in colour, so a nearest-neighbour classifier of raw
pixels is right on about 29 % only, while a small residual network learns 92 % from the labels in ten epochs: what lies
between is what learning without them can win.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator, SeedSequence
from numpy.typing import NDArray
from torch import Tensor

from sparseop.deep.datasets import canvas
from sparseop.deep.datasets.base import Dataset, moments
from sparseop.errors import FloatArray, integer

TURN = 0.2 * np.pi  # a figure stands within 36 degrees of upright
RADII = (0.45, 0.9)
AMPLITUDE, NOISE = 0.1, 0.03
LARGEST = 2**24  # pictures: already 12 GiB at 16 x 16
_CHUNK = 2000  # pictures painted at once: bounds the memory


def load_shapes(
    root: Path | str | None = None,
    *,
    download: bool = False,
    train: int = 8000,
    test: int = 2000,
    size: int = 16,
    classes: int = 10,
    seed: int = 0,
) -> Dataset:
    """Return the shapes; ``root`` and ``download`` have no effect."""
    del root, download
    return shapes(train, test, size, seed, classes)


def shapes(train: int = 8000, test: int = 2000, size: int = 16, seed: int = 0, classes: int = 10) -> Dataset:
    """Return pictures of ten shapes, uint8 (N, 3, size, size), classes as equally frequent as N allows.

    Parameters
    ----------
    train, test : numbers of pictures; each part has its own stream, so neither depends on the other's number.
    size : side in pixels.
    seed : of everything; the same seed gives the same bytes.
    classes : how many of the shapes, in the order of ``SHAPES``.

    Raises
    ------
    InputError : fewer than one picture of each class or more than ``LARGEST``, a side not in 8..256 pixels, a negative
        seed.
    """
    integer("classes", classes, 2, len(SHAPES))
    integer("train", train, classes, LARGEST)
    integer("test", test, classes, LARGEST)
    integer("size", size, 8, 256)
    integer("seed", seed, 0, 2**63 - 1)
    (images, labels), (test_images, test_labels) = (
        _part(n, size, classes, np.random.default_rng(SeedSequence(seed, spawn_key=(part,))))
        for part, n in enumerate((train, test))
    )
    mean, std = moments(images)
    return Dataset("shapes", images, labels, test_images, test_labels, tuple(SHAPES)[:classes], mean, std)


def _part(n: int, size: int, classes: int, rng: Generator) -> tuple[Tensor, Tensor]:
    labels = rng.permutation(np.arange(n) % classes)
    pieces = [_paint(part, size, rng) for part in np.split(labels, range(_CHUNK, n, _CHUNK))]
    return torch.from_numpy(np.concatenate(pieces)), torch.from_numpy(labels.astype(np.int64))


def _paint(labels: NDArray[np.int64], size: int, rng: Generator) -> NDArray[np.uint8]:
    n = len(labels)
    figure, ground = canvas.colours(n, rng)
    picture = canvas.background(ground, size, AMPLITUDE, rng)
    radius = rng.uniform(*RADII, n)
    x, y = canvas.placed(n, size, radius, TURN, rng)
    distance = np.empty_like(x)
    for label, shape in enumerate(SHAPES.values()):
        mine = labels == label
        distance[mine] = shape(x[mine], y[mine])
    picture = canvas.lay(picture, canvas.coverage(distance * radius[:, None, None]), figure)
    picture = canvas.lay(picture, canvas.stroke(n, size, rng), rng.random((n, 3)))
    return canvas.develop(picture, NOISE, rng)


# ---- signed distances, negative inside, of shapes that a circle of radius 1 holds; y points down ---------------------
def _box(x: FloatArray, y: FloatArray, wide: float, tall: float) -> FloatArray:
    return np.maximum(np.abs(x) - wide, np.abs(y) - tall)


def _disk(x: FloatArray, y: FloatArray) -> FloatArray:
    outside: FloatArray = np.hypot(x, y) - 0.9
    return outside


def _ring(x: FloatArray, y: FloatArray) -> FloatArray:
    return np.abs(np.hypot(x, y) - 0.72) - 0.2


def _square(x: FloatArray, y: FloatArray) -> FloatArray:
    return _box(x, y, 0.7, 0.7)


def _frame(x: FloatArray, y: FloatArray) -> FloatArray:
    return np.abs(_box(x, y, 0.55, 0.55)) - 0.16


def _triangle(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return three half-planes at distance 1/2 from the centre: corners on the circle."""
    beyond: FloatArray = np.maximum(np.abs(x) * np.sqrt(0.75) - 0.5 * y, y) - 0.5
    return beyond


def _plus(x: FloatArray, y: FloatArray) -> FloatArray:
    return np.minimum(_box(x, y, 0.95, 0.27), _box(x, y, 0.27, 0.95))


def _star(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return five points on the circle with inner corners at 0.45: one edge, the rest by symmetry."""
    sector = np.pi / 5
    angle = np.abs(np.mod(np.arctan2(x, -y) + sector, 2 * sector) - sector)  # from the nearest point's axis
    r = np.hypot(x, y)
    inner = 0.45 * np.array([np.cos(sector), np.sin(sector)])
    normal = np.array([inner[1], 1 - inner[0]]) / np.hypot(inner[1], 1 - inner[0])
    beyond: FloatArray = r * (np.cos(angle) * normal[0] + np.sin(angle) * normal[1]) - normal[0]
    return beyond


def _crescent(x: FloatArray, y: FloatArray) -> FloatArray:
    return np.maximum(np.hypot(x, y) - 0.95, 0.72 - np.hypot(x - 0.45, y))


def _bars(x: FloatArray, y: FloatArray) -> FloatArray:
    return np.maximum(np.abs(np.abs(x) - 0.45) - 0.2, np.abs(y) - 0.75)


def _ell(x: FloatArray, y: FloatArray) -> FloatArray:
    return np.minimum(_box(x + 0.4, y, 0.22, 0.75), _box(x, y - 0.53, 0.62, 0.22))


#: each class, and its signed distance at (x, y) in units of its radius
SHAPES: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "disk": _disk,
    "ring": _ring,
    "square": _square,
    "frame": _frame,
    "triangle": _triangle,
    "plus": _plus,
    "star": _star,
    "crescent": _crescent,
    "two bars": _bars,
    "L": _ell,
}
