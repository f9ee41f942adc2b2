"""Gradient descent and the convex program agree along alpha = -log(gamma) / (2 lam).

Figure 2 of the SOP paper, and why.

    python -m theory.fig2_equivalence            at most a minute on two cores
    python -m theory.fig2_equivalence --quick    5 values a decade instead of 20
    python -m theory.fig2_equivalence --full     40 values a decade

``fig2`` is the paper's figure: the relative difference between gradient descent (16) at (alpha, gamma) and the convex
program (26) at lam, for theta and for s; below it the same with the exact limit of the gradient flow in the place of
descent.

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


def draw(table: pd.DataFrame) -> Figure:
    """Draw the paper's two panels, and below them the same for the exact limit of the flow."""
    figure = Figure(figsize=(10.5, 9.2))
    axes = figure.subplots(2, 2, sharex=True, sharey=True)
    image = None
    for row, (who, name) in enumerate(
        (("descent", "gradient descent (16)"), ("limit", "exact limit of the gradient flow"))
    ):
        for column, symbol in enumerate(("theta", "s")):
            axis = axes[row, column]
            image = _draw_map(axis, table, f"{symbol}_{who}", corrected=row == 1)
            what = r"$\theta$" if symbol == "theta" else r"$s$"
            axis.set_title(f"{what}: {name}", loc="left")
            if column == 0:
                axis.set_ylabel(r"$\alpha$")
            if row == 1:
                axis.set_xlabel(r"$\lambda$")
    for axis in axes[:, 0]:
        axis.legend(loc="lower left", framealpha=0.9, frameon=True, fontsize=9)
    bar = figure.colorbar(image, ax=axes, extend="min", pad=0.02, fraction=0.04)
    bar.set_label(
        r"relative difference to the solution of (26), $\|x_\alpha - x_\lambda\|_2 / \max(\|x_\alpha\|_2,"
        r" \|x_\lambda\|_2)$"
    )
    steps = table.drop_duplicates("alpha")
    alpha_0 = float(table.alpha_0.iloc[0])
    capped = steps.alpha[steps.status == "iteration limit"].max()
    plotting.caption(
        figure,
        f"One instance, (N, p, r, k) = ({N}, {P}, {RANK}, {SPARSITY}), γ = exp({LOG_GAMMA:g}); grid of"
        f" {table.alpha.nunique()} × {table.lam.nunique()} values of (α, λ). Descent stops at a residual of {TOL:.0e}"
        f" max|y|, or after {MAX_ITER / 1e6:g} million steps ({(steps.status == 'iteration limit').sum()} of"
        f" {len(steps)} values of α, the largest {capped:.0f}); step size from"
        f" τ = {steps.step_size.max():.1e} (α = {ALPHAS[0]:g})"
        f" to {steps.step_size.min():.1e} (α = {ALPHAS[1]:g}), chosen for 0.1 % to the flow's limit (what remains of"
        f" it: fig2_decomposition). Dotted: the exact thresholds of recovery, λ₀ = {matching_lam(alpha_0, GAMMA):.3f}"
        f" and α₀ = log(1/γ) / (2λ₀) = {alpha_0:.0f}. Dashed: at finite γ the weight that the flow puts on an entry is"
        f" not λ but λ (1 + log|s| / log(1/γ²)), drawn for the geometric mean ȳ = {table.y_mean.iloc[0]:.1f} of |y|:"
        f" there the valley lies. Largest relative gap of a convex solution: {table.gap.max():.0e}.",
    )
    return figure


def _draw_map(axis: Axes, table: pd.DataFrame, column: str, *, corrected: bool) -> object:
    values = table.pivot_table(index="alpha", columns="lam", values=column)
    alphas, lams = values.index.to_numpy(), values.columns.to_numpy()
    image = axis.pcolormesh(
        lams, alphas, values, cmap=plotting.ERROR_MAP, norm=LogNorm(1e-4, 1), shading="nearest", rasterized=True
    )
    lam = np.array([matching_lam(alpha, GAMMA) for alpha in ALPHAS])
    if corrected:
        axis.plot(
            _shift(table.y_mean.iloc[0]) * lam,
            ALPHAS,
            color=plotting.RED,
            lw=1.2,
            ls=(0, (4, 4)),
            label=r"$\alpha = \log(\bar y / \gamma^2)\,/\,(4\lambda)$",
        )
    else:
        axis.plot(lam, ALPHAS, color=plotting.BLUE, lw=1.4, label=r"$\alpha = -\log\gamma\,/\,(2\lambda)$, eq. (23)")
    alpha_0 = float(table.alpha_0.iloc[0])
    lam_0 = matching_lam(alpha_0, GAMMA)
    axis.plot([lam_0, lam_0, LAMS[1]], [ALPHAS[0], alpha_0, alpha_0], ls=":", color="white", lw=1.5)
    axis.text(lam_0 * 1.15, ALPHAS[0] * 1.15, "both recover\nthe truth", color="white", fontsize=10, va="bottom")
    axis.set(xscale="log", yscale="log", xlim=LAMS, ylim=ALPHAS)
    axis.grid(False)
    return image


def draw_parts(table: pd.DataFrame) -> Figure:
    """Draw step-size and initialisation error along the curve, and the two rates of the latter in gamma."""
    figure = Figure(figsize=(14, 5.6))
    axes = figure.subplots(1, 3, width_ratios=[1, 1, 1.25])
    curve, towards = table[table.kind == "alpha"], table[table.kind == "lam"]
    alpha_0 = float(curve.alpha_0.iloc[0])
    for axis, symbol, name in zip(axes, ("theta", "s"), (r"$\theta$", "$s$"), strict=False):
        _draw_curve(axis, curve, symbol)
        axis.axvline(alpha_0, color=plotting.GREY, ls=":", lw=1.2)
        axis.set(
            xscale="log",
            yscale="log",
            ylim=(1e-10, 10),
            xlim=ALPHAS,
            xlabel=r"$\alpha$, with $\lambda = -\log\gamma\,/\,(2\alpha)$",
            title=f"{name} along the curve",
        )
        axis.text(
            alpha_0 * 0.88, 4, r"$\leftarrow$ truth recovered", ha="right", va="center", fontsize=9, color="#444444"
        )
        axis.text(alpha_0 * 1.12, 4, r"not $\rightarrow$", ha="left", va="center", fontsize=9, color="#444444")
    axes[0].set_ylabel("relative difference")
    axes[0].legend(loc="lower right", fontsize=9)
    _draw_rates(axes[2], towards)
    slow = towards[~towards.pinned.astype(bool) & (towards.log_scale == towards.log_scale.max())]
    ratio = slow.theta_initial * slow.log_scale / slow.constant
    plotting.caption(
        figure,
        f"The instance of the maps, (N, p, r, k) = ({N}, {P}, {RANK}, {SPARSITY}). Left, middle: γ ="
        f" exp({LOG_GAMMA:g}), {curve.value.nunique()} values of α; three step sizes, set to be accurate to 0.1, 0.01"
        " and 0.001 by the identity that sparseop.linear.descent explains, and never above half the stable one, which"
        " is what all three are at small α: there the error is what descent still lacks where it stops (residual"
        f" {TOL:.0e} max|y|, or {MAX_ITER / 1e6:g} million steps). Thin, dashed: against the convex program at λ (1 +"
        " log ȳ / log(1/γ²)), ȳ the geometric mean of |y|. Right: flow limit against convex program at α = log(1/γ) /"
        " (2λ). Dashed: the predicted c / log(1/γ), nothing fitted (measured over predicted at log(1/γ) ="
        f" {towards.log_scale.max():.0f}: {ratio.min():.3f} to {ratio.max():.3f}); dotted: the predicted power of γ,"
        " its exponent from a linear program, its height fitted at one point.",
    )
    return figure


def _draw_curve(axis: Axes, rows: pd.DataFrame, symbol: str) -> None:
    for index, (accuracy, group) in enumerate(rows.groupby("accuracy", sort=False)):
        axis.plot(
            group.value,
            group[f"{symbol}_step"],
            color=plotting.COLORS[index],
            ls=plotting.DASHES[index],
            lw=1.6,
            label=f"step-size error, τ for {accuracy:g}",
        )
    finest = rows[rows.accuracy == rows.accuracy.min()]
    axis.plot(finest.value, finest[f"{symbol}_initial"], color="black", lw=2.4, label="initialisation error")
    axis.plot(
        finest.value,
        finest[f"{symbol}_shifted"],
        color="black",
        lw=1.0,
        ls="--",
        label=r"the same, $\lambda$ corrected for $\bar y$",
    )
    axis.plot(
        finest.value,
        finest[f"{symbol}_total"],
        "o",
        ms=4,
        color=plotting.PURPLE,
        mec="white",
        mew=0.4,
        label=f"descent − convex, τ for {finest.accuracy.iloc[0]:g}",
    )


def _draw_rates(axis: Axes, rows: pd.DataFrame) -> None:
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
        title=r"initialisation error of $\theta$: two rates",
    )
    axis.set_xticks([2, 4, 8, 16, 32, 64, 128], ["2", "4", "8", "16", "32", "64", "128"])
    axis.minorticks_off()
    axis.legend(loc="center right", bbox_to_anchor=(1, 0.45), fontsize=9)


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
