"""Time a step of MoCo, SANE and their parts, in one run of the real engine, and the memory they take.

    python -m benchmarks.contrastive                       on a processor: the shapes recipe, batches of 64
    python -m benchmarks.contrastive --device cuda         on a GPU: MoCo's CIFAR demo (ResNet-18, batches of 512,
                                                           bfloat16)

The variants take turns, a few steps each, so that a busy machine disturbs all alike; a ratio is between the best
rounds. Times are the process's own on a processor (one thread) and the clock's on a GPU. Images are random: time does
not depend on them. Goal: SANE at most 1.6 times MoCo's step. MoCo's notebook prints 20.5 s an epoch on a V100, 2,400
images a second, data loading included. With --record: figures/data/bench_contrastive_DEVICE.csv.
"""

import sys
from collections.abc import Callable
from functools import partial

import pandas as pd
import torch

from benchmarks import record
from benchmarks.deep_epochs import Turn, random_dataset, timed, turns
from sparseop import cli
from sparseop.deep.contrastive import recipe as recipes
from sparseop.deep.contrastive import run as engine
from sparseop.deep.training import device as devices
from sparseop.deep.training.samples import Samples, describe
from sparseop.errors import integer

#: what is timed: MoCo's and SANE's recipe on a processor and on a GPU, and the changes
BASES = {"cpu": ("shapes_moco", "shapes_sane"), "cuda": ("demo_cifar10_moco_200", "demo_cifar10_sane_200")}
VARIANTS: dict[str, tuple[int, tuple[str, ...]]] = {
    "MoCo": (0, ()),
    "p and q, no mixup": (1, ("method.mixup=none",)),
    "momentum mixup, one-hot": (1, ("method.p=false", "method.q=false")),
    "SANE": (1, ()),
    "SANE, either term": (1, ("method.terms=either",)),
    "SANE, labels measured every step": (1, ("evaluation.labels_every=1",)),
    "SANE, strong": (1, ("method.mix_strength=strong",)),
    "SANE, teacher online": (1, ("method.teacher=online",)),
}


def samples(side: int, n: int) -> Samples:
    """Return ``n`` random images."""
    dataset = random_dataset(n, side=side)
    return Samples(
        dataset,
        describe(dataset.train_labels, dataset.train_labels, dataset.n_classes),
        torch.arange(n),
        torch.arange(0),
    )


def measure(device: str, rounds: int, steps: int) -> pd.DataFrame:
    """Return milliseconds a step, images a second, ratio to MoCo and peak memory of each variant."""
    target = devices.choose(device)
    runs: dict[str, Callable[[int], Turn]] = {}
    for name, (which, changes) in VARIANTS.items():
        recipe = recipes.read(BASES[target.type][which], ["evaluation.baselines=false", "engine.threads=1", *changes])
        batch = recipe.training.batch_size
        runs[name] = timed(
            partial(engine._Run, recipe, samples(recipe.views.options["size"], steps * batch), target), target
        )
    best = turns(runs, rounds)
    rows = []
    for name, turn in best.items():
        seconds = turn.seconds / steps
        rows.append(
            {
                "variant": name,
                "ms a step": round(1e3 * seconds, 2),
                "images a second": round(batch / seconds),
                "x MoCo": round(turn.seconds / best["MoCo"].seconds, 2),
                **({"peak GiB": round(turn.peak / 2**30, 2)} if target.type == "cuda" else {}),
            }
        )
    return pd.DataFrame(rows)


def main() -> int:
    """Run the command line."""
    parser = record.parser("contrastive", __doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    # 9 of 64 images: an epoch then has the 1,024 other images that shapes_moco's queue holds, and no warning is due
    parser.add_argument("--steps", type=int, default=9, help="a round and variant")
    options = parser.parse_args()

    def body() -> None:
        table = measure(options.device, integer("--rounds", options.rounds, 1), integer("--steps", options.steps, 2))
        kind = devices.choose(options.device)
        name = torch.cuda.get_device_name(kind) if kind.type == "cuda" else "cpu, one thread"
        record.keep(
            table,
            f"bench_contrastive_{kind.type}",
            options,
            packages=("torch",),
            device=name,
            rounds=options.rounds,
            steps=options.steps,
        )

    return cli.run("benchmarks.contrastive", body)


if __name__ == "__main__":
    sys.exit(main())
