"""Measure ``solve_convex`` beside the solvers one would use instead, in one run, one thread each.

    python -m benchmarks.convex [--repeats 5] [--record]

Instances of (26) with (N, p) = (100, 150), lam = 0.1, relative gap 1e-9, as in the paper's Figures 3 and 4. All times
are the best of ``repeats`` rounds of the mean over the same instances, and the solvers take turns within a round, so
that a busy machine disturbs all alike. CVXPY's time includes building the program, as a user's would; ECOS's own share
is given.
"""

import argparse
import sys
import time
from collections.abc import Callable

import clarabel
import numpy as np
import pandas as pd
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from benchmarks import record
from sparseop import cli
from sparseop.errors import integer
from sparseop.linear import LinearProblem, gaussian_problem, solve_convex

CELLS = ((5, 5), (20, 10), (20, 40), (50, 20), (60, 20), (90, 50))
LAM, TOL, INSTANCES = 0.1, 1e-9, 10


def clarabel_dual(problem: LinearProblem) -> float:
    """Solve min 1/2 |b|^2 - y^T nu, b = F^T nu, |nu_i| <= lam with Clarabel itself; return the dual value."""
    F, n = problem.F, problem.n_samples
    r = F.shape[1]
    P = sp.block_diag([sp.csc_matrix((n, n)), sp.eye_array(r)], format="csc")
    box = sp.eye_array(n)
    A = sp.vstack(
        [
            sp.hstack([sp.csc_matrix(F.T), -sp.eye_array(r)]),
            sp.hstack([box, sp.csc_matrix((n, r))]),
            sp.hstack([-box, sp.csc_matrix((n, r))]),
        ],
        format="csc",
    )
    h = np.concatenate([np.zeros(r), np.full(2 * n, LAM)])
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.tol_gap_rel = settings.tol_gap_abs = settings.tol_feas = TOL
    cones = [clarabel.ZeroConeT(r), clarabel.NonnegativeConeT(2 * n)]
    solution = clarabel.DefaultSolver(P, np.concatenate([-problem.y, np.zeros(r)]), A, h, cones, settings).solve()
    return -float(solution.obj_val)


def measure(repeats: int) -> pd.DataFrame:
    """Return a row for each cell: milliseconds a solve, and ratios to ``solve_convex``."""
    rows = []
    for rank, sparsity in CELLS:
        problems = [gaussian_problem(100, 150, rank, sparsity, seed=trial) for trial in range(INSTANCES)]
        for problem in problems:
            problem.J.sum()  # formed before the clock starts: ECOS needs it
        solvers: dict[str, tuple[int, Callable[[LinearProblem], object]]] = {
            "solve_convex": (10, lambda q: solve_convex(q, LAM, tol=TOL)),
            "CVXPY+ECOS": (1, lambda q: solve_convex(q, LAM, solver="ECOS", tol=TOL)),
            "Clarabel, dual": (1, clarabel_dual),
            "factor of a given J": (3, lambda q: LinearProblem(q.J, q.y).factor),
        }
        best = dict.fromkeys(solvers, np.inf)
        for _ in range(repeats):
            for name, (times, call) in solvers.items():
                started = time.perf_counter()
                for problem in problems * times:
                    call(problem)
                best[name] = min(best[name], (time.perf_counter() - started) / (times * INSTANCES))
        own = [solve_convex(q, LAM, tol=TOL) for q in problems]
        gap = max(solution.gap for solution in own)
        ecos = [solve_convex(q, LAM, solver="ECOS", tol=TOL) for q in problems]
        apart = max(
            abs(clarabel_dual(q) - mine.objective) / mine.objective for q, mine in zip(problems, own, strict=True)
        )
        rows.append(
            {
                "r": rank,
                "k": sparsity,
                **{f"{name} (ms)": 1e3 * best[name] for name in solvers},
                "x ECOS": best["CVXPY+ECOS"] / best["solve_convex"],
                "x Clarabel": best["Clarabel, dual"] / best["solve_convex"],
                "iterations": np.mean([solution.iterations for solution in own]),
                "largest gap": gap,
                "ECOS's largest gap": max(solution.gap for solution in ecos),
                "Clarabel's objective off by": apart,
            }
        )
    return pd.DataFrame(rows)


def main() -> int:
    """Print the table and the geometric means."""
    parser = record.parser("convex", __doc__)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    return cli.run("benchmarks.convex", lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    integer("--repeats", options.repeats, 1)
    with threadpool_limits(1):
        table = measure(options.repeats)
    summary = {
        column: {"geometric mean": float(np.exp(np.log(table[column]).mean())), "least": float(table[column].min())}
        for column in ("x ECOS", "x Clarabel")
    }
    record.keep(table, "bench_convex", options, **summary)


if __name__ == "__main__":
    sys.exit(main())
