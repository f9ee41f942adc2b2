"""The training loop: ``train(recipe, folder)`` and ``resume(folder)``.

A run is a folder::

    recipe.toml     the resolved recipe: every default spelt out
    run.json        versions, hardware, commit, data, times
    labels.npz      given and true labels, their transition matrix
    metrics.csv     one row an epoch
    last.pt         the checkpoint of the last finished epoch
    summary.json    final and best epoch, memorisation, detection of wrong labels, calibration
    samples.npz     for each sample: how suspicious its label is, the label proposed instead, the network's prediction

Within an epoch nothing waits for the device: losses are summed there, and read once an epoch. All randomness of an epoch
comes from generators seeded by (seed, epoch), and the learning rate is a function of the epoch, so a run that was killed
goes on bit by bit as if it had not been.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from sparseop.deep import augment, checkpoint, distributed, networks
from sparseop.deep import device as devices
from sparseop.deep import recipe as recipes
from sparseop.deep.data import Samples, prepare, seed_for
from sparseop.deep.examiner import Examiner
from sparseop.deep.feed import Feed, epoch_order, whole_pass
from sparseop.deep.methods import METHODS, Method, Setting
from sparseop.deep.recipe import Recipe
from sparseop.deep.records import Record, Row
from sparseop.deep.schedule import rates
from sparseop.errors import InputError

Watch = Callable[[int, int, Row | None], None]
CHECKPOINT = "last.pt"


def train(recipe: Recipe, folder: Path, *, device: str = "auto", data_root: Path | str | None = None,
          download: bool = False, watch: Watch | None = None) -> dict[str, Any]:
    """Train a recipe into a new run folder and return its summary.

    Parameters
    ----------
    recipe : what to do.
    folder : where the run goes; must not hold a run.
    device : "auto" (CUDA where there is one), "cpu", "cuda", "cuda:1", "mps".
    data_root, download : see ``datasets.load``.
    watch : called with (epoch, steps done in it, the epoch's row once it is finished).

    Raises
    ------
    InputError : bad data or options; a loss that is not finite (the last good checkpoint stays); a full disk.
    """
    if (folder / "recipe.toml").exists():
        raise InputError(f"'{folder}' already holds a run; go on with it by --resume, or choose another folder.")
    target = devices.choose(device)
    distributed.start(target)
    samples = prepare(recipe, data_root, download=download)
    run = _Run(recipe, samples, target)
    record = Record.create(folder, recipes.text(run.resolved), samples, target)
    return run.fit(record, 0, watch)


def resume(folder: Path, *, device: str = "auto", data_root: Path | str | None = None, watch: Watch | None = None) -> dict[str, Any]:
    """Go on with a run from its last checkpoint and return its summary.

    Raises
    ------
    InputError : no run or no checkpoint there, a checkpoint of another recipe, other data than the run began with.
    """
    path = folder / "recipe.toml"
    if not path.is_file():
        raise InputError(f"there is no run in '{folder}': it has no recipe.toml.")
    recipe = recipes.read(path)
    state = checkpoint.load(folder / CHECKPOINT)
    if state["recipe"] != path.read_text(encoding="utf-8"):
        raise InputError(f"'{folder / CHECKPOINT}' is the checkpoint of another recipe than '{path}'.")
    target = devices.choose(device)
    distributed.start(target)
    samples = prepare(recipe, data_root)
    run = _Run(recipe, samples, target)
    record = Record.reopen(folder, samples, state["rows"])
    run.load(state)
    return run.fit(record, int(state["epoch"]), watch)


class _Run:
    """Networks, method and optimiser of one run on one device."""

    def __init__(self, recipe: Recipe, samples: Samples, device: torch.device) -> None:
        self.samples, self.device = samples, device
        self.training, self.engine, self.seed = recipe.training, recipe.engine, recipe.seed
        devices.prepare(device, deterministic=self.engine.deterministic, threads=self.engine.threads)
        dataset = samples.dataset
        self.rates = rates(self.training)
        self.n_classes = dataset.n_classes

        # 1. The method, its options resolved for this run.
        setting = Setting(
            n_samples=len(dataset.train_images), n_classes=self.n_classes, batch_size=self.training.batch_size,
            rates=self.rates, transition=samples.labels.transition if dataset.truth_known else None,
        )
        cls = METHODS[recipe.method.name]
        options = cls.resolve(recipe.method.options, setting)
        self.resolved = _with_method(recipe, options)
        self.method: Method = cls.build(options, setting, seed=seed_for(self.seed, "method"))
        state = sum(buffer.nbytes for buffer in self.method.buffers())
        devices.require_room(device, state, f"the per-sample variables of {recipe.method.name} ({setting.n_samples} x {self.n_classes})")
        self.method.to(device)

        # 2. The networks; every rank starts from the same weights.
        torch.manual_seed(seed_for(self.seed, "network"))
        layout = torch.channels_last if self.engine.channels_last else torch.contiguous_format
        self.networks = nn.ModuleList(
            distributed.synchronise_batch_norm(
                networks.build(recipe.network.name, self.n_classes, dataset.train_images.shape[1], **recipe.network.options)
                .to(device, memory_format=layout))  # type: ignore[call-overload]
            for _ in range(self.method.networks))
        self.forwards = [self._wrapped(network) for network in self.networks]
        self.optimiser = torch.optim.SGD(
            self.networks.parameters(), lr=self.rates[0], momentum=self.training.momentum, nesterov=self.training.nesterov,
            weight_decay=self.training.weight_decay, fused=device.type in ("cuda", "cpu"))

        # 3. The data, and who judges the result.
        self.views = [self._augment(name) for name in (self.training.augment, *self.method.views)]
        self.plain = self._augment("none")
        if isinstance(dataset.train_images, Tensor):
            devices.require_room(device, dataset.train_images.nbytes, f"the training images of {dataset.name}")
        self.train_feed = Feed(dataset.train_images, device)
        self.examiner = Examiner(samples, self.train_feed, self.method, self._plain_logits, self.engine.test_batch)
        self.given = self.examiner.given
        self.predicted = torch.full_like(self.given, -1)

    # ---- epochs ----------------------------------------------------------------------------------------------------

    def fit(self, record: Record, done: int, watch: Watch | None) -> dict[str, Any]:
        """Train the epochs from ``done`` on and return the summary."""
        try:
            for epoch in range(done, self.training.epochs):
                started = time.perf_counter()
                row: Row = {"epoch": epoch + 1, "lr": self.rates[epoch], **self._epoch(epoch, watch)}
                row |= self.examiner.measure(distributed.total(self.predicted + 1) - 1)  # each rank knows its share
                last = epoch + 1 == self.training.epochs
                row |= self.examiner.test(wanted=last or (epoch + 1) % self.engine.test_every == 0)
                row["epoch_seconds"] = round(time.perf_counter() - started, 3)
                if distributed.rank() == 0:
                    record.rows.append(row)
                    self._save(record, epoch + 1)
                    record.write()
                distributed.barrier()
                if watch is not None:
                    watch(epoch, 0, row)
            summary: dict[str, Any] = {}
            if distributed.rank() == 0:
                summary, of_samples = self.examiner.summary(record.rows)
                record.finish(summary, of_samples)
            distributed.barrier()
            return summary
        except torch.OutOfMemoryError:
            raise InputError(f"{self.device} ran out of memory; a smaller training.batch_size (now {self.training.batch_size}) or "
                             "engine.precision = 'bfloat16' needs less. The last good checkpoint is kept.") from None
        finally:
            record.close()

    def _epoch(self, epoch: int, watch: Watch | None) -> Row:
        """Train one epoch; return loss, speed and running accuracies."""
        rank, world = distributed.rank(), distributed.world()
        order = epoch_order(self.samples.train, self.training.batch_size, _generator("cpu", self.seed, "order", epoch),
                            drop_last=self.training.drop_last, rank=rank, world=world)
        draws = [_generator(self.device, self.seed, "augment", view, epoch, rank) for view in range(len(self.views))]
        torch.manual_seed(seed_for(self.seed, "torch", epoch, rank))  # dropout, MixUp
        for group in self.optimiser.param_groups:
            group["lr"] = self.rates[epoch]
        self.method.start_epoch(epoch, self.training.epochs)
        self.method.train()
        self.networks.train()
        self.predicted.fill_(-1)
        loss_sum = torch.zeros((), device=self.device)
        first_bad = torch.full((), len(order), device=self.device)

        started = time.perf_counter()
        for step, (index, images) in enumerate(self.train_feed.batches(order)):
            loss = self._step(index, images, draws)
            loss_sum += loss
            first_bad = torch.where(loss.isfinite(), first_bad, first_bad.clamp(max=step))
            if watch is not None:
                watch(epoch, step + 1, None)
        losses = distributed.total(loss_sum) / (len(order) * world)
        bad = int(distributed.gather(first_bad[None]).min())
        seconds = time.perf_counter() - started  # after the reads above, so the device has finished
        if bad < len(order):
            raise InputError(
                f"the loss was not finite at step {bad + 1} of {len(order)} in epoch {epoch + 1}; the run stops and keeps its "
                f"last good checkpoint ({f'epoch {epoch}' if epoch else 'none yet'}). A lower training.lr or training.clip > 0 may help.")
        if self.method.needs_pass:
            self._pass(self.rates[epoch])
        return {"loss": float(losses), "seconds": round(seconds, 3),
                "images_per_second": round(sum(map(len, order)) * world / seconds, 1)}

    def _step(self, index: Tensor, images: Tensor, draws: list[torch.Generator]) -> Tensor:
        """Take one optimisation step; return the loss, on the device."""
        seen = self.method.mix(self.views[0](images, draws[0]))
        if len(self.views) > 1:  # one batch through batch normalisation, as the released code of SOP+
            seen = torch.cat([seen, *(view(images, draw) for view, draw in zip(self.views[1:], draws[1:], strict=True))])
        logits = self._logits(self.forwards, seen)
        if len(self.views) > 1:
            logits = logits.view(*logits.shape[:-2], len(self.views), len(index), self.n_classes)
        loss: Tensor = self.method(logits, self.given[index], index)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        if self.training.clip > 0:
            nn.utils.clip_grad_norm_(self.networks.parameters(), self.training.clip)
        self.optimiser.step()
        self.predicted[index] = logits.detach().view(-1, *logits.shape[-2:])[0].argmax(1)
        return loss.detach()

    def _logits(self, forwards: Sequence[Callable[[Tensor], Tensor]], images: Tensor) -> Tensor:
        """Return logits (B, K), or (networks, B, K)."""
        if self.engine.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        with self._autocast():
            outputs: list[Tensor] = [forward(images) for forward in forwards]
        return outputs[0] if len(outputs) == 1 else torch.stack(outputs)

    @torch.no_grad()
    def _pass(self, rate: float) -> None:
        """Let the method see every sample, unaugmented, by the networks in evaluation mode."""
        parts = whole_pass(self.samples.train, self.engine.test_batch, rank=distributed.rank(), world=distributed.world())
        for index, images in self.train_feed.batches(parts):
            self.method.visit(self._plain_logits(images), self.given[index], index, rate)
        self.method.end_pass()

    def _plain_logits(self, images: Tensor) -> Tensor:
        """Return the logits (B, K) of the first network in evaluation mode, without augmentation."""
        self.networks.eval()
        return self._logits([self.networks[0]], self.plain(images, _NO_DRAWS))

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def _save(self, record: Record, epoch: int) -> None:
        checkpoint.save(record.folder / CHECKPOINT, {
            "recipe": recipes.text(self.resolved), "epoch": epoch, "networks": self.networks.state_dict(),
            "method": self.method.state_dict(), "optimiser": self.optimiser.state_dict(), "rows": record.rows,
        })

    def load(self, state: dict[str, Any]) -> None:
        """Take over the state of a checkpoint."""
        try:
            self.networks.load_state_dict(state["networks"])
            self.method.load_state_dict(state["method"])
            self.optimiser.load_state_dict(state["optimiser"])
        except (RuntimeError, ValueError, KeyError) as error:
            reason = str(error).split("\n")[0]
            raise InputError(f"the checkpoint does not fit this run's networks and method: {reason}") from None

    # ---- small parts -----------------------------------------------------------------------------------------------

    def _augment(self, name: str) -> augment.Augment:
        dataset = self.samples.dataset
        return augment.build(name, mean=dataset.mean, std=dataset.std, pad=self.training.pad, hole=self.training.hole,
                             crop=self.training.crop)

    def _wrapped(self, network: nn.Module) -> Callable[[Tensor], Tensor]:
        wrapped = network
        if distributed.world() > 1:
            ids = [self.device.index] if self.device.type == "cuda" else None
            wrapped = DistributedDataParallel(network, device_ids=ids, broadcast_buffers=False)
        return torch.compile(wrapped, dynamic=False) if self.engine.compile else wrapped

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.engine.precision == "bfloat16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()


_NO_DRAWS = torch.Generator()  # for augmentations that draw nothing


def _generator(device: str | torch.device, *key: int | str) -> torch.Generator:
    return torch.Generator(device).manual_seed(seed_for(*key))


def _with_method(recipe: Recipe, options: dict[str, Any]) -> Recipe:
    return replace(recipe, method=replace(recipe.method, options=options))
