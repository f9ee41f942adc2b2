"""Gradient descent and the convex program agree along alpha = -log(gamma) / (2 lam).

Figure 2 of the SOP paper, and why.

    python -m theory.fig2_equivalence            at most a minute on two cores
    python -m theory.fig2_equivalence --quick    5 values a decade instead of 20
    python -m theory.fig2_equivalence --full     40 values a decade

``fig2`` is the paper's figure: the relative difference between gradient descent (16) at (alpha, gamma) and the convex
program (26) at lam, for theta and for s. ``fig2_limit`` is the same with the exact limit of the gradient flow in the
place of descent. The valley lies a little beside the paper's line: at finite gamma the weight that the flow puts on an
entry s_i is not lam but lam (1 + log|s_i| / log(1/gamma^2)), drawn for the geometric mean of |y|.

``fig2_decomposition`` takes the difference along the curve apart, into

    step-size error        descent - flow limit          vanishes with the step size, to first order
    initialisation error   flow limit - convex program   vanishes with gamma, at one of two rates

The second pair of rates follows from (20). At the limit an active entry has, up to O(gamma^4 / s^2),

    nu_i = lam sign(s_i) (1 + log|s_i| / (2 L)),      L = log(1/gamma),

so the flow solves the convex program with weights that are off by O(1/L). Let Z be the zero entries of s at the convex
solution, S the others. A change of nu on S moves b = F^T nu only inside the null space of F_Z, projector P:

    b(gamma) - b = P F_S^T (lam sign(s) log|s|)_S / (2 L) + o(1/L).

Where Z pins theta down (rank F_Z = r) P is 0 and what is left is F_Z b = y_Z - s_Z with |s_i| = gamma^(2 (1 -
|nu_i|/lam)): a power of gamma. Its exponent is 2 (1 - m), m = min max_Z |nu_i|/lam over all dual solutions, a linear
program.
"""

import math
import sys

import numpy as np
import pandas as pd
import scipy.linalg
import scipy.optimize
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke
from numpy.typing import NDArray

from sparseop import plotting, study
from sparseop.linear.convex import ConvexSolution, solve_convex
from sparseop.linear.descent import DescentResult, accurate_step_size, gradient_descent
from sparseop.linear.flow import flow_limit
from sparseop.linear.path import solve_path
from sparseop.linear.problem import LinearProblem, gaussian_problem
from sparseop.linear.recovery import recovery_threshold
from sparseop.linear.regularizer import matching_alpha, matching_lam

N, P, RANK, SPARSITY = 20, 40, 3, 3
LOG_GAMMA = -8.0
GAMMA = math.exp(LOG_GAMMA)
ALPHAS, LAMS = (4.0, 4000.0), (1e-4, 1.0)
TOL, MAX_ITER = 1e-7, 3_000_000  # what is left of the residual there is in entries of s that are far smaller still
ACCURACIES = (1e-1, 1e-2, 1e-3)  # of the step size, see accurate_step_size
CURVES_IN_GAMMA = (1.0, 0.3, 0.1, 0.05, 0.02, 0.005)  # lam
LOG_SCALES = (2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 50, 64, 80, 100, 128, 160, 200)

Vector = NDArray[np.float64]


def instance() -> LinearProblem:
    """Return the one fixed problem of the figure."""
    return gaussian_problem(N, P, RANK, SPARSITY, seed=study.generator("fig2"))


def grid(ends: tuple[float, float], per_decade: int) -> list[float]:
    """Logarithmic grid with both ends."""
    return [float(x) for x in np.geomspace(*ends, round(per_decade * math.log10(ends[1] / ends[0])) + 1)]


def difference(a: Vector, b: Vector) -> float:
    """Return |a - b| / max(|a|, |b|), the measure of the paper."""
    return float(np.linalg.norm(a - b) / max(np.linalg.norm(a), np.linalg.norm(b)))


def descend(problem: LinearProblem, alpha: float, step_size: float) -> DescentResult:
    """Descend until the residual is negligible."""
    return gradient_descent(problem, alpha=alpha, gamma=GAMMA, step_size=step_size, max_iter=MAX_ITER, tol=TOL)


def _shift(size: float) -> float:
    """Return 1 + log(size) / log(1/gamma^2): the weight of an entry of s of this size, over lam."""
    return 1 - math.log(size) / (2 * LOG_GAMMA)


def typical(problem: LinearProblem) -> float:
    """Return the geometric mean of |y|."""
    return float(np.exp(np.log(np.abs(problem.y)).mean()))


def cell(alpha: float, per_decade: int) -> list[study.Row]:
    """Compute one row of pixels: descent and flow limit at alpha against the convex program at every lam."""
    problem = instance()
    run = descend(problem, alpha, accurate_step_size(problem, alpha=alpha, gamma=GAMMA))
    limit = flow_limit(problem, alpha=alpha, gamma=GAMMA)
    lams = grid(LAMS, per_decade)
    return [
        {
            "lam": lam,
            "theta_descent": difference(run.theta, convex.theta),
            "s_descent": difference(run.s, convex.s),
            "theta_limit": difference(limit.theta, convex.theta),
            "s_limit": difference(limit.s, convex.s),
            "step_size": run.step_size,
            "iterations": run.iterations,
            "status": run.status,
            "gap": convex.gap,
            "alpha_0": matching_alpha(recovery_threshold(problem), GAMMA),
            "y_mean": typical(problem),
        }
        for lam, convex in zip(lams, solve_path(problem, lams, tol=1e-12), strict=True)
    ]


def part(kind: str, value: float) -> list[study.Row]:
    """Compute one point of a curve of the decomposition.

    ``kind`` "alpha" at a value of alpha, "lam" at a value of lam.
    """
    problem = instance()
    return _along_the_curve(problem, value) if kind == "alpha" else _towards_zero_gamma(problem, value)


def _along_the_curve(problem: LinearProblem, alpha: float) -> list[study.Row]:
    lam = matching_lam(alpha, GAMMA)
    limit, convex = flow_limit(problem, alpha=alpha, gamma=GAMMA), solve_convex(problem, lam, tol=1e-13)
    shifted = solve_convex(problem, lam * _shift(typical(problem)), tol=1e-13)
    rows = []
    for accuracy in ACCURACIES:
        run = descend(problem, alpha, accurate_step_size(problem, alpha=alpha, gamma=GAMMA, accuracy=accuracy))
        rows.append(
            {
                "accuracy": accuracy,
                "lam": lam,
                "log_scale": -LOG_GAMMA,
                "step_size": run.step_size,
                "status": run.status,
                "theta_total": difference(run.theta, convex.theta),
                "s_total": difference(run.s, convex.s),
                "theta_step": difference(run.theta, limit.theta),
                "s_step": difference(run.s, limit.s),
                "theta_initial": difference(limit.theta, convex.theta),
                "s_initial": difference(limit.s, convex.s),
                "theta_shifted": difference(limit.theta, shifted.theta),
                "s_shifted": difference(limit.s, shifted.s),
                "alpha_0": matching_alpha(recovery_threshold(problem), GAMMA),
                "_steps": run.iterations,
            }
        )
    return rows


def _towards_zero_gamma(problem: LinearProblem, lam: float) -> list[study.Row]:
    convex = solve_convex(problem, lam, tol=1e-13)
    pinned, constant, exponent = predicted_rate(problem, convex, lam)
    rows = []
    for log_scale in LOG_SCALES:
        gamma = math.exp(-log_scale)
        limit = flow_limit(problem, alpha=matching_alpha(lam, gamma), gamma=gamma)
        rows.append(
            {
                "lam": lam,
                "log_scale": float(log_scale),
                "theta_initial": difference(limit.theta, convex.theta),
                "s_initial": difference(limit.s, convex.s),
                "pinned": pinned,
                "constant": constant,
                "exponent": exponent,
            }
        )
    return rows


def predicted_rate(problem: LinearProblem, convex: ConvexSolution, lam: float) -> tuple[bool, float, float]:
    """Return whether Z pins theta down; c of the rate c/L (0 where it does).

    The exponent of gamma (nan where it doesn't).
    """
    F, s = problem.F, convex.s
    Z, S = s == 0, s != 0
    null = scipy.linalg.null_space(F[Z]) if Z.any() else np.eye(F.shape[1])
    if null.shape[1]:
        moved = null.T @ (F[S].T @ (lam * np.sign(s[S]) * np.log(np.abs(s[S])))) / 2
        return False, float(np.linalg.norm(moved) / np.linalg.norm(convex.theta)), math.nan
    # min m  s.t.  F_Z^T w = (b - F_S^T nu_S) / lam,  |w_i| <= m
    pull = (problem.factor.coordinates(convex.theta) - F[S].T @ (lam * np.sign(s[S]))) / lam
    count = int(Z.sum())
    rows, ones = np.eye(count), np.ones((count, 1))
    program = scipy.optimize.linprog(
        np.append(np.zeros(count), 1.0),
        A_ub=np.block([[rows, -ones], [-rows, -ones]]),
        b_ub=np.zeros(2 * count),
        A_eq=np.hstack([F[Z].T, np.zeros((F.shape[1], 1))]),
        b_eq=pull,
        bounds=[(None, None)] * (count + 1),
    )
    return True, 0.0, 2 * (1 - float(program.fun))


def draw(table: pd.DataFrame) -> dict[str, Figure]:
    """Draw the paper's two panels, and a second figure with the flow's exact limit in the place of descent."""
    return {"": _draw_maps(table, "descent"), "limit": _draw_maps(table, "limit")}


def _draw_maps(table: pd.DataFrame, who: str) -> Figure:
    figure = Figure(figsize=(11, 5.6))
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    image = None
    for axis, symbol, name in zip(axes, ("theta", "s"), (r"$\theta$", "$s$"), strict=True):
        image = _draw_map(axis, table, f"{symbol}_{who}")
        axis.set(title=name, xlabel=r"$\lambda$ of the convex program")
    axes[0].set_ylabel(r"$\alpha$ of " + ("gradient descent" if who == "descent" else "the gradient flow"))
    bar = figure.colorbar(image, ax=axes, extend="min", pad=0.02, fraction=0.04)
    bar.set_label(
        r"relative difference, $\|x_\alpha - x_\lambda\|_2 / \max(\|x_\alpha\|_2, \|x_\lambda\|_2)$", fontsize=10
    )
    steps = table.drop_duplicates("alpha")
    what = (
        f"descent (τ = {steps.step_size.max():.0e} at α = {ALPHAS[0]:g} to {steps.step_size.min():.0e} at"
        f" {ALPHAS[1]:g})"
        if who == "descent"
        else "the exact limit of the gradient flow"
    )
    plotting.caption(
        figure,
        f"How far {what} is from the convex program: one instance, (N, p, r, k) = ({N}, {P}, {RANK}, {SPARSITY}), γ ="
        f" exp({LOG_GAMMA:g}). They agree along a line, and where both recover the truth (dotted: the exact"
        " thresholds).",
    )
    return figure


#: rotation of a line alpha ~ 1/lam on a square axis of four decades in lam and three in alpha
_SLOPE = -math.degrees(math.atan2(math.log10(LAMS[1] / LAMS[0]), math.log10(ALPHAS[1] / ALPHAS[0])))


def _draw_map(axis: Axes, table: pd.DataFrame, column: str) -> object:
    """Draw one map with the paper's line, the corrected one (see ``_shift``) and the thresholds, labelled in place."""
    values = table.pivot_table(index="alpha", columns="lam", values=column)
    alphas, lams = values.index.to_numpy(), values.columns.to_numpy()
    image = axis.pcolormesh(
        lams, alphas, values, cmap=plotting.ERROR_MAP, norm=LogNorm(1e-4, 1), shading="nearest", rasterized=True
    )
    lam = np.array([matching_lam(alpha, GAMMA) for alpha in ALPHAS])
    published, corrected = ("white", "black", "-", -1), ("black", "white", (0, (4, 3)), 1)
    for factor, (ink, halo, dash, side), label in (
        (1.0, published, r"$\alpha = -\log\gamma\,/\,(2\lambda)$, the paper's line"),
        (_shift(table.y_mean.iloc[0]), corrected, r"corrected for the size of $y$"),
    ):
        outline = [Stroke(linewidth=2.6, foreground=halo), Normal()]
        axis.plot(factor * lam, ALPHAS, color=ink, lw=1.3, ls=dash, path_effects=outline)
        at = 5e-3  # a point of the paper's line; the text stands beside it
        axis.text(
            at * 1.15**side,
            matching_alpha(at, GAMMA) * 1.15**side,
            label,
            rotation=_SLOPE,
            rotation_mode="anchor",
            ha="center",
            va="bottom" if side > 0 else "top",
            color="black",
            fontsize=10,
        )
    alpha_0 = float(table.alpha_0.iloc[0])
    lam_0 = matching_lam(alpha_0, GAMMA)
    axis.plot([lam_0, lam_0, LAMS[1]], [ALPHAS[0], alpha_0, alpha_0], ls=":", color="white", lw=1.5)
    axis.text(lam_0 * 1.15, ALPHAS[0] * 1.15, "both recover\nthe truth", color="white", fontsize=10, va="bottom")
    axis.set(xscale="log", yscale="log", xlim=LAMS, ylim=ALPHAS, box_aspect=1)
    axis.grid(False)
    return image


def draw_parts(table: pd.DataFrame) -> dict[str, Figure]:
    """Draw both errors along the curve, and in a figure of its own the two rates of the initialisation error."""
    return {"": _draw_parts(table[table.kind == "alpha"]), "rates": _draw_rates(table[table.kind == "lam"])}


def _draw_parts(curve: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(12, 5))
    axes = figure.subplots(1, 2, sharey=True)
    alpha_0 = float(curve.alpha_0.iloc[0])
    for axis, symbol, name in zip(axes, ("theta", "s"), (r"$\theta$", "$s$"), strict=True):
        axis.axvline(alpha_0, color=plotting.GREY, ls=":", lw=1.2)
        axis.set(
            xscale="log",
            yscale="log",
            ylim=(1e-8, 10),
            xlim=(ALPHAS[0], 12 * ALPHAS[1]),  # room for the names of the curves
            xlabel=r"$\alpha$, with $\lambda = -\log\gamma\,/\,(2\alpha)$",
            title=name,
        )
        axis.set_xticks([10, 100, 1000])
        _draw_curve(axis, curve, symbol)
        for at, align, text in ((0.88, "right", r"$\leftarrow$ truth recovered"), (1.12, "left", r"not $\rightarrow$")):
            axis.text(alpha_0 * at, 4, text, ha=align, va="center", fontsize=9, color="#444444")
    axes[0].set_ylabel("relative difference")
    plotting.caption(
        figure,
        "Descent minus convex program (dots) is the error of starting at a finite γ (black: the flow's exact limit"
        " minus the program) plus that of the step size, which vanishes with τ (colours: descent minus the flow's"
        " limit).",
    )
    return figure


def _draw_curve(axis: Axes, rows: pd.DataFrame, symbol: str) -> None:
    finest = rows[rows.accuracy == rows.accuracy.min()]
    axis.plot(finest.value, finest[f"{symbol}_initial"], color="black", lw=2.4)
    axis.plot(finest.value, finest[f"{symbol}_total"], "o", ms=4, color=plotting.PURPLE, mec="white", mew=0.4)
    last = float(finest.value.iloc[-1])
    ends = [(last, float(finest[f"{symbol}_initial"].iloc[-1]), "finite γ", "black")]
    for index, (accuracy, group) in enumerate(rows.groupby("accuracy", sort=False)):
        color = plotting.COLORS[index]
        axis.plot(group.value, group[f"{symbol}_step"], color=color, ls=plotting.DASHES[index], lw=1.6)
        ends.append(
            (last, float(group[f"{symbol}_step"].iloc[-1]), f"step size, τ for {round(100 * accuracy, 6):g} %", color)
        )
    plotting.label_ends(axis, ends)


def _draw_rates(rows: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(8.5, 5.4))
    axis = figure.subplots()
    for index, (lam, group) in enumerate(rows.groupby("value", sort=False)):
        color = plotting.COLORS[index]
        shown = group[group.theta_initial > 1e-13]
        axis.plot(
            shown.log_scale,
            shown.theta_initial,
            plotting.MARKERS[index],
            ms=4.5,
            color=color,
            label=rf"$\lambda$ = {lam:g}",
        )
        if not group.pinned.iloc[0]:
            x = np.geomspace(4, group.log_scale.max(), 50)
            axis.plot(x, group.constant.iloc[0] / x, ls="--", lw=1.2, color=color)
        elif len(shown) > 3:
            anchor = shown.iloc[-2]
            x = np.linspace(2, 40, 200)
            y = anchor.theta_initial * np.exp(-anchor.exponent * (x - anchor.log_scale))
            axis.plot(x[(y > 1e-13) & (y < 1)], y[(y > 1e-13) & (y < 1)], ls=":", lw=1.4, color=color)
    axis.set(
        xscale="log",
        yscale="log",
        xlabel=r"$\log(1/\gamma)$",
        ylim=(1e-13, 2),
        xlim=(1.8, 230),
        ylabel=r"initialisation error of $\theta$, relative",
    )
    plotting.plain_ticks(axis, (2, 4, 8, 16, 32, 64, 128))
    axis.legend(loc="center right", bbox_to_anchor=(1, 0.4))
    slow = rows[~rows.pinned.astype(bool) & (rows.log_scale == rows.log_scale.max())]
    ratio = slow.theta_initial * slow.log_scale / slow.constant
    plotting.caption(
        figure,
        "A power of γ where the uncorrupted samples fix θ (dotted: the exponent of a linear program); 1/log(1/γ) where"
        f" they do not (dashed: predicted, nothing fitted; measured over predicted {ratio.min():.3f} to"
        f" {ratio.max():.3f}).",
    )
    return figure


def warm() -> object:
    """Compile what the workers need."""
    problem = gaussian_problem(8, 9, 2, 1, seed=0)
    flow_limit(problem, alpha=1, gamma=0.1)
    return gradient_descent(problem, alpha=1, gamma=0.1, max_iter=1, tol=0), solve_path(problem, [1.0, 0.1])


def _cells(per_decade: int) -> list[study.Row]:
    return [{"alpha": alpha, "per_decade": per_decade} for alpha in grid(ALPHAS, per_decade)]


def _parts(per_decade: int) -> list[study.Row]:
    points = [{"kind": "alpha", "value": alpha} for alpha in grid(ALPHAS, per_decade)]
    return points + [{"kind": "lam", "value": lam} for lam in CURVES_IN_GAMMA]


STUDIES = (
    study.Study(
        "fig2", cell, {mode: _cells(n) for mode, n in (("paper", 20), ("quick", 5), ("full", 40))}, draw, warm=warm
    ),
    study.Study(
        "fig2_decomposition",
        part,
        {mode: _parts(n) for mode, n in (("paper", 10), ("quick", 2), ("full", 20))},
        draw_parts,
        warm=warm,
    ),
)

if __name__ == "__main__":
    sys.exit(study.main("theory.fig2_equivalence"))
