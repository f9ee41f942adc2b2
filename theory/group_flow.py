"""Which flow has the row-group program as its implicit bias: Figure 2 for corruption that is sparse by rows.

    python -m theory.group_flow            a few minutes on two cores
    python -m theory.group_flow --quick    two instances

Instances as in Figure 2, with two outputs: (N, p, r, k) = (20, 40, 3, 3), K = 2. Each flow at gamma = exp(-L) and the
alpha that matches lam; its distance to the program, over lam, and whether it recovers the truth. The statements
tested are those of ``sparseop.linear.group_flow``: overcomplete directions converge to the program, products of a
number and a vector are switched on by the length of a path instead of its chord, normalised vectors do not turn.
"""

import sys

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sparseop import plotting, study
from sparseop.linear import solve_groups
from sparseop.linear.group_flow import group_flow, group_flow_limit, plane_directions

N, P, RANK, WRONG, OUTPUTS = 20, 40, 3, 3, 2
LAMS = tuple(float(x) for x in np.round(np.logspace(-3, 0, 13), 6))
SCALES = (8, 16, 32)
#: factors -> label, colour, dash
KINDS = {
    "directions 4": ("4 directions", plotting.CYAN, "--"),
    "directions 32": ("32 directions", plotting.BLUE, "-"),
    "products": (r"products $a_i b_i$", plotting.GREEN, "-."),
    "normalised": (r"normalised $a_i^2 b_i/|b_i|$", plotting.RED, ":"),
}
SEEDS = {"paper": 6, "quick": 2}


def instance(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return J, Y and Theta_star: Figure 2's draw with K outputs and corrupted rows; the truth is of least norm."""
    rng = study.generator("group flow", seed)
    J = rng.standard_normal((N, RANK)) @ rng.standard_normal((RANK, P))
    S = np.zeros((N, OUTPUTS))
    S[rng.permutation(N)[:WRONG]] = rng.standard_normal((WRONG, OUTPUTS))
    truth = np.linalg.pinv(J) @ (J @ rng.standard_normal((P, OUTPUTS)))
    return J, J @ truth + S, truth


def cell(seed: int, lam: float) -> list[study.Row]:
    """Return a row for each flow and scale: distances to program and truth, the length of the path and its chord."""
    J, Y, truth = instance(seed)
    program = solve_groups(J, Y, lam, tol=1e-12)
    size = float(np.linalg.norm(program.Theta))
    rows = []
    for scale in SCALES:
        gamma = float(np.exp(-scale))
        for kind in KINDS:
            if kind.startswith("directions"):
                flow = group_flow_limit(
                    J, Y, plane_directions(int(kind.split()[1])), alpha=scale / (2 * lam), gamma=gamma
                )
            else:
                alpha = scale / lam if kind == "products" else scale / (2 * lam)
                flow = group_flow(J, Y, kind, alpha=alpha, gamma=gamma, horizon=500 * lam)
            on = np.linalg.norm(flow.S, axis=1) > 1e-2
            chord = np.linalg.norm(flow.V, axis=1)
            rows.append(
                {
                    "scale": scale,
                    "kind": kind,
                    "difference": float(np.linalg.norm(flow.Theta - program.Theta)) / size,
                    "error": float(np.linalg.norm(flow.Theta - truth) / np.linalg.norm(truth)),
                    "program_error": float(np.linalg.norm(program.Theta - truth) / np.linalg.norm(truth)),
                    "length": float(np.median(flow.length[on]) / lam) if on.any() else float("nan"),
                    "chord": float(np.median(chord[on]) / lam) if on.any() else float("nan"),
                    "residual": flow.residual,
                    "gap": program.gap,
                    "status": str(flow.status),
                }
            )
    return rows


def draw(table: pd.DataFrame) -> Figure:
    """Draw the distance to the program over lam at two scales, and the share of instances that are recovered."""
    figure = Figure(figsize=(13, 4.6))
    axes = figure.subplots(1, 3)
    for axis, scale in zip(axes[:2], (SCALES[0], SCALES[-1]), strict=True):
        for kind, (label, color, dash) in KINDS.items():
            part = table[(table.kind == kind) & (table.scale == scale)].groupby("lam").difference
            axis.plot(part.median().index, part.median().clip(1e-13), color=color, ls=dash, label=label)
            axis.fill_between(
                part.median().index, part.min().clip(1e-13), part.max().clip(1e-13), color=color, alpha=0.1, lw=0
            )
        axis.set(
            xscale="log",
            yscale="log",
            xlabel=r"$\lambda$",
            ylim=(1e-13, 20),
            title=rf"$\gamma = e^{{-{scale}}}$, $\alpha$ matched to $\lambda$",
        )
    axes[0].set(ylabel="relative difference of Θ to the program")
    axes[0].legend(fontsize=9, loc="lower left")
    last = table[table.scale == SCALES[-1]]
    recovered = last.assign(ok=last.error < 1e-3).groupby(["kind", "lam"]).ok.mean()
    for kind, (_, color, dash) in KINDS.items():
        axes[2].plot(recovered[kind].index, recovered[kind], color=color, ls=dash)
    program = last.assign(ok=last.program_error < 1e-3).groupby("lam").ok.mean()
    axes[2].plot(program.index, program, color="black", lw=3, alpha=0.25, label="the program")
    axes[2].set(xscale="log", xlabel=r"$\lambda$", ylabel="share recovered", title=rf"$\gamma = e^{{-{SCALES[-1]}}}$")
    axes[2].legend(fontsize=9, loc="upper left")
    products = last[(last.kind == "products") & (last.residual < 1e-3)]
    plotting.caption(
        figure,
        f"(N, p, r, k) = ({N}, {P}, {RANK}, {WRONG}), {OUTPUTS} outputs, {table.seed.nunique()} instances; "
        "line: median, band: all. Directions: exact limits; others: followed until time 500 λ. With "
        f"products a corrupted row is switched on\nwhen its path is {products.length.median():.2f} λ long "
        f"(median), while the chord, which the program bounds by λ, is {products.chord.median():.2f} λ "
        f"(least {products.chord.min():.2f}).",
    )
    return figure


def tables(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Tabulate each flow at each scale, where the program recovers and where it does not."""
    ok = np.where(table.program_error < 1e-3, "recovers", "does not")
    grouped = table.assign(program=ok).groupby(["program", "kind", "scale"])
    found = grouped.agg(difference=("difference", "median"), largest=("difference", "max"))
    share = grouped.error.agg(lambda error: float((error < 1e-3).mean()))
    return {"": found.assign(recovered=share).reset_index()}


GRIDS = {mode: [{"seed": seed, "lam": lam} for seed in range(count) for lam in LAMS] for mode, count in SEEDS.items()}
STUDIES = (study.Study("group_flow", cell, GRIDS, draw, tables),)

if __name__ == "__main__":
    sys.exit(study.main("theory.group_flow"))
