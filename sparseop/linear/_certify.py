"""The certificate of ``solve_convex``, compiled: theta, nu and the user's own data in, errors out. No factor."""

import numpy as np
from numba import njit

from sparseop.errors import FloatArray
from sparseop.linear._blas import times, transposed_times, workspace
from sparseop.linear._doubled import product, pull
from sparseop.linear._finish import EPS, ROUNDING, natural_size, relative_gap, row_norms

SUPPORTED = 16  # roundings that an entry outside the support may show: those of theta = V b and of the user's J on top


@njit(cache=True, error_model="numpy")
def certify(
    A: FloatArray,
    B: FloatArray,
    y: FloatArray,
    lam: float,
    theta: FloatArray,
    w: FloatArray,
    w_low: FloatArray,
    sign: FloatArray,
    size: float,
    tol: float,
) -> tuple[FloatArray, FloatArray, FloatArray, float, float, float, float]:
    """Return (s, nu, nu_low, objective, gap, bound, residual) for theta and w.

    nu + nu_low = lam (w + w_low), clipped to the box; nu is lam w where w_low is empty.

    J = A B, or A where B is empty; ``size`` = |J|_F. ``sign`` is the support that the solver found: an entry of y - J
    theta outside of it is zero unless the user's data contradict it by more than rounding.
    """
    n, q = A.shape
    work = workspace()
    s, nu, nu_low, fit, inner, pulled = (
        np.empty(n),
        np.empty(n),
        np.zeros(n),
        np.empty(n),
        np.empty(q),
        np.empty(theta.size),
    )
    if B.size > 0:
        times(B, theta, inner, work)
    else:
        inner[:] = theta
    times(A, inner, fit, work)
    # rounding of theta is one of the whole fit: in each column as large as in the one that contributes most
    column = np.zeros(q)
    for i in range(n):
        for j in range(q):
            column[j] += A[i, j] * A[i, j]
    largest = 0.0
    for j in range(q):
        column[j] = max(np.sqrt(column[j]), 1e-300)
        largest = max(largest, column[j] * abs(inner[j]))
    total, slack, residual, size_nu = 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        if abs(w[i]) < 1.0:
            nu[i], error = product(lam, w[i])
            nu_low[i] = error + lam * w_low[i] if w_low.size > 0 else 0.0
        else:
            nu[i] = lam if w[i] > 0 else -lam
        size_nu += nu[i] * nu[i]
        left, terms = y[i] - fit[i], abs(y[i])
        for j in range(q):
            terms += abs(A[i, j]) * largest / column[j]
        allowed = ROUNDING * (SUPPORTED if sign[i] == 0.0 else 1)
        if abs(left) > allowed * terms:
            s[i] = left
            total += abs(left)
            slack += lam * abs(left) - left * nu[i]
        else:
            s[i] = 0.0
            residual = max(residual, abs(left))
    if B.size > 0:
        transposed_times(A, nu, inner, work)
        transposed_times(B, inner, pulled, work)
    else:
        transposed_times(A, nu, pulled, work)
    norm, infeasible, norm_B = 0.0, 0.0, np.sqrt(np.sum(B * B)) if B.size > 0 else 1.0
    for j in range(theta.size):
        norm += theta[j] * theta[j]
        infeasible += (theta[j] - pulled[j]) ** 2
    natural = natural_size(row_norms(A), y) / norm_B if norm == 0.0 else np.inf
    rounding = EPS * size * np.sqrt(size_nu)
    excess = 0.5 * (np.sqrt(infeasible) + rounding) ** 2 + slack
    gap = relative_gap(excess, np.sqrt(norm), natural)
    if gap > tol and relative_gap(slack, np.sqrt(norm), natural) <= tol:
        # terms of J^T nu that cancel: the difference again, with twice the digits, and the square of the rounding
        doubled = n * EPS * rounding
        excess = 0.5 * (np.sqrt(np.sum(pull(A, B, nu, nu_low, theta) ** 2)) + doubled) ** 2 + slack
        gap = relative_gap(excess, np.sqrt(norm), natural)
    return s, nu, nu_low, 0.5 * norm + lam * total, gap, np.sqrt(2 * excess), residual
