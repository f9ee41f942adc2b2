"""Tables: how one is written from committed records (``deep.table2`` to ``deep.tableA1``; nothing is trained), and how they say a mean."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from sparseop import cli
from sparseop.provenance import ROOT
from sparseop.study import write_table


def main(module: str, build: Callable[[], dict[str, pd.DataFrame]], folder: Path | None = None) -> int:
    """Write each table of ``build()`` into ``figures/tables`` as markdown, LaTeX and CSV; return the exit status."""

    def body() -> None:
        for name, table in build().items():
            write_table(table, (folder or ROOT / "figures" / "tables") / name)
            print(f"{name}: {len(table)} rows")

    return cli.run(module, body)


def mean_std(column: "pd.Series[float]", digits: int = 1) -> str:
    """Return 'mean ± standard deviation (n)', the deviation over n - 1; the mean alone for one value."""
    if len(column) == 1:
        return f"{column.iloc[0]:.{digits}f} (1)"
    return f"{column.mean():.{digits}f} ± {column.std():.{digits}f} ({len(column)})"
