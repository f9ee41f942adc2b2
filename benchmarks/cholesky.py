"""Where our small Cholesky factorisation and the full product stop paying: the two sizes in ``sparseop.linear._blas``.

    python -m benchmarks.cholesky [--repeats 9] [--record]

Two choices of the interior-point core, each beside the LAPACK or BLAS routine it replaces below them, called from the
same compiled code on the same matrices: ``_small_cholesky`` against dpotrf, and a full dgemm against dsyrk for the
lower triangle of F^T F. The variants take turns; the best of ``repeats`` rounds counts; one thread.
"""

import sys
import time

import numpy as np
import pandas as pd
from numba import njit
from threadpoolctl import threadpool_limits

from benchmarks import record
from sparseop import cli
from sparseop.errors import integer
from sparseop.linear import _blas

SIZES = (20, 40, 60, 80, 100, 160, 300, 400, 600, 1000)


@njit
def _factor(M: np.ndarray, out: np.ndarray, work: _blas.Work, small: bool, times: int) -> None:
    ints, chars, _ = work
    for _ in range(times):
        out[:] = M
        if small:
            _blas._small_cholesky(out)
        else:
            ints[0] = M.shape[0]
            _blas._dpotrf(chars.ctypes, ints[0:].ctypes, out.ctypes, ints[0:].ctypes, ints[1:].ctypes)


@njit
def _gram(F: np.ndarray, out: np.ndarray, work: _blas.Work, full: bool, times: int) -> None:
    ints, chars, doubles = work
    ints[0], ints[1] = F.shape[1], F.shape[0]
    for _ in range(times):
        if full:
            _blas._dgemm(
                chars[2:].ctypes,
                chars[1:].ctypes,
                ints[0:].ctypes,
                ints[0:].ctypes,
                ints[1:].ctypes,
                doubles.ctypes,
                F.ctypes,
                ints[0:].ctypes,
                F.ctypes,
                ints[0:].ctypes,
                doubles[1:].ctypes,
                out.ctypes,
                ints[0:].ctypes,
            )
        else:
            _blas._dsyrk(
                chars.ctypes,
                chars[2:].ctypes,
                ints[0:].ctypes,
                ints[1:].ctypes,
                doubles.ctypes,
                F.ctypes,
                ints[0:].ctypes,
                doubles[1:].ctypes,
                out.ctypes,
                ints[0:].ctypes,
            )


def measure(repeats: int) -> pd.DataFrame:
    """Return a row for each size n: microseconds of the four routines, and our time as a share of the library's."""
    rows = []
    for n in SIZES:
        F = np.random.default_rng(n).standard_normal((n, n))
        M, out, work = F.T @ F + n * np.eye(n), np.empty((n, n)), _blas.workspace()
        calls = max(1, 20_000_000 // n**3)
        best = {}
        for turn in range(repeats + 1):  # the first compiles
            for name, routine, matrix, flag in (
                ("small_cholesky", _factor, M, True),
                ("dpotrf", _factor, M, False),
                ("dgemm", _gram, F, True),
                ("dsyrk", _gram, F, False),
            ):
                clock = time.perf_counter()
                routine(matrix, out, work, flag, calls)
                spent = 1e6 * (time.perf_counter() - clock) / calls
                best[name] = min(best.get(name, np.inf), spent) if turn > 1 else spent
        rows.append(
            {
                "n": n,
                **{f"{name}_us": spent for name, spent in best.items()},
                "cholesky_ratio": best["small_cholesky"] / best["dpotrf"],
                "gram_ratio": best["dgemm"] / best["dsyrk"],
            }
        )
    return pd.DataFrame(rows)


def main() -> int:
    """Measure, print, and keep the table with its provenance."""
    parser = record.parser("cholesky", __doc__)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()

    def body() -> None:
        integer("--repeats", options.repeats, 1)
        with threadpool_limits(1):
            record.keep(measure(options.repeats), "bench_cholesky", options)

    return cli.run("benchmarks.cholesky", body)


if __name__ == "__main__":
    sys.exit(main())
