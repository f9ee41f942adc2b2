"""Keep what a benchmark measured, with its provenance: the README's speed claims quote these files."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from sparseop import provenance
from sparseop.files import write_atomic
from sparseop.study import NUMERICAL


def keep(table: pd.DataFrame, name: str, folder: Path, *, packages: Sequence[str] = (), **summary: object) -> None:
    """Write ``data/<name>.csv`` and, beside it, versions (of ``packages`` too), hardware, commit and the summary as JSON."""
    record = {**summary, **provenance.stamp(*NUMERICAL, *packages)}
    write_atomic(folder / "data" / f"{name}.csv", table.to_csv(index=False).encode())
    write_atomic(folder / "data" / f"{name}.json", (json.dumps(record, indent=1) + "\n").encode())
