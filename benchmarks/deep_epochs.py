"""Time an epoch of SOP, SOP+, ELR and Co-teaching beside cross-entropy's, in one run of the real engine.

    python -m benchmarks.deep_epochs [--network convnet --set network.width=64] [--rounds 5] [--batches 8]
    python -m benchmarks.deep_epochs --network resnet34 --batches 100 --set engine.precision=bfloat16     (on a GPU)

CIFAR-shaped random images, batch 128, CE with crop and flip. The methods take turns, an epoch of a few batches each, so
that a busy machine disturbs all alike; the ratio is between the best rounds of each. Times are the process's own on a
CPU (which other processes disturb less; use one thread) and the clock's on a GPU. Goals: SOP 1.05, SOP+ 2.1 (the
paper's table 5: 1.11 and 2.33). Needs torch and numpy only.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pandas as pd
import torch

from benchmarks import record
from sparseop.deep.datasets import Dataset
from sparseop.deep.labels import noise
from sparseop.deep.labels import run as engine
from sparseop.deep.labels.recipe import parse
from sparseop.deep.training import device as devices
from sparseop.deep.training.loop import Loop
from sparseop.deep.training.samples import Samples

METHODS = ("ce", "sop", "sop+", "elr", "coteaching")
BATCH = 128
T = TypeVar("T")


@dataclass(frozen=True)
class Turn:
    """What one epoch took: seconds, and bytes of device memory at its peak (0 on a CPU)."""

    seconds: float
    peak: int = 0


class Stopwatch:
    """Takes the time and the peak memory of one of several contestants that lie on the device together.

    Seconds are the process's own, with its workers', on a CPU and the clock's on a GPU. What the other contestants hold
    on the device is not counted.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.held = 0

    def __call__(self, work: Callable[[], T]) -> tuple[T, Turn]:
        """Return what ``work()`` returns, and what it took."""
        if self.device.type != "cuda":
            started = _own_seconds()
            return work(), Turn(_own_seconds() - started)
        torch.cuda.synchronize(self.device)
        before = torch.cuda.memory_allocated(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)
        started = time.perf_counter()
        result = work()
        torch.cuda.synchronize(self.device)
        seconds = time.perf_counter() - started
        others = before - self.held
        self.held = torch.cuda.memory_allocated(self.device) - others
        return result, Turn(seconds, torch.cuda.max_memory_allocated(self.device) - others)


def _own_seconds() -> float:
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


def random_dataset(n: int, n_classes: int = 10, side: int = 32) -> Dataset:
    """Return ``n`` random square images."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, 3, side, side), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, n_classes, (n,), generator=generator)
    return Dataset(
        "random",
        images,
        labels,
        images[:BATCH],
        labels[:BATCH],
        tuple(map(str, range(n_classes))),
        (0.5, 0.5, 0.5),
        (0.25, 0.25, 0.25),
    )


def contestant(dataset: Dataset, overrides: Sequence[str], target: torch.device) -> Callable[[int], Turn]:
    """Return a function that trains the given epoch, from 0, of a recipe on ``dataset``, 40 % of its labels noisy."""
    recipe = parse("", name="bench", overrides=["training.milestones=[]", *overrides])
    n = len(dataset.train_labels)
    samples = Samples(
        dataset,
        noise.corrupt(dataset.train_labels, dataset.n_classes, "symmetric", 0.4),
        torch.arange(n),
        torch.arange(0),
    )
    return timed(lambda: engine._Run(recipe, samples, target), target)


def timed(make: Callable[[], Loop], target: torch.device) -> Callable[[int], Turn]:
    """Return a function that trains the given epoch, from 0, of the run that ``make`` makes."""
    watch = Stopwatch(target)
    run, _ = watch(make)
    return lambda epoch: watch(lambda: run._epoch(epoch, None))[1]


def turns(contestants: Mapping[str, Callable[[int], Turn]], rounds: int) -> dict[str, Turn]:
    """Let all take turns, an epoch each, and return the best of ``rounds`` of each.

    A first one more finds kernels and allocates.
    """
    taken: dict[str, list[Turn]] = {name: [] for name in contestants}
    for epoch in range(rounds + 1):
        for name, contestant in contestants.items():
            taken[name].append(contestant(epoch))
    return {name: min(own[1:], key=lambda turn: turn.seconds) for name, own in taken.items()}


def measure(
    network: str, overrides: list[str], *, rounds: int, batches: int, device: str, methods: Sequence[str] = METHODS
) -> dict[str, float]:
    """Return the seconds a batch of each of ``methods``, the best of ``rounds``."""
    dataset = random_dataset(batches * BATCH)
    target = devices.choose(device)
    shared = (f"network.name={network}", f"training.epochs={rounds + 1}", *overrides)
    best = turns(
        {method: contestant(dataset, (f"method.name={method}", *shared), target) for method in methods}, rounds
    )
    return {method: turn.seconds / batches for method, turn in best.items()}


def main() -> None:
    """Print milliseconds a batch and the ratio to cross-entropy."""
    parser = record.parser("deep_epochs", __doc__)
    parser.add_argument("--network", default="convnet")
    parser.add_argument(
        "--methods", nargs="+", default=METHODS, metavar="M", help=f"default: {' '.join(METHODS)}; ce first"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    options = parser.parse_args()
    best = measure(
        options.network,
        options.overrides,
        rounds=options.rounds,
        batches=options.batches,
        device=options.device,
        methods=options.methods,
    )
    print(f"{options.network}, batch {BATCH}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    rows = [
        {
            "method": method,
            "ms a batch": 1e3 * seconds,
            "x CE": seconds / best["ce"],
            "images a second": BATCH / seconds,
        }
        for method, seconds in best.items()
    ]
    record.keep(
        pd.DataFrame(rows),
        f"bench_deep_epochs_{options.network}_{devices.choose(options.device).type}",
        options,
        packages=("torch",),
        rounds=options.rounds,
        batches=options.batches,
        overrides=options.overrides,
    )


if __name__ == "__main__":
    main()
