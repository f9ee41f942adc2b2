"""What a run shows while it goes: a live line on a terminal, a line now and then in a log."""

import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

from tqdm import tqdm

from sparseop.deep.training import distributed

LINES = 20  # of a run's log, at most


def watcher(title: str, epochs: int) -> Callable[[int, int, dict[str, Any] | None], None]:
    """Return a function for ``train(watch=...)`` that shows the progress of one run on standard error."""
    if distributed.rank() > 0 or not sys.stderr.isatty():
        every = -(-epochs // LINES)

        def log(epoch: int, step: int, row: dict[str, Any] | None) -> None:
            del step
            if distributed.rank() == 0 and row is not None and ((epoch + 1) % every == 0 or epoch + 1 == epochs):
                sys.stderr.write(f"{title}: epoch {epoch + 1}/{epochs}, {_brief(row)}\n")
                sys.stderr.flush()

        return log

    bar = tqdm(
        total=epochs,
        desc=title,
        unit="epoch",
        bar_format="{desc}: {n_fmt}/{total_fmt} epochs {bar:20} {elapsed}<{remaining}  {postfix}",
        leave=True,
    )

    def live(epoch: int, step: int, row: dict[str, Any] | None) -> None:
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


def _brief(row: dict[str, Any]) -> str:
    parts = [f"loss {row['loss']:.3f}"]
    for key, word in (("test", "test"), ("knn", "kNN")):
        if row.get(key) is not None:
            parts.append(f"{word} {row[key]:.1f} %")
    for key, word in (("memorised", "memorised"), ("flagged_recall", "found")):
        if not math.isnan(row.get(key, math.nan)):
            parts.append(f"{word} {row[key]:.0f} %")
    return ", ".join([*parts, f"{row['images_per_second']:.0f} img/s"])


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table below an empty line."""
    print()
    print_columns(header, rows)
    sys.stdout.flush()


def print_columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on standard output."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        sys.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n")
