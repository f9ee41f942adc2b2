"""One corruption a sample instead of one an entry, and margins as suspicion: what follows for SOP, on 600 digits.

    python -m deep.sop_rows            train, then draw (six minutes on two idle cores)
    python -m deep.sop_rows --quick    the default setting alone
    python -m deep.sop_rows --redraw   draw the committed numbers

``deep.linearised`` finds that row-group sparsity finds wrong labels where entrywise sparsity does not, and that u of
SOP ranks right labels by its random start. Here both are tried in the deep method: "sop-rows" over-parameterises each
sample's corruption as a group, "sop" as published, each at three settings of when the variables switch on (equal
tries), chosen by the accuracy on the noisy labels of other images; and wrong labels are told by the variables or by
the margin, from the same run.
"""

import sys

import pandas as pd
import torch
from matplotlib.figure import Figure

from deep.small_runs import accuracy, begin, digits
from deep.tables import mean_std
from sparseop import plotting, study
from sparseop.deep.labels.evaluation import detection
from sparseop.deep.labels.methods import SOP
from sparseop.study import Row, Study

SEEDS = (0, 1, 2)
NOISE = (("symmetric", 0.4), ("symmetric", 0.6), ("symmetric", 0.8), ("pairflip", 0.2), ("pairflip", 0.4))
SWITCH_ON = (0.2, 0.1, 0.4)  #: shares of the schedule, three tries a method; the first is the default
NAMES = {"sop": "SOP, entrywise", "sop-rows": "SOP, rows"}


def cell(method: str, switch_on: float, kind: str, rate: float, seed: int) -> Row:
    """Train once; return accuracies and how well variables and margins tell the wrong labels."""
    torch.set_num_threads(1)
    data = digits(kind, rate, seed)
    options = {"u_on": switch_on, "suspect": "margin"} if method == "sop" else {"on": switch_on}
    run = begin(method, initial=seed, order=seed, **options).train(data)
    with torch.no_grad():
        logits, test, others = (run.network(images) for images in (data.images, data.test, data.others))
    given = logits.softmax(1).gather(1, data.given[:, None])
    rival = logits.softmax(1).scatter(1, data.given[:, None], 0.0).amax(1, keepdim=True)
    scores = {"margin": (rival / (rival + given)).squeeze(1)}
    if isinstance(run.method, SOP):
        scores["last margin seen"] = run.method.suspicion(data.given)
        run.method.by_margin = False
    scores["variables"] = run.method.suspicion(data.given)  # type: ignore[operator]
    row: Row = {
        "test": accuracy(test, data.test_true),
        "others": accuracy(others, data.others_given),
    }
    for name, score in scores.items():
        found = detection(score, data.wrong)
        row |= {f"auroc, {name}": found.auroc, f"ap, {name}": found.average_precision}
        row |= {f"precision, {name}": found.precision, f"recall, {name}": found.recall}
    return row


def chosen(table: pd.DataFrame) -> pd.DataFrame:
    """Return for each method, noise and seed the run whose setting fits the other images' noisy labels best."""
    return table.loc[table.groupby(["method", "kind", "rate", "seed"], sort=False)["others"].idxmax()]


def draw(table: pd.DataFrame) -> Figure:
    """Draw test accuracy and AUROC for each noise, a point a seed."""
    figure = Figure(figsize=(11, 4.4))
    left, right = figure.subplots(1, 2)
    best = chosen(table)
    noise = list(dict.fromkeys(zip(best["kind"], best["rate"], strict=True)))
    series = (
        ("sop", "variables", plotting.BLUE, "o"),
        ("sop", "margin", plotting.CYAN, "s"),
        ("sop-rows", "variables", plotting.GREEN, "^"),
        ("sop-rows", "margin", plotting.YELLOW, "D"),
    )
    for i, (method, score, color, marker) in enumerate(series):
        rows = best[best["method"] == method]
        for axis, column in ((left, "test"), (right, f"auroc, {score}")):
            if axis is left and score == "margin":
                continue
            places = [noise.index(key) + 0.16 * (i - 1.5) for key in zip(rows["kind"], rows["rate"], strict=True)]
            label = NAMES[method] if axis is left else f"{NAMES[method]}: {score}"
            axis.plot(places, rows[column], marker, color=color, mfc="none", label=label)
    for axis in (left, right):
        axis.set_xticks(range(len(noise)), [f"{kind}\n{100 * rate:.0f} %" for kind, rate in noise])
        axis.legend(loc="lower left")
    left.set(ylabel="test accuracy (%)", title="What the network learns")
    right.set(ylabel="AUROC", title="How well wrong labels are told")
    plotting.caption(
        figure,
        f"600 digits, 60 epochs, {best['seed'].nunique()} seeds (points). Settings of when the "
        f"variables switch on: {table['switch_on'].nunique()}; shown: the best on other images' noisy labels.",
    )
    return figure


def tables(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the chosen runs, and the default setting beside them."""
    rows = []
    best = chosen(table)
    for (kind, rate, method), runs in best.groupby(["kind", "rate", "method"], sort=False):
        same = table[(table["kind"] == kind) & (table["rate"] == rate) & (table["method"] == method)]
        row: Row = {"noise": f"{kind} {100 * rate:.0f} %", "method": NAMES[method], "test": mean_std(runs["test"])}
        row["test, default 0.2"] = mean_std(same[same["switch_on"] == SWITCH_ON[0]]["test"])
        row |= {f"AUROC, {name}": runs[f"auroc, {name}"].mean() for name in ("variables", "margin", "last margin seen")}
        row |= {f"{what}, variables": runs[f"{what}, variables"].mean() for what in ("precision", "recall")}
        rows.append(row)
    return {"": pd.DataFrame(rows)}


def _grid(switch_on: tuple[float, ...]) -> list[Row]:
    return [
        {"method": method, "switch_on": on, "kind": kind, "rate": rate, "seed": seed}
        for on in switch_on
        for seed in SEEDS
        for kind, rate in NOISE
        for method in NAMES
    ]


STUDIES = (
    Study(
        name="sop_rows",
        cell=cell,
        grids={"paper": _grid(SWITCH_ON), "quick": _grid(SWITCH_ON[:1])},
        draw=draw,
        tables=tables,
        packages=("torch",),
    ),
)

if __name__ == "__main__":
    sys.exit(study.main("deep.sop_rows"))
