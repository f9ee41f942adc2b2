"""Training with wrong labels as a task: what its command shows, and the table at the end."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sparseop.deep.labels import picture, run, suspects
from sparseop.deep.labels import recipe as recipes
from sparseop.deep.labels.recipe import Recipe
from sparseop.deep.training.loop import Watch
from sparseop.deep.training.progress import opening, print_table, watcher
from sparseop.deep.training.task import Finished, Request, Task, Weights, under
from sparseop.errors import InputError


def train(recipe: Recipe, folder: Path, request: Request) -> dict[str, Any]:
    """Train into a new folder and return the summary."""
    return run.train(
        recipe,
        folder,
        device=request.device,
        data_root=request.data_root,
        download=request.download,
        watch=_watch(recipe, folder, request.overrides),
        **request.objects,
    )


def resume(folder: Path, request: Request) -> tuple[Recipe, dict[str, Any]]:
    """Go on with a run and return its recipe and summary."""
    recipe = recipes.read(folder / "recipe.toml")
    watch = _watch(recipe, folder)
    return recipe, run.resume(
        folder, device=request.device, data_root=request.data_root, watch=watch, **request.objects
    )


def branch(source: Path, folder: Path, request: Request) -> tuple[Recipe, dict[str, Any]]:
    """Train a run for more epochs in a new folder; return the new recipe and the summary."""
    recipe = recipes.read(source / "recipe.toml", request.overrides)
    watch = _watch(recipe, folder, request.overrides)
    where: dict[str, Any] = {"device": request.device, "data_root": request.data_root, "watch": watch}
    return recipe, run.branch(source, folder, request.overrides, **where)


def _watch(recipe: Recipe, folder: Path, changes: Sequence[str] = ()) -> Watch:
    return watcher(recipe.title or recipe.name, recipe.training.epochs, opening(recipe, folder, changes))


def report(finished: Sequence[Finished]) -> None:
    """Print one column a run."""
    lines: list[tuple[str, ...]] = []

    def line(label: str, pick: Callable[[dict[str, Any], float], Any]) -> None:
        cells = []
        for done in finished:
            value = pick(done.summary, done.seconds)
            missing = value is None or (isinstance(value, float) and math.isnan(value))
            cells.append("" if missing else value if isinstance(value, str) else f"{value:.1f} %")
        if any(cells):
            lines.append((label, *cells))

    line("test accuracy, last epoch", lambda s, _: s["final"]["test"])
    line("test accuracy, best epoch", lambda s, _: f"{s['best']['test']:.1f} % (epoch {s['best']['epoch']})")
    line("training accuracy, given labels", lambda s, _: s["train_given"])
    line("training accuracy, true labels", lambda s, _: s.get("train_true"))
    line("wrong labels memorised", lambda s, _: s.get("memorised"))
    line("wrong labels found: precision", lambda s, _: 100 * s["detection"]["precision"] if "detection" in s else None)
    line("wrong labels found: recall", lambda s, _: 100 * s["detection"]["recall"] if "detection" in s else None)
    line("wrong labels with the right one proposed", lambda s, _: s.get("proposed_right"))
    line("calibration error on the test set", lambda s, _: 100 * s["calibration_error"])
    line("time", lambda _, seconds: f"{seconds:.0f} s")
    print_table(("", *(done.recipe.method.name.upper() for done in finished)), lines)
    for done in finished:
        name = done.recipe.method.name.upper()
        shown = picture.draw(done.folder, done.recipe.title or done.recipe.name)
        print(f"{name}: {verdict(done.summary)}")
        print(f"  {done.folder}{f', picture: {shown}' if shown else ''}")
    last = finished[-1].folder
    print(f"next: {last / suspects.SUSPECTS} ranks the labels; {last / suspects.LABELS} trains again;")
    print(f"      python -m sparseop.deep.predict {last} IMAGES...")


def verdict(summary: dict[str, Any]) -> str:
    """Return in one sentence what a run with wrong labels came to."""
    test = f"{summary['final']['test']:.1f} % right on the test set"
    if summary.get("corrupted"):
        found = summary["detection"]
        return (
            f"{test}; of {summary['corrupted']:,} wrong labels it memorised {summary['memorised']:.0f} % and found "
            f"{100 * found['recall']:.0f} %, and {100 * found['precision']:.0f} % of those it suspects are wrong."
        )
    if "flagged" not in summary:  # a run of an older version
        return f"{test}."
    return f"{test}; {summary['flagged']:,} of {summary['samples']:,} training labels are more likely wrong than right."


def weights(recipe: Recipe, state: dict[str, Any], which: str, part: str) -> Weights:
    """Return the (first) network of a checkpoint; it has no momentum network and no projection head."""
    for asked, name in ((which, "momentum"), (part, "head")):
        if asked == name:
            raise InputError(f"the run {recipe.name!r} has no {name} network: it was trained with labels.")
    return Weights(under("0.", state.get("networks", {})), recipe.training.crop)


TASK = Task(recipes.SCHEMA, train, resume, report, weights, branch)
