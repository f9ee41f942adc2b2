"""When does SOP pay? Accuracy against the length of training, for CE, ELR and SOP, from the fast network's records.

    python -m deep.when_sop_pays    write figures/when_sop_pays.* and its table from committed records; trains nothing

Each point of the upper row is a run of its own, annealed over its own length. The lower row looks inside SOP's runs:
the share of the wrong labels that cross-entropy and SOP have memorised, and that SOP has found, epoch by epoch, with
the epoch at which the growth law, from lr_v, batch and length alone, lets v of a sample switch on whose label the
network contradicts all along. The law also says what the paper's literal rates would do at this batch. Runs are made by
``python -m deep.runs``, in order of worth; the figure says how many there are.
"""

import math
import sys

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from deep import fast_records, tables
from deep.tables import mean_std
from sparseop import cli, plotting
from sparseop.deep.labels import recipe as recipes
from sparseop.deep.labels.methods.sop import slope_of_v, switch_on_epoch
from sparseop.errors import InputError
from sparseop.files import read_csv
from sparseop.provenance import ROOT

SETTINGS = {"sym40": "40 % symmetric noise", "worst": "human labels, worst"}
LINES = {"CE": ("--", plotting.RED), "ELR": (":", plotting.GREEN), "SOP": ("-", plotting.BLUE)}
PAPER_RATE = 10.0  #: SOP's lr_v for CIFAR-10, for a mean over a batch


def found(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that the question is asked of: the recipes' own settings, any length.

    Raises
    ------
    InputError : there is none.
    """
    chosen = runs[(runs["changes"] == "") & runs["setting"].isin(SETTINGS) & runs["method"].isin(LINES)]
    if chosen.empty:
        raise InputError("there is no record of the fast network in deep/results/fast that this figure could show.")
    return chosen


def switch_on(rate: float, batch_size: int, std: float = 1e-8) -> float:
    """Return after how many epochs v switches on at a constant ``rate``, the network always contradicting the label."""
    epochs = math.ceil(2 * math.log(1 / std) / math.log1p(4 * rate / batch_size)) + 1
    return switch_on_epoch([rate / batch_size] * epochs, slope_of_v, std)


def table(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row a setting, length and method: accuracies, what was memorised and found, and the cost."""
    rows = []
    for (setting, epochs, method), own in runs.groupby(["setting", "epochs", "method"]):
        rows.append(
            {
                "labels": SETTINGS[setting],
                "epochs": epochs,
                "method": method,
                "test, last epoch": mean_std(own["last"], 2),
                "test, best epoch": mean_std(own["best"], 2),
                "wrong labels memorised (%)": mean_std(own["memorised"], 1),
                "wrong labels found: AUROC": mean_std(own["auroc"], 3),
                "core-hours": f"{own['core_hours'].mean():.2f}",
            }
        )
    return pd.DataFrame(rows)


def gains(runs: pd.DataFrame) -> pd.DataFrame:
    """Return SOP's accuracy minus cross-entropy's at the last epoch where both have run, means over seeds."""
    mean = runs.groupby(["setting", "epochs", "method"])["last"].mean().unstack()
    if not {"CE", "SOP"} <= set(mean.columns):
        return pd.DataFrame(columns=["setting", "epochs", "gain"])
    return (mean["SOP"] - mean["CE"]).dropna().rename("gain").reset_index()


def draw(runs: pd.DataFrame) -> Figure:
    """Return accuracy against length above, what happens within the runs below; one column a kind of noise."""
    shown = {setting: title for setting, title in SETTINGS.items() if setting in set(runs["setting"])}
    figure = Figure(figsize=(10.5, 7))
    axes = figure.subplots(2, len(shown), sharex=True, sharey="row", squeeze=False)
    lengths = sorted(runs["epochs"].unique())
    for column, (setting, title) in enumerate(shown.items()):
        upper, lower = axes[0][column], axes[1][column]
        for method, (dashes, colour) in LINES.items():
            own = runs[(runs["setting"] == setting) & (runs["method"] == method)]
            if own.empty:
                continue
            last = own.groupby("epochs")["last"].mean()
            upper.plot(last, dashes, marker="o", color=colour, label=f"{method}, last epoch")
            upper.plot(own["epochs"], own["best"], "o", mfc="none", color=colour, alpha=0.6, ms=8)
        upper.set_title(title, fontsize=11)
        for row in runs[(runs["setting"] == setting) & runs["method"].isin(("CE", "SOP"))].itertuples():
            metrics = read_csv(row.folder / "metrics.csv")
            dashes, colour = LINES[row.method]
            lower.plot(metrics["epoch"], metrics["memorised"], dashes, color=colour, lw=1.2)
            if row.method == "SOP":
                lower.plot(metrics["epoch"], metrics["flagged_recall"], "-", color=plotting.GREY, lw=1.2)
                recipe = recipes.read(row.folder / "recipe.toml")
                predicted = switch_on(float(recipe.method.options["lr_v"]), recipe.training.batch_size)
                lower.axvline(predicted, color=plotting.GREY, lw=1, ls="-.")
        lower.set(xscale="log", xlabel="epochs")
        plotting.plain_ticks(lower, sorted({1, 2, 4, *lengths}))
    axes[0][0].set_ylabel("test accuracy (%)")
    axes[1][0].set_ylabel("share of the wrong labels (%)")
    handles = [
        Line2D([], [], ls=dashes, color=colour, marker="o", label=name) for name, (dashes, colour) in LINES.items()
    ]
    axes[0][0].legend(handles=handles, loc="center left")
    words = {
        "memorised by CE": LINES["CE"],
        "memorised by SOP": LINES["SOP"],
        "found by SOP": ("-", plotting.GREY),
        "v on, as the growth law predicts": ("-.", plotting.GREY),
    }
    lines = [Line2D([], [], ls=dashes, color=colour, label=name) for name, (dashes, colour) in words.items()]
    axes[1][0].legend(handles=lines, loc="best")
    literal = switch_on(PAPER_RATE, 250)
    plotting.caption(
        figure,
        f"{len(runs)} runs of the fast network on all of CIFAR-10, of {', '.join(map(str, lengths))} epochs; rings:"
        " best epoch. With the paper's literal rates, v"
        f" would switch on after {literal:.0f} epochs at this batch of 250.",
    )
    return figure


def body() -> None:
    """Write figure and table."""
    runs = found(fast_records.runs())
    with plotting.style():
        plotting.save(draw(runs), ROOT / "figures" / "when_sop_pays")
    tables.write({"when_sop_pays": table(runs)})


if __name__ == "__main__":
    sys.exit(cli.command("deep.when_sop_pays", body))
