"""Time the released code of SOP and this project's engine, taking turns in one run: images a second, seconds an epoch.

    git clone https://github.com/shengliu66/SOP DIR
    python -m benchmarks.official_sop --official DIR                     on a GPU: ResNet-34, 390 batches of 128 an
                                                                         epoch
    python -m benchmarks.official_sop --official DIR --network preact_resnet18 --compile
    python -m benchmarks.official_sop --official DIR --device cpu --network preact_resnet18

The released code trains its epochs as it stands (its loader with pillow's transforms, network, loss, optimisers,
meters), in a process of its own with torch's defaults; ``benchmarks.official.driver`` says what had to be changed
around it. Beside it the engine: CE, SOP, SOP+ and ELR in the same precision (float32, torch's default TF32), and as it
is meant to be used (bfloat16, channels_last; --compile). All see the same images, random ones or CIFAR-10's
(--data-root), written anew in the official files' layout, and count each once, though SOP+ passes two views of it. An
epoch is 50,000 images, test not included; the best of the rounds counts, after one that finds kernels and allocates.
Seconds are the processes' own, one thread each, on a CPU and the clock's on a GPU. Goals: on an H200 with ResNet-34 5
times the released code's images a second; the GPU busy above 90 %; SOP at most 1.05 and SOP+ at most 2.1 times CE.
Needs torchvision. Written to figures/data/bench_official_sop_DEVICE.csv.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from benchmarks import record
from benchmarks.deep_epochs import BATCH, Turn, contestant, random_dataset, turns
from benchmarks.official import busy, checkout, cifar, driver
from sparseop import cli
from sparseop.deep import datasets
from sparseop.deep.datasets import Dataset
from sparseop.deep.training import device as devices
from sparseop.errors import InputError, choice, integer

METHODS = ("ce", "sop", "sop+", "elr")
#: the networks that both have: the released code's name, and what makes ours the same
NETWORKS: dict[str, tuple[str, tuple[str, ...]]] = {
    "resnet34": ("resnet34", ()),
    "resnet18": ("resnet18", ()),
    "preact_resnet18": ("PreActResNet18", ("network.released=true",)),
}
SETTINGS = {"float32": (), "bfloat16": ("engine.precision=bfloat16", "engine.channels_last=true")}
EPOCH = 50_000
GOALS = {"x released": 5, "x CE": {"sop": 1.05, "sop+": 2.1}, "GPU busy %": 90}
#: batches, rounds and loading processes where none are named: all of CIFAR-10 and the released 8, or what a core can do
DEFAULTS = {"cuda": (EPOCH // BATCH, 2, 8), "cpu": (1, 2, 0)}
RELEASED = "released code"
Name = tuple[str, str, str]  #: whose, method, setting


def images(root: Path | None, n: int) -> Dataset:
    """Return the first ``n`` training images of CIFAR-10 in ``root``, or random ones."""
    if root is None:
        return random_dataset(n)
    whole = datasets.load("cifar10", root)
    if n > len(whole.train_labels):
        raise InputError(f"--batches {n // BATCH} of {BATCH} need {n} images, and there are {len(whole.train_labels)}.")
    return replace(whole, train_images=whole.train_images[:n], train_labels=whole.train_labels[:n])  # type: ignore[index]


def measure(
    folder: Path,
    dataset: Dataset,
    *,
    network: str,
    device: str,
    rounds: int,
    workers: int,
    settings: tuple[str, ...] = tuple(SETTINGS),
    overrides: tuple[str, ...] = (),
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return a row for each of the contestants, and what else a record should say.

    Parameters
    ----------
    folder : the released code.
    dataset : the training images of an epoch, a whole number of batches.
    network : one of ``NETWORKS``.
    device : "cuda" or "cpu".
    rounds : counted turns of each.
    workers : processes that load data for the released code.
    settings : of ``SETTINGS``; ``overrides`` : further changes of the engine's recipes, for the second.

    Raises
    ------
    InputError : the released code does not run; a device that cannot be used.
    """
    target = devices.choose(device)
    arch, same = NETWORKS[network]
    threads = 1 if target.type == "cpu" else torch.get_num_threads()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory())).resolve()
        files = cifar.write(scratch / "data", dataset.train_images, dataset.train_labels, dataset.classes)  # type: ignore[arg-type]
        job = driver.Job(folder.resolve(), scratch, scratch / "data", files, arch, target.type, BATCH, workers, threads)
        pool = stack.enter_context(ProcessPoolExecutor(1, get_context("spawn"), driver.begin, (scratch / "log.txt",)))

        def there(function: Callable[..., Any], *arguments: object) -> Any:
            try:
                return pool.submit(function, *arguments).result()
            except BrokenProcessPool:
                raise InputError(
                    "the process of the released code ended by itself, as when memory runs out; fewer --batches or"
                    " --workers need less."
                ) from None

        facts = there(driver.start, job)
        contestants: dict[Name, Callable[[int], Turn]] = {
            (RELEASED, method, "float32"): lambda epoch, method=method: there(driver.epoch, method, epoch)
            for method in driver.METHODS
        }
        for setting in settings:
            changes = (
                f"network.name={network}",
                *same,
                f"training.epochs={rounds + 1}",
                f"engine.threads={threads}",
                *SETTINGS[setting],
                *(overrides if setting != "float32" else ()),
            )
            contestants |= {
                ("this project", method, setting): contestant(dataset, (f"method.name={method}", *changes), target)
                for method in METHODS
            }
        sampler = stack.enter_context(busy.Sampler(busy.question(target))) if target.type == "cuda" else None
        windows: dict[Name, list[tuple[float, float]]] = {name: [] for name in contestants}

        def watched(name: Name, run: Callable[[int], Turn]) -> Callable[[int], Turn]:
            def taken(epoch: int) -> Turn:
                begin = time.perf_counter()
                turn = run(epoch)
                if epoch > 0:
                    windows[name].append((begin, time.perf_counter()))
                print(
                    f"{' '.join(name)}, turn {epoch}: {len(dataset.train_labels) / turn.seconds:.1f} images a second",
                    file=sys.stderr,
                    flush=True,
                )
                return turn

            return taken

        try:
            best = turns({name: watched(name, run) for name, run in contestants.items()}, rounds)
        except torch.OutOfMemoryError:
            raise InputError(
                f"{target} ran out of memory; a smaller --network needs less, or one of --settings alone."
            ) from None
    percent = {name: sampler.median(windows[name]) if sampler else None for name in best}
    if sampler:
        facts["GPU busy"] = (
            sampler.missing or f"median of {len(sampler.samples)} samples of nvidia-smi, all turns together"
        )
    return table(best, percent, len(dataset.train_labels), target.type), {**facts, "threads": threads}


def table(best: dict[Name, Turn], percent: dict[Name, float | None], n: int, kind: str) -> pd.DataFrame:
    """Return the rows, ``n`` images in each turn; goals stand where they were set."""
    rows = []
    for (whose, method, setting), turn in best.items():
        ours = whose != RELEASED
        other, ce = best.get((RELEASED, method, "float32")), best.get((whose, "ce", setting))
        row: dict[str, object] = {
            "whose": whose,
            "method": method,
            "setting": setting,
            "images a second": round(n / turn.seconds, 1),
            "seconds an epoch": round(EPOCH * turn.seconds / n, 2),
            "x released": round(other.seconds / turn.seconds, 2) if other else None,
            "x CE": round(turn.seconds / ce.seconds, 3) if ce else None,
            "x CE, goal": GOALS["x CE"].get(method) if ours else None,
        }  # type: ignore[attr-defined]
        if kind == "cuda":
            row |= {
                "x released, goal": GOALS["x released"] if ours and other else None,
                "GPU busy %": percent[whose, method, setting],
                "GPU busy %, goal": GOALS["GPU busy %"] if ours else None,
                "peak GiB": round(turn.peak / 2**30, 2),
            }
        rows.append(row)
    return pd.DataFrame(rows)


def main() -> int:
    """Run the command line."""
    parser = record.parser("official_sop", __doc__)
    parser.add_argument(
        "--official", type=Path, required=True, metavar="DIR", help="a checkout of the released code, which is run"
    )
    parser.add_argument(
        "--device", default="auto", metavar="D", help="cuda (the first) or cpu; default: cuda where there is one"
    )
    parser.add_argument("--network", default="resnet34", help=f"default: resnet34; of {', '.join(NETWORKS)}")
    parser.add_argument("--data-root", type=Path, metavar="DIR", help="with CIFAR-10; default: random images")
    parser.add_argument(
        "--batches",
        type=int,
        help=f"of {BATCH}, an epoch; default: {DEFAULTS['cuda'][0]}, on a CPU {DEFAULTS['cpu'][0]}",
    )
    parser.add_argument("--rounds", type=int, help=f"default: {DEFAULTS['cuda'][1]}, on a CPU {DEFAULTS['cpu'][1]}")
    parser.add_argument(
        "--workers",
        type=int,
        help=f"the released code's loading processes; default: {DEFAULTS['cuda'][2]}, on a CPU none",
    )
    parser.add_argument(
        "--settings",
        nargs="+",
        default=list(SETTINGS),
        metavar="S",
        help=f"of this project's engine; default: {' '.join(SETTINGS)}",
    )
    parser.add_argument("--compile", action="store_true", help="engine.compile=true in the setting bfloat16")
    options = parser.parse_args()

    def body() -> None:
        official = checkout.identify(options.official)
        choice("--network", options.network, NETWORKS)
        settings = tuple(choice("--settings", setting, SETTINGS) for setting in options.settings)
        if options.device not in ("auto", "cpu", "cuda", "cuda:0"):
            raise InputError(
                f"--device must be 'cuda' or 'cpu', got {options.device!r}; the released code uses the first GPU:"
                " choose by CUDA_VISIBLE_DEVICES."
            )
        target = devices.choose(options.device)
        batches, rounds, workers = (
            integer(name, default if given is None else given, least)
            for name, given, default, least in zip(
                ("--batches", "--rounds", "--workers"),
                (options.batches, options.rounds, options.workers),
                DEFAULTS[target.type],
                (1, 1, 0),
                strict=True,
            )
        )
        print(
            f"released code: {official['commit']},"
            f" {'as released' if official['as released'] else 'not a version known here'}"
        )
        dataset = images(options.data_root, batches * BATCH)
        load = round(
            os.getloadavg()[0], 1
        )  # programs that wanted a core when it began: above the number of cores the machine was shared
        overrides = ("engine.compile=true",) if options.compile else ()
        rows, facts = measure(
            options.official,
            dataset,
            network=options.network,
            device=target.type,
            rounds=rounds,
            workers=workers,
            settings=settings,
            overrides=overrides,
        )
        if "GPU busy" in facts:
            print(f"GPU busy: {facts['GPU busy']}")
        name = torch.cuda.get_device_name(target) if target.type == "cuda" else "cpu, one thread"
        record.keep(
            rows,
            f"bench_official_sop_{target.type}",
            options,
            packages=("torch", "torchvision", "pillow"),
            device=name,
            official=official,
            network=options.network,
            batches=batches,
            batch=BATCH,
            rounds=rounds,
            workers=workers,
            settings={
                setting: [*SETTINGS[setting], *(overrides if setting != "float32" else ())] for setting in settings
            },
            data=[dataset.name, *dataset.notes],
            load=load,
            **facts,
        )

    return cli.run("benchmarks.official_sop", body)


if __name__ == "__main__":
    sys.exit(main())
