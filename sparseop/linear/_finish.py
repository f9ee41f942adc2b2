"""The exact end of a solve: once it is known which entries of s are zero, the answer is that of a linear system.

With Z the rows where s_i = 0 and the signs of the others known, the solution of (26) is

    F_Z b = y_Z,   b = lam (F_Z^T w_Z + F_S^T sign),   |w_i| <= 1 on Z                           (nu = lam w)

``finish`` solves it by proximal steps, which converge at any rank of F_Z, to the rounding of its own residuals. A wrong
support shows: a row of Z whose residual does not vanish, a w outside the box, or a duality gap.

The gap is measured against what the answer depends on, 1/2 |b|^2, and not against the objective, which gross outliers
inflate without moving b. See ``relative_gap``.
"""

import numpy as np
from numba import njit

from sparseop.errors import FloatArray
from sparseop.linear._blas import (
    Work,
    cholesky,
    cholesky_solve,
    times,
    times_both,
    transposed_times,
    weighted_gram,
    workspace,
)

FAST = {"contract", "arcp", "reassoc", "nsz"}  # never nnan: a breakdown must show as NaN, and be caught
EPS = float(np.finfo(np.float64).eps)
ROUNDING = 4e-15  # an entry of y - F b below this, relative to the terms of the difference, cannot be told from zero
WEIGHT = 1e7  # of a proximal step, beside the ridge term: the factor by which a step reduces the error, at least
BOX = 1e-9  # how far w may leave [-1, 1] and be clipped; what this moves is in the gap
NOTHING = 4.0  # |b| below so many such roundings may be taken for zero, where y allows it
PROXIMAL_STEPS = 10
EXACT = 1e-26  # a gap that no further step improves
FAST_ENOUGH, STANDS = (
    0.5,
    0.97,
)  # of the excess that a step leaves: slower is worth a heavier weight, no slower than that
HEAVIER, WEIGHT_UP = 3, 1e4


@njit(cache=True, error_model="numpy")
def relative_gap(excess: float, length: float, natural: float) -> float:
    """Return ``excess`` = primal - dual in units of 1/2 |b|^2, so that |b - b_opt| <= sqrt(relative gap) |b|.

    Where b = 0, ``natural`` takes its place: the smallest |y_i| / |F_i|, the size that any row by itself would ask for.
    """
    if excess == 0.0:
        return 0.0
    measure = length if length > 0.0 else natural
    return excess / (0.5 * measure * measure)


@njit(cache=True, error_model="numpy")
def natural_size(norm: FloatArray, y: FloatArray) -> float:
    """Return the smallest |y_i| / |F_i|; infinite where none is larger than 0."""
    least = np.inf
    for i in range(y.size):
        if norm[i] > 0.0 and y[i] != 0.0:
            least = min(least, abs(y[i]) / norm[i])
    return least


@njit(cache=True, error_model="numpy", fastmath=FAST)
def row_norms(F: FloatArray) -> FloatArray:
    """Return |F_i|_2 for every row."""
    norm = np.empty(F.shape[0])
    for i in range(F.shape[0]):
        total = 0.0
        for j in range(F.shape[1]):
            total += F[i, j] * F[i, j]
        norm[i] = np.sqrt(total)
    return norm


@njit(cache=True, error_model="numpy", fastmath=FAST)
def finish(
    F: FloatArray,
    norm: FloatArray,
    y: FloatArray,
    lam: float,
    b: FloatArray,
    w: FloatArray,
    sign: FloatArray,
    buffer: FloatArray,
    L: FloatArray,
    work: Work,
) -> tuple[float, int]:
    """Solve for (b, w) on the support ``sign``, starting from (b, w), which it overwrites.

    Returns
    -------
    gap : relative to what matters; inf where w leaves the box, or the system can't be factored.
    visible : rows of Z whose residual is larger than its rounding, which a right support doesn't have.
    """
    n, r = F.shape
    s, g, F_db, db, r_b = np.empty(n), np.empty(n), np.empty(n), np.empty(r), np.empty(r)
    size_Z, size_F, unit = 0.0, 0.0, 0.0
    for i in range(n):
        size_F += norm[i] * norm[i]
        if sign[i] == 0.0:
            size_Z += norm[i] * norm[i]
            unit = max(unit, abs(y[i]))
        else:
            w[i] = sign[i]
    # I/lam + weight F_Z^T F_Z. The weight is large beside the ridge term, and so that a change of w by one moves y_Z,
    # however small beside the outliers, by nothing
    weight = WEIGHT * max(1 / max(unit, 1e-30), r / (lam * max(size_Z, 1e-300)))
    gap, visible, last, last_b, last_w = np.inf, 0, np.inf, b.copy(), w.copy()
    length, rounding, natural = 0.0, 0.0, natural_size(norm, y)
    for _ in range(HEAVIER):
        for i in range(n):
            g[i] = weight if sign[i] == 0.0 else 0.0
        weighted_gram(F, g, L, buffer, work)
        if not cholesky(L, 1 / lam, work):
            break
        slow = True
        for step in range(PROXIMAL_STEPS):
            times_both(F, b, s, w, r_b, work)
            infeasible, size, size_w = 0.0, 0.0, 0.0
            for j in range(r):
                r_b[j] -= b[j] / lam
                infeasible += r_b[j] * r_b[j]
                size += b[j] * b[j]
            slack, seen, length = 0.0, 0, np.sqrt(size)
            for i in range(n):
                s[i] = y[i] - s[i]
                size_w += w[i] * w[i]
                if abs(s[i]) > ROUNDING * (abs(y[i]) + norm[i] * length):
                    slack += abs(abs(s[i]) - s[i] * w[i])
                    seen += sign[i] == 0.0
            rounding = EPS * lam * np.sqrt(size_F * size_w)
            excess = 0.5 * lam * lam * infeasible + lam * slack
            if step > 0:
                if not (excess < FAST_ENOUGH * last or (seen < visible and excess < 2 * last)):  # no progress, or NaN
                    slow = excess < STANDS * last
                    break
                last = excess
                gap, visible = relative_gap(excess, length, natural), seen
                last_b[:] = b
                last_w[:] = w
                if gap <= EXACT and seen == 0:
                    slow = False
                    break
            for i in range(n):
                g[i] = weight * s[i] if sign[i] == 0.0 else 0.0
            transposed_times(F, g, db, work)
            for j in range(r):
                db[j] += r_b[j]
            cholesky_solve(L, db, work)
            times(F, db, F_db, work)
            for j in range(r):
                b[j] += db[j]
            for i in range(n):
                if sign[i] == 0.0:
                    w[i] += g[i] - weight * F_db[i]
        if not slow or visible == 0:
            break
        weight *= WEIGHT_UP  # F_Z is ill-conditioned, and the steps are short along its small directions
    b[:] = last_b
    w[:] = last_w
    nothing = length <= NOTHING * rounding
    for i in range(n):
        if abs(w[i]) > 1 + BOX:
            return np.inf, visible
        nothing = nothing and (y[i] == 0.0 if sign[i] == 0.0 else y[i] * sign[i] >= 0.0)
    if nothing:  # b = 0 has this very support; what is left of b is the rounding of a sum that cancels
        b[:] = 0.0
        transposed_times(F, w, r_b, work)
        return relative_gap(0.5 * lam * lam * np.sum(r_b * r_b), 0.0, natural), 0
    return gap, visible


@njit(cache=True, error_model="numpy", fastmath=FAST)
def finish_alone(
    F: FloatArray, y: FloatArray, lam: float, b: FloatArray, w: FloatArray, sign: FloatArray
) -> tuple[float, int]:
    """``finish`` in the user's units, for a support that another solver found; y != 0."""
    unit = np.abs(y).max()
    b /= unit
    buffer, L = np.empty((min(len(y), 256), F.shape[1])), np.empty((F.shape[1], F.shape[1]))
    gap, visible = finish(F, row_norms(F), y / unit, lam / unit, b, w, sign, buffer, L, workspace())
    b *= unit
    return gap, visible
