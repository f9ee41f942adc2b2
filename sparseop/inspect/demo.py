"""The digits of the package with errors of two kinds put in, so that what is found can be compared with the truth."""

from importlib import resources

import numpy as np
from numpy.typing import NDArray

from sparseop.inspect.features import Array
from sparseop.inspect.labels import Codes
from sparseop.inspect.reading import Source
from sparseop.inspect.report import Truth
from sparseop.inspect.space import squared_distances
from sparseop.inspect.thumbnails import ArrayPictures

SLIPS, HUMAN = 0.03, 0.04  #: shares of the labels: drawn at random, and where people err


def digits() -> tuple[NDArray[np.uint8], Codes]:
    """Return the 1,797 pictures (N, 8, 8), 0 to 255, and their right labels."""
    with (
        resources.files("sparseop").joinpath("deep/datasets/digits.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as packed,
    ):
        pictures = np.round(packed["images"].astype(float) * (255 / 16)).astype(np.uint8)
        return pictures.reshape(-1, 8, 8), packed["labels"].astype(np.int64)


def human_like(pixels: Array, labels: Codes, share: float, generator: np.random.Generator) -> Codes:
    """Return labels in which samples that resemble another class carry its label.

    Of each sample the distance to the nearest other one of its own class is compared with that to the nearest of any
    other class; the chance of an error grows with the ratio's square, and the label becomes that of the other class.
    """
    distances = squared_distances(pixels, pixels)
    np.fill_diagonal(distances, np.inf)
    same = labels[:, None] == labels
    own = np.where(same, distances, np.inf).min(1)
    others = np.where(same, np.inf, distances)
    nearest = others.argmin(1)
    chance = own / np.maximum(others[np.arange(len(labels)), nearest], 1e-12)
    chosen = generator.choice(len(labels), round(share * len(labels)), replace=False, p=chance / chance.sum())
    given = labels.copy()
    given[chosen] = labels[nearest[chosen]]
    return given


def source(seed: int = 0) -> tuple[Source, Truth]:
    """Return the digits with 4 % human-like errors and 3 % random ones, and the truth."""
    pictures, labels = digits()
    generator = np.random.default_rng(np.random.SeedSequence([seed, 16]))
    pixels = pictures.reshape(len(pictures), -1) / 255
    given = human_like(pixels, labels, HUMAN, generator)
    slips = generator.choice(np.flatnonzero(given == labels), round(SLIPS * len(labels)), replace=False)
    given[slips] = (labels[slips] + generator.integers(1, 10, len(slips))) % 10
    about = (
        f"{100 * HUMAN:g} % of the digits carry the label of a digit that they resemble, {100 * SLIPS:g} % a random one"
    )
    return Source(given, pixels, None, ArrayPictures(pictures), None, (), "digits with errors put in"), Truth(
        labels, about
    )
