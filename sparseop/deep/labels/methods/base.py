"""What a trainer needs to know of a method; every method is a plain ``nn.Module`` that works in any loop.

A loop needs four lines more than it needs for cross-entropy::

    method = SOP(n_samples, n_classes)
    for epoch in range(epochs):
        method.start_epoch(epoch, epochs)
        for index, images, labels in batches:            # index: which samples, (B,) int64, distinct
            loss = method(network(images), labels, index)  # per-sample state moves here, in training mode
            ...
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn


@dataclass(frozen=True)
class Setting:
    """What is known of a run when its method is built.

    Attributes
    ----------
    n_samples, n_classes : N, K.
    batch_size : the global batch B.
    rates : the learning rate tau of each epoch; its length is the number of epochs.
    transition : (K, K) shares of given labels (columns) for each true label (rows), where known.
    """

    n_samples: int
    n_classes: int
    batch_size: int
    rates: tuple[float, ...]
    transition: Tensor | None = None


class Method(nn.Module):
    """A loss with per-sample state in its buffers.

    Attributes
    ----------
    networks : how many networks it trains; their logits arrive stacked, (networks, B, K).
    views : further augmentations of each image, beside the recipe's own; logits arrive stacked, (1 + views, B, K).
    needs_pass : whether ``visit`` must see every sample after each epoch.
    """

    networks: ClassVar[int] = 1
    views: tuple[str, ...] = ()
    needs_pass: bool = False

    @classmethod
    def resolve(cls, options: Mapping[str, Any], setting: Setting) -> dict[str, Any]:
        """Return the options with what depends on the run filled in, such as learning rates given as "auto"."""
        del setting
        return dict(options)

    @classmethod
    def build(cls, options: Mapping[str, Any], setting: Setting, *, seed: int) -> "Method":
        """Return the method for a run; ``options`` are resolved, ``seed`` draws the start of its state."""
        del seed
        return cls(setting.n_samples, setting.n_classes, **options)

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Tell which epoch begins, from 0."""

    def mix(self, images: Tensor) -> Tensor:
        """Return the images (B, C, H, W) that the network is to see."""
        return images

    def forward(self, logits: Tensor, labels: Tensor, index: Tensor) -> Tensor:
        """Return the loss, a scalar: the mean over the batch.

        Parameters
        ----------
        logits : (B, K), or stacked as ``networks`` and ``views`` say.
        labels : (B,) the given labels.
        index : (B,) which training samples these are; distinct.
        """
        raise NotImplementedError

    def visit(self, logits: Tensor, labels: Tensor, index: Tensor, rate: float) -> None:
        """See a batch of the pass after the epoch: logits of the network in evaluation mode on plain images."""

    def end_pass(self) -> None:
        """Finish the pass after the epoch."""

    def suspicion(self, labels: Tensor) -> Tensor | None:
        """Return how surely each sample's given label is wrong, (N,) in [0, 1], above 1/2 meaning wrong; or None."""
        del labels
        return None

    def proposed(self, labels: Tensor) -> Tensor | None:
        """Return the label that the method would give each sample, (N,) int64; or None."""
        del labels
        return None

    def measures(self, labels: Tensor) -> dict[str, Tensor]:
        """Return what is worth a column of the record after each epoch, scalars by name; the names must not change."""
        del labels
        return {}


def memory_note(name: str, n_samples: int, n_classes: int) -> str:
    """Return how an N x K table of a method is called when it does not fit."""
    return f"the table of {name} for {n_samples} samples and {n_classes} classes"
