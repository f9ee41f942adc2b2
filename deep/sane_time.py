"""MoCo, momentum mixup, SANE and its uniform control on painted shapes, followed over epochs and over processor time.

    python -m deep.sane_time              train (forty minutes of one core), then draw; an interrupted run goes on
    python -m deep.sane_time --redraw     draw from the committed numbers, training nothing

As ``deep.sane_shapes``, twice as long. SANE's step costs about 1.7 times MoCo's, so equal epochs are not equal time;
with one term of its loss a query ("either term") it costs as much as MoCo's.
"""

import sys

import pandas as pd
from matplotlib.figure import Figure

from deep.sane_cells import FILES, ONE_PASS, cell
from deep.sane_shapes import grid, table_of
from sparseop import plotting, study
from sparseop.study import Study

EPOCHS, SEEDS = 16, (0, 1, 2)
NAMES = ("none (MoCo)", "MM", "p+q+MM (SANE)", "uniform instead of p+q, MM", *ONE_PASS, "MoCo for SANE's time")
#: colour, marker and dashes of each
STYLES = (*zip(plotting.COLORS, plotting.MARKERS, plotting.DASHES, strict=True), (plotting.GREY, "X", "--"))


def draw(table: pd.DataFrame) -> Figure:
    """Draw kNN accuracy over epochs, and over processor time."""
    figure = Figure(figsize=(10.5, 4.4))
    axes = figure.subplots(1, 2, sharey=True)
    for number, (name, runs) in enumerate(table.groupby("variant", sort=False)):
        for axis, x in zip(axes, ("epoch", "cpu_seconds"), strict=True):
            means = (
                runs.groupby("epoch")[[x, "knn"]].mean()
                if x != "epoch"
                else runs.groupby("epoch")[["knn"]].mean().reset_index()
            )
            color, marker, dashes = STYLES[number]
            axis.plot(means[x], means["knn"], marker=marker, markersize=4, color=color, linestyle=dashes, label=name)
    axes[0].set(xlabel="epoch", ylabel="kNN accuracy (%)", title="equal epochs")
    axes[1].set(xlabel="processor seconds of training", title="equal time")
    axes[0].legend(loc="lower right", fontsize=8)
    plotting.caption(
        figure, f"Shapes; mean of {table['seed'].nunique()} seeds; each run's learning rate falls to 0 at its own end."
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
