"""What a task is, what it is asked, and what it gives back; ``sparseop.deep.tasks`` lists all of them."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn


@dataclass(frozen=True)
class Request:
    """Where and how to train, from whatever command it comes.

    Attributes
    ----------
    overrides : changes of the recipe, "table.key=value".
    out : folder of the run; None: runs/RECIPE/TIME-seedS.
    device : "auto", "cpu", "cuda", "cuda:1".
    data_root : folder that holds the data; None: that of ``$SPARSEOP_DATA``.
    download : fetch missing data from their official address.
    dataset, network : objects that take the place of the recipe's.
    """

    overrides: tuple[str, ...] = ()
    out: Path | None = None
    device: str = "auto"
    data_root: Path | None = None
    download: bool = False
    dataset: Any = None
    network: Any = None

    @property
    def objects(self) -> dict[str, Any]:
        """The objects that were given, by the names under which ``Loop.train`` takes them."""
        given = {"dataset": self.dataset, "network": self.network}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class Finished:
    """A run that is over: its recipe, folder and summary, and the seconds that it took this time."""

    recipe: Any
    folder: Path
    summary: dict[str, Any]
    seconds: float


@dataclass(frozen=True)
class Weights:
    """The network that a checkpoint holds, as other rooms may use it.

    Attributes
    ----------
    backbone : state of the backbone, by the names of ``networks.build``'s network; its last layer's may be there too.
    size : side of the central window that images are cut to; 0: the whole image.
    top : (backbone, its width) -> network, its state, its width: what is trained on top; None: the backbone alone.
    """

    backbone: dict[str, Tensor]
    size: int
    top: Callable[[nn.Module, int], tuple[nn.Module, dict[str, Tensor], int]] | None = None


def under(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the entries whose names begin with ``prefix``, without it."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


class Recipes(Protocol):
    """The recipes of a task."""

    def names(self) -> list[str]:
        """Return those that come with the project."""

    def read(self, source: Path | str, overrides: Sequence[str] = ()) -> Any:
        """Return a recipe by name or of a file, with name, title, seed and source."""


@dataclass(frozen=True)
class Task:
    """A kind of run.

    Attributes
    ----------
    recipes : what it reads.
    train : (recipe, folder, request) -> summary; begins a run in a new folder.
    resume : (folder, request) -> recipe and summary; goes on with a run from its checkpoint.
    report : prints what came out of runs, one column each.
    branch : (folder, new folder, request) -> recipe and summary; goes on for more epochs elsewhere, or None.
    resumable : whether a folder that was stopped holds what ``resume`` goes on from.
    weights : (recipe, checkpoint, which, part) -> the trained network, ``which`` of "online" and "momentum", ``part``
        of "backbone" and "head"; InputError where there is none such. None: runs of this task leave no network.
    """

    recipes: Recipes
    train: Callable[[Any, Path, Request], dict[str, Any]]
    resume: Callable[[Path, Request], tuple[Any, dict[str, Any]]]
    report: Callable[[Sequence[Finished]], None]
    weights: Callable[[Any, dict[str, Any], str, str], Weights] | None = None
    branch: Callable[[Path, Path, Request], tuple[Any, dict[str, Any]]] | None = None
    resumable: Callable[[Path], bool] = lambda folder: (folder / "last.pt").is_file()

    def begin(self, recipe: Any, folder: Path, request: Request) -> Finished:
        """Train, and say how long it took."""
        started = time.perf_counter()
        summary = self.train(recipe, folder, request)
        return Finished(recipe, folder, summary, time.perf_counter() - started)

    def go_on(self, folder: Path, request: Request) -> Finished:
        """Resume, and say how long it took."""
        started = time.perf_counter()
        recipe, summary = self.resume(folder, request)
        return Finished(recipe, folder, summary, time.perf_counter() - started)
