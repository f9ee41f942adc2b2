"""Recovery against the weight lam of the convex program: Figure 3 of the SOP paper, with the exact thresholds.

    python -m theory.fig3_penalty            at most a minute on two cores
    python -m theory.fig3_penalty --quick    3 trials, 5 weights a decade
    python -m theory.fig3_penalty --full     50 trials, 40 weights a decade

Every trial's curve is one certified path of solutions. On it, the threshold lam_0 below which (26) does not recover the
ground truth is known exactly, from a linear program (``recovery_interval``), and from the proof of Proposition 3.5 only
as an upper bound, (B.25), where rho < 1.
"""

import sys

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sparseop import plotting, study
from sparseop.linear.nullspace import null_space_constant
from sparseop.linear.path import solve_path
from sparseop.linear.problem import gaussian_problem
from sparseop.linear.recovery import recovery_interval, threshold_bound

N, P = 100, 150
PANELS = {"a": [(20, k) for k in (10, 20, 40, 60, 80)], "b": [(r, 20) for r in (10, 20, 40, 60, 80)]}
FLOOR = 1e-10  # smaller errors are drawn here
GRIDS = {
    mode: [
        {"rank": r, "sparsity": k, "trial": t, "per_decade": n}
        for r, k in dict.fromkeys(PANELS["a"] + PANELS["b"])
        for t in range(trials)
    ]
    for mode, trials, n in (("paper", 10, 20), ("quick", 3, 5), ("full", 50, 40))
}


def cell(rank: int, sparsity: int, trial: int, per_decade: int) -> list[study.Row]:
    """One trial: its errors at every lam of the grid, and 1 % to either side of its exact threshold."""
    problem = gaussian_problem(N, P, rank, sparsity, seed=study.generator("fig3", rank, sparsity, trial))
    exact = recovery_interval(problem)
    rho = null_space_constant(problem, max_programs=0, stop_at=1.0)
    grid = [("grid", lam) for lam in np.logspace(-4, 0, 4 * per_decade + 1)]
    ends = [("below", 0.99 * exact.lower), ("above", 1.01 * exact.lower)] if exact.lower < np.inf else []
    path = solve_path(problem, [lam for _, lam in grid + ends], tol=1e-13)
    truth = problem.theta_star, problem.s_star
    return [
        {
            "where": where,
            "lam": lam,
            "gap": solution.gap,
            "iterations": solution.iterations,
            "theta_error": np.linalg.norm(solution.theta - truth[0]) / np.linalg.norm(truth[0]),
            "s_error": np.linalg.norm(solution.s - truth[1]) / np.linalg.norm(truth[1]),
            "lam_0": exact.lower,
            "lam_1": exact.upper,
            "lp_error": exact.error,
            "rho_low": rho.lower,
            "rho_high": rho.upper,
            "bound": threshold_bound(problem, rho.upper).corrected,
        }
        for (where, lam), solution in zip(grid + ends, path, strict=True)
    ]


def draw(table: pd.DataFrame) -> Figure:
    """One column a panel of the paper: errors of theta and of s against lam, and the thresholds below them."""
    figure = Figure(figsize=(11.5, 9.6))
    axes = figure.subplots(3, 2, sharex="col", sharey="row", height_ratios=[3, 3, 2])
    for column, (panel, curves) in enumerate(PANELS.items()):
        labels = [f"{'k' if panel == 'a' else 'r'} = {k if panel == 'a' else r}" for r, k in curves]
        for row, (error, symbol) in enumerate((("theta_error", r"\theta"), ("s_error", "s"))):
            axis = axes[row, column]
            for index, (r, k) in enumerate(curves):
                _draw_curve(axis, table[(table["rank"] == r) & (table.sparsity == k)], error, index, labels[index])
            axis.axhspan(FLOOR / 3, FLOOR, color="#eeeeee", zorder=0)
            axis.set(xscale="log", yscale="log", xlim=(1e-4, 1), ylim=(FLOOR / 3, 5 if row == 0 else 5e2))
            axis.set_ylabel(rf"$\|{symbol} - {symbol}_\star\|_2 / \|{symbol}_\star\|_2$" if column == 0 else "")
        axes[0, column].text(1.2e-4, FLOOR * 1.6, f"exact: below {FLOOR:.0e}", fontsize=9, color="#444444")
        axes[0, column].set_title(
            "(a) rank r = 20, k corrupted entries" if panel == "a" else "(b) k = 20 corrupted entries, rank r",
            loc="left",
        )
        axes[0, column].legend(loc="lower left", bbox_to_anchor=(0, 0.1))
        _draw_strip(axes[2, column], table, curves, labels)
    grey = {"ls": "", "color": plotting.GREY, "mec": plotting.GREY}
    legend = axes[2, 0].legend(
        handles=[
            Line2D([], [], marker="o", label=r"exact threshold $\lambda_0$ of each trial", **grey),
            Line2D([], [], marker="D", ms=4.5, label="its upper bound (B.25), as the proof gives it", **grey),
            Line2D([], [], marker="D", ms=4.5, mfc="none", label="as printed: twice that", **grey),
        ],
        loc="lower left",
        bbox_to_anchor=(0, 0.99),
        borderpad=0.1,
        ncols=3,
    )
    legend.set_in_layout(False)  # it is wider than its column
    axes[2, 0].set_title(" ", fontsize=12)  # its room
    above = table[table["where"] == "above"]
    plotting.caption(
        figure,
        f"N = {N}, p = {P}. Lines: median of {table.trial.nunique()} trials; bands: least and largest. Above a sharp"
        f" threshold λ₀ the program recovers: 1 % above it the largest error of θ, over all {len(above)} trials that"
        f" have one, is {above.theta_error.max():.0e}.",
    )
    return figure


def _draw_curve(axis: Axes, rows: pd.DataFrame, error: str, index: int, label: str) -> None:
    grid = rows[rows["where"] == "grid"].groupby("lam")[error]
    color, low, high = plotting.COLORS[index], grid.min().clip(FLOOR), grid.max().clip(FLOOR)
    axis.fill_between(low.index, low, high, color=color, alpha=0.15, lw=0, zorder=1)
    median = grid.median().clip(FLOOR)
    axis.plot(median.index, median, color=color, ls=plotting.DASHES[index], lw=2.2, label=label, zorder=3)


def _draw_strip(axis: Axes, table: pd.DataFrame, curves: list[tuple[int, int]], labels: list[str]) -> None:
    """Dots: exact thresholds; diamonds: (B.25), the proof's and the printed one."""
    for index, (r, k) in enumerate(curves):
        rows = table[(table["rank"] == r) & (table.sparsity == k)].drop_duplicates("trial")
        color, level = plotting.COLORS[index], len(curves) - 1 - index
        finite, bounded = rows[np.isfinite(rows.lam_0)], rows[np.isfinite(rows.bound)]
        axis.plot(finite.lam_0, np.full(len(finite), level), "o", ms=5, color=color, alpha=0.8, mec="white", mew=0.5)
        for factor, face in ((1, color), (2, "none")):
            axis.plot(factor * bounded.bound, np.full(len(bounded), level), "D", ms=4.5, mec=color, mfc=face, alpha=0.7)
        text = [f"no weight recovers in {len(rows) - len(finite)} of {len(rows)}"] if len(finite) < len(rows) else []
        text += ["no bound: ρ ≥ 1"] if len(finite) and rows.rho_low.min() >= 1 else []
        axis.text(
            0.01,
            level,
            ", ".join(text),
            transform=axis.get_yaxis_transform(),
            ha="left",
            va="center",
            fontsize=9,
            color="#444444",
        )
        axis.text(
            -0.02, level, labels[index], transform=axis.get_yaxis_transform(), ha="right", va="center", color=color
        )
        axis.axhline(level - 0.5, color="#dddddd", lw=0.6)
    axis.grid(False)
    axis.set(ylim=(-0.5, len(curves) - 0.5), yticks=[], xlabel=r"$\lambda$")


def warm() -> object:
    """Compile the solver before the workers need it."""
    return solve_path(gaussian_problem(8, 9, 2, 1, seed=0), [1.0, 0.1])


STUDIES = (study.Study("fig3", cell, GRIDS, draw, warm=warm),)

if __name__ == "__main__":
    sys.exit(study.main("theory.fig3_penalty"))
