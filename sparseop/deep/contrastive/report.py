"""The table at the end of a contrastive run or comparison."""

import math
from collections.abc import Sequence
from typing import Any

from sparseop.deep.contrastive.recipe import Recipe

Column = tuple[str, dict[str, Any]]


def equal_time(epochs: int, seconds: float, other_seconds: float) -> int:
    """Return how many epochs the baseline can train in the other's time, when ``epochs`` took it ``seconds``."""
    return max(1, round(epochs * other_seconds / max(seconds, 0.05)))  # a tenth is the least that is told apart


def column(recipe: Recipe, summary: dict[str, Any], note: str = "") -> list[Column]:
    """Return the columns of a run.

    What it trained, before it raw pixels and the untrained network where they were judged.
    """
    title = {"moco": "MoCo", "sane": "SANE"}[recipe.method.name] + note
    before = [
        (name, {"final": summary[key], "epochs": 0})
        for name, key in (("pixels", "pixels"), ("untrained", "untrained"))
        if key in summary
    ]
    return [*before, (title, summary)]


def table(columns: Sequence[Column], recipe: Recipe) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return header and rows."""
    evaluation = recipe.evaluation
    lines: list[tuple[str, ...]] = []

    def line(label: str, pick: Any, shown: str = "{:.1f} %") -> None:
        cells = []
        for _, summary in columns:
            value = pick(summary)
            missing = value is None or (isinstance(value, float) and math.isnan(value))
            cells.append("" if missing else shown.format(value))
        if any(cells):
            lines.append((label, *cells))

    for number, (k, temperature) in enumerate(zip(evaluation.neighbours, evaluation.temperatures, strict=True)):
        key = "knn" if number == 0 else f"knn_{k}"
        used = columns[-1][1].get("neighbours", evaluation.neighbours)[number]
        asked = "" if used == k else f" (all there are; {k} asked)"
        line(f"kNN, k = {used}{asked}, T = {temperature:g}", lambda s, key=key: s["final"].get(key))
    line("kNN on the head's features", lambda s: s["final"].get("knn_head"))
    line(f"linear classifier ({evaluation.probe})", lambda s: s["final"].get("linear"))
    line("linear, on the head's features", lambda s: s["final"].get("linear_head"))
    line("label mass on the own positive", lambda s: _share(s, "own_mass"))
    line("  on others of its class", lambda s: _share(s, "same_mass"))
    line("  on other classes", lambda s: _share(s, "wrong_mass"))
    line("epochs", lambda s: s["epochs"], "{}")
    line("training", lambda s: s.get("train_seconds"), "{:.0f} s")
    return ("", *(name for name, _ in columns)), lines


def _share(summary: dict[str, Any], key: str) -> float | None:
    value = summary.get("labels", {}).get(key)
    return None if value is None else 100 * value
