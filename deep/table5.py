"""SOP table 5: training time on CIFAR-10 with 50 % symmetric noise.

    python -m deep.table5    write figures/tables/table5.* from the committed records; trains nothing

The paper's hours are those of one V100. What carries over to other hardware is the ratio to cross-entropy, so every
committed run is divided by the run with CE of the same network, data and device. Runs that shared their machine with
others say little to a tenth; ``benchmarks/`` measures side by side.
"""

import sys

import pandas as pd

from deep import tables
from deep.published import PUBLISHED_ONLY, records, values


def table() -> pd.DataFrame:
    """Return one row a published method: hours and ratio, and this project's ratio where runs of both are committed."""
    runs = [{"network": recipe.network.name, "data": recipe.data.name, "device": _device(about), "method": recipe.source.method,
             "seconds": summary["seconds_per_epoch"]} for recipe, about, summary, _ in records()]
    measured = pd.DataFrame(runs, columns=["network", "data", "device", "method", "seconds"])
    measured = measured.groupby(["network", "data", "device", "method"], as_index=False)["seconds"].min()
    base = measured[measured["method"] == "CE"].drop(columns="method")
    both = measured.merge(base, on=["network", "data", "device"], suffixes=("", "_ce"))
    published = values("table5_hours_V100")
    ce = float(published.loc[published["method"] == "CE", "value"].iloc[0])
    rows = []
    for cell in published.itertuples():
        row = {"method": cell.method, "published hours (V100)": cell.value, "published ratio to CE": round(cell.value / ce, 2)}
        mine = both[both["method"] == cell.method]
        if len(mine) == 0:
            rows.append({**row, "here: ratio to CE": "", "here: s per epoch": "", "where": PUBLISHED_ONLY.get(cell.method, "not run yet")})
        rows += [{**row, "here: ratio to CE": f"{run.seconds / run.seconds_ce:.2f}", "here: s per epoch": f"{run.seconds:.1f}",
                  "where": f"{run.network}, {run.data}, {run.device}"} for run in mine.itertuples()]
    return pd.DataFrame(rows)


def _device(about: dict) -> str:  # type: ignore[type-arg]
    device = about["hardware"]["device"]
    return f"{about['hardware']['processor']}, {about['threads']} thread(s)" if device == "cpu" else str(device)


if __name__ == "__main__":
    sys.exit(tables.main("deep.table5", lambda: {"table5": table()}))
