"""The training loop: ``train(recipe, folder)`` and ``resume(folder)``.

A run is a folder::

    recipe.toml     the resolved recipe: every default spelt out
    run.json        versions, hardware, commit, data, times
    labels.npz      given and true labels, their transition matrix
    metrics.csv     one row an epoch
    last.pt         the checkpoint of the last finished epoch
    summary.json    final and best epoch, memorisation, detection of wrong labels, calibration
    samples.npz     for each sample: how suspicious its label is, the label proposed instead, the network's prediction
    suspects.csv    the same as a table, the most suspicious first; labels.csv: the labels that train again
    images.txt      the paths of the training images, where they come from files
    chosen.pt       the weights of the epoch that held-out training samples chose, where some are held out

What all trainers share (epochs, checkpoints, what goes wrong) is ``sparseop.deep.training.loop``.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from sparseop.deep import augment, networks
from sparseop.deep.augment.geometry import mirror
from sparseop.deep.datasets import Dataset
from sparseop.deep.labels import methods, suspects
from sparseop.deep.labels import recipe as recipes
from sparseop.deep.labels.data import prepare
from sparseop.deep.labels.examiner import Examiner
from sparseop.deep.labels.methods import Setting
from sparseop.deep.labels.methods.hooks import (
    CountsEpochs,
    MixesInputs,
    RunsNetworks,
    SeveralNetworks,
    SeveralViews,
    Step,
    WantsPass,
)
from sparseop.deep.labels.recipe import Recipe, Training
from sparseop.deep.training import device as devices
from sparseop.deep.training import distributed, optimisers
from sparseop.deep.training.feed import whole_pass
from sparseop.deep.training.loop import CHECKPOINT, Given, Loop, Watch, weakly
from sparseop.deep.training.records import Record, Row
from sparseop.deep.training.samples import Samples
from sparseop.deep.training.schedule import linear, rates
from sparseop.deep.training.schema import Component
from sparseop.deep.training.seeds import generator, seed_for
from sparseop.errors import InputError

__all__ = ["CHECKPOINT", "Watch", "branch", "resume", "train"]


class _Run(Loop):
    """Networks, method and optimiser of one run on one device."""

    training: Training
    read = staticmethod(recipes.read)
    prepare = staticmethod(prepare)

    def __init__(self, recipe: Recipe, samples: Samples, device: torch.device, *, network: Given = None) -> None:
        super().__init__(recipe, samples, device, network=network)
        dataset = samples.dataset
        self.rates = rates(self.training)
        self.n_classes = dataset.n_classes

        # 1. The method, its options resolved for this run.
        setting = Setting(
            n_samples=len(dataset.train_images),
            n_classes=self.n_classes,
            batch_size=self.training.batch_size,
            rates=self.rates,
            transition=samples.labels.transition if dataset.truth_known else None,
        )
        options = methods.resolve(recipe.method.name, recipe.method.options, setting)
        self.resolved = _with_method(recipe, options)
        self.method = methods.build(recipe.method.name, options, setting, seed=seed_for(self.seed, "method"))
        views = self.method.views if isinstance(self.method, SeveralViews) else ()
        state = sum(buffer.nbytes for buffer in self.method.buffers())
        devices.require_room(
            device, state, f"the per-sample variables of {recipe.method.name} ({setting.n_samples} x {self.n_classes})"
        )
        self.method.to(device)

        # 2. The networks; every rank starts from the same weights.
        torch.manual_seed(seed_for(self.seed, "network"))
        layout = torch.channels_last if self.engine.channels_last else torch.contiguous_format
        self.networks = nn.ModuleList(
            distributed.synchronise_batch_norm(self._network(recipe.network, dataset, layout))
            for _ in range(self.method.networks if isinstance(self.method, SeveralNetworks) else 1)
        )
        if isinstance(self.method, RunsNetworks):
            if distributed.world() > 1:
                raise InputError(f"method {recipe.method.name!r} runs on one process, got {distributed.world()}.")
            self.method.attach(self.networks)
        self.forwards = [self.wrapped(network) for network in self.networks]
        self.optimiser = optimisers.build(self.training, self.networks, device)

        # 3. The data, and who judges the result.
        self.views = [self._augment(name) for name in (self.training.augment, *views)]
        self.plain = self._augment("none")
        self.show(self.networks, lambda images: self.plain(images, _NO_DRAWS))
        self.coin = torch.randint(
            2, (setting.n_samples,), generator=generator("cpu", self.seed, "mirror"), dtype=torch.bool
        ).to(device)
        self.turned = False  # whether this epoch mirrors the other half, where mirroring alternates
        self.examiner = Examiner(
            samples, self.train_feed, self.method, weakly(self._judged_logits), self.engine.test_batch
        )
        self.given = self.examiner.given
        self.predicted = torch.full_like(self.given, -1)

    # ---- epochs ----------------------------------------------------------------------------------------------------

    def rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch."""
        return self.rates[epoch]

    def rehearse(self, images: Tensor) -> None:
        """Send images through all views and the networks, in evaluation mode."""
        self._begin(0)
        self.networks.eval()
        for view in [*self.views, self.plain]:
            logits = self._logits(list(self.networks), view(images, generator(self.device, self.seed, "rehearsal")))
            if logits.shape[-2:] != (len(images), self.n_classes):
                raise InputError(
                    f"the network must give logits of shape (images, classes) = {(len(images), self.n_classes)}, got "
                    f"{tuple(logits.shape[-2:])}."
                )

    def start_epoch(self, epoch: int) -> list[torch.Generator]:
        """Set rate and modes; return the generators of the views."""
        optimisers.set_rate(self.optimiser, self.rates[epoch])
        self.turned = epoch % 2 == 1
        self._begin(epoch)
        self.method.train()
        self.networks.train()
        self.predicted.fill_(-1)
        return [
            generator(self.device, self.seed, "augment", view, epoch, distributed.rank())
            for view in range(len(self.views))
        ]

    def _begin(self, epoch: int) -> None:
        if isinstance(self.method, CountsEpochs):
            self.method.start_epoch(epoch, self.training.epochs)

    def step(self, place: float, index: Tensor, images: Tensor, draws: list[torch.Generator]) -> Tensor:
        """Take one optimisation step; return the loss, on the device."""
        if self.training.schedule == "linear":
            optimisers.set_rate(self.optimiser, linear(self.training.lr, place))
        return self._step(place, index, images, draws)

    def end_epoch(self, epoch: int) -> Row:
        """Let a method that wants it see every sample once more."""
        if isinstance(self.method, WantsPass) and self.method.needs_pass:
            self._pass(self.method, self.rates[epoch])
        return {}

    def judge(self, *, wanted: bool) -> Row:
        """Return what the epoch says about the labels, and the test accuracies where they are ``wanted``."""
        row = self.examiner.measure(distributed.total(self.predicted + 1) - 1)  # each rank knows its share
        return row | self.examiner.test(wanted=wanted)

    def summary(self, rows: list[Row]) -> tuple[dict[str, Any], dict[str, Tensor] | None]:
        """Return the summary of the run and what is known of each training sample."""
        result, of_samples = self.examiner.summary(rows)
        judged = "mean of image and mirror image" if self.resolved.evaluation.mirror else "image"
        return {"judged_by": judged, **result}, of_samples

    def _step(self, place: float, index: Tensor, images: Tensor, draws: list[torch.Generator]) -> Tensor:
        """Take one optimisation step; return the loss, on the device."""
        if self.training.mirror == "alternate":
            images = mirror(images, self.coin[index] ^ self.turned)
        if isinstance(self.method, RunsNetworks):
            return self._own_step(self.method, place, index, images, draws[0])
        seen = self.views[0](images, draws[0])
        if isinstance(self.method, MixesInputs):
            seen = self.method.mix(seen)
        if len(self.views) > 1:  # one batch through batch normalisation, as the released code of SOP+
            seen = torch.cat(
                [seen, *(view(images, draw) for view, draw in zip(self.views[1:], draws[1:], strict=True))]
            )
        logits = self._logits(self.forwards, seen)
        if len(self.views) > 1:
            logits = logits.view(*logits.shape[:-2], len(self.views), len(index), self.n_classes)
        loss: Tensor = self.method(logits, self.given[index], index)
        self._descend(loss)
        self.predicted[index] = logits.detach().view(-1, *logits.shape[-2:])[0].argmax(1)
        return loss.detach()

    def _own_step(
        self, method: RunsNetworks, place: float, index: Tensor, images: Tensor, draw: torch.Generator
    ) -> Tensor:
        """Take one step of a method that runs the networks itself."""
        step = Step(
            self.given[index],
            index,
            place,
            lambda: self.views[0](images, draw),
            lambda network, seen: self._logits([network], seen),
            self.networks,
        )
        loss, logits = method.learn(step)
        self._descend(loss)
        method.moved(step)
        self.predicted[index] = logits.detach().argmax(1)
        return loss.detach()

    def _descend(self, loss: Tensor) -> None:
        """Let the optimiser take its step down the gradient of ``loss``."""
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        if self.training.clip > 0:
            nn.utils.clip_grad_norm_(self.networks.parameters(), self.training.clip)
        self.optimiser.step()

    def _logits(self, forwards: Sequence[Callable[[Tensor], Tensor]], images: Tensor) -> Tensor:
        """Return logits (B, K), or (networks, B, K)."""
        if self.engine.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        with self.autocast():
            outputs: list[Tensor] = [forward(images) for forward in forwards]
        return outputs[0] if len(outputs) == 1 else torch.stack(outputs)

    @torch.no_grad()
    def _pass(self, method: WantsPass, rate: float) -> None:
        """Let the method see every sample, unaugmented, by the networks in evaluation mode."""
        seeing = list(self.networks) if isinstance(method, SeveralNetworks) else [self.networks[0]]
        parts = whole_pass(
            self.samples.train, self.engine.test_batch, rank=distributed.rank(), world=distributed.world()
        )
        for index, images in self.train_feed.batches(parts):
            self.networks.eval()
            logits = self._logits(seeing, self.plain(images, _NO_DRAWS))
            method.visit(logits, self.given[index], index, rate)
        method.end_pass()

    def _plain_logits(self, images: Tensor) -> Tensor:
        """Return the logits (B, K) of what is judged, in evaluation mode, unaugmented: one network, or a mean."""
        judges = self.method.judges(self.networks) if isinstance(self.method, RunsNetworks) else [self.networks[0]]
        for network in judges:
            network.eval()
        logits = self._logits(judges, self.plain(images, _NO_DRAWS))
        return logits.mean(0) if len(judges) > 1 else logits

    def _judged_logits(self, images: Tensor) -> Tensor:
        """Return the logits (B, K) that the run is judged by: ``evaluation`` says which."""
        logits = self._plain_logits(images)
        return (logits + self._plain_logits(images.flip(3))) / 2 if self.resolved.evaluation.mirror else logits

    def publish(self, record: Record, of_samples: dict[str, Tensor] | None) -> None:
        """Write the ranked suspects and the labels that train again."""
        if of_samples is not None:
            suspects.write(record.folder, self.samples, of_samples)

    # ---- checkpoints -----------------------------------------------------------------------------------------------

    def recipe_text(self) -> str:
        """Return the resolved recipe."""
        return recipes.text(self.resolved)

    def parts(self) -> dict[str, Any]:
        """Return what a checkpoint holds, by name."""
        return {"networks": self.networks, "method": self.method, "optimiser": self.optimiser}

    # ---- small parts -----------------------------------------------------------------------------------------------

    def _network(self, spec: Component, dataset: Dataset, layout: torch.memory_format) -> nn.Module:
        k, channels, given = dataset.n_classes, dataset.train_images.shape[1], self.given_network
        if given is None:
            network = networks.build(spec.name, k, channels, **spec.options)
        elif not isinstance(given, nn.Module):
            network = given(k, channels)
        elif isinstance(self.method, SeveralNetworks):
            raise InputError(
                f"method {self.resolved.method.name!r} trains several networks, which must differ: give a function "
                "(number of classes, channels) -> network."
            )
        else:
            network = copy.deepcopy(given)
        return network.to(self.device, memory_format=layout)  # type: ignore[call-overload,no-any-return]

    def _augment(self, name: str) -> augment.Augment:
        dataset = self.samples.dataset
        return augment.build(
            name,
            mean=dataset.mean,
            std=dataset.std,
            pad=self.training.pad,
            hole=self.training.hole,
            crop=self.training.crop,
            flips=self.training.mirror == "random",
        )


train, resume, branch = _Run.train, _Run.resume, _Run.branch
_NO_DRAWS = torch.Generator()  # for augmentations that draw nothing


def _with_method(recipe: Recipe, options: dict[str, Any]) -> Recipe:
    return replace(recipe, method=replace(recipe.method, options=options))
