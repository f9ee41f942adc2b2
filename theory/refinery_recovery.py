"""When the refinery recovers every label: over rho, delta, eps, width and alpha (SANE paper, Theorem 2).

    python -m theory.refinery_recovery            four studies, at most five minutes on two cores
    python -m theory.refinery_recovery --quick    two seeds, coarse grids

Linear theory of the refinery with x~ another crop (docs/refinery.md): on S+ the network learns the cluster means P_S+
y, on S- the share 1 - alpha of the rest. So predictions are right while |P_S+ e|_inf < delta / 2, and with two classes
refined labels are right while alpha > 1 / (2 - 2 rho). The theorem asks for rho <= delta / 32.
"""

import sys

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sparseop import plotting, study
from sparseop.refinery.data import corrupted_dataset
from sparseop.refinery.descent import largest_step, log_steps, refine
from sparseop.refinery.network import OneHiddenLayer
from sparseop.refinery.worst_case import worst_accuracy, worst_crops

DIM, CENTRES, CROPS, WIDTH = 20, 10, 50, 200
SEEDS = {"paper": 5, "quick": 2, "full": 10}
RHOS = (0.02, 0.06, 0.1, 0.2, 0.3, 0.4, 0.45)
CLASSES = (2, 3, 4, 5, 10)
EPSILONS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
WIDTHS = (10, 20, 50, 100, 200, 500, 1000)
ALPHAS = (0.3, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
ALPHA_RHOS = (0.1, 0.3, 0.4)
#: effective steps (in units of descent's largest step) that every refinery run gets; by then S+ has converged
EFFECTIVE = 400
DESCENT_STEPS = 2000


def _draw(name: str, seed: int, *, width: int = WIDTH, **options):  # type: ignore[no-untyped-def]
    data = corrupted_dataset(CENTRES, DIM, CROPS, seed=study.generator(name, "data", seed), **options)
    return data, OneHiddenLayer.gaussian(width, DIM, seed=study.generator(name, "network", seed))


def _refined(name: str, seed: int, data, network, alpha: float, steps: int = EFFECTIVE):  # type: ignore[no-untyped-def]
    """Run the refinery with another crop, at the step 1 / (1 - alpha) times descent's.

    The same effective time in the same steps.
    """
    return refine(
        data,
        network,
        steps=steps,
        eta=largest_step(data, network) / (1 - alpha),
        alpha=alpha,
        positive_from="cluster",
        precision="single",
        record=[0, steps],
        seed=study.generator(name, "run", seed),
    )


def diagram_cell(rho: float, classes: int, seed: int) -> study.Row:
    """One point of the recovery diagram; eps small, alpha near 1, so that rho and delta alone decide."""
    data, network = _draw("diagram", seed, rho=rho, eps=0.2, n_classes=classes)
    run = _refined("diagram", seed, data, network, 0.95)
    return {
        "delta": data.delta,
        "projection": np.abs(data.plus(data.y - data.y_star)).max(),
        "test_accuracy": run.test_accuracy[-1],
        "train_accuracy": run.train_accuracy[-1],
        "label_recovery": run.label_recovery[-1],
        "error_max": run.error_max[-1],
    }


def eps_cell(method: str, eps: float, seed: int) -> study.Row:
    """Descent (at its end and at its best) or the refinery, at one radius of the crops."""
    data, network = _draw("eps", seed, rho=0.3, eps=eps)
    return _compared("eps", method, data, network, seed)


def width_cell(method: str, width: int, seed: int) -> study.Row:
    """Do the same at one width."""
    data, network = _draw("width", seed, rho=0.3, eps=0.3, width=width)
    return _compared("width", method, data, network, seed)


def _compared(name: str, method: str, data, network, seed: int) -> study.Row:  # type: ignore[no-untyped-def]
    if method == "descent":
        run = refine(
            data,
            network,
            steps=DESCENT_STEPS,
            precision="single",
            record=log_steps(DESCENT_STEPS, 40),
            seed=study.generator(name, "run", seed),
        )
    else:
        run = _refined(name, seed, data, network, 0.9)
    worst = worst_crops(network.at(run.W), data, seed=study.generator(name, "worst", seed))
    return {
        "test_accuracy": run.test_accuracy[-1],
        "best_accuracy": run.test_accuracy.max(),
        "noise_fitted": run.noise_fitted[-1],
        "worst_accuracy": worst_accuracy(data, worst),
    }


def alpha_cell(alpha: float, rho: float, seed: int) -> study.Row:
    """Refined labels recovered at one weight alpha; two classes."""
    data, network = _draw("alpha", seed, rho=rho, eps=0.1)
    run = _refined("alpha", seed, data, network, alpha)
    return {
        "label_recovery": run.label_recovery[-1],
        "wrong_recovered": 1 - (1 - run.label_recovery[-1]) / rho,
        "test_accuracy": run.test_accuracy[-1],
    }


def draw_diagram(table: pd.DataFrame) -> Figure:
    """Every draw by its projected noise and delta, and the success rate of each cell of the grid."""
    figure = Figure(figsize=(12.2, 5))
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    rate = table.assign(ok=table.test_accuracy == 1).pivot_table(index="classes", columns="rho", values="ok")
    image = left.imshow(rate.to_numpy(), cmap=plotting.RATE_MAP, vmin=0, vmax=1, aspect="auto")
    left.set_xticks(range(len(rate.columns)), [f"{r:g}" for r in rate.columns])
    left.set_yticks(range(len(rate.index)), [f"{2 / (c - 1):.2g}" for c in rate.index])
    for (i, j), value in np.ndenumerate(rate.to_numpy()):
        left.text(j, i, f"{value:g}", ha="center", va="center", fontsize=9, color="black" if value > 0.5 else "white")
    for i, c in enumerate(rate.index):  # the theorem's condition rho <= delta / 32
        covered = int(np.sum(np.array(rate.columns) <= 2 / (c - 1) / 32 + 1e-12))
        left.plot(
            [covered - 0.5] * 2,
            [i - 0.5, i + 0.5],
            color=plotting.RED,
            lw=3,
            clip_on=False,
            label=r"theorem: left of this, $\rho\leq\delta/32$" if i == 0 else None,
        )
    left.grid(False)
    left.set(
        xlabel=r"share of wrong labels $\rho$",
        ylabel=r"label separation $\delta$",
        title="share of draws with every test crop right",
    )
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16))
    figure.colorbar(image, ax=left, shrink=0.8)

    for classes, color, marker in zip(CLASSES, plotting.COLORS, plotting.MARKERS, strict=False):
        some = table[table.classes == classes]
        right.plot(
            2 * some.projection / some.delta,
            some.test_accuracy,
            marker,
            color=color,
            ms=5,
            alpha=0.7,
            mew=0,
            label=rf"$\delta={2 / (classes - 1):.2g}$",
        )
    right.axvline(1, color="black", lw=1.2, ls="--", label=r"$\|P_{S_+}e\|_\infty = \delta/2$")
    right.axvline(1 / 8, color=plotting.RED, lw=1.5, label=r"$2\rho = \delta/16$, the theorem")
    right.set(
        xscale="log",
        xlabel=r"$2\,\|P_{S_+}e\|_\infty / \delta$",
        ylabel="test accuracy",
        title="one line for all label separations",
        ylim=(0, 1.04),
    )
    right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=4, fontsize=8.6)
    covered, inside, outside = table_counts(table)
    plotting.caption(
        figure,
        f"What decides is |P e| against δ/2: of the draws below 0.7 of it {inside:.0%} end with every crop"
        " right, of those"
        f" beyond 1.1 of it {outside:.0%}. The theorem's ρ ≤ δ/32 covers {covered:.1%} of the successful draws.",
    )
    return figure


def table_counts(table: pd.DataFrame) -> tuple[float, float, float]:
    """Share of the successes that the theorem covers; success rates clearly inside and clearly outside the line."""
    ok, ratio = table.test_accuracy == 1, 2 * table.projection / table.delta
    covered = (table.rho <= table.delta / 32 + 1e-12)[ok].mean()
    return float(covered), float(ok[ratio < 0.7].mean()), float(ok[ratio > 1.1].mean())


def draw_sweep(table: pd.DataFrame, x: str, label: str, note: str) -> Figure:
    """Descent at its end and at its best, the refinery at its end, on random and on worst crops."""
    figure = Figure(figsize=(7.6, 4.9))
    axis = figure.subplots()
    series = (
        ("descent", "test_accuracy", plotting.BLUE, "o", "-", f"gradient descent after {DESCENT_STEPS} steps"),
        ("descent", "best_accuracy", plotting.CYAN, "D", "--", "gradient descent stopped at its best (an oracle)"),
        ("refinery", "test_accuracy", plotting.RED, "s", "-", "refinery, another crop: random crops"),
        ("refinery", "worst_accuracy", plotting.PURPLE, "v", ":", "refinery: centres without any wrong crop"),
    )
    for method, name, color, marker, dash, text in series:
        plotting.mean_spread(
            axis,
            table[table.method == method],
            x,
            name,
            within=(0, 1),
            color=color,
            marker=marker,
            ls=dash,
            label=text,
        )
    if x == "width":
        axis.set_xscale("log")
        plotting.plain_ticks(axis, sorted(table.width.unique()))
    axis.set(xlabel=label, ylabel="accuracy", ylim=(-0.03, 1.05))
    axis.legend(loc="lower left" if x == "eps" else "lower right", fontsize=8.8)
    plotting.caption(figure, note.format(draws=table.seed.nunique()))
    return figure


def draw_eps(table: pd.DataFrame) -> Figure:
    """Accuracy against the radius of the crops."""
    return draw_sweep(
        table,
        "eps",
        r"radius of the crops $\varepsilon$",
        "The refinery needs no stopping time and is as right on random crops as descent stopped by an oracle; the worst"
        " crop is another matter. Mean and standard deviation of {draws} draws.",
    )


def draw_width(table: pd.DataFrame) -> Figure:
    """Accuracy against the width."""
    return draw_sweep(
        table,
        "width",
        "width $k$",
        "On random crops the refinery is right at every width. Mean and standard deviation of {draws} draws.",
    )


def draw_alpha(table: pd.DataFrame) -> Figure:
    """Share of the wrong labels corrected against alpha, with the threshold of linear theory."""
    figure = Figure(figsize=(7.6, 4.9))
    axis = figure.subplots()
    for rho, color, marker in zip(ALPHA_RHOS, plotting.COLORS, plotting.MARKERS, strict=False):
        plotting.mean_spread(
            axis,
            table[table.rho == rho],
            "alpha",
            "wrong_recovered",
            within=(0, 1),
            color=color,
            marker=marker,
            label=rf"$\rho={rho:g}$",
        )
        axis.axvline(1 / (2 - 2 * rho), color=color, ls=":", lw=1.3)
    axis.plot([], [], color=plotting.GREY, ls=":", label=r"$1/(2-2\rho)$")
    axis.set(
        xlabel=r"weight $\alpha$ of the network's own label",
        ylabel="share of the wrong labels corrected",
        ylim=(-0.05, 1.05),
    )
    axis.legend(loc="upper left")
    plotting.caption(
        figure,
        "Wrong labels are corrected once α exceeds 1/(2-2ρ). The paper asks for α ≥ -0.5, which every α meets;"
        " its proof"
        f" supports α > 0.67 with ρ ≤ 1/16. Mean and standard deviation of {table.seed.nunique()} draws.",
    )
    return figure


def _grid(*values: tuple[str, tuple]) -> dict[str, list[study.Row]]:  # type: ignore[type-arg]
    def build(seeds: int, coarse: bool) -> list[study.Row]:
        rows: list[study.Row] = [{}]
        for name, options in values:
            options = options[::3] if coarse and len(options) > 3 else options
            rows = [{**row, name: value} for row in rows for value in options]
        return [{**row, "seed": seed} for row in rows for seed in range(seeds)]

    return {mode: build(seeds, mode == "quick") for mode, seeds in SEEDS.items()}


METHODS = ("descent", "refinery")
STUDIES = (
    study.Study("refinery_diagram", diagram_cell, _grid(("rho", RHOS), ("classes", CLASSES)), draw_diagram),
    study.Study("refinery_eps", eps_cell, _grid(("method", METHODS), ("eps", EPSILONS)), draw_eps),
    study.Study("refinery_width", width_cell, _grid(("method", METHODS), ("width", WIDTHS)), draw_width),
    study.Study("refinery_alpha", alpha_cell, _grid(("rho", ALPHA_RHOS), ("alpha", ALPHAS)), draw_alpha),
)

if __name__ == "__main__":
    sys.exit(study.main("theory.refinery_recovery"))
