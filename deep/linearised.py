"""Is SOP's linear model what a network does? Its theorem's conditions and its predictions on a real tangent kernel.

    python -m deep.linearised            train, linearise, solve, then draw (ten minutes on two idle cores at most)
    python -m deep.linearised --quick    one seed instead of three
    python -m deep.linearised --redraw   draw the committed numbers

600 digits, ``convnet`` without batch norm (37,930 parameters), SOP for 60 epochs; the kernel at initialisation and
after eight epochs. Four questions: does the transition curve for random subspaces hold for the network's own
eigenspaces; why do labels not obey it; is the linear model, from epoch eight on, the deep run; and what would the
convex programs reach. What the parts compute is in ``deep.linearised_cells``, in plain words in
docs/linear-and-deep.md.
"""

import sys

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deep.linearised_cells import RANKS, cell
from deep.small_runs import N
from deep.tables import mean_std
from sparseop import plotting, study
from sparseop.linear import transition_sparsity
from sparseop.study import Row, Study

SEEDS = (0, 1, 2)
NOISE = (
    *(("symmetric", rate) for rate in (0.2, 0.4, 0.5, 0.6, 0.7, 0.8)),
    *(("pairflip", rate) for rate in (0.2, 0.4)),
)
WORKS = 0.95  #: the AUROC from which a program counts as finding the wrong labels
MOMENTS = {"start": "at initialisation", "early": "after 8 epochs", "end": "after 60 epochs"}
METHODS = {
    "deep SOP": plotting.BLUE,
    "row-group": plotting.GREEN,
    "ridge": plotting.GREY,
    "entrywise": plotting.RED,
    "entrywise with noise": plotting.PURPLE,
}
COMPARED = (
    "other order",
    "other initialisation",
    "linear from early, shared kernel",
    "linear from early",
    "deep run, early",
    "linear from start",
)


def detection(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of panel (b) with what the ratios say and what happened."""
    rows = table[table["what"] == "detection"].copy()
    rows["works"] = rows["auroc"] >= WORKS
    for name in ("ratio", "own_ratio"):
        rows[f"{name}_right"] = (rows[name] < 1) == rows["works"]
    return rows


def draw(table: pd.DataFrame) -> Figure:
    """Draw the four panels."""
    figure = Figure(figsize=(12.5, 9.2))
    grid = figure.add_gridspec(2, 4, width_ratios=(1, 1, 1.15, 0.75))
    _curve(figure.add_subplot(grid[0, :2]), table[table["part"] == "spaces"])
    _ratio(figure.add_subplot(grid[0, 2:]), detection(table))
    _agreement(figure.add_subplot(grid[1, :2]), table[table["part"] == "agreement"])
    left = figure.add_subplot(grid[1, 2])
    right = figure.add_subplot(grid[1, 3], sharey=left)
    _accuracy(left, right, table[table["what"] == "accuracy"])
    seeds = table["seed"].nunique()
    plotting.caption(
        figure,
        f"600 digits, a network of 37,930 parameters without batch norm, {seeds} seed{'s' * (seeds > 1)}; the kernel "
        "is shared over the classes.\n(c): 40 % symmetric noise, a point a seed. (d): means; the programs use the "
        "kernel after 8 epochs, each at the best of six weights on other images' noisy labels.",
    )
    return figure


def _curve(axis: Axes, table: pd.DataFrame) -> None:
    ranks = np.geomspace(8, 220, 80)
    axis.plot(
        ranks, [transition_sparsity(N, r) / N for r in ranks], color=plotting.RED, label="predicted for random ones"
    )
    for (moment, label), marker, color in zip(
        MOMENTS.items(), plotting.MARKERS, (plotting.GREY, plotting.BLUE, plotting.GREEN), strict=False
    ):
        rows = table[table["moment"] == moment]
        axis.plot(rows["rank"], rows["measured"] / N, marker, color=color, mfc="none", label=f"the network's, {label}")
    certified = table.groupby("rank")["certified"].max()
    axis.plot(certified.index, certified / N, "v", color=plotting.PURPLE, label="certified by condition (28)")
    axis.set(
        xscale="log",
        ylim=(-0.02, 1),
        xlabel="rank r of the eigenspace",
        ylabel="share of corrupted entries at the 50 % point",
        title="(a) Random corruption: the curve holds on real eigenspaces",
    )
    plotting.plain_ticks(axis, RANKS)
    axis.legend(loc="lower left", bbox_to_anchor=(0, 0.04))


def _ratio(axis: Axes, rows: pd.DataFrame) -> None:
    for ratio, score, color, marker, label in (
        ("group_ratio", "group_auroc", plotting.GREEN, "s", "row-group program"),
        ("ratio", "auroc", plotting.RED, "o", "entrywise program"),
    ):
        shown = rows[np.isfinite(rows[ratio])]
        axis.plot(shown[ratio], shown[score], marker, color=color, mfc="none", markersize=4.5, label=label)
    axis.axvline(1, color=plotting.GREY, linewidth=1)
    axis.text(0.96, 0.47, "the truth is\ncheaper", ha="right", va="bottom", fontsize=9)
    axis.text(1.04, 0.47, "s = y is\ncheaper", ha="left", va="bottom", fontsize=9)
    axis.set(
        xscale="log",
        ylim=(0.44, 1.02),
        xlabel="error of the clean labels in the eigenspace / what it may be",
        ylabel="AUROC of finding the wrong labels",
        title="(b) Labels: a ratio says where the entrywise program works",
    )
    plotting.plain_ticks(axis, (0.2, 0.5, 1, 2, 5, 10, 20))
    axis.legend(loc="center left", bbox_to_anchor=(0, 0.32))


def _agreement(axis: Axes, table: pd.DataFrame) -> None:
    for place, name in enumerate(COMPARED):
        rows = table[table["compared"] == name]
        color = plotting.BLUE if name.startswith("linear") else plotting.GREY
        axis.plot(rows["correlation"], [place] * len(rows), "o", color=color, markersize=6, mfc="none")
        axis.plot([rows["correlation"].mean()], [place], "|", color=color, markersize=18, markeredgewidth=2)
        axis.text(
            0.02,
            place - 0.33,
            f"shares {rows['shared_mistakes'].sum():.0f} of {rows['deep_mistakes'].sum():.0f} mistakes "
            f"(by chance {rows['by_chance'].sum():.0f})",
            fontsize=8,
            color="#444444",
            transform=axis.get_yaxis_transform(),
        )
    axis.set(
        yticks=range(len(COMPARED)),
        yticklabels=[name.replace("from ", "model from ").replace(", ", ",\n") for name in COMPARED],
        xlim=(0.2, 1.01),
        xlabel="correlation of the samples' margins with the deep run's",
        title="(c) From epoch 8 on, the linear model is near the deep run",
    )
    axis.set_ylim(len(COMPARED) - 0.4, -0.7)


def _accuracy(left: Axes, right: Axes, table: pd.DataFrame) -> None:
    for axis, kind in ((left, "symmetric"), (right, "pairflip")):
        rows = table[table["kind"] == kind]
        for (name, color), dash in zip(METHODS.items(), plotting.DASHES, strict=False):
            of = rows[rows["method"] == name].groupby("rate")["accuracy"]
            axis.plot(of.mean().index, of.mean(), linestyle=dash, marker="o", markersize=3.5, color=color, label=name)
        axis.set(xlabel=f"share of wrong labels,\n{kind}")
    left.set(ylabel="test accuracy (%)", ylim=(0, 102))
    left.set_title("(d) Counted by rows, sparsity keeps up", loc="left")
    left.legend(loc="lower left", fontsize=8.5)
    right.tick_params(labelleft=False)


def tables(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the numbers of each panel."""
    spaces, agreement = (table[table["part"] == part] for part in ("spaces", "agreement"))
    curve = []
    for (moment, rank), rows in spaces.groupby(["moment", "rank"], sort=False):
        row: Row = {"kernel": moment, "r": rank, "predicted k": rows["predicted"].iloc[0]}
        row["measured k"] = mean_std(rows["measured"], 0)
        row["k certified by (28)"] = int(rows["certified"].max())
        row |= {f"{name}, mean": rows[name].mean() for name in ("coherence", "coherence_gaussian")}
        row |= {
            "systematic noise inside": rows["systematic_inside"].mean(),
            "other noise inside": rows["rest_inside"].mean(),
        }
        curve.append({**row, "r / N": rank / N})
    found = detection(table)
    ratio = [
        {
            "noise": kind,
            "cases": len(rows),
            "entrywise works": int(rows["works"].sum()),
            "said right by the ratio": int(rows["ratio_right"].sum()),
            "said right without knowing the truth": int(rows["own_ratio_right"].sum()),
            "row-group works": int((rows["group_auroc"] >= WORKS).sum()),
            "least AUROC, row-group": rows["group_auroc"].min(),
        }
        for kind, rows in found.groupby("kind", sort=False)
    ]
    shared = agreement.dropna(subset=["correlation"]).groupby("compared", sort=False)
    agree = shared[["correlation", "correlation_right", "auroc"]].mean()
    agree[["mistakes", "shared_mistakes", "by_chance"]] = shared[["mistakes", "shared_mistakes", "by_chance"]].sum()
    reached = table[table["what"] == "accuracy"]
    accuracy = reached.pivot_table(
        index=["kind", "rate"], columns="method", values="accuracy", aggfunc=mean_std, sort=False
    )
    return {
        "curve": pd.DataFrame(curve),
        "ratio": pd.DataFrame(ratio),
        "agreement": agree.reset_index(),
        "accuracy": accuracy[list(METHODS)].reset_index(),
    }


def _grid(seeds: tuple[int, ...], noise: tuple[tuple[str, float], ...]) -> list[Row]:
    at = {"kind": "symmetric", "rate": 0.4}
    return [
        *({"part": part, **at, "seed": seed} for part in ("spaces", "agreement") for seed in seeds),
        *({"part": "labels", "kind": kind, "rate": rate, "seed": seed} for seed in seeds for kind, rate in noise),
    ]


STUDIES = (
    Study(
        name="linearised",
        cell=cell,
        grids={"paper": _grid(SEEDS, NOISE), "quick": _grid(SEEDS[:1], NOISE)},
        draw=draw,
        tables=tables,
        packages=("torch",),
    ),
)

if __name__ == "__main__":
    sys.exit(study.main("deep.linearised"))
