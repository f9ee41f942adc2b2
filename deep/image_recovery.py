"""Robust image recovery: a deep image prior with s = g*g - h*h needs no early stopping, if its learning rate fits.

    python -m deep.image_recovery            all four studies; at most two hours on two cores, resumable
    python -m deep.image_recovery --redraw   draw from the committed data, fitting nothing
    python -m deep.image_recovery --quick    one image, one seed: five minutes

Questions, on the two photographs of scikit-learn at 64 x 64 pixels, with a skip network of 117,000 parameters:

image_recovery          PSNR over iterations of the squared loss, the absolute loss and s = g*g - h*h, beside median
                        filters
image_recovery_matched  is lam = log(1/gamma)/(2 alpha) all that matters of gamma and alpha, and what lies on either
side?
image_recovery_choice   which lam, without the truth: by the estimated corruption, or by entries held out; the cost
                        against an oracle
image_recovery_rule     the rule's lam itself, not the nearest of a grid, and what half a factor of two to either side
                        would give

The claim under test is stability. It is not that this is the best denoiser: the absolute loss stopped at its peak is
often as good, and a median over entries that are neither 0 nor 1, which knows what salt and pepper looks like, is
better than all of it.
"""

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from deep.tables import mean_std
from sparseop import plotting, provenance, study
from sparseop.deep.image_prior import corruption
from sparseop.deep.image_prior import recipe as recipes
from sparseop.deep.image_prior.fit import Fit
from sparseop.deep.image_prior.images import load_image
from sparseop.deep.image_prior.picture import LABELS, LINES, colour, compose
from sparseop.deep.image_prior.ratio import estimated_level, matching, ratio_for
from sparseop.deep.training import families
from sparseop.files import read_csv
from sparseop.study import Row, Study

IMAGES = ("flower", "china")
NOISES = (0.1, 0.3, 0.5)
SEEDS = (0, 1, 2)
SIZE = 64
ITERATIONS, CHOICE_ITERATIONS = 800, 400
EVERY = 20
GAMMA = 1e-5
GAMMAS = (1e-2, 1e-4, 1e-6, 1e-8)
LAMS = (0.16, 0.08, 0.04, 0.02, 0.01)
HOLDOUT = 0.05
FILTERS = tuple(corruption.FILTERS)
RECORDS = provenance.ROOT / "deep" / "results" / "image_recovery"
RECIPE = "image-recovery"


def corrupted(image: str, kind: str, noise: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the corrupted image and the clean one."""
    clean = load_image(image, SIZE)
    return corruption.corrupt(clean, noise, kind=kind, seed=seed), clean


def fitted(y: torch.Tensor, clean: torch.Tensor, seed: int, method: str, *changes: str) -> Iterator[Row]:
    """Fit by one method and yield a row a measurement, the first before the first step and the last after the last."""
    torch.set_num_threads(1)
    recipe = recipes.read(RECIPE, [f"seed={seed}", *changes])
    fit = Fit(y, method, recipe)
    while True:
        if fit.iteration % EVERY == 0:
            yield {"iteration": fit.iteration, **fit.measure(fit.output(), fit.corruption(), clean)}
        if fit.iteration == recipe.training.iterations:
            return
        fit.step()


def cell(image: str, kind: str, noise: float, seed: int, method: str) -> list[Row]:
    """Return PSNR over iterations of one method, or that of the median filters."""
    y, clean = corrupted(image, kind, noise, seed)
    if method == "filters":
        return [{"filter": name, "iteration": 0, "psnr": value} for name, value in corruption.filters(y, clean).items()]
    ratio = ratio_for(estimated_level(y), GAMMA)
    changes = [f"training.iterations={ITERATIONS}", f"sparse.ratio={ratio}", f"sparse.gamma={GAMMA}"]
    return [{"filter": "", **row, "ratio": ratio} for row in fitted(y, clean, seed, method, *changes)]


def matched_cell(gamma: float, lam: float, image: str, noise: float, seed: int) -> Row:
    """Return where "double" ends at this lam, with the ratio that this gamma needs for it."""
    ratio = matching(lam, gamma)
    changes = [f"training.iterations={ITERATIONS}", f"sparse.ratio={ratio}", f"sparse.gamma={gamma}"]
    *_, last = fitted(*corrupted(image, "salt-and-pepper", noise, seed), seed, "double", *changes)
    return {"ratio": ratio, **last}


def choice_cell(method: str, lam: float, image: str, noise: float, seed: int) -> Row:
    """Return where a fit to 95 % of the entries ends, and what the other 5 % say about it."""
    y, clean = corrupted(image, "salt-and-pepper", noise, seed)
    changes = [f"training.iterations={CHOICE_ITERATIONS}", f"training.holdout={HOLDOUT}"]
    if method == "double":
        changes += [f"sparse.ratio={matching(lam, GAMMA)}", f"sparse.gamma={GAMMA}"]
    rows = list(fitted(y, clean, seed, method, *changes))
    stopped = min(rows, key=lambda row: row["held_out"])
    return {
        "level": estimated_level(y),
        **rows[-1],
        "psnr_best": max(row["psnr"] for row in rows),
        "psnr_stopped": stopped["psnr"],
        "stopped_at": stopped["iteration"],
    }


def rule_cell(factor: float, image: str, noise: float, seed: int) -> Row:
    """Return where "double" ends at the rule's lam times ``factor``, fitted as in ``choice_cell``."""
    y, _ = corrupted(image, "salt-and-pepper", noise, seed)
    lam = factor * matching(ratio_for(estimated_level(y), GAMMA), GAMMA)
    return {"lam": lam, **choice_cell("double", lam, image, noise, seed)}


# ---- PSNR over iterations --------------------------------------------------------------------------------------------


def draw(table: pd.DataFrame) -> dict[str, Figure]:
    """Return the curves, and the picture of each committed run of the recipe."""
    return {
        "": draw_curves(table),
        **{
            folder.name: draw_record(folder)
            for folder in sorted(RECORDS.glob("*"))
            if (folder / "summary.json").is_file()
        },
    }


def draw_record(folder: Path) -> Figure:
    """Return the picture of a run from its record: images of 8 bits, metrics, summary."""
    images = {path.stem: load_image(str(path)).numpy() for path in folder.glob("*.png")}
    if "corruption" in images:
        images["s"] = 2 * images.pop("corruption") - 1
    rows = read_csv(folder / "metrics.csv").to_dict("records")
    figure: Figure = compose(images, rows, json.loads((folder / "summary.json").read_text()))
    return figure


def draw_curves(table: pd.DataFrame) -> Figure:
    """Draw PSNR over iterations: a row an image, a column a corruption level."""
    table = table[table["kind"] == "salt-and-pepper"]
    images, noises = list(dict.fromkeys(table["image"])), sorted(table["noise"].unique())
    figure = Figure(figsize=(4.1 * len(noises) + 0.6, 3.1 * len(images) + 1.2))
    axes = figure.subplots(len(images), len(noises), sharex=True, squeeze=False, sharey=True)
    for row, image in zip(axes, images, strict=True):
        for axis, noise in zip(row, noises, strict=True):
            part = table[(table["image"] == image) & (table["noise"] == noise)]
            for method, dashes in LINES.items():
                by_iteration = part[part["method"] == method].groupby("iteration")["psnr"]
                mean, spread = by_iteration.mean(), by_iteration.std().fillna(0)
                axis.plot(mean, dashes, color=colour(method), label=LABELS[method])
                axis.fill_between(mean.index, mean - spread, mean + spread, color=colour(method), alpha=0.15, lw=0)
            for name, dots in zip(FILTERS, (":", "-.", "--"), strict=True):
                axis.axhline(part[part["filter"] == name]["psnr"].mean(), color="black", lw=0.9, ls=dots, label=name)
            axis.set_title(f"{image}, {100 * noise:g} %")
            axis.set_xlim(0, part["iteration"].max())
    for axis in axes[-1]:
        axis.set_xlabel("iteration")
    for axis in axes[:, 0]:
        axis.set_ylabel("PSNR (dB)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    plotting.caption(
        figure,
        f"Mean and standard deviation of {table['seed'].nunique()} seeds (corruption, network, input). {SIZE} x {SIZE}"
        " pixels, each entry (pixel and channel) replaced by 0 or 1 with the probability given; the same network,"
        f" start and step for the three losses; ratio α by the rule from the estimated corruption level, γ = {GAMMA:g}."
        " The median of entries that are not 0 or 1 knows the kind of noise; nothing else does.",
    )
    return figure


def tables(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return last and best PSNR of every method, mean and deviation over seeds."""
    rows = []
    for (kind, image, noise), part in table.groupby(["kind", "image", "noise"], sort=False):
        row: dict[str, Any] = {"noise": kind, "image": image, "%": round(100 * noise)}
        for method in recipes.METHODS:
            own = part[part["method"] == method]
            last = own[own["iteration"] == own["iteration"].max()].set_index("seed")["psnr"]
            best = own.groupby("seed")["psnr"].max()
            if len(own):
                row[f"{method}: last"], row[f"{method}: best"] = mean_std(last), mean_std(best)
        own = part[(part["method"] == "double") & (part["iteration"] == part["iteration"].max())]
        row |= {"precision": mean_std(own["precision"], 2), "recall": mean_std(own["recall"], 2)}
        row |= {name: mean_std(part[part["filter"] == name]["psnr"]) for name in FILTERS}
        rows.append(row)
    return {"": pd.DataFrame(rows).fillna("")}


# ---- matched pairs ---------------------------------------------------------------------------------------------------


def draw_matched(table: pd.DataFrame) -> Figure:
    """Draw the last PSNR against alpha, a curve for every gamma, and against lam, where the curves are one."""
    figure = Figure(figsize=(11, 4.3))
    axes = figure.subplots(1, 2, sharey=True)
    for axis, x, label in zip(
        axes, ("ratio", "lam"), (r"ratio $\alpha$", r"$\lambda = \log(1/\gamma)\,/\,(2\alpha)$"), strict=True
    ):
        for index, (gamma, part) in enumerate(table.groupby("gamma", sort=False)):
            plotting.mean_spread(
                axis,
                part,
                x,
                "psnr",
                color=plotting.COLORS[index],
                marker=plotting.MARKERS[index],
                ls=plotting.DASHES[index],
                label=rf"$\gamma$ = {gamma:g}",
            )
        axis.set(xscale="log", xlabel=label)
    axes[1].invert_xaxis()  # to the right in both panels: s wakes up earlier
    axes[0].set(ylabel="PSNR of the last iteration (dB)", title="each $\\gamma$ has its own best ratio")
    axes[1].set(title="$\\lambda$ brings them together")
    axes[1].legend(loc="lower center")
    for x, text, side in (
        (0.03, "the network memorises\nbefore s wakes up", "left"),
        (0.97, "s takes image\ndetail too", "right"),
    ):
        axes[1].text(x, 0.98, text, transform=axes[1].transAxes, ha=side, va="top", fontsize=8.5, color="#444444")
    by_lam = table.groupby(["lam", "gamma"])["psnr"].mean().unstack()
    top = by_lam.mean(axis=1).idxmax()
    best = table.groupby(["gamma", "ratio"])["psnr"].mean().groupby("gamma").idxmax().map(lambda pair: pair[1])
    first = table.iloc[0]
    plotting.caption(
        figure,
        f"The best α depends on γ ({best.min():.0f} to {best.max():.0f}), the best λ does not ({top:g}).\n"
        f"{first['image']},"
        f" {100 * first['noise']:g} % salt and pepper; mean and standard deviation of {table['seed'].nunique()} seeds.",
    )
    return figure


def table_matched(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the last PSNR, a row a lam and a column a gamma; pairs in a row are matched."""
    grid = table.groupby(["lam", "gamma"])["psnr"].agg(mean_std).unstack()
    grid.columns = [f"gamma = {gamma:g}" for gamma in grid.columns]
    return {"": grid.sort_index(ascending=False).reset_index()}


# ---- a choice without the truth --------------------------------------------------------------------------------------


def table_choices(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row a fitted image: the PSNR that each way to choose lam ends at."""
    rows = []
    double = table[table["method"] == "double"]
    best_of_image = double.groupby(["image", "noise", "lam"])["psnr"].mean().reset_index()
    for (image, noise, seed), part in double.groupby(["image", "noise", "seed"], sort=False):
        by_lam = part.set_index("lam")["psnr"]
        ruled = matching(ratio_for(part["level"].iloc[0], GAMMA), GAMMA)
        nearest = min(by_lam.index, key=lambda lam, at=ruled: abs(math.log(lam / at)))
        others = best_of_image[(best_of_image["image"] != image) & (best_of_image["noise"] == noise)]
        stopped = table[
            (table["method"] == "absolute")
            & (table["image"] == image)
            & (table["noise"] == noise)
            & (table["seed"] == seed)
        ]
        row = {
            "image": image,
            "noise": noise,
            "seed": seed,
            "oracle": by_lam.max(),
            "rule": by_lam[nearest],
            "held out": by_lam[part.set_index("lam")["held_out"].idxmin()],
            "found = estimated": by_lam[(part.set_index("lam")["found"] - part["level"].iloc[0]).abs().idxmin()],
        }
        if len(others):
            row["best of the other image"] = by_lam[others.set_index("lam")["psnr"].idxmax()]
        if len(stopped):
            row |= {
                "absolute loss, oracle stop": stopped["psnr_best"].iloc[0],
                "absolute loss, held-out stop": stopped["psnr_stopped"].iloc[0],
                "absolute loss, last": stopped["psnr"].iloc[0],
            }
        rows.append(row)
    return pd.DataFrame(rows)


def table_costs(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the oracle's PSNR and what every choice without the truth costs against it, in dB."""
    found = table_choices(table)
    ways = [name for name in found.columns if name not in ("image", "noise", "seed", "oracle")]
    rows = []
    for (image, noise), part in [*found.groupby(["image", "noise"], sort=False), (("all", math.nan), found)]:
        row = {
            "image": image,
            "%": "" if math.isnan(noise) else f"{100 * noise:g}",
            "oracle (dB)": mean_std(part["oracle"]),
        }
        rows.append(row | {f"cost: {way}": mean_std(part["oracle"] - part[way]) for way in ways})
    return {"": pd.DataFrame(rows)}


def table_rule(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the PSNR at the rule's lam and beside it, and what the best of the three would have gained."""
    rows = []
    for (image, noise), part in [*table.groupby(["image", "noise"], sort=False), (("all", math.nan), table)]:
        by_factor = part.pivot_table(index=["image", "noise", "seed"], columns="factor", values="psnr")
        row = {
            "image": image,
            "%": "" if math.isnan(noise) else f"{100 * noise:g}",
            "rule's lam": f"{part[part['factor'] == 1]['lam'].mean():.3f}",
        }
        row |= {f"lam x {factor:.2f} (dB)": mean_std(by_factor[factor]) for factor in by_factor.columns}
        rows.append(row | {"best of these - rule (dB)": mean_std(by_factor.max(axis=1) - by_factor[1.0], 2)})
    return {"": pd.DataFrame(rows)}


def draw_choice(table: pd.DataFrame) -> dict[str, Figure]:
    """Draw what each choice of lam costs, and in a figure of its own the PSNR against lam."""
    return {"": _draw_costs(table), "weights": _draw_weights(table)}


def _draw_costs(table: pd.DataFrame) -> Figure:
    """Draw a row for each way to choose, the best on top, and a dot for each fitted image: the costs are skew."""
    found = table_choices(table)
    ways = [name for name in found.columns if name not in ("image", "noise", "seed", "oracle")]
    costs = {way: found["oracle"] - found[way] for way in ways}
    ways.sort(key=lambda way: costs[way].mean())
    figure = Figure(figsize=(8.5, 4.2))
    axis = figure.subplots()
    for place, way in enumerate(ways):
        color = plotting.RED if way.startswith("absolute") else plotting.BLUE
        axis.plot(costs[way], np.full(len(found), place), "o", ms=4.5, color=color, alpha=0.35, mec="none")
        axis.plot(costs[way].mean(), place, "|", ms=16, mew=2.5, color=color)
    axis.axvline(0, color=plotting.GREY, lw=1, ls=":")
    axis.set(yticks=range(len(ways)), yticklabels=ways, xlabel="dB below the λ that the truth would choose")
    axis.invert_yaxis()
    axis.grid(visible=False, axis="y")
    plotting.caption(
        figure,
        f"Without the truth, the rule chooses a λ that is {costs['rule'].mean():.1f} dB worse on average, held-out"
        f" entries one that is {costs['held out'].mean():.1f} dB worse. Red: the absolute loss instead. {len(found)}"
        " fits each.",
    )
    return figure


def _draw_weights(table: pd.DataFrame) -> Figure:
    double = table[table["method"] == "double"]
    images = list(dict.fromkeys(table["image"]))
    figure = Figure(figsize=(5 * len(images), 4.4))
    axes = figure.subplots(1, len(images), squeeze=False)[0]
    for axis, image in zip(axes, images, strict=True):
        ends = []
        axis.set(xscale="log", xlabel=r"$\lambda$", title=image)
        axis.set(xlim=(0.8 * double["lam"].min(), 4 * double["lam"].max()), ylim=(6, 31))
        for index, (noise, part) in enumerate(double[double["image"] == image].groupby("noise")):
            color, mean = plotting.COLORS[index], part.groupby("lam")["psnr"].mean()
            options = {"color": color, "ls": plotting.DASHES[index], "marker": plotting.MARKERS[index], "ms": 4}
            plotting.mean_spread(axis, part, "lam", "psnr", **options)
            axis.axvline(matching(ratio_for(part["level"].mean(), GAMMA), GAMMA), color=color, lw=1, ls=":")
            ends.append((float(mean.index[-1]), float(mean.iloc[-1]), f"{100 * noise:g} % corrupted", color))
        plotting.label_ends(axis, ends)
    axes[0].set_ylabel("PSNR of the last iteration (dB)")
    plotting.caption(
        figure,
        f"The more is corrupted, the smaller the best λ; the rule (dotted) follows. {CHOICE_ITERATIONS} iterations,"
        f" {table['seed'].nunique()} seeds.",
    )
    return figure


def _curves(images: tuple[str, ...], noises: tuple[float, ...], seeds: tuple[int, ...]) -> list[Row]:
    methods = (*recipes.METHODS, "filters")
    cells = [
        {"image": i, "kind": "salt-and-pepper", "noise": n, "seed": s, "method": m}
        for i in images
        for n in noises
        for s in seeds
        for m in methods
    ]
    # marked by nothing: the filter that knows that impulses are 0 or 1 is of no use here
    return cells + [
        {"image": i, "kind": "uniform", "noise": 0.3, "seed": s, "method": m}
        for i in images
        for s in seeds
        for m in ("absolute", "double", "filters")
    ]


def _choices(images: tuple[str, ...], noises: tuple[float, ...], seeds: tuple[int, ...]) -> list[Row]:
    methods = [("double", lam) for lam in LAMS] + [("absolute", 0.0)]
    return [
        {"method": m, "lam": lam, "image": i, "noise": n, "seed": s}
        for i in images
        for n in noises
        for s in seeds
        for m, lam in methods
    ]


def _beside(images: tuple[str, ...], noises: tuple[float, ...], seeds: tuple[int, ...]) -> list[Row]:
    return [
        {"factor": f, "image": i, "noise": n, "seed": s}
        for i in images
        for n in noises
        for s in seeds
        for f in (0.5**0.5, 1.0, 2**0.5)
    ]


def _pairs(gammas: tuple[float, ...], seeds: tuple[int, ...]) -> list[Row]:
    return [
        {"gamma": g, "lam": lam, "image": "flower", "noise": 0.3, "seed": s}
        for g in gammas
        for lam in LAMS
        for s in seeds
    ]


PACKAGES = ("torch", "pillow", "scikit-learn")
STUDIES = (
    Study(
        "image_recovery",
        cell,
        {"paper": _curves(IMAGES, NOISES, SEEDS), "quick": _curves(("flower",), (0.3,), (0,))},
        draw,
        tables,
        packages=PACKAGES,
        files=families.family(RECIPE).files,
    ),
    Study(
        "image_recovery_matched",
        matched_cell,
        {"paper": _pairs(GAMMAS, SEEDS[:2]), "quick": _pairs((1e-2, 1e-6), (0,))},
        draw_matched,
        table_matched,
        packages=PACKAGES,
        files=families.family(RECIPE).files,
    ),
    Study(
        "image_recovery_choice",
        choice_cell,
        {"paper": _choices(IMAGES, NOISES, SEEDS), "quick": _choices(("flower",), (0.3,), (0,))},
        draw_choice,
        table_costs,
        packages=PACKAGES,
        files=families.family(RECIPE).files,
    ),
    Study(
        "image_recovery_rule",
        rule_cell,
        {"paper": _beside(IMAGES, NOISES, SEEDS[:1]), "quick": _beside(("flower",), (0.3,), (0,))},
        tables=table_rule,
        packages=PACKAGES,
        files=families.family(RECIPE).files,
    ),
)

if __name__ == "__main__":
    sys.exit(study.main("deep.image_recovery"))
