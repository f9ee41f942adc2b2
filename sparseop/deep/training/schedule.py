"""Learning rates of a run: pure functions of the recipe, so that a resumed run needs no scheduler's state."""

import math
from dataclasses import dataclass
from typing import Protocol


class Stepwise(Protocol):
    """A rate that changes between epochs; what ``rates`` wants to know."""

    @property
    def epochs(self) -> int:
        """T, passes over the training samples."""

    @property
    def lr(self) -> float:
        """The first rate."""

    @property
    def schedule(self) -> str:
        """One of "constant", "step", "cosine"."""

    @property
    def milestones(self) -> tuple[int, ...]:
        """Of "step": the rate is lower from the epoch after each, counted from 1."""

    @property
    def gamma(self) -> float:
        """Factor of "step"."""

    @property
    def eta_min(self) -> float:
        """Last rate of "cosine"."""


class Smooth(Protocol):
    """A rate that changes with every step; what ``rate`` wants to know."""

    @property
    def epochs(self) -> int:
        """T, passes over the training samples."""

    @property
    def lr(self) -> float:
        """The first rate."""

    @property
    def schedule(self) -> str:
        """One of "constant", "cosine", "cosine-epoch"."""

    @property
    def warmup(self) -> int:
        """Epochs of linear rise from 0."""


@dataclass(frozen=True)
class Schedule:
    """A ``Stepwise`` schedule on its own."""

    epochs: int
    lr: float
    schedule: str = "constant"
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    eta_min: float = 0.0


def rates(training: Stepwise) -> tuple[float, ...]:
    """Return the learning rate tau of each epoch 0..T-1.

    "step": lr gamma^(number of milestones <= epoch). "cosine": eta_min + (lr - eta_min) (1 + cos(pi epoch / T)) / 2, as
    torch's CosineAnnealingLR with T_max = T stepped once an epoch. "linear": lr (1 - epoch / T), and on within the
    epoch.
    """
    return tuple(_rate(training, epoch) for epoch in range(training.epochs))


def _rate(training: Stepwise, epoch: int) -> float:
    match training.schedule:
        case "step":
            return training.lr * training.gamma ** sum(milestone <= epoch for milestone in training.milestones)
        case "cosine":
            amplitude = (training.lr - training.eta_min) / 2
            return training.eta_min + amplitude * (1 + math.cos(math.pi * epoch / training.epochs))
        case "linear":
            return linear(training.lr, epoch / training.epochs)
        case _:
            return training.lr


def linear(first: float, place: float) -> float:
    """Return the rate at ``place`` of a run, in [0, 1), that falls from ``first`` to 0 with every step."""
    return first * (1 - place)


def rate(training: Smooth, place: float) -> float:
    """Return the learning rate at ``place`` in [0, 1) of the run.

    "cosine": lr (1 + cos(pi place)) / 2 with every step. "cosine-epoch": the same at the end of the epoch, lr (1 +
    cos(pi e / T)) / 2 with e = 1..T. Either is multiplied by the share of ``warmup`` epochs that is over, where there
    are any.
    """
    done = place * training.epochs
    if training.schedule == "constant":
        value = training.lr
    else:
        at = place if training.schedule == "cosine" else (math.floor(done + 1e-9) + 1) / training.epochs
        value = training.lr * (1 + math.cos(math.pi * at)) / 2
    return value * min(1.0, done / training.warmup) if training.warmup else value
