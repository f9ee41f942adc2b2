"""The same recipe with several seeds: one after the other, over processes, or over the machines of a dask cluster."""

import contextlib
import csv
import importlib
import io
import math
import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sparseop.deep.training.progress import print_table
from sparseop.errors import InputError, choice
from sparseop.files import write_atomic

BACKENDS = ("processes", "dask")
TABLE = "seeds.csv"
_NOT = ("seconds", "hours", "bytes", "epochs", "samples")  # numbers by which seeds are not compared


def run(one: Callable[[int], dict[str, Any]], seeds: Sequence[int], jobs: int, backend: str) -> list[dict[str, Any]]:
    """Return ``one(seed)``, a run's summary, for each seed.

    Parameters
    ----------
    one : can be pickled where ``jobs`` > 1 or the backend is dask.
    jobs : runs at a time.
    backend : "processes" of this machine, or "dask": the cluster of ``$DASK_SCHEDULER_ADDRESS``, else one of this
        machine with ``jobs`` workers. Its workers must see the same folders.
    """
    choice("--backend", backend, BACKENDS)
    if jobs == 1 and backend == "processes":
        return [one(seed) for seed in seeds]
    import joblib

    with _backend(backend, jobs):
        found: list[dict[str, Any]] = joblib.Parallel(n_jobs=jobs)(joblib.delayed(one)(seed) for seed in seeds)
    return found


@contextlib.contextmanager
def _backend(backend: str, jobs: int) -> Iterator[None]:
    import joblib

    if backend == "processes":
        with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
            yield
        return
    try:
        distributed: Any = importlib.import_module("distributed")
    except ImportError:
        raise InputError("--backend dask needs dask: pip install 'sparseop[cluster]'.") from None
    address = os.environ.get("DASK_SCHEDULER_ADDRESS")
    try:
        client, ours = distributed.get_client(), False  # one that the caller has made
    except ValueError:
        client = (
            distributed.Client(address)
            if address
            else distributed.Client(n_workers=jobs, threads_per_worker=1, dashboard_address=None)
        )
        ours = True
    try:
        with joblib.parallel_config(backend="dask"):
            yield
    finally:
        if ours:
            client.close()


def table(summaries: Mapping[int, dict[str, Any]], folder: Path) -> None:
    """Print mean and spread over the seeds of every number that the summaries share; write all to seeds.csv.

    The spread is the standard deviation of the runs, N - 1 in its denominator.
    """
    flat = {seed: dict(_numbers(summary)) for seed, summary in summaries.items()}
    keys = [key for key in next(iter(flat.values())) if all(key in row for row in flat.values())]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["seed", *keys])
    writer.writerows([seed, *(f"{row[key]:.6g}" for key in keys)] for seed, row in flat.items())
    write_atomic(folder / TABLE, text.getvalue().encode())
    rows = []
    for key in keys:
        values = [row[key] for row in flat.values()]
        spread = statistics.stdev(values) if len(values) > 1 else math.nan
        shown = f"{statistics.fmean(values):.4g}" + ("" if math.isnan(spread) else f" ± {spread:.2g}")
        rows.append((key, shown, f"{min(values):.4g}", f"{max(values):.4g}"))
    print_table((f"{len(flat)} seeds", "mean ± spread", "least", "most"), rows)


def _numbers(summary: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield the finite numbers of a summary by their full names, but times and sizes."""
    for key, value in summary.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{key}.")
        elif type(value) in (int, float) and math.isfinite(value) and not any(word in key for word in _NOT):
            yield f"{prefix}{key}", float(value)
