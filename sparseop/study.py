"""How any study runs: a grid of independent cells, cached by content, in parallel, resumable, with provenance.

A study module opens with its command, declares ``STUDIES`` (a tuple of ``Study``) and ends with::

    if __name__ == "__main__":
        sys.exit(study.main("theory.fig3_penalty"))

What happens then, in order: every cell of the grid gets a key (the code that computes it, the versions of the packages
that count, its parameters); cells already in ``.cache/<name>.sqlite`` are read, the others computed and stored as they
arrive, so an interrupted run goes on where it stopped; the rows, in grid order, become ``figures/data/<name>.csv`` with
``<name>.json`` beside it; ``draw`` turns the table into ``figures/<name>.{png,pdf,svg}``, ``tables`` into
``figures/tables/``.

A cell is a top-level function: ``cell(**parameters) -> row or list of rows``. Entries of a row whose name begins with
an underscore (seconds, iterations) are summed into the provenance instead of the table: they may differ between runs,
and the table must not. Randomness comes from ``generator(...)``, keyed by what the draw is for, so no cell depends on
which others ran. A cell that raises stops the study; what was finished stays, and nothing of the failure is cached.
"""

import argparse
import contextlib
import importlib
import inspect
import io
import json
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import joblib
import numpy as np
import pandas as pd
from joblib.externals.loky.process_executor import TerminatedWorkerError
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from sparseop import cli, plotting, provenance
from sparseop.code_digest import code_digest
from sparseop.errors import InputError, choice, integer
from sparseop.files import read_csv, require_writable, sha256, write_atomic
from sparseop.randomness import (
    MASTER_SEED,
    generator,  # noqa: F401 - what a study's cells call
)

MODES = ("quick", "paper", "full")
NUMERICAL = ("numpy", "scipy", "numba", "cvxpy", "ecos", "clarabel")  # packages whose versions count in every study
Row = dict[str, Any]


@dataclass(frozen=True)
class Study:
    """One table of numbers and the figures drawn from it.

    Attributes
    ----------
    name : file name of its figure, table and cache.
    cell : ``cell(**parameters)`` computes one cell of the grid; a top-level function of the study's module.
    grids : for each mode ("paper" always; "quick", "full") the list of parameter dictionaries, JSON scalars only.
    draw : the figure for the table, or a dictionary of figures, whose keys are appended to ``name``.
    tables : a dictionary of tables for the table; written as markdown, LaTeX and CSV.
    warm : compiles what the workers need, once, so that they find it in the compiler's own cache.
    packages : whose versions count and are recorded, beside ``NUMERICAL``.
    files : what the cells read beside the code; their contents count as code does.
    """

    name: str
    cell: Callable[..., Row | list[Row]]
    grids: Mapping[str, Sequence[Row]]
    draw: Callable[[pd.DataFrame], Figure | dict[str, Figure]] | None = None
    tables: Callable[[pd.DataFrame], dict[str, pd.DataFrame]] | None = None
    warm: Callable[[], object] | None = None
    packages: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()


def simulate(
    study: Study,
    mode: str = "paper",
    *,
    jobs: int | None = None,
    cache: Path | None = None,
    force: bool = False,
    progress: bool = False,
) -> tuple[pd.DataFrame, Row]:
    """Compute the study's table.

    Parameters
    ----------
    mode : which grid; a mode the study has no grid for falls back to "paper".
    jobs : worker processes; default: what ``joblib.parallel_config`` says, else one for each core.
    cache : folder of the cell caches; None keeps nothing.
    force : compute every cell anew.

    Returns
    -------
    The rows in grid order (parameters first), and the provenance.
    """
    choice("mode", mode, MODES)
    if jobs is not None:
        integer("jobs", jobs, 1)
    started = time.perf_counter()
    mode = mode if mode in study.grids else "paper"
    grid = study.grids[mode]
    code = code_digest(study.cell.__module__, study.files, drawing=_drawing(study))
    packages = provenance.versions(*NUMERICAL, *study.packages)
    keys = [_key(study.name, code, packages, parameters) for parameters in grid]
    with _Cache(None if cache is None else cache / f"{study.name}.sqlite", fresh=force) as store:
        done = store.read(keys)
        todo = {key: parameters for key, parameters in zip(keys, grid, strict=True) if key not in done}
        if todo and study.warm is not None:
            study.warm()
        bar = tqdm(
            total=len(keys),
            initial=len(keys) - len(todo),
            desc=study.name,
            unit="cell",
            disable=None if progress else True,
        )
        with bar:
            for key, rows in _compute(study.cell, todo, jobs):
                store.write(key, rows)
                done[key] = rows
                bar.update()
    totals: dict[str, float] = {}
    table: list[Row] = []
    for key, parameters in zip(keys, grid, strict=True):
        for row in done[key]:
            for name, value in row.items():
                if name.startswith("_"):
                    totals[name[1:]] = totals.get(name[1:], 0.0) + value
            table.append({**parameters, **{name: value for name, value in row.items() if not name.startswith("_")}})
    record = {
        "study": study.name,
        "mode": mode,
        "cells": len(keys),
        "cells_from_cache": len(keys) - len(todo),
        "master_seed": MASTER_SEED,
        "code_sha256": code,
        "totals": {k: round(v, 3) for k, v in sorted(totals.items())},
        "seconds": round(time.perf_counter() - started, 2),
        "when": provenance.now(),
        "versions": packages,
        "hardware": provenance.hardware(),
        **provenance.commit(),
    }
    return pd.DataFrame(table), record


def redraw(study: Study, folder: Path, *, stem: str | None = None) -> None:
    """Draw the figures and tables of a committed CSV again, without computing anything."""
    stem = stem or study.name
    path = folder / "data" / f"{stem}.csv"
    if not path.exists():
        raise InputError(f"--redraw needs '{path}', which is not there; run without --redraw first.")
    content = path.read_bytes()
    if _recorded(path).get("csv_sha256") != sha256(content):
        raise InputError(f"'{path}' is not the file that its provenance describes; run without --redraw.")
    _publish(study, read_csv(io.BytesIO(content)), folder, stem)


def write(study: Study, table: pd.DataFrame, record: Row, folder: Path, *, stem: str | None = None) -> None:
    """Write data, provenance, figures and tables.

    The provenance of an unchanged result is kept as it was, unless it names uncommitted changes and this run had none.
    """
    stem = stem or study.name
    content = table.to_csv(index=False, float_format="%.17g").encode()
    path = folder / "data" / f"{stem}.csv"
    record = {**record, "csv_sha256": sha256(content)}
    old = _recorded(path)
    better = old.get("dirty") and record.get("dirty") is False
    if not better and all(old.get(k) == record[k] for k in ("csv_sha256", "code_sha256", "mode", "versions")):
        record = old
    write_atomic(path, content)
    write_atomic(path.with_suffix(".json"), (json.dumps(record, indent=1) + "\n").encode())
    # drawn from what was written, so that --redraw gives the same bytes
    _publish(study, read_csv(io.BytesIO(content)), folder, stem)


def _recorded(path: Path) -> Row:
    """Return the provenance beside a CSV; nothing where it is missing or unreadable."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(path.with_suffix(".json").read_text())
        if isinstance(found, dict):
            return found
    return {}


def main(module: str, arguments: Sequence[str] | None = None) -> int:
    """Run the studies of ``module`` from the command line; return the exit status (see ``sparseop.cli``)."""
    studies: tuple[Study, ...] = importlib.import_module(module).STUDIES
    description = (sys.modules[module].__doc__ or "").strip()
    parser = argparse.ArgumentParser(
        f"python -m {module}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", dest="mode", action="store_const", const="quick", help="a small grid, for a class")
    size.add_argument("--full", dest="mode", action="store_const", const="full", help="the finest grid")
    size.add_argument("--redraw", action="store_true", help="draw the committed data again, compute nothing")
    parser.add_argument("--only", choices=[s.name for s in studies], help="run one of the module's studies")
    parser.add_argument("--jobs", type=int, metavar="N", help="worker processes (default: one a core)")
    parser.add_argument("--force", action="store_true", help="compute every cell anew")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="figure folder (default: figures, quick: figures/quick)"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        default=provenance.home() / ".cache",
        help="folder of finished cells (default: .cache)",
    )
    options = parser.parse_args(arguments)
    mode = options.mode or "paper"
    folder = options.out or provenance.home() / ("figures/quick" if mode == "quick" else "figures")

    def body() -> None:
        if options.jobs is not None:  # more would only fight for the cores, and for memory
            integer("jobs", options.jobs, 1, 4 * joblib.cpu_count(), why="four for each core")
        wanted = [study for study in studies if options.only in (None, study.name)]
        if options.redraw:
            return _redraw(wanted, folder)
        with cli.ended_like_interrupted():
            for study in wanted:
                _run(study, mode, folder, options)
        return None

    return cli.run(module, body, kept="finished cells are kept; run the same command again to go on")


class _Cache:
    """Rows of finished cells, one SQLite file a study; a kill at any moment loses at most the last half second."""

    def __init__(self, path: Path | None, *, fresh: bool) -> None:
        self.path = path
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._refuse_others(path)
            if fresh:
                path.unlink(missing_ok=True)
        self.saved = time.monotonic()

    def _refuse_others(self, path: Path) -> None:
        """Refuse what is no cache, a folder or a database of something else.

        Nothing of it must be changed, or removed by --force.
        """
        tables: set[str] = set()
        if path.is_file():
            with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path, timeout=60)) as database:
                tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if path.is_dir() or tables - {"cells"}:
            what = "a folder" if path.is_dir() else f"a database with the table {min(tables - {'cells'})!r}"
            raise InputError(f"'{path}' must be a cache of finished cells, and it is {what}; give another --cache.")

    def __enter__(self) -> Self:
        with self._explained():
            self.database = sqlite3.connect(self.path or ":memory:", timeout=60)
            self.database.execute("CREATE TABLE IF NOT EXISTS cells (key TEXT PRIMARY KEY, rows TEXT NOT NULL)")
        return self

    def __exit__(self, *_: object) -> None:
        with self._explained():
            self.database.commit()
        self.database.close()

    def read(self, keys: Iterable[str]) -> dict[str, list[Row]]:
        wanted = set(keys)
        with self._explained():
            found = self.database.execute("SELECT key, rows FROM cells").fetchall()
            done = {key: json.loads(rows) for key, rows in found if key in wanted}
            if not all(isinstance(rows, list) and all(isinstance(row, dict) for row in rows) for rows in done.values()):
                raise ValueError("a cell's rows are no rows")
            return done

    def write(self, key: str, rows: list[Row]) -> None:
        content = json.dumps(rows)
        with self._explained():
            self.database.execute("INSERT OR REPLACE INTO cells VALUES (?, ?)", (key, content))
            if time.monotonic() - self.saved > 0.5:
                self.database.commit()
                self.saved = time.monotonic()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise InputError(
                f"the cache '{self.path}' cannot be used ({error}); run with --force to start it anew."
            ) from None


def _compute(
    cell: Callable[..., Row | list[Row]], todo: Mapping[str, Row], jobs: int | None
) -> Iterator[tuple[str, list[Row]]]:
    calls = [joblib.delayed(_run_cell)(cell, key, parameters) for key, parameters in todo.items()]
    if jobs is None:
        # a backend chosen by joblib.parallel_config (dask, ray) decides for itself; plain loky gets one worker a core
        chosen = joblib.parallel.get_active_backend()[1]
        jobs = chosen if chosen not in (None, 1) else min(joblib.cpu_count(), max(len(calls), 1))
    if jobs == 1 or len(calls) <= 1:
        for call, arguments, _ in calls:
            yield call(*arguments)
        return
    try:
        yield from joblib.Parallel(n_jobs=min(jobs, len(calls)), return_as="generator_unordered")(calls)
    except TerminatedWorkerError:
        raise InputError(
            "a worker process was ended from outside, most likely because memory ran out; finished cells are kept, "
            "run again with a smaller --jobs."
        ) from None


def _run_cell(cell: Callable[..., Row | list[Row]], key: str, parameters: Row) -> tuple[str, list[Row]]:
    began = time.process_time()
    with threadpool_limits(1):
        found = cell(**parameters)
    rows = json.loads(json.dumps(found if isinstance(found, list) else [found], default=_plain))
    if rows:  # kept with the cell, so that a table from the cache still tells what it cost
        rows[0]["_core_seconds"] = time.process_time() - began
    return key, rows


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a cell returned {type(value).__name__}; rows hold numbers, strings, booleans and None")


def _drawing(study: Study) -> list[str]:
    """Return the functions of the cell's module that draw its studies' figures and tables."""
    module = study.cell.__module__
    studies = (study, *getattr(sys.modules.get(module), "STUDIES", ()))
    shown = (show for one in studies for show in (one.draw, one.tables))
    return [show.__name__ for show in shown if inspect.isfunction(show) and show.__module__ == module]


def _key(name: str, code: str, packages: Row, parameters: Row) -> str:
    return sha256(json.dumps([name, code, packages, MASTER_SEED, parameters], sort_keys=True).encode())


def _run(study: Study, mode: str, folder: Path, options: argparse.Namespace) -> None:
    require_writable(folder)
    table, record = simulate(study, mode, jobs=options.jobs, cache=options.cache, force=options.force, progress=True)
    stem = f"{study.name}_full" if record["mode"] == "full" else study.name
    write(study, table, record, folder, stem=stem)
    shown = os.path.relpath(folder / stem)
    print(
        f"{study.name}: {record['cells']} cells ({record['cells_from_cache']} from the cache) in {record['seconds']} s"
        f" -> {shown}.*"
    )


def _redraw(studies: Sequence[Study], folder: Path) -> None:
    """Draw every record of the studies again, also that of the full grid.

    One not run yet keeps none of the others from it.
    """
    recorded = {
        s.name: [stem for stem in (s.name, f"{s.name}_full") if (folder / "data" / f"{stem}.csv").exists()]
        for s in studies
    }
    if any(recorded.values()):
        require_writable(folder)
    for study in studies:
        if not recorded[study.name] and any(recorded.values()):
            print(f"{study.name}: no record yet, left out")
        else:
            for stem in recorded[study.name] or [study.name]:
                redraw(study, folder, stem=stem)


def _publish(study: Study, table: pd.DataFrame, folder: Path, stem: str) -> None:
    if study.draw is not None:
        with plotting.style():
            drawn = study.draw(table)
        for key, figure in (drawn if isinstance(drawn, dict) else {"": drawn}).items():
            plotting.save(figure, folder / (f"{stem}_{key}" if key else stem))
    for key, frame in (study.tables(table) if study.tables is not None else {}).items():
        write_table(frame, folder / "tables" / (f"{stem}_{key}" if key else stem))


def write_table(frame: pd.DataFrame, stem: Path) -> None:
    """Write a table as markdown, LaTeX and CSV."""
    write_atomic(stem.with_name(f"{stem.name}.csv"), frame.to_csv(index=False, float_format="%.17g").encode())
    # a bar inside a cell, as in |C|, would end the cell
    barred = frame.rename(columns=lambda name: str(name).replace("|", "\\|")).map(
        lambda cell: cell.replace("|", "\\|") if isinstance(cell, str) else cell
    )
    write_atomic(stem.with_name(f"{stem.name}.md"), (barred.to_markdown(index=False, floatfmt=".4g") + "\n").encode())
    write_atomic(
        stem.with_name(f"{stem.name}.tex"), frame.to_latex(index=False, float_format="%.4g", escape=True).encode()
    )
