"""Shares of what was found right: accuracy, areas under curves, precision over recall, calibration.

Shares are floats in [0, 1]; a share of nothing is nan, never 0 or 1. Areas and precisions follow the definitions of
scikit-learn, ties included, to rounding.
"""

import math

import torch
from torch import Tensor

from sparseop.errors import InputError, integer


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Return the share of rows of ``logits`` (N, K) whose largest entry stands at the label (N,)."""
    same_length("logits", logits, "labels", labels)
    return share((logits.argmax(1) == labels).sum(), len(labels))


def auroc(score: Tensor, positive: Tensor) -> float:
    """Return the area under the ROC curve, P(positive scores higher than negative) + P(equal) / 2; nan without both."""
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if n_positive == 0 or n_negative == 0:
        return math.nan
    # Mann-Whitney: the mean rank of the positives, where equal scores share their mean rank
    _, place, count = torch.unique(score, return_inverse=True, return_counts=True)
    mean_rank = count.cumsum(0).double() - (count.double() - 1) / 2
    rank_sum = mean_rank[place][positive].sum()
    return float((rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def average_precision(score: Tensor, positive: Tensor) -> float:
    """Return sum_t (R_t - R_{t-1}) P_t over the distinct scores t from high to low; nan without positives."""
    hits, seen = _found(score, positive)
    if not len(hits) or not hits[-1]:
        return math.nan
    gained = hits.diff(prepend=hits.new_zeros(1))
    return float(((gained * hits).double() / seen).sum() / hits[-1])


def interpolated_precision(score: Tensor, positive: Tensor, points: int = 11) -> float:
    """Return the mean over recalls r = 0, 0.1, ..., 1 of the largest precision at a recall >= r; nan without positives.

    The average precision of the PASCAL VOC challenge of 2007 (Everingham et al. 2010, section 4.2). Equal scores fall
    together.
    """
    same_length("score", score, "positive", positive)
    hits, seen = _found(score, positive)
    if not len(hits) or not hits[-1]:
        return math.nan
    best = (
        (hits.double() / seen).flip(0).cummax(0).values.flip(0)
    )  # the largest precision at this recall or a higher one
    # a recall k/n is reached with k hits; in whole numbers, since 0.1 is none
    wanted = (torch.arange(points, device=score.device) * hits[-1] + points - 2).div(points - 1, rounding_mode="floor")
    return float(best[torch.searchsorted(hits, wanted)].mean())


def _found(score: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
    """Return how many positives and how many samples score at least t, for each distinct score t from the highest."""
    _, place, count = torch.unique(score, return_inverse=True, return_counts=True)
    # in whole numbers: sums of floats have no deterministic kernel on CUDA
    hits = torch.zeros_like(count).index_add_(0, place, positive.long())
    return hits.flip(0).cumsum(0), count.flip(0).cumsum(0)


def calibration_error(probabilities: Tensor, labels: Tensor, *, bins: int = 15) -> float:
    r"""Return the expected calibration error, sum_b (n_b / N) |accuracy_b - mean confidence_b| (Guo et al. 2017).

    ``probabilities`` is (N, K), rows summing to 1; bin b holds the samples whose largest probability lies in
    ((b - 1) / bins, b / bins].
    """
    same_length("probabilities", probabilities, "labels", labels)
    integer("bins", bins, 1)
    confidence, predicted = probabilities.double().max(1)
    place = (confidence * bins).ceil().long().clamp(1, bins) - 1
    excess = (predicted == labels).double() - confidence
    gaps = torch.zeros(bins, dtype=torch.float64, device=excess.device).index_add_(0, place, excess)
    return float(gaps.abs().sum() / len(labels)) if len(labels) else math.nan


def share(part: Tensor, whole: int) -> float:
    """Return part / whole, nan where there is no whole."""
    return float(part) / whole if whole else math.nan


def same_length(first: str, a: Tensor, second: str, b: Tensor) -> None:
    """Refuse two tensors of different lengths."""
    if len(a) != len(b):
        raise InputError(f"{first} and {second} must have the same length, got {len(a)} and {len(b)}.")
