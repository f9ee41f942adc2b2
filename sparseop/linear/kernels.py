"""The row-group program on a kernel: f(x) = sum_i k(x, x_i) V_i + c, with J formed to a rank that is certified.

With J the feature map's values, J J^T = K, every statement on (J, Y) that needs K only holds for a kernel: Theta =
J^T V, so f = K V + c on the rows given, and the certificate is

    gap = 1/2 <T - V, K (T - V)> + sum_i (lam |S_i| - <S_i, V_i>) + 1/(2 sigma^2) sum_i |E_i - sigma^2 V_i|^2

with Theta = J^T T. ``kernel_factor`` returns a pivoted Cholesky factor G (N, r), K - G G^T positive semidefinite of
trace at most tol times that of K: rows of features for which ``solve_groups`` is the whole method. Predictions for
new rows need k(x, pivots) alone.

Reference: Harbrecht, Peters and Schneider, Appl. Numer. Math. 62 (2012), doi:10.1016/j.apnum.2011.10.001 (the factor
and its trace).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from sparseop.certificate import Certified
from sparseop.errors import FloatArray, InputError, array, between, integer
from sparseop.linear.groups import GroupSolution, solve_groups
from sparseop.status import Status


@dataclass(frozen=True, eq=False)
class KernelFactor:
    """K up to a certified rest: K = G G^T + rest, the rest positive semidefinite.

    Attributes
    ----------
    G : (N, r), r <= rank.
    pivots : (r,) the rows whose columns of K were used.
    rest : trace of K - G G^T, over that of K.
    """

    G: FloatArray
    pivots: NDArray[np.intp]
    rest: float

    def features(self, K_new: Any) -> FloatArray:
        """Return the features (n, r) of new rows from K_new (n, N), of which the columns ``pivots`` are read."""
        K_new = array("K_new", K_new, (None, len(self.G)), what="one column for each row of the fit")
        corner = self.G[self.pivots]  # lower triangular: row i is reached by the first i + 1 pivots
        solved = scipy.linalg.solve_triangular(corner, K_new[:, self.pivots].T, lower=True, check_finite=False)
        return np.ascontiguousarray(solved.T)


def kernel_factor(K: Any, *, tol: float = 1e-10, rank: int | None = None) -> KernelFactor:
    """Return the pivoted Cholesky factor of a kernel matrix, to a rest of ``tol`` or to a rank.

    Parameters
    ----------
    K : (N, N), symmetric and positive semidefinite.
    tol : trace of the rest, over that of K, at which to stop, in (0, 1).
    rank : columns at most; default N.

    Raises
    ------
    InputError
        for a K that is not square, symmetric to 1e-8 of its largest entry, or positive semidefinite to the same
        accuracy.
    """
    K = _symmetric(K)
    n, tol = len(K), between("tol", tol, 0.0, 1.0)
    limit = n if rank is None else integer("rank", rank, 1, n, why="N")
    left, total = np.diag(K).copy(), float(np.trace(K))
    size = float(np.abs(K).max())
    G = np.zeros((n, limit))
    pivots: list[int] = []
    while len(pivots) < limit and left.clip(0).sum() > tol * total:
        pivot, k = int(left.argmax()), len(pivots)
        if left[pivot] <= 1e-14 * size:
            break
        column = (K[:, pivot] - G[:, :k] @ G[pivot, :k]) / np.sqrt(left[pivot])
        column[pivots] = 0.0  # exactly, as in exact arithmetic
        G[:, k] = column
        left = left - column**2
        pivots.append(pivot)
        left[pivots] = 0.0
        _semidefinite(float(left.min()), size)
    if len(pivots) < n and left.clip(0).sum() <= 1e-6 * total:
        # little is left on the diagonal, so of a positive semidefinite rest little can be anywhere
        found = float(np.abs(K - G[:, : len(pivots)] @ G[:, : len(pivots)].T).max())
        _semidefinite(float(left.clip(0).max()) - found, size)
    kept = np.ascontiguousarray(G[:, : len(pivots)])
    return KernelFactor(kept, np.array(pivots, dtype=np.intp), float(left.clip(0).sum() / total) if total else 0.0)


@dataclass(frozen=True, eq=False)
class KernelSolution(Certified):
    """A solution on a kernel.

    Attributes
    ----------
    V, intercept : (N, K) and (K,): f(x) = sum_i k(x, x_i) V_i + c.
    S : (N, K), rows exactly zero where clean.
    gap : (primal - dual) / (1/2 <V, K V>), computed from the whole K as given, whatever the rank of the factor.
    rest : what the factor left out, as in ``KernelFactor``.
    status : OPTIMAL where the gap is at most tol, INACCURATE where the factor's rank allows no better.
    solution : on the factor's features.
    """

    V: FloatArray
    intercept: FloatArray
    S: FloatArray
    gap: float
    rest: float
    status: Status
    solution: GroupSolution

    def predict(self, K_new: Any) -> FloatArray:
        """Return f (n, K) for new rows from K_new (n, N), the kernel of each with each row of the fit."""
        return np.asarray(array("K_new", K_new, (None, len(self.V))) @ self.V + self.intercept)


def solve_kernel_groups(
    K: Any,
    Y: Any,
    lam: float,
    *,
    sigma: float = 0.0,
    intercept: bool = False,
    rank: int | None = None,
    tol: float = 1e-9,
) -> KernelSolution:
    """Solve the row-group program for J J^T = K, and certify f = K V + c on the whole K.

    Parameters
    ----------
    K : (N, N) kernel matrix.
    Y, lam, sigma, intercept, tol : as in ``solve_groups``.
    rank : of the factor, at most; the gap says what a smaller one costs.

    Raises
    ------
    InputError
        as ``kernel_factor`` and ``solve_groups``.
    """
    factor = kernel_factor(K, tol=1e-13, rank=rank)
    G = factor.G if factor.G.size else np.zeros((len(factor.G), 1))
    found = solve_groups(G, Y, lam, sigma=sigma, intercept=intercept, tol=tol)
    K, V = np.asarray(K, dtype=np.float64), found.V
    Y = np.asarray(Y, dtype=np.float64).reshape(len(K), -1)
    back = K @ V
    # Theta = J^T V exactly, so the two parts of the gap that differ from the factor's are those of the residual
    R = Y - back - found.intercept
    norms = np.linalg.norm(R, axis=1)
    if sigma:
        kept = 1 - lam * sigma**2 / np.maximum(norms, lam * sigma**2)
        S = kept[:, None] * R
        excess = float(((R - S - sigma**2 * V) ** 2).sum() / (2 * sigma**2))
    else:
        S, excess = R * (norms > norms[found.zero].max(initial=0.0))[:, None], 0.0
        kept = np.ones(len(R))
    excess += float(np.sum(np.maximum(kept * (lam * norms - np.einsum("ij,ij->i", R, V)), 0.0)))
    size = 0.5 * float(np.vdot(V, back))
    gap = excess / max(size, 1e-300) if excess else 0.0
    status = found.status if gap > tol and not found.converged else Status.OPTIMAL if gap <= tol else Status.INACCURATE
    return KernelSolution(V, found.intercept, S, gap, factor.rest, status, found)


def _symmetric(K: Any) -> FloatArray:
    K = array("K", K, (None, None), moderate=True)
    if len(K) != K.shape[1]:
        raise InputError(f"K must be square, one row and column for each observation, got shape {K.shape}.")
    size = float(np.abs(K).max())
    apart = float(np.abs(K - K.T).max())
    if apart > 1e-8 * size:
        raise InputError(f"K must be symmetric, got entries that differ by {apart:.3g} of {size:.3g}.")
    _semidefinite(float(np.diag(K).min()), size)
    return np.asarray(K)


def _semidefinite(least: float, size: float) -> None:
    if least < -1e-8 * size:
        raise InputError(f"K must be positive semidefinite, got a pivot of {least:.3g} beside entries of {size:.3g}.")
