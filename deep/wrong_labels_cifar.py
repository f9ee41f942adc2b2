"""Which labels of CIFAR-10 are wrong, by the features of networks that were trained on them; of CIFAR-10N too.

    python -m deep.wrong_labels_cifar RUN [RUN ...] --data-root DIR

RUN is the folder of a finished run with labels (``python -m sparseop.deep.train fast_cifar10_worst_sop``, about ten
minutes of one core; random1, aggregate, and cifar100n likewise). Its network's features of all training images are
judged as ``inspect_labels`` does, and compared with the truth that the run's ``labels.npz`` holds. Writes
``figures/data/wrong_labels_cifar.csv``, one row a run, with provenance; rows of other runs that are there already
are kept.

These networks have learnt some of the wrong labels, and have not seen the errors that are planted afterwards: the
ranking is good, the estimated number too low. That is what the table is there to show; ``python -m sparseop.inspect
PICTURES`` plants before it trains.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from sparseop import cli, provenance
from sparseop.deep import datasets
from sparseop.deep.trained import load
from sparseop.errors import InputError
from sparseop.files import read_csv, require_writable, write_atomic
from sparseop.inspect import inspect_labels
from sparseop.inspect.work import JUDGES, area

NAME = "wrong_labels_cifar"


def judged(run: Path, data_root: Path | None, cache: Path) -> dict[str, object]:
    """Return a run's row: area under the ROC curve of the score and of each judge, and what the score believes."""
    if not (run / "labels.npz").is_file():
        raise InputError(f"'{run}' must be the folder of a finished run with labels; it has no labels.npz.")
    with np.load(run / "labels.npz") as held:
        given, right = held["given"], held["true"]
    network = load.load(run)
    features = cache / f"{run.name}-epoch{network.epoch}.npy"
    if not features.exists():
        data = datasets.load(network.recipe.data.name, data_root, **network.recipe.data.options)
        cache.mkdir(parents=True, exist_ok=True)
        np.save(features, network.features(data.train_images, torch.device("cpu")).numpy())
    started = time.process_time()
    found = inspect_labels(np.load(features), given, work=cache / run.name)
    seconds = time.process_time() - started
    wrong = (given != right)[found.table["row"]]
    top = wrong[: found.suspects]
    areas = {
        name: found.table[column].to_numpy()
        for name, column in {"score": "suspicion", **{j: j for j in JUDGES}}.items()
    }
    return {
        "run": run.name,
        "epochs": network.epoch,
        "n": len(wrong),
        "wrong": int(wrong.sum()),
        **{name: area(doubt[wrong], doubt[~wrong]) for name, doubt in areas.items()},
        "number": found.number,
        "low": found.number_interval[0],
        "high": found.number_interval[1],
        "believed": float(found.precision["precision"].iloc[found.suspects - 1]),
        "precision": float(top.mean()),
        "recall": float(top.sum() / wrong.sum()),
        "recall_of_planted": found.recall,
        "gap": found.certificate["gap"],
        "processor_seconds": round(seconds, 1),
    }


def main() -> int:
    """Judge the runs, print the table and keep it."""
    parser = argparse.ArgumentParser(
        "python -m deep.wrong_labels_cifar", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument(
        "--data-root", type=Path, metavar="DIR", help="folder that holds CIFAR (default: $SPARSEOP_DATA)"
    )
    parser.add_argument("--cache", type=Path, default=provenance.ROOT / ".cache" / NAME, metavar="DIR")
    options = parser.parse_args()

    def body() -> None:
        folder = provenance.ROOT / "figures" / "data"
        require_writable(folder)
        path = folder / f"{NAME}.csv"
        table = pd.DataFrame([judged(run, options.data_root, options.cache) for run in options.runs])
        if path.exists():
            old = read_csv(path)
            table = pd.concat([old[~old["run"].isin(table["run"])], table], ignore_index=True)
        write_atomic(path, table.to_csv(index=False).encode())
        write_atomic(
            path.with_suffix(".json"),
            (json.dumps(provenance.stamp("numpy", "scipy", "torch"), indent=1) + "\n").encode(),
        )
        print(table.to_markdown(index=False, floatfmt=".4g"))

    return cli.run("deep.wrong_labels_cifar", body, kept="judged copies are kept; run the same command again to go on")


if __name__ == "__main__":
    sys.exit(main())
