"""The task "sane": MoCo, then SANE for as many epochs, then MoCo again for as long as SANE took.

A comparison is a folder with a ``recipe.toml`` of its own, which holds what was changed, and the runs ``moco``,
``sane`` and ``moco_equal_time``. A comparison that was stopped goes on where it stopped: what is finished is kept.
"""

import inspect
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sparseop.deep import contrastive
from sparseop.deep.contrastive import recipe as recipes
from sparseop.deep.contrastive import report as tables
from sparseop.deep.contrastive import task
from sparseop.deep.contrastive.recipe import Recipe
from sparseop.deep.training import distributed, schema
from sparseop.deep.training.loop import CHECKPOINT, require_no_run
from sparseop.deep.training.progress import print_table
from sparseop.deep.training.settings import Source
from sparseop.deep.training.task import Finished, Request, Task
from sparseop.errors import InputError
from sparseop.files import write_atomic

NAME = "sane"
#: the recipes that are compared: the baseline, and what it is compared with at equal epochs and at equal time
BASELINE, METHOD = "shapes_moco", "shapes_sane"


@dataclass(frozen=True)
class Comparison:
    """What is compared.

    Attributes
    ----------
    changes : of both recipes, "table.key=value"; those of an option that MoCo does not have are of SANE alone.
    """

    name: str = NAME
    title: str = "MoCo against SANE, at equal epochs and at equal time"
    task: Literal["sane"] = "sane"
    changes: tuple[str, ...] = ()
    source: Source = field(default_factory=lambda: Source(needs="four minutes on two cores"))

    @property
    def sane(self) -> Recipe:
        """SANE's recipe."""
        return recipes.read(METHOD, self.changes)

    def moco(self, *more: str) -> Recipe:
        """Return MoCo's recipe with ``more`` changes."""
        shared = [item for item in self.changes if not _of_sane_alone(item)]
        return recipes.read(BASELINE, [*shared, *more])

    @property
    def seed(self) -> int:
        """The seed of all runs."""
        return self.sane.seed


class Comparisons:
    """The one comparison that comes with the project, and those in the folders of runs."""

    def names(self) -> list[str]:
        """Return its name."""
        return [NAME]

    def read(self, source: Path | str, overrides: Sequence[str] = ()) -> Comparison:
        """Return the comparison by its name, or that of a folder's ``recipe.toml``, with these changes.

        Raises
        ------
        InputError : changes that one of the recipes refuses, another method, a file that holds no comparison.
        """
        if source == NAME:
            found = Comparison(changes=tuple(overrides))
        else:
            path = Path(source)
            held, where = schema.tables(schema.read_text(path), f"'{path}'"), f"'{path}'"
            found = schema.from_tables(Comparison, held, name=NAME, where=where, overrides=overrides, components={})
        if any(item.startswith("method.name=") for item in found.changes):
            raise InputError(
                f"--set method.name cannot be changed here: {NAME!r} trains {BASELINE!r} and {METHOD!r}; "
                "run one by its name."
            )
        found.moco(), found.sane
        return found


def train(comparison: Comparison, folder: Path, request: Request) -> dict[str, Any]:
    """Train the three runs into a new folder and return their summaries by the folders' names."""
    plan = folder / "recipe.toml"
    if distributed.speaks():
        require_no_run(folder)
        write_atomic(plan, schema.to_toml(comparison).encode())
    try:
        return _train(comparison, folder, request)
    except InputError:
        if distributed.speaks() and list(folder.iterdir()) == [plan]:  # refused before it began: leave nothing
            shutil.rmtree(folder)
        raise


def resume(folder: Path, request: Request) -> tuple[Comparison, dict[str, Any]]:
    """Go on where the comparison in ``folder`` stopped."""
    comparison = Comparisons().read(folder / "recipe.toml")
    return comparison, _train(comparison, folder, request)


def _train(comparison: Comparison, folder: Path, request: Request) -> dict[str, Any]:
    moco, sane = comparison.moco(), comparison.sane
    found = {"moco": _one(moco, folder / "moco", request), "sane": _one(sane, folder / "sane", request)}
    epochs = tables.equal_time(moco.training.epochs, *(found[name]["train_seconds"] for name in ("moco", "sane")))
    longer = f"training.epochs={epochs}", "evaluation.baselines=false", f"name={BASELINE}_equal_time"
    return found | {"moco_equal_time": _one(comparison.moco(*longer), folder / "moco_equal_time", request)}


def _one(recipe: Recipe, folder: Path, request: Request) -> dict[str, Any]:
    """Train into ``folder``, from its last checkpoint where there is one."""
    if (folder / CHECKPOINT).exists():
        return task.RUNS.resume(folder, request)[1]
    if distributed.speaks():
        (folder / "recipe.toml").unlink(missing_ok=True)  # stopped before its first checkpoint: nothing to lose
    return task.RUNS.train(recipe, folder, request)


def report(finished: Sequence[Finished]) -> None:
    """Print the three runs beside one another."""
    for done in finished:
        moco, found = done.recipe.moco(), done.summary
        columns = [
            *tables.column(moco, found["moco"]),
            *tables.column(done.recipe.sane, found["sane"]),
            *tables.column(moco, found["moco_equal_time"], ", SANE's time"),
        ]
        print_table(*tables.table(columns, moco))
        print(f"runs: {done.folder}")


def _of_sane_alone(item: str) -> bool:
    """Whether a change is of an option of SANE that MoCo does not have."""
    key = item.partition("=")[0].strip()
    return (
        key.startswith("method.")
        and key.removeprefix("method.") not in inspect.signature(contrastive.METHODS["moco"]).parameters
    )


TASK = Task(Comparisons(), train, resume, report, resumable=lambda folder: folder.is_dir())
