"""The learning rate of a contrastive run: a pure function of the place in it, so that a resumed run needs no scheduler's state."""

import math

from sparseop.deep.contrastive.recipe import Training


def rate(training: Training, place: float) -> float:
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
