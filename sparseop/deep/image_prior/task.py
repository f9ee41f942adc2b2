"""Image recovery as a task: what its command shows, and the table at the end."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sparseop.deep.image_prior import recipe as recipes
from sparseop.deep.image_prior import run
from sparseop.deep.image_prior.recipe import ImageRecipe
from sparseop.deep.training.progress import LINES, opening, print_columns
from sparseop.deep.training.records import Row
from sparseop.deep.training.task import Finished, Request, Task


def train(recipe: ImageRecipe, folder: Path, request: Request) -> dict[str, Any]:
    """Recover the image into a new folder and return the summary."""
    return run.train(
        recipe,
        folder,
        device=request.device,
        data_root=request.data_root,
        watch=watcher(recipe, opening(recipe, folder, request.overrides)),
        tell=lambda line: print(line, file=sys.stderr, flush=True),
    )


def resume(folder: Path, request: Request) -> tuple[ImageRecipe, dict[str, Any]]:
    """Go on with a run and return its recipe and summary."""
    recipe = recipes.read(folder / "recipe.toml")
    return recipe, run.resume(
        folder, device=request.device, data_root=request.data_root, watch=watcher(recipe, opening(recipe, folder, ()))
    )


def watcher(recipe: ImageRecipe, opening: str) -> run.Watch:
    """Return a function that shows the progress of a run on standard error.

    A live line, or a line now and then in a log.
    """
    iterations = recipe.training.iterations
    bars: dict[str, Any] = {}
    live, said = sys.stderr.isatty(), [opening]

    def watch(row: Row, total: int) -> None:
        if said:
            sys.stderr.write(said.pop())
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


def report(finished: Sequence[Finished]) -> None:
    """Print for each run one column a method, and the filters below."""
    for done in finished:
        _report(done.summary, done.folder, done.seconds)


def _report(summary: dict[str, Any], folder: Path, seconds: float) -> None:
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


TASK = Task(recipes.SCHEMA, train, resume, report)
