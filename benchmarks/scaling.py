"""Cost of ``solve_convex`` against the number of observations N, at fixed rank: is it linear?

    python -m benchmarks.scaling [--out figures]

r = 20, k = N/10, lam = 0.1, N = 100 ... 100,000, from factors, so that nothing of size N x p or N x N exists. One thread;
the best of several rounds. Draws ``bench_scaling`` and prints the slope of log(time) on log(N) by least squares.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from sparseop import plotting, provenance
from sparseop.files import write_atomic
from sparseop.linear import gaussian_problem, solve_convex

SIZES = (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
RANK, LAM = 20, 0.1


def measure(rounds: int) -> pd.DataFrame:
    """Return seconds and iterations a solve for each N."""
    rows = []
    for n in SIZES:
        problems = [gaussian_problem(n, 2 * RANK, RANK, n // 10, seed=trial) for trial in range(3)]
        best, iterations, gap = np.inf, 0.0, 0.0
        for _ in range(rounds):
            started = time.perf_counter()
            solutions = [solve_convex(problem, LAM) for problem in problems]
            best = min(best, (time.perf_counter() - started) / len(problems))
            iterations = float(np.mean([solution.iterations for solution in solutions]))
            gap = max(solution.gap for solution in solutions)
        rows.append({"N": n, "seconds": best, "iterations": iterations, "largest_gap": gap})
    return pd.DataFrame(rows)


def slope(table: pd.DataFrame) -> float:
    """Return the exponent a of seconds ~ N^a."""
    return float(np.polyfit(np.log(table.N), np.log(table.seconds), 1)[0])


def draw(table: pd.DataFrame) -> Figure:
    """Draw seconds against N, with a line of slope one."""
    figure = Figure(figsize=(6.2, 4.4))
    axis = figure.subplots()
    axis.loglog(table.N, table.seconds, "o-", color=plotting.BLUE, label=f"measured, slope {slope(table):.2f}")
    anchor = table.seconds.iloc[-1] / table.N.iloc[-1]
    axis.loglog(table.N, anchor * table.N, "--", color=plotting.GREY, label="slope 1")
    for n, seconds, count in zip(table.N, table.seconds, table.iterations, strict=True):
        axis.annotate(f"{count:.0f} it.", (n, seconds), textcoords="offset points", xytext=(4, -13), fontsize=8.5)
    axis.set(xlabel="observations $N$", ylabel="seconds a solve")
    axis.legend()
    plotting.caption(figure, f"$r={RANK}$, $k=N/10$, $\\lambda={LAM}$, relative gap $10^{{-9}}$, one thread.")
    return figure


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=provenance.ROOT / "figures")
    options = parser.parse_args()
    with threadpool_limits(1):
        table = measure(options.rounds)
    print(table.to_markdown(index=False, floatfmt=".3g"))
    print(f"slope of log(seconds) on log(N): {slope(table):.2f}")
    with plotting.style():
        plotting.save(draw(table), options.out / "bench_scaling")
    write_atomic(options.out / "data" / "bench_scaling.csv", table.to_csv(index=False).encode())
    record = {"slope": slope(table), "when": provenance.now(), "hardware": provenance.hardware(), **provenance.commit(),
              "versions": provenance.versions("numpy", "scipy", "numba")}
    write_atomic(options.out / "data" / "bench_scaling.json", (json.dumps(record, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
