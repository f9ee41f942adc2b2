"""How long the row-group program takes, by size: CPU time of one solve to the default gap, on one thread.

    python -m benchmarks.groups [--record]

Labels of K clusters, a third of them redrawn, on p random cosine features and an intercept; lam = 1. The certificate
in every row is computed from J and Y after the solve.
"""

import sys
import time

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from benchmarks import record
from sparseop import cli
from sparseop.linear import solve_groups

SIZES = ((2_000, 300, 2), (6_000, 300, 10), (50_000, 300, 10), (10_000, 500, 100))


def labels(n: int, p: int, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Return J (n, p) and one-hot Y (n, K)."""
    rng = np.random.default_rng(0)
    truth = rng.integers(outputs, size=n)
    X = rng.standard_normal((outputs, 50))[truth] + rng.standard_normal((n, 50))
    J = 4 * np.sqrt(2 / p) * np.cos(X @ rng.standard_normal((50, p)) / 8 + rng.uniform(0, 2 * np.pi, p))
    given = np.where(rng.random(n) < 0.3, rng.integers(outputs, size=n), truth)
    return J, np.eye(outputs)[given]


def measure() -> pd.DataFrame:
    """Return a row for each size."""
    rows = []
    for n, p, outputs in SIZES:
        J, Y = labels(n, p, outputs)
        start = time.process_time()
        found = solve_groups(J, Y, 1.0, intercept=True)
        spent = time.process_time() - start
        rows.append(
            {
                "size": f"{n} x {p} x {outputs}",
                "cpu_seconds": round(spent, 3),
                "newton_steps": found.iterations,
                "gap": found.gap,
                "status": str(found.status),
            }
        )
    return pd.DataFrame(rows)


def main() -> int:
    """Measure, print, and keep the table with its provenance."""
    options = record.parser("groups", __doc__).parse_args()

    def body() -> None:
        with threadpool_limits(1):
            record.keep(measure(), "bench_groups", options)

    return cli.run("benchmarks.groups", body)


if __name__ == "__main__":
    sys.exit(main())
