"""One run of a variant of SANE on painted shapes.

What the studies ``sane_shapes``, ``sane_time`` and ``sane_regimes`` are made of.
"""

import tempfile
import time
from pathlib import Path

import torch

from sparseop.deep.contrastive import recipe as recipes
from sparseop.deep.contrastive import run as engine
from sparseop.deep.training import families
from sparseop.files import read_csv
from sparseop.study import Row

RECIPE = "shapes_sane"
FILES = families.family(RECIPE).files
ONE_HOT = ("method.p=false", "method.q=false")
PLAIN = (*ONE_HOT, "method.lam=0")
#: changes of that recipe, whose mu rises from 0.5 to 10, by what the tables call them
VARIANTS: dict[str, tuple[str, ...]] = {
    "none (MoCo)": PLAIN,
    "p": ("method.q=false", "method.mixup=none"),
    "q": ("method.p=false", "method.mixup=none"),
    "p+q": ("method.mixup=none",),
    "MM": ONE_HOT,
    "p+MM": ("method.q=false",),
    "q+MM": ("method.p=false",),
    "p+q+MM (SANE)": (),
    "lambda = 0.25": ("method.lam=0.25",),
    "lambda = 0.75": ("method.lam=0.75",),
    "lambda = 1": ("method.lam=1",),
    "mixup": (*ONE_HOT, "method.mixup=vanilla"),
    "mixup, strong": (*ONE_HOT, "method.mixup=vanilla", "method.mix_strength=strong"),
    "MM, strong": (*ONE_HOT, "method.mix_strength=strong"),
    "SANE, strong": ("method.mix_strength=strong",),
    "SANE, mu 0 to 1": ("method.mu_start=0", "method.mu_end=1"),
    "uniform instead of p+q": ("method.refinement=uniform", "method.mixup=none"),
    "uniform instead of p+q, MM": ("method.refinement=uniform",),
    "MoCo for SANE's time": PLAIN,
}
#: estimates of equation (9) for the price of MoCo's step: each query enters one of its terms, drawn
ONE_PASS: dict[str, tuple[str, ...]] = {
    "MM, either term": (*ONE_HOT, "method.terms=either"),
    "SANE, either term": ("method.terms=either",),
}
MEASURES = (
    "own_mass",
    "same_mass",
    "wrong_mass",
    "purity",
    "q_same",
    "p_max",
    "q_max",
    "alpha",
    "beta",
    "one_hot_weight",
    "l2_one_hot",
    "l2_used",
    "l2_smoothed",
    "l2_uniform",
    "tv_one_hot",
    "tv_used",
    "tv_smoothed",
    "tv_uniform",
)


def cell(variant: str, epochs: int, seed: int, every: int) -> list[Row]:
    """Train one variant."""
    return train({**VARIANTS, **ONE_PASS}[variant], epochs, seed, every)


def train(changes: tuple[str, ...], epochs: int, seed: int, every: int) -> list[Row]:
    """Train with changes of shapes_sane on one thread.

    A row for each evaluated epoch, every ``every`` epochs and the last.

    ``cpu_seconds`` is processor time of the training steps alone, without evaluation: it stays what it is on a busy
    machine.
    """
    torch.set_num_threads(1)
    recipe = recipes.read(
        RECIPE,
        [
            f"training.epochs={epochs}",
            f"seed={seed}",
            f"data.seed={seed}",
            f"engine.test_every={every}",
            "engine.threads=1",
            *changes,
        ],
    )
    clock = _Clock()
    with tempfile.TemporaryDirectory() as folder:
        summary = engine.train(recipe, Path(folder) / "run", device="cpu", watch=clock)
        metrics = read_csv(Path(folder) / "run" / "metrics.csv")
    rows = []
    for row in metrics[metrics["knn"].notna()].to_dict("records"):
        last = row["epoch"] == epochs
        rows.append(
            {
                "epoch": int(row["epoch"]),
                **{name: row[name] for name in ("knn", "knn_200", "knn_50", "knn_head")},
                **{name: summary["final"][name] if last else float("nan") for name in ("linear", "linear_head")},
                **{name: row.get(name, float("nan")) for name in MEASURES},
                "cpu_seconds": round(clock.after[int(row["epoch"])], 3),
            }
        )
    return rows


class _Clock:
    """Counts processor time between the first and the last step of each epoch."""

    def __init__(self) -> None:
        self.total, self.before, self.after = 0.0, 0.0, dict[int, float]()

    def __call__(self, epoch: int, step: int, row: Row | None) -> None:
        now = time.process_time()
        if row is None and step > 1:
            self.total += now - self.before
        self.before, self.after[epoch + 1] = now, self.total
