"""The picture of a run: the images, what was found of the corruption, and PSNR over iterations."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Images = dict[str, NDArray[Any]]
LINES = {"squared": "--", "absolute": "-.", "double": "-"}
LABELS = {"squared": "squared loss", "absolute": "absolute loss", "double": "$s = g\\odot g - h\\odot h$"}


def draw(stem: Path, images: Images, rows: list[dict[str, Any]], summary: dict[str, Any]) -> list[Path]:
    """Draw a run's picture into the files of ``plotting.save`` and return their paths."""
    from sparseop import plotting  # matplotlib, which no other trainer loads

    with plotting.style():
        figure = compose(images, rows, summary)
    return plotting.save(figure, stem)


def compose(images: Images, rows: list[dict[str, Any]], summary: dict[str, Any]) -> Any:
    """Return the figure.

    Parameters
    ----------
    images : (C, H, W) arrays by name: "corrupted", "recovered_METHOD", and where there are any "clean" and "s".
    rows : the measurements, as in metrics.csv.
    summary : as in summary.json.
    """
    from matplotlib.figure import Figure

    from sparseop import plotting

    methods = summary["methods"]
    panels = [
        (name, image)
        for name in ("clean", "corrupted", *(f"recovered_{m}" for m in methods))
        if (image := images.get(name)) is not None
    ]
    if "s" in images:
        panels.append(("s", (1 + images["s"]) / 2))
    figure = Figure(figsize=(max(8.5, 2.15 * len(panels)), 5.9))
    rows_of_panels = figure.add_gridspec(2, 1, height_ratios=[1, 1.25])
    top, bottom = (
        rows_of_panels[0].subgridspec(1, len(panels)),
        rows_of_panels[1].subgridspec(1, 2, width_ratios=[1.6, 1]),
    )
    for place, (name, image) in enumerate(panels):
        axis = figure.add_subplot(top[place])
        shown = np.clip(np.moveaxis(image, 0, -1), 0, 1)
        axis.imshow(shown[..., 0] if shown.shape[2] == 1 else shown, origin="upper", cmap="gray", vmin=0, vmax=1)
        axis.set_title(_title(name, summary), fontsize=9.5)
        axis.set_axis_off()
    truth = "clean" in images
    axis, beside = figure.add_subplot(bottom[0]), figure.add_subplot(bottom[1])
    for method in methods:
        own = [row for row in rows if row["method"] == method]
        values = [row["psnr" if truth else "loss"] for row in own]
        axis.plot(
            [row["iteration"] for row in own], values, color=colour(method), ls=LINES[method], label=LABELS[method]
        )
    if truth:
        for (name, value), dots in zip(summary["filters"].items(), (":", "-.", "--"), strict=False):
            axis.axhline(value, color=plotting.GREY, lw=1, ls=dots, label=name)
    else:
        axis.set_yscale("log")
    axis.set(xlabel="iteration", ylabel="PSNR (dB)" if truth else "loss (no truth is known: no PSNR)")
    axis.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    _found(beside, rows, summary)
    plotting.caption(
        figure,
        (
            f"{summary['image'].rsplit('/', 1)[-1]}, "
            + (f"{100 * summary['noise']:g} % of the entries {summary['noise_kind']}, " if truth else "as given, ")
            + f"seed {summary['seed']}; estimated share of visibly corrupted entries"
            f" {100 * summary['estimated_level']:.0f} %; ratio α = {summary['ratio']:.3g}, γ = {summary['gamma']:g},"
            f" λ = log(1/γ)/(2α) = {summary['lam']:.3g}. Grey filters are medians; the last of them knows that"
            " impulses are exactly 0 or 1."
        ),
    )
    return figure


def _found(axis: Any, rows: list[dict[str, Any]], summary: dict[str, Any]) -> None:
    """Draw what of the corruption was found over iterations."""
    from sparseop import plotting

    own = [row for row in rows if row["method"] == "double"]
    if not own:
        axis.set_axis_off()
        return
    at = [row["iteration"] for row in own]
    for key, colour, dashes in (
        ("precision", plotting.BLUE, "--"),
        ("recall", plotting.GREEN, "-"),
        ("found", plotting.PURPLE, "-."),
    ):
        if key in own[-1]:
            label = "share of entries found" if key == "found" else key
            axis.plot(at, [row[key] for row in own], color=colour, ls=dashes, label=label)
    axis.axhline(summary["estimated_level"], color=plotting.PURPLE, lw=1, ls=":", label="estimated share")
    axis.set(xlabel="iteration", ylim=(0, 1.03), title="entries with $|s| > 0.1$")
    axis.legend(fontsize=8)


def _title(name: str, summary: dict[str, Any]) -> str:
    if name == "clean":
        return "clean"
    if name == "corrupted":
        known = summary.get("psnr_corrupted")
        return "corrupted" + (f", {known:.1f} dB" if known is not None else "")
    if name == "s":
        last = summary["methods"]["double"]["last"]
        return "$s$" + (
            f": precision {last['precision']:.2f}, recall {last['recall']:.2f}"
            if last.get("precision") is not None
            else ""
        )
    method = name.removeprefix("recovered_")
    value = summary["methods"][method]["last"]["psnr"]
    known = value is not None and not np.isnan(value)
    return LABELS[method] + (f", {value:.1f} dB" if known else "")


def colour(method: str) -> str:
    """Return the colour of a method's curve."""
    from sparseop import plotting

    return {"squared": plotting.GREY, "absolute": plotting.BLUE, "double": plotting.RED}[method]
