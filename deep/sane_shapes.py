"""SANE taken apart on painted shapes: which part buys what, at equal epochs and at equal time, beside a control.

    python -m deep.sane_shapes              train (an hour of one core), then draw; an interrupted run goes on
    python -m deep.sane_shapes --quick      a few of the runs, two epochs each
    python -m deep.sane_shapes --redraw     draw from the committed numbers, training nothing

Everything that SANE's tables 4, 5 and 6 vary, on the set that needs no download (ten shapes, 8,000 images of 16 x 16):
the estimates p and q and momentum mixup in all combinations, lambda, momentum against vanilla mixup with weak and
strong augmentation; and what the paper does not show: the control in which p and q are replaced by uniform smoothing of
the same weight, the confidence mu of its two settings, and MoCo for as long as SANE takes. Three seeds; a seed changes
data, weights, order and views. Accuracy is that of the last epoch. ``deep.sane_time`` trains the main ones twice as
long and follows them.
"""

import sys

import pandas as pd
from matplotlib.figure import Figure

from deep.sane_cells import FILES, VARIANTS, cell
from deep.tables import mean_std
from sparseop import plotting, study
from sparseop.study import Row, Study

EPOCHS, SEEDS = 8, (0, 1, 2)
SLOWDOWN = 1.7  #: SANE's step over MoCo's (benchmarks.contrastive); the plain method gets as many more epochs
#: what every seed trains first
FIRST = (
    "none (MoCo)",
    "p",
    "q",
    "p+q",
    "MM",
    "p+MM",
    "q+MM",
    "p+q+MM (SANE)",
    "uniform instead of p+q, MM",
    "MoCo for SANE's time",
)
REST = tuple(name for name in VARIANTS if name not in FIRST)


def epochs_of(variant: str, epochs: int) -> int:
    """Return how long a variant trains where SANE trains for ``epochs``."""
    return round(SLOWDOWN * epochs) if variant == "MoCo for SANE's time" else epochs


# ---- what is shown ---------------------------------------------------------------------------------------------------

#: columns of table_*: shown name, column, digits
COLUMNS = (
    ("kNN (k = 20)", "knn", 1),
    ("kNN (k = 200)", "knn_200", 1),
    ("linear", "linear", 1),
    ("own mass", "own_mass", 2),
    ("same class", "same_mass", 3),
    ("wrong class", "wrong_mass", 3),
    ("purity", "purity", 2),
    ("TV", "tv_used", 3),
    ("L2", "l2_used", 3),
    ("CPU seconds", "cpu_seconds", 0),
)


def last_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of each run's last epoch."""
    return table[table["epoch"] == table["epochs"]]


def table_of(table: pd.DataFrame) -> pd.DataFrame:
    """Return a line for each variant: mean and deviation over seeds, and the paired difference of kNN from MoCo."""
    final = last_rows(table)
    plain = final[final["variant"] == "none (MoCo)"].set_index("seed")["knn"]
    rows = []
    for variant, runs in final.groupby("variant", sort=False):
        row: Row = {"variant": variant, "epochs": int(runs["epochs"].iloc[0])}
        for shown, column, digits in COLUMNS:
            values = runs[column].dropna()
            row[shown] = mean_std(values, digits) if len(values) else ""
        paired = (runs.set_index("seed")["knn"] - plain).dropna()
        row["kNN minus MoCo"] = (
            "" if variant == "none (MoCo)" else f"{paired.mean():+.1f} ({', '.join(f'{d:+.1f}' for d in paired)})"
        )
        rows.append(row)
    return pd.DataFrame(rows)


def tables(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the whole ablation."""
    return {"": table_of(table)}


def draw(table: pd.DataFrame) -> Figure:
    """Draw kNN accuracy of every variant, a point a seed, and where the label mass lies."""
    final = last_rows(table)
    names = list(final["variant"].unique())
    figure = Figure(figsize=(10.5, 0.3 * len(names) + 1.9))
    left, right = figure.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": [1.5, 1]})
    plain = final[final["variant"] == "none (MoCo)"]["knn"].mean()
    left.axvline(plain, color=plotting.GREY, linewidth=1, linestyle=":")
    for place, name in enumerate(names):
        runs = final[final["variant"] == name]
        color = plotting.RED if "uniform" in name else plotting.GREEN if "time" in name else plotting.BLUE
        left.plot(runs["knn"], [place] * len(runs), "o", color=color, markersize=4, alpha=0.6)
        left.plot([runs["knn"].mean()], [place], "|", color=color, markersize=16, markeredgewidth=2)
        own, same, wrong = (runs[column].mean() for column in ("own_mass", "same_mass", "wrong_mass"))
        right.barh(place, own, color=plotting.GREY)
        right.barh(place, same, left=own, color=plotting.BLUE)
        right.barh(place, wrong, left=own + same, color=plotting.YELLOW)
    left.set(yticks=range(len(names)), yticklabels=names, xlabel="kNN accuracy, last epoch (%)")
    left.invert_yaxis()
    right.set(xlim=(0, 1), xlabel="label mass at the end (before mixing)")
    right.grid(visible=False)
    for color, label in (
        (plotting.GREY, "own positive"),
        (plotting.BLUE, "others of its class"),
        (plotting.YELLOW, "other classes"),
    ):
        right.barh(-5, 0, color=color, label=label)
    right.set_ylim(len(names) - 0.5, -0.5)
    right.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=8)
    epochs = int(final["epochs"].min())
    seeds = sorted(final.groupby("variant")["seed"].nunique().unique())
    plotting.caption(
        figure,
        f"Shapes, {epochs} epochs, {' or '.join(map(str, seeds))} seeds (points; bar: mean; dotted: MoCo's mean). "
        "MM: momentum mixup. Red: p and q replaced by uniform smoothing of the same weight.\n"
        "Green: MoCo trained longer, for about as long as SANE takes.",
    )
    return figure


def grid(names: tuple[str, ...], epochs: int, seeds: tuple[int, ...], every: int) -> list[Row]:
    """Return the cells of these variants, seed by seed."""
    return [
        {"variant": name, "epochs": epochs_of(name, epochs), "seed": seed, "every": every}
        for seed in seeds
        for name in names
    ]


STUDIES = (
    Study(
        name="sane_shapes",
        cell=cell,
        draw=draw,
        tables=tables,
        packages=("torch",),
        files=FILES,
        grids={
            "paper": grid(FIRST, EPOCHS, SEEDS, 99) + grid(REST, EPOCHS, SEEDS, 99),
            "quick": grid(FIRST[:4], 2, (0,), 1),
        },
    ),
)

if __name__ == "__main__":
    sys.exit(study.main("deep.sane_shapes"))
