"""The curve s = 2 gamma^2 sinh(x) that ties each entry of s to its multiplier x = 4 alpha nu, eq. (20), in logarithms.

Nothing here overflows or needs gamma^2 itself, which underflows below gamma = 1e-154: every function takes
``log_scale = log(gamma^2)`` (minus the logarithm of the unit that s is measured in, where there is one).
"""

import numpy as np
from numba import njit

from sparseop.errors import FloatArray


def sparse_part(x: FloatArray, log_scale: float) -> tuple[FloatArray, FloatArray]:
    """Return s = 2 gamma^2 sinh(x) and its derivative ds/dx = 2 gamma^2 cosh(x) = sqrt(s^2 + 4 gamma^4)."""
    size = np.abs(x)
    grown = np.exp(np.minimum(size + log_scale, 700.0))
    return np.sign(x) * grown * -np.expm1(-2 * size), grown * (1 + np.exp(-2 * size))


def multiplier(s: FloatArray, log_scale: float) -> FloatArray:
    """Return x = asinh(s / (2 gamma^2)), the inverse of ``sparse_part``."""
    with np.errstate(divide="ignore"):
        ell = np.log(np.abs(s)) - log_scale  # log(2 |s| / (2 gamma^2))
    small = np.arcsinh(0.5 * np.exp(np.minimum(ell, 1.0)))
    large = np.maximum(ell, 0.0)
    large = large + np.log1p(0.5 * (np.sqrt(1 + 4 * np.exp(-2 * large)) - 1))
    return np.sign(s) * np.where(ell > 0, large, small)


def meet(total: FloatArray, slope: FloatArray, log_scale: float) -> FloatArray:
    """Return the x where the curve meets the line s + slope x = total (slope >= 0), entry by entry, to rounding."""
    target = np.abs(total)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        start = np.fmin(target / slope, multiplier(target, log_scale))
    x: FloatArray = _meet(target, slope, np.where(target > 0, start, 0.0), log_scale)
    return np.sign(total) * x


@njit(cache=True)
def _meet(target, slope, start, log_scale):  # type: ignore[no-untyped-def]
    """Newton from the smaller of two upper bounds, target/slope and asinh(target / (2 gamma^2)).

    The function is convex for x > 0 and at most twice ``target`` there: a handful of steps whatever the exponents.
    """
    found = np.empty_like(start)
    for i in range(start.size):
        x = start[i]
        for _ in range(50):
            grown, shrunk = np.exp(min(x + log_scale, 700.0)), np.exp(-2 * x)
            steepness = grown * (1 + shrunk) + slope[i]
            off = grown * (1 - shrunk if x > 1e-2 else -np.expm1(-2 * x)) + slope[i] * x - target[i]
            if abs(off) <= 4e-16 * target[i] or steepness == 0:
                break
            step = off / steepness
            x = max(x - step, 0.0)
            if abs(step) <= 4e-16 * x:
                break
        found[i] = x
    return found
