# ruff: noqa: N999 (the table is called A.1)
"""SOP table A.1: the published hyper-parameters beside those of the recipes.

    python -m deep.tableA1    write figures/tables/tableA1.* and tableA1_reasons.*; trains nothing

A cell shows the published value; where the recipe takes another, both, and ``tableA1_reasons`` says why.
"""

import sys
from typing import Any

import pandas as pd

from deep import tables
from sparseop import cli
from sparseop.deep.labels import recipe as recipes
from sparseop.deep.labels.recipe import Recipe
from sparseop.deep.training import families

#: the table as printed: column -> (recipe with symmetric noise or none, recipe with asymmetric noise, the printed
#: values)
ROWS = (
    "architecture",
    "batch size",
    "lr",
    "lr decay",
    "weight decay",
    "epochs",
    "training samples",
    "lr_u, lr_v (sym)",
    "lr_u, lr_v (asym)",
    "init. std of u, v",
    "lambda_C",
    "lambda_B",
)
PUBLISHED: dict[str, tuple[str, str | None, tuple[Any, ...]]] = {
    "CIFAR-10, SOP": (
        "table1_cifar10_sym40_sop",
        None,
        ("resnet34", 128, 0.02, (40, 80), 5e-4, 120, 45_000, (10, 10), (10, 100), 1e-8, 0, 0),
    ),
    "CIFAR-10, SOP+": (
        "table2_cifar10_sym50_sopplus",
        "table2_cifar10_asym40_sopplus",
        ("preact_resnet18", 128, 0.02, "cosine", 5e-4, 300, 50_000, (10, 10), (10, 100), 1e-8, 0.9, 0.1),
    ),
    "CIFAR-100, SOP": (
        "table1_cifar100_sym40_sop",
        None,
        ("resnet34", 128, 0.02, (40, 80), 5e-4, 150, 45_000, (1, 10), (1, 100), 1e-8, 0, 0),
    ),
    "CIFAR-100, SOP+": (
        "table2_cifar100_sym50_sopplus",
        "table2_cifar100_asym40_sopplus",
        ("preact_resnet18", 128, 0.02, "cosine", 5e-4, 300, 50_000, (1, 10), (1, 100), 1e-8, 0.9, 0.1),
    ),
    "Clothing1M": (
        "table3_clothing1m_web_sop",
        None,
        ("resnet50", 64, 0.002, (5,), 1e-3, 10, 1_000_000, (0.1, 1), None, 1e-8, 0, 0),
    ),
    "WebVision": (
        "table3_webvision_web_sop",
        None,
        ("inception_resnet_v2", 32, 0.02, (50,), 5e-4, 100, 66_000, (0.1, 1), None, 1e-8, 0, 0),
    ),
}
SAMPLES = {"cifar10": 50_000, "cifar100": 50_000, "clothing1m": 1_000_000, "webvision": 66_000}
REASONS = {
    "weight decay": "weight_decay",
    "lr decay": "milestones",
    "training samples": "all_samples",
    "lr_u, lr_v (asym)": "u",
}


def table() -> pd.DataFrame:
    """Return one row a hyper-parameter, one column a setting."""
    columns: dict[str, list[str]] = {"": list(ROWS)}
    for column, (symmetric, asymmetric, printed) in PUBLISHED.items():
        taken = _taken(symmetric, asymmetric)
        columns[column] = [_cell(row, *pair) for row, *pair in zip(ROWS, printed, taken, strict=True)]
    return pd.DataFrame(columns)


def reasons() -> pd.DataFrame:
    """Return why a recipe takes another value, for each row in which one does."""
    shown = table().set_index("")
    changed = [row for row in ROWS if any("here" in cell for cell in shown.loc[row])]
    notes = families.family("table1_cifar10_sym40_sop").notes
    return pd.DataFrame([{"hyper-parameter": row, "reason": notes[REASONS[row]]} for row in changed])


def _taken(symmetric: str, asymmetric: str | None) -> tuple[Any, ...]:
    recipe = recipes.read(symmetric)
    other = None if asymmetric is None else recipes.read(asymmetric)
    training, method = recipe.training, recipe.method.options
    decay = "cosine" if training.schedule == "cosine" else training.milestones
    return (
        recipe.network.name,
        training.batch_size,
        training.lr,
        decay,
        training.weight_decay,
        training.epochs,
        SAMPLES[recipe.data.name] - training.validation,
        _rates(recipe),
        _rates(other),
        method["init_std"],
        method.get("lambda_C", 0),
        method.get("lambda_B", 0),
    )


def _rates(recipe: Recipe | None) -> tuple[Any, Any] | None:
    return None if recipe is None else (recipe.method.options["lr_u"], recipe.method.options["lr_v"])


def _cell(row: str, printed: Any, taken: Any) -> str:
    if printed is None:
        return ""
    if taken is None and row == "lr_u, lr_v (asym)":
        return f"{_text(printed)} (no such row in the tables)"
    return _text(printed) if printed == taken else f"{_text(printed)}; here {_text(taken)}"


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(_text(v) for v in value)
    return (
        f"{value:,}"
        if isinstance(value, int) and value >= 10_000
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


if __name__ == "__main__":
    sys.exit(cli.command("deep.tableA1", lambda: tables.write({"tableA1": table(), "tableA1_reasons": reasons()})))
