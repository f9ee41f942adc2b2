"""The worst crop of the eps-ball: what Theorem 2 promises for 'any augmentation', random crops do not show.

Projected gradient ascent in x over the spherical cap |x - c| <= eps, |x| = 1, from several random starts. It finds a
local maximum, so what it returns is a lower bound on the true worst case; Theorem 5 bounds that from above.
"""

from dataclasses import dataclass

import numpy as np

from sparseop.errors import FloatArray, InputError, Seed, between, fits, instance, integer
from sparseop.refinery.data import CorruptedDataset, crop
from sparseop.refinery.network import OneHiddenLayer
from sparseop.refinery.streams import stream


@dataclass(frozen=True, eq=False)
class WorstCrops:
    """For every centre: the crops found with the largest and the smallest f, those values, and f at the centre."""

    high: FloatArray
    low: FloatArray
    f_high: FloatArray
    f_low: FloatArray
    f_centre: FloatArray

    @property
    def spread(self) -> float:
        """The supremum of Theorem 5, largest over the centres: max f - min f over the cap."""
        return float((self.f_high - self.f_low).max())


def worst_crops(
    network: OneHiddenLayer,
    data: CorruptedDataset,
    *,
    eps: float | None = None,
    starts: int = 4,
    steps: int = 40,
    seed: Seed = 0,
) -> WorstCrops:
    """Search the caps around all centres for the crops with extreme predictions.

    Parameters
    ----------
    network : at the weights to examine.
    data : gives the centres, and ``eps`` unless another radius in (0, 1] is given.
    starts, steps : random starts for each centre and extreme, ascent steps for each.
    seed : of the starts.
    """
    instance("network", network, OneHiddenLayer)
    instance("data", data, CorruptedDataset)
    radius = between("eps", data.eps if eps is None else eps, 0, 1, ends="(]")
    starts = integer("starts", starts, 1)
    steps = integer("steps", steps, 1)
    if network.W.shape[1] != data.X.shape[1]:
        raise InputError(
            f"network takes inputs of length {network.W.shape[1]}, but data has crops of length {data.X.shape[1]}."
        )
    fits(f"{starts} starts for every centre", 2 * starts * data.n_centres * (3 * data.X.shape[1] + network.width))
    rng = stream(seed, "worst case")
    centres = np.repeat(data.centres, starts, axis=0)
    best = []
    for sign in (1.0, -1.0):
        x = crop(centres, radius, rng)
        found, value = x.copy(), sign * network(x)
        for step in range(steps):
            # the step shrinks from the cap's radius to a hundredth of it; the projection keeps x in the cap
            gradient = sign * network.input_gradient(x)
            size = radius * 0.01 ** (step / steps)
            x = project(x + size * gradient / np.linalg.norm(gradient, axis=1, keepdims=True), centres, radius)
            now = sign * network(x)
            better = now > value
            found[better], value[better] = x[better], now[better]
        pick = np.arange(data.n_centres) * starts + value.reshape(-1, starts).argmax(axis=1)
        best.append((found[pick], sign * value[pick]))
    (high, f_high), (low, f_low) = best
    return WorstCrops(high, low, f_high, f_low, network(data.centres))


def project(x: FloatArray, centres: FloatArray, eps: float) -> FloatArray:
    """Return the point of each cap |x - c| <= eps, |x| = 1 that is nearest in angle to x."""
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    cosine = np.einsum("ij,ij->i", x, centres)[:, None]
    edge = 1 - eps**2 / 2
    away = x - cosine * centres
    away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-300)
    return np.where(cosine < edge, edge * centres + np.sqrt(1 - edge**2) * away, x)


def worst_accuracy(data: CorruptedDataset, worst: WorstCrops) -> float:
    """Return the share of centres all of whose crops, as far as the search went, are predicted correctly."""
    right = (data.nearest(worst.f_high) == data.centre_labels) & (data.nearest(worst.f_low) == data.centre_labels)
    return float(np.mean(right & (data.nearest(worst.f_centre) == data.centre_labels)))
