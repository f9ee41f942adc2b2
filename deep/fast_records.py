"""The committed runs of the fast network (``deep/results/fast``), one row a run, and what a run costs in operations."""

from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from deep.published import RESULTS, differences, records
from sparseop.deep import networks

COLUMNS = [
    "setting",
    "method",
    "epochs",
    "seed",
    "changes",
    "wrong",
    "last",
    "best",
    "best_epoch",
    "memorised",
    "auroc",
    "core_hours",
    "images",
    "flop",
    "folder",
]
TRAINED = 50_000  #: images an epoch, of CIFAR


def runs(folder: Path = RESULTS / "fast") -> pd.DataFrame:
    """Return the finished runs: accuracies in percent at the last and the best epoch, what was memorised and found.

    ``changes`` says in what but its length a run differs from the recipe of its name.
    """
    rows = []
    for recipe, about, summary, where in records(folder):
        changes = [text for text in differences(recipe, recipe.name) if not text.startswith("training.epochs")]
        if recipe.engine.precision != "bfloat16":
            changes.append(f"engine.precision = {recipe.engine.precision}")
        detected = summary.get("detection") or {}
        operations = forward(recipe.network.name, tuple(sorted(recipe.network.options.items())))
        rows.append(
            {
                "setting": recipe.source.setting,
                "method": recipe.source.method,
                "epochs": recipe.training.epochs,
                "seed": recipe.seed,
                "changes": "; ".join(changes),
                "wrong": 100 * about["noise_rate"],
                "last": summary["final"]["test"],
                "best": summary["best"]["test"],
                "best_epoch": summary["best"]["epoch"],
                "memorised": summary.get("memorised"),
                "auroc": detected.get("auroc"),
                "core_hours": summary["core_hours"],
                "images": about["samples"],
                "flop": 3.0 * operations * about["samples"] * recipe.training.epochs,
                "folder": where,
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS)


@cache
def forward(network: str, options: tuple[tuple[str, Any], ...] = (), side: int = 32) -> float:
    """Return the operations of one image forward, as torch counts them; training takes about three times as many."""
    built = networks.build(network, 10, **dict(options)).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        built(torch.zeros(1, 3, side, side))
    return float(counter.get_total_flops())
