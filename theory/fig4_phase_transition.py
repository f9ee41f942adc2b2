"""Draw Figure 4 of the SOP paper: for which rank r and sparsity k the convex program (26) recovers the truth.

    make fig4                                           # 51 x 52 cells, 20 trials each
    python -m theory.fig4_phase_transition --full       # every r and k: 100 x 101 cells, 202,000 certified programs
    python -m theory.fig4_phase_transition --redraw     # draw the committed data again

N = 100, p = 150, lam = 0.1; a trial succeeds where the relative error is below 0.001, for theta (left) and for s
(right). Two curves without a free parameter go over the picture: where random subspaces cross from success to failure
(``transition_sparsity``), and the largest k that the paper's sufficient condition (28), k^2 r < N / (4 mu(J)), allows.
"""

import sys
import time

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sparseop import plotting, study
from sparseop.linear.convex import solve_convex
from sparseop.linear.incoherence import incoherence_condition
from sparseop.linear.problem import gaussian_problem
from sparseop.linear.transition import transition_sparsity

N, P, LAM, TRIALS, SUCCESS = 100, 150, 0.1, 20, 1e-3
GRIDS = {
    "quick": [{"r": r, "k": k, "trials": 4} for r in range(5, 101, 10) for k in range(0, 101, 10)],
    # even r and k, and 1: condition (28) holds almost only there
    "paper": [{"r": r, "k": k, "trials": TRIALS} for r in (1, *range(2, 101, 2)) for k in (0, 1, *range(2, 101, 2))],
    "full": [{"r": r, "k": k, "trials": TRIALS} for r in range(1, 101) for k in range(101)],
}


def cell(r: int, k: int, trials: int) -> study.Row:
    """Return success rates, mean errors and certificates over the trials of one cell."""
    errors, gaps, covered = [], [], 0
    generating = solving = 0.0
    for trial in range(trials):
        clock = time.perf_counter()
        problem = gaussian_problem(N, P, r, k, seed=study.generator("fig4", r, k, trial))
        drawn = time.perf_counter()
        solution = solve_convex(problem, LAM)
        generating, solving = generating + drawn - clock, solving + time.perf_counter() - drawn
        theta_star, s_star = problem.theta_star, problem.s_star
        errors.append(
            (
                np.linalg.norm(solution.theta - theta_star) / np.linalg.norm(theta_star),
                # with k = 0 there is no s_star to divide by: the error is measured against y
                np.linalg.norm(solution.s - s_star) / (np.linalg.norm(s_star) or np.linalg.norm(problem.y)),
            )
        )
        gaps.append(solution.gap)
        # mu >= 1, so (28) cannot hold where k^2 r >= N/4: no need for the QR that mu costs
        covered += k * k * r < N / 4 and incoherence_condition(problem, k).holds
    theta, s = np.array(errors).T
    return {
        "success_theta": np.mean(theta < SUCCESS),
        "success_s": np.mean(s < SUCCESS),
        "error_theta": np.mean(theta),
        "error_s": np.mean(s),
        "covered": covered / trials,
        "largest_gap": max(gaps),
        "_generation_seconds": generating,
        "_solve_seconds": solving,
        "_programs": trials,
    }


def coverage(table: pd.DataFrame) -> dict[str, float]:
    """Return the share of the plane k >= 1 where theta is recovered, and the share of that where condition (28) holds.

    A cell counts by its area in the picture, so that a grid that is finer somewhere gives no other answer.
    """
    corrupted = table[table.k > 0]
    area = _widths(corrupted.r) * _widths(corrupted.k)
    recovered, covered = (area * corrupted.success_theta).sum(), (area * corrupted.covered).sum()
    return {
        "recovered_share": float(recovered / area.sum()),
        "covered_of_recovered": float(covered / recovered),
        "largest_k_covered": int(corrupted.k[corrupted.covered > 0].max()) if covered else 0,
    }


def draw(table: pd.DataFrame) -> Figure:
    """Draw the two panels with the predicted transition and the region of condition (28)."""
    figure = Figure(figsize=(11, 5.2))
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    ranks, sparsities = np.sort(table.r.unique()), np.sort(table.k.unique())
    curve = np.array([transition_sparsity(N, r) for r in range(1, N)])
    for axis, what in zip(axes, ("theta", "s"), strict=True):
        rate = table.pivot(index="k", columns="r", values=f"success_{what}").loc[sparsities, ranks].to_numpy()
        image = axis.pcolormesh(
            _edges(ranks), _edges(sparsities), rate, cmap=plotting.RATE_MAP, vmin=0, vmax=1, rasterized=True
        )
        axis.plot(np.arange(1, N), curve, color=plotting.RED, lw=2.2)
        cover = table.pivot(index="k", columns="r", values="covered").loc[sparsities, ranks].to_numpy()
        corrupted = sparsities > 0
        held = (cover[corrupted] >= 0.5) * sparsities[corrupted, None]
        axis.fill_between(ranks, 0, held.max(axis=0), step="mid", color=plotting.CYAN, lw=0)
        axis.set(
            xlabel="rank $r$ of $J$",
            xlim=(_edges(ranks)[0], _edges(ranks)[-1]),
            ylim=(_edges(sparsities)[0], 100),
            title=rf"success rate for $\{what}$" if what == "theta" else "success rate for $s$",
        )
        axis.grid(visible=False)
    axes[0].set_ylabel("corrupted entries $k$")
    bar = figure.colorbar(image, ax=axes, pad=0.01, fraction=0.03)
    bar.set_label(f"share of {int(table.trials.max())} trials with relative error < {SUCCESS:g}")
    found = coverage(table)
    axes[1].legend(
        handles=[
            Line2D([], [], color=plotting.RED, lw=2.2, label="predicted 50 % curve, no free parameter"),
            Line2D(
                [],
                [],
                color=plotting.CYAN,
                lw=6,
                label=f"condition (28) holds ($k\\geq1$): {100 * found['covered_of_recovered']:.2g} % of the recovered",
            ),
        ],
        loc="upper right",
        labelcolor="white",
    )
    plotting.caption(
        figure,
        f"$N={N}$, $p={P}$, $\\lambda={LAM}$; {len(ranks)} x {len(sparsities)} cells (r, k), {int(table.trials.max())}"
        f" trials each, every program certified to a relative duality gap of {table.largest_gap.max():.0e} or less.",
    )
    return figure


def tables(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return what the figure says in numbers: coverage by (28), and measured against predicted 50 % points."""
    rows = []
    for r, column in table.groupby("r"):
        rate = column.sort_values("k")
        below = rate.k[rate.success_theta < 0.5]
        rows.append(
            {
                "r": r,
                "measured k at 50 %": float(below.min()) if len(below) else np.nan,
                "predicted k": float(transition_sparsity(N, r)) if r < N else 0.0,
            }
        )
    return {"coverage": pd.DataFrame([coverage(table)]), "transition": pd.DataFrame(rows)}


def _edges(centres: np.ndarray) -> np.ndarray:
    between = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[1.5 * centres[0] - 0.5 * centres[1]], between, [1.5 * centres[-1] - 0.5 * centres[-2]]])


def _widths(column: pd.Series) -> pd.Series:
    centres = np.sort(column.unique())
    return column.map(dict(zip(centres, np.diff(_edges(centres)), strict=True)))


STUDIES = (study.Study("fig4", cell, GRIDS, draw, tables, warm=lambda: cell(5, 5, 1)),)

if __name__ == "__main__":
    sys.exit(study.main("theory.fig4_phase_transition"))
