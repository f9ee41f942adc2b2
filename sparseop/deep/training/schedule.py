"""Learning rates of a run: a pure function of the recipe, so that a resumed run needs no scheduler's state."""

import math

from sparseop.deep.labels.recipe import Training


def rates(training: Training) -> tuple[float, ...]:
    """Return the learning rate tau of each epoch 0..T-1.

    "step": lr gamma^(number of milestones <= epoch). "cosine": eta_min + (lr - eta_min) (1 + cos(pi epoch / T)) / 2, as
    torch's CosineAnnealingLR with T_max = T stepped once an epoch. "linear": lr (1 - epoch / T), and on within the
    epoch.
    """
    return tuple(_rate(training, epoch) for epoch in range(training.epochs))


def _rate(training: Training, epoch: int) -> float:
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
