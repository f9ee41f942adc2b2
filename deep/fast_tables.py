"""SOP's tables 1 and 4 by the fast network, on a processor, every cell beside the published one.

    python -m deep.fast_tables    write figures/tables/{table1,table4}_fast.* and fast_pieces.*; trains nothing

The published networks are ResNet-34 and PreActResNet-18, trained for 100 to 300 epochs; here it is ``fastnet``, trained
for as long as the record says. So no cell is a repetition, and each says what it cost: hours of one core (the process's
own), and floating-point operations as a share of the published run's. ``fast_pieces`` is the ablation: what each part
of the network, the optimiser and the augmentation buys in accuracy and time. Runs: ``python -m deep.runs``.
"""

import sys

import pandas as pd

from deep import fast_records, tables
from deep.published import values
from deep.runs import PIECES
from deep.tables import mean_std
from sparseop import cli

#: published network, epochs, of table 1 and of table 4 (its CE-like rows; SOP+ has its own)
PUBLISHED = {"table1": ("resnet34", 120), "table4": ("resnet34", 100)}
PLUS = ("preact_resnet18", 300)
COLUMNS = [
    "setting",
    "method",
    "published",
    "last epoch",
    "best epoch",
    "difference",
    "epochs",
    "core-hours",
    "published FLOP / ours",
]
DATA = {"table1": "CIFAR-10", "table4": "CIFAR-10N"}


def beside(table: str, runs: pd.DataFrame) -> pd.DataFrame:
    """Return each published cell on CIFAR-10 beside the runs with the recipe's settings, the longest of each method.

    A method that has run and is not published there, as SOP in table 4, has a row without a published value.
    """
    plain = runs[runs["changes"] == ""]
    cells = values(table)
    cells = cells[cells["dataset"] == DATA[table]][["setting", "method", "value"]]
    further = plain[plain["setting"].isin(cells["setting"])][["setting", "method"]].drop_duplicates()
    cells = cells.merge(further, how="outer", on=["setting", "method"])
    rows = []
    for cell in cells.itertuples():
        own = plain[(plain["setting"] == cell.setting) & (plain["method"] == cell.method)]
        published = "" if pd.isna(cell.value) else f"{cell.value:.2f}".rstrip("0").rstrip(".")
        row = {"setting": cell.setting, "method": cell.method, "published": published}
        if not own.empty:
            row |= _ours(own[own["epochs"] == own["epochs"].max()], cell.value, table, cell.method)
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS).astype(object).fillna("")


def _ours(own: pd.DataFrame, published: float, table: str, method: str) -> dict[str, str]:
    """Return what runs of one cell and length came to, and cost."""
    network, epochs = PLUS if method == "SOP+" else PUBLISHED[table]
    theirs = 3 * fast_records.forward(network) * fast_records.TRAINED * epochs
    return {
        "last epoch": mean_std(own["last"], 2),
        "best epoch": mean_std(own["best"], 2),
        "difference": "" if pd.isna(published) else f"{own['last'].mean() - published:+.2f}",
        "epochs": str(own["epochs"].iloc[0]),
        "core-hours": f"{own['core_hours'].mean():.2f}",
        "published FLOP / ours": "" if pd.isna(published) else f"{theirs / own['flop'].mean():.0f}",
    }


def pieces(runs: pd.DataFrame) -> pd.DataFrame:
    """Return what the network reaches without each of its pieces, and seconds of a core an epoch."""
    clean = runs[(runs["setting"] == "clean") & (runs["method"] == "CE") & (runs["epochs"] == 4)]
    rows = []
    whole = clean[clean["changes"] == ""]
    for name, changes in PIECES.items():
        own = clean[[_same(text, changes) for text in clean["changes"]]] if changes else whole
        if own.empty:
            rows.append({"network": name})
            continue
        rows.append(
            {
                "network": name,
                "test accuracy": mean_std(own["last"], 2),
                "without it": "" if whole.empty or not changes else f"{own['last'].mean() - whole['last'].mean():+.2f}",
                "core-seconds an epoch": f"{3600 * (own['core_hours'] / own['epochs']).mean():.1f}",
            }
        )
    columns = ["network", "test accuracy", "without it", "core-seconds an epoch"]
    return pd.DataFrame(rows, columns=columns).astype(object).fillna("")


def _same(text: str, changes: tuple[str, ...]) -> bool:
    """Tell whether the differences that a run's text lists are those of ``changes``, "table.key=value"."""
    found = {part.split(" (recipe")[0].replace(" = ", "=").lower() for part in text.split("; ") if part}
    return found == {change.replace('"', "").lower() for change in changes}


def body() -> None:
    """Write all tables."""
    runs = fast_records.runs()
    tables.write({f"{table}_fast": beside(table, runs) for table in DATA} | {"fast_pieces": pieces(runs)})


if __name__ == "__main__":
    sys.exit(cli.command("deep.fast_tables", body))
