"""MoCo, momentum mixup, SANE and its uniform control on painted shapes, followed over epochs and over processor time.

    python -m deep.sane_time              train (forty minutes of one core), then draw; an interrupted run goes on
    python -m deep.sane_time --redraw     draw from the committed numbers, training nothing

As ``deep.sane_shapes``, twice as long. SANE's step costs about 1.7 times MoCo's, so equal epochs are not equal time;
with one term of its loss a query ("either term") it costs as much as MoCo's.
"""

import sys

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from deep.sane_cells import FILES, ONE_PASS, cell
from deep.sane_shapes import grid, table_of
from sparseop import plotting, study
from sparseop.study import Study

EPOCHS, SEEDS = 16, (0, 1, 2)
NAMES = ("none (MoCo)", "MM", "p+q+MM (SANE)", "uniform instead of p+q, MM", *ONE_PASS, "MoCo for SANE's time")
LONGER = NAMES[-1]
#: those that the figure shows, and what it calls them
SHOWN = {
    "none (MoCo)": "MoCo",
    "MM": "momentum mixup",
    "p+q+MM (SANE)": "SANE",
    LONGER: "MoCo, longer",
}


def draw(table: pd.DataFrame) -> Figure:
    """Draw kNN accuracy over epochs, and over processor time: mean and range over the seeds."""
    figure = Figure(figsize=(11, 4.6))
    axes = figure.subplots(1, 2, sharey=True, width_ratios=[1, 1.3])
    for axis, x in zip(axes, ("epoch", "cpu_seconds"), strict=True):
        axis.set(
            xlim=(0, (1.05 if x == "epoch" else 1.42) * table[x].max()),
            ylim=(table["knn"].min() - 2, table["knn"].max() + 2),
        )
        ends = []
        for number, (name, text) in enumerate(SHOWN.items()):
            if not (table["variant"] == name).any():  # a small grid has not all of them
                continue
            runs = table[table["variant"] == name].groupby("epoch")
            at = runs[x].mean() if x != "epoch" else runs["knn"].mean().index.to_series()
            color, mean = plotting.COLORS[number], runs["knn"].mean()
            axis.fill_between(at, runs["knn"].min(), runs["knn"].max(), color=color, alpha=0.15, lw=0)
            axis.plot(at, mean, color=color, ls=plotting.DASHES[number], marker=plotting.MARKERS[number], ms=4)
            ends.append((float(at.iloc[-1]), float(mean.iloc[-1]), text, color))
    plotting.label_ends(axes[1], ends)
    axes[0].set(xlabel="epoch", ylabel="kNN accuracy (%)", title="equal epochs")
    axes[1].set(xlabel="processor seconds of training", title="equal time")
    ends = table[table["epoch"] == table.groupby("variant")["epoch"].transform("max")].groupby("variant")["knn"].mean()
    sane = ends.get("p+q+MM (SANE)", float("nan"))
    found = [
        f"at equal {what} SANE is {sane - ends[name]:+.1f} points from MoCo"
        for what, name in (("epochs", NAMES[0]), ("time", LONGER))
        if name in ends and np.isfinite(sane)
    ]
    plotting.caption(
        figure,
        f"Painted shapes, mean and range of {table['seed'].nunique()} seeds{': ' if found else ''}{'; '.join(found)}.",
    )
    return figure


def tables(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the main comparison."""
    return {"": table_of(table)}


STUDIES = (
    Study(
        name="sane_time",
        cell=cell,
        draw=draw,
        tables=tables,
        packages=("torch",),
        files=FILES,
        grids={"paper": grid(NAMES, EPOCHS, SEEDS, 4), "quick": grid(NAMES[:2], 2, (0,), 1)},
    ),
)

if __name__ == "__main__":
    sys.exit(study.main("deep.sane_time"))
