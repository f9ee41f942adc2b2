"""Small pictures painted by formula: colours, backgrounds, strokes and noise, drawn for many pictures at once.

Places are in units of half the picture's width: the picture is the square [-1, 1]^2, pixel (row, column) of S x S shows
the point (x, y) = ((2 column + 1) / S - 1, (2 row + 1) / S - 1). Arrays are float64 numpy, and every draw comes from
the generator given, so a seed gives the same bytes wherever numpy's generators, sines and powers do.
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from sparseop.errors import FloatArray

CONTRAST, LUMINANCE_GAP = 0.35, 0.175  # between figure and ground, in RGB distance and in luminance
_LUMINANCE = np.array([0.299, 0.587, 0.114])


def grid(size: int) -> tuple[FloatArray, FloatArray]:
    """Return x and y of every pixel, each (1, S, S)."""
    centres = (2 * np.arange(size) + 1) / size - 1
    x, y = np.meshgrid(centres, centres)
    return x[None], y[None]


def coverage(distance: FloatArray) -> FloatArray:
    """Return how much of each pixel lies inside, from the signed distance (n, S, S) to the outline, negative inside.

    The edge is a ramp of 1.2 pixels about the outline: 2.4 / S in units of half the width.
    """
    inside: FloatArray = np.clip(0.5 - distance * distance.shape[-1] / 2.4, 0, 1)
    return inside


def colours(n: int, rng: Generator) -> tuple[FloatArray, FloatArray]:
    """Draw figure and ground, each (n, 3) uniform in the RGB cube, until they differ in colour and in luminance."""
    pair = rng.random((n, 2, 3))
    wrong = np.arange(n)
    while True:
        gap = pair[wrong, 0] - pair[wrong, 1]
        wrong = wrong[(np.linalg.norm(gap, axis=1) < CONTRAST) | (np.abs(gap @ _LUMINANCE) < LUMINANCE_GAP)]
        if not len(wrong):
            return pair[:, 0], pair[:, 1]
        pair[wrong] = rng.random((len(wrong), 2, 3))


def background(ground: FloatArray, size: int, amplitude: float, rng: Generator) -> FloatArray:
    """Return (n, 3, S, S): the ground's colour, plus ``amplitude`` times a mixture of a grating and of soft blotches.

    Grating: a sine of 1 to 5 periods a picture, in any direction, in a random colour. Blotches: 4 x 4 normal values a
    channel, interpolated by cubics. The share of either is uniform.
    """
    n = len(ground)
    x, y = grid(size)
    share, angle, phase = rng.random((3, n, 1, 1))
    frequency = rng.uniform(1, 5, (n, 1, 1))
    direction = 2 * np.pi * angle
    wave = np.sin(np.pi * frequency * (x * np.cos(direction) + y * np.sin(direction)) + 2 * np.pi * phase)
    tint = rng.uniform(-1, 1, (n, 3, 1, 1))
    weights = _cubic(size, 4)
    blotches = np.einsum("ra,ncab,sb->ncrs", weights, rng.standard_normal((n, 3, 4, 4)), weights, optimize=True)
    share = share[:, None]
    result: FloatArray = ground[:, :, None, None] + amplitude * (
        0.6 * share * wave[:, None] * tint + (1 - share) * blotches
    )
    return result


def stroke(n: int, size: int, rng: Generator) -> FloatArray:
    """Return the coverage (n, S, S) of a round-ended stroke.

    Half-length 0.1 to 0.7, half-width 0.06 to 0.2, anywhere.
    """
    x, y = grid(size)
    left, top, angle = rng.uniform(-1, 1, (3, n, 1, 1))
    half, thick = rng.uniform(0.1, 0.7, (n, 1, 1)), rng.uniform(0.06, 0.2, (n, 1, 1))
    c, s = np.cos(np.pi * angle), np.sin(np.pi * angle)
    along, across = (x - left) * c + (y - top) * s, (y - top) * c - (x - left) * s
    return coverage(np.hypot(along - np.clip(along, -half, half), across) - thick)


def lay(picture: FloatArray, mask: FloatArray, colour: FloatArray) -> FloatArray:
    """Lay ``colour`` (n, 3) over ``picture`` (n, 3, S, S) where ``mask`` (n, S, S) covers it."""
    alpha = mask[:, None]
    return picture * (1 - alpha) + colour[:, :, None, None] * alpha


def develop(picture: FloatArray, noise: float, rng: Generator) -> NDArray[np.uint8]:
    """Add pixel noise of standard deviation ``noise`` and return bytes."""
    noisy = picture + noise * rng.standard_normal(picture.shape)
    return np.round(255 * np.clip(noisy, 0, 1)).astype(np.uint8)


def placed(n: int, size: int, radius: FloatArray, turn: float, rng: Generator) -> tuple[FloatArray, FloatArray]:
    """Return each pixel's coordinates (n, S, S) in the frame of a figure of ``radius`` (n,).

    The figure's centre is uniform in the room that its radius leaves, its rotation uniform in [-turn, turn] (radians).
    """
    x, y = grid(size)
    room = np.maximum(1 - radius, 0)[:, None, None]
    left, top = room * rng.uniform(-1, 1, (2, n, 1, 1))
    angle = rng.uniform(-turn, turn, (n, 1, 1))
    c, s, r = np.cos(angle), np.sin(angle), radius[:, None, None]
    return ((x - left) * c + (y - top) * s) / r, ((y - top) * c - (x - left) * s) / r


def _cubic(size: int, knots: int) -> FloatArray:
    """Return (S, knots): Catmull-Rom weights of ``knots`` values spread over the picture, ends repeated."""
    place = (np.arange(size) + 0.5) / size * knots - 0.5
    first = np.floor(place).astype(int)
    t = place - first
    weights = np.zeros((size, knots))
    for offset, w in (
        (-1, (-t + 2 * t**2 - t**3) / 2),
        (0, (2 - 5 * t**2 + 3 * t**3) / 2),
        (1, (t + 4 * t**2 - 3 * t**3) / 2),
        (2, (t**3 - t**2) / 2),
    ):
        np.add.at(weights, (np.arange(size), np.clip(first + offset, 0, knots - 1)), w)
    return weights
