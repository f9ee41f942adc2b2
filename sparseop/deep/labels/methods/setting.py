"""What is known of a run when its loss is built, and what losses with a table of their own say when it does not fit."""

from dataclasses import dataclass

from torch import Tensor


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


def memory_note(name: str, n_samples: int, n_classes: int) -> str:
    """Return how an N x K table of a method is called when it does not fit."""
    return f"the table of {name} for {n_samples} samples and {n_classes} classes"
