"""Runs of whole epochs as a command begins them: with labels and without they differ in recipe and loop alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparseop.deep.training.loop import Watch
from sparseop.deep.training.progress import opening, watcher
from sparseop.deep.training.task import Request


@dataclass(frozen=True)
class EpochRuns:
    """Begin, go on with and branch runs, and show their progress.

    Attributes
    ----------
    recipes : the room's module of recipes, whose ``read`` takes a file and changes.
    loop : the room's module of runs, with ``train``, ``resume`` and ``branch``.
    """

    recipes: Any
    loop: Any

    def train(self, recipe: Any, folder: Path, request: Request) -> dict[str, Any]:
        """Train into a new folder and return the summary."""
        summary: dict[str, Any] = self.loop.train(
            recipe,
            folder,
            device=request.device,
            data_root=request.data_root,
            download=request.download,
            watch=self._watch(recipe, folder, request.overrides),
            **request.objects,
        )
        return summary

    def resume(self, folder: Path, request: Request) -> tuple[Any, dict[str, Any]]:
        """Go on with a run and return its recipe and summary."""
        recipe = self.recipes.read(folder / "recipe.toml")
        watch = self._watch(recipe, folder)
        return recipe, self.loop.resume(
            folder, device=request.device, data_root=request.data_root, watch=watch, **request.objects
        )

    def branch(self, source: Path, folder: Path, request: Request) -> tuple[Any, dict[str, Any]]:
        """Train a run for more epochs in a new folder; return the new recipe and the summary."""
        recipe = self.recipes.read(source / "recipe.toml", request.overrides)
        watch = self._watch(recipe, folder, request.overrides)
        where: dict[str, Any] = {"device": request.device, "data_root": request.data_root, "watch": watch}
        return recipe, self.loop.branch(source, folder, request.overrides, **where)

    @staticmethod
    def _watch(recipe: Any, folder: Path, changes: Sequence[str] = ()) -> Watch:
        return watcher(recipe.title or recipe.name, recipe.training.epochs, opening(recipe, folder, changes))
