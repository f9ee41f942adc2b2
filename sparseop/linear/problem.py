"""The corrupted linear model y = J theta_star + s_star (SOP paper, eq. 13) and its random generator (section 3.2).

Every solver works on one low-rank factor of the problem, computed once::

    J = F V^T,   F (N, r),   V (p, r) with orthonormal columns,   K = J J^T = F F^T,   theta = V b,   b in R^r

so no solver ever forms an N x p or N x N matrix unless r is of the order of N.

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
from typing import Any

import numpy as np
import scipy.linalg

from sparseop.errors import FloatArray, InputError, Seed, array, fits, instance, integer, random_generator
from sparseop.linear._blas import substitute


@dataclass(frozen=True, eq=False)
class Factor:
    """J = F V^T with V = B^T L^{-T}; V itself is formed only where it is asked for.

    Attributes
    ----------
    F : (N, r), C-contiguous.
    B : (r, p); its rows span the row space of J.
    L : (r, r) lower triangular with L L^T = B B^T, or None where the rows of B are orthonormal already.
    """

    F: FloatArray
    B: FloatArray
    L: FloatArray | None

    def lift(self, b: FloatArray) -> FloatArray:
        """Return theta = V b, the parameter vector with coordinates b."""
        if self.L is not None:
            b = substitute(self.L, b, True)
        return self.B.T @ b

    def coordinates(self, theta: FloatArray) -> FloatArray:
        """Return b = V^T theta; V b is theta projected onto the row space of J."""
        b = self.B @ theta
        return b if self.L is None else substitute(self.L, b, False)


class LinearProblem:
    """One instance of the over-parameterised linear model; what every solver takes.

    ``LinearProblem(J, y)`` for a user's own data, ``LinearProblem.from_factors(A, B, y)`` where J = A B is too large to
    form, ``gaussian_problem(...)`` for the paper's random instances. Instances do not change once built; arrays are
    kept as read-only views of float64 data.

    Parameters
    ----------
    J : (N, p) real matrix, any rank; p < N is fine. It counts as known up to the rounding of its largest singular
        value, as for any solver that factors it: of rows that are more than 1e16 times smaller than others nothing is
        left.
    y : (N,).
    theta_star, s_star : (p,) and (N,), the ground truth where it is known. Solvers ignore both; the functions of
        ``sparseop.linear.recovery`` need them, and refuse a theta_star that is not the minimum-norm one of eq. (14).

    Raises
    ------
    InputError
        for a wrong shape, an empty array, NaN or infinity, or a largest entry of J or y (A, B) that is not 0 and
        outside [1e-50, 1e50]: beyond, squares leave float64's range, and a certificate would be 0/0.
    """

    y: FloatArray
    theta_star: FloatArray | None
    s_star: FloatArray | None

    def __init__(self, J: Any, y: Any, theta_star: Any = None, s_star: Any = None) -> None:
        J = array("J", J, (None, None), moderate=True)
        self._start(len(J), J.shape[1], y, theta_star, s_star)
        self.__dict__["J"] = _frozen(J)

    @classmethod
    def from_factors(cls, A: Any, B: Any, y: Any, theta_star: Any = None, s_star: Any = None) -> "LinearProblem":
        """Build the problem with J = A B, A (N, q), B (q, p), without forming J; q may exceed the rank."""
        A = array("A", A, (None, None), moderate=True)
        B = array("B", B, (A.shape[1], None), what="one row per column of A", moderate=True)
        problem = cls._blank(len(A), B.shape[1], y, theta_star, s_star)
        problem.__dict__["_AB"] = (A, B)
        return problem

    @classmethod
    def _blank(cls, n: int, p: int, y: Any, theta_star: Any, s_star: Any) -> "LinearProblem":
        problem = object.__new__(cls)
        problem._start(n, p, y, theta_star, s_star)
        return problem

    def _start(self, n: int, p: int, y: Any, theta_star: Any, s_star: Any) -> None:
        own = self.__dict__
        own["shape"] = (n, p)
        own["y"] = _frozen(array("y", y, (n,), what="one entry per row of J", moderate=True))
        own["theta_star"] = (
            None
            if theta_star is None
            else _frozen(array("theta_star", theta_star, (p,), what="one entry per column of J"))
        )
        own["s_star"] = (
            None if s_star is None else _frozen(array("s_star", s_star, (n,), what="one entry per row of J"))
        )

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a LinearProblem does not change; build a new one instead of setting {name}")

    def __repr__(self) -> str:
        rank = f", rank={self.rank}" if "factor" in self.__dict__ else ""
        return f"LinearProblem(N={self.n_samples}, p={self.n_params}{rank})"

    @property
    def n_samples(self) -> int:
        """N, the number of observations."""
        return int(self.__dict__["shape"][0])

    @property
    def n_params(self) -> int:
        """Number of parameters p."""
        return int(self.__dict__["shape"][1])

    @property
    def rank(self) -> int:
        """Numerical rank r of J: singular values above max(N, p) eps sigma_max."""
        return int(self.factor.F.shape[1])

    @property
    def F(self) -> FloatArray:
        """The factor F (N, r) with F F^T = J J^T."""
        return self.factor.F

    @cached_property
    def J(self) -> FloatArray:
        """The Jacobian (N, p); formed on first use where the problem was built from factors."""
        A, B = self.__dict__["_AB"]
        fits(f"J of shape {self.__dict__['shape']}", len(A) * B.shape[1])
        return _frozen(A @ B)

    @cached_property
    def factor(self) -> Factor:
        """The low-rank factor all solvers share; a thin SVD on first use, unless the generator handed one over."""
        if "_AB" not in self.__dict__:
            return _truncate(self.J, np.eye(0), self.__dict__["shape"])
        A, B = self.__dict__["_AB"]
        # J = A B = (A R^T) Q^T with B^T = Q R: the SVD of the small-width A R^T reveals the rank of J
        Q, R = scipy.linalg.qr(B.T, mode="economic", check_finite=False)
        return _truncate(A @ R.T, Q, self.__dict__["shape"])

    @cached_property
    def U(self) -> FloatArray:
        """Orthonormal basis (N, r) of the column space of J."""
        return _frozen(scipy.linalg.qr(self.F, mode="economic", check_finite=False)[0]) if self.rank else self.F


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
    factor = _gaussian_factor(A, B)
    b_star = factor.coordinates(rng.standard_normal(p))
    problem = LinearProblem._blank(n, p, factor.F @ b_star + s_star, factor.lift(b_star), s_star)
    problem.__dict__.update(_AB=(A, B), factor=factor)
    return problem


def _gaussian_factor(A: FloatArray, B: FloatArray) -> Factor:
    """F = A L with L L^T = B B^T: no SVD. Cholesky squares the condition number, so a nearly square B takes a QR."""
    r, p = B.shape
    if r and r <= 0.8 * p:
        L = np.linalg.cholesky(B @ B.T).astype(np.float64, copy=False)  # of full rank almost surely
        return Factor(_frozen(A @ L), B, L)
    Q, R = scipy.linalg.qr(B.T, mode="economic")
    return Factor(_frozen(A @ R.T), np.ascontiguousarray(Q.T), None)


def _truncate(M: FloatArray, Q: FloatArray, shape: tuple[int, int]) -> Factor:
    """Return the factor of M (Q empty) or of M Q^T (Q with orthonormal columns), singular values near rounding dropped."""
    try:
        U, sigma, Wt = scipy.linalg.svd(M, full_matrices=False, check_finite=False)
    except np.linalg.LinAlgError:  # divide and conquer failed: the slower QR iteration does not
        U, sigma, Wt = scipy.linalg.svd(M, full_matrices=False, check_finite=False, lapack_driver="gesvd")
    r = int(np.count_nonzero(sigma > max(shape) * np.finfo(float).eps * sigma[0])) if sigma[0] > 0 else 0
    V = Wt[:r] if Q.size == 0 else Wt[:r] @ Q.T
    return Factor(_frozen(np.ascontiguousarray(U[:, :r] * sigma[:r])), np.ascontiguousarray(V), None)


def _frozen(values: FloatArray) -> FloatArray:
    view = values.view()
    view.flags.writeable = False
    return view


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
