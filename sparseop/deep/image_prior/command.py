"""Image recovery on the command line of ``sparseop.deep.train``: progress, and the table at the end."""

import argparse
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sparseop.deep.image_prior import recipe as recipes
from sparseop.deep.image_prior import run
from sparseop.deep.image_prior.recipe import ImageRecipe
from sparseop.deep.training.progress import LINES, print_columns
from sparseop.deep.training.records import Row


def train(path: Path, folder: Path, options: argparse.Namespace) -> None:
    """Run the recipe of a file into ``folder`` and print what came out."""
    recipe = recipes.read(path, options.overrides)
    started = time.perf_counter()
    summary = run.train(
        recipe,
        folder,
        device=options.device,
        data_root=options.data_root,
        watch=watcher(recipe),
        tell=lambda line: print(line, file=sys.stderr, flush=True),
    )
    report(summary, folder, time.perf_counter() - started)


def resume(folder: Path, options: argparse.Namespace) -> None:
    """Go on with the run in ``folder`` and print what came out."""
    recipe = recipes.read(folder / "recipe.toml")
    started = time.perf_counter()
    summary = run.resume(folder, device=options.device, data_root=options.data_root, watch=watcher(recipe))
    report(summary, folder, time.perf_counter() - started)


def listed() -> list[tuple[str, str, str, str]]:
    """Return a row of ``--list`` for each recipe: name, what it reproduces, published value, needs."""
    found = []
    for name in recipes.names():
        recipe = recipes.read(recipes.find(name))
        found.append((name, f"{recipe.source.table}: {recipe.title}".strip(": "), "", recipe.source.needs))
    return found


def watcher(recipe: ImageRecipe) -> run.Watch:
    """Return a function that shows the progress of a run on standard error: a live line, or a line now and then in a log."""
    iterations = recipe.training.iterations
    bars: dict[str, Any] = {}
    live = sys.stderr.isatty()

    def watch(row: Row, total: int) -> None:
        method, done = row["method"], row["iteration"]
        text = f"loss {row['loss']:.4f}" if math.isnan(row["psnr"]) else f"{row['psnr']:.1f} dB"
        text += f", {100 * row['found']:.0f} % of the entries found corrupted" if "found" in row else ""
        if not live:
            if (done // recipe.training.every) % max(
                1, iterations // recipe.training.every // LINES
            ) == 0 or done == total:
                sys.stderr.write(f"{method}: iteration {done}/{total}, {text}\n")
                sys.stderr.flush()
            return
        if method not in bars:
            bars[method] = tqdm(
                total=total,
                initial=done,
                desc=f"{method:8}",
                unit="it",
                leave=True,
                bar_format="{desc}: {n_fmt}/{total_fmt} {bar:20} {elapsed}<{remaining}  {postfix}",
            )
        bars[method].set_postfix_str(text, refresh=False)
        bars[method].update(done - bars[method].n)
        if done == total:
            bars[method].close()

    return watch


def report(summary: dict[str, Any], folder: Path, seconds: float) -> None:
    """Print one column a method, and the filters below."""
    methods = summary["methods"]
    lines: list[Sequence[str]] = []

    def line(label: str, cells: list[str]) -> None:
        if any(cells):
            lines.append((label, *cells))

    def number(value: Any, form: str) -> str:
        return "" if value is None or math.isnan(value) else form.format(value)

    def last(key: str, form: str) -> list[str]:
        return [number(found["last"].get(key), form) for found in methods.values()]

    line("PSNR, last iteration", last("psnr", "{:.1f} dB"))
    line(
        "PSNR, best iteration",
        [f"{m['best']['psnr']:.1f} dB ({m['best']['iteration']})" if m["best"] else "" for m in methods.values()],
    )
    line("error on held-out entries", last("held_out", "{:.4f}"))
    line("entries found corrupted", last("found", "{:.1%}"))
    line("corruption found: precision", last("precision", "{:.2f}"))
    line("corruption found: recall", last("recall", "{:.2f}"))
    print_columns(("", *methods), lines)
    if "filters" in summary:
        medians = ", ".join(f"{name} {value:.1f} dB" for name, value in summary["filters"].items())
        known = " (the last knows that impulses are 0 or 1)" if summary["noise_kind"] == "salt-and-pepper" else ""
        print(f"corrupted {summary['psnr_corrupted']:.1f} dB; {medians}{known}")
    print(
        f"estimated share of corrupted entries {summary['estimated_level']:.1%}; ratio alpha = {summary['ratio']:.4g}, "
        f"lam = log(1/gamma)/(2 alpha) = {summary['lam']:.3g}"
    )
    print(f"{seconds:.0f} s; {folder}, picture: {folder / 'recovery.png'}")
