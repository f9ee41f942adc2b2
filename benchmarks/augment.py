"""How fast a batch is augmented: this project's operations against kornia's on the same images.

    python -m benchmarks.augment                     one thread, 128 images of CIFAR's size
    python -m benchmarks.augment --batch 512 --threads 2

kornia (pip install kornia) is used here alone. Both turn bytes into normalised floats: "weak" is a crop from a border
of four zeros and a flip; "strong" adds AutoAugment's policy for CIFAR-10 before and a 16 x 16 hole after. We draw a
sub-policy for each image, as the published code does; kornia draws one for the whole batch, so "strong" compares more
work of ours with less of kornia's, and "strong, each image" has kornia do the same work, called image by image.
Times are the processor's, not the clock's, so that other programs on the machine count little.
"""

import argparse
import platform
import sys
import time
from collections.abc import Callable, Sequence

import pandas as pd
import torch
from torch import Tensor

from benchmarks import record
from sparseop import cli, provenance
from sparseop.deep import augment
from sparseop.errors import InputError, integer

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


def kornia_pipelines() -> dict[str, Callable[[Tensor], Tensor]]:
    """Return kornia's weak and strong pipelines from uint8 to normalised float32."""
    try:
        import kornia.augmentation as ka
        from kornia.augmentation.auto import AutoAugment
    except ImportError:
        raise InputError("this benchmark compares with kornia, which is not installed; pip install kornia.") from None
    weak = [ka.RandomCrop((32, 32), padding=4), ka.RandomHorizontalFlip(p=0.5), ka.Normalize(MEAN, STD)]
    hole = ka.RandomErasing(scale=(0.25, 0.25), ratio=(1.0, 1.0), p=1.0)
    # the mean counts: kornia's cost depends on the sub-policy it drew
    modules = {"weak": torch.nn.Sequential(*weak), "strong": torch.nn.Sequential(AutoAugment("cifar10"), *weak, hole)}
    return {name: lambda x, module=module: module(x.float() / 255) for name, module in modules.items()}  # type: ignore[misc]


def measure(
    functions: dict[str, Callable[[Tensor], Tensor]], images: Tensor, repeats: int
) -> dict[str, tuple[float, float]]:
    """Return (mean, median) milliseconds a batch; functions take turns, so that a busy neighbour disturbs all alike.

    Of processor time; for images on a GPU by the clock, until it has finished.
    """
    gpu = images.device.type == "cuda"

    def now() -> float:
        if gpu:
            torch.cuda.synchronize(images.device)
        return time.perf_counter() if gpu else time.process_time()

    times: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(repeats + 3):
        for name, function in functions.items():
            started = now()
            function(images)
            if turn >= 3:
                times[name].append(1e3 * (now() - started))
    return {name: (sum(t) / len(t), sorted(t)[len(t) // 2]) for name, t in times.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    parser = record.parser("augment", __doc__)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=60)
    options = parser.parse_args(arguments)
    return cli.run("benchmarks.augment", lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    for name in ("batch", "threads", "repeats"):
        integer(f"--{name}", getattr(options, name), 1)
    theirs = kornia_pipelines()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (options.batch, 3, 32, 32), generator=generator, dtype=torch.uint8)
    versions = provenance.versions("torch", "kornia")
    print(
        f"{options.batch} images of 3 x 32 x 32, {options.threads} thread(s), {provenance.hardware()['processor']}, "
        f"torch {versions['torch']}, kornia {versions['kornia']}, Python {platform.python_version()}"
    )
    rows = []
    for name in ("weak", "strong"):
        ours = augment.build(name, mean=MEAN, std=STD)
        found = measure({"ours": lambda x, f=ours: f(x, generator), "theirs": theirs[name]}, images, options.repeats)  # type: ignore[misc]
        rows.append(_row(name, found["ours"], found["theirs"]))
    one_by_one = measure(
        {"theirs": lambda x: torch.cat([theirs["strong"](image[None]) for image in x])},
        images,
        max(options.repeats // 20, 1),
    )
    rows.append(_row("strong, each image", found["ours"], one_by_one["theirs"]))
    facts = {"batch": options.batch, "threads": options.threads, "repeats": options.repeats}
    record.keep(pd.DataFrame(rows), "bench_augment", options, packages=("torch", "kornia"), **facts)


def _row(name: str, ours: tuple[float, float], theirs: tuple[float, float]) -> dict[str, str | float]:
    (mean, median), (their_mean, their_median) = ours, theirs
    return {
        "operations": name,
        "ours, mean (ms)": mean,
        "median (ms)": median,
        "kornia, mean (ms)": their_mean,
        "kornia, median (ms)": their_median,
        "x, mean": their_mean / mean,
        "x, median": their_median / median,
    }


if __name__ == "__main__":
    sys.exit(main())
