"""The tasks, one line each; a command asks here, and names no room itself."""

import datetime
import importlib
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from sparseop.deep.training import distributed, schema
from sparseop.deep.training.progress import print_columns
from sparseop.deep.training.task import Finished, Request, Task
from sparseop.errors import InputError, choice

#: the module of each task, which holds its ``TASK``; loaded when it is asked for
TASKS = {
    "labels": "sparseop.deep.labels.task",
    "contrastive": "sparseop.deep.contrastive.task",
    "sane": "sparseop.deep.contrastive.comparison",
    "image-recovery": "sparseop.deep.image_prior.task",
}


def task(name: str) -> Task:
    """Return a task by name."""
    found: Task = importlib.import_module(TASKS[name]).TASK
    return found


def of_file(path: Path) -> Task:
    """Return the task of a recipe's file, one that comes with the project or a run's own.

    Raises
    ------
    InputError : a task that is none of these, or not TOML.
    """
    return task(choice(f"task in '{path}'", schema.task(path), tuple(TASKS)))


def named(name: str) -> tuple[Task, Path]:
    """Return the task of a recipe that comes with the project or lies at a path, and the file."""
    if name in task("sane").recipes.names():
        return task("sane"), task("sane").recipes.find(name)
    path = task("labels").recipes.find(name)
    return of_file(path), path


def train(names: Sequence[str], request: Request) -> None:
    """Train recipes one after the other, all of one task, and print what came out.

    All of them are read before the first begins. Several runs that are given a folder get folders in it.

    Raises
    ------
    InputError : what a recipe, its data or its folder are refused for.
    """
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S")
    chosen = [(found, found.recipes.read(path, request.overrides)) for found, path in map(named, names)]
    finished = []
    for found, recipe in chosen:
        folder = request.out or Path("runs") / recipe.name / f"{stamp}-seed{recipe.seed}"
        folder = folder / recipe.name if request.out and len(chosen) > 1 else folder
        finished.append(found.begin(recipe, folder, request))
    _report(chosen[0][0], finished)


def resume(folder: Path, request: Request) -> None:
    """Go on with the run in ``folder`` and print what came out.

    Raises
    ------
    InputError : no run there, or one that cannot go on.
    """
    if not (folder / "recipe.toml").is_file():
        raise InputError(f"there is no run in '{folder}': it has no recipe.toml.")
    found = of_file(folder / "recipe.toml")
    _report(found, [found.go_on(folder, request)])


def _report(found: Task, finished: Sequence[Finished]) -> None:
    if distributed.speaks():
        found.report(finished)


def list_recipes() -> None:
    """Print every recipe with what it reproduces, its published value and what it takes."""
    rows = []
    for found in map(task, TASKS):
        for name in found.recipes.names():
            recipe = found.recipes.read(found.recipes.find(name))
            source = asdict(recipe.source)
            cell = " ".join(source[key] for key in ("dataset", "setting", "method") if source.get(key)) or recipe.title
            value = source.get("value", math.nan)
            shown = "" if math.isnan(value) else f"{value:g} %"
            rows.append((name, f"{source['table']}: {cell}".strip(": "), shown, source["needs"]))
    print_columns(("recipe", "reproduces", "published", "needs"), rows)
