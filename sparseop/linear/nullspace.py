"""The null-space constant of Definition B.3: how much of a vector in the column space of J can sit on a support."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
from scipy.optimize import linprog

from sparseop.errors import FloatArray, InputError, instance, integer, nonnegative
from sparseop.linear.problem import LinearProblem
from sparseop.linear.zonotope import reach

_AGREE = 1e-8  # relative distance at which the two ends of the bracket are one number
_PATTERNS = 20  # 2^19 sign patterns are compared in a second
_ENTRIES = 12_000  # entries of Y up to which the linear program for it is solved (a second)
_LARGE = 200_000  # entries of C from which on one program takes seconds, and none is solved


@dataclass(frozen=True)
class NullSpaceConstant:
    """A bracket of rho(S) = max |v_S|_1 / |v_{S^c}|_1 over v != 0 in the column space of J.

    Attributes
    ----------
    lower : reached by the vector v = U a that was found.
    upper : certified; inf where some v lives on S alone, or nothing better is known.
    exact : lower and upper agree (to 1e-8, relative).
    programs : linear programs solved.
    """

    lower: float
    upper: float
    exact: bool
    programs: int


def null_space_constant(
    problem: LinearProblem, support: Any = None, *, max_programs: int = 512, stop_at: float = np.inf, seed: int = 0
) -> NullSpaceConstant:
    """Return the null-space constant relative to a support, exactly where ``max_programs`` linear programs suffice.

    rho(S) is a convex maximum, ``max_sigma h(sigma)`` over the sign patterns sigma of v_S, and each ``h(sigma) =
    min {|w|_inf : U_C^T w = U_S^T sigma}`` (C the complement of S) is one linear program. Patterns are ruled out
    unsolved:

    1. lower bound: alternating maximisation, sigma <- sign(v_S) of the program's solution, from random starts;
    2. upper bound for every pattern at once: any Y with U_C^T Y = U_S^T makes w = Y sigma feasible, so h(sigma) <=
       |Y sigma|_inf and rho <= max_j |Y_j|_1; the Y with the smallest such bound is one larger linear program (the
       relaxation of Juditsky and Nemirovski, Math. Program. 2011, doi:10.1007/s10107-010-0417-z, for one support);
    3. patterns with |Y sigma|_inf above the lower bound are solved, the largest first, until none is left or the
       budget is spent; what is left unsolved bounds rho from above.

    With |S| > 20 the patterns are not enumerated, and the bracket is that of steps 1 and 2. For a large problem Y is
    the least-squares solution (and from 200,000 entries of C on, v its counterpart: no program is solved), and the
    bound of Lemma B.5, sharpened, counts where it is smaller: ``rho <= eta/(1 - eta), eta = sum_{i in S} |U_i| max_j
    |U_j|`` (see ``incoherence_condition``).

    Parameters
    ----------
    support : indices, or a boolean mask of N entries; default: where s_star is not zero.
    max_programs : budget for step 3; 0 for the bracket of steps 1 and 2.
    stop_at : give up, with upper = inf, once rho is known to be at least this: 1 where a larger rho is of no use.
    seed : of the random starts.

    Raises
    ------
    InputError
        for indices outside 0 ... N-1 or repeated, a mask of the wrong length, or no support and no s_star.
    """
    instance("problem", problem, LinearProblem)
    inside = _mask(problem, support)
    budget = integer("max_programs", max_programs, 0)
    stop_at = nonnegative("stop_at", stop_at, infinite=True)
    rng = np.random.default_rng(integer("seed", seed, 0))
    A, C = problem.U[inside], problem.U[~inside]
    moved = np.any(A != 0, axis=1)
    A = A[moved]  # rows that are zero carry no part of v
    if len(A) == 0:
        return NullSpaceConstant(0.0, 0.0, True, 0)
    if len(C) < problem.rank or scipy.linalg.svdvals(C)[-1] <= 1e-13:
        return NullSpaceConstant(np.inf, np.inf, True, 0)  # some U a vanishes on C
    search = _Search(A, C)
    search.ascend(rng, starts=16, stop_at=stop_at)
    if search.best >= stop_at:
        return NullSpaceConstant(search.best, np.inf, False, search.programs)
    Y = _majorant(A, C)
    upper = min(float(np.abs(Y).sum(axis=1).max()), _coherent(problem, inside))
    if not search.reaches(upper) and len(A) <= _PATTERNS and C.size < _LARGE:
        upper = min(upper, search.rule_out(Y, budget))
    upper = max(upper, search.best)
    return NullSpaceConstant(search.best, upper, search.reaches(upper), search.programs)


class _Search:
    """The best pattern so far, and the number of programs it took."""

    def __init__(self, A: FloatArray, C: FloatArray) -> None:
        self.A, self.C, self.best, self.programs = A, C, 0.0, 0
        self.seen: dict[bytes, tuple[float, FloatArray]] = {}

    def reaches(self, upper: float) -> bool:
        return upper <= self.best * (1 + _AGREE)

    def solve(self, sigma: FloatArray) -> tuple[float, FloatArray]:
        """Return a certified upper bound of h(sigma), and the sign pattern of its maximiser, which may do better."""
        key = (sigma == sigma[0]).tobytes()  # a pattern and its negative are one
        if key not in self.seen:
            self.seen[key] = self._solve(sigma)
        return self.seen[key]

    def _solve(self, sigma: FloatArray) -> tuple[float, FloatArray]:
        d = self.A.T @ sigma
        if np.linalg.norm(d) <= 1e-14:
            return 0.0, sigma
        if self.C.size >= _LARGE:
            return np.inf, self._try(scipy.linalg.solve(self.C.T @ self.C, d, assume_a="pos"), sigma)
        self.programs += 1
        found = reach(self.C, np.zeros_like(d), d)
        # w of the program, over tau, is feasible for h(sigma) up to ``defect``
        return 1.0 / found.tau if found.tau > 0 else np.inf, self._try(found.a, sigma)

    def _try(self, a: FloatArray, sigma: FloatArray) -> FloatArray:
        v = self.A @ a
        self.best = max(self.best, float(np.abs(v).sum() / np.abs(self.C @ a).sum()))
        return np.where(v == 0, sigma, np.sign(v))

    def ascend(self, rng: np.random.Generator, starts: int, stop_at: float) -> None:
        """Step 1."""
        for _ in range(starts):
            if self.best >= stop_at:
                return
            sigma = rng.choice([-1.0, 1.0], len(self.A))
            while True:
                before = self.best
                _, better = self.solve(sigma)
                if self.best <= before or np.array_equal(better, sigma):
                    break
                sigma = better

    def rule_out(self, Y: FloatArray, budget: int) -> float:
        """Step 3: return an upper bound of rho that the budget pays for."""
        ceilings = np.concatenate([np.abs(Y @ block).max(axis=0) for block in _sign_blocks(len(self.A))])
        order = np.argsort(-ceilings, kind="stable")
        solved = 0.0
        for used, index in enumerate(order):
            if self.reaches(ceilings[index]):
                return max(solved, self.best)
            if used == budget:
                return max(solved, float(ceilings[index]))
            solved = max(solved, self.solve(_signs(np.array([index]), len(self.A))[:, 0])[0])
        return max(solved, self.best)


def _signs(index: FloatArray | np.ndarray[Any, Any], k: int) -> FloatArray:
    """Return the sign patterns (k, len(index)) with first entry +1 that the bits of ``index`` spell."""
    bits = (np.asarray(index)[None, :] >> np.arange(k - 1)[:, None]) & 1
    return np.vstack([np.ones((1, bits.shape[1])), 1.0 - 2.0 * bits])


def _sign_blocks(k: int) -> Iterator[FloatArray]:
    total = 1 << (k - 1)
    for start in range(0, total, 4096):
        yield _signs(np.arange(start, min(start + 4096, total)), k)


def _majorant(A: FloatArray, C: FloatArray) -> FloatArray:
    """Return Y (m, k) with C^T Y = A^T; where affordable the one with the smallest max_j |Y_j|_1."""
    m, r = C.shape
    k = len(A)
    least: FloatArray = C @ scipy.linalg.solve(C.T @ C, A.T, assume_a="pos")
    if m * k > _ENTRIES:
        return least
    # Y = P - M with P, M >= 0, entries row by row; the last variable is the bound on every row sum of P + M
    equal = scipy.sparse.kron(C.T, scipy.sparse.eye(k))
    sums = scipy.sparse.kron(scipy.sparse.eye(m), np.ones((1, k)))
    cost = np.zeros(2 * m * k + 1)
    cost[-1] = 1.0
    result = linprog(
        cost,
        method="highs-ipm",
        b_ub=np.zeros(m),
        b_eq=A.T.ravel(),
        A_ub=scipy.sparse.hstack([sums, sums, -np.ones((m, 1))]).tocsr(),
        A_eq=scipy.sparse.hstack([equal, -equal, scipy.sparse.csr_array((r * k, 1))]).tocsr(),
    )
    if result.x is None:
        return least
    Y = (result.x[: m * k] - result.x[m * k : 2 * m * k]).reshape(m, k)
    Y += C @ scipy.linalg.solve(
        C.T @ C, A.T - C.T @ Y, assume_a="pos"
    )  # feasible again, whatever the solver's tolerance
    return Y if np.abs(Y).sum(axis=1).max() < np.abs(least).sum(axis=1).max() else least


def _coherent(problem: LinearProblem, inside: np.ndarray[Any, np.dtype[np.bool_]]) -> float:
    length = np.linalg.norm(problem.U, axis=1)
    eta = float(length[inside].sum() * length.max())
    return eta / (1 - eta) if eta < 1 else np.inf


def _mask(problem: LinearProblem, support: Any) -> np.ndarray[Any, np.dtype[np.bool_]]:
    n = problem.n_samples
    if support is None:
        if problem.s_star is None:
            raise InputError("support must be given for a problem without s_star.")
        return np.asarray(problem.s_star != 0)
    try:
        given = np.asarray(support)
    except ValueError:
        raise InputError(
            f"support must be a list of indices or a boolean mask of {n} entries, got lists of different lengths."
        ) from None
    if given.size == 0:
        return np.zeros(n, dtype=bool)
    if given.ndim != 1 or given.dtype.kind not in "biu":
        raise InputError(
            f"support must be a list of indices or a boolean mask of {n} entries, got {given.dtype} of shape"
            f" {given.shape}."
        )
    if given.dtype.kind == "b":
        if len(given) != n:
            raise InputError(f"support must have one entry per row of J ({n}) where it is a mask, got {len(given)}.")
        return given
    if given.min() < 0 or given.max() >= n:
        raise InputError(f"support must hold indices from 0 to {n - 1}, got {given.min()} to {given.max()}.")
    mask = np.zeros(n, dtype=bool)
    mask[given] = True
    if mask.sum() != len(given):
        raise InputError("support must not repeat an index.")
    return mask
