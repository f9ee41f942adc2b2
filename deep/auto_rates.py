"""When u and v switch on under the learning rates that SOP chooses by itself (lr_u = lr_v = "auto").

    python -m deep.auto_rates            train on digits at three batch sizes and lengths, then draw
                                         (at most a minute on two cores)
    python -m deep.auto_rates --redraw   draw the committed numbers

The rule says: a sample whose label the network contradicts all along has u on after 20 % of the schedule, v after 50 %,
whatever the batch size, the number of epochs and the data. It has no knob that was fitted; here it meets digits and,
from the committed runs (``deep/results``), CIFAR-10. A network does not contradict a wrong label from its first epoch
on, and on hard images contradicts right ones, so the shares rise around those points instead of jumping there. What a
fixed fraction cannot know is when the network memorises: in the longest of the digits' schedules that happens before a
fifth of it is over, and more than half of the 40 % wrong labels stay unnoticed (a smaller ``method.u_on`` finds them).
"""

import sys
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from deep import digits
from sparseop import plotting, study
from sparseop.deep.labels import recipe as recipes
from sparseop.files import read_csv
from sparseop.provenance import ROOT
from sparseop.study import Row, Study

SETTINGS = ((32, 30), (64, 60), (256, 120))  # batch size, epochs
U_ON, V_ON = 0.2, 0.5
RESULTS = ROOT / "deep" / "results"
RECORDS = ("cifar10_convnet/cifar10_convnet_sym40_sop-seed0", "auto_rates/cifar10_b256_e30-seed0")


def cell(data: str, batch_size: int, epochs: int, record: str) -> list[Row]:
    """Return the shares of samples with u on and v on after each epoch; of a committed run, or of a run on digits."""
    del data
    if record:
        metrics = read_csv(RESULTS / record / "metrics.csv")
    else:
        _, metrics = digits.train(
            "SOP", "symmetric", 0.4, 0, f"training.epochs={epochs}", f"training.batch_size={batch_size}"
        )
    return [{"epoch": int(row.epoch), "u_on": float(row.u_on), "v_on": float(row.v_on)} for row in metrics.itertuples()]


def draw(table: pd.DataFrame) -> Figure:
    """Draw the shares against the fraction of the schedule, u left and v right."""
    figure = Figure(figsize=(10.5, 4.4))
    axes = figure.subplots(1, 2, sharey=True)
    runs = [run for _, run in table.groupby(["data", "batch_size", "epochs"], sort=False)]
    for axis, name, stated, title in (
        (axes[0], "u", U_ON, "$u^2 > 1/2$"),
        (axes[1], "v", V_ON, r"$\max_j\, v_j^2 > 1/2$"),
    ):
        axis.axvline(stated, color=plotting.GREY, linewidth=1.2, linestyle=":")
        axis.text(stated + 0.01, 97, "as promised", color="#444444", fontsize=9.5, va="top")
        for i, run in enumerate(runs):
            first = run.iloc[0]
            axis.plot(
                run["epoch"] / first["epochs"],
                run[f"{name}_on"],
                linestyle=plotting.DASHES[i],
                color=plotting.COLORS[i],
                label=f"{first['data']}, B = {first['batch_size']}, {first['epochs']} epochs",
            )
        axis.set(
            title=f"{name} has switched on: {title}", xlabel="fraction of the schedule", xlim=(0, 1), ylim=(0, 100)
        )
    axes[0].set_ylabel("share of the training samples (%)")
    axes[1].legend(loc="upper left", bbox_to_anchor=(0, 0.93))
    half = tables(table)[""]
    off = max(
        ((half[f"{n}: half on at epoch"] - half[f"{n}: stated epoch"]).abs() / half["epochs"]).max() for n in "uv"
    )
    plotting.caption(
        figure,
        "With automatic rates half of the u and v that ever switch on have done so within"
        f" {100 * off:.0f} % of the schedule of the promised moment, whatever the data, the batch and the length. 40 %"
        " of the labels are wrong.",
    )
    return figure


def tables(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return for each run when half of the variables that ever switch on have done so, beside what the rule states."""
    rows = []
    for (data, batch_size, epochs), run in table.groupby(["data", "batch_size", "epochs"], sort=False):
        row: Row = {"data": data, "batch size": batch_size, "epochs": epochs}
        for name, stated in (("u", U_ON), ("v", V_ON)):
            reached = run[run[f"{name}_on"] >= run[f"{name}_on"].iloc[-1] / 2]["epoch"].iloc[0]
            row |= {f"{name}: stated epoch": stated * epochs, f"{name}: half on at epoch": int(reached)}
        rows.append(row)
    return {"": pd.DataFrame(rows)}


def _grid() -> list[Row]:
    grid: list[Row] = [{"data": "digits", "batch_size": b, "epochs": e, "record": ""} for b, e in SETTINGS]
    for record in RECORDS:
        folder: Path = RESULTS / record
        if (folder / "metrics.csv").exists():
            training = recipes.read(folder / "recipe.toml").training
            grid.append(
                {"data": "CIFAR-10", "batch_size": training.batch_size, "epochs": training.epochs, "record": record}
            )
    return grid


STUDIES = (
    Study(
        name="auto_rates",
        cell=cell,
        grids={"paper": _grid(), "quick": _grid()[:1]},
        draw=draw,
        tables=tables,
        packages=("torch",),
        files=(*digits.FILES, *(path for record in RECORDS if (path := RESULTS / record / "metrics.csv").exists())),
    ),
)

if __name__ == "__main__":
    sys.exit(study.main("deep.auto_rates"))
