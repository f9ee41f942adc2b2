"""Sparse corruption of images, what is measured of a recovery, and the filters it is compared with.

Every entry (pixel and channel) of an image is corrupted or not, independently, as in the released code of robust image
recovery; images are tensors (C, H, W) with values in [0, 1].
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from sparseop.deep.training.seeds import generator
from sparseop.errors import InputError, between, choice, integer

KINDS = ("salt-and-pepper", "uniform")
LARGEST_WINDOW = 15  # a side; on wide white ground there is nothing to find, however far one looks
WINDOW_ENTRIES = 2**22  # held at a time
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
    draws = generator("cpu", integer("seed", seed, 0), "image noise")
    where = torch.rand(clean.shape, generator=draws) < rate
    value = torch.rand(clean.shape, generator=draws)
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
    return _over_windows(
        image, side, torch.ones_like(image, dtype=torch.bool), lambda windows: windows.median(1).values
    )


def median_of_moderate(image: Tensor, side: int) -> Tensor:
    """Return the image with its entries 0 and 1 replaced by the median of those in their window that are neither.

    It knows that impulses are exactly 0 or 1, which no other method here does. Windows grow up to ``LARGEST_WINDOW``
    where all of one is extreme; an entry without any other in that is kept.
    """
    extreme = (image <= 0) | (image >= 1)
    moderate = torch.where(extreme, math.nan, image)
    result = moderate
    for window in range(side, min(LARGEST_WINDOW + 1, *image.shape[-2:]), 2):
        if not result.isnan().any():
            break
        result = _over_windows(moderate, window, result.isnan(), lambda windows: windows.nanmedian(1).values, result)
    return torch.where(result.isnan(), image, result)


#: what recovery is compared with: two plain medians, and one that knows that impulses are exactly 0 or 1
FILTERS: dict[str, Callable[[Tensor], Tensor]] = {
    "median 3 x 3": partial(median_filter, side=3),
    "median 5 x 5": partial(median_filter, side=5),
    "median of entries not 0 or 1": partial(median_of_moderate, side=3),
}


def filters(y: Tensor, clean: Tensor) -> dict[str, float]:
    """Return the PSNR that each of ``FILTERS`` reaches."""
    return {name: psnr(filtered(y), clean) for name, filtered in FILTERS.items()}


def _over_windows(
    image: Tensor, side: int, where: Tensor, middle: Callable[[Tensor], Tensor], otherwise: Tensor | None = None
) -> Tensor:
    """Return ``middle`` of the windows (count, side^2) of the entries ``where``, and ``otherwise`` elsewhere.

    Strip by strip, to bound memory.
    """
    half = integer("side", side, 1) // 2
    channels, height, width = image.shape
    if min(height, width) <= half:
        raise InputError(f"the image must have more than {half} pixels on a side, got {height} x {width}.")
    padded = functional.pad(image[None], (half,) * 4, mode="reflect")[0]
    result = torch.empty_like(image) if otherwise is None else otherwise.clone()
    rows = max(1, WINDOW_ENTRIES // (channels * width * side * side))
    for top in range(0, height, rows):
        strip = slice(top, min(top + rows, height))
        windows = (
            padded[:, top : strip.stop + 2 * half].unfold(1, side, 1).unfold(2, side, 1)
        )  # a view (channels, rows, width, side, side)
        chosen = where[:, strip]
        result[:, strip][chosen] = middle(windows[chosen].reshape(-1, side * side))
    return result
