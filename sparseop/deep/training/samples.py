"""The samples of a run: images, the labels given to the trainer, the true ones, and which samples train."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sparseop.deep.datasets import Dataset


@dataclass(frozen=True)
class NoisyLabels:
    """Labels to train on, beside the true ones.

    Attributes
    ----------
    given, true : int64 (N,).
    transition : float64 (K, K), the realised transition matrix: the share of the samples of true class i that carry
        label j. The row of a class without samples is that of the identity.
    kind, rate, seed : what made them.
    """

    given: Tensor
    true: Tensor
    transition: Tensor
    kind: str
    rate: float
    seed: int

    @property
    def corrupted(self) -> Tensor:
        """Which labels are wrong, bool (N,)."""
        return self.given != self.true

    @property
    def realised_rate(self) -> float:
        """The share of wrong labels."""
        return float(self.corrupted.double().mean())

    def save(self, path: Path) -> None:
        """Write labels and transition matrix to ``path`` (.npz), which ``corrupt(..., "file", path=path)`` reads."""
        with path.open("wb") as file:
            np.savez_compressed(
                file, given=self.given.numpy(), true=self.true.numpy(), transition=self.transition.numpy()
            )


@dataclass(frozen=True)
class Samples:
    """A data set as one run sees it.

    Attributes
    ----------
    dataset : images, test sets, true labels.
    labels : given and true labels of all N training images, and their transition matrix.
    train, validation : int64 indices into the N; together all of them.
    """

    dataset: Dataset
    labels: NoisyLabels
    train: Tensor
    validation: Tensor


def describe(
    given: Tensor, true: Tensor, n_classes: int, *, kind: str = "given", rate: float = 0.0, seed: int = 0
) -> NoisyLabels:
    """Return ``given`` and ``true`` labels with their realised transition matrix."""
    counts = torch.bincount(true * n_classes + given, minlength=n_classes**2).reshape(n_classes, n_classes).double()
    sizes = counts.sum(1, keepdim=True)
    transition = torch.where(sizes > 0, counts / sizes.clamp(min=1), torch.eye(n_classes, dtype=torch.float64))
    return NoisyLabels(given, true, transition, kind, rate, seed)
