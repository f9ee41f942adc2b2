"""Train with wrong labels.

    python -m sparseop.deep.train                              cross-entropy against SOP on handwritten digits: a minute
    python -m sparseop.deep.train --list                       the recipes, what each reproduces and needs
    python -m sparseop.deep.train RECIPE                       a recipe by name, or a TOML file
    python -m sparseop.deep.train RECIPE --set method.lr_u=1   with something changed
    python -m sparseop.deep.train --resume RUN                 go on with an interrupted run
    torchrun --nproc-per-node 2 -m sparseop.deep.train RECIPE  on two devices

A run writes its folder (default: runs/RECIPE/TIME-seedS): recipe, provenance, metrics, checkpoint, and for each training
sample how suspicious its label is.
"""

import argparse
import datetime
import math
import os
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sparseop import cli
from sparseop.deep import distributed, engine
from sparseop.deep import recipe as recipes
from sparseop.deep.progress import watcher
from sparseop.deep.recipe import Recipe
from sparseop.errors import InputError, integer

#: what the command without arguments trains, in this order
SHOWCASE = ("digits_sym40_ce", "digits_sym40_sop")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status (see ``sparseop.cli``)."""
    options = _parser().parse_args(arguments)
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
        try:
            return cli.run("sparseop.deep.train", lambda: _run(options),
                           kept="finished epochs are kept; go on with --resume RUN")
        finally:
            distributed.stop()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m sparseop.deep.train", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("recipe", nargs="?", metavar="RECIPE", help="name (see --list) or path of a TOML file")
    what.add_argument("--list", action="store_true", help="list the recipes")
    what.add_argument("--resume", type=Path, metavar="RUN", help="go on with the run in this folder")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
                        help="change a value of the recipe, such as training.epochs=10; may be repeated")
    parser.add_argument("--seed", type=int, help="seed of everything (default: the recipe's, 0)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument("--data-root", type=Path, metavar="DIR", help="folder that holds the data (default: $SPARSEOP_DATA)")
    parser.add_argument("--download", action="store_true", help="fetch missing data from their official address")
    parser.add_argument("--out", type=Path, metavar="DIR", help="the run's folder (default: runs/RECIPE/TIME-seedS)")
    return parser


def _run(options: argparse.Namespace) -> None:
    if options.list:
        return _list()
    if options.resume is not None:
        return _resume(options)
    names = SHOWCASE if options.recipe is None else (options.recipe,)
    if options.seed is not None:
        integer("--seed", options.seed, 0)
        options.overrides.append(f"seed={options.seed}")
    chosen = [recipes.read(recipes.find(name), options.overrides) for name in names]
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S")
    finished = []
    for recipe in chosen:
        folder = options.out or Path("runs") / recipe.name / f"{stamp}-seed{recipe.seed}"
        folder = folder / recipe.name if options.out and len(chosen) > 1 else folder
        started = time.perf_counter()
        watch = watcher(recipe.title or recipe.name, recipe.training.epochs)
        summary = engine.train(recipe, folder, device=options.device, data_root=options.data_root,
                               download=options.download, watch=watch)
        finished.append((recipe, folder, summary, time.perf_counter() - started))
    if _is_first():
        _table(finished)
    return None


def _resume(options: argparse.Namespace) -> None:
    if options.overrides or options.seed is not None:
        raise InputError("--resume takes no --set and no --seed: a run goes on with the recipe it began with.")
    folder: Path = options.resume
    if not (folder / "recipe.toml").is_file():
        raise InputError(f"there is no run in '{folder}': it has no recipe.toml.")
    recipe = recipes.read(folder / "recipe.toml")
    started = time.perf_counter()
    watch = watcher(recipe.title or recipe.name, recipe.training.epochs)
    summary = engine.resume(folder, device=options.device, data_root=options.data_root, watch=watch)
    if _is_first():
        _table([(recipe, folder, summary, time.perf_counter() - started)])


def _is_first() -> bool:
    """Whether this is the process that prints; the process group may be gone by now."""
    return distributed.rank() == 0 and os.environ.get("RANK", "0") == "0"


def _list() -> None:
    rows = []
    for name in recipes.names():
        recipe = recipes.read(recipes.RECIPES / f"{name}.toml")
        source = recipe.source
        row = f"{source.table}: {source.dataset} {source.setting} {source.method}".strip(": ")
        value = "" if math.isnan(source.value) else f"{source.value:g} %"
        rows.append((name, row, value, source.needs))
    _print_columns(("recipe", "reproduces", "published", "needs"), rows)


def _table(finished: list[tuple[Recipe, Path, dict[str, Any], float]]) -> None:
    """Print one column a run."""
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
    sys.stdout.flush()
    print()
    _print_columns(("", *(recipe.method.name.upper() for recipe, *_ in finished)), lines)
    for recipe, folder, *_ in finished:
        print(f"{recipe.method.name.upper()}: {folder}")


def _print_columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(main())
