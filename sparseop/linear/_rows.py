"""The matrix of the row-group program by blocks of rows: a mapped J is never copied, float32 converted block by block.

``Rows`` stands for A = [J diag(scale), Q]: penalised columns, scaled so that their penalty is 1 (scale 0 where they
have none), and an orthonormal basis Q of the unpenalised ones, of columns of norm sqrt(N). Solvers need three
products, A B, A^T V and A^T diag(w) A, each a sum over rows, so each is accumulated over blocks.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.linalg.blas
import scipy.sparse
from numpy.typing import NDArray

from sparseop.errors import LARGEST, SMALLEST, FloatArray, InputError, array

BLOCK = 2**25  # bytes of a block's float64 copy: enough for BLAS to be at full speed, little beside J


def design(name: str, J: Any) -> Any:
    """Return J (N, p), itself if of float32 or float64, also mapped from a file; a sparse one in rows."""
    if scipy.sparse.issparse(J):
        J = scipy.sparse.csr_array(J, dtype=np.float64)
        array(f"the entries of {name}", J.data if J.nnz else np.zeros(1), (None,), moderate=True)
        if J.ndim != 2 or 0 in J.shape:
            raise InputError(f"{name} must have shape (any, any) and not be empty, got {J.shape}.")
        return J
    if not (isinstance(J, np.ndarray) and J.dtype in (np.float32, np.float64) and J.ndim == 2 and J.size) or isinstance(
        J, np.ma.MaskedArray
    ):
        return array(name, J, (None, None), moderate=True)
    largest = 0.0
    for part in blocks(*J.shape):
        here = np.abs(J[part]).max()
        if not np.isfinite(here):
            array(name, J, (None, None))  # says where
        largest = max(largest, float(here))
    if largest and not SMALLEST <= largest <= LARGEST:
        raise InputError(
            f"{name} must have its largest entry in [{SMALLEST:g}, {LARGEST:g}], where squares fit into float64, got "
            f"{largest:g}; measure it in other units."
        )
    return np.asarray(J)


def blocks(n: int, width: int) -> Iterator[slice]:
    """Yield slices over n rows of ``width`` numbers, each of about ``BLOCK`` bytes in float64."""
    step = max(BLOCK // (8 * max(width, 1)), 1)
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


class Rows:
    """A = [J diag(scale), Q], its rows never copied as a whole.

    Parameters
    ----------
    J : (N, p), float32 or float64, or a sparse array in rows.
    scale : (p,).
    Q : (N, m), m >= 0.
    """

    def __init__(self, J: Any, scale: FloatArray, Q: FloatArray) -> None:
        self.J, self.scale, self.Q = J, scale, Q
        self.shape = J.shape[0], J.shape[1] + Q.shape[1]

    def times(self, B: FloatArray, *, exact: bool = True) -> FloatArray:
        """Return A B, float64; ``exact`` asks for float64 arithmetic where J is float32."""
        p = len(self.scale)
        right = self.scale[:, None] * B[:p]
        result = np.asarray(self.Q @ B[p:])
        if self.J.dtype == np.float64:
            result += self.J @ right
            return result
        right = right if exact else right.astype(np.float32)
        for part in self._parts():
            result[part] += (self.J[part].astype(np.float64) if exact else self.J[part]) @ right
        return result

    def transposed(self, V: FloatArray, *, exact: bool = True) -> FloatArray:
        """Return A^T V, accumulated over blocks in float64."""
        product = np.zeros((len(self.scale), V.shape[1]))
        if self.J.dtype == np.float64:
            product += self.J.T @ V
        else:
            for part in self._parts():
                block = self.J[part]
                product += block.astype(np.float64).T @ V[part] if exact else block.T @ V[part].astype(np.float32)
        return np.concatenate([self.scale[:, None] * product, self.Q.T @ V])

    def gram(self, weights: FloatArray, rows: NDArray[np.intp] | None = None) -> FloatArray:
        """Return A^T diag(weights) A, weights >= 0, over all rows or those of an index with a weight for each."""
        q = self.shape[1]
        total = np.zeros((q, q), order="F")
        roots = np.sqrt(weights)
        for part in blocks(len(weights), q):
            at = part if rows is None else rows[part]
            block = self.dense(at)
            block *= roots[part, None]
            total += scipy.linalg.blas.dsyrk(1.0, block.T)
        return np.asarray(np.triu(total) + np.triu(total, 1).T)

    def size(self, divisors: FloatArray | None = None) -> float:
        """Return the Frobenius norm of J diag(scale), or of J diag(1 / divisors) without columns of divisor 0."""
        with np.errstate(divide="ignore"):
            scale = self.scale if divisors is None else np.where(divisors > 0, 1 / divisors, 0.0)
        squares = np.zeros(len(scale))
        for part in self._parts():
            block = dense(self.J[part]) * scale
            squares += np.einsum("ij,ij->j", block, block)
        return float(np.sqrt(squares.sum()))

    def take(self, rows: NDArray[np.intp]) -> "Rows":
        """Return the matrix of some of the rows, in memory."""
        return Rows(self.J[rows], self.scale, self.Q[rows])

    def dense(self, rows: Any) -> FloatArray:
        """Return some rows of A as an array."""
        return np.hstack([dense(self.J[rows]) * self.scale, self.Q[rows]])

    def _parts(self) -> Iterator[slice]:
        return blocks(*self.J.shape)


def dense(J: Any) -> NDArray[Any]:
    """Return a part of J as an array."""
    return np.asarray(J.toarray() if scipy.sparse.issparse(J) else J)


def largest(J: Any) -> FloatArray:
    """Return the largest size (p,) of an entry in each column."""
    found = abs(J).max(axis=0) if scipy.sparse.issparse(J) else np.maximum(J.max(axis=0), -J.min(axis=0))
    return dense(found).astype(np.float64).ravel()


def orthonormal(Z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return Q (N, m'), orthogonal columns of norm sqrt(N) that span those of Z, and the least C with Q = Z C.

    Columns of Z are first brought to norm 1, so their units don't decide which of them count as dependent.
    """
    n = len(Z)
    norms = np.linalg.norm(Z, axis=0)
    norms[norms == 0] = 1.0
    U, sigma, Wt = np.linalg.svd(Z / norms, full_matrices=False)
    kept = sigma > max(Z.shape) * np.finfo(float).eps * max(sigma.max(initial=0.0), 1.0)
    root = np.sqrt(n)
    return U[:, kept] * root, (Wt[kept].T * (root / sigma[kept])) / norms[:, None]
