"""Time an epoch of SOP, SOP+, ELR and Co-teaching beside cross-entropy's, in one run of the real engine.

    python -m benchmarks.deep_epochs [--network convnet --set network.width=64] [--rounds 5] [--batches 8]
    python -m benchmarks.deep_epochs --network resnet34 --batches 100 --set engine.precision=bfloat16     (on a GPU)

CIFAR-shaped random images, batch 128, CE with crop and flip. The methods take turns, an epoch of a few batches each, so that
a busy machine disturbs all alike; the ratio is between the best rounds of each. Times are the process's own on a CPU (which
other processes disturb less; use one thread) and the clock's on a GPU. Goals: SOP 1.05, SOP+ 2.1 (the paper's
table 5: 1.11 and 2.33). Needs torch and numpy only.
"""

import argparse
import time
from collections.abc import Sequence

import torch

from sparseop.deep import device as devices
from sparseop.deep import engine, noise
from sparseop.deep.data import Samples
from sparseop.deep.datasets import Dataset
from sparseop.deep.recipe import parse

METHODS = ("ce", "sop", "sop+", "elr", "coteaching")
BATCH = 128


def random_samples(n: int, n_classes: int = 10) -> Samples:
    """Return ``n`` random images of 32 x 32 with symmetric noise."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, 3, 32, 32), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, n_classes, (n,), generator=generator)
    dataset = Dataset("random", images, labels, images[:BATCH], labels[:BATCH], tuple(map(str, range(n_classes))),
                      (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    return Samples(dataset, noise.corrupt(labels, n_classes, "symmetric", 0.4), torch.arange(n), torch.arange(0))


def measure(network: str, overrides: list[str], *, rounds: int, batches: int, device: str,
            methods: Sequence[str] = METHODS) -> dict[str, float]:
    """Return the seconds a batch of each of ``methods``, the best of ``rounds``."""
    samples = random_samples(batches * BATCH)
    target = devices.choose(device)
    runs = {}
    for method in methods:
        recipe = parse("", name="bench", overrides=[f"method.name={method}", f"network.name={network}",
                                                    f"training.epochs={rounds + 1}", "training.milestones=[]", *overrides])
        runs[method] = engine._Run(recipe, samples, target)
    best = dict.fromkeys(methods, float("inf"))
    for epoch in range(rounds + 1):
        for method, run in runs.items():
            started = time.process_time()
            seconds = run._epoch(epoch, None)["seconds"]
            if target.type == "cpu":
                seconds = time.process_time() - started
            if epoch > 0:  # the first finds kernels and allocates
                best[method] = min(best[method], seconds / batches)
    return best


def main() -> None:
    """Print milliseconds a batch and the ratio to cross-entropy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="convnet")
    parser.add_argument("--methods", nargs="+", default=METHODS, metavar="M", help=f"default: {' '.join(METHODS)}; ce first")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    options = parser.parse_args()
    best = measure(options.network, options.overrides, rounds=options.rounds, batches=options.batches, device=options.device,
                   methods=options.methods)
    print(f"{options.network}, batch {BATCH}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"{'method':12}{'ms a batch':>12}{'x CE':>8}{'images/s':>10}")
    for method, seconds in best.items():
        print(f"{method:12}{1e3 * seconds:12.1f}{seconds / best['ce']:8.3f}{BATCH / seconds:10.0f}")


if __name__ == "__main__":
    main()
