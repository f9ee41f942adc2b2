"""The refinery's Jacobian: large on S+, small on S- (SANE, Assumption 3, Theorem 4); the noise S+ sees (Lemma 8).

    python -m theory.refinery_jacobian            both studies, seconds
    python -m theory.refinery_jacobian --quick    two seeds, a coarse grid

S+ are the vectors that are constant on every cluster of crops. Labels of a cluster are right or wrong crop by crop, so
label noise lies mostly in S-: where the network is slow to learn. Everything the refinery can do rests on that gap.
"""

import sys

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sparseop import plotting, study
from sparseop.refinery.constants import jacobian_spectrum
from sparseop.refinery.data import corrupted_dataset
from sparseop.refinery.network import OneHiddenLayer, smallest_eigenvalue

SEEDS = {"paper": 5, "quick": 2}
DIM, CENTRES, CROPS, WIDTH, EPS = 20, 10, 50, 500, 0.3
EPSILONS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
WIDTHS = (20, 50, 100, 200, 500, 1000)
COUNTS = (2, 4, 7, 10, 15, 20, 30)
ACTIVATIONS = ("tanh", "softplus", "sigmoid")
RHOS = (0.02, 0.06, 0.1, 0.2, 0.3, 0.4, 0.48)
#: (classes, sizes of the clusters): equal ones, and 10 to 90 crops
PROJECTIONS = ((2, "equal"), (3, "equal"), (5, "equal"), (10, "equal"), (2, "unequal"), (5, "unequal"))
SIZES = {"equal": [50] * CENTRES, "unequal": [10, 90, 20, 80, 30, 70, 40, 60, 50, 50]}


def jacobian_cell(activation: str, eps: float, centres: int, width: int, seed: int) -> study.Row:
    """Singular values of J(W_0, X) on S+ and S-, at one random draw, next to the constants of Theorem 4."""
    data = corrupted_dataset(centres, DIM, CROPS, rho=0, eps=eps, seed=study.generator("jacobian data", centres, seed))
    network = OneHiddenLayer.gaussian(width, DIM, activation, seed=study.generator("jacobian network", seed))
    spectrum = jacobian_spectrum(data, network)
    lam = smallest_eigenvalue(data.centres, activation)
    per = data.n / data.n_centres
    norm = float(np.linalg.norm(data.centres, 2))
    return {
        "lam": lam,
        "plus_min": spectrum.plus[-1],
        "plus_max": spectrum.plus[0],
        "minus_max": spectrum.minus[0],
        "minus_median": float(np.median(spectrum.minus)),
        "alpha_prime": np.sqrt(data.c_low * per * lam / 2),
        "mean_width_limit": np.sqrt(per * lam),
        "beta_bound": np.sqrt(data.c_up * per) * network.phi.Gamma * norm,
        "minus_bound": network.phi.Gamma * np.sqrt(data.n) * data.eps,
        "slope_bound": network.phi.slope * np.sqrt(data.c_up * per) * norm,
    }


def projection_cell(rho: float, classes: int, sizes: str, corruption: str, seed: int) -> study.Row:
    """|P_S+ e|_inf of one draw of wrong labels, next to the bounds of Lemmas 8 and 4."""
    data = corrupted_dataset(
        CENTRES,
        DIM,
        SIZES[sizes],
        rho=rho,
        eps=0,
        n_classes=classes,
        corruption=corruption,
        seed=study.generator("projection", rho_key(rho), classes, sizes, corruption, seed),
    )
    e = data.y - data.y_star
    wrong = int(np.count_nonzero(e))
    spread = data.diffusedness * np.sqrt(wrong) / data.n
    return {
        "projection": np.abs(data.plus(e)).max(),
        "lemma8": 2 * rho,
        "lemma4": spread * np.linalg.norm(e),
        "printed_inf": spread * np.abs(e).max(initial=0.0),
    }


def rho_key(rho: float) -> int:
    """Return a whole number for a random key."""
    return round(1000 * rho)


def jacobian_grid(seeds: int) -> list[study.Row]:
    """One parameter varied at a time, around the base setting."""
    base = {"activation": "tanh", "eps": EPS, "centres": CENTRES, "width": WIDTH}
    varied = [{**base, "eps": e} for e in EPSILONS if e != EPS]
    varied += [{**base, "activation": a, "centres": c} for a in ACTIVATIONS for c in COUNTS]
    varied += [{**base, "width": w} for w in WIDTHS if w != WIDTH]
    return [{**parameters, "seed": seed} for parameters in varied for seed in range(seeds)]


def projection_grid(seeds: int) -> list[study.Row]:
    """All shares of wrong labels, cluster sizes and both ways to be wrong."""
    return [
        {"rho": r, "classes": c, "sizes": s, "corruption": kind, "seed": seed}
        for c, s in PROJECTIONS
        for r in RHOS
        for kind in ("random", "farthest")
        for seed in range(seeds)
    ]


def draw_jacobian(table: pd.DataFrame) -> Figure:
    """Three panels: singular values against eps; their smallest on S+ against the width; lambda(C) against K."""
    figure = Figure(figsize=(12.6, 4.6))
    left, middle, right = figure.subplots(1, 3)
    base = table[(table.centres == CENTRES) & (table.width == WIDTH) & (table.activation == "tanh")]
    series = (
        ("plus_max", plotting.BLUE, "o", r"largest on $S_+$  ($\beta$)"),
        ("plus_min", plotting.GREEN, "s", r"smallest on $S_+$  ($\alpha$)"),
        ("minus_max", plotting.RED, "^", r"largest on $S_-$  ($\epsilon$)"),
        ("minus_median", plotting.YELLOW, "D", r"median on $S_-$"),
    )
    for name, color, marker, label in series:
        plotting.mean_spread(left, base, "eps", name, color=color, marker=marker, label=label)
    mean = base.groupby("eps")[["beta_bound", "alpha_prime", "minus_bound"]].mean()
    left.plot(mean.index, mean.beta_bound, color=plotting.BLUE, ls=":", lw=1.2)
    left.plot(mean.index, mean.alpha_prime, color=plotting.GREEN, ls=":", lw=1.2)
    left.plot(mean.index, mean.minus_bound, color=plotting.RED, ls=":", lw=1.2, label="bounds of Theorem 4, Lemma 9")
    left.set(
        xscale="log",
        yscale="log",
        xlabel=r"radius of the crops $\varepsilon$",
        ylabel="singular value of the Jacobian",
        title=r"large on $S_+$, small on $S_-$",
    )
    plotting.plain_ticks(left, (0.02, 0.05, 0.1, 0.2, 0.5))
    left.set_ylim(bottom=left.get_ylim()[0] * 0.06)
    left.legend(loc="lower right", fontsize=8.2)

    wide = table[(table.centres == CENTRES) & (table.eps == EPS) & (table.activation == "tanh")].copy()
    wide["relative"] = wide.plus_min / wide.mean_width_limit
    plotting.mean_spread(
        middle, wide, "width", "relative", color=plotting.GREEN, marker="s", label=r"measured, $\varepsilon=0.3$"
    )
    middle.axhline(1, color=plotting.GREY, ls="--", lw=1.2, label="infinite width, crops at their centres")
    middle.axhline(np.sqrt(0.5), color=plotting.GREEN, ls=":", lw=1.2, label=r"$\alpha'$, guaranteed at large width")
    middle.set(
        xscale="log",
        xlabel="width $k$",
        ylabel=r"smallest on $S_+$ / $\sqrt{n\lambda(C)/K}$",
        ylim=(0, 1.35),
        title=r"$\alpha$ settles at a small width",
    )
    middle.legend(loc="lower right", fontsize=8.2)

    counts = table[(table.eps == EPS) & (table.width == WIDTH)]
    for activation, color, marker, dash in zip(
        ACTIVATIONS, (plotting.BLUE, plotting.PURPLE, plotting.YELLOW), "ovD", ("-", "--", ":"), strict=True
    ):
        plotting.mean_spread(
            right,
            counts[counts.activation == activation],
            "centres",
            "lam",
            color=color,
            marker=marker,
            ls=dash,
            label=activation,
        )
    right.set(
        yscale="log",
        xlabel="centres $K$ (in $d=20$)",
        ylabel=r"$\lambda(C)$",
        title="more centres, harder to tell apart",
    )
    right.legend()
    plotting.caption(figure, draw_caption(table))
    return figure


def draw_caption(table: pd.DataFrame) -> str:
    """Say what the figure shows, in numbers."""
    base = table[(table.centres == CENTRES) & (table.width == WIDTH) & (table.activation == "tanh")]
    mean = base.groupby("eps").mean(numeric_only=True)
    slope = np.polyfit(np.log(mean.index), np.log(mean.minus_max), 1)[0]
    return (
        f"What crops share is learned fast (S+), what tells them apart slowly (S-): at ε = {EPS} the largest"
        " singular value"
        f" on S- is {mean.minus_max[EPS] / mean.plus_min[EPS]:.2f} of the smallest on S+, and it falls like"
        f" ε^{slope:.2f}. Mean and standard deviation of {base.seed.nunique()} draws."
    )


def draw_projection(table: pd.DataFrame) -> Figure:
    """|P_S+ e|_inf against rho, wrong labels drawn at random: at most 2 rho, and less with more classes."""
    figure = Figure(figsize=(7, 4.8))
    axis = figure.subplots()
    axis.set(
        xlabel=r"share of wrong labels $\rho$",
        ylabel=r"$\|P_{S_+}e\|_\infty$, what the corruption adds to a cluster's mean label",
        xlim=(0, 0.72),
        ylim=(0, 1.02),
        xticks=np.arange(0, 0.6, 0.1),
    )
    axis.yaxis.label.set_fontsize(9.5)
    ends = [(0.49, 0.98, r"$2\rho$: the bound of Lemma 8", "black")]
    for classes, color, marker, dash in zip(
        (2, 3, 5, 10), plotting.COLORS, plotting.MARKERS, plotting.DASHES, strict=False
    ):
        some = table[(table.classes == classes) & (table.sizes == "equal") & (table.corruption == "random")]
        plotting.mean_spread(axis, some, "rho", "projection", color=color, marker=marker, ls=dash)
        end = some[some.rho == some.rho.max()]
        ends.append((float(end.rho.iloc[0]), float(end.projection.mean()), f"{classes} classes", color))
    axis.plot([0, 0.5], [0, 1], color="black", lw=1, zorder=0)
    plotting.label_ends(axis, ends)
    close = table[(table.corruption == "farthest") & (table.sizes == "equal")]
    met = bool(np.allclose(close.projection, 2 * close.rho, rtol=1e-9))
    plotting.caption(
        figure,
        f"The more classes, the less random wrong labels add; the bound is {'met' if met else 'not met'} in all"
        f" {len(close)} draws of the farthest wrong label (not drawn). {CENTRES} clusters of 50.",
    )
    return figure


def table_projection(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """How loose Lemmas 8 and 4 are, and how often the printed infinity norm fails."""
    some = table.assign(
        loose8=table.lemma8 / table.projection,
        loose4=table.lemma4 / table.projection,
        fails=table.printed_inf < table.projection * (1 - 1e-12),
    )
    grouped = some[np.isfinite(some.loose8)].groupby(["corruption", "classes", "sizes"], sort=False)
    return {
        "": (
            grouped.agg(
                **{
                    "2 rho / measured, min": ("loose8", "min"),
                    "2 rho / measured, mean": ("loose8", "mean"),
                    "Lemma 4 / measured, min": ("loose4", "min"),
                    "Lemma 4 / measured, mean": ("loose4", "mean"),
                    "draws violating the |e|_inf version": ("fails", "mean"),
                }
            ).reset_index()
        )
    }


STUDIES = (
    study.Study("refinery_jacobian", jacobian_cell, {m: jacobian_grid(s) for m, s in SEEDS.items()}, draw_jacobian),
    study.Study(
        "refinery_projection",
        projection_cell,
        {m: projection_grid(s) for m, s in SEEDS.items()},
        draw_projection,
        table_projection,
    ),
)

if __name__ == "__main__":
    sys.exit(study.main("theory.refinery_jacobian"))
