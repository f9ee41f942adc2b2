"""All of CIFAR-10 without a GPU: a small ConvNet, 40 % symmetric noise and the worst human labels, CE, ELR and SOP.

    python -m deep.cifar10_convnet    write figures/tables/cifar10_convnet.* from the committed records; trains nothing

These are not rows of the paper, whose networks are a hundred times larger: they show on real images and real human
mistakes what the methods do, at a price that any computer can pay. A row is trained again with
``python -m sparseop.deep.train cifar10_convnet_sym40_sop --data-root DIR`` (see ``--list``).
"""

import sys

import pandas as pd

from deep import tables
from deep.published import records
from deep.tables import mean_std
from sparseop import cli
from sparseop.errors import InputError

RESULTS = ("sym40", "worst")
NAMES = {"sym40": "40 % symmetric", "worst": "human, worst"}


def table() -> pd.DataFrame:
    """Return one row a noise and method; percent, mean over seeds where there are several."""
    rows = []
    runs = [run for run in records() if run[0].name.startswith("cifar10_convnet_")]
    for setting in RESULTS:
        for method in ("CE", "ELR", "SOP"):
            mine = [
                (recipe, about, summary)
                for recipe, about, summary, _ in runs
                if recipe.source.setting == setting and recipe.source.method == method
            ]
            if not mine:
                continue
            found = pd.DataFrame(
                [
                    {
                        "wrong labels (%)": 100 * about["noise_rate"],
                        "test, last epoch": summary["final"]["test"],
                        "test, best epoch": summary["best"]["test"],
                        "train, given labels": summary["train_given"],
                        "wrong labels memorised": summary["memorised"],
                        "wrong labels found: AUROC": summary["detection"]["auroc"],
                    }
                    for _, about, summary in mine
                ]
            )
            recipe = mine[0][0]
            rows.append(
                {
                    "noise": NAMES[setting],
                    "method": method,
                    "epochs": recipe.training.epochs,
                    **{name: mean_std(found[name], 3 if "AUROC" in name else 1) for name in found},
                }
            )
    if not rows:
        raise InputError("there is no record of a cifar10_convnet run in deep/results.")
    return pd.DataFrame(rows)


if __name__ == "__main__":
    sys.exit(cli.command("deep.cifar10_convnet", lambda: tables.write({"cifar10_convnet": table()})))
