"""The low-rank factor that all solvers of one problem share, of J itself or of J = A B.

    J = F V^T,   F (N, r),   V (p, r) with orthonormal columns,   K = J J^T = F F^T,   theta = V b,   b in R^r

A factor must not lose what J has. A singular value decomposition does where rows or columns of J differ by many orders
of magnitude: it counts as rounding whatever is 1e16 times smaller than the largest singular value. So:

- p <= N, columns of similar size and independent beyond doubt: F = J and V = I, no factor at all. Nothing is lost and
  nothing is computed but the proof of independence, a Cholesky factor of the Gram matrix of the columns at equal
  length.
- large J of low rank: a randomised range finder, whose residual is computed and not estimated.
- else a QR factorisation of J^T with column pivoting, its rows sorted by size, which is stable row by row and column
  by column (Cox and Higham, 1998). What it drops is, in each row of J, below the rounding of that row.
"""

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from sparseop.arrays import OwnsArrays, frozen
from sparseop.errors import FloatArray
from sparseop.linear._blas import substitute

EPS = float(np.finfo(float).eps)
FULL_RANK = 1e-6  # a pivot of the Gram matrix of unit columns above it: independent to 1e-3, beyond doubt
LARGE = 300  # rows and columns from which a sketch of J is cheaper than its decomposition
FIRST, BLOCK = 64, 512  # columns of the first sketch; rows of J whose residual is formed at once
TINY = float(np.finfo(float).tiny)
SIMILAR = 1e3  # sizes of columns within this factor
ROUNDINGS = 4  # times max(N, p) eps: what of a row is below so much of its length is rounding


@dataclass(frozen=True, eq=False)
class Factor(OwnsArrays):
    """J = F V^T with V = B^T L^{-T}; V itself is formed only where it is asked for.

    Attributes
    ----------
    F : (N, r), C-contiguous.
    B : (r, p); its rows span the row space of J. None where V is the identity: F is J.
    L : (r, r) lower triangular with L L^T = B B^T, or None where the rows of B are orthonormal already.
    """

    F: FloatArray
    B: FloatArray | None
    L: FloatArray | None

    def lift(self, b: FloatArray) -> FloatArray:
        """Return theta = V b, the parameter vector with coordinates b."""
        if self.B is None:
            return b.copy()
        if self.L is not None:
            b = substitute(self.L, b, True)
        return self.B.T @ b

    def coordinates(self, theta: FloatArray) -> FloatArray:
        """Return b = V^T theta; V b is theta projected onto the row space of J."""
        if self.B is None:
            return theta.copy()
        b = self.B @ theta
        return b if self.L is None else substitute(self.L, b, False)


def factor_matrix(J: FloatArray) -> Factor:
    """Return the factor of a matrix."""
    length = np.sqrt(np.einsum("ij,ij->j", J, J))
    full = J.shape[1] <= len(J) and _independent(J, length)
    if full and length.max() < SIMILAR * length.min():
        return Factor(J, None, None)
    if not full and min(J.shape) >= LARGE:
        range_of_J = _sketched(J, length)
        if range_of_J is not None:
            return factor_product(range_of_J, range_of_J.T @ J)
    F, V = _revealed(J, full)
    return Factor(frozen(F), frozen(np.ascontiguousarray(V.T)), None)


def factor_product(A: FloatArray, B: FloatArray) -> Factor:
    """Return the factor of J = A B, A (N, q), B (q, p), where q may exceed the rank."""
    R, Q = _revealed(B, full=False)  # B = R Q^T, so that J = (A R) Q^T
    F, V = _revealed(A @ R, full=False)
    return Factor(frozen(F), frozen(np.ascontiguousarray((Q @ V).T)), None)


def gaussian_factor(A: FloatArray, B: FloatArray) -> Factor:
    """Return F = A L with L L^T = B B^T for a Gaussian B: no decomposition of an N x p matrix.

    Cholesky squares the condition number, so a nearly square B takes a QR.
    """
    r, p = B.shape
    if r and r <= 0.8 * p:
        L = np.linalg.cholesky(B @ B.T).astype(np.float64, copy=False)  # of full rank almost surely
        return Factor(frozen(A @ L), B, frozen(L))
    Q, R = scipy.linalg.qr(B.T, mode="economic")
    return Factor(frozen(A @ R.T), frozen(np.ascontiguousarray(Q.T)), None)


def _independent(J: FloatArray, length: FloatArray) -> bool:
    """Return whether the columns of J, of these lengths, are independent beyond doubt; False leaves it open."""
    if not length.all():
        return False
    gram = J.T @ J
    gram /= length
    gram /= length[:, None]
    found, info = scipy.linalg.lapack.dpotrf(gram, lower=True, overwrite_a=True)
    return info == 0 and bool(found.diagonal().min() ** 2 > FULL_RANK)


def _sketched(J: FloatArray, length: FloatArray) -> FloatArray | None:
    """Return orthonormal Q (N, q) with J = Q Q^T J to the rounding of each row, proven; None where q would be large.

    A randomised range finder (Halko, Martinsson and Tropp, SIAM Rev. 53 (2011), doi:10.1137/090771806). The proof is
    the residual itself, of every row, and not a bound that holds with high probability; a random probe only saves it
    where it would fail.
    """
    n, p = J.shape
    rng = np.random.default_rng(0)
    rows = np.sqrt(np.einsum("ij,ij->i", J, J))
    allowed = ROUNDINGS * max(n, p) * EPS * rows
    probe = rng.standard_normal(p) * np.linalg.norm(rows) / max(float(np.linalg.norm(length)), TINY)
    seen = J @ probe
    q, Q = FIRST, np.empty((n, 0))
    while q <= min(n, p) // 3:
        sketch = J @ rng.standard_normal((p, q))
        Q = scipy.linalg.qr(sketch, mode="economic", check_finite=False)[0]
        Q[rows == 0] = 0.0
        if (np.abs(seen - Q @ (Q.T @ seen)) <= 10 * allowed).all():
            across = Q.T @ J
            blocks = range(0, n, BLOCK)
            if all(
                (np.linalg.norm(J[i : i + BLOCK] - Q[i : i + BLOCK] @ across, axis=1) <= allowed[i : i + BLOCK]).all()
                for i in blocks
            ):
                return np.asarray(Q)
        q *= 2
    return None


def _revealed(J: FloatArray, full: bool) -> tuple[FloatArray, FloatArray]:
    """Return F (N, r) and V (p, r) with J = F V^T to the rounding of each row; ``full``: the rank is p."""
    n, p = J.shape
    if J.size == 0:
        return np.zeros((n, 0)), np.zeros((p, 0))
    size = np.abs(J).max(axis=0)
    by_size = np.argsort(-size, kind="stable") if size.max() > SIMILAR * size.min() else np.arange(p)
    sorted_V, R, order = scipy.linalg.qr(J.T[by_size], mode="economic", pivoting=True, check_finite=False)
    left = np.sqrt(np.cumsum(R[::-1] ** 2, axis=0)[::-1])  # [k, i]: norm of what is left of row i after k columns
    visible = (left > ROUNDINGS * max(n, p) * EPS * left[0]).any(axis=1)
    r = p if full else int(np.count_nonzero(visible))
    F, V = np.empty((n, r)), np.empty((p, r))
    F[order] = R[:r].T
    V[by_size] = sorted_V[:, :r]
    return F, V
