"""Theorem 3.1 from end to end: gradient descent -> gradient flow -> convex program -> the truth.

    python -m theory.theorem31            at most a minute on two cores
    python -m theory.theorem31 --quick    3 trials, 4 values a decade
    python -m theory.theorem31 --full     20 trials, 20 values a decade

The paper's main claim has three links, and no figure of it shows the whole chain: for small alpha, gradient descent
(16) converges to the ground truth. Here all three links solve the same instances: descent and the exact limit of the
flow at (alpha, gamma), the convex program (26) at lam = log(1/gamma) / (2 alpha). The exact threshold lam_0 of (26), a
linear program, gives the exact alpha_0 = log(1/gamma) / (2 lam_0) of the theorem's "proper choice of alpha" in the
limit of small gamma; curves of all trials are drawn against alpha/alpha_0, where they must break at 1. The last panel
locates, by bisection, the alpha up to which the flow really recovers at finite gamma: entries of s that should be 0 are
of the order gamma^(2 (1 - |nu_i|/lam)), so a given accuracy is lost where 1 - alpha/alpha_0 is of the order
1/log(1/gamma).
"""

import math
import sys

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from sparseop import plotting, study
from sparseop.linear.convex import solve_convex
from sparseop.linear.descent import accurate_step_size, gradient_descent
from sparseop.linear.flow import flow_limit
from sparseop.linear.problem import LinearProblem, gaussian_problem
from sparseop.linear.recovery import RecoveryInterval, recovery_interval
from sparseop.linear.regularizer import matching_alpha, matching_lam

N, P, RANK, SPARSITY = 60, 100, 6, 6
LOG_SCALES = (8, 16, 32)  # log(1/gamma)
DESCENT_SCALES = (8, 16)
END_SCALES = (4, 8, 16, 32, 64, 128, 256)
LEVELS = (1e-4, 1e-8)  # errors of theta that count as recovery
ENDS = (0.1, 10.0)  # alpha / alpha_0
TOL, MAX_ITER = 1e-7, 300_000
FLOOR = 1e-10  # smaller errors are drawn here


def grid(per_decade: int) -> list[float]:
    """Return values of alpha/alpha_0, none of them 1, where recovery is decided by rounding."""
    edges = np.geomspace(*ENDS, 2 * per_decade + 1)
    return [float(x) for x in np.sqrt(edges[:-1] * edges[1:])]


def error(found: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Return |found - truth| / |truth|."""
    return float(np.linalg.norm(found - truth) / np.linalg.norm(truth))


def cell(kind: str, trial: int, log_scale: int, per_decade: int) -> list[study.Row]:
    """Follow the chain on one instance at one gamma ("chain"), or find the alpha where recovery stops ("end")."""
    problem = gaussian_problem(N, P, RANK, SPARSITY, seed=study.generator("theorem31", trial))
    interval = recovery_interval(problem)
    alpha_0 = matching_alpha(interval.lower, math.exp(-log_scale))
    if kind == "chain":
        return chain(problem, interval, log_scale, alpha_0, per_decade)
    return [
        {"level": level, "alpha_0": alpha_0, "end": last_recovery(problem, log_scale, alpha_0, level)}
        for level in LEVELS
    ]


def last_recovery(problem: LinearProblem, log_scale: int, alpha_0: float, level: float) -> float:
    """Return the largest alpha/alpha_0 below 2 at which the flow limit's error of theta is ``level``, by bisection."""
    low, high = -8.0, 1.0  # log2
    for _ in range(30):
        middle = (low + high) / 2
        limit = flow_limit(problem, alpha=2**middle * alpha_0, gamma=math.exp(-log_scale))
        low, high = (middle, high) if error(limit.theta, problem.theta_star) <= level else (low, middle)
    return 2**low


def chain(
    problem: LinearProblem, interval: RecoveryInterval, log_scale: int, alpha_0: float, per_decade: int
) -> list[study.Row]:
    """Solve all three links for every alpha of the grid."""
    gamma = math.exp(-log_scale)
    rows = []
    for relative in grid(per_decade):
        alpha = relative * alpha_0
        lam = matching_lam(alpha, gamma)
        convex, limit = solve_convex(problem, lam, tol=1e-12), flow_limit(problem, alpha=alpha, gamma=gamma)
        row = {
            "relative": relative,
            "alpha": alpha,
            "lam": lam,
            "alpha_0": alpha_0,
            "lam_0": interval.lower,
            "lam_1": interval.upper,
            "gap": convex.gap,
            "residual": limit.residual / float(np.abs(problem.y).max()),
            "theta_convex": error(convex.theta, problem.theta_star),
            "s_convex": error(convex.s, problem.s_star),
            "theta_limit": error(limit.theta, problem.theta_star),
            "s_limit": error(limit.s, problem.s_star),
        }
        if log_scale in DESCENT_SCALES:
            run = gradient_descent(
                problem,
                alpha=alpha,
                gamma=gamma,
                max_iter=MAX_ITER,
                tol=TOL,
                step_size=accurate_step_size(problem, alpha=alpha, gamma=gamma, accuracy=1e-2),
            )
            row |= {
                "theta_descent": error(run.theta, problem.theta_star),
                "s_descent": error(run.s, problem.s_star),
                "step_size": run.step_size,
                "status": run.status,
                "_steps": run.iterations,
            }
        else:
            row |= {"theta_descent": math.nan, "s_descent": math.nan, "step_size": math.nan, "status": "not run"}
        rows.append(row)
    return rows


def draw(table: pd.DataFrame) -> Figure:
    """Draw recovery errors of the three links against alpha/alpha_0, all trials on one axis; the spread of alpha_0."""
    ends, table = table[table.kind == "end"], table[table.kind == "chain"]
    figure = Figure(figsize=(13.5, 5.8))
    axes = figure.subplots(1, 3, width_ratios=[1, 1, 0.85])
    for axis, symbol, name in zip(axes, ("theta", "s"), (r"\theta", "s"), strict=False):
        _draw_chain(axis, table, symbol)
        axis.set(
            xscale="log",
            yscale="log",
            xlim=ENDS,
            ylim=(FLOOR / 2, 1e2),
            xlabel=r"$\alpha\,/\,\alpha_0$  ($= \lambda_0\,/\,\lambda$)",
            ylabel=rf"$\|{name} - {name}_\star\|_2 \,/\, \|{name}_\star\|_2$",
            title=f"recovery error of ${name}$",
        )
    axes[0].legend(handles=_draw_legend(), loc="upper left", fontsize=8.8)
    _draw_end(axes[2], ends)
    trials = table.trial.nunique()
    plotting.caption(
        figure,
        f"Descent, flow and program recover below α₀ = log(1/γ) / (2λ₀), λ₀ each trial's exact threshold, and nothing"
        f" does above it. (N, p, r, k) = ({N}, {P}, {RANK}, {SPARSITY}), {trials} trials; 1e-10 stands for less.",
    )
    return figure


def _draw_chain(axis: Axes, table: pd.DataFrame, symbol: str) -> None:
    def curve(rows: pd.DataFrame, column: str, each: bool = True, **style: object) -> None:
        if each:
            for _, trial in rows.groupby("trial"):
                axis.plot(trial.relative, trial[column].clip(FLOOR), lw=0.5, alpha=0.3, color=style["color"])
        middle = rows.groupby("relative")[column].median().clip(FLOOR)
        axis.plot(middle.index, middle, **style)

    curve(table[table.log_scale == LOG_SCALES[0]], f"{symbol}_convex", color="black", lw=2.6, zorder=3)
    for index, scale in enumerate(LOG_SCALES):
        rows, color = table[table.log_scale == scale], plotting.COLORS[index]
        curve(rows, f"{symbol}_limit", color=color, lw=2, ls=plotting.DASHES[index], zorder=4)
        if scale in DESCENT_SCALES:
            curve(
                rows,
                f"{symbol}_descent",
                each=False,
                color=color,
                lw=0,
                marker=plotting.MARKERS[index],
                ms=4.5,
                mec="white",
                mew=0.4,
                zorder=5,
            )
    axis.axvline(1, color=plotting.GREY, ls=":", lw=1.2)


def _draw_legend() -> list[Line2D]:
    handles = [Line2D([], [], color="black", lw=2.6, label="convex program (26)")]
    for index, scale in enumerate(LOG_SCALES):
        handles.append(
            Line2D(
                [],
                [],
                color=plotting.COLORS[index],
                ls=plotting.DASHES[index],
                lw=2,
                label=rf"flow limit, $\gamma = e^{{-{scale}}}$",
            )
        )
        if scale in DESCENT_SCALES:
            handles.append(
                Line2D(
                    [],
                    [],
                    color=plotting.COLORS[index],
                    lw=0,
                    marker=plotting.MARKERS[index],
                    ms=4.5,
                    label=rf"descent, $\gamma = e^{{-{scale}}}$",
                )
            )
    return handles


def _draw_end(axis: Axes, ends: pd.DataFrame) -> None:
    for index, (level, rows) in enumerate(ends.groupby("level", sort=False)):
        spread = (rows.trial - rows.trial.mean()) / max(int(rows.trial.max()), 1)
        color = plotting.COLORS[index + 3]
        axis.plot(
            rows.log_scale * 1.25**spread,
            1 - rows.end,
            plotting.MARKERS[index],
            ms=4,
            alpha=0.6,
            mec="white",
            mew=0.3,
            color=color,
        )
        middle = (1 - rows.end).groupby(rows.log_scale).median()
        axis.plot(
            middle.index,
            middle,
            color=color,
            lw=1.6,
            ls=plotting.DASHES[index],
            marker=plotting.MARKERS[index],
            ms=0,
            label=f"error of θ up to {level:.0e}",
        )
    x = np.array([ends.log_scale.min(), ends.log_scale.max()])
    axis.plot(x, 2.0 / x, color="black", ls=":", lw=1.5, label=r"slope of $1\,/\log(1/\gamma)$")
    axis.set(
        xscale="log",
        yscale="log",
        xlabel=r"$\log(1/\gamma)$",
        ylabel=r"$1 - \alpha_{\rm end}\,/\,\alpha_0$",
        title=r"the flow recovers up to $\alpha_{\rm end} < \alpha_0$",
    )
    plotting.plain_ticks(axis, sorted(ends.log_scale.unique()))
    axis.legend(loc="lower left")


def warm() -> object:
    """Compile what the workers need."""
    problem = gaussian_problem(8, 9, 2, 1, seed=0)
    solve_convex(problem, 1.0)
    flow_limit(problem, alpha=1, gamma=0.1)
    return gradient_descent(problem, alpha=1, gamma=0.1, max_iter=1, tol=0)


def _cells(trials: int, per_decade: int) -> list[study.Row]:
    return [
        {"kind": kind, "trial": trial, "log_scale": scale, "per_decade": per_decade}
        for kind, scales in (("chain", LOG_SCALES), ("end", END_SCALES))
        for scale in scales
        for trial in range(trials)
    ]


GRIDS = {mode: _cells(trials, n) for mode, trials, n in (("paper", 10, 10), ("quick", 3, 4), ("full", 20, 20))}
STUDIES = (study.Study("theorem31", cell, GRIDS, draw, warm=warm),)

if __name__ == "__main__":
    sys.exit(study.main("theory.theorem31"))
