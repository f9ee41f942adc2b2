"""The report: one HTML file that needs nothing beside itself, and the tables beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sparseop import provenance
from sparseop.files import require_writable, write_atomic
from sparseop.inspect.result import Inspection
from sparseop.inspect.thumbnails import Pictures

PAIRS, IN_PAIR, IN_ALL = 40, 24, 480  #: pairs of classes, suspects of each, and suspects in all that the page shows
MATRIX = 16  #: classes up to which the table of confusions is square
COLUMNS = 8  #: of a table's row that are shown


@dataclass(frozen=True)
class Truth:
    """The right labels (N,), where they are known, as in a demonstration, and what was done to them."""

    labels: Any
    about: str


def write(
    found: Inspection,
    folder: Path,
    *,
    title: str,
    pictures: Pictures | None = None,
    frame: pd.DataFrame | None = None,
    then: str = "leave-out",
    precision: float | None = None,
    truth: Truth | None = None,
) -> list[Path]:
    """Write ``suspects.csv``, ``labels.csv`` and ``report.html`` into a folder; each appears whole or not at all."""
    require_writable(folder)
    to_train = found.to_train(then, precision=precision)
    page = render(found, title=title, pictures=pictures, frame=frame, then=then, precision=precision, truth=truth)
    content = {
        "suspects.csv": found.table.to_csv(index=False, float_format="%.8g"),
        "labels.csv": to_train.to_csv(index=False),
        "report.html": page,
    }
    for name, text in content.items():
        write_atomic(folder / name, text.encode("utf-8"))
    return [folder / name for name in content]


def render(
    found: Inspection,
    *,
    title: str,
    pictures: Pictures | None = None,
    frame: pd.DataFrame | None = None,
    then: str = "leave-out",
    precision: float | None = None,
    truth: Truth | None = None,
) -> str:
    """Return the page."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"percent": _percent, "count": lambda x: f"{round(x):,}", "short": _short}
    template = environment.from_string(
        resources.files("sparseop.inspect").joinpath("report.html.j2").read_text(encoding="utf-8")
    )
    count = found.suspects if precision is None else found.length_for(precision)
    at = found.precision.iloc[max(count, 1) - 1]
    page: str = template.render(
        title=title,
        found=found,
        total=len(found.table),
        count=count,
        at=at,
        then=then,
        wanted=precision,
        lengths=[(p, found.length_for(p)) for p in (0.95, 0.9, 0.8, 0.5)],
        sheets=_sheets(found, count, pictures, frame),
        matrix=_matrix(found) if len(found.labels.classes) <= MATRIX else None,
        pairs=found.pairs.head(30).to_dict("records"),
        curve=_curve(found, count),
        groups=_groups(found, pictures),
        lookalikes=found.lookalikes.head(10).to_dict("records"),
        judges=found.judges.to_dict("records"),
        certificate=found.certificate,
        chosen=found.chosen.to_dict("records"),
        key="path" if "path" in found.table else "row",
        truth=None if truth is None else _against(found, truth, count),
        versions=provenance.versions("sparseop", "numpy", "scikit-learn", "cleanlab"),
        when=provenance.now()[:10],
    )
    return page


def _sheets(
    found: Inspection, count: int, pictures: Pictures | None, frame: pd.DataFrame | None
) -> list[dict[str, Any]]:
    """Return the worst by pair of classes, pairs with most suspects first."""
    table = found.table.head(max(count, min(12, len(found.table))))
    sheets: list[dict[str, Any]] = []
    shown = 0
    grouped = sorted(table.groupby(["given", "proposed"], sort=False), key=lambda g: (-len(g[1]), str(g[0])))
    for (given, proposed), part in grouped[:PAIRS]:
        some = part.head(min(IN_PAIR, max(IN_ALL - shown, 0)))
        if some.empty:
            break
        shown += len(some)
        items = []
        for entry in some.to_dict("records"):
            row = int(entry["row"])
            values = (
                []
                if frame is None or pictures is not None
                else [(str(c), _cell(frame[c].iloc[row])) for c in frame.columns[:COLUMNS]]
            )
            items.append(
                {
                    "row": row,
                    "name": str(entry.get("path", f"row {row}")),
                    "suspicion": float(entry["suspicion"]),
                    "picture": None if pictures is None else pictures.thumbnail(row),
                    "values": values,
                }
            )
        sheets.append({"given": given, "proposed": proposed, "suspects": len(part), "items": items})
    return sheets


def _matrix(found: Inspection) -> dict[str, Any]:
    """Return the expected number of labels of each given class (rows) that are really another (columns)."""
    classes = list(found.labels.classes)
    amount = {(row["given"], row["really"]): float(row["samples"]) for row in found.pairs.to_dict("records")}
    top = max(amount.values(), default=1.0)
    rows = [
        {
            "given": a,
            "cells": [
                {"value": amount.get((a, b), 0.0), "share": amount.get((a, b), 0.0) / top, "own": a == b}
                for b in classes
            ],
        }
        for a in classes
    ]
    return {"classes": classes, "rows": rows}


def _curve(found: Inspection, count: int) -> dict[str, Any]:
    """Return the estimated precision against the length of the list, in the units of a drawing of 640 x 220."""
    longest = min(len(found.table), max(4 * max(count, 1), 40))
    n = np.unique(np.round(np.linspace(1, longest, 160)).astype(int))
    part = found.precision.iloc[n - 1]

    def x(values: Any) -> Any:
        return 48 + 580 * np.asarray(values, dtype=float) / longest

    def points(xs: Any, ys: Any) -> str:
        return " ".join(f"{a:.1f},{10 + 170 * (1 - b):.1f}" for a, b in zip(xs, ys, strict=True))

    middle = points(x(n), part["precision"])
    band = f"{points(x(n), part['high'])} {points(x(n)[::-1], part['low'].to_numpy()[::-1])}"
    ticks = [(float(x(value)), f"{round(value):,}") for value in np.linspace(0, longest, 5)]
    return {"middle": middle, "band": band, "cut": float(x(min(count, longest))), "ticks": ticks}


def _groups(found: Inspection, pictures: Pictures | None) -> list[dict[str, Any]]:
    """Return the exact duplicates with different labels, twelve groups at most."""
    groups = []
    for number, part in list(found.duplicates.groupby("group", sort=False))[:12]:
        members = [{"row": int(r), "given": g} for r, g in zip(part["row"], part["given"], strict=True)]
        first = members[0]["row"]
        groups.append(
            {
                "number": number,
                "members": members[:12],
                "picture": None if pictures is None else pictures.thumbnail(first),
            }
        )
    return groups


def _against(found: Inspection, truth: Truth, count: int) -> Mapping[str, Any]:
    """Return what is really so, where truth is known."""
    right = np.asarray(truth.labels).astype(str)[found.table["row"]]
    wrong = found.table["given"].astype(str).to_numpy() != right
    top = found.table["rank"].to_numpy() <= count
    fixed = found.table["proposed"].astype(str).to_numpy() == right
    return {
        "about": truth.about,
        "wrong": int(wrong.sum()),
        "precision": float(wrong[top].mean()) if top.any() else 0.0,
        "recall": float(wrong[top].sum() / max(wrong.sum(), 1)),
        "proposed": float(fixed[top & wrong].mean()) if (top & wrong).any() else 0.0,
    }


def _percent(value: float) -> str:
    if 0.9995 <= value < 1:
        return "> 99.9 %"
    return f"{100 * value:.1f} %" if 0 < value < 0.1 or 0.95 < value < 0.9995 else f"{100 * value:.0f} %"


def _short(value: object, limit: int = 28) -> str:
    text = str(value)
    return text if len(text) <= limit else f"{text[: limit // 2 - 1]}…{text[-(limit // 2) :]}"


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else _short(value, 20)
