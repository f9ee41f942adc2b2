"""Which lam: where S vanishes, a grid, cross-validation that wrong rows can't steer, and lam for a share of wrong rows.

S is zero exactly for lam >= ``lam_max``. For sigma > 0 that is max_g |V_g| / w_g of the ridge solution, V = w (Y - J
Theta - c) / sigma^2: with it S = 0 is optimal, and for a smaller lam its multiplier leaves a ball. For sigma = 0 it
is infinite unless Y can be fitted without error.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparseop.errors import FloatArray, InputError, array, between, choice, integer, moderate
from sparseop.linear.groups import GroupSolution, solve_groups, solve_groups_path

SCORES = ("residual", "labels")


@dataclass(frozen=True, eq=False)
class LamChoice:
    """What cross-validation found.

    Attributes
    ----------
    lam : the largest lam whose score is within one standard error of the best one.
    best : the lam of the best (smallest) score.
    lams, scores : (L,) and (L, folds), smaller is better.
    converged : whether every fit reached its tolerance.
    """

    lam: float
    best: float
    lams: FloatArray
    scores: FloatArray
    converged: bool


def lam_max(J: Any, Y: Any, *, sigma: float, **options: Any) -> float:
    """Return the smallest lam with S = 0, for sigma > 0.

    ``options`` are those of ``solve_groups``: intercept, penalties, weights, groups, tol, max_iter.

    Raises
    ------
    InputError
        as ``solve_groups``, and for sigma = 0, where no finite lam makes S vanish unless Y is fitted without error.
    """
    sigma = moderate("sigma", sigma)
    Y = array("Y", Y, (None, None) if np.ndim(Y) == 2 else (None,), moderate=True)
    weights = options.get("weights")
    largest = 1.0 if weights is None else float(np.max(np.abs(array("weights", weights, (None,)))))
    beyond = 2 * largest * float(np.linalg.norm(Y) + 1) / sigma**2  # no ridge residual is larger than Y
    found = solve_groups(J, Y, beyond, sigma=sigma, **options)
    return float(_multipliers(found, options).max())


def lam_grid(J: Any, Y: Any, *, sigma: float = 0.0, n: int = 20, decades: float = 3.0, **options: Any) -> FloatArray:
    """Return n weights (n,), falling by ``decades`` from where the answer no longer changes.

    That is ``lam_max`` for sigma > 0. For sigma = 0 it is the weight, times 100, at which J Theta is as large as Y to
    first order: Theta = lam J^T V for small lam, V_i = Y_i / |Y_i| (Y less its unpenalised part).
    """
    n, decades = integer("n", n, 1), moderate("decades", decades)
    if sigma > 0:
        top = lam_max(J, Y, sigma=sigma, **options)
    else:
        small = solve_groups(J, Y, _start(J, Y), **options)
        moved = np.linalg.norm(small.predict(J) - small.intercept, axis=1)
        left = np.linalg.norm(small.S, axis=1)
        top = 100 * small.lam * float(np.median(left) / max(np.median(moved), 1e-300))
    if top == 0:
        raise InputError("Y is fitted without error whatever lam, so there is no grid; take any lam.")
    return np.asarray(top * np.logspace(0, -decades, n))


def choose_lam(
    J: Any,
    Y: Any,
    lams: Sequence[float] | None = None,
    *,
    sigma: float = 0.0,
    folds: int = 5,
    score: str = "residual",
    trim: float = 0.25,
    seed: int = 0,
    tol: float = 1e-6,
    **options: Any,
) -> LamChoice:
    """Choose lam by cross-validation with a score that wrong rows can't steer.

    Parameters
    ----------
    J, Y, sigma, options : as in ``solve_groups``, without ``groups``; a weight of a row is also its weight in nothing
        but the fit.
    lams : weights to try; default ``lam_grid``.
    folds : rows are dealt at random to so many parts, each held out once.
    score : "residual": the mean of |Y_i - J_i Theta - c| over the 1 - trim of the held-out rows with the smallest;
        "labels": the share of held-out rows whose largest output is not the one given.
    trim : share of rows that may be wrong, in [0, 1).
    seed : of the deal.

    Raises
    ------
    InputError
        for a parameter outside its range.
    """
    choice("score", score, SCORES)
    trim = between("trim", trim, 0, 1, ends="[)")
    if "groups" in options:
        raise InputError("choose_lam must be called without groups; it deals single rows to its folds.")
    Y = array("Y", Y, (None, None) if np.ndim(Y) == 2 else (None,))
    Y = Y.reshape(len(Y), -1)
    J = np.asarray(J)
    folds = integer("folds", folds, 2, len(Y), why="N")
    grid = lam_grid(J, Y, sigma=sigma, **options) if lams is None else array("lams", lams, (None,))
    part = np.random.default_rng(seed).permutation(len(Y)) % folds
    weights = options.pop("weights", None)
    scores, converged = np.empty((len(grid), folds)), True
    for fold in range(folds):
        into, out = part != fold, part == fold
        own = None if weights is None else np.asarray(weights)[into]
        path = solve_groups_path(J[into], Y[into], list(grid), sigma=sigma, weights=own, tol=tol, **options)
        converged &= all(found.converged for found in path)
        scores[:, fold] = [_score(found.predict(J[out]), Y[out], score, trim) for found in path]
    mean = scores.mean(axis=1)
    at = int(mean.argmin())
    allowed = mean[at] + scores[at].std(ddof=1) / np.sqrt(folds)
    return LamChoice(float(grid[mean <= allowed].max()), float(grid[at]), grid, scores, converged)


def lam_for_share(J: Any, Y: Any, share: float, *, sigma: float, tol: float = 1e-9, **options: Any) -> GroupSolution:
    """Return the solution whose share of corrupted rows comes closest to ``share``, by bisection in log lam.

    The number of rows with S_i != 0 falls from N (lam -> 0) to 0 (``lam_max``), not always monotonely; sigma > 0.

    Raises
    ------
    InputError
        for a share outside [0, 1), and as ``solve_groups``.
    """
    share = between("share", share, 0, 1, ends="[)")
    high = lam_max(J, Y, sigma=sigma, **options)
    if high == 0:
        return solve_groups(J, Y, 1.0, sigma=sigma, tol=tol, **options)
    best = last = solve_groups(J, Y, high * (1 + 1e-6), sigma=sigma, tol=tol, **options)
    low, high = np.log(high * 1e-8), np.log(high)
    for _ in range(40):
        middle = (low + high) / 2
        last = solve_groups(J, Y, float(np.exp(middle)), sigma=sigma, tol=tol, start=last, **options)
        off = 1 - float(last.zero.mean()) - share
        if abs(off) < abs(1 - float(best.zero.mean()) - share):
            best = last
        if abs(off) * len(last.S) < 0.5:
            break
        low, high = (middle, high) if off > 0 else (low, middle)
    return best


def _multipliers(found: GroupSolution, options: dict[str, Any]) -> FloatArray:
    """Return |V_g| / w_g of the groups that have a weight."""
    groups, weights = options.get("groups"), options.get("weights")
    squares = np.einsum("ij,ij->i", found.V, found.V)
    if groups is not None:
        index = np.unique(np.asarray(groups), return_inverse=True)[1]
        squares = np.bincount(index, weights=squares)
    weights = np.ones(len(squares)) if weights is None else np.asarray(weights, float)
    live = weights > 0
    return np.asarray(np.sqrt(squares[live]) / weights[live])


def _start(J: Any, Y: Any) -> float:
    """Return a lam so small that Theta is J^T V lam to first order."""
    J, Y = np.asarray(J), np.asarray(Y, float).reshape(len(J), -1)
    size = float(np.linalg.norm(Y, axis=1).max())
    reach = float(np.linalg.norm(J, axis=1).max())
    return max(1e-4 * size / max(len(J) * reach**2, 1e-300), 1e-50)


def _score(fitted: FloatArray, given: FloatArray, score: str, trim: float) -> float:
    if score == "labels":
        return float((fitted.argmax(axis=1) != given.argmax(axis=1)).mean())
    residual = np.sort(np.linalg.norm(given - fitted, axis=1))
    return float(residual[: max(int(np.ceil((1 - trim) * len(residual))), 1)].mean())
