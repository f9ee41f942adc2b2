"""SOP table 1: test accuracy under symmetric noise, six methods, 20 to 80 %.

    python -m deep.table1            train all of it on digits (at most a quarter of an hour on two cores), then write
                                     the tables
    python -m deep.table1 --redraw   write the tables from the committed records, training nothing
    python -m deep.table1 --quick    two methods, two rates, one seed

``figures/tables/table1_digits.*`` holds the digits; ``table1.*`` every cell of the paper beside what this project's
committed records of CIFAR runs say (``deep/results``), with the difference, or the reason why there is none.

Noise is that of the released code, which the published numbers come from: a share r of the labels is drawn anew from
all classes, so that only r (K - 1) / K of them are wrong.
"""

import sys

import pandas as pd

from deep import digits, published
from deep.tables import mean_std
from sparseop import study
from sparseop.study import Row, Study

METHODS = ("CE", "Forward", "GCE", "SL", "ELR", "SOP", "SOP, released eps")
RATES = (0.2, 0.4, 0.6, 0.8)
SEEDS = (0, 1, 2)


def cell(method: str, rate: float, seed: int) -> Row:
    """Train one method under one noise; accuracies in percent."""
    summary, _ = digits.train(method, "symmetric_inclusive", rate, seed)
    found = summary["detection"]
    return {
        "last": summary["final"]["test"],
        "best": summary["best"]["test"],
        "best_epoch": summary["best"]["epoch"],
        "memorised": summary["memorised"],
        "precision": found["precision"],
        "recall": found["recall"],
        "auroc": found["auroc"],
        "average_precision": found["average_precision"],
        "proposed_right": summary["proposed_right"],
        "wrong": summary["corrupted"],
        "_train_seconds": summary["seconds"],
    }


def tables(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the digits' table, methods by rates, and the paper's cells beside the committed records."""
    return {"digits": table_digits(table), "": published.beside("table1")}


def table_digits(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row a method: mean and standard deviation over seeds, last epoch and (best epoch) for each rate."""
    rows = []
    for method in METHODS:
        part = table[table["method"] == method]
        if len(part) == 0:
            continue
        row: Row = {"method": method}
        for rate in RATES:
            at = part[part["rate"] == rate]
            if len(at):
                row[f"{rate:.0%} last"] = mean_std(at["last"])
                row[f"{rate:.0%} best"] = mean_std(at["best"])
        worst = part[part["rate"] == part["rate"].max()]
        row |= {
            f"memorised at {part['rate'].max():.0%}": mean_std(worst["memorised"]),
            f"AUROC at {part['rate'].max():.0%}": mean_std(worst["auroc"], 3),
        }
        rows.append(row)
    return pd.DataFrame(rows)


STUDIES = (
    Study(
        name="table1",
        cell=cell,
        grids={
            "paper": [{"method": m, "rate": r, "seed": s} for m in METHODS for r in RATES for s in SEEDS],
            "quick": [{"method": m, "rate": r, "seed": 0} for m in ("CE", "SOP") for r in (0.2, 0.4)],
        },
        tables=tables,
        packages=("torch",),
        files=digits.FILES,
    ),
)

if __name__ == "__main__":
    sys.exit(study.main("deep.table1"))
