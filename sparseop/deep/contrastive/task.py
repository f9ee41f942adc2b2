"""Training without labels as a task: what its command shows, and the table at the end."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from torch import Tensor, nn

from sparseop.deep.contrastive import recipe as recipes
from sparseop.deep.contrastive import report as tables
from sparseop.deep.contrastive import run
from sparseop.deep.contrastive.encoder import Encoder
from sparseop.deep.contrastive.recipe import Recipe
from sparseop.deep.training.epoch_runs import EpochRuns
from sparseop.deep.training.progress import print_table
from sparseop.deep.training.task import Finished, Task, Weights, under

RUNS = EpochRuns(recipes, run)


def report(finished: Sequence[Finished]) -> None:
    """Print a table for each run: its own column, before it raw pixels and the untrained network."""
    for done in finished:
        print_table(*tables.table(tables.column(done.recipe, done.summary), done.recipe))
        print(f"run: {done.folder}")


def weights(recipe: Recipe, state: dict[str, Any], which: str, part: str) -> Weights:
    """Return the online or the momentum network of a checkpoint, its backbone alone or with the projection head."""
    whole: dict[str, Tensor] = state.get(which, {})

    def top(backbone: nn.Module, width: int) -> tuple[nn.Module, dict[str, Tensor], int]:
        return Encoder(backbone, width, **asdict(recipe.head)), whole, recipe.head.dim

    size = int(recipe.views.options["size"])
    return Weights(under("backbone.", whole), size, top if part == "head" else None)


TASK = Task(recipes.SCHEMA, RUNS.train, RUNS.resume, report, weights, RUNS.branch)
