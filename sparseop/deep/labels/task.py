"""Training with wrong labels as a task: what its command shows, and the table at the end."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from sparseop.deep.labels import picture, run, suspects
from sparseop.deep.labels import recipe as recipes
from sparseop.deep.labels.recipe import Recipe
from sparseop.deep.training.epoch_runs import EpochRuns
from sparseop.deep.training.progress import print_table
from sparseop.deep.training.task import Finished, Task, Weights, under
from sparseop.errors import InputError

RUNS = EpochRuns(recipes, run)


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


TASK = Task(recipes.SCHEMA, RUNS.train, RUNS.resume, report, weights, RUNS.branch)
