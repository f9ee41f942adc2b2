"""The tasks, one line each; a command asks here, and names no room itself."""

import contextlib
import datetime
import importlib
import itertools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from sparseop.deep.training import distributed, families, repetitions, schema
from sparseop.deep.training.progress import print_groups
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


def named(name: str) -> tuple[Task, Path | str]:
    """Return the task of a recipe that comes with the project or lies at a path, and what its ``read`` takes.

    Raises
    ------
    InputError : there is none such.
    """
    comparisons = task("sane").recipes.names()
    source = schema.find(name, comparisons)
    if isinstance(source, Path):
        return of_file(source), source
    return task("sane" if source in comparisons else families.task(source)), source


def train(names: Sequence[str], request: Request) -> None:
    """Train recipes one after the other, all of one task, and print what came out.

    All of them are read before the first begins. Several runs that are given a folder get folders in it; without
    one each gets its own, whatever else begins in the same second.

    Raises
    ------
    InputError : what a recipe, its data or its folder are refused for.
    """
    chosen = [(found, found.recipes.read(path, request.overrides)) for found, path in map(named, names)]
    finished = []
    for found, recipe in chosen:
        inner = recipe.name if len(chosen) > 1 else ""
        with _folder(found, recipe, request.out and request.out / inner) as folder:
            finished.append(found.begin(recipe, folder, request))
    _report(chosen[0][0], finished)


def go_on(folder: Path, request: Request) -> None:
    """Go on with the run in ``folder`` and print what came out.

    Raises
    ------
    InputError : no run there, or one that cannot go on.
    """
    found = _of_run(folder)
    with _resumable(found, folder):
        finished = found.go_on(folder, request)
    _report(found, [finished])


def repeat(name: str, seeds: int, request: Request, *, jobs: int = 1, backend: str = "processes") -> None:
    """Train a recipe with the seeds 0, 1, ..., each run in a folder of its own; print mean and spread.

    Raises
    ------
    InputError : what the recipe, its data or its folder are refused for.
    """
    found, source = named(name)
    recipe = found.recipes.read(source, request.overrides)
    with _folder(found, recipe, request.out) as folder:
        one = partial(_with_seed, name, folder, replace(request, out=None))
        summaries = repetitions.run(one, range(seeds), jobs, backend)
        repetitions.table(dict(enumerate(summaries)), folder)
        print(f"runs: {folder}")


def _with_seed(name: str, folder: Path, request: Request, seed: int) -> dict[str, Any]:
    """Train with one seed into its folder and return the summary; a function that another process can be sent."""
    found, source = named(name)
    recipe = found.recipes.read(source, (*request.overrides, f"seed={seed}"))
    return found.train(recipe, folder / f"seed{seed}", request)


def call(recipe: Any, folder: Path | str | None = None, overrides: Sequence[str] = (), **where: Any) -> dict[str, Any]:
    """Train one recipe, as ``sparseop.deep.train(...)`` in Python, and return its summary.

    Parameters
    ----------
    recipe : a name, the path of a TOML file, or a recipe that was read.
    folder : of the run; None: one of its own, as for the command.
    overrides : changes, "table.key=value".
    where : device, data_root, download, dataset, network, as of ``Request``.

    Raises
    ------
    InputError : what the recipe, its data or its folder are refused for.
    """
    if isinstance(recipe, str | Path):
        found, source = named(str(recipe))
        recipe = found.recipes.read(source, overrides)
    else:
        found = task(getattr(recipe, "task", "labels"))
    request = Request(tuple(overrides), **_paths(where))
    with _folder(found, recipe, None if folder is None else Path(folder)) as place:
        return found.train(recipe, place, request)


def resume(folder: Path | str, **where: Any) -> dict[str, Any]:
    """Go on with the run in ``folder`` and return its summary; ``where``: device, data_root, dataset, network.

    Raises
    ------
    InputError : no run there, or one that cannot go on.
    """
    found = _of_run(Path(folder))
    return found.resume(Path(folder), Request(**_paths(where)))[1]


def _paths(where: dict[str, Any]) -> dict[str, Any]:
    """Return arguments of a ``Request``, a data folder given as a string made a path."""
    root = where.get("data_root")
    return where | ({"data_root": Path(root)} if root is not None else {})


def branch(source: Path, request: Request) -> None:
    """Train the run in ``source`` for more epochs, in a folder of its own, and print what came out.

    Raises
    ------
    InputError : no run there, or one of a task whose runs end for good; changes of more than its training.
    """
    found = _of_run(source)
    if found.branch is None:
        raise InputError(f"the run in '{source}' is of a task whose runs cannot be branched; train it anew.")
    recipe = found.recipes.read(source / "recipe.toml", request.overrides)
    started = time.perf_counter()
    with _folder(found, recipe, request.out) as folder:
        recipe, summary = found.branch(source, folder, request)
    _report(found, [Finished(recipe, folder, summary, time.perf_counter() - started)])


def _of_run(folder: Path) -> Task:
    if not (folder / "recipe.toml").is_file():
        raise InputError(f"there is no run in '{folder}': it has no recipe.toml.")
    return of_file(folder / "recipe.toml")


@contextlib.contextmanager
def _folder(found: Task, recipe: Any, wanted: Path | None) -> Iterator[Path]:
    """Yield the folder of a new run: the one that is wanted, or one of its own, taken at once; empty, it goes again."""
    if wanted is not None:
        with _resumable(found, wanted):
            yield wanted
        return
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S")
    folder = first = Path("runs") / recipe.name / f"{stamp}-seed{recipe.seed}"
    for number in itertools.count(2) if distributed.speaks() else ():
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError:
            folder = first.with_name(f"{first.name}-{number}")
    try:
        with _resumable(found, folder):
            yield folder
    finally:
        with contextlib.suppress(OSError):  # one of them holds something
            for empty in (folder, folder.parent, folder.parent.parent):
                empty.rmdir()


@contextlib.contextmanager
def _resumable(found: Task, folder: Path) -> Iterator[None]:
    """Let an interruption say how the run in ``folder`` goes on."""
    try:
        yield
    except KeyboardInterrupt as stop:
        if not (folder / "recipe.toml").exists():
            text = "the run had not begun; give the same command again"
        elif found.resumable(folder):
            text = f"what was finished is kept; go on by --resume {folder}"
        else:
            text = f"no epoch was finished, so there is nothing to go on from: remove '{folder}' and begin again"
        raise type(stop)(text) from None


def _report(found: Task, finished: Sequence[Finished]) -> None:
    if distributed.speaks():
        found.report(finished)


def show(name: str, overrides: Sequence[str]) -> None:
    """Print a recipe as a run would record it, every default spelt out."""
    found, source = named(name)
    print(schema.to_toml(found.recipes.read(source, overrides)), end="")


def list_recipes(pattern: str = "") -> None:
    """Print the recipes with ``pattern`` in their name, family by family: what each reproduces, its value, its needs.

    Raises
    ------
    InputError : no name has it.
    """
    groups = [(family.about, sorted(family.cells)) for family in families.families().values()]
    groups.append(("MoCo beside SANE, at equal epochs and at equal time", task("sane").recipes.names()))
    shown = [(about, [_row(name) for name in names if pattern in name]) for about, names in groups]
    if not any(rows for _, rows in shown):
        raise InputError(f"--list {pattern}: no recipe has that in its name; --list alone shows all.")
    print_groups(("recipe", "reproduces", "published", "needs"), [(about, rows) for about, rows in shown if rows])


def _row(name: str) -> tuple[str, ...]:
    found, where = named(name)
    recipe = found.recipes.read(where)
    source = asdict(recipe.source)
    cell = " ".join(source[key] for key in ("dataset", "setting", "method") if source.get(key)) or recipe.title
    value = source.get("value", math.nan)
    return name, cell, "" if math.isnan(value) else f"{value:g} %", source["needs"]
