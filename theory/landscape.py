"""The landscape of (15), Proposition 3.2 of the SOP paper: every critical point is a global minimum or a strict saddle.

    python -m theory.landscape            seconds
    python -m theory.landscape --quick    fewer points
    python -m theory.landscape --full     more

Critical points are constructed, not searched for: switch off a set Z of samples (u_i = v_i = 0), fit theta to y on Z by
least squares, add any vector that J_Z does not see, and let u and v fit every other sample exactly (a one-parameter
family each). Every critical point arises so, by Lemma B.1. The Hessian's eigenvalues are then computed in full and
compared with what sparseop.linear.landscape derives, sharper than the proposition: the negative ones are exactly
-2|r_i|, one for each r_i != 0.
"""

import sys

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from sparseop import plotting, study
from sparseop.linear.landscape import classify_critical_point, gradient, hessian
from sparseop.linear.problem import gaussian_problem

#: name -> (N, p, r, k)
SIZES = {
    "p > N, low rank": (20, 40, 3, 3),
    "p > N, full rank": (12, 30, 12, 4),
    "p < N": (24, 8, 8, 6),
    "k = 0": (16, 20, 5, 0),
}


def cell(size: str, trial: int) -> list[study.Row]:
    """Construct one critical point for every number of samples switched off, on one instance."""
    n, p, r, k = SIZES[size]
    rng = study.generator("landscape", size, trial)
    problem = gaussian_problem(n, p, r, k, seed=rng)
    rows = []
    for count in range(1, n + 1):
        off = rng.permutation(n)[:count]
        J, y = problem.J[off], problem.y[off]
        inverse = np.linalg.pinv(J)
        theta = inverse @ y
        unseen = rng.standard_normal(p)
        theta = theta + unseen - inverse @ (J @ unseen)
        s, free = problem.y - problem.J @ theta, rng.random(n)
        u, v = np.sqrt(np.maximum(s, 0) + free), np.sqrt(np.maximum(-s, 0) + free)
        u[off] = v[off] = 0
        verdict = classify_critical_point(problem, theta, u, v)
        eigenvalues = np.linalg.eigvalsh(hessian(problem, theta, u, v))
        residual = np.sort(-2 * np.abs(verdict.residual))
        scale = float(eigenvalues[-1])
        negative = int((eigenvalues < -1e-10 * scale).sum())
        rows.append(
            {
                "off": count,
                "rank": r,
                "kind": verdict.kind,
                "smallest": eigenvalues[0],
                "predicted": residual[0],
                "largest": scale,
                "negative": negative,
                "residuals": int((residual < -1e-10 * scale).sum()),
                "spectrum_error": float(np.abs(eigenvalues[:negative] - residual[:negative]).max(initial=0)) / scale,
                "gradient": max(float(np.abs(g).max()) for g in gradient(problem, theta, u, v)),
            }
        )
    return rows


def draw(table: pd.DataFrame) -> Figure:
    """Draw smallest eigenvalue against -2 max|r|, and for each size how often a critical point is a saddle."""
    figure = Figure(figsize=(12, 5))
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.15])
    _draw_curvature(left.subplots(), table)
    _draw_shares(right, table)
    saddles, minima = table[table.kind == "strict saddle"], int((table.kind == "global minimum").sum())
    plotting.caption(
        figure,
        f"{len(table)} constructed critical points: {len(saddles)} strict saddles, each with the curvature that theory"
        f" says (up to {saddles.spectrum_error.max():.0e} of the largest eigenvalue), and"
        f" {minima} global minima; {len(table) - len(saddles) - minima} others.",
    )
    return figure


def _draw_curvature(axis: Axes, table: pd.DataFrame) -> None:
    saddles = table[table.kind == "strict saddle"]
    for index, size in enumerate(SIZES):
        rows = saddles[saddles["size"] == size]
        if len(rows):
            axis.plot(
                -rows.predicted,
                -rows.smallest,
                plotting.MARKERS[index],
                ms=5,
                alpha=0.5,
                mec="none",
                color=plotting.COLORS[index],
                label=size,
            )
    ends = np.array([0.5 * saddles.predicted.abs().min(), 2 * saddles.predicted.abs().max()])
    axis.plot(ends, ends, color="black", lw=1, zorder=0)
    axis.set(
        xscale="log",
        yscale="log",
        xlabel=r"predicted: $2 \max_i |r_i|$",
        ylabel=r"measured: $-\lambda_{\min}(\nabla^2 h)$",
        title="how steeply a saddle falls away",
    )
    axis.legend(loc="upper left")


def _draw_shares(panel: SubFigure, table: pd.DataFrame) -> None:
    axes = panel.subplots(2, 2, sharex=True, sharey=True).ravel()
    for index, (axis, (size, (n, p, r, k))) in enumerate(zip(axes, SIZES.items(), strict=True)):
        rows = table[table["size"] == size]
        share = (rows.kind == "strict saddle").groupby(rows.off - rows["rank"]).mean()
        axis.plot(share.index, share, color=plotting.COLORS[index], marker=plotting.MARKERS[index], ms=4, lw=1.2)
        axis.axvline(0, color=plotting.GREY, ls=":", lw=1.2)
        axis.set_title(f"{size}\n(N, p, r, k) = ({n}, {p}, {r}, {k})", fontsize=9.5)
        axis.set(ylim=(-0.06, 1.06), yticks=[0, 0.5, 1])
    panel.supylabel("share of strict saddles", fontsize=11)
    panel.supxlabel("samples switched off, minus r", fontsize=11)


def table(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return counts and the largest deviation from theory for each size of problem."""
    lines = []
    for size, group in rows.groupby("size", sort=False):
        saddles = group[group.kind == "strict saddle"]
        n, p, r, k = SIZES[str(size)]
        lines.append(
            {
                "problem": size,
                "N": n,
                "p": p,
                "r": r,
                "k": k,
                "critical points": len(group),
                "strict saddles": len(saddles),
                "global minima": int((group.kind == "global minimum").sum()),
                "others": int((~group.kind.isin(["strict saddle", "global minimum"])).sum()),
                "number of negative eigenvalues = number of r_i != 0": bool((group.negative == group.residuals).all()),
                "largest |eigenvalue + 2|r_i|| / largest eigenvalue": (
                    f"{saddles.spectrum_error.max():.0e}" if len(saddles) else "no saddle"
                ),
                "largest gradient": group.gradient.max(),
            }
        )
    return {"": pd.DataFrame(lines)}


GRIDS = {
    mode: [{"size": size, "trial": t} for size in SIZES for t in range(trials)]
    for mode, trials in (("paper", 20), ("quick", 3), ("full", 100))
}
STUDIES = (study.Study("landscape", cell, GRIDS, draw, table),)

if __name__ == "__main__":
    sys.exit(study.main("theory.landscape"))
