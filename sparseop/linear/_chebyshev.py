"""Explicit integration of stiff gradient flows: the second-order Runge-Kutta-Chebyshev method.

With s evaluations a step may be about 0.65 s^2 over the largest rate of the flow, where Euler's (gradient descent) has
s * 2 over it: a hundred evaluations go as far as three thousand steps. Made for real, negative spectra, which gradient
flows have near their limit; no matrix of the size of the state is formed. Sommeijer, Shampine and Verwer, J. Comput.
Appl. Math. 88 (1998) 315-326, doi:10.1016/S0377-0427(97)00219-7, equations (2.1) to (2.9).
"""

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from sparseop.errors import FloatArray

MOST_STAGES = 250
DAMPING = 2 / 13

Rhs = Callable[[FloatArray], FloatArray]


@cache
def coefficients(stages: int) -> tuple[float, tuple[tuple[float, float, float, float], ...]]:
    """Return the first weight and, for stage j = 2 ... s, (mu, nu, mu~, gamma~)."""
    w0 = 1 + DAMPING / stages**2
    t, d, dd = [1.0, w0], [0.0, 1.0], [0.0, 0.0]
    for _ in range(2, stages + 1):
        t.append(2 * w0 * t[-1] - t[-2])
        d.append(2 * w0 * d[-1] - d[-2] + 2 * t[-2])
        dd.append(2 * w0 * dd[-1] - dd[-2] + 4 * d[-2])
    w1 = d[stages] / dd[stages]
    b = [0.0, 0.0, *(dd[j] / d[j] ** 2 for j in range(2, stages + 1))]
    b[0] = b[1] = b[2]
    rows = []
    for j in range(2, stages + 1):
        mu_tilde = 2 * b[j] * w1 / b[j - 1]
        rows.append((2 * b[j] * w0 / b[j - 1], -b[j] / b[j - 2], mu_tilde, -(1 - b[j - 1] * t[j - 1]) * mu_tilde))
    return b[1] * w1, tuple(rows)


def stages_for(step: float, rate: float) -> int:
    """Return how many stages keep a step stable where no rate exceeds ``rate``."""
    return max(2, 1 + math.ceil(math.sqrt(1 + 1.54 * step * rate)))


def longest_step(rate: float) -> float:
    """Return the longest stable step with ``MOST_STAGES`` stages."""
    return ((MOST_STAGES - 1) ** 2 - 1) / (1.54 * rate)


def advance(rhs: Rhs, y: FloatArray, slope: FloatArray, step: float, stages: int) -> FloatArray:
    """Return the state after one step from ``y``, where ``slope`` = rhs(y)."""
    first, rows = coefficients(stages)
    before, now = y, y + (first * step) * slope
    for mu, nu, mu_tilde, gamma_tilde in rows:
        following = rhs(now)
        following *= mu_tilde * step
        following += (gamma_tilde * step) * slope
        following += mu * now
        following += nu * before
        following += (1 - mu - nu) * y
        before, now = now, following
    return now


def local_error(y: FloatArray, new: FloatArray, slope: FloatArray, new_slope: FloatArray, step: float) -> FloatArray:
    """Return the estimated error of a step."""
    return np.asarray(0.8 * (y - new) + (0.4 * step) * (slope + new_slope))
