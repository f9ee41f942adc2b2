"""Train with wrong labels, or without labels.

    python -m sparseop.deep.train                              cross-entropy against SOP on handwritten digits: a minute
    python -m sparseop.deep.train sane                         MoCo against SANE on painted shapes: four minutes
    python -m sparseop.deep.train --list                       the recipes, what each reproduces and needs
    python -m sparseop.deep.train --list table1                those with "table1" in their name
    python -m sparseop.deep.train --show RECIPE                a recipe, every default spelt out
    python -m sparseop.deep.train RECIPE                       a recipe by name, or a TOML file
    python -m sparseop.deep.train RECIPE --set method.lr_u=1   with something changed
    python -m sparseop.deep.train RECIPE --seeds 5 --jobs 2    five times, two at a time: mean and spread
    python -m sparseop.deep.train image-recovery               remove sparse corruption from a photograph: a minute;
                                  --set image=PATH noise=0.3   from yours
    python -m sparseop.deep.train --resume RUN                 go on with an interrupted run
    python -m sparseop.deep.train --branch RUN --set training.epochs=200      a finished one for longer, in a new folder
    torchrun --nproc-per-node 2 -m sparseop.deep.train RECIPE  on two devices

A run writes its folder (default: runs/RECIPE/TIME-seedS): recipe, provenance, metrics, checkpoint, and for each
training sample how suspicious its label is.

"sane" trains MoCo, then SANE for as many epochs, then MoCo again for as long as SANE took, and compares their features.
"""

import argparse
import sys
import types
from collections.abc import Sequence
from pathlib import Path

from sparseop import cli
from sparseop.deep import tasks
from sparseop.deep.training import distributed
from sparseop.deep.training.task import Request
from sparseop.errors import InputError, integer

#: what the command without arguments trains, in this order
SHOWCASE = ("digits_sym40_ce", "digits_sym40_sop")


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
    what.add_argument(
        "--list", nargs="?", const="", metavar="WORD", help="list the recipes, those with WORD in the name"
    )
    what.add_argument("--show", metavar="RECIPE", help="print a recipe, every default spelt out")
    what.add_argument("--resume", type=Path, metavar="RUN", help="go on with the run in this folder")
    what.add_argument("--branch", type=Path, metavar="RUN", help="train a run for more epochs, in a new folder")
    parser.add_argument(
        "--set",
        action="extend",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="change values of the recipe, such as training.epochs=10; may be repeated",
    )
    parser.add_argument(
        "--seeds", type=int, metavar="N", help="train with the seeds 0 to N-1; a table of mean and spread"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="J", help="runs of --seeds at a time (default: 1)")
    parser.add_argument(
        "--backend",
        default="processes",
        metavar="processes|dask",
        help="where they run: this machine, or a dask cluster",
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
    if options.list is not None:
        tasks.list_recipes(options.list)
    elif options.show is not None:
        tasks.show(options.show, options.overrides)
    elif options.resume is not None:
        if options.overrides or options.seed is not None:
            raise InputError(
                "--resume takes no --set and no --seed: a run goes on with the recipe it began with; for more epochs "
                "give --branch RUN --set training.epochs=N."
            )
        tasks.go_on(options.resume, Request(device=options.device, data_root=options.data_root))
    elif options.branch is not None:
        if options.seed is not None:
            raise InputError("--branch takes no --seed: a run goes on with the seed it began with.")
        request = Request(tuple(options.overrides), options.out, options.device, options.data_root)
        tasks.branch(options.branch, request)
    else:
        overrides, name = list(options.overrides), options.recipe
        if name is None and len(overrides) > 1 and "=" not in overrides[-1]:
            name = overrides.pop()  # --set a=1 RECIPE: the option took it as one more change
        if options.seed is not None:
            overrides.append(f"seed={integer('--seed', options.seed, 0)}")
        request = Request(tuple(overrides), options.out, options.device, options.data_root, options.download)
        if options.seeds is None:
            tasks.train(SHOWCASE if name is None else (name,), request)
            return
        if name is None or options.seed is not None:
            raise InputError("--seeds repeats one recipe, given by its name, and takes no --seed.")
        count, jobs = integer("--seeds", options.seeds, 1), integer("--jobs", options.jobs, 1)
        tasks.repeat(name, count, request, jobs=jobs, backend=options.backend)


class _Callable(types.ModuleType):
    """The module, which is also a function: ``from sparseop.deep import train; train("folder", data_root=DIR)``."""

    __call__ = staticmethod(tasks.call)


sys.modules[__name__].__class__ = _Callable

if __name__ == "__main__":
    sys.exit(main())
