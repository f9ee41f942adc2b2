"""Measure the cost of ``solve_convex`` against the number of observations N, at fixed rank.

    python -m benchmarks.scaling [--record]

r = 20, lam = 0.1, N = 100 ... 100,000, from factors, so that nothing of size N x p or N x N exists; twice: with the
number of corruptions fixed, k = 20 as in Figure 3, and growing, k = N/10. One thread; the best of several rounds. Draws
``bench_scaling`` and prints the slopes of log(time) on log(N) by least squares, for a solve and for an iteration.
"""

import argparse
import sys
import time

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from benchmarks import record
from sparseop import cli, plotting
from sparseop.errors import integer
from sparseop.linear import gaussian_problem, solve_convex

SIZES = (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
RANK, LAM = 20, 0.1
SPARSITIES = {"k = 20": lambda _: 20, "k = N/10": lambda n: n // 10}


def measure(rounds: int) -> pd.DataFrame:
    """Return seconds and iterations a solve for each N and both sparsities."""
    rows = []
    for label, sparsity in SPARSITIES.items():
        for n in SIZES:
            problems = [gaussian_problem(n, 2 * RANK, RANK, sparsity(n), seed=trial) for trial in range(5)]
            best = np.inf
            for _ in range(rounds):
                started = time.perf_counter()
                solutions = [solve_convex(problem, LAM) for problem in problems]
                best = min(best, (time.perf_counter() - started) / len(problems))
            rows.append(
                {
                    "sparsity": label,
                    "N": n,
                    "seconds": best,
                    "iterations": np.mean([x.iterations for x in solutions]),
                    "largest_gap": max(x.gap for x in solutions),
                }
            )
    return pd.DataFrame(rows)


def slopes(table: pd.DataFrame) -> pd.DataFrame:
    """Return the exponents a of seconds ~ N^a, for a solve and for one iteration."""

    def exponent(seconds: pd.Series, n: pd.Series) -> float:
        return float(np.polyfit(np.log(n), np.log(seconds), 1)[0])

    return pd.DataFrame(
        [
            {
                "sparsity": label,
                "a solve": exponent(part.seconds, part.N),
                "an iteration": exponent(part.seconds / part.iterations, part.N),
            }
            for label, part in table.groupby("sparsity", sort=False)
        ]
    )


def draw(table: pd.DataFrame) -> Figure:
    """Draw seconds against N, with a line of slope one."""
    figure = Figure(figsize=(6.4, 4.6))
    axis = figure.subplots()
    fitted = slopes(table).set_index("sparsity")
    for (label, part), color, marker in zip(
        table.groupby("sparsity", sort=False), plotting.COLORS, plotting.MARKERS, strict=False
    ):
        axis.loglog(
            part.N,
            part.seconds,
            marker + "-",
            color=color,
            label=f"{label}: slope {fitted['a solve'][label]:.2f}, an iteration {fitted['an iteration'][label]:.2f}",
        )
    first = table[table.sparsity == table.sparsity.iloc[0]]
    axis.loglog(
        first.N, first.seconds.iloc[-1] / first.N.iloc[-1] * first.N, "--", color=plotting.GREY, label="slope 1"
    )
    axis.set(xlabel="observations $N$", ylabel="seconds a solve")
    axis.legend()
    plotting.caption(
        figure, f"$r={RANK}$, $\\lambda={LAM}$, relative gap $10^{{-9}}$, one thread; 5 instances, best of the rounds."
    )
    return figure


def main() -> int:
    """Measure, print, draw."""
    parser = record.parser("scaling", __doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    return cli.run("benchmarks.scaling", lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    integer("--rounds", options.rounds, 1)
    with threadpool_limits(1):
        table = measure(options.rounds)
    print(slopes(table).to_markdown(index=False, floatfmt=".2f"))
    with plotting.style():
        plotting.save(draw(table), record.folder(options) / "bench_scaling")
    record.keep(table, "bench_scaling", options, slopes=slopes(table).to_dict("records"))


if __name__ == "__main__":
    sys.exit(main())
