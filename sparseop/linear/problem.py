"""The corrupted linear model y = J theta_star + s_star (SOP paper, eq. 13) and its random generator (section 3.2).

Every solver works on one low-rank factor of the problem, computed once (``sparseop.linear.factor``), so no solver ever
forms an N x p or N x N matrix unless r is of the order of N; every certificate works on J, or its factors, as given.

======  ==========================================================  ==========
symbol  meaning                                                     shape
======  ==========================================================  ==========
J       Jacobian, rank r                                            (N, p)
y       observations                                                (N,)
F       factor, same column space as J                              (N, r)
b       coordinates of theta in the row space of J: theta = V b     (r,)
U       orthonormal basis of the column space                       (N, r)
======  ==========================================================  ==========
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import scipy.linalg

from sparseop.arrays import OwnsArrays, frozen, owned
from sparseop.errors import FloatArray, InputError, Seed, array, fits, instance, integer, random_generator, same_labels
from sparseop.linear.factor import Factor, factor_matrix, factor_product, gaussian_factor


@dataclass(frozen=True, eq=False, init=False, repr=False)
class LinearProblem(OwnsArrays):
    """One instance of the over-parameterised linear model; what every solver takes.

    ``LinearProblem(J, y)`` for a user's own data, ``LinearProblem.from_factors(A, B, y)`` where J = A B is too large to
    form, ``gaussian_problem(...)`` for the paper's random instances. A problem does not change once built: it keeps
    read-only copies of what it was given, as float64.

    Parameters
    ----------
    J : (N, p) real matrix, any rank; p < N is fine. Rows or columns may differ by many orders of magnitude.
    y : (N,).
    theta_star, s_star : (p,) and (N,), the ground truth where it is known. Solvers ignore both; the functions of
        ``sparseop.linear.recovery`` need them, and refuse a theta_star that is not the minimum-norm one of eq. (14).

    Attributes
    ----------
    A, B : (N, q) and (q, p) with J = A B, as given; B is None, and A is J, where J itself was.

    Raises
    ------
    InputError
        for a wrong shape, an empty array, NaN or infinity, data that are no numbers, a y whose index is not that of J,
        or a largest entry of J or y (A, B) that is not 0 and outside [1e-50, 1e50]: beyond, squares leave float64's
        range, and a certificate would be 0/0.
    """

    A: FloatArray
    B: FloatArray | None
    y: FloatArray
    theta_star: FloatArray | None
    s_star: FloatArray | None
    known_factor: Factor | None

    def __init__(self, J: Any, y: Any, theta_star: Any = None, s_star: Any = None) -> None:
        same_labels("y", y, "J", J)
        same_labels("s_star", s_star, "J", J)
        same_labels("theta_star", theta_star, "J", J, columns=True)
        self._own(owned(array("J", J, (None, None), moderate=True), J), None, y, theta_star, s_star, None)

    @classmethod
    def from_factors(cls, A: Any, B: Any, y: Any, theta_star: Any = None, s_star: Any = None) -> "LinearProblem":
        """Build the problem with J = A B, A (N, q), B (q, p), without forming J; q may exceed the rank."""
        same_labels("y", y, "A", A)
        same_labels("s_star", s_star, "A", A)
        same_labels("theta_star", theta_star, "B", B, columns=True)
        left = array("A", A, (None, None), moderate=True)
        right = array("B", B, (left.shape[1], None), what="one row per column of A", moderate=True)
        return object.__new__(cls)._own(owned(left, A), owned(right, B), y, theta_star, s_star, None)

    def _own(
        self, A: FloatArray, B: FloatArray | None, y: Any, theta_star: Any, s_star: Any, factor: Factor | None
    ) -> Self:
        """Set the fields, once; the only place that does."""
        n, p = len(A), A.shape[1] if B is None else B.shape[1]
        of_rows, of_columns = "one entry per row of J", "one entry per column of J"
        fields = {
            "A": A,
            "B": B,
            "y": owned(array("y", y, (n,), what=of_rows, moderate=True), y),
            "theta_star": None
            if theta_star is None
            else owned(array("theta_star", theta_star, (p,), what=of_columns), theta_star),
            "s_star": None if s_star is None else owned(array("s_star", s_star, (n,), what=of_rows), s_star),
            "known_factor": factor,
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)
        return self

    def __repr__(self) -> str:
        return f"LinearProblem(N={self.n_samples}, p={self.n_params})"

    @property
    def n_samples(self) -> int:
        """N, the number of observations."""
        return len(self.A)

    @property
    def n_params(self) -> int:
        """Number of parameters p."""
        return int((self.A if self.B is None else self.B).shape[1])

    @property
    def rank(self) -> int:
        """Numerical rank r of J, judged where its rows and columns have one size (``sparseop.linear.factor``)."""
        return int(self.factor.F.shape[1])

    @property
    def F(self) -> FloatArray:
        """The factor F (N, r) with F F^T = J J^T."""
        return self.factor.F

    @cached_property
    def J(self) -> FloatArray:
        """The Jacobian (N, p); formed on first use where the problem was built from factors."""
        if self.B is None:
            return self.A
        fits(f"J of shape {(self.n_samples, self.n_params)}", self.n_samples * self.n_params)
        return frozen(self.A @ self.B)

    @cached_property
    def factor(self) -> Factor:
        """The low-rank factor all solvers share; computed on first use, unless the generator handed one over."""
        if self.known_factor is not None:
            return self.known_factor
        return factor_matrix(self.A) if self.B is None else factor_product(self.A, self.B)

    @cached_property
    def U(self) -> FloatArray:
        """Orthonormal basis (N, r) of the column space of J."""
        return frozen(scipy.linalg.qr(self.F, mode="economic", check_finite=False)[0]) if self.rank else self.F

    @cached_property
    def size(self) -> float:
        """|J|_F, the scale of a rounding in J^T nu."""
        return float(np.sqrt(np.vdot(self.F, self.F)))

    def times(self, theta: FloatArray) -> FloatArray:
        """Return J theta, from J or its factors as they were given."""
        return self.A @ (theta if self.B is None else self.B @ theta)

    def transposed_times(self, nu: FloatArray) -> FloatArray:
        """Return J^T nu, from J or its factors as they were given."""
        return self.A.T @ nu if self.B is None else self.B.T @ (self.A.T @ nu)


def gaussian_problem(n_samples: int, n_params: int, rank: int, sparsity: int, *, seed: Seed) -> LinearProblem:
    """Draw a random instance as in section 3.2 of the SOP paper.

    J = A B with A (N, r), B (r, p) standard Gaussian; s_star has ``sparsity`` entries, chosen at random, i.i.d.
    standard Gaussian, the others zero; theta standard Gaussian, y = J theta + s_star, and theta_star the projection of
    theta onto the row space of J, which is the minimum-norm solution of eq. (14).

    Parameters
    ----------
    n_samples, n_params, rank, sparsity : N, p, r <= min(N, p), k <= N.
    seed : anything ``numpy.random.default_rng`` takes; the same seed gives the same problem.

    Raises
    ------
    InputError
        for a size outside its range, or one that memory can't hold.
    """
    n = integer("n_samples", n_samples, 1)
    p = integer("n_params", n_params, 1)
    r = integer("rank", rank, 0, min(n, p), why="min(n_samples, n_params)")
    k = integer("sparsity", sparsity, 0, n, why="n_samples")
    rng = random_generator("seed", seed)
    fits(f"a problem with N={n}, p={p}, r={r}", n * (2 * r + 4) + p * (r + 4) + 3 * r * r)
    A = rng.standard_normal((n, r))
    B = rng.standard_normal((r, p))
    s_star = np.zeros(n)
    s_star[rng.permutation(n)[:k]] = rng.standard_normal(k)
    factor = gaussian_factor(frozen(A), frozen(B))
    if r == 0:  # J = 0 is kept as a product of zeros: nobody else's A has no columns
        A, B = np.zeros((n, 1)), np.zeros((1, p))
    A, B = frozen(A), frozen(B)
    b_star = factor.coordinates(rng.standard_normal(p))
    return object.__new__(LinearProblem)._own(A, B, factor.F @ b_star + s_star, factor.lift(b_star), s_star, factor)


def ground_truth(problem: LinearProblem) -> tuple[FloatArray, FloatArray]:
    """Return (b_star, s_star), refusing a problem without a ground truth or with one that (26) could never recover."""
    instance("problem", problem, LinearProblem)
    if problem.theta_star is None or problem.s_star is None:
        raise InputError(
            "problem has no theta_star and s_star, and recovery is defined by them; give both to LinearProblem."
        )
    b_star = problem.factor.coordinates(problem.theta_star)
    size = float(np.linalg.norm(problem.theta_star))
    beyond = float(np.linalg.norm(problem.theta_star - problem.factor.lift(b_star)))
    if beyond > 1e-8 * size:
        raise InputError(
            "theta_star must be the minimum-norm solution of eq. (14), in the row space of J; its part outside has"
            f" norm {beyond:.3g} of {size:.3g}."
        )
    fit = problem.F @ b_star + problem.s_star - problem.y
    scale = float(np.linalg.norm(problem.y) + np.linalg.norm(problem.s_star))
    if np.linalg.norm(fit) > 1e-8 * scale:
        raise InputError(
            f"y must equal J theta_star + s_star (eq. 13); they differ by {np.linalg.norm(fit):.3g} in norm."
        )
    return b_star, problem.s_star
