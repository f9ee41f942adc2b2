"""What a run shows while it goes: a live line on a terminal, a line now and then in a log."""

import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sparseop.deep.training import distributed

LINES = 20  # of a run's log, at most
_TITLE = 24  # columns of a live line: the rest belongs to the numbers


def opening(recipe: Any, folder: Path, changes: Sequence[str]) -> str:
    """Return what a run says when it begins: what is trained, what was changed, where it goes, and what that takes."""
    changed = f"; changed: {' '.join(changes)}" if changes else ""
    needs = f"; takes {recipe.source.needs}" if recipe.source.needs else ""
    return f"{recipe.title or recipe.name}{changed}\n  folder: {folder}{needs}\n"


def watcher(title: str, epochs: int, opening: str = "") -> Callable[[int, int, dict[str, Any] | None], None]:
    """Return a function for ``train(watch=...)`` that shows the progress of one run on standard error.

    It begins with ``opening``; in a log it says after the first epoch how long the others will take.
    """
    speaks = distributed.rank() == 0
    said = [not speaks or not opening]

    def say(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    def begin() -> None:
        if not said[0]:
            said[0] = True
            say(opening)

    if not speaks or not sys.stderr.isatty():
        every, started, first = -(-epochs // LINES), time.perf_counter(), [-1]

        def log(epoch: int, step: int, row: dict[str, Any] | None) -> None:
            del step
            begin()
            if not speaks or row is None:
                return
            if first[0] < 0:
                first[0] = epoch
            if (epoch + 1) % every == 0 or epoch + 1 == epochs or epoch == first[0]:
                spent = (time.perf_counter() - started) / (epoch + 1 - first[0])
                left = f"; about {span(spent * (epochs - 1 - epoch))} left" if epoch + 1 < epochs else ""
                say(f"{title}: epoch {epoch + 1}/{epochs}, {_brief(row)}{left}\n")

        return log

    bars: list[Any] = []

    def live(epoch: int, step: int, row: dict[str, Any] | None) -> None:
        begin()
        if not bars:
            short = title if len(title) <= _TITLE else f"{title[: _TITLE - 3]}..."
            shape = "{desc}: {n_fmt}/{total_fmt} {bar:10} {elapsed}<{remaining}{postfix}"
            bars.append(tqdm(total=epochs, desc=short, unit="epoch", bar_format=shape, leave=True))
        bar = bars[0]
        if bar.n < epoch:  # a run that goes on: what was done before took none of this time
            bar.initial = bar.n = epoch
        if row is not None:
            bar.set_postfix_str(_brief(row), refresh=False)
            bar.update()
            if epoch + 1 == epochs:
                bar.close()
        elif step % 50 == 0:
            bar.refresh()

    return live


def span(seconds: float) -> str:
    """Return a time as people say it: "40 s", "3 min", "2 h 10 min", "3 days"."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes < 48 * 60 else f"{round(minutes / 1440)} days"


def _brief(row: dict[str, Any]) -> str:
    """Return a row in a few words, what is looked for first: a narrow terminal cuts the end off."""
    parts = []
    for key, word in (("test", "test"), ("knn", "kNN")):
        if row.get(key) is not None:
            parts.append(f"{word} {row[key]:.1f} %")
    for key, word in (("memorised", "memorised"), ("flagged_recall", "found")):
        if not math.isnan(row.get(key, math.nan)):
            parts.append(f"{word} {row[key]:.0f} %")
    return ", ".join([*parts, f"loss {row['loss']:.3f}", f"{row['images_per_second']:.0f} img/s"])


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table below an empty line."""
    print()
    print_columns(header, rows)
    sys.stdout.flush()


def print_columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on standard output."""
    print_groups(header, [("", rows)])


def print_groups(header: Sequence[str], groups: Sequence[tuple[str, Sequence[Sequence[str]]]]) -> None:
    """Print a table of several parts on standard output, each below its title where it has one."""
    every = [header, *(row for _, rows in groups for row in rows)]
    widths = [max(len(row[i]) for row in every) for i in range(len(header))]

    def line(row: Sequence[str]) -> None:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

    line(header)
    for title, rows in groups:
        if title:
            print(f"\n{title}")
        for row in rows:
            line(row)
