"""SOP table 5: training time on CIFAR-10 with 50 % symmetric noise.

    python -m deep.table5                                         write figures/tables/table5.* from the committed
                                                                  records
    python -m deep.table5 --measure                               measure a small ConvNet here first (two minutes)
    python -m deep.table5 --measure --network preact_resnet18 --batches 100 --set engine.precision=bfloat16

The paper's hours are those of one V100 and of whole runs of different lengths. What carries over is the price of a step
against cross-entropy's, so ``--measure`` lets the methods take turns, a few batches each, in one process
(``benchmarks.deep_epochs``) and keeps the best turn of each in ``deep/results/table5``. All methods see 128 images a
step; SOP+ passes each through the network twice, Co-teaching+ through two networks.
"""

import argparse
import datetime
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from deep import tables
from deep.published import RESULTS, values
from sparseop import cli, provenance
from sparseop.files import write_atomic

FOLDER = RESULTS / "table5"
NAMES = {"CE": "ce", "Co-teaching+": "coteaching+", "SOP": "sop", "SOP+": "sop+"}


def measure(network: str, overrides: list[str], *, rounds: int, batches: int, device: str) -> None:
    """Measure all methods that have a trainer and write the record."""
    import torch

    from benchmarks import deep_epochs
    from sparseop.deep.training import device as devices

    seconds = deep_epochs.measure(
        network, overrides, rounds=rounds, batches=batches, device=device, methods=tuple(NAMES.values())
    )
    target = devices.choose(device)
    name = torch.cuda.get_device_name(target) if target.type == "cuda" else target.type
    record = {
        "network": network,
        "batch": deep_epochs.BATCH,
        "changes": overrides,
        "rounds": rounds,
        "batches": batches,
        "seconds_per_batch": seconds,
        # programs that wanted a core when it began: above the number of cores the machine was shared, and the times say
        # less
        "load": round(os.getloadavg()[0], 1),
        "threads": torch.get_num_threads(),
        **provenance.stamp("torch", "numpy"),
    }
    record["hardware"]["device"] = name
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S")
    write_atomic(FOLDER / f"{network}-{target.type}-{stamp}.json", (json.dumps(record, indent=1) + "\n").encode())


def table(folder: Path = FOLDER) -> pd.DataFrame:
    """Return one row a published method and measurement: hours and ratio published, ratio here."""
    measured = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    published = values("table5_hours_V100")
    ce = float(published.loc[published["method"] == "CE", "value"].iloc[0])
    rows = []
    for cell in published.itertuples():
        row = {
            "method": cell.method,
            "published hours (V100)": cell.value,
            "published ratio to CE": round(cell.value / ce, 2),
        }
        mine = [record for record in measured if NAMES.get(cell.method) in record["seconds_per_batch"]]
        if not mine:
            rows.append(
                {
                    **row,
                    "here: ratio to CE": "",
                    "here: ms per batch": "",
                    "where": "not measured yet",
                }
            )
        for record in mine:
            seconds = record["seconds_per_batch"]
            own = seconds[NAMES[cell.method]]
            rows.append(
                {
                    **row,
                    "here: ratio to CE": f"{own / seconds['ce']:.2f}",
                    "here: ms per batch": f"{1e3 * own:.3g}",
                    "where": f"{record['network']}, {_place(record)}",
                }
            )
    return pd.DataFrame(rows)


def _place(record: dict) -> str:  # type: ignore[type-arg]
    hardware = record["hardware"]
    place = (
        f"{hardware['processor']}, {record['threads']} thread(s)" if hardware["device"] == "cpu" else hardware["device"]
    )
    return place + (f", on a busy machine (load {record['load']:g})" if record["load"] > hardware["cores"] else "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        "python -m deep.table5", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--measure", action="store_true", help="measure here first")
    parser.add_argument("--network", default="convnet")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    options = parser.parse_args(arguments)

    def body() -> None:
        if options.measure:
            measure(
                options.network,
                options.overrides,
                rounds=options.rounds,
                batches=options.batches,
                device=options.device,
            )
        tables.write({"table5": table()})

    return cli.run("deep.table5", body)


if __name__ == "__main__":
    sys.exit(main())
