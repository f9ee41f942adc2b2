"""Tables: how one is written from committed records (``deep.table2`` to ``deep.tableA1``), and how they say a mean."""

from collections.abc import Mapping

import pandas as pd

from sparseop.provenance import ROOT
from sparseop.study import write_table


def write(found: Mapping[str, pd.DataFrame]) -> None:
    """Write each table into ``figures/tables`` as markdown, LaTeX and CSV."""
    for name, table in found.items():
        write_table(table, ROOT / "figures" / "tables" / name)
        print(f"{name}: {len(table)} rows")


def mean_std(column: "pd.Series[float]", digits: int = 1) -> str:
    """Return 'mean ± standard deviation (n)', the deviation over n - 1; the mean alone for one value."""
    if len(column) == 1:
        return f"{column.iloc[0]:.{digits}f} (1)"
    return f"{column.mean():.{digits}f} ± {column.std():.{digits}f} ({len(column)})"
