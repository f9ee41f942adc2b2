"""The paper's numbers (``published.csv``) and, beside them, what this project's committed records say.

A record is a folder ``deep/results/<purpose>/<run>/`` with the run's ``recipe.toml``, ``run.json``, ``metrics.csv`` and
``summary.json``. A record belongs to a cell of the paper when its recipe's ``[source]`` names table, data set, setting
and method; runs that differ from the cell's own recipe are listed with what differs.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pandas as pd

from deep.tables import mean_std
from sparseop.deep.contrastive import recipe as contrastive_recipes
from sparseop.deep.labels import recipe as recipes
from sparseop.deep.training import families, schema
from sparseop.files import read_csv
from sparseop.provenance import ROOT

RESULTS = ROOT / "deep" / "results"
#: what reads the recipes of a task
READERS: dict[str, Any] = {"labels": recipes, "contrastive": contrastive_recipes}
#: what a second test set is called in the records of the run that it belongs to
SECOND_TESTS = {"ILSVRC12": ("WebVision", "test_ilsvrc12")}


def values(table: str) -> pd.DataFrame:
    """Return the published cells of a table: dataset, setting, method, value, std (percent; nan where not given)."""
    everything = read_csv(families.FOLDER / "published.csv")
    return everything[everything["table"] == table].drop(columns="table").reset_index(drop=True)


def records(folder: Path = RESULTS, task: str = "labels") -> list[tuple[Any, dict[str, Any], dict[str, Any], Path]]:
    """Return (recipe, run.json, summary.json, folder) of every finished committed run of a task, sorted by path."""
    found = []
    for path in sorted(folder.rglob("summary.json")):
        run = path.parent
        if schema.task(run / "recipe.toml") == task:
            recipe = READERS[task].read(run / "recipe.toml")
            found.append((recipe, json.loads((run / "run.json").read_text()), json.loads(path.read_text()), run))
    return found


def beside(table: str, folder: Path = RESULTS) -> pd.DataFrame:
    """Return every published cell of ``table`` beside the records of its recipe.

    Last and best epoch, difference, remarks.
    """
    runs = records(folder)
    rows = []
    for cell in values(table).itertuples():
        source, name = SECOND_TESTS.get(cell.dataset, (cell.dataset, "test"))
        shown = f"{cell.value:.2f}".rstrip("0").rstrip(".") + ("" if pd.isna(cell.std) else f" ± {cell.std:.2f}")
        row = {"data set": cell.dataset, "setting": cell.setting, "method": cell.method, "published": shown}
        # runs that differ from the cell's recipe in the same way are repetitions of one another; others are not
        groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for recipe, _, summary, _ in runs:
            where = (recipe.source.table, recipe.source.dataset, recipe.source.setting, recipe.source.method)
            if where == (table, source, cell.setting, cell.method):
                groups.setdefault((*differences(recipe), *recipe.source.notes), []).append(summary)
        for remarks, summaries in sorted(groups.items(), key=lambda group: len(group[0])):
            last = pd.Series([summary["final"][name] for summary in summaries])
            best = pd.Series([summary["best"][name] for summary in summaries])
            rows.append(
                {
                    **row,
                    "last epoch": mean_std(last, 2),
                    "best epoch": mean_std(best, 2),
                    "difference": f"{last.mean() - cell.value:+.2f}",
                    "remarks": "; ".join(remarks),
                }
            )
        if not groups:
            own = recipe_of(table, source, cell.setting, cell.method)
            rows.append(
                {
                    **row,
                    "last epoch": "",
                    "best epoch": "",
                    "difference": "",
                    "remarks": f"not run yet; recipe: {own}",
                }
            )
    return pd.DataFrame(rows)


def differences(recipe: Any, name: str | None = None) -> list[str]:
    """Return every value in which a run differs from the recipe called ``name``, by default that of its cell."""
    task = getattr(recipe, "task", "labels")
    name = name or recipe_of(*(getattr(recipe.source, key) for key in ("table", "dataset", "setting", "method")))
    if name is None:
        return []
    own = READERS[task].read(name)
    found = []
    for part in ("data", "noise", "network", "head", "views", "method", "training", "evaluation"):
        if hasattr(own, part):
            mine, theirs = _flat(getattr(recipe, part)), _flat(getattr(own, part))
            found += [
                f"{part}.{key} = {mine.get(key)} (recipe: {theirs.get(key)})"
                for key in theirs
                if mine.get(key) != theirs[key] and theirs[key] != "auto"
            ]
    return found


def recipe_of(table: str, dataset: str, setting: str, method: str) -> str | None:
    """Return the name of the recipe of a cell, or None where there is none."""
    name = recipe_name(table, dataset, setting, method)
    return name if name in recipes.names() else None


def recipe_name(table: str, dataset: str, setting: str, method: str) -> str:
    """Return the file name, without suffix, of a cell's recipe: table1_cifar10_sym40_sop."""
    plain = {
        "CORES*": "cores2",
        "CORES2": "cores2",
        "Co-teaching": "coteaching",
        "Co-teaching+": "coteaching+",
        "SOP by rows": "soprows",
    }.get(method, method)
    return f"{table}_{dataset.replace('-', '')}_{setting}_{plain}".lower().replace("+", "plus")


def _flat(part: Any) -> dict[str, Any]:
    values = {f.name: getattr(part, f.name) for f in dataclasses.fields(part)}
    return {
        key: value for key, value in ({**values, **values.pop("options", {})}).items() if key not in ("options", "path")
    }
