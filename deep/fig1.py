"""SOP figure 1: training and test accuracy over epochs, cross-entropy dashed against SOP solid, 0, 20 and 40 % noise.

    python -m deep.fig1            train on digits (two minutes on two cores), then draw
    python -m deep.fig1 --redraw   draw from the committed records, training nothing

``figures/fig1_digits.*`` shows the digits; ``fig1_cifar10.*`` the committed runs of CIFAR-10 (``deep/results``), where
there are both methods under the same noise. Training accuracy is against the labels given, so that learning all of them
at 40 % noise means to have memorised the wrong ones; a network that ignores those stops at 60 %, the dotted line.
"""

import sys
from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from deep import digits, published
from deep.tables import mean_std
from sparseop import plotting, study
from sparseop.files import read_csv
from sparseop.study import Row, Study

RATES = (0.0, 0.2, 0.4)
SEEDS = (0, 1, 2)
COLOURS = {0.0: plotting.GREEN, 0.2: plotting.BLUE, 0.4: plotting.RED}
LINES = {"CE": "--", "SOP": "-"}


def cell(method: str, rate: float, seed: int) -> list[Row]:
    """Train one method under one noise and return one row an epoch; accuracies in percent."""
    _, metrics = digits.train(method, "symmetric", rate, seed)
    return [{"epoch": int(row.epoch), "train": row.train_given, "test": row.test} for row in metrics.itertuples()]


def draw(table: pd.DataFrame) -> dict[str, Figure]:
    """Return the figure of the digits, and that of CIFAR-10 where records of it are committed."""
    figures = {"digits": draw_pair(table, "1,347 handwritten digits, small ConvNet", "mean and range of {n} seeds; ")}
    cifar = draw_cifar()
    return figures if cifar is None else {**figures, "cifar10": cifar}


def draw_pair(table: pd.DataFrame, title: str, spread: str) -> Figure:
    """Return training accuracy beside test accuracy for a table of method, rate, seed, epoch, train, test."""
    figure = Figure(figsize=(9, 4.1))
    axes = figure.subplots(1, 2, sharey=True)
    rates = sorted(table["rate"].unique())
    for ax, column, label in zip(
        axes, ("train", "test"), ("training accuracy, given labels", "test accuracy"), strict=True
    ):
        for rate in rates:
            for method, dashes in LINES.items():
                part = table[(table["method"] == method) & (table["rate"] == rate)]
                if len(part):
                    by_epoch = part.groupby("epoch")[column]
                    ax.plot(by_epoch.mean(), dashes, color=COLOURS[rate])
                    ax.fill_between(
                        by_epoch.mean().index, by_epoch.min(), by_epoch.max(), color=COLOURS[rate], alpha=0.12, lw=0
                    )
            if column == "train" and rate:
                ax.axhline(100 * (1 - rate), color=COLOURS[rate], lw=1, ls=":")
        ax.set(xlabel="epoch", ylabel=f"{label} (%)", ylim=(0, 103), xlim=(1, table["epoch"].max()))
        ax.yaxis.set_tick_params(labelleft=True)
    kinds = [Line2D([], [], color="k", ls=dashes, label=method) for method, dashes in LINES.items()]
    noise = [Line2D([], [], color=COLOURS[rate], label=f"{100 * rate:.0f} % wrong labels") for rate in rates]
    axes[1].legend(handles=[*kinds, *noise], loc="lower right", ncols=2)
    figure.suptitle(title, fontsize=12)
    plotting.caption(figure, spread.format(n=table["seed"].nunique()) + "dotted: the share of correct labels")
    return figure


def draw_cifar() -> Figure | None:
    """Return the figure of the committed CIFAR-10 runs.

    The paper's PreActResNet-18, else the small ConvNet, else None.
    """
    for prefix, network in (("fig1_cifar10_", "PreActResNet-18"), ("cifar10_convnet_sym", "small ConvNet")):
        rows = []
        for recipe, _, _, folder in published.records():
            if recipe.name.startswith(prefix) and recipe.source.method in LINES:
                metrics = read_csv(folder / "metrics.csv")
                rows.append(
                    pd.DataFrame(
                        {
                            "method": recipe.source.method,
                            "rate": recipe.noise.rate,
                            "seed": recipe.seed,
                            "epoch": metrics["epoch"],
                            "train": metrics["train_given"],
                            "test": metrics["test"],
                        }
                    )
                )
        if rows and {frame["method"].iloc[0] for frame in rows} == set(LINES):
            table = pd.concat(rows)
            return draw_pair(
                table,
                f"CIFAR-10, {network}",
                "mean and range of {n} seeds; " if table["seed"].nunique() > 1 else "one seed; ",
            )
    return None


def tables(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the accuracies at the last epoch, mean over seeds."""
    last = table[table["epoch"] == table["epoch"].max()]
    columns: dict[str, tuple[str, Callable[[pd.Series], str]]] = {
        "training accuracy, given labels": ("train", mean_std),
        "test accuracy": ("test", mean_std),
    }
    best = table.groupby(["method", "rate", "seed"])["test"].max().groupby(["method", "rate"]).apply(mean_std)
    found = last.groupby(["method", "rate"]).agg(**columns)  # type: ignore[call-overload]
    found["best test accuracy"] = best
    return {
        "digits": (
            found.reset_index()
            .assign(rate=lambda t: np.round(100 * t["rate"]).astype(int))
            .rename(columns={"rate": "noise (%)"})
        )
    }


STUDIES = (
    Study(
        name="fig1",
        cell=cell,
        grids={
            "paper": [{"method": m, "rate": r, "seed": s} for m in LINES for r in RATES for s in SEEDS],
            "quick": [{"method": m, "rate": 0.4, "seed": 0} for m in LINES],
        },
        draw=draw,
        tables=tables,
        packages=("torch",),
        files=digits.FILES,
    ),
)

if __name__ == "__main__":
    sys.exit(study.main("deep.fig1"))
