"""Robust low-rank matrices: a positive semidefinite X of low rank under sparse corruption, Y = X + S.

The convex program is robust PCA with the constraint that X be positive semidefinite, where the nuclear norm is the
trace:

    min over X, S of  tr X + lam |S|_1     subject to   X + S = Y,  X positive semidefinite                  (P)
    max over M of     <Y, M>               subject to   |M_ij| <= lam,  (M + M^T)/2 <= I                      (D)

``solve_robust_pca`` solves it by the alternating direction method of multipliers and certifies the answer by (D):
whatever M was found is scaled until it is feasible, and the gap between (P) at X and (D) at M bounds how far X is from
optimal. ``low_rank_flow`` is the implicit counterpart: gradient flow on X = U U^T, S = g*g - h*h without any penalty.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparseop.arrays import OwnsArrays, owned
from sparseop.certificate import Certificate, Certified, Check, apart, not_finite
from sparseop.errors import (
    FloatArray,
    InputError,
    array,
    between,
    fits,
    instance,
    integer,
    moderate,
    positive,
    random_generator,
    same_labels,
)
from sparseop.status import Status

TINY = float(np.finfo(float).tiny)
OVERRELAXED = 1.6


@dataclass(frozen=True, eq=False)
class LowRankProblem(OwnsArrays):
    """A square matrix Y (n, n), real, not necessarily symmetric, its largest entry 0 or in [1e-50, 1e50].

    And the truth X_star + S_star = Y where it is known.
    """

    Y: FloatArray
    X_star: FloatArray | None = None
    S_star: FloatArray | None = None

    def __post_init__(self) -> None:
        given = self.Y
        Y = array("Y", given, (None, None), moderate=True)
        n = len(Y)
        if Y.shape[1] != n:
            raise InputError(f"Y must be square, got shape {Y.shape}.")
        object.__setattr__(self, "Y", owned(Y, self.Y))
        for name in ("X_star", "S_star"):
            value = getattr(self, name)
            if value is not None:
                same_labels(name, value, "Y", given)
                object.__setattr__(self, name, owned(array(name, value, (n, n), what="that of Y"), value))

    @property
    def size(self) -> int:
        """The number n of rows."""
        return len(self.Y)

    def error(self, X: FloatArray) -> float:
        """Return |X - X_star|_F / |X_star|_F; nan where no truth is known, or where it is zero."""
        X = array("X", X, self.Y.shape, what="that of Y")
        if self.X_star is None or not self.X_star.any():
            return float("nan")
        return float(np.linalg.norm(X - self.X_star) / np.linalg.norm(self.X_star))


@dataclass(frozen=True, eq=False)
class RobustPCA(Certified):
    """A solution of (P) and how good it is.

    Attributes
    ----------
    X : (n, n), positive semidefinite up to rounding.
    S : (n, n); entries that the method holds at zero are exactly zero.
    M : (n, n), feasible for (D).
    gap : (primal - dual + lam |Y - X - S|_1) / max(primal, tiny), from Y, X, S and M.
    objective : tr X + lam |Y - X|_1.
    residual : max |Y - X - S|, what the zeros of S leave out.
    iterations : of the method, each one eigenvalue decomposition.
    status : OPTIMAL or ITERATION_LIMIT of ``sparseop.status.Status``.
    lam : the weight.
    """

    X: FloatArray
    S: FloatArray
    M: FloatArray
    gap: float
    objective: float
    residual: float
    iterations: int
    status: Status
    lam: float

    def certificate(self, problem: LowRankProblem) -> Certificate:
        """Check X, S and M against Y; see ``docs/certificates.md``."""
        instance("problem", problem, LowRankProblem)
        failed = not_finite(X=self.X, S=self.S, M=self.M)
        if failed is not None:
            return failed
        Y = problem.Y
        size, largest = float(np.linalg.norm(self.X)), float(np.abs(Y).max())
        top = float(np.linalg.eigvalsh((self.M + self.M.T) / 2)[-1])
        objective, gap = _values(Y, self.X, self.M, self.lam)
        left = float(np.abs(Y - self.X - self.S).sum())
        gap += self.lam * left / max(objective, TINY)
        low = -float(np.linalg.eigvalsh((self.X + self.X.T) / 2)[0])
        return Certificate(
            (
                Check("X is symmetric", apart(self.X, self.X.T, size or 1.0), 1e-12, ("X",)),
                Check("X is positive semidefinite", low / (size or 1.0), 1e-9, ("X",)),
                Check("|M_ij| <= lam", float(np.abs(self.M).max()) / self.lam - 1, 1e-12, ("M",)),
                Check("(M + M^T)/2 <= I", top - 1, 1e-12, ("M",)),
                Check("gap is as stated", abs(gap - self.gap), 1e-3 * abs(self.gap) + 1e-12, ("X", "S", "M")),
                Check(
                    "residual is as stated",
                    apart(np.abs(Y - self.X - self.S).max(), self.residual, largest or 1.0),
                    1e-12,
                    ("S",),
                ),
                Check("objective is as stated", apart(objective, self.objective), 1e-9, ("X",)),
            )
        )

    @property
    def rank(self) -> int:
        """Of X: eigenvalues above 1e-9 of the largest."""
        values = np.linalg.eigvalsh(self.X)
        return int((values > 1e-9 * max(values[-1], TINY)).sum())


def gaussian_low_rank(
    size: int, rank: int, corruption: float, *, amplitude: float = 10.0, seed: Any = None
) -> LowRankProblem:
    """Return Y = X + S with X = U U^T, U (n, r) standard normal, a share of S uniform in (-amplitude, amplitude).

    Parameters
    ----------
    size, rank : n and r, 1 <= r <= n.
    corruption : share of the n^2 entries that are corrupted, in [0, 1]; exactly round(corruption n^2) of them,
        anywhere.
    amplitude : > 0.
    seed : whatever ``numpy.random.default_rng`` takes.

    Raises
    ------
    InputError : for an argument outside its range.
    """
    n = integer("size", size, 1)
    r = integer("rank", rank, 1, n, why="size")
    share = between("corruption", corruption, 0, 1, ends="[]")
    largest = positive("amplitude", amplitude)
    rng = random_generator("seed", seed)
    fits(f"a problem of size {n}", 5 * n * n)
    U = rng.standard_normal((n, r))
    S = np.zeros((n, n))
    where = rng.choice(n * n, round(share * n * n), replace=False)
    S.flat[where] = rng.uniform(-largest, largest, len(where))
    X = U @ U.T
    return LowRankProblem(X + S, X, S)


def solve_robust_pca(
    problem: LowRankProblem, lam: float | None = None, *, tol: float = 1e-7, max_iter: int = 5000
) -> RobustPCA:
    """Solve (P) and certify the answer.

    Parameters
    ----------
    problem : any ``LowRankProblem``; a truth is ignored.
    lam : weight of |S|_1, in [1e-50, 1e50]; default 1/sqrt(n), robust PCA's usual choice.
    tol : relative duality gap to reach, in (0, 1).
    max_iter : iterations at most.

    Returns
    -------
    RobustPCA
        always with its true gap; ``status`` says whether it is within ``tol``.

    Raises
    ------
    InputError : for an argument outside its range.
    """
    instance("problem", problem, LowRankProblem)
    Y = problem.Y
    n = len(Y)
    lam = 1 / math.sqrt(n) if lam is None else moderate("lam", lam)
    tol = between("tol", tol, 0.0, 1.0)
    max_iter = integer("max_iter", max_iter, 1)
    if not Y.any():
        return _certified(Y, np.zeros_like(Y), np.zeros_like(Y), np.zeros_like(Y), lam, tol, 0)
    # 1. Start from S = Y; the penalty rho is robust PCA's usual one, then adapted so that both residuals fall alike.
    rho = n * n / (4 * float(np.abs(Y).sum()))
    S, M = Y.copy(), np.zeros_like(Y)
    found = _certified(Y, np.zeros_like(Y), S, M, lam, tol, 0)
    for iteration in range(1, max_iter + 1):
        # 2. X: the trace's proximal operator, eigenvalues lowered by 1/rho and cut at zero.
        X = _positive_part(Y - S + M / rho, 1 / rho)
        # 3. S: soft thresholding, over-relaxed; the multiplier is then in the box |M| <= lam by itself.
        off = OVERRELAXED * (Y - X) + (1 - OVERRELAXED) * S + M / rho
        before, S = S, np.sign(off) * np.maximum(np.abs(off) - lam / rho, 0)
        M = rho * (off - S)
        # 4. Stop by the duality gap; balance the two residuals.
        if iteration % 10 == 0 or iteration == max_iter:
            found = min(found, _certified(Y, X, S, M, lam, tol, iteration), key=lambda known: known.gap)
            if found.gap <= tol:
                break
            primal, dual = float(np.linalg.norm(Y - X - S)), rho * float(np.linalg.norm(S - before))
            factor = math.sqrt(primal / max(dual, TINY) * (math.sqrt(n) / max(float(np.linalg.norm(Y)), TINY)))
            if iteration <= max_iter // 2 and not 0.5 < factor < 2:
                rho *= min(max(factor, 0.5), 2)
    return found


def robust_pca_gap(problem: LowRankProblem, X: FloatArray, M: FloatArray, lam: float) -> float:
    """Return how far a positive semidefinite X is from optimal for (P), at most: (primal - dual) / primal.

    ``M`` is any matrix; it is clipped to the box and scaled until it is feasible for (D).

    Raises
    ------
    InputError : X that is not symmetric and positive semidefinite up to 1e-9 of its norm; a wrong shape, NaN, infinity;
        lam <= 0.
    """
    instance("problem", problem, LowRankProblem)
    lam = moderate("lam", lam)
    X = array("X", X, problem.Y.shape, what="that of Y")
    size = float(np.linalg.norm(X))
    if np.abs(X - X.T).max() > 1e-9 * size or np.linalg.eigvalsh(X)[0] < -1e-9 * size:
        raise InputError("X must be symmetric and positive semidefinite; only then does its gap bound anything.")
    return _values(problem.Y, X, _feasible(array("M", M, X.shape, what="that of Y"), lam), lam)[1]


def _certified(
    Y: FloatArray, X: FloatArray, S: FloatArray, M: FloatArray, lam: float, tol: float, iterations: int
) -> RobustPCA:
    M = _feasible(M, lam)
    S = np.where(S != 0, Y - X, 0.0)  # the method's zeros; elsewhere what X leaves, so that X + S = Y
    objective, gap = _values(Y, X, M, lam)
    gap += lam * float(np.abs(Y - X - S).sum()) / max(objective, TINY)
    return RobustPCA(
        X=X,
        S=S,
        M=M,
        gap=gap,
        objective=objective,
        residual=float(np.abs(Y - X - S).max()),
        iterations=iterations,
        status=Status.OPTIMAL if gap <= tol else Status.ITERATION_LIMIT,
        lam=lam,
    )


def _values(Y: FloatArray, X: FloatArray, M: FloatArray, lam: float) -> tuple[float, float]:
    """Return the value of (P) at X, and its relative gap to that of (D) at a feasible M."""
    objective = float(np.trace(X) + lam * np.abs(Y - X).sum())
    return objective, (objective - float(np.vdot(Y, M))) / max(objective, TINY)


def _feasible(M: FloatArray, lam: float) -> FloatArray:
    """Return M clipped to the box and scaled so that no eigenvalue of its symmetric part exceeds 1."""
    clipped = np.clip(M, -lam, lam)
    top = float(np.linalg.eigvalsh((clipped + clipped.T) / 2)[-1])
    return clipped / max(top, 1.0)


def _positive_part(A: FloatArray, shift: float) -> FloatArray:
    """Return the projection of the symmetric part of A minus ``shift`` I onto the positive semidefinite matrices."""
    values, vectors = np.linalg.eigh((A + A.T) / 2)
    kept = values > shift
    half = vectors[:, kept] * np.sqrt(values[kept] - shift)
    return np.asarray(half @ half.T)
