"""Known errors on a copy of the labels, in the pattern of the confusions that the data show."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparseop.inspect.features import Array
from sparseop.inspect.labels import Codes

SHARE, WANTED, MOST_ROUNDS = (
    0.04,
    400,
    5,
)  #: of the labels planted a round; planted errors wanted in all; rounds at most


@dataclass(frozen=True)
class Planted:
    """A copy of the labels with known errors.

    Attributes
    ----------
    labels : int64 (n,), the copy.
    where : int64 (m,), the samples whose label was changed.
    """

    labels: Codes
    where: NDArray[np.int64]


def rounds_for(n: int) -> int:
    """Return how many copies give enough planted errors."""
    return int(np.clip(np.ceil(WANTED / (SHARE * n)), 1, MOST_ROUNDS))


def confusions(labels: Codes, instead: Codes, wrong: Array, k: int) -> Array:
    """Return C (K, K): the expected number of samples that are really z and labelled j, z != j.

    Parameters
    ----------
    instead : int64 (n,), what a sample would be if its label were wrong.
    wrong : (n,), the probability that it is.
    """
    found: Array = np.bincount(instead * k + labels, wrong, k * k).astype(np.float64).reshape(k, k)
    np.fill_diagonal(found, 0)
    return found


def plant(labels: Codes, wrong: Array, pattern: Array, generator: np.random.Generator) -> Planted:
    """Change the labels of some samples that are probably right.

    A sample is chosen in proportion to the probability that its label is right and to the rate at which its class is
    mislabelled, and gets another label in the proportions of its row of C; both smoothed by a fiftieth of the whole
    spread evenly, so that what was never seen stays possible.
    """
    n, k = len(labels), len(pattern)
    off = 1 - np.eye(k)
    counts = np.maximum(np.bincount(labels, 1 - wrong, k), 1)
    total = max(float(pattern.sum()), 1.0)
    smooth = pattern + 0.02 * total * off * counts[:, None] / counts.sum() / (k - 1)
    rate = smooth.sum(1) / counts
    weight = (1 - wrong) * rate[labels] + 1e-12
    size = max(1, min(round(SHARE * n), n // 4)) if n > 20 / SHARE else max(1, min(20, n // 8))
    where = np.sort(generator.choice(n, size, replace=False, p=weight / weight.sum()))
    cumulative = np.cumsum(smooth / smooth.sum(1, keepdims=True), axis=1)
    target = (generator.random(size)[:, None] > cumulative[labels[where]]).sum(1).clip(0, k - 1)
    same = target == labels[where]  # rounding at the end of a row
    target[same] = (target[same] + 1) % k
    copy = labels.copy()
    copy[where] = target
    return Planted(copy, where)
