"""Time a step of MoCo, SANE and their parts, in one run of the real engine, and the memory they take.

    python -m benchmarks.contrastive                       on a processor: the shapes recipe, batches of 64
    python -m benchmarks.contrastive --device cuda         on a GPU: MoCo's CIFAR demo (ResNet-18, batches of 512, bfloat16)

The variants take turns, a few steps each, so that a busy machine disturbs all alike; a ratio is between the best rounds.
Times are the process's own on a processor (one thread) and the clock's on a GPU. Images are random: time does not depend on
them. Goal: SANE at most 1.6 times MoCo's step. MoCo's notebook prints 20.5 s an epoch on a V100, 2,400 images a second, data
loading included. Written to figures/data/bench_contrastive_DEVICE.csv.
"""

import argparse
import sys
import time
from typing import Any

import pandas as pd
import torch

from benchmarks import record
from sparseop import cli
from sparseop.deep import device as devices
from sparseop.deep.contrastive import engine
from sparseop.deep.contrastive import recipe as recipes
from sparseop.deep.data import Samples
from sparseop.deep.datasets import Dataset
from sparseop.deep.noise import describe
from sparseop.errors import integer
from sparseop.provenance import ROOT

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
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (n, 3, side, side), dtype=torch.uint8, generator=generator)
    labels = torch.randint(10, (n,), generator=generator)
    dataset = Dataset("random", images, labels, images[:10], labels[:10], tuple(map(str, range(10))), (0.5,) * 3, (0.25,) * 3)
    return Samples(dataset, describe(labels, labels, 10), torch.arange(n), torch.arange(0))


def measure(device: str, rounds: int, steps: int) -> pd.DataFrame:
    """Return milliseconds a step, images a second, ratio to MoCo and peak memory of each variant."""
    target = devices.choose(device)
    runs: dict[str, Any] = {}
    for name, (which, changes) in VARIANTS.items():
        recipe = recipes.read(recipes.find(BASES[target.type][which]), ["evaluation.baselines=false", "engine.threads=1", *changes])
        batch = recipe.training.batch_size
        runs[name] = engine._Run(recipe, samples(recipe.views.options["size"], steps * batch), target)
    best, peak = dict.fromkeys(runs, float("inf")), dict.fromkeys(runs, 0)
    for turn in range(rounds + 1):
        for name, run in runs.items():
            if target.type == "cuda":
                torch.cuda.reset_peak_memory_stats(target)
            started = time.process_time()
            seconds = run._epoch(turn, None)["seconds"]
            if target.type == "cpu":
                seconds = time.process_time() - started
            else:
                peak[name] = torch.cuda.max_memory_allocated(target)
            if turn > 0:  # the first finds kernels and allocates
                best[name] = min(best[name], seconds / steps)
    rows = [{"variant": name, "ms a step": round(1e3 * seconds, 2), "images a second": round(batch / seconds), "x MoCo": round(seconds / best["MoCo"], 2),
             **({"peak GiB, all runs held": round(peak[name] / 2**30, 2)} if target.type == "cuda" else {})} for name, seconds in best.items()]
    return pd.DataFrame(rows)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser("python -m benchmarks.contrastive", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8, help="a round and variant")
    options = parser.parse_args()

    def body() -> None:
        table = measure(options.device, integer("--rounds", options.rounds, 1), integer("--steps", options.steps, 2))
        print(table.to_string(index=False))
        kind = devices.choose(options.device)
        name = torch.cuda.get_device_name(kind) if kind.type == "cuda" else "cpu, one thread"
        record.keep(table, f"bench_contrastive_{kind.type}", ROOT / "figures", packages=("torch",), device=name, rounds=options.rounds, steps=options.steps)

    return cli.run("benchmarks.contrastive", body)


if __name__ == "__main__":
    sys.exit(main())
