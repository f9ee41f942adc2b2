"""Sparse corruption of images, what is measured of a recovery, and the filters it is compared with.

Every entry (pixel and channel) of an image is corrupted or not, independently, as in the released code of robust image
recovery; images are tensors (C, H, W) with values in [0, 1].
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from sparseop.deep.data import seed_for
from sparseop.errors import between, choice, integer

KINDS = ("salt-and-pepper", "uniform")
VISIBLE = 0.1  # an entry counts as corrupted, or as found, where it is off by more than this


def corrupt(clean: Tensor, rate: float, *, kind: str = "salt-and-pepper", seed: int = 0) -> Tensor:
    """Return a copy of which each entry is replaced with probability ``rate``.

    Parameters
    ----------
    clean : (C, H, W).
    rate : in [0, 1].
    kind : "salt-and-pepper": by 0 or 1, equally often; "uniform": by a number uniform in [0, 1], which nothing marks.
    seed : of both the places and the values.
    """
    between("noise", rate, 0, 1, ends="[]")
    choice("noise_kind", kind, KINDS)
    generator = torch.Generator().manual_seed(seed_for(integer("seed", seed, 0), "image noise"))
    where = torch.rand(clean.shape, generator=generator) < rate
    value = torch.rand(clean.shape, generator=generator)
    return torch.where(where, value.round() if kind == "salt-and-pepper" else value, clean)


def psnr(image: Tensor, clean: Tensor) -> float:
    """Return the peak signal-to-noise ratio -10 log10 mean (image - clean)^2 in dB, of values clipped to [0, 1]."""
    error = float((image.clamp(0, 1).double() - clean.double()).square().mean())
    return math.inf if error == 0 else -10 * math.log10(error)


def detection(s: Tensor, truth: Tensor) -> tuple[float, float]:
    """Return precision and recall of |s| > VISIBLE as a detector of |truth| > VISIBLE; nan where it is 0/0.

    A corrupted entry whose clean value was within VISIBLE of the corrupted one does no visible harm and does not count.
    """
    found, wrong = s.abs() > VISIBLE, truth.abs() > VISIBLE
    hits, n_found, n_wrong = (int(mask.sum()) for mask in (found & wrong, found, wrong))
    return hits / n_found if n_found else math.nan, hits / n_wrong if n_wrong else math.nan


def median_filter(image: Tensor, side: int) -> Tensor:
    """Return the median over each entry's square window of odd ``side``, channel by channel, borders reflected."""
    windows = _windows(image, side)
    return windows.median(1).values.reshape(image.shape)


def median_of_moderate(image: Tensor, side: int) -> Tensor:
    """Return the image with its entries 0 and 1 replaced by the median of those in their window that are neither.

    It knows that impulses are exactly 0 or 1, which no other method here does; windows grow where all of one is extreme.
    """
    extreme = (image <= 0) | (image >= 1)
    result = torch.where(extreme, math.nan, image)
    for window in range(side, min(image.shape[-2:]), 2):
        if not result.isnan().any():
            break
        middle = _windows(torch.where(extreme, math.nan, image), window).nanmedian(1).values.reshape(image.shape)
        result = torch.where(result.isnan(), middle, result)
    return torch.where(result.isnan(), image, result)


def _windows(image: Tensor, side: int) -> Tensor:
    """Return (C, side^2, H W): the neighbours of every entry."""
    half = integer("side", side, 1) // 2
    padded = functional.pad(image[None], (half,) * 4, mode="reflect")
    return functional.unfold(padded, side).reshape(len(image), side * side, -1)
