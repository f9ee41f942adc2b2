"""Where might refined labels pay by themselves? SANE, its uniform control and momentum mixup in seven regimes.

    python -m deep.sane_regimes             train (an hour and a quarter of one core), then draw; an interrupted run
                                            goes on
    python -m deep.sane_regimes --redraw    draw from the committed numbers, training nothing

On shapes the gain over MoCo comes from mixup (``deep.sane_shapes``). Refinement can add to that only where the keys it
trusts are of the query's class. So here: labels sharpened towards the nearest keys (tau' = 0.4), more confidence (mu up
to 40), a small queue (256 keys, so that false negatives are repeated less and each counts more), training three times
as long, three classes instead of ten (a third of all keys are false negatives), and 1,000 images instead of 8,000 for
as many steps (every key of the queue is an image seen before). Within a regime, the three methods differ in nothing but
the labels of the mixup term; the control gives every key but the own positive the same mass. One-hot labels know
neither tau' nor mu, so MM is the same run in the first three regimes.
"""

import math
import sys
from functools import partial
from textwrap import fill

import pandas as pd
from matplotlib.figure import Figure

from deep.sane_cells import FILES, ONE_HOT, train
from deep.tables import mean_std
from sparseop import plotting, study
from sparseop.study import Row, Study

SEEDS = (0, 1, 2)
TESTED = 2000  #: test images of shapes_sane
REGIMES: dict[str, tuple[int, tuple[str, ...]]] = {
    "as in sane_shapes": (8, ()),
    "sharper, tau' = 0.4": (8, ("method.sharpening=0.4",)),
    "mu up to 40": (8, ("method.mu_end=40",)),
    "queue of 256": (8, ("method.queue=256",)),
    "3 classes": (8, ("data.classes=3",)),
    "1,000 images, 64 epochs": (64, ("data.train=1000",)),
    "24 epochs": (24, ()),
}
METHODS: dict[str, tuple[str, ...]] = {"MM": ONE_HOT, "SANE": (), "uniform": ("method.refinement=uniform",)}


def cell(regime: str, method: str, seed: int) -> Row:
    """Train one method in one regime; the row of the last epoch."""
    epochs, changes = REGIMES[regime]
    return train((*changes, *METHODS[method]), epochs, seed, 99)[-1]


def tables(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return a line for each regime and method, with the paired difference from the control."""
    rows = []
    for (regime, method), runs in table.groupby(["regime", "method"], sort=False):
        control = table[(table["regime"] == regime) & (table["method"] == "uniform")].set_index("seed")["knn"]
        paired = (runs.set_index("seed")["knn"] - control).dropna()
        show = partial(mean_std, digits=2)
        rows.append(
            {
                "regime": regime,
                "method": method,
                "kNN (k = 20)": mean_std(runs["knn"]),
                "linear": mean_std(runs["linear"]),
                "own mass": show(runs["own_mass"]),
                "same class": show(runs["same_mass"]),
                "wrong class": show(runs["wrong_mass"]),
                "kNN minus uniform": (
                    "" if method == "uniform" else f"{paired.mean():+.1f} ({', '.join(f'{d:+.1f}' for d in paired)})"
                ),
            }
        )
    return {"": pd.DataFrame(rows)}


def draw(table: pd.DataFrame) -> Figure:
    """Draw how far kNN accuracy is from the uniform control's, seed by seed."""
    figure = Figure(figsize=(10.5, 4.4))
    ax = figure.subplots()
    knn = table.pivot_table(index=["regime", "seed"], columns="method", values="knn", sort=False)
    regimes = list(table["regime"].unique())
    ax.axhline(0, color=plotting.GREY, linewidth=1, linestyle="--")
    for number, (method, label) in enumerate((("MM", "one-hot labels (MM)"), ("SANE", "refined labels (SANE)"))):
        away = (knn[method] - knn["uniform"]).dropna()
        for regime, runs in away.groupby("regime"):
            x = regimes.index(regime) + 0.24 * (number - 0.5)
            ax.plot([x - 0.08, x + 0.08], [runs.mean()] * 2, color=plotting.COLORS[number], linewidth=2)
            ax.plot(
                [x] * len(runs),
                runs,
                plotting.MARKERS[number],
                color=plotting.COLORS[number],
                markersize=5,
                alpha=0.7,
                label=label if regime == regimes[0] else None,
            )
    control = knn["uniform"].groupby("regime").mean()
    for place, regime in enumerate(regimes):
        error = math.sqrt(2 * control[regime] * (100 - control[regime]) / TESTED)
        ax.fill_between([place - 0.4, place + 0.4], -error, error, color=plotting.GREY, alpha=0.15, linewidth=0)
    ax.set(
        xticks=range(len(regimes)),
        xlim=(-0.6, len(regimes) - 0.4),
        ylabel="kNN accuracy minus the control's (points)",
        xticklabels=[f"{fill(regime, 14)}\n(control {control[regime]:.1f} %)" for regime in regimes],
    )
    ax.tick_params(axis="x", labelsize=9)
    ax.legend(loc="best")
    plotting.caption(
        figure,
        "Shapes, momentum mixup; points: seeds, bars: means. Control: p and q replaced by uniform smoothing of the"
        f" same weight. Grey: one standard error of the difference of two accuracies over {TESTED:,} test images.",
    )
    return figure


STUDIES = (
    Study(
        name="sane_regimes",
        cell=cell,
        draw=draw,
        tables=tables,
        packages=("torch",),
        files=FILES,
        grids={
            "paper": [
                {"regime": regime, "method": method, "seed": seed}
                for regime in REGIMES
                for seed in SEEDS
                for method in METHODS
            ],
            "quick": [{"regime": "queue of 256", "method": method, "seed": 0} for method in METHODS],
        },
    ),
)

if __name__ == "__main__":
    sys.exit(study.main("deep.sane_regimes"))
