"""Training without labels as a task: what its command shows, and the table at the end."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from sparseop.deep.contrastive import recipe as recipes
from sparseop.deep.contrastive import report as tables
from sparseop.deep.contrastive import run
from sparseop.deep.contrastive.encoder import Encoder
from sparseop.deep.contrastive.recipe import Recipe
from sparseop.deep.training.loop import Watch
from sparseop.deep.training.progress import opening, print_table, watcher
from sparseop.deep.training.task import Finished, Request, Task, Weights, under


def train(recipe: Recipe, folder: Path, request: Request) -> dict[str, Any]:
    """Train into a new folder and return the summary."""
    return run.train(
        recipe,
        folder,
        device=request.device,
        data_root=request.data_root,
        download=request.download,
        watch=_watch(recipe, folder, request.overrides),
        **request.objects,
    )


def resume(folder: Path, request: Request) -> tuple[Recipe, dict[str, Any]]:
    """Go on with a run and return its recipe and summary."""
    recipe = recipes.read(folder / "recipe.toml")
    watch = _watch(recipe, folder)
    return recipe, run.resume(
        folder, device=request.device, data_root=request.data_root, watch=watch, **request.objects
    )


def branch(source: Path, folder: Path, request: Request) -> tuple[Recipe, dict[str, Any]]:
    """Train a run for more epochs in a new folder; return the new recipe and the summary."""
    recipe = recipes.read(source / "recipe.toml", request.overrides)
    watch = _watch(recipe, folder, request.overrides)
    where: dict[str, Any] = {"device": request.device, "data_root": request.data_root, "watch": watch}
    return recipe, run.branch(source, folder, request.overrides, **where)


def _watch(recipe: Recipe, folder: Path, changes: Sequence[str] = ()) -> Watch:
    return watcher(recipe.title or recipe.name, recipe.training.epochs, opening(recipe, folder, changes))


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


TASK = Task(recipes.SCHEMA, train, resume, report, weights, branch)
