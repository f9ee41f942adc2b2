"""Plain gradient descent against the self-labeling refinery, step by step (SANE paper, section 3.1, eqs. 5-7).

    python -m theory.refinery_descent            at most four minutes on two cores
    python -m theory.refinery_descent --quick    two seeds, 1000 steps

Gradient descent first learns what the clusters agree on, then every wrong label. With x~ = x, as in the paper's proofs,
the refinery is gradient descent with step eta (1 - alpha_t): the same curve, walked more slowly, unless alpha_t -> 1
stops it. With x~ another crop it is more: gradient descent plus a pull of the cluster's crops towards one another.
"""

import sys

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sparseop import plotting, study
from sparseop.refinery import schedules
from sparseop.refinery.data import corrupted_dataset
from sparseop.refinery.descent import largest_step, log_steps, refine
from sparseop.refinery.network import OneHiddenLayer

DIM, CENTRES, CROPS, WIDTH = 20, 10, 50, 200
RHO, EPS, ALPHA, STOP_AFTER = 0.3, 0.3, 0.9, 100
#: name -> (arguments of ``refine``, label)
METHODS = {
    "descent": ({}, "gradient descent"),
    "self": ({"alpha": ALPHA}, r"refinery, $\tilde x = x$"),
    "stopped": ({"alpha": "cosine"}, r"refinery, $\tilde x = x$, $\alpha_t \to 1$ in 100 steps"),
    "teacher": ({"alpha": ALPHA, "teacher": 0.99}, r"refinery, $\tilde x = x$, moving-average teacher"),
    "partner": ({"alpha": ALPHA, "positive_from": "partner"}, r"refinery, $\tilde x$ a fixed partner"),
    "cluster": ({"alpha": ALPHA, "positive_from": "cluster"}, r"refinery, $\tilde x$ another crop, redrawn"),
    "fresh": ({"alpha": ALPHA, "positive_from": "fresh"}, r"refinery, $\tilde x$ a fresh crop"),
    # on S+ a step acts as eta (1 - alpha), so it may be 1 / (1 - alpha) times longer: descent's effective time in as
    # many steps
    "long": (
        {"alpha": ALPHA, "positive_from": "cluster", "longer": 1 / (1 - ALPHA)},
        r"refinery, another crop, step $\eta/(1-\alpha)$",
    ),
}
SHOWN = {
    "descent": (plotting.BLUE, "-"),
    "self": (plotting.CYAN, "--"),
    "stopped": (plotting.YELLOW, (0, (3, 1, 1, 1, 1, 1))),
    "teacher": (plotting.GREY, ":"),
    "cluster": (plotting.RED, "-"),
    "fresh": (plotting.PURPLE, "-."),
}
GRIDS = {
    mode: [{"method": m, "steps": steps, "seed": s} for m in METHODS for s in range(seeds)]
    for mode, seeds, steps in (("paper", 5, 5000), ("quick", 2, 1000), ("full", 10, 10000))
}


def cell(method: str, steps: int, seed: int) -> list[study.Row]:
    """One run; a row for each recorded step."""
    data = corrupted_dataset(CENTRES, DIM, CROPS, rho=RHO, eps=EPS, seed=study.generator("descent data", seed))
    network = OneHiddenLayer.gaussian(WIDTH, DIM, seed=study.generator("descent network", seed))
    options = dict(METHODS[method][0])
    if options.get("alpha") == "cosine":
        options["alpha"] = schedules.cosine(steps, 1.0, STOP_AFTER)
    eta = largest_step(data, network) * options.pop("longer", 1)
    run = refine(
        data,
        network,
        steps=steps,
        eta=eta,
        precision="single",
        record=log_steps(steps, 48),
        seed=study.generator("descent run", seed),
        **options,
    )
    noise = np.linalg.norm(data.minus(data.y))
    return [
        {
            "step": t,
            "time": run.time[i],
            "test_accuracy": run.test_accuracy[i],
            "noise_fitted": run.noise_fitted[i],
            "label_recovery": run.label_recovery[i],
            "distance": run.distance[i],
            "error": run.error[i],
            "error_max": run.error_max[i],
            "discrepancy": run.discrepancy[i],
            "fit_plus": run.fit_plus[i],
            "fit_minus": run.fit_minus[i] / noise,
            "projection": np.abs(data.plus(data.y - data.y_star)).max(),
        }
        for i, t in enumerate(run.step)
    ]


def draw(table: pd.DataFrame) -> dict[str, Figure]:
    """Two figures: everything against the steps, and the collapse in effective time."""
    return {"": draw_steps(table), "time": draw_time(table)}


def draw_steps(table: pd.DataFrame) -> Figure:
    """Test accuracy and the share of wrong labels fitted, against the step."""
    figure = Figure(figsize=(11, 4.6))
    axes = figure.subplots(1, 2, sharex=True)
    for axis, (name, title) in zip(
        axes,
        (("test_accuracy", "test accuracy on fresh crops"), ("noise_fitted", "share of the wrong labels fitted")),
        strict=True,
    ):
        axis.set(xscale="log", title=title, xlabel="step $t$", ylim=(-0.03, 1.03))
        axis.set_xlim(1, 40 * table.step.max())  # room for the names of the curves
        ends = []
        for method, text in (
            ("descent", "gradient descent"),
            ("self", r"refinery, $\tilde x = x$"),
            ("cluster", "refinery, another crop"),
        ):
            color, dash = SHOWN[method]
            some = table[table.method == method]
            _draw_curve(axis, some, "step", name, color, dash, text)
            end = some[some.step == some.step.max()]
            ends.append((float(end.step.iloc[0]), float(end[name].mean()), text, color))
        plotting.label_ends(axis, ends)
    plotting.caption(figure, draw_caption(table))
    return figure


def draw_caption(table: pd.DataFrame) -> str:
    """Say what the figure shows, in numbers."""
    last = table[table.step == table.step.max()].groupby("method").mean(numeric_only=True)
    best = table[table.method == "descent"].groupby("seed").test_accuracy.max().mean()
    return (
        f"Descent is right at its best moment ({best:.3f}) and ends at {last.test_accuracy['descent']:.2f} with"
        f" {last.noise_fitted['descent']:.0%} of the wrong labels fitted; the refinery with another crop ends at"
        f" {last.test_accuracy['cluster']:.2f} without a stopping time. Mean and range of {table.seed.nunique()} draws."
    )


def draw_time(table: pd.DataFrame) -> Figure:
    """In effective time the refinery with x~ = x is gradient descent; with another crop it is something else."""
    figure = Figure(figsize=(11.6, 4.6))
    left, right = figure.subplots(1, 2)
    table = table_effective(table)
    later = table[table.effective > 0]
    for method in ("descent", "self", "stopped", "long"):
        color, dash = SHOWN.get(method, SHOWN["cluster"])
        for axis, name in ((left, "test_accuracy"), (right, "fit_minus")):
            _draw_curve(axis, later[later.method == method], "effective", name, color, dash, METHODS[method][1])
    stopped = later[(later.method == "stopped") & (later.step == later.step.max())].mean(numeric_only=True)
    for axis, name in ((left, "test_accuracy"), (right, "fit_minus")):
        axis.plot(
            stopped.effective,
            stopped[name],
            "o",
            color=plotting.YELLOW,
            mec="black",
            ms=8,
            label="where it stops for ever",
        )
        axis.set(xscale="log", xlabel=r"effective number of steps $\sum_s (1-\alpha_s)$")
    last = later[(later.method == "long") & (later.step == later.step.max())].mean(numeric_only=True)
    right.axhline(ALPHA, color=plotting.GREY, lw=1.2, ls=":", label=r"floor of linear theory, $\alpha$")
    left.set(title="test accuracy", ylim=(0.3, 1.03))
    right.set(ylim=(0, 1.08), title=r"label noise not fitted, $\|P_{S_-}(f-y)\| / \|P_{S_-}y\|$")
    right.legend(loc="lower left", fontsize=8.6)
    plotting.caption(
        figure,
        "With x̃ = x the refinery is descent in slow motion: one curve (accuracies differ by at most"
        f" {table_collapse(table):.3f}). With another crop only {1 - last.fit_minus:.0%} of the noise is fitted in the"
        f" end, near linear theory's {1 - ALPHA:.0%}.",
    )
    return figure


def table_effective(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the effective number of steps, effective time in units of the draw's step size eta."""
    descent = table[(table.method == "descent") & (table.step == table.step.max())].set_index("seed")
    eta = descent.time / descent.step
    return table.assign(effective=(table.time / table.seed.map(eta)).round(6))


def table_collapse(table: pd.DataFrame) -> float:
    """Largest difference of the mean test accuracies of descent and x~ = x at equal effective time, from step 10."""
    table = table_effective(table)
    curves = {
        m: table[table.method == m].groupby("effective").test_accuracy.mean() for m in ("descent", "self", "stopped")
    }
    reference = curves["descent"]
    differences = []
    for method in ("self", "stopped"):
        # before that, one step of descent is as long as everything there is to compare it with
        curve = curves[method][curves[method].index >= 10]
        differences.append(np.abs(curve - np.interp(curve.index, reference.index, reference)).max())
    return float(max(differences))


def table(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Every method at its best and at its end, mean and standard deviation over the draws."""
    last = frame[frame.step == frame.step.max()].set_index(["method", "seed"])
    best = frame.groupby(["method", "seed"]).test_accuracy.max().rename("best test accuracy")
    rows = []
    for method in METHODS:
        end = last.loc[method]
        row = {"method": method, "steps": int(frame.step.max()), "draws": len(end)}
        for name, values in (
            ("best test accuracy", best.loc[method]),
            ("test accuracy", end.test_accuracy),
            ("wrong labels fitted", end.noise_fitted),
            ("refined labels right", end.label_recovery),
            ("|f-y*| rms", end.error),
            ("|f-y*| max", end.error_max),
            ("distance", end.distance),
            ("noise unfitted", end.fit_minus),
        ):
            row[name] = values.mean()
            row[f"{name}, sd"] = values.std()
        rows.append(row)
    return {"": pd.DataFrame(rows)}


def _draw_curve(axis, frame, x, y, color, dash, label):  # type: ignore[no-untyped-def]
    grouped = frame.groupby(x)[y]
    axis.plot(grouped.mean().index, grouped.mean(), color=color, ls=dash, label=label)
    axis.fill_between(grouped.mean().index, grouped.min(), grouped.max(), color=color, alpha=0.15, lw=0)


STUDIES = (study.Study("refinery_descent", cell, GRIDS, draw, table),)

if __name__ == "__main__":
    sys.exit(study.main("theory.refinery_descent"))
