"""BLAS and LAPACK inside compiled code: the in-place factors and triangular solves that NumPy's interface lacks there.

SciPy publishes the addresses of its Fortran routines (``scipy.linalg.cython_blas``, ``cython_lapack``). They are entered
under a name in LLVM's symbol table and compiled functions refer to the name, so that Numba can cache them on disk: an
address compiled in would be wrong in the next process.

Fortran sees the transpose of a C-contiguous array, so ``uplo = 'U'`` there is the lower triangle of the array here.
``ints`` and ``chars`` are the argument blocks Fortran wants by reference: make them once with ``workspace()``.
"""

import llvmlite.binding
import numpy as np
from numba import njit, types
from numba.extending import get_cython_function_address

_int, _double, _char = (types.CPointer(t) for t in (types.int32, types.float64, types.int8))


def _routine(module: str, name: str, *arguments: types.Type) -> types.ExternalFunction:
    llvmlite.binding.add_symbol(f"sparseop_{name}", get_cython_function_address(f"scipy.linalg.{module}", name))
    return types.ExternalFunction(f"sparseop_{name}", types.void(*arguments))


_dgemv = _routine("cython_blas", "dgemv", _char, _int, _int, _double, _double, _int, _double, _int, _double, _double, _int)
_dsyrk = _routine("cython_blas", "dsyrk", _char, _char, _int, _int, _double, _double, _int, _double, _double, _int)
_dtrsv = _routine("cython_blas", "dtrsv", _char, _char, _char, _int, _double, _int, _double, _int)
_dpotrf = _routine("cython_lapack", "dpotrf", _char, _int, _double, _int, _int)


@njit(cache=True)
def workspace():
    """Return the argument blocks (ints, chars, doubles) that the calls below fill in."""
    ints = np.ones(4, np.int32)
    chars = np.array([85, 84, 78], np.int8)  # 'U', 'T', 'N'
    return ints, chars, np.array([1.0, 0.0])


@njit(cache=True)
def times(A, x, out, work):
    """Write A x into ``out`` for C-contiguous A (n, m)."""
    ints, chars, doubles = work
    ints[0], ints[1], ints[2] = A.shape[1], A.shape[0], 1
    _dgemv(chars[1:].ctypes, ints[0:].ctypes, ints[1:].ctypes, doubles.ctypes, A.ctypes, ints[0:].ctypes, x.ctypes,
           ints[2:].ctypes, doubles[1:].ctypes, out.ctypes, ints[2:].ctypes)


@njit(cache=True)
def transposed_times(A, x, out, work):
    """Write A^T x into ``out`` for C-contiguous A (n, m)."""
    ints, chars, doubles = work
    ints[0], ints[1], ints[2] = A.shape[1], A.shape[0], 1
    _dgemv(chars[2:].ctypes, ints[0:].ctypes, ints[1:].ctypes, doubles.ctypes, A.ctypes, ints[0:].ctypes, x.ctypes,
           ints[2:].ctypes, doubles[1:].ctypes, out.ctypes, ints[2:].ctypes)


@njit(cache=True)
def gram(A, out, work):
    """Write the lower triangle of A^T A into ``out`` for C-contiguous A (n, m)."""
    ints, chars, doubles = work
    ints[0], ints[1] = A.shape[1], A.shape[0]
    _dsyrk(chars.ctypes, chars[2:].ctypes, ints[0:].ctypes, ints[1:].ctypes, doubles.ctypes, A.ctypes, ints[0:].ctypes,
           doubles[1:].ctypes, out.ctypes, ints[0:].ctypes)


@njit(cache=True)
def cholesky(M, work):
    """Overwrite the lower triangle of M by its Cholesky factor L, M = L L^T; return False where M is not positive."""
    ints, chars, _ = work
    ints[0] = M.shape[0]
    _dpotrf(chars.ctypes, ints[0:].ctypes, M.ctypes, ints[0:].ctypes, ints[1:].ctypes)
    return ints[1] == 0


@njit(cache=True)
def cholesky_solve(L, x, work):
    """Overwrite x by (L L^T)^{-1} x."""
    ints, chars, _ = work
    ints[0], ints[1] = L.shape[0], 1
    _dtrsv(chars.ctypes, chars[1:].ctypes, chars[2:].ctypes, ints[0:].ctypes, L.ctypes, ints[0:].ctypes, x.ctypes, ints[1:].ctypes)
    _dtrsv(chars.ctypes, chars[2:].ctypes, chars[2:].ctypes, ints[0:].ctypes, L.ctypes, ints[0:].ctypes, x.ctypes, ints[1:].ctypes)


@njit(cache=True)
def back_substitute(L, b):
    """Return L^{-T} b for lower triangular L; SciPy's wrapper costs more than the solve at r = 100."""
    x = b.copy()
    ints, chars, _ = workspace()
    ints[0] = L.shape[0]
    _dtrsv(chars.ctypes, chars[2:].ctypes, chars[2:].ctypes, ints[0:].ctypes, L.ctypes, ints[0:].ctypes, x.ctypes, ints[1:].ctypes)
    return x
