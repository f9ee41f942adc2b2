"""What a loss may want of a training loop beside logits, labels and index: one small protocol each.

Most losses want nothing. Who writes a loop for a loss that does looks here, or waits to be told: a hook that was needed
and not called is named by an ``InputError`` at the next step in training, instead of a loss that is silently another
one. ``isinstance(loss, WantsPass)`` tells whether a loss has a hook; ``require_whole`` refuses one that has half of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from sparseop.errors import InputError


@runtime_checkable
class CountsEpochs(Protocol):
    """A loss that changes with the epoch: ``start_epoch`` before the first step of each."""

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Tell which epoch begins, from 0, of how many."""


@runtime_checkable
class MixesInputs(Protocol):
    """A loss whose network sees other images than the data set's: ``network(loss.mix(images))``."""

    def mix(self, images: Tensor) -> Tensor:
        """Return the images (B, C, H, W) that the network is to see."""


@runtime_checkable
class WantsPass(Protocol):
    """A loss that looks at every sample again after an epoch, where ``needs_pass`` says so.

    The logits are those of the network in evaluation mode on images without augmentation::

        if loss.needs_pass:
            for index, images, labels in batches:
                loss.visit(network(images), labels, index, rate)    # rate: the network's learning rate in this epoch
            loss.end_pass()
    """

    needs_pass: bool

    def visit(self, logits: Tensor, labels: Tensor, index: Tensor, rate: float) -> None:
        """See a batch of the pass."""

    def end_pass(self) -> None:
        """Finish the pass."""


@runtime_checkable
class SeveralNetworks(Protocol):
    """A loss that trains several networks: it is called with their logits stacked, (networks, B, K)."""

    networks: ClassVar[int]


@runtime_checkable
class SeveralViews(Protocol):
    """A loss of further augmentations of each image beside the loop's own: logits come stacked, (1 + views, B, K)."""

    views: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """What a loss that runs the networks itself gets for a step.

    Attributes
    ----------
    labels, index : (B,) given labels, and which samples these are.
    place : where in the run, in [0, 1).
    view : makes fresh augmented images (B, C, H, W) of the batch.
    run : logits (B, K) of a network, in whatever mode it is, for images, in the run's precision.
    networks : those that learn.
    """

    labels: Tensor
    index: Tensor
    place: float
    view: Callable[[], Tensor]
    run: Callable[[nn.Module, Tensor], Tensor]
    networks: nn.ModuleList


@runtime_checkable
class RunsNetworks(Protocol):
    """A loss that runs the networks itself, several times a step, on views that it asks for and on mixtures."""

    def attach(self, networks: nn.ModuleList) -> None:
        """See the networks before the first step; what is kept of them must be a copy."""

    def learn(self, step: Step) -> tuple[Tensor, Tensor]:
        """Return the loss, and logits (B, K) of the batch that tell what has been learnt."""

    def moved(self, step: Step) -> None:
        """Follow the networks after the optimiser has moved them."""

    def judges(self, networks: nn.ModuleList) -> list[nn.Module]:
        """Return the networks by which the run is judged: the mean of their logits."""


@runtime_checkable
class Suspects(Protocol):
    """A loss that tells which labels it thinks are wrong."""

    def suspicion(self, labels: Tensor) -> Tensor:
        """Return how surely each sample's given label is wrong, (N,) in [0, 1], above 1/2 meaning wrong."""


@runtime_checkable
class Proposes(Protocol):
    """A loss that has labels of its own for the samples."""

    def proposed(self, labels: Tensor) -> Tensor:
        """Return the label that the loss would give each sample, (N,) int64; the given one where it has no better."""


@runtime_checkable
class Measures(Protocol):
    """A loss with something to record after each epoch."""

    def measures(self, labels: Tensor) -> dict[str, Tensor]:
        """Return scalars by name, each worth a column; the names must not change."""


HOOKS: tuple[tuple[type, tuple[str, ...]], ...] = (
    (CountsEpochs, ("start_epoch",)),
    (MixesInputs, ("mix",)),
    (WantsPass, ("needs_pass", "visit", "end_pass")),
    (SeveralNetworks, ("networks",)),
    (SeveralViews, ("views",)),
    (RunsNetworks, ("attach", "learn", "moved", "judges")),
    (Suspects, ("suspicion",)),
    (Proposes, ("proposed",)),
    (Measures, ("measures",)),
)


def require_whole(loss: nn.Module) -> None:
    """Refuse a loss that has some members of a hook and not all: the loop would pass it by.

    Raises
    ------
    InputError : naming what is there and what is missing.
    """
    for hook, members in HOOKS:
        there = [name for name in members if hasattr(loss, name)]
        if there and len(there) < len(members):
            missing = ", ".join(name for name in members if name not in there)
            raise InputError(
                f"{type(loss).__name__} has {', '.join(there)} and no {missing}; {hook.__name__} is all of them."
            )


def learning(loss: nn.Module) -> bool:
    """Whether a call is a step of training: the module in training mode, and gradients enabled."""
    return loss.training and torch.is_grad_enabled()


def require_stack(loss: nn.Module, logits: Tensor, labels: Tensor, count: int, what: str) -> None:
    """Refuse logits that are not ``count`` stacked (B, K) tables, one a ``what``."""
    if logits.ndim != 3 or logits.shape[:2] != (count, len(labels)):
        raise InputError(
            f"{type(loss).__name__} takes logits of shape ({count}, {len(labels)}, K), one table a {what} "
            f"(torch.stack), got {tuple(logits.shape)}."
        )


class ByEpoch(nn.Module):
    """A loss that changes with the epoch, and says so when ``start_epoch`` was not called."""

    epoch: int | None = None

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Tell which epoch begins, from 0, of how many."""
        del epochs
        self.epoch = epoch

    def require_epoch(self) -> None:
        """Refuse a step of training before the first epoch has begun."""
        if self.epoch is None and learning(self):
            raise InputError(
                f"{type(self).__name__} changes with the epoch: call start_epoch(epoch, epochs), epoch from 0, before "
                "the first step of each epoch."
            )
