"""Robust low-rank matrices: gradient flow on U U^T + g*g - h*h against robust PCA with X positive semidefinite.

    python -m theory.robust_low_rank            all four studies, at most ten minutes on two cores
    python -m theory.robust_low_rank --quick    coarse grids: half a minute
    python -m theory.robust_low_rank --full     finer grids, more trials: an hour and more on two cores

The matrix case of double over-parameterisation (You, Zhu, Qu, Ma, NeurIPS 2020), whose theory the SOP paper takes over:

low_rank_gamma    does the flow's limit approach the convex program at lam = 1/alpha as gamma shrinks? With duality
                  gaps.
low_rank_match    Figure 2 for matrices: relative difference over alpha and lam, and the line lam = 1/alpha.
low_rank_phase    Figure 4 for matrices: recovery over rank and corruption, by the convex program and by the flow.
low_rank_width    what if U is far wider than the rank, or narrower; and what U U^T does without g and h.

The convex side is ``solve_robust_pca``, certified to a relative duality gap of 1e-8; the flow is followed until it fits
Y to 1e-5.
"""

import sys

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.ndimage import gaussian_filter

from sparseop import plotting, study
from sparseop.errors import FloatArray
from sparseop.linear.low_rank_flow import low_rank_flow
from sparseop.linear.robust_low_rank import LowRankProblem, gaussian_low_rank, robust_pca_gap, solve_robust_pca

SIZE, GAMMA, SUCCESS, TOL = 40, 1e-8, 1e-2, 1e-5
#: (rank, corruption): two that robust PCA recovers, two that it does not
INSTANCES = ((2, 0.1), (3, 0.2), (6, 0.3), (4, 0.5))
GAMMAS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-10, 1e-12)
PHASE_SIZE = 30
MATCH_SIZE, MATCH_RANK, MATCH_CORRUPTION = 20, 2, 0.2
WIDTHS = (1, 2, 3, 4, 6, 10, 20, 40)
WIDTH_RANK, WIDTH_CORRUPTION = 3, 0.2


def instance(rank: int, corruption: float, trial: int, size: int = SIZE) -> LowRankProblem:
    """Return the instance of a cell."""
    return gaussian_low_rank(
        size, rank, corruption, seed=study.generator("low rank", size, rank, round(1000 * corruption), trial)
    )


def difference(found: FloatArray, wanted: FloatArray, unit: FloatArray | None = None) -> float:
    """Return |found - wanted|_F / |unit|_F, the unit being ``wanted`` where none is given."""
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted if unit is None else unit))


def gamma_cell(rank: int, corruption: float, trial: int) -> list[study.Row]:
    """Follow the flow from ever smaller gamma and compare with the convex program."""
    problem = instance(rank, corruption, trial)
    convex = solve_robust_pca(problem, tol=1e-8, max_iter=20_000)
    rows = []
    for gamma in GAMMAS:
        flow = low_rank_flow(problem, gamma=gamma, tol=TOL)
        rows.append(
            {
                "gamma": gamma,
                "difference": difference(flow.X, convex.X),
                "error_flow": problem.error(flow.X),
                "error_convex": problem.error(convex.X),
                "gap_flow": robust_pca_gap(problem, flow.X, convex.M, convex.lam),
                "gap_own": flow.gap,
                "gap_convex": convex.gap,
                "residual": flow.residual,
                "status": flow.status,
                "_evaluations": flow.evaluations,
            }
        )
    return rows


def match_cell(alpha: float, per_decade: int, trial: int) -> list[study.Row]:
    """Compare the flow at one alpha with the convex program at every lam."""
    problem = instance(MATCH_RANK, MATCH_CORRUPTION, trial, MATCH_SIZE)
    flow = low_rank_flow(problem, alpha=alpha, gamma=1e-6, tol=TOL)
    rows = []
    for lam in lams(per_decade):
        convex = solve_robust_pca(problem, lam, tol=1e-6, max_iter=20_000)
        rows.append(
            {
                "lam": lam,
                "difference": difference(flow.X, convex.X, problem.X_star),
                "gap_convex": convex.gap,
                "error_flow": problem.error(flow.X),
                "error_convex": problem.error(convex.X),
                "status": flow.status,
            }
        )
    return rows


def lams(per_decade: int) -> list[float]:
    """Return the grid of lam, around 1/sqrt(n)."""
    return [float(x) for x in np.geomspace(0.08, 1.6, round(1.3 * per_decade) + 1)]


def phase_cell(rank: int, corruption: float, trials: int) -> study.Row:
    """Return the share of trials in which the convex program and the flow recover X, and their certificates."""
    convex_errors, flow_errors, gaps, converged = [], [], [], 0
    for trial in range(trials):
        problem = instance(rank, corruption, trial, PHASE_SIZE)
        convex, flow = (
            solve_robust_pca(problem, tol=1e-7, max_iter=20_000),
            low_rank_flow(problem, gamma=GAMMA, tol=1e-4),
        )
        convex_errors.append(problem.error(convex.X))
        flow_errors.append(problem.error(flow.X))
        gaps.append(convex.gap)
        converged += flow.status == "converged"
    return {
        "convex": np.mean(np.array(convex_errors) < SUCCESS),
        "flow": np.mean(np.array(flow_errors) < SUCCESS),
        "error_convex": np.mean(convex_errors),
        "error_flow": np.mean(flow_errors),
        "largest_gap": max(gaps),
        "converged": converged / trials,
    }


def width_cell(width: int, sparse: bool, trial: int) -> study.Row:
    """Return where U of this width ends, with g and h or without."""
    problem = instance(WIDTH_RANK, WIDTH_CORRUPTION, trial)
    flow = low_rank_flow(problem, gamma=GAMMA, width=width, sparse=sparse, tol=TOL, max_steps=3000)
    values = np.linalg.eigvalsh(flow.X)
    return {
        "error": problem.error(flow.X),
        "rank": int((values > 1e-3 * values[-1]).sum()),
        "residual": flow.residual,
        "status": flow.status,
        "error_convex": problem.error(solve_robust_pca(problem, tol=1e-8).X),
    }


# ---- figures ---------------------------------------------------------------------------------------------------------


def draw_gamma(table: pd.DataFrame) -> Figure:
    """Draw the difference between flow and convex program, and the gap, against gamma."""
    figure = Figure(figsize=(12.5, 4.9))
    axes = figure.subplots(1, 3)
    groups = list(table.groupby(["rank", "corruption"], sort=False))
    for index, ((rank, share), part) in enumerate(groups):
        recovered = part["error_convex"].max() < SUCCESS
        label = f"r = {rank}, {100 * share:g} %: {'recovered' if recovered else 'not recovered'} by (P)"
        style = {
            "color": plotting.COLORS[index],
            "marker": plotting.MARKERS[index],
            "ms": 4,
            "ls": "-" if recovered else "--",
            "label": label,
        }
        for axis, column in zip(axes, ("difference", "gap_flow", "error_flow"), strict=True):
            middle = part.groupby("gamma")[column].median()
            axis.loglog(middle.index, middle, **style)
            spread = part.groupby("gamma")[column]
            axis.fill_between(middle.index, spread.min(), spread.max(), color=style["color"], alpha=0.12, lw=0)
        own = part.groupby("gamma")["gap_own"].median()
        axes[1].loglog(own.index, own, color=style["color"], lw=1, ls=":")
        axes[2].axhline(part["error_convex"].median(), color=style["color"], lw=1, ls=":")
    for axis, title, label in zip(
        axes,
        ("flow against the convex program", "how far from optimal, certified", "error against the truth"),
        (
            r"$\|X_{\rm flow} - X_{\rm convex}\|_F\,/\,\|X_{\rm convex}\|_F$",
            "relative duality gap of the flow's $X$",
            r"$\|X - X_\star\|_F\,/\,\|X_\star\|_F$",
        ),
        strict=True,
    ):
        axis.set(xlabel=r"scale of the start $\gamma$", ylabel=label, title=title)
        axis.invert_xaxis()
    axes[0].set_ylim(bottom=5e-7)  # room for the legend
    axes[2].set_ylim(bottom=1e-6)
    axes[0].legend(fontsize=8, loc="lower left")
    axes[1].legend(
        handles=[
            Line2D([], [], color="black", lw=1.5, label="by the dual point of (P)"),
            Line2D([], [], color="black", lw=1, ls=":", label="by the flow's own"),
        ],
        fontsize=8,
        loc="lower left",
    )
    axes[2].legend(
        handles=[
            Line2D([], [], color="black", lw=1.5, label="flow"),
            Line2D([], [], color="black", lw=1, ls=":", label="convex program"),
        ],
        fontsize=8,
    )
    plotting.caption(
        figure,
        f"n = {SIZE}, U of width n, α = √n, λ = 1/α; {table['trial'].nunique()} trials each, median and range. Convex"
        f" programs certified to {table['gap_convex'].max():.0e}; the flow fits Y to {TOL:.0e} max|Y|. Where (P)"
        " recovers the truth, the flow approaches it like a power of γ, down to the tolerance. Where it does not, the"
        " flow's limit is another matrix, not the convex program's, and need not approach it: the proof is for"
        " commuting matrices.",
    )
    return figure


def draw_match(table: pd.DataFrame) -> Figure:
    """Draw the difference over alpha and lam."""
    figure = Figure(figsize=(6.4, 5.4))
    axis = figure.subplots()
    grid = np.log10(table.groupby(["lam", "alpha"])["difference"].median().unstack())
    mesh = axis.pcolormesh(grid.columns, grid.index, grid, cmap=plotting.ERROR_MAP, shading="nearest", rasterized=True)
    alphas = grid.columns.to_numpy(dtype=float)
    axis.plot(alphas, 1 / alphas, color=plotting.RED, lw=2, label=r"$\lambda = 1/\alpha$")
    axis.set(
        xscale="log",
        yscale="log",
        xlabel=r"ratio $\alpha$",
        ylabel=r"$\lambda$",
        ylim=(grid.index.min(), grid.index.max()),
    )
    axis.grid(visible=False)
    axis.legend(loc="upper right", frameon=True)
    figure.colorbar(mesh, label=r"$\log_{10}\ \|X_{\rm flow} - X_{\rm convex}\|_F\,/\,\|X_\star\|_F$")
    plotting.caption(
        figure,
        f"n = {MATCH_SIZE}, rank {MATCH_RANK}, {100 * MATCH_CORRUPTION:g} % corrupted, γ = 1e-6, median of"
        f" {table['trial'].nunique()} trials. In the dark block both are the truth, at any λ and α there; outside it,"
        " agreement follows the line.",
    )
    return figure


def draw_phase(table: pd.DataFrame) -> Figure:
    """Draw the two phase diagrams."""
    figure = Figure(figsize=(11, 4.9))
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    for axis, column, title in zip(
        axes,
        ("convex", "flow"),
        ("robust PCA, X positive semidefinite", rf"gradient flow, $\gamma$ = {GAMMA:g}"),
        strict=True,
    ):
        grid = table.pivot(index="corruption", columns="rank", values=column)
        mesh = axis.pcolormesh(
            grid.columns,
            100 * grid.index,
            grid,
            cmap=plotting.RATE_MAP,
            vmin=0,
            vmax=1,
            shading="nearest",
            rasterized=True,
        )
        axis.set(xlabel="rank $r$", title=title)
        axis.grid(visible=False)
        half = table.pivot(index="corruption", columns="rank", values="convex")
        smooth = gaussian_filter(half.to_numpy(), 1.0, mode="nearest")  # over neighbouring cells: few trials are rough
        axis.contour(half.columns, 100 * half.index, smooth, levels=[0.5], colors=[plotting.RED], linewidths=2)
    axes[0].set_ylabel("corrupted entries (%)")
    axes[1].legend(
        handles=[Line2D([], [], color=plotting.RED, lw=2, label="robust PCA recovers half (smoothed)")],
        labelcolor="white",
        loc="upper right",
    )
    figure.colorbar(
        mesh,
        ax=axes,
        pad=0.01,
        fraction=0.03,
        label=f"share of {int(table['trials'].max())} trials with relative error < {SUCCESS:g}",
    )
    differ = (table["convex"] - table["flow"]).abs().mean()
    plotting.caption(
        figure,
        f"Program and flow recover in the same region (n = {PHASE_SIZE}; their success rates differ by"
        f" {100 * differ:.1f} points on average).",
    )
    return figure


def draw_width(table: pd.DataFrame) -> Figure:
    """Draw the error over the width of U."""
    figure = Figure(figsize=(6.6, 4.6))
    axis = figure.subplots()
    for index, (sparse, part) in enumerate(table.groupby("sparse", sort=False)):
        middle, spread = part.groupby("width")["error"].median(), part.groupby("width")["error"]
        label = r"$UU^\top + g\odot g - h\odot h$" if sparse else r"$UU^\top$ alone, squared loss"
        axis.loglog(
            middle.index,
            middle,
            color=plotting.COLORS[index],
            marker=plotting.MARKERS[index],
            ls=plotting.DASHES[index],
            label=label,
        )
        axis.fill_between(middle.index, spread.min(), spread.max(), color=plotting.COLORS[index], alpha=0.12, lw=0)
    axis.axhline(
        table["error_convex"].median(), color="black", lw=1, ls=":", label="robust PCA (which knows no rank either)"
    )
    axis.axvline(WIDTH_RANK, color=plotting.GREY, lw=1, label="true rank")
    axis.set(xlabel="columns of $U$", ylabel=r"$\|X - X_\star\|_F\,/\,\|X_\star\|_F$")
    plotting.plain_ticks(axis, sorted(table["width"].unique()))
    axis.legend(fontsize=8.5, loc="center right", bbox_to_anchor=(1, 0.32))
    wide = table[(table["width"] > WIDTH_RANK) & table["sparse"]]
    plotting.caption(
        figure,
        f"n = {SIZE}, rank {WIDTH_RANK}, {100 * WIDTH_CORRUPTION:g} % corrupted, γ = {GAMMA:g},"
        f" {table['trial'].nunique()} trials, median and range. With g and h, a wider U costs nothing: rank found"
        f" {wide['rank'].min()} to {wide['rank'].max()} (eigenvalues above 1e-3 of the largest).",
    )
    return figure


def table_gamma(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return difference, gap and errors at a few gammas, medians over trials."""
    part = table[table["gamma"].isin([1e-2, 1e-4, 1e-6, 1e-8, 1e-12])]
    columns = ["difference", "gap_flow", "gap_own", "error_flow", "error_convex"]
    middle = part.groupby(["rank", "corruption", "gamma"])[columns].median()
    return {"": middle.reset_index().sort_values(["rank", "corruption", "gamma"], ascending=[True, True, False])}


GAMMA_GRIDS = {
    mode: [{"rank": r, "corruption": c, "trial": t} for r, c in chosen for t in range(trials)]
    for mode, chosen, trials in (("paper", INSTANCES, 3), ("quick", INSTANCES[1:3], 1), ("full", INSTANCES, 10))
}
MATCH_GRIDS = {
    mode: [{"alpha": 1 / lam, "per_decade": per, "trial": t} for lam in lams(per) for t in range(trials)]
    for mode, per, trials in (("paper", 10, 2), ("quick", 4, 1), ("full", 20, 5))
}
PHASE_GRIDS = {
    mode: [{"rank": r, "corruption": c / 100, "trials": trials} for r in ranks for c in range(0, 61, step)]
    for mode, ranks, step, trials in (
        ("paper", (1, 2, 3, 4, 6, 8, 10, 12), 10, 3),
        ("quick", (1, 4, 8, 12), 20, 1),
        ("full", range(1, 13), 5, 10),
    )
}
WIDTH_GRIDS = {
    mode: [{"width": w, "sparse": s, "trial": t} for s in (True, False) for w in WIDTHS for t in range(trials)]
    for mode, trials in (("paper", 3), ("quick", 1), ("full", 10))
}
STUDIES = (
    study.Study("low_rank_gamma", gamma_cell, GAMMA_GRIDS, draw_gamma, table_gamma),
    study.Study("low_rank_match", match_cell, MATCH_GRIDS, draw_match),
    study.Study("low_rank_phase", phase_cell, PHASE_GRIDS, draw_phase),
    study.Study("low_rank_width", width_cell, WIDTH_GRIDS, draw_width),
)

if __name__ == "__main__":
    sys.exit(study.main("theory.robust_low_rank"))
