"""What training with wrong labels is judged by: memorisation, detection of wrong labels, labels proposed instead.

Notation: N samples, K classes, given labels y, true labels y*, predictions p. A label is corrupted where y != y*.
Shares are floats in [0, 1]; a share of nothing (the precision when no sample is flagged, memorisation without noise) is
nan, never 0 or 1. Detection follows the definitions of scikit-learn, ties included, to rounding.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sparseop.deep.training.metrics import auroc, average_precision, same_length, share
from sparseop.errors import InputError


@dataclass(frozen=True)
class Detection:
    """How well a score tells corrupted labels from correct ones.

    Attributes
    ----------
    flagged : how many samples score above the threshold.
    precision : share of the flagged that are corrupted.
    recall : share of the corrupted that are flagged.
    auroc : chance that a corrupted sample scores higher than a correct one; a tie counts half.
    average_precision : sum over distinct scores of (recall gained) x (precision there).
    """

    flagged: int
    precision: float
    recall: float
    auroc: float
    average_precision: float


def memorisation(predicted: Tensor, given: Tensor, true: Tensor) -> float:
    """Return the share of the corrupted samples for which the network predicts the wrong label that it was given."""
    same_length("predicted", predicted, "given", given)
    same_length("given", given, "true", true)
    corrupted = given != true
    return share((predicted == given)[corrupted].sum(), int(corrupted.sum()))


def proposal_accuracy(proposed: Tensor, given: Tensor, true: Tensor) -> float:
    """Return the share of the corrupted samples for which the proposed label is the true one."""
    same_length("proposed", proposed, "true", true)
    same_length("given", given, "true", true)
    corrupted = given != true
    return share((proposed == true)[corrupted].sum(), int(corrupted.sum()))


def detection(score: Tensor, corrupted: Tensor, threshold: float = 0.5) -> Detection:
    """Judge ``score`` (N,), high where a label is thought wrong, against the truth ``corrupted``, bool (N,).

    A sample is flagged where its score exceeds ``threshold``.

    Raises
    ------
    InputError : other lengths, or a score that is not a number.
    """
    same_length("score", score, "corrupted", corrupted)
    if torch.isnan(score).any():
        raise InputError(f"score must not be nan, got nan at index {int(torch.isnan(score).nonzero()[0])}.")
    flagged = score > threshold
    hits = (flagged & corrupted).sum()
    return Detection(
        flagged=int(flagged.sum()),
        precision=share(hits, int(flagged.sum())),
        recall=share(hits, int(corrupted.sum())),
        auroc=auroc(score, corrupted),
        average_precision=average_precision(score, corrupted),
    )
