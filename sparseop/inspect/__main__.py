"""Which of my labels are wrong? Every label judged, and how far to trust that.

    python -m sparseop.inspect                                the digits with errors put in: no input, no download
    python -m sparseop.inspect pictures/                      a folder of class folders (needs torch)
    python -m sparseop.inspect table.csv --label-column kind  a table, or a list of picture files and labels
    python -m sparseop.inspect features.npy --labels labels.csv
    python -m sparseop.inspect embeddings.npz --then relabel --precision 0.9

Writes suspects.csv (all samples, the most suspicious first), labels.csv (labels to train on) and report.html (one
file that opens offline) into --out. A run that was stopped goes on where it was when it is started again.
"""

import argparse
import sys
import time
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from sparseop import cli
from sparseop.errors import between, integer, positive
from sparseop.files import require_writable
from sparseop.inspect import demo, report
from sparseop.inspect.reading import Source, read
from sparseop.inspect.result import THEN, Inspection
from sparseop.inspect.work import inspect_labels

WORK = ".work"  #: folder of finished pieces, in --out


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status (see ``sparseop.cli``)."""
    parser = argparse.ArgumentParser(
        "python -m sparseop.inspect", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "input", type=Path, nargs="?", metavar="INPUT", help="folder, .csv, .tsv, .parquet, .npy or .npz"
    )
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", help="labels, where INPUT has none: .npy, .npz, .csv, .parquet, .txt"
    )
    parser.add_argument(
        "--label-column", metavar="NAME", help="column of the labels (default: one named label, class, target, y)"
    )
    parser.add_argument(
        "--drop", action="append", default=[], metavar="NAME", help="leave out a column of the table; repeat for more"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the files go (default: inspected/NAME)")
    parser.add_argument("--then", choices=THEN, default="leave-out", help="what becomes of suspects in labels.csv")
    parser.add_argument(
        "--precision",
        type=float,
        metavar="P",
        help="list as many as keep this share wrong (default: the estimated number)",
    )
    parser.add_argument("--merge-spellings", action="store_true", help="treat two spellings of one class as one")
    parser.add_argument(
        "--network", metavar="NAME", help="pictures: a pretrained timm network (default: train the fast one with SOP)"
    )
    parser.add_argument(
        "--minutes", type=float, default=5.0, metavar="M", help="pictures: how long to train (default: 5)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of everything random (default: 0)")
    parser.add_argument("--open", action="store_true", help="open the report in the browser")
    options = parser.parse_args(arguments)
    return cli.run(
        "sparseop.inspect", lambda: _run(options), kept="finished pieces are kept; run the same command again to go on"
    )


def _run(options: argparse.Namespace) -> None:
    started = time.perf_counter()
    integer("--seed", options.seed, 0)
    positive("--minutes", options.minutes)
    if options.precision is not None:
        between("--precision", options.precision, 0, 1, ends="(]")
    truth = None
    if options.input is None:
        source, truth = demo.source(options.seed)
    else:
        source = read(options.input, labels=options.labels, label_column=options.label_column, drop=options.drop)
    name = "digits" if options.input is None else options.input.resolve().stem
    folder = options.out or Path("inspected") / name
    require_writable(folder)
    found = _inspect(source, options, folder / WORK)
    written = report.write(
        found,
        folder,
        title=source.title,
        pictures=source.pictures,
        frame=source.frame,
        then=options.then,
        precision=options.precision,
        truth=truth,
    )
    low, high = found.number_interval
    print(
        f"about {found.number:,.0f} of {len(found.table):,} labels are wrong (90 % interval {low:,.0f} to {high:,.0f})"
    )
    for path in written:
        print(f"  {path}")
    print(f"{time.perf_counter() - started:.0f} s", file=sys.stderr)
    if options.open:
        webbrowser.open(written[-1].resolve().as_uri())


def _inspect(source: Source, options: argparse.Namespace, work: Path) -> Inspection:
    if source.features is None:
        from sparseop.inspect.network import inspect_pictures  # needs torch

        return inspect_pictures(
            source,
            minutes=options.minutes,
            network=options.network,
            merge_spellings=options.merge_spellings,
            seed=options.seed,
            work=work,
            say=_say,
        )
    return inspect_labels(
        source.features,
        source.labels,
        names=source.names,
        merge_spellings=options.merge_spellings,
        seed=options.seed,
        notes=source.notes,
        work=work,
        say=_say,
    )


def _say(text: str) -> None:
    print(f"  {text} ...", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
