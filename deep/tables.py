"""Write a table from committed records: what ``deep.table2`` to ``deep.tableA1`` have in common. Nothing is trained."""

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
