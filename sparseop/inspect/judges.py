"""The judges: each gives a sample a number that grows with the doubt in its label, and the class it would have instead.

rows        the row-group program min 1/2 |Theta|^2 + lam sum_i |S_i|_2, Y = J Theta + S (Y one-hot, J the kernel map
and a free
            intercept): the theory of SOP with one norm a sample. Suspicion: the margin max_{j != given} f_j -
            f_given, f = J Theta.
held_out    leave-one-out predictions of kernel ridge regression, in closed form, as probabilities: log max_{j !=
given} p_j - log p_given. neighbours  the vote of the nearest others: share of the strongest other class less that of
the given one. transition  the same vote read with the confusions of this data: which true class explains the
neighbours' labels and the own best.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax

from sparseop.inspect.features import Array, parts
from sparseop.inspect.labels import Codes
from sparseop.inspect.space import Neighbours
from sparseop.linear import solve_groups

RIDGES = 10.0 ** np.arange(-4, 4)
SWEEPS, EVEN, INDEPENDENT = 3, 0.2, 0.3  #: of ``neighbours``


@dataclass(frozen=True)
class Opinion:
    """What a judge says of every sample.

    Attributes
    ----------
    doubt : (n,), grows with the doubt in the given label.
    instead : int64 (n,), the strongest class other than the given one.
    facts : numbers to report.
    """

    doubt: Array
    instead: Codes
    facts: dict[str, float | str]


def one_hot(labels: Codes, k: int) -> Array:
    """Return Y (n, K)."""
    found = np.zeros((len(labels), k))
    found[np.arange(len(labels)), labels] = 1
    return found


def margin(scores: Array, labels: Codes) -> tuple[Array, Codes]:
    """Return max_{j != given} f_j - f_given and the j."""
    own = np.take_along_axis(scores, labels[:, None], 1)[:, 0]
    others = scores.copy()
    np.put_along_axis(others, labels[:, None], -np.inf, 1)
    best = others.argmax(1)
    return np.take_along_axis(others, best[:, None], 1)[:, 0] - own, best


def rows(J: NDArray[Any], labels: Codes, k: int, lam: float, *, tol: float = 1e-6) -> Opinion:
    """Judge by the row-group program, certified by its relative duality gap."""
    solution = solve_groups(J, one_hot(labels, k), lam, intercept=True, tol=tol)
    doubt, instead = np.empty(len(J)), np.empty(len(J), np.int64)
    for part in parts(len(J), k):
        doubt[part], instead[part] = margin(solution.predict(J[part]), labels[part])
    facts: dict[str, float | str] = {
        "lam": lam,
        "rank": J.shape[1],
        "gap": solution.gap,
        "status": str(solution.status),
    }
    return Opinion(doubt, instead, facts | {"rows of S that are zero": int(solution.zero.sum())})


def held_out(J: NDArray[Any], labels: Codes, k: int) -> tuple[Opinion, NDArray[np.float32]]:
    """Judge by leave-one-out probabilities, which are returned too, (n, K) float32.

    With (J^T J + ridge I) = V diag(w + ridge) V^T and leverages h_i, the prediction for sample i of the fit without
    it is y_i - (y_i - f_i) / (1 - h_i). The ridge with the least squared error of these is taken, and the
    temperature of the softmax that makes the given labels likeliest.
    """
    n = len(J)
    counts = np.bincount(labels, minlength=k)
    base = counts / n
    values, vectors = eigh(_gram(J))
    values = np.maximum(values, 0)
    right = _by_class(J, labels, k) - np.outer(J.sum(0, dtype=np.float64), base)  # J^T (Y - base)
    turned = vectors.T @ right
    some = np.arange(n) if n <= 20_000 else np.sort(np.random.default_rng(0).permutation(n)[:20_000])
    rotated = J[some] @ vectors
    left = one_hot(labels[some], k) - base

    def predictions(ridge: float, turned_rows: Array, wanted: Array) -> Array:
        shrunk = values + ridge
        leverage = np.minimum((turned_rows**2 / shrunk).sum(1), 1 - 1e-9)
        found: Array = wanted - (wanted - turned_rows @ (turned / shrunk[:, None])) / (1 - leverage)[:, None]
        return found

    errors = [float(((predictions(ridge, rotated, left) - left) ** 2).sum()) for ridge in RIDGES]
    ridge = float(RIDGES[int(np.argmin(errors))])
    fit = predictions(ridge, rotated, left) + base
    own = labels[some]

    def unlikely(log_scale: float) -> float:
        logits = np.exp(log_scale) * fit
        return float((logsumexp(logits, axis=1) - logits[np.arange(len(own)), own]).mean())

    sharp = float(np.exp(minimize_scalar(unlikely, bounds=(-2, 5), method="bounded").x))
    doubt, instead = np.empty(n), np.empty(n, np.int64)
    probabilities = np.empty((n, k), np.float32)
    for part in parts(n, max(k, J.shape[1])):
        logits = sharp * (predictions(ridge, J[part] @ vectors, one_hot(labels[part], k) - base) + base)
        doubt[part], instead[part] = margin(logits, labels[part])  # differences of logits are those of log p
        probabilities[part] = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
    return Opinion(doubt, instead, {"ridge": ridge, "temperature": 1 / sharp}), probabilities


def neighbours(near: Neighbours, labels: Codes, k: int) -> tuple[Opinion, Opinion]:
    """Judge by the neighbours' vote, and by the vote read with the confusions.

    The second: sample i of class z has neighbours of class z, each of which carries label j with probability T[z,
    j], and so has i itself. The posterior of z is prod_j T[z, j]^(e share_ij) T[z, given_i] with e = 0.3 k:
    neighbours resemble each other, so that ten count as three. T starts from the votes and is fitted by expectation
    maximisation, mixed with a fifth of even confusion.
    """
    n, votes_of = len(labels), near.index.shape[1]
    votes, instead = np.empty(n), np.empty(n, np.int64)
    confusion = np.eye(k)
    for part in parts(n, k):
        share = _shares(near, part, labels, k)
        votes[part], instead[part] = margin(share, labels[part])
        sure = share.max(1) > 0.5
        np.add.at(confusion, (share.argmax(1)[sure], labels[part][sure]), 1)
    doubt, other = np.empty(n), np.empty(n, np.int64)
    for sweep in range(SWEEPS):
        log_t = np.log((1 - EVEN) * confusion / confusion.sum(1, keepdims=True) + EVEN / k)
        confusion = np.eye(k)
        for part in parts(n, k):
            evidence = INDEPENDENT * votes_of * _shares(near, part, labels, k) @ log_t.T + log_t.T[labels[part]]
            if sweep == SWEEPS - 1:
                doubt[part], other[part] = margin(evidence, labels[part])
            else:
                posterior = softmax(evidence, axis=1)
                for c in np.unique(labels[part]):
                    confusion[:, c] += posterior[labels[part] == c].sum(0)
    return Opinion(votes, instead, {"k": votes_of}), Opinion(doubt, other, {})


def propose(opinions: Sequence[Opinion], weights: Array, k: int) -> Codes:
    """Return the other class with most weight among the judges; the first judge's where they tie."""
    n = len(opinions[0].instead)
    found = np.empty(n, np.int64)
    for part in parts(n, k):
        votes = np.zeros((len(part), k))
        for place, (opinion, weight) in enumerate(zip(opinions, weights, strict=True)):
            votes[np.arange(len(part)), opinion.instead[part]] += weight + 1e-6 / (1 + place)
        found[part] = votes.argmax(1)
    return found


def _gram(J: NDArray[Any]) -> Array:
    """Return J^T J, summed in float64 by blocks of rows."""
    found = np.zeros((J.shape[1], J.shape[1]))
    for part in parts(len(J), J.shape[1]):
        block = J[part[0] : part[-1] + 1].astype(np.float64)
        found += block.T @ block
    return found


def _by_class(J: NDArray[Any], labels: Codes, k: int) -> Array:
    """Return J^T Y."""
    order = np.argsort(labels, kind="stable")
    found = np.zeros((J.shape[1], k))
    bounds = np.searchsorted(labels[order], np.arange(k + 1))
    for c in range(k):
        found[:, c] = J[order[bounds[c] : bounds[c + 1]]].sum(0, dtype=np.float64)
    return found


def _shares(near: Neighbours, part: NDArray[np.int64], labels: Codes, k: int) -> Array:
    """Return each class's share of the neighbours' weight, (len(part), K)."""
    weight = near.weight[part].astype(np.float64)
    flat = (np.arange(len(part))[:, None] * k + labels[near.index[part]]).ravel()
    share = np.bincount(flat, weight.ravel(), len(part) * k).reshape(len(part), k)
    found: Array = share / np.maximum(weight.sum(1, keepdims=True), 1e-30)
    return found
