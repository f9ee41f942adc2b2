"""How long an inspection takes, and how much memory, from a memory-mapped file of features.

    python -m benchmarks.inspect_labels                    10,000 and 50,000 samples of 512 features, 10 classes
    python -m benchmarks.inspect_labels --samples 1000000  once, some 2 GB of disk; the bars are ten minutes and 8 GB

Features are ten Gaussian classes in single precision, a tenth of the labels is wrong; the settings are chosen as by
default. Every size runs in a process of its own: seconds of the clock and of the processor, and the largest memory
that it held.
"""

import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import record
from sparseop import cli
from sparseop.errors import integer
from sparseop.inspect import inspect_labels
from sparseop.inspect.work import area

SAMPLES, FEATURES, CLASSES, WRONG, BLOCK = (10_000, 50_000), 512, 10, 0.1, 20_000


def make(path: Path, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Write the features to ``path``; return the right and the given labels."""
    generator = np.random.default_rng(0)
    centres = 0.35 * generator.standard_normal((CLASSES, FEATURES), dtype=np.float32)
    right = generator.integers(0, CLASSES, n)
    held = np.lib.format.open_memmap(path, "w+", np.float32, (n, FEATURES))
    for start in range(0, n, BLOCK):
        own = right[start : start + BLOCK]
        held[start : start + BLOCK] = centres[own] + generator.standard_normal((len(own), FEATURES), dtype=np.float32)
    held.flush()
    given, moved = right.copy(), generator.choice(n, round(WRONG * n), replace=False)
    given[moved] = (given[moved] + generator.integers(1, CLASSES, len(moved))) % CLASSES
    return right, given


def measure(path: str, right: np.ndarray, given: np.ndarray) -> dict[str, float]:
    """Inspect the file; return what it took and what it found."""
    clock, processor = time.perf_counter(), time.process_time()
    found = inspect_labels(np.load(path, mmap_mode="r"), given)
    wrong = (right != given)[found.table["row"]]
    suspicion = found.table["suspicion"].to_numpy()
    return {
        "samples": len(given),
        "seconds": time.perf_counter() - clock,
        "processor_seconds": time.process_time() - processor,
        "GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "wrong": int(wrong.sum()),
        "estimated": found.number,
        "auroc": area(suspicion[wrong], suspicion[~wrong]),
    }


def main() -> int:
    """Measure, print, and keep the table with its provenance."""
    parser = record.parser("inspect_labels", __doc__)
    parser.add_argument("--samples", type=int, nargs="+", default=list(SAMPLES))
    options = parser.parse_args()

    def body() -> None:
        rows = []
        for n in (integer("--samples", n, 100) for n in options.samples):
            with tempfile.TemporaryDirectory() as folder:
                right, given = make(Path(folder) / "features.npy", n)
                with multiprocessing.get_context("spawn").Pool(
                    1
                ) as pool:  # a process of its own: its own largest memory
                    rows.append(pool.apply(measure, (str(Path(folder) / "features.npy"), right, given)))
        record.keep(pd.DataFrame(rows), "bench_inspect", options, features=FEATURES, classes=CLASSES)

    return cli.run("benchmarks.inspect_labels", body)


if __name__ == "__main__":
    sys.exit(main())
