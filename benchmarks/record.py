"""Where a benchmark's numbers go, and what is claimed beside them.

A run measures this machine: it writes into ``figures/measured``, which git ignores, and prints every number beside the
committed one, "claimed | measured here". With ``--record`` it writes into ``figures/data``, whose files the README and
the docs quote.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from sparseop import provenance
from sparseop.files import read_csv, write_atomic
from sparseop.study import NUMERICAL

ROOT = provenance.ROOT


def parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """Return a benchmark's parser: its docstring and the option ``--record``."""
    made = argparse.ArgumentParser(
        f"python -m benchmarks.{name}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "--record",
        action="store_true",
        help="replace the committed record in figures/data (default: write into figures/measured, which git ignores)",
    )
    return made


def folder(options: argparse.Namespace) -> Path:
    """Return where this run writes its figure, and in ``data`` its table."""
    return ROOT / ("figures" if options.record else "figures/measured")


def keep(
    table: pd.DataFrame,
    name: str,
    options: argparse.Namespace,
    *,
    packages: Sequence[str] = (),
    **summary: object,
) -> None:
    """Print the table beside the committed one, and keep it with its provenance.

    Parameters
    ----------
    table : its first column that repeats no entry, or those before it together, name a row.
    name : of the file ``data/<name>.csv`` and of the JSON beside it: versions (of ``packages`` too), hardware, commit
        and the summary.
    options : as parsed by what ``parser`` made.
    """
    written = folder(options) / "data" / name
    claimed = ROOT / "figures" / "data" / name
    print(beside(table, summary, claimed))
    record = {**summary, **provenance.stamp(*NUMERICAL, *packages)}
    write_atomic(written.with_suffix(".csv"), table.to_csv(index=False).encode())
    write_atomic(written.with_suffix(".json"), (json.dumps(record, indent=1) + "\n").encode())
    shown = written.relative_to(ROOT)
    print(
        f"{'recorded' if options.record else 'measured'}: {shown}.csv; processor: {provenance.hardware()['processor']}"
    )


def beside(table: pd.DataFrame, summary: Mapping[str, object], claimed: Path) -> str:
    """Return the table, and the numbers of its summary, each as "claimed | measured here".

    A number that the record does not have reads "- | measured here"; without a record nothing is claimed.
    """
    names = _row_names(table)
    ours = _numbers(table.set_index(names), summary)
    path = claimed.with_suffix(".csv")
    if not path.exists():
        return (
            f"nothing is claimed yet: there is no record {path.name}\n{table.to_markdown(index=False, floatfmt='.4g')}"
        )
    recorded = read_csv(path)
    theirs: dict[tuple[str, str], float] = {}
    if set(names) <= set(recorded.columns):
        theirs = _numbers(recorded.set_index(names), json.loads(claimed.with_suffix(".json").read_text()))
    cells = {key: f"{_shown(theirs.get(key))} | {_shown(value)}" for key, value in ours.items()}
    rows = list(dict.fromkeys(row for row, _ in cells))
    columns = list(dict.fromkeys(column for _, column in cells))
    shown = pd.DataFrame([[cells.get((row, column), "") for column in columns] for row in rows], rows, columns)
    return "claimed | measured here\n" + shown.to_string()


def _row_names(table: pd.DataFrame) -> list[str]:
    """Return the fewest first columns that tell every row from every other."""
    columns = list(table.columns)
    for end in range(1, len(columns)):
        if not table.duplicated(columns[:end]).any():
            return columns[:end]
    return columns


def _numbers(table: pd.DataFrame, summary: Mapping[str, object]) -> dict[tuple[str, str], float]:
    """Return every number of a table, and of the nested dictionaries of a summary, by its row and column."""
    found = {
        (", ".join(map(str, row if isinstance(row, tuple) else (row,))), column): value
        for column in table.columns
        if pd.api.types.is_numeric_dtype(table[column])
        for row, value in table[column].items()
    }
    for row, value in summary.items():
        if isinstance(value, Mapping) and all(isinstance(number, float) for number in value.values()):
            found |= {(row, column): number for column, number in value.items()}
    return {key: value for key, value in found.items() if not pd.isna(value)}


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
