"""Train with wrong labels, or without labels.

    python -m sparseop.deep.train                              cross-entropy against SOP on handwritten digits: a minute
    python -m sparseop.deep.train sane                         MoCo against SANE on painted shapes: four minutes
    python -m sparseop.deep.train --list                       the recipes, what each reproduces and needs
    python -m sparseop.deep.train RECIPE                       a recipe by name, or a TOML file
    python -m sparseop.deep.train RECIPE --set method.lr_u=1   with something changed
    python -m sparseop.deep.train image-recovery               remove sparse corruption from a photograph: a minute;
                                  --set image=PATH noise=0.3   from yours
    python -m sparseop.deep.train --resume RUN                 go on with an interrupted run
    torchrun --nproc-per-node 2 -m sparseop.deep.train RECIPE  on two devices

A run writes its folder (default: runs/RECIPE/TIME-seedS): recipe, provenance, metrics, checkpoint, and for each
training sample how suspicious its label is.

"sane" trains MoCo, then SANE for as many epochs, then MoCo again for as long as SANE took, and compares their features.
"""

import argparse
import datetime
import importlib
import inspect
import json
import math
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sparseop import cli
from sparseop.deep import contrastive
from sparseop.deep.contrastive import recipe as contrastive_recipes
from sparseop.deep.contrastive import report
from sparseop.deep.contrastive import run as contrastive_engine
from sparseop.deep.labels import recipe as recipes
from sparseop.deep.labels import run as engine
from sparseop.deep.labels.recipe import Recipe
from sparseop.deep.training import distributed, schema
from sparseop.deep.training.loop import require_no_run
from sparseop.deep.training.progress import print_columns, watcher
from sparseop.errors import InputError, integer
from sparseop.files import write_atomic

#: what the command without arguments trains, in this order
SHOWCASE = ("digits_sym40_ce", "digits_sym40_sop")
#: tasks that end in pictures rather than columns of accuracies have a module of their own, imported when asked for,
#: with ``train(path, folder, options)``, ``resume(folder, options)`` and ``listed()``
TASKS = {"image-recovery": "sparseop.deep.image_prior.command"}
#: what it calls the comparison of contrastive methods
CONTRAST = "sane"
#: the file in its folder that tells what was changed
COMPARISON = "comparison.json"

AnyRecipe = Recipe | contrastive_recipes.Recipe
Finished = list[tuple[Any, Path, dict[str, Any], float]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status (see ``sparseop.cli``)."""
    options = _parser().parse_args(arguments)
    with cli.plain_warnings():
        try:
            return cli.run(
                "sparseop.deep.train", lambda: _run(options), kept="what was finished is kept; go on with --resume RUN"
            )
        finally:
            distributed.stop()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m sparseop.deep.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("recipe", nargs="?", metavar="RECIPE", help="name (see --list) or path of a TOML file")
    what.add_argument("--list", action="store_true", help="list the recipes")
    what.add_argument("--resume", type=Path, metavar="RUN", help="go on with the run in this folder")
    parser.add_argument(
        "--set",
        action="extend",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="change values of the recipe, such as training.epochs=10; may be repeated",
    )
    parser.add_argument("--seed", type=int, help="seed of everything (default: the recipe's, 0)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    parser.add_argument(
        "--data-root", type=Path, metavar="DIR", help="folder that holds the data (default: $SPARSEOP_DATA)"
    )
    parser.add_argument("--download", action="store_true", help="fetch missing data from their official address")
    parser.add_argument("--out", type=Path, metavar="DIR", help="the run's folder (default: runs/RECIPE/TIME-seedS)")
    return parser


def _run(options: argparse.Namespace) -> None:
    if options.list:
        _list()
        return
    if options.resume is not None:
        _resume(options)
        return
    if options.recipe is None and len(options.overrides) > 1 and "=" not in options.overrides[-1]:
        options.recipe = options.overrides.pop()  # --set a=1 RECIPE: the option took it as one more change
    if options.seed is not None:
        integer("--seed", options.seed, 0)
        options.overrides.append(f"seed={options.seed}")
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S")
    if options.out and (options.out / COMPARISON).exists():
        raise InputError(
            f"'{options.out}' already holds a comparison; go on with it by --resume, or choose another folder."
        )
    if options.recipe == CONTRAST:
        if options.out:
            require_no_run(options.out)
        _contrast(options, stamp)
        return
    names = SHOWCASE if options.recipe is None else (options.recipe,)
    paths = [recipes.find(name) for name in names]
    if (other := TASKS.get(schema.task(paths[0]))) is not None:
        folder = options.out or Path("runs") / paths[0].stem / f"{stamp}-seed{options.seed or 0}"
        importlib.import_module(other).train(paths[0], folder, options)
        return
    chosen = [_read(path, options.overrides) for path in paths]
    finished = []
    for recipe in chosen:
        folder = options.out or Path("runs") / recipe.name / f"{stamp}-seed{recipe.seed}"
        folder = folder / recipe.name if options.out and len(chosen) > 1 else folder
        finished.append(_train(recipe, folder, options))
    if _is_first():
        _report(finished)


def _contrast(options: argparse.Namespace, stamp: str) -> None:
    """Train MoCo, SANE, and MoCo for SANE's time, or go on where that stopped."""
    if any(item.startswith("method.name=") for item in options.overrides):
        raise InputError(
            f"--set method.name cannot be changed here: {CONTRAST!r} trains {report.BASELINE!r} and {report.METHOD!r};"
            " run one by its name."
        )
    sane = contrastive_recipes.read(contrastive_recipes.find(report.METHOD), options.overrides)
    shared = [item for item in options.overrides if not _of_sane_alone(item)]
    moco = contrastive_recipes.read(contrastive_recipes.find(report.BASELINE), shared)
    folder = options.out or Path("runs") / CONTRAST / f"{stamp}-seed{moco.seed}"
    plan = folder / COMPARISON
    write_atomic(plan, json.dumps(options.overrides).encode())
    try:
        first = _train(moco, folder / "moco", options, go_on=True)
    except InputError:
        if [path.name for path in folder.iterdir()] == [COMPARISON]:  # refused before it began: leave nothing
            shutil.rmtree(folder)
        raise
    second = _train(sane, folder / "sane", options, go_on=True)
    epochs = report.equal_time(moco.training.epochs, first[2]["train_seconds"], second[2]["train_seconds"])
    longer = [*shared, f"training.epochs={epochs}", "evaluation.baselines=false", f"name={report.BASELINE}_equal_time"]
    third = _train(
        contrastive_recipes.read(contrastive_recipes.find(report.BASELINE), longer),
        folder / "moco_equal_time",
        options,
        go_on=True,
    )
    if _is_first():
        columns = [
            *report.column(moco, first[2]),
            *report.column(sane, second[2]),
            *report.column(moco, third[2], ", SANE's time"),
        ]
        _print_table(*report.table(columns, moco))
        print(f"runs: {folder}")


def _of_sane_alone(item: str) -> bool:
    """Whether a change is of an option of SANE that MoCo does not have."""
    key = item.partition("=")[0].strip()
    return (
        key.startswith("method.")
        and key.removeprefix("method.") not in inspect.signature(contrastive.METHODS["moco"]).parameters
    )


def _train(
    recipe: AnyRecipe, folder: Path, options: argparse.Namespace, *, go_on: bool = False
) -> tuple[AnyRecipe, Path, dict[str, Any], float]:
    """Train into ``folder``; with ``go_on`` from its last checkpoint, where there is one."""
    started = time.perf_counter()
    arguments: dict[str, Any] = {
        "device": options.device,
        "data_root": options.data_root,
        "watch": watcher(recipe.title or recipe.name, recipe.training.epochs),
    }
    if isinstance(recipe, Recipe):
        summary = engine.train(recipe, folder, download=options.download, **arguments)
    elif go_on and (folder / engine.CHECKPOINT).exists():
        summary = contrastive_engine.resume(folder, **arguments)
    else:
        if go_on:
            (folder / "recipe.toml").unlink(missing_ok=True)  # stopped before its first checkpoint: nothing to lose
        summary = contrastive_engine.train(recipe, folder, download=options.download, **arguments)
    return recipe, folder, summary, time.perf_counter() - started


def _read(path: Path, overrides: Sequence[str] = ()) -> AnyRecipe:
    """Return the recipe of a file, of whichever task it is."""
    if schema.task(path) == "contrastive":
        return contrastive_recipes.read(path, overrides)
    return recipes.read(path, overrides)


def _resume(options: argparse.Namespace) -> None:
    if options.overrides or options.seed is not None:
        raise InputError("--resume takes no --set and no --seed: a run goes on with the recipe it began with.")
    folder: Path = options.resume
    if (folder / COMPARISON).is_file():
        options.out, options.overrides = folder, _changes(folder / COMPARISON)
        _contrast(options, "")
        return
    if not (folder / "recipe.toml").is_file():
        raise InputError(f"there is no run in '{folder}': it has no recipe.toml.")
    if (other := TASKS.get(schema.task(folder / "recipe.toml"))) is not None:
        importlib.import_module(other).resume(folder, options)
        return
    recipe = _read(folder / "recipe.toml")
    started = time.perf_counter()
    watch = watcher(recipe.title or recipe.name, recipe.training.epochs)
    resume = engine.resume if isinstance(recipe, Recipe) else contrastive_engine.resume
    summary = resume(folder, device=options.device, data_root=options.data_root, watch=watch)
    if _is_first():
        _report([(recipe, folder, summary, time.perf_counter() - started)])


def _changes(plan: Path) -> list[str]:
    """Return what a comparison was told to change."""
    try:
        found = json.loads(plan.read_text())
    except ValueError as error:
        raise InputError(f"'{plan}' cannot be read: {error}.") from None
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise InputError(f"'{plan}' must hold a list of changes, as in [\"training.epochs=10\"].")
    return found


def _is_first() -> bool:
    """Whether this is the process that prints; the process group may be gone by now."""
    return distributed.rank() == 0 and os.environ.get("RANK", "0") == "0"


def _list() -> None:
    rows = []
    for name in [*recipes.names(), *contrastive_recipes.names()]:
        recipe = _read(recipes.find(name))
        source = recipe.source
        row = f"{source.table}: {source.dataset} {source.setting} {source.method}".strip(": ")
        value = "" if math.isnan(source.value) else f"{source.value:g} %"
        rows.append((name, row, value, source.needs))
    for module in TASKS.values():
        rows += importlib.import_module(module).listed()
    print_columns(("recipe", "reproduces", "published", "needs"), rows)


def _report(finished: Finished) -> None:
    """Print one column a run."""
    recipe, folder, summary, _ = finished[0]
    if isinstance(recipe, contrastive_recipes.Recipe):
        _print_table(*report.table(report.column(recipe, summary), recipe))
        print(f"run: {folder}")
    else:
        _table(finished)


def _table(finished: Finished) -> None:
    lines: list[tuple[str, ...]] = []

    def line(label: str, pick: Any) -> None:
        cells = []
        for _, _, summary, seconds in finished:
            value = pick(summary, seconds)
            missing = value is None or (isinstance(value, float) and math.isnan(value))
            cells.append("" if missing else value if isinstance(value, str) else f"{value:.1f} %")
        if any(cells):
            lines.append((label, *cells))

    line("test accuracy, last epoch", lambda s, _: s["final"]["test"])
    line("test accuracy, best epoch", lambda s, _: f"{s['best']['test']:.1f} % (epoch {s['best']['epoch']})")
    line("training accuracy, given labels", lambda s, _: s["train_given"])
    line("training accuracy, true labels", lambda s, _: s.get("train_true"))
    line("wrong labels memorised", lambda s, _: s.get("memorised"))
    line("wrong labels found: precision", lambda s, _: 100 * s["detection"]["precision"] if "detection" in s else None)
    line("wrong labels found: recall", lambda s, _: 100 * s["detection"]["recall"] if "detection" in s else None)
    line("wrong labels with the right one proposed", lambda s, _: s.get("proposed_right"))
    line("calibration error on the test set", lambda s, _: 100 * s["calibration_error"])
    line("time", lambda _, seconds: f"{seconds:.0f} s")
    _print_table(("", *(recipe.method.name.upper() for recipe, *_ in finished)), lines)
    for recipe, folder, *_ in finished:
        print(f"{recipe.method.name.upper()}: {folder}")


def _print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    sys.stdout.flush()
    print()
    print_columns(header, rows)


if __name__ == "__main__":
    sys.exit(main())
