"""BLAS and LAPACK inside compiled code: the in-place factors and triangular solves that NumPy's interface lacks there.

SciPy publishes the addresses of its Fortran routines (``scipy.linalg.cython_blas``, ``cython_lapack``). They are
entered under a name in LLVM's symbol table and compiled functions refer to the name, so that Numba can cache them on
disk: an address compiled in would be wrong in the next process.

Fortran sees the transpose of a C-contiguous array, so ``uplo = 'U'`` there is the lower triangle of the array here.
``ints`` and ``chars`` are the argument blocks Fortran wants by reference: make them once with ``workspace()``.
"""

from typing import Any

import llvmlite.binding
import numpy as np
from numba import njit, types
from numba.extending import get_cython_function_address
from numpy.typing import NDArray

from sparseop.errors import FloatArray

Work = tuple[NDArray[np.int32], NDArray[np.int8], FloatArray]

_int, _double, _char = (types.CPointer(t) for t in (types.int32, types.float64, types.int8))  # type: ignore[no-untyped-call]

# Up to these sizes OpenBLAS spends more on preparing than on computing: a full dgemm then costs less than dsyrk's half,
# and ``_small_cholesky`` less than dpotrf. ``benchmarks.cholesky`` measures it on one thread, where ours wins well
# beyond 160; the library is called from there on because it can use more than one.
SMALL_GRAM, SMALL_CHOLESKY = 64, 160


def _routine(module: str, name: str, *arguments: types.Type) -> Any:  # callable from compiled code only
    llvmlite.binding.add_symbol(f"sparseop_{name}", get_cython_function_address(f"scipy.linalg.{module}", name))
    return types.ExternalFunction(f"sparseop_{name}", types.void(*arguments))


_dgemv = _routine(
    "cython_blas", "dgemv", _char, _int, _int, _double, _double, _int, _double, _int, _double, _double, _int
)
_dgemm = _routine(
    "cython_blas",
    "dgemm",
    _char,
    _char,
    _int,
    _int,
    _int,
    _double,
    _double,
    _int,
    _double,
    _int,
    _double,
    _double,
    _int,
)
_dsyrk = _routine("cython_blas", "dsyrk", _char, _char, _int, _int, _double, _double, _int, _double, _double, _int)
_dtrsv = _routine("cython_blas", "dtrsv", _char, _char, _char, _int, _double, _int, _double, _int)
_dpotrf = _routine("cython_lapack", "dpotrf", _char, _int, _double, _int, _int)


@njit(cache=True)
def workspace() -> Work:
    """Return the argument blocks (ints, chars, doubles) that the calls below fill in."""
    ints = np.ones(4, np.int32)
    chars = np.array([85, 84, 78], np.int8)  # 'U', 'T', 'N'
    return ints, chars, np.array([1.0, 0.0])


@njit(cache=True)
def _gemv(op: NDArray[np.int8], A: FloatArray, x: FloatArray, out: FloatArray, work: Work) -> None:
    ints, _, doubles = work
    ints[0], ints[1], ints[2] = A.shape[1], A.shape[0], 1
    _dgemv(
        op.ctypes,
        ints[0:].ctypes,
        ints[1:].ctypes,
        doubles.ctypes,
        A.ctypes,
        ints[0:].ctypes,
        x.ctypes,
        ints[2:].ctypes,
        doubles[1:].ctypes,
        out.ctypes,
        ints[2:].ctypes,
    )


@njit(cache=True)
def times(A: FloatArray, x: FloatArray, out: FloatArray, work: Work) -> None:
    """Write A x into ``out`` for C-contiguous A (n, m)."""
    _gemv(work[1][1:], A, x, out, work)


@njit(cache=True)
def transposed_times(A: FloatArray, x: FloatArray, out: FloatArray, work: Work) -> None:
    """Write A^T x into ``out`` for C-contiguous A (n, m)."""
    _gemv(work[1][2:], A, x, out, work)


@njit(cache=True)
def times_both(F: FloatArray, b: FloatArray, F_b: FloatArray, w: FloatArray, Ft_w: FloatArray, work: Work) -> None:
    """Write F b and F^T w in one pass over F: a block of rows that is in cache for one product serves the other."""
    ints, chars, doubles = work
    n, m = F.shape
    for start in range(0, n, 256):
        ints[0], ints[1], ints[2] = m, min(256, n - start), 1
        rows = F[start:].ctypes
        _dgemv(
            chars[1:].ctypes,
            ints[0:].ctypes,
            ints[1:].ctypes,
            doubles.ctypes,
            rows,
            ints[0:].ctypes,
            b.ctypes,
            ints[2:].ctypes,
            doubles[1:].ctypes,
            F_b[start:].ctypes,
            ints[2:].ctypes,
        )
        add = doubles if start else doubles[1:]
        _dgemv(
            chars[2:].ctypes,
            ints[0:].ctypes,
            ints[1:].ctypes,
            doubles.ctypes,
            rows,
            ints[0:].ctypes,
            w[start:].ctypes,
            ints[2:].ctypes,
            add.ctypes,
            Ft_w.ctypes,
            ints[2:].ctypes,
        )


@njit(cache=True)
def weighted_gram(F: FloatArray, weight: FloatArray, out: FloatArray, buffer: FloatArray, work: Work) -> None:
    """Write the lower triangle of F^T diag(weight) F, weight >= 0, into ``out`` for C-contiguous F (n, m).

    Rows are scaled and multiplied ``len(buffer)`` at a time, so that a scaled row is still in cache when it is
    multiplied.
    """
    ints, chars, doubles = work
    n, m = F.shape
    for start in range(0, n, buffer.shape[0]):
        rows = min(buffer.shape[0], n - start)
        for i in range(rows):
            root = np.sqrt(weight[start + i])
            for j in range(m):
                buffer[i, j] = F[start + i, j] * root
        ints[0], ints[1] = m, rows
        add = doubles if start else doubles[1:]
        if m <= SMALL_GRAM:
            _dgemm(
                chars[2:].ctypes,
                chars[1:].ctypes,
                ints[0:].ctypes,
                ints[0:].ctypes,
                ints[1:].ctypes,
                doubles.ctypes,
                buffer.ctypes,
                ints[0:].ctypes,
                buffer.ctypes,
                ints[0:].ctypes,
                add.ctypes,
                out.ctypes,
                ints[0:].ctypes,
            )
        else:
            _dsyrk(
                chars.ctypes,
                chars[2:].ctypes,
                ints[0:].ctypes,
                ints[1:].ctypes,
                doubles.ctypes,
                buffer.ctypes,
                ints[0:].ctypes,
                add.ctypes,
                out.ctypes,
                ints[0:].ctypes,
            )


@njit(cache=True)
def cholesky(M: FloatArray, ridge: float, work: Work) -> bool:
    """Overwrite the lower triangle of M by the Cholesky factor L of M (1 + 1e-15 on its diagonal) + ridge I.

    The relative shift keeps a semidefinite M positive; without a ridge M is taken as it is. Returns False where the
    sum is not positive.
    """
    if ridge > 0:
        for j in range(M.shape[0]):
            M[j, j] = M[j, j] * (1 + 1e-15) + ridge
    if M.shape[0] <= SMALL_CHOLESKY:
        return _small_cholesky(M)
    ints, chars, _ = work
    ints[0] = M.shape[0]
    _dpotrf(chars.ctypes, ints[0:].ctypes, M.ctypes, ints[0:].ctypes, ints[1:].ctypes)
    return bool(ints[1] == 0)


@njit(cache=True, error_model="numpy", fastmath={"contract", "arcp", "reassoc", "nsz"})
def _small_cholesky(L: FloatArray) -> bool:
    """Row by row, in tiles of four rows and two columns, so that every entry loaded is used in several products."""
    n = L.shape[0]
    for j in range(0, n, 2):
        # 1) the 2 x 2 (or last 1 x 1) block on the diagonal
        s, m, t = L[j, j], 0.0, 0.0
        for k in range(j):
            s -= L[j, k] * L[j, k]
        if not s > 0:
            return False
        L[j, j] = np.sqrt(s)
        s_inv = 1 / L[j, j]
        if j + 1 == n:
            break
        m, t = L[j + 1, j], L[j + 1, j + 1]
        for k in range(j):
            m -= L[j + 1, k] * L[j, k]
            t -= L[j + 1, k] * L[j + 1, k]
        m *= s_inv
        t -= m * m
        if not t > 0:
            return False
        L[j + 1, j] = m
        L[j + 1, j + 1] = np.sqrt(t)
        t_inv = 1 / L[j + 1, j + 1]
        # 2) the two columns below it
        i = j + 2
        while i + 3 < n:
            a0, a1, a2, a3 = L[i, j], L[i + 1, j], L[i + 2, j], L[i + 3, j]
            b0, b1, b2, b3 = L[i, j + 1], L[i + 1, j + 1], L[i + 2, j + 1], L[i + 3, j + 1]
            for k in range(j):
                x, y = L[j, k], L[j + 1, k]
                a0 -= L[i, k] * x
                b0 -= L[i, k] * y
                a1 -= L[i + 1, k] * x
                b1 -= L[i + 1, k] * y
                a2 -= L[i + 2, k] * x
                b2 -= L[i + 2, k] * y
                a3 -= L[i + 3, k] * x
                b3 -= L[i + 3, k] * y
            L[i, j], L[i + 1, j], L[i + 2, j], L[i + 3, j] = a0 * s_inv, a1 * s_inv, a2 * s_inv, a3 * s_inv
            L[i, j + 1] = (b0 - m * L[i, j]) * t_inv
            L[i + 1, j + 1] = (b1 - m * L[i + 1, j]) * t_inv
            L[i + 2, j + 1] = (b2 - m * L[i + 2, j]) * t_inv
            L[i + 3, j + 1] = (b3 - m * L[i + 3, j]) * t_inv
            i += 4
        while i < n:
            a, b = L[i, j], L[i, j + 1]
            for k in range(j):
                a -= L[i, k] * L[j, k]
                b -= L[i, k] * L[j + 1, k]
            L[i, j] = a * s_inv
            L[i, j + 1] = (b - m * L[i, j]) * t_inv
            i += 1
    return True


@njit(cache=True)
def cholesky_solve(L: FloatArray, x: FloatArray, work: Work) -> None:
    """Overwrite x by (L L^T)^{-1} x."""
    ints, chars, _ = work
    ints[0], ints[1] = L.shape[0], 1
    _dtrsv(
        chars.ctypes,
        chars[1:].ctypes,
        chars[2:].ctypes,
        ints[0:].ctypes,
        L.ctypes,
        ints[0:].ctypes,
        x.ctypes,
        ints[1:].ctypes,
    )
    _dtrsv(
        chars.ctypes,
        chars[2:].ctypes,
        chars[2:].ctypes,
        ints[0:].ctypes,
        L.ctypes,
        ints[0:].ctypes,
        x.ctypes,
        ints[1:].ctypes,
    )


@njit(cache=True)
def substitute(L: FloatArray, b: FloatArray, transposed: bool) -> FloatArray:
    """Return L^{-1} b, or L^{-T} b, for lower triangular L; SciPy's wrapper costs more than the solve at r = 100."""
    x = b.copy()
    ints, chars, _ = workspace()
    ints[0] = L.shape[0]
    turn = chars[2:] if transposed else chars[1:]
    _dtrsv(
        chars.ctypes,
        turn.ctypes,
        chars[2:].ctypes,
        ints[0:].ctypes,
        L.ctypes,
        ints[0:].ctypes,
        x.ctypes,
        ints[1:].ctypes,
    )
    return x
