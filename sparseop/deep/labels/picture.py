"""The picture in a run's folder: what the network learnt and memorised, and how suspicious the labels ended."""

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np

NAME = "run.png"
_CURVES = (
    ("test", "test accuracy"),
    ("train_given", "agreement with given labels"),
    ("memorised", "wrong labels memorised"),
)


def draw(folder: Path, title: str) -> Path | None:
    """Draw ``run.png`` from a run's metrics.csv and samples.npz and return its path; None without matplotlib."""
    try:
        from matplotlib.figure import Figure  # loaded only where a command has finished a run
    except ImportError:
        return None

    from sparseop import plotting

    with (folder / "metrics.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    epochs = [int(row["epoch"]) for row in rows]
    with plotting.style():
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        curves, histogram = figure.subplots(1, 2, width_ratios=(1.5, 1))
        for (key, label), colour, dashes in zip(
            _CURVES, (plotting.BLUE, plotting.GREY, plotting.RED), ("-", "--", "-."), strict=True
        ):
            values = [_number(row.get(key)) for row in rows]
            if not all(map(math.isnan, values)):
                curves.plot(epochs, values, dashes, color=colour, label=label)
        curves.set(xlabel="epoch", ylabel="percent", ylim=(0, 103), title=title)
        curves.legend(fontsize=8, loc="best")
        with np.load(folder / "samples.npz") as held:
            suspicion = held["suspicion"]
        histogram.hist(suspicion, bins=np.linspace(0, 1, 26), color=plotting.PURPLE)
        histogram.axvline(0.5, color=plotting.GREY, lw=1, ls=":")
        histogram.set_yscale("log")
        histogram.set(
            xlabel="suspicion of the given label", ylabel="training samples", title="right of 1/2: likely wrong"
        )
        figure.savefig(folder / NAME, dpi=130)
    return folder / NAME


def _number(text: Any) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):
        return math.nan
