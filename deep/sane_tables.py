"""SANE's tables 1 to 6 and the numbers of MoCo's CIFAR demo, beside what this project's committed runs say.

    python -m deep.sane_tables    write figures/tables/sane_table*.* and moco_demo.* from the committed records; trains
                                  nothing

Recipes are trained with ``python -m sparseop.deep.train NAME`` and count once their run lies in ``deep/results``;
``python -m deep.runs --task contrastive`` runs the most wanted ones, wherever a GPU is at hand. Nothing of the paper's
scale has been run where this table says so: a processor would take months.
"""

import sys
from pathlib import Path
from typing import Any

import pandas as pd

from deep import published, tables
from deep.published import RESULTS, values
from deep.tables import mean_std
from sparseop import cli
from sparseop.deep.contrastive import recipe as recipes

TABLES = ("sane_table1", "sane_table2", "sane_table3", "sane_table4", "sane_table5", "sane_table6", "moco_demo")
#: how a run is judged for table 3, whose rows are those of table 2 carried to other data
TRANSFER = {
    "VOC07": "VOC07 from frozen features: python -m sparseop.deep.trained.voc07 RUN --data-root DIR",
    "VOC07+12": (
        "detection: python -m sparseop.deep.trained.export RUN OUT --format detectron2, "
        "then detectron2's VOC configuration"
    ),
    "COCO": (
        "detection: python -m sparseop.deep.trained.export RUN OUT --format detectron2, "
        "then detectron2's COCO configuration"
    ),
}


def metric(setting: str, dataset: str, summary: dict[str, Any]) -> float | None:
    """Return the accuracy in percent that a published setting speaks of, from the summary of a run."""
    if dataset in TRANSFER:
        return None
    final = summary["final"]
    name = setting.split(" ")[0]
    if name == "knn":  # the paper's: k = 50, T = 0.05
        return final.get("knn_50", final.get("knn"))
    value: float | None = final.get(name)
    return value


def beside(table: str, folder: Path = RESULTS) -> pd.DataFrame:
    """Return every published cell of ``table`` beside the records of its recipe, or what it would need."""
    runs = published.records(folder, "contrastive")
    sources = {name: recipes.read(name).source for name in recipes.names()}
    cells = [(cell.dataset, cell.setting, cell.method, cell.value) for cell in values(table).itertuples()]
    known = {cell[:3] for cell in cells}
    # rows of our own: controls, and what the published table leaves out
    cells += sorted(
        {
            (s.dataset, s.setting, s.method, float("nan"))
            for s in sources.values()
            if s.table == table and (s.dataset, s.setting, s.method) not in known
        }
    )
    rows = []
    for dataset, setting, method, value in cells:
        name = next(
            (
                n
                for n, s in sources.items()
                if s.table == table
                and s.method == method
                and s.dataset == dataset
                and (
                    s.setting == setting
                    or table == "sane_table1"
                    or (setting.split(" ")[-1] == s.setting.split(" ")[-1] and table == "moco_demo")
                )
            ),
            None,
        )
        row = {
            "data set": dataset,
            "setting": setting,
            "method": method,
            "published": "" if pd.isna(value) else f"{value:.1f}",
        }
        groups: dict[tuple[str, ...], list[float]] = {}
        for recipe, _, summary, _ in runs:
            if (
                name is not None
                and (recipe.source.table, recipe.source.method) == (table, method)
                and recipe.source.setting == sources[name].setting
            ):
                found = metric(setting, dataset, summary)
                if found is not None:
                    groups.setdefault(tuple(published.differences(recipe, name)), []).append(found)
        for remarks, found in sorted(groups.items(), key=lambda group: len(group[0])):
            ours = pd.Series(found)
            rows.append(
                {
                    **row,
                    "ours": mean_std(ours),
                    "difference": "" if pd.isna(value) else f"{ours.mean() - value:+.1f}",
                    "remarks": "; ".join(remarks),
                }
            )
        if not groups:
            rows.append(
                {**row, "ours": "", "difference": "", "remarks": _remark(table, dataset, method, name, sources)}
            )
    return pd.DataFrame(rows)


def _remark(table: str, dataset: str, method: str, name: str | None, sources: dict[str, Any]) -> str:
    if table == "sane_table3" and method.startswith("SANE"):
        recipe = (
            "sane_table2_imagenet_multi_strong_200" if "strong" in method else "sane_table2_imagenet_multi_weak_200"
        )
        return f"needs a run of {recipe} (8 GPUs, three days and more); {TRANSFER[dataset]}"
    if name is None:
        return "published only: quoted by the paper from elsewhere"
    return f"not run: needs {sources[name].needs}; recipe: {name}"


if __name__ == "__main__":
    sys.exit(cli.command("deep.sane_tables", lambda: tables.write({table: beside(table) for table in TABLES})))
