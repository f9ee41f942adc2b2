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
from matplotlib.figure import Figure

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
    """Draw smallest eigenvalue against -2 max|r|, and how often and how steeply a critical point is a saddle."""
    figure = Figure(figsize=(12.5, 5.2))
    axes = figure.subplots(1, 2)
    saddles = table[table.kind == "strict saddle"]
    for index, (size, rows) in enumerate(table.groupby("size", sort=False)):
        color, marker, here = plotting.COLORS[index], plotting.MARKERS[index], rows.kind == "strict saddle"
        if here.any():
            axes[0].plot(
                -rows.predicted[here],
                -rows.smallest[here],
                marker,
                ms=4,
                alpha=0.5,
                mec="none",
                color=color,
                label=f"{size}: {_label(size)}",
            )
        share = here.groupby(rows.off - rows["rank"]).mean()
        axes[1].plot(
            share.index,
            share + 0.015 * index,
            color=color,
            ls=plotting.DASHES[index],
            marker=marker,
            ms=4,
            label=f"{size}, r = {SIZES[str(size)][2]}",
        )
    ends = np.array([0.5 * saddles.predicted.abs().min(), 2 * saddles.predicted.abs().max()])
    axes[0].plot(ends, ends, color="black", lw=1, zorder=0)
    axes[0].set(
        xscale="log",
        yscale="log",
        xlabel=r"$2 \max_i |r_i|$",
        ylabel=r"$-\lambda_{\min}(\nabla^2 h)$",
        title="the most negative curvature is known exactly",
    )
    axes[0].legend(loc="upper left", fontsize=9)
    axes[1].axvline(0, color=plotting.GREY, ls=":", lw=1.2)
    axes[1].set(
        xlabel="samples switched off, minus r",
        ylabel="share of strict saddles",
        ylim=(-0.05, 1.1),
        xlim=(-16.5, 17.5),
        title="a saddle: more than r samples off, a corrupted one too",
    )
    axes[1].legend(loc="center left", bbox_to_anchor=(0, 0.6), fontsize=9)
    plotting.caption(
        figure,
        f"{len(table)} constructed critical points, {table.trial.nunique()} instances of each size, one point for every"
        f" number of samples switched off: {len(saddles)} strict saddles, {(table.kind == 'global minimum').sum()}"
        f" global minima, {(~table.kind.isin(['strict saddle', 'global minimum'])).sum()} others. All negative"
        f" eigenvalues equal -2|r_i|, one for each r_i ≠ 0: largest deviation {saddles.spectrum_error.max():.0e} of the"
        " largest eigenvalue. Right: the others are global minima; curves are set apart by 0.015.",
    )
    return figure


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


def _label(size: str) -> str:
    n, p, r, k = SIZES[size]
    return f"(N, p, r, k) = ({n}, {p}, {r}, {k})"


GRIDS = {
    mode: [{"size": size, "trial": t} for size in SIZES for t in range(trials)]
    for mode, trials in (("paper", 20), ("quick", 3), ("full", 100))
}
STUDIES = (study.Study("landscape", cell, GRIDS, draw, table),)

if __name__ == "__main__":
    sys.exit(study.main("theory.landscape"))
