"""Where labels are compared: a low-rank kernel map for the linear judges, and neighbours in a few directions.

The map is Nystroem's (Williams and Seeger, NeurIPS 2001) for the Gaussian kernel k(x, z) = exp(-c |x - z|^2 / median
|x - z|^2): with m rows Z of the data, k(Z, Z) = V diag(w) V^T, a row x becomes k(x, Z) V w^(-1/2), so that products
of mapped rows are the kernel's, exactly on Z. Neighbours are the nearest rows in the leading principal directions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from sparseop.errors import random_generator
from sparseop.inspect.features import Array, Features, parts

Single = NDArray[np.float32]
NEIGHBOURS, DIRECTIONS, REFERENCES = 15, 64, 20_000
SAMPLE = 5_000  #: rows from which scales and directions are estimated


@dataclass(frozen=True)
class KernelMap:
    """Nystroem's map: ``apply`` maps scaled rows (n, d) to (n, rank).

    Attributes
    ----------
    anchors : the m rows Z, (m, d).
    whiten : V w^(-1/2), (m, rank).
    width : c / median |x - z|^2.
    """

    anchors: Array
    whiten: Array
    width: float

    @property
    def rank(self) -> int:
        """Number of directions kept."""
        return int(self.whiten.shape[1])

    def apply(self, rows: Array) -> Array:
        """Return the mapped rows."""
        found: Array = np.exp(-self.width * squared_distances(rows, self.anchors)) @ self.whiten
        return found


def kernel_map(features: Features, rank: int, narrow: float, *, seed: int) -> KernelMap:
    """Return the map on ``rank`` random rows; ``narrow`` is the kernel's c."""
    chosen = random_generator("seed", seed, spawn_key=(1,)).permutation(len(features))[:rank]
    anchors = features.block(np.sort(chosen))
    distances = squared_distances(anchors, anchors)
    apart = distances[np.triu_indices(len(anchors), 1)]
    middle = float(np.median(apart[apart > 0])) if (apart > 0).any() else 1.0
    values, vectors = eigh(np.exp(-narrow / middle * distances))
    kept = values > 1e-10 * values[-1]  # below, a direction is rounding
    return KernelMap(anchors, vectors[:, kept] / np.sqrt(values[kept]), narrow / middle)


def squared_distances(a: NDArray[np.floating], b: NDArray[np.floating]) -> Array:
    """Return |a_i - b_j|^2, (n, m)."""
    squares: Array = np.maximum((a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * (a @ b.T), 0)
    return squares


def directions(features: Features, *, seed: int) -> Single:
    """Return the features in at most 64 leading principal directions, float32 (n, p)."""
    chosen = random_generator("seed", seed, spawn_key=(2,)).permutation(len(features))[:SAMPLE]
    some = features.block(np.sort(chosen))
    _, axes = eigh(some.T @ some, subset_by_index=(max(0, some.shape[1] - DIRECTIONS), some.shape[1] - 1))
    found: Single = features.mapped(lambda rows: rows @ axes, axes.shape[1], np.float32)
    return found


@dataclass(frozen=True)
class Neighbours:
    """The nearest other rows.

    Attributes
    ----------
    index : int32 (n, k), rows of the references.
    weight : float32 (n, k), exp(-distance^2 / (2 d_k^2)) with d_k the distance of the k-th; 0 for a row itself.
    references : int64 (m,), rows among which neighbours are sought: all, or a random part of many.
    """

    index: NDArray[np.int32]
    weight: Single
    references: NDArray[np.int64]


def nearest(low: Single, *, seed: int, k: int = NEIGHBOURS, most: int = REFERENCES) -> Neighbours:
    """Return the k nearest other rows of each row; among at most ``most`` random ones."""
    n = len(low)
    references = np.arange(n)
    if n > 2 * most:
        references = np.sort(random_generator("seed", seed, spawn_key=(3,)).permutation(n)[:most])
    k = min(k, len(references) - 1)
    pool = np.ascontiguousarray(low[references])
    squares = (pool * pool).sum(1)
    place = np.full(n, -1)
    place[references] = np.arange(len(references))
    index, weight = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
    for part in parts(n, len(references)):
        near = squares - 2 * (low[part] @ pool.T)  # |x|^2 is the same for all
        own = np.flatnonzero(place[part] >= 0)
        near[own, place[part][own]] = np.inf
        found = np.argpartition(near, k - 1, axis=1)[:, :k]
        distance = np.maximum(np.take_along_axis(near, found, 1) + (low[part] ** 2).sum(1)[:, None], 0)
        index[part] = found
        weight[part] = np.exp(-distance / np.maximum(2 * distance.max(1, keepdims=True), 1e-30))
    return Neighbours(references[index].astype(np.int32), weight, references)
