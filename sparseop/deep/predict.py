"""What the network of a run sees in new pictures.

    python -m sparseop.deep.predict RUN IMAGES...              a table: file, class, how sure, and the class after it
    python -m sparseop.deep.predict RUN FOLDER --csv OUT.csv   all pictures in a folder, into a file

IMAGES are files or folders; pictures of any size are reduced as those that the network was trained on.
"""

import argparse
import csv
import io
import sys
import types
from collections.abc import Sequence
from pathlib import Path

from sparseop import cli
from sparseop.deep.datasets.tree import pictures
from sparseop.deep.trained.classifier import load_classifier
from sparseop.deep.trained.load import WEIGHTS
from sparseop.deep.training import device as devices
from sparseop.deep.training.progress import print_columns
from sparseop.errors import InputError
from sparseop.files import write_atomic

HEADER = ("path", "predicted", "probability", "second", "probability of second")
Row = tuple[str, str, float, str, float]


def predict(run: Path | str, images: Sequence[Path | str], *, weights: str = "auto", device: str = "auto") -> list[Row]:
    """Return for each picture its path, the most likely class and its probability, and those of the second.

    Parameters
    ----------
    run : folder of a run with labels.
    images : files, or folders whose pictures are taken.
    weights : see ``load_classifier``.
    device : "auto", "cpu", "cuda", "cuda:1".

    Raises
    ------
    InputError : no run there, no picture, one that cannot be read.
    """
    found = load_classifier(run, weights)
    paths = [path for given in images for path in pictures(Path(given).expanduser())]
    if not paths:
        raise InputError(f"there is no picture in {', '.join(repr(str(path)) for path in images) or 'no argument'}.")
    target = devices.choose(device)
    devices.prepare(target, deterministic=False, threads=found.recipe.engine.threads)
    values, places = found.probabilities(paths, target).topk(2, 1)
    return [
        (str(path), found.classes[first], p, found.classes[second], q)
        for path, (p, q), (first, second) in zip(paths, values.tolist(), places.tolist(), strict=True)
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status (see ``sparseop.cli``)."""
    parser = argparse.ArgumentParser(
        "python -m sparseop.deep.predict", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a run with labels")
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGES", help="files, or folders of pictures")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table into this file")
    parser.add_argument(
        "--weights", default="auto", metavar="|".join(WEIGHTS), help="of the last epoch, or of the one that was chosen"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    options = parser.parse_args(arguments)
    with cli.plain_warnings():
        return cli.run("sparseop.deep.predict", lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    rows = predict(options.run, options.images, weights=options.weights, device=options.device)
    shown = [(path, first, f"{p:.4f}", second, f"{q:.4f}") for path, first, p, second, q in rows]
    if options.csv is None:
        print_columns(HEADER, shown)
        return
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([HEADER, *shown])
    write_atomic(options.csv, text.getvalue().encode("utf-8", "surrogateescape"))
    sys.stdout.write(f"{len(rows):,} pictures: {options.csv}\n")


class _Callable(types.ModuleType):
    """The module, which is also a function: ``from sparseop.deep import predict; predict(RUN, [PICTURE])``."""

    __call__ = staticmethod(predict)


sys.modules[__name__].__class__ = _Callable

if __name__ == "__main__":
    sys.exit(main())
