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
    figure = Figure(figsize=(11.5, 10))
    axes = figure.subplots(3, 2, sharex="col", sharey="row", height_ratios=[3, 3, 1.8])
    for column, (panel, curves) in enumerate(PANELS.items()):
        labels = [f"{'k' if panel == 'a' else 'r'} = {k if panel == 'a' else r}" for r, k in curves]
        for row, (error, symbol) in enumerate((("theta_error", r"\theta"), ("s_error", "s"))):
            axis = axes[row, column]
            for index, (r, k) in enumerate(curves):
                _draw_curve(axis, table[(table["rank"] == r) & (table.sparsity == k)], error, index, labels[index])
            axis.set(xscale="log", yscale="log", xlim=(1e-4, 1), ylim=(FLOOR / 3, 5 if row == 0 else 5e2))
            axis.set_ylabel(rf"$\|{symbol} - {symbol}_\star\|_2 / \|{symbol}_\star\|_2$" if column == 0 else "")
        axes[0, column].set_title(f"({panel}) " + ("r = 20" if panel == "a" else "k = 20"), loc="left", fontsize=13)
        axes[0, column].legend(loc="lower left")
        _draw_strip(axes[2, column], table, curves, labels)
    trials = int(table.trial.nunique())
    above = table[table["where"] == "above"]
    plotting.caption(
        figure,
        f"N = {N}, p = {P}. Thick: mean of {trials} trials; thin: each trial, at {table.per_decade.iloc[0]} weights a"
        f" decade; errors below {FLOOR:.0e} are drawn there.\nDots: each trial's error at 0.99 λ₀, λ₀ its exact"
        f" threshold, from a linear program; at 1.01 λ₀ the largest error of θ, over all {len(above)} trials that have"
        f" one, is {above.theta_error.max():.0e}.\nDiamonds: the sufficient threshold (B.25); its proof needs ρ < 1,"
        " and gives half of what is printed.",
    )
    return figure


def _draw_curve(axis: Axes, rows: pd.DataFrame, error: str, index: int, label: str) -> None:
    color, dash = plotting.COLORS[index], plotting.DASHES[index]
    grid, below = rows[rows["where"] == "grid"], rows[rows["where"] == "below"]
    for _, trial in grid.groupby("trial"):
        axis.plot(trial.lam, trial[error].clip(FLOOR), color=color, lw=0.5, alpha=0.35, zorder=1)
    mean = grid.groupby("lam")[error].mean().clip(FLOOR)
    axis.plot(mean.index, mean, color=color, ls=dash, lw=2.2, label=label, zorder=3)
    axis.plot(below.lam, below[error], "o", ms=4, color=color, mec="white", mew=0.5, zorder=4)


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
        text += ["ρ ≥ 1: no bound"] if len(finite) and rows.rho_low.min() >= 1 else []
        axis.text(
            0.99,
            level,
            ", ".join(text),
            transform=axis.get_yaxis_transform(),
            ha="right",
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
    grey = {"ls": "", "color": plotting.GREY, "mec": plotting.GREY}
    axis.legend(
        handles=[
            Line2D([], [], marker="o", label=r"exact $\lambda_0$", **grey),
            Line2D([], [], marker="D", ms=4.5, label="(B.25), by its proof", **grey),
            Line2D([], [], marker="D", ms=4.5, mfc="none", label="(B.25), as printed", **grey),
        ],
        loc="center left",
        frameon=True,
        framealpha=1,
        edgecolor="none",
    )


def warm() -> object:
    """Compile the solver before the workers need it."""
    return solve_path(gaussian_problem(8, 9, 2, 1, seed=0), [1.0, 0.1])


STUDIES = (study.Study("fig3", cell, GRIDS, draw, warm=warm),)

if __name__ == "__main__":
    sys.exit(study.main("theory.fig3_penalty"))
