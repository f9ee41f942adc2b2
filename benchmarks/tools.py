"""What packages would cost that do what a few lines here do: psutil, py-cpuinfo, diskcache.

    python -m benchmarks.tools [--repeats 5] [--record]

Processor time and time on the wall, in microseconds of one call; the variants take turns, the best of ``repeats``
rounds counts. psutil knows the machine's free memory, not what a container's limit or ``ulimit`` leaves of it.
"""

import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import cpuinfo
import diskcache
import pandas as pd
import psutil

from benchmarks import record
from sparseop import cli, memory, provenance
from sparseop.errors import integer
from sparseop.study import _Cache

CELL = [{"trial": 3, "error": 0.1234567, "status": "optimal"}]


@contextmanager
def tasks() -> Iterator[dict[tuple[str, str], tuple[Callable[[], object], int]]]:
    """Yield what is measured, by task and tool, and how many calls make a round."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        own = stack.enter_context(_Cache(folder / "study.sqlite", fresh=False))
        theirs = stack.enter_context(diskcache.Cache(str(folder / "diskcache")))
        keys = map(str, itertools.count())
        kept = [f"kept {number}" for number in range(200)]  # a study reads all of its cells at once
        for key in kept:
            own.write(key, CELL)
            theirs[key] = CELL
        yield {
            ("free memory", "sparseop.memory"): (memory.free, 200),
            ("free memory", "psutil"): (lambda: psutil.virtual_memory().available, 200),
            ("name of the processor", "sparseop.provenance"): (provenance._processor, 20),
            ("name of the processor", "py-cpuinfo"): (lambda: cpuinfo.get_cpu_info()["brand_raw"], 1),
            ("keep a cell", "sparseop.study"): (lambda: own.write(next(keys), CELL), 200),
            ("keep a cell", "diskcache"): (lambda: theirs.set(next(keys), CELL), 200),
            ("read 200 cells", "sparseop.study"): (lambda: own.read(kept), 5),
            ("read 200 cells", "diskcache"): (lambda: [theirs[key] for key in kept], 5),
        }


def measure(repeats: int) -> pd.DataFrame:
    """Return a row for each task and tool: microseconds of a call, of the processor and on the wall."""
    best: dict[tuple[str, str], tuple[float, float]] = {}
    with tasks() as found:
        for _ in range(repeats):
            for key, (call, times) in found.items():
                busy, clock = time.process_time(), time.perf_counter()
                for _ in range(times):
                    call()
                spent = 1e6 * (time.process_time() - busy) / times, 1e6 * (time.perf_counter() - clock) / times
                best[key] = min(best.get(key, spent), spent)
    return pd.DataFrame(
        [
            {"task": task, "tool": tool, "processor_us": busy, "wall_us": wall}
            for (task, tool), (busy, wall) in best.items()
        ]
    )


def main() -> int:
    """Measure, print, and keep the table with its provenance."""
    parser = record.parser("tools", __doc__)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()

    def body() -> None:
        packages = ("psutil", "py-cpuinfo", "diskcache")
        record.keep(measure(integer("--repeats", options.repeats, 1)), "bench_tools", options, packages=packages)

    return cli.run("benchmarks.tools", body)


if __name__ == "__main__":
    sys.exit(main())
