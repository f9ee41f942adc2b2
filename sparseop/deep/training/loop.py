"""What every trainer's loop does: epochs, records, checkpoints, several processes, and what goes wrong on the way.

Within an epoch nothing waits for the device: losses are summed there, and read once an epoch. All randomness of an
epoch comes from generators seeded by (seed, epoch), and the learning rate is a function of the place in the run, so a
run that was killed goes on bit by bit as if it had not been.
"""

import shutil
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from sparseop.deep.datasets import Dataset
from sparseop.deep.networks.fastnet import FastNet
from sparseop.deep.training import checkpoint, distributed
from sparseop.deep.training import device as devices
from sparseop.deep.training.feed import Feed, epoch_order
from sparseop.deep.training.records import Record, Row
from sparseop.deep.training.samples import Samples
from sparseop.deep.training.schema import Component
from sparseop.deep.training.seeds import generator, seed_for
from sparseop.deep.training.settings import Engine
from sparseop.errors import InputError, brief, integer

Watch = Callable[[int, int, Row | None], None]
CHECKPOINT = "last.pt"
CHOSEN = "chosen.pt"  #: the weights of the epoch that the held-out training samples chose
SHOWN = 5000  # images to whiten by: their 5 million patches fix a covariance of 12 x 12 to a thousandth
T = TypeVar("T")
Given = nn.Module | Callable[..., nn.Module] | None


class Training(Protocol):
    """What the loop itself wants to know of a recipe's ``[training]``."""

    @property
    def epochs(self) -> int:
        """Passes over the training samples."""

    @property
    def batch_size(self) -> int:
        """The global batch, over all processes."""

    @property
    def drop_last(self) -> bool:
        """Leave out the last, smaller batch of each epoch."""


class Loop(ABC):
    """One run on one device; a trainer says what a step, a judgement and a checkpoint are."""

    training: Training
    engine: Engine
    read: Callable[..., Any]  #: (path, overrides) -> the recipe of a file
    prepare: Callable[..., Samples]  #: (recipe, data root, download=) -> the data, their labels and split

    def __init__(self, recipe: Any, samples: Samples, device: torch.device, *, network: Given = None) -> None:
        self.given_network = network
        self.samples, self.training, self.engine, self.seed, self.device = (
            samples,
            recipe.training,
            recipe.engine,
            recipe.seed,
            device,
        )
        devices.prepare(device, deterministic=self.engine.deterministic, threads=self.engine.threads)
        images = samples.dataset.train_images
        if isinstance(images, Tensor):
            devices.require_room(device, images.nbytes, f"the training images of {samples.dataset.name}")
        self.train_feed = Feed(images, device)

    # ---- a run, from its beginning or from its last checkpoint -------------------------------------------------------

    @classmethod
    @devices.as_before()
    def train(
        cls,
        recipe: Any,
        folder: Path | str,
        *,
        device: str = "auto",
        data_root: Path | str | None = None,
        download: bool = False,
        watch: Watch | None = None,
        dataset: Dataset | None = None,
        network: Given = None,
    ) -> dict[str, Any]:
        """Train a recipe into a new run folder and return its summary.

        Parameters
        ----------
        recipe : what to do.
        folder : where the run goes; must not hold a run.
        device : "auto" (CUDA where there is one), "cpu", "cuda", "cuda:1".
        data_root, download : see ``datasets.load``.
        watch : called with (epoch, steps done in it, the epoch's row once it is finished).
        dataset, network : objects that take the place of the recipe's; a network may be a module, or a function
            (number of classes, channels) -> module. Such a run goes on only where they are given again.

        Raises
        ------
        InputError : bad data or options; a loss that is not finite (the last good checkpoint stays); a full disk.
        """
        folder = Path(folder)
        require_no_run(folder)
        target = devices.choose(device)
        distributed.start(target)
        recipe = _with_objects(recipe, dataset, network)
        samples = cls.prepare(recipe, data_root, download=download, **_only(dataset=dataset))
        run = cls(recipe, samples, target, **_only(network=network))
        with torch.no_grad():
            for _, images in run.train_feed.batches([samples.train[:2]]):
                run.rehearse(images)
        record = Record.create(folder, run.recipe_text(), samples, target)
        return run.fit(record, 0, watch)

    @classmethod
    @devices.as_before()
    def resume(
        cls,
        folder: Path | str,
        *,
        device: str = "auto",
        data_root: Path | str | None = None,
        watch: Watch | None = None,
        dataset: Dataset | None = None,
        network: Given = None,
    ) -> dict[str, Any]:
        """Go on with a run from its last checkpoint and return its summary.

        Raises
        ------
        InputError : no run or no checkpoint there, a checkpoint of another recipe, other data than the run began with.
        """
        folder = Path(folder)
        path, state = load_checkpoint(folder)
        recipe = cls.read(path)
        target = devices.choose(device)
        distributed.start(target)
        samples = cls.prepare(recipe, data_root, **_only(dataset=dataset))
        run = cls(recipe, samples, target, **_only(network=network))
        run.load(state)
        record = Record.reopen(folder, samples, state["rows"])
        return run.fit(
            record, integer("the number of rows of the checkpoint", len(state["rows"]), 0, run.training.epochs), watch
        )

    @classmethod
    def branch(
        cls,
        source: Path | str,
        folder: Path | str,
        overrides: Sequence[str],
        *,
        device: str = "auto",
        data_root: Path | str | None = None,
        watch: Watch | None = None,
    ) -> dict[str, Any]:
        """Train on from the last checkpoint of a run, for more epochs, in a new folder; return the summary.

        Parameters
        ----------
        source, folder : folders of the run that was finished, or stopped, and of the new one; the old one stays.
        overrides : changes of ``[training]`` and ``[engine]``, "training.epochs=200" among them. The schedule of the
            learning rate is that of the new number of epochs, from where the old run stopped.

        Raises
        ------
        InputError : no run in ``source``, changes of anything else, no more epochs than it has, other data.
        """
        source, folder = Path(source), Path(folder)
        path, state = load_checkpoint(source)
        base, recipe, done = cls.read(path), cls.read(path, overrides), len(state["rows"])
        _require_branch(base, recipe, done)
        require_no_run(folder)
        target = devices.choose(device)
        distributed.start(target)
        samples = cls.prepare(recipe, data_root)
        Record.require_same(source, samples)
        run = cls(recipe, samples, target)
        run.load(state)
        record = Record.create(
            folder, run.recipe_text(), samples, target, branched_from={"run": str(source), "epoch": done}
        )
        record.rows = list(state["rows"])
        if distributed.rank() == 0:
            run._save(record, done)
            if (source / CHOSEN).is_file():
                shutil.copyfile(source / CHOSEN, folder / CHOSEN)
        distributed.barrier()
        return run.fit(record, done, watch)

    # ---- what a trainer says -----------------------------------------------------------------------------------------

    @abstractmethod
    def rate(self, epoch: int) -> float:
        """Return the learning rate at the beginning of an epoch, from 0."""

    @abstractmethod
    def rehearse(self, images: Tensor) -> None:
        """Refuse (InputError) what the first step would refuse, before anything is written.

        Moves no state, draws from no generator of the run.
        """

    @abstractmethod
    def start_epoch(self, epoch: int) -> list[torch.Generator]:
        """Make everything ready to train; return the generators that ``step`` draws from."""

    @abstractmethod
    def step(self, place: float, index: Tensor, images: Tensor, draws: list[torch.Generator]) -> Tensor:
        """Take one optimisation step at ``place`` of the run, in [0, 1), and return the loss, on the device."""

    @abstractmethod
    def end_epoch(self, epoch: int) -> Row:
        """Do what follows the last step of an epoch; return what the epoch has measured."""

    @abstractmethod
    def judge(self, *, wanted: bool) -> Row:
        """Return what the networks are worth now; the costly part only where it is ``wanted``."""

    @abstractmethod
    def summary(self, rows: list[Row]) -> tuple[dict[str, Any], dict[str, Tensor] | None]:
        """Return the summary of the run, and arrays of one entry a training sample (or None)."""

    @abstractmethod
    def recipe_text(self) -> str:
        """Return the resolved recipe."""

    @abstractmethod
    def parts(self) -> dict[str, Any]:
        """Return everything with a state: what a checkpoint holds, by name."""

    def publish(self, record: Record, of_samples: dict[str, Tensor] | None) -> None:
        """Write what people open when a run is over, beside the record; called by the first process alone."""
        del record, of_samples

    # ---- epochs ------------------------------------------------------------------------------------------------------

    def fit(self, record: Record, done: int, watch: Watch | None) -> dict[str, Any]:
        """Train the epochs from ``done`` on and return the summary."""
        try:
            for epoch in range(done, self.training.epochs):
                started, own = time.perf_counter(), time.process_time()
                row: Row = {"epoch": epoch + 1, "lr": self.rate(epoch), **self._epoch(epoch, watch)}
                last = epoch + 1 == self.training.epochs
                row |= self.judge(wanted=last or (epoch + 1) % self.engine.test_every == 0)
                row["epoch_seconds"] = round(time.perf_counter() - started, 3)
                row["core_seconds"] = round(
                    time.process_time() - own, 3
                )  # of this process: what others take is not in it
                if distributed.rank() == 0:
                    record.rows.append(row)
                    self._keep_chosen(record)
                    self._save(record, epoch + 1)
                    record.write()
                distributed.barrier()
                if watch is not None:
                    watch(epoch, 0, row)
            summary, of_samples = self.summary(record.rows) if self._takes_part_in_summary() else ({}, None)
            if all("core_seconds" in row for row in record.rows):  # older checkpoints do not know
                summary["core_hours"] = round(sum(row["core_seconds"] for row in record.rows) / 3600, 4)
            if distributed.rank() == 0:
                record.finish(summary, of_samples)
                self.publish(record, of_samples)
            distributed.barrier()
            return summary
        except torch.OutOfMemoryError:
            raise InputError(
                f"{self.device} ran out of memory; a smaller training.batch_size (now {self.training.batch_size}) or "
                "engine.precision = 'bfloat16' needs less. The last good checkpoint is kept."
            ) from None
        finally:
            record.close()

    def _takes_part_in_summary(self) -> bool:
        """Whether this process computes the summary; a trainer whose summary communicates lets all of them."""
        return distributed.rank() == 0

    def _epoch(self, epoch: int, watch: Watch | None) -> Row:
        """Train one epoch; return loss, speed and what the trainer measured."""
        rank, world = distributed.rank(), distributed.world()
        order = epoch_order(
            self.samples.train,
            self.training.batch_size,
            generator("cpu", self.seed, "order", epoch),
            drop_last=self.training.drop_last,
            rank=rank,
            world=world,
        )
        torch.manual_seed(seed_for(self.seed, "torch", epoch, rank))  # dropout, MixUp
        draws = self.start_epoch(epoch)
        loss_sum = torch.zeros((), device=self.device)
        first_bad = torch.full((), len(order), device=self.device)

        started = time.perf_counter()
        for step, (index, images) in enumerate(self.train_feed.batches(order)):
            loss = self.step((epoch + step / len(order)) / self.training.epochs, index, images, draws)
            loss_sum += loss
            first_bad = torch.where(loss.isfinite(), first_bad, first_bad.clamp(max=step))
            if watch is not None:
                watch(epoch, step + 1, None)
        losses = distributed.total(loss_sum) / (len(order) * world)
        bad = int(distributed.gather(first_bad[None]).min())
        seconds = time.perf_counter() - started  # after the reads above, so the device has finished
        if bad < len(order):
            raise InputError(
                f"the loss was not finite at step {bad + 1} of {len(order)} in epoch {epoch + 1}; the run stops and"
                f" keeps its last good checkpoint ({f'epoch {epoch}' if epoch else 'none yet'}). A lower training.lr or"
                " training.clip > 0 may help."
            )
        row: Row = {
            "loss": float(losses),
            "seconds": round(seconds, 3),
            "images_per_second": round(sum(map(len, order)) * world / seconds, 1),
        }
        return row | self.end_epoch(epoch)

    # ---- checkpoints -------------------------------------------------------------------------------------------------

    def _save(self, record: Record, epoch: int) -> None:
        states = {name: part.state_dict() for name, part in self.parts().items()}
        checkpoint.save(
            record.folder / CHECKPOINT, {"recipe": self.recipe_text(), "epoch": epoch, **states, "rows": record.rows}
        )

    def _keep_chosen(self, record: Record) -> None:
        """Keep the weights of this epoch where no earlier one was better on the samples held out."""
        scores = [
            row["validation"]
            for row in record.rows
            if row.get("validation") is not None and row.get("test") is not None
        ]
        row = record.rows[-1]
        if row.get("validation") is None or row.get("test") is None or max(scores[:-1], default=-1) >= scores[-1]:
            return
        states = {name: part.state_dict() for name, part in self.parts().items() if name != "optimiser"}
        checkpoint.save(record.folder / CHOSEN, {"recipe": self.recipe_text(), "epoch": row["epoch"], **states})

    def load(self, state: dict[str, Any]) -> None:
        """Take over the state of a checkpoint."""
        with refitting("networks and method"):
            for name, part in self.parts().items():
                part.load_state_dict(state[name])

    # ---- small parts -------------------------------------------------------------------------------------------------

    def wrapped(self, network: nn.Module) -> Callable[[Tensor], Tensor]:
        """Return the network with its gradients averaged over the processes, and compiled where the recipe says so."""
        forward = network
        if distributed.world() > 1:
            ids = [self.device.index] if self.device.type == "cuda" else None
            forward = DistributedDataParallel(network, device_ids=ids, broadcast_buffers=False)
        return torch.compile(forward, dynamic=False) if self.engine.compile else forward

    @torch.no_grad()
    def show(self, parts: Iterable[nn.Module], plain: Callable[[Tensor], Tensor]) -> None:
        """Let networks that start from images (``fastnet``) see the first training samples, made ``plain``."""
        for part in parts:
            if isinstance(part, FastNet) and part.fixed:
                ((_, images),) = self.train_feed.batches([self.samples.train[:SHOWN]])
                part.whiten(plain(images))

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context in which networks are to run."""
        if self.engine.precision == "bfloat16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()


def _only(**given: Any) -> dict[str, Any]:
    """Return the arguments that are not None."""
    return {name: value for name, value in given.items() if value is not None}


def _with_objects(recipe: Any, dataset: Dataset | None, network: Given) -> Any:
    """Return a recipe that says which of its parts were given as objects."""
    parts = {"data": dataset, "network": network}
    return replace(recipe, **{name: Component("object") for name, part in parts.items() if part is not None})


def weakly(method: Callable[..., T]) -> Callable[..., T]:
    """Return a bound method as a function that does not keep its object alive.

    A part of a run that calls the run back would make a cycle, and networks and data of a finished run would stay in
    memory, the device's too, until Python happens to look for cycles.
    """
    weak = weakref.WeakMethod(method)

    def call(*arguments: Any) -> T:
        alive = weak()
        assert alive is not None
        return alive(*arguments)

    return call


@contextmanager
def refitting(what: str) -> Iterator[None]:
    """Turn what torch raises for a state of other parts than ``what`` into an ``InputError``."""
    try:
        yield
    except (RuntimeError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(f"the checkpoint does not fit this run's {what}: {brief(error)}.") from None


def require_no_run(folder: Path) -> None:
    """Refuse a folder that holds a run."""
    if (folder / "recipe.toml").exists():
        if not (folder / CHECKPOINT).exists() and not any(folder.glob("*/recipe.toml")):  # nor runs of a comparison
            raise InputError(
                f"'{folder}' holds a run that has no checkpoint yet; if it goes on no more, remove it, or choose"
                " another folder."
            )
        raise InputError(f"'{folder}' already holds a run; go on with it by --resume, or choose another folder.")


def _require_branch(base: Any, recipe: Any, done: int) -> None:
    """Refuse changes that would make a branch another run from its beginning."""
    for f in fields(recipe):
        if f.name not in ("training", "engine", "name", "title", "source") and getattr(recipe, f.name) != getattr(
            base, f.name
        ):
            raise InputError(
                f"a branch goes on with the same {f.name}; only [training] and [engine] may change. Train it anew."
            )
    if getattr(recipe.training, "validation", 0) != getattr(base.training, "validation", 0):
        raise InputError(
            "a branch goes on with the same training.validation; other samples would train. Train it anew."
        )
    if recipe.training.epochs <= done:
        raise InputError(
            f"training.epochs must be > {done}, which the run has already, got {recipe.training.epochs}; give more by "
            "--set training.epochs=N."
        )


def load_checkpoint(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Return the recipe's file and the last checkpoint of the run in a folder.

    Raises
    ------
    InputError : no run or no checkpoint there, a checkpoint of another recipe.
    """
    path = folder / "recipe.toml"
    if not path.is_file():
        raise InputError(f"there is no run in '{folder}': it has no recipe.toml.")
    state = checkpoint.load(folder / CHECKPOINT)
    if state.get("recipe") != path.read_text(encoding="utf-8", errors="replace"):
        raise InputError(f"'{folder / CHECKPOINT}' is the checkpoint of another recipe than '{path}'.")
    rows = state.get("rows")
    if (
        not isinstance(rows, list)
        or not all(isinstance(row, dict) for row in rows)
        or len(rows) != state.get("epoch", len(rows))
    ):
        raise InputError(
            f"'{folder / CHECKPOINT}' is not a whole checkpoint: its rows are missing or not one for each epoch."
        )
    return path, state
