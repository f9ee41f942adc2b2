"""Sums with twice the digits, for J^T nu where its terms cancel: lam large, or rows of very different size.

Every product and every sum keeps its exact error in a second number (Dekker; Ogita, Rump and Oishi, SIAM J. Sci.
Comput. 26 (2005), doi:10.1137/030601818: Dot2), so the result is as accurate as if computed with 106 bits and rounded.
``fastmath=False`` is spelled out: a compiled function inherits the flags of its caller otherwise, and loses the
errors.
"""

import numpy as np
from numba import njit

from sparseop.errors import FloatArray

SPLIT = 134217729.0  # 2^27 + 1: Veltkamp's halves of 26 bits, whose products are exact


@njit(cache=True, error_model="numpy", fastmath=False)
def pull(A: FloatArray, B: FloatArray, nu: FloatArray, nu_low: FloatArray, theta: FloatArray) -> FloatArray:
    """Return J^T (nu + nu_low) - theta, J = A B, or A where B is empty."""
    inner, inner_low = np.zeros(A.shape[1]), np.zeros(A.shape[1])
    if B.size == 0:
        inner[:] = -theta
    for i in range(A.shape[0]):
        _add_row(inner, inner_low, nu[i], nu_low[i], A[i])
    if B.size == 0:
        return inner + inner_low
    outer, outer_low = -theta, np.zeros(theta.size)
    for k in range(B.shape[0]):
        _add_row(outer, outer_low, inner[k], inner_low[k], B[k])
    return outer + outer_low


@njit(cache=True, error_model="numpy", fastmath=False)
def product(a: float, b: float) -> tuple[float, float]:
    """Return a b and its exact error."""
    t = SPLIT * a
    a_1 = t - (t - a)
    a_2 = a - a_1
    t = SPLIT * b
    b_1 = t - (t - b)
    b_2 = b - b_1
    high = a * b
    return high, ((a_1 * b_1 - high) + a_1 * b_2 + a_2 * b_1) + a_2 * b_2


@njit(cache=True, error_model="numpy", fastmath=False)
def total(a: float, b: float) -> tuple[float, float]:
    """Return a + b and its exact error."""
    high = a + b
    part = high - a
    return high, (a - (high - part)) + (b - part)


@njit(cache=True, error_model="numpy", fastmath=False)
def _add_row(high: FloatArray, low: FloatArray, factor: float, factor_low: float, row: FloatArray) -> None:
    """Add (factor + factor_low) row to high + low."""
    for j in range(row.size):
        term, error = product(factor, row[j])
        high[j], more = total(high[j], term)
        low[j] += error + more + factor_low * row[j]
