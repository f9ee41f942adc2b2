"""Gradient flow on Y = U U^T + g*g - h*h: robust PCA without a penalty, the matrix case.

From U = gamma I (or gamma times orthonormal columns), g = h = gamma, with R = U U^T + g*g - h*h - Y, the flow of 1/2
|R|_F^2 is

    dU/dt = -(R + R^T) U,    dg/dt = -2 alpha R*g,    dh/dt = 2 alpha R*h.

With N = -integral of R the sparse part is in closed form, g = gamma exp(2 alpha N), h = gamma exp(-2 alpha N), so

    S = 2 gamma^2 sinh(4 alpha N),    dN/dt = -R,

and this is what is integrated: g*h = gamma^2 holds by construction, and nothing underflows. Let L = log(1/gamma). An
eigenvalue of X of order 1 has grown from gamma^2 as exp(4 eig(sym N)), an entry of S of order 1 as exp(4 alpha N_ij),
so that

    M = (2/L) N    has    eig(sym M) -> 1 where X lives,    |M_ij| -> 1/alpha where S lives, and no more elsewhere:

the optimality conditions of robust PCA (``robust_low_rank``) at **lam = 1/alpha**, with M as the flow's own
certificate. (With scales gamma_U and gamma_S of their own, lam = log(1/gamma_S) / (alpha log(1/gamma_U)).)

This is a proof only where the integrals of R at all times commute, since U is a time-ordered exponential. Measured in
general (``theory/robust_low_rank.py``): where robust PCA recovers the truth, the flow's limit approaches it like a
power of gamma; where it does not, the two stay apart by several percent, and a smaller gamma can take them further
apart.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparseop.certificate import Certificate, Certified, Check, apart, not_finite
from sparseop.errors import FloatArray, InputError, between, instance, integer, moderate, random_generator
from sparseop.linear._chebyshev import MOST_STAGES, advance, local_error, longest_step, stages_for
from sparseop.linear._hyperbolic import sparse_part
from sparseop.linear.robust_low_rank import TINY, LowRankProblem, robust_pca_gap
from sparseop.status import Status


@dataclass(frozen=True, eq=False)
class LowRankFlow(Certified):
    """Where the flow ends.

    Attributes
    ----------
    X, S : (n, n), X = U U^T.
    U : (n, width).
    N : (n, n), minus the integral of the residual.
    residual : max |X + S - Y|, in units of Y.
    gap : relative duality gap of X for robust PCA at ``lam``, by the flow's own M = (2/L) N; falls like 1/L even where
        X is right, because |M_ij| depends on log |S_ij| at finite gamma.
    lam : 1/alpha.
    time : of the flow.
    steps, evaluations : of the integrator.
    alpha, log_gamma, sparse : of the flow.
    status : CONVERGED (max |R| <= tol max |Y|; without S, X is as near to Y as it can be) or ITERATION_LIMIT of
        ``sparseop.status.Status``.
    """

    X: FloatArray
    S: FloatArray
    U: FloatArray
    N: FloatArray
    residual: float
    gap: float
    lam: float
    time: float
    steps: int
    evaluations: int
    status: Status
    alpha: float
    log_gamma: float
    sparse: bool

    def certificate(self, problem: LowRankProblem) -> Certificate:
        """Check the arrays against Y and each other; see ``docs/certificates.md``.

        The path that led here is not followed again: N is covered by S, which it determines where entries of S are
        visible, and by the gap of X, which it certifies elsewhere.
        """
        instance("problem", problem, LowRankProblem)
        failed = not_finite(X=self.X, S=self.S, U=self.U, N=self.N)
        if failed is not None:
            return failed
        size = max(float(np.abs(problem.Y).max()), float(np.abs(self.S).max()), TINY)
        S = sparse_part(4 * self.alpha * self.N, 2 * self.log_gamma)[0] if self.sparse else np.zeros_like(self.N)
        residual = float(np.abs(self.X + self.S - problem.Y).max())
        gap = robust_pca_gap(problem, self.U @ self.U.T, self.N * (-2 / self.log_gamma), self.lam)
        return Certificate(
            (
                Check("X = U U^T", apart(self.X, self.U @ self.U.T, size), 1e-12, ("X", "U")),
                Check("S = 2 gamma^2 sinh(4 alpha N)", apart(self.S, S, size), 1e-9, ("S", "N")),
                Check("residual is as stated", apart(residual, self.residual, size), 1e-12, ("X", "S")),
                Check("gap is as stated", abs(gap - self.gap), 1e-9 * max(1.0, abs(self.gap)), ("U", "N")),
            )
        )


def low_rank_flow(
    problem: LowRankProblem,
    *,
    alpha: float | None = None,
    gamma: float = 1e-6,
    width: int | None = None,
    sparse: bool = True,
    tol: float = 1e-5,
    rtol: float = 1e-4,
    max_steps: int = 20_000,
    seed: Any = 0,
) -> LowRankFlow:
    """Follow the flow until it fits Y.

    Parameters
    ----------
    problem : any ``LowRankProblem``; a truth is ignored.
    alpha : ratio of the learning rates, in [1e-50, 1e50]; default sqrt(n), robust PCA's usual lam = 1/sqrt(n).
    gamma : scale of the start, in [1e-12, 1): below, the small parts of U would be those of rounding.
    width : columns of U; default n, which presumes nothing about the rank. Fewer: a random orthonormal frame.
    sparse : False leaves S at zero: U U^T alone, by the squared loss.
    tol : stop at max |R| <= tol max |Y|; without S, since no U may fit, at max |dU/dt| <= tol max |Y|^(3/2) with the
        eigenvalues of X within tol max |Y| of the best X's (of sym Y: the largest, as many as U has columns, those
        below 0 cut off).
    rtol : error of one step, relative to |U|_F and to L/(2 alpha), the size of N.
    max_steps : steps at most.
    seed : of the frame.

    Raises
    ------
    InputError : for an argument outside its range.
    """
    instance("problem", problem, LowRankProblem)
    Y = problem.Y
    n = len(Y)
    alpha = math.sqrt(n) if alpha is None else moderate("alpha", alpha)
    gamma = between("gamma", gamma, 1e-12, 1, ends="[)")
    log_gamma = math.log(gamma)
    d = n if width is None else integer("width", width, 1, n, why="size of Y")
    tol = between("tol", tol, 0, 1)
    rtol = between("rtol", rtol, 0, 1e-1)
    max_steps = integer("max_steps", max_steps, 1)
    rng = random_generator("seed", seed)
    if not isinstance(sparse, bool | np.bool_):
        raise InputError(f"sparse must be True or False, got {type(sparse).__name__}.")
    frame = np.eye(n) if d == n else np.linalg.qr(rng.standard_normal((n, d)))[0]
    run = _Integration(Y, alpha, log_gamma, d, sparse=sparse)
    status = run.follow(
        np.concatenate([(gamma * frame).ravel(), np.zeros(n * n if sparse else 0)]), tol, rtol, max_steps
    )
    U, N = run.parts(run.y)
    X, S = U @ U.T, run.sparse_part(N)[0]
    M = N * (-2 / log_gamma)
    return LowRankFlow(
        X=X,
        S=S,
        U=U,
        N=N,
        residual=float(np.abs(X + S - Y).max()),
        gap=robust_pca_gap(problem, X, M, 1 / alpha),
        lam=1 / alpha,
        time=run.t,
        steps=run.steps,
        evaluations=run.evaluations,
        status=status,
        alpha=alpha,
        log_gamma=log_gamma,
        sparse=bool(sparse),
    )


class _Integration:
    """The state (U, N) as one vector, and its flow."""

    def __init__(self, Y: FloatArray, alpha: float, log_gamma: float, width: int, *, sparse: bool) -> None:
        self.Y, self.alpha, self.log_gamma, self.width, self.sparse = Y, alpha, log_gamma, width, sparse
        self.n, self.unit = len(Y), float(np.abs(Y).max()) or 1.0
        self.t, self.steps, self.evaluations = 0.0, 0, 0
        self.y = np.empty(0)
        # of U U^T alone, every other critical point has fewer of these eigenvalues and is a saddle, where the flow may
        # linger
        self.best = np.maximum(np.linalg.eigvalsh((Y + Y.T) / 2)[-width:], 0)

    def parts(self, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return U and N of a state; N = 0 where there is none."""
        cut = self.n * self.width
        return y[:cut].reshape(self.n, self.width), (
            y[cut:].reshape(self.n, self.n) if self.sparse else np.zeros_like(self.Y)
        )

    def sparse_part(self, N: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return S and dS/dN."""
        S, slope = sparse_part(4 * self.alpha * N, 2 * self.log_gamma)
        return S, 4 * self.alpha * slope

    def residual(self, y: FloatArray) -> FloatArray:
        """Return R."""
        U, N = self.parts(y)
        R = U @ U.T
        R -= self.Y
        if self.sparse:
            R += self.sparse_part(N)[0]
        return np.asarray(R)

    def rhs(self, y: FloatArray) -> FloatArray:
        """Return dy/dt."""
        self.evaluations += 1
        R = self.residual(y)
        U, _ = self.parts(y)
        out = np.empty_like(y)
        cut = self.n * self.width
        np.matmul(R + R.T, U, out=out[:cut].reshape(self.n, self.width))
        out[cut:] = R.ravel()[: len(y) - cut]
        np.negative(out, out=out)
        return out

    def rate(self, y: FloatArray, slope: FloatArray) -> float:
        """Return a bound on the rates near y, where ``slope`` = rhs(y).

        Of U U^T, of S, and of U for a fixed residual.
        """
        U, N = self.parts(y)
        R = -self.parts(slope)[1] if self.sparse else self.residual(y)
        own = float(self.sparse_part(np.abs(N).max())[1]) if self.sparse else 0.0  # it grows with |N|
        return 4 * float(np.linalg.eigvalsh(U.T @ U)[-1]) + own + float(np.abs(np.linalg.eigvalsh(R + R.T)).max())

    def follow(self, y: FloatArray, tol: float, rtol: float, max_steps: int) -> Status:
        """Integrate until the residual is small; leave the last state in ``y``."""
        size_of_N = -self.log_gamma / (2 * self.alpha)
        slope = self.rhs(y)
        rate = self.rate(y, slope)
        step = 0.1 / rate
        self.y = y
        while self.steps < max_steps:
            self.steps += 1
            step = min(step, longest_step(rate))
            stages = min(stages_for(step, rate), MOST_STAGES)
            with np.errstate(over="ignore", invalid="ignore"):
                new = advance(self.rhs, y, slope, step, stages)
                new_slope = self.rhs(new)
                error = self._relative(local_error(y, new, slope, new_slope, step), y, size_of_N) / rtol
            if not error <= 1:  # also where it is nan
                step *= max(0.1, 0.8 * error ** (-1 / 3)) if error < math.inf else 0.1
                rate = max(rate, self.rate(y, slope))
                continue
            self.t += step
            step *= min(4.0, 0.8 * max(error, 1e-6) ** (-1 / 3))
            y, slope = new, new_slope
            self.y = y
            rate = 1.1 * self.rate(y, slope)  # it changes within a step
            if self._arrived(y, slope, tol):
                return Status.CONVERGED
        return Status.ITERATION_LIMIT

    def _relative(self, error: FloatArray, y: FloatArray, size_of_N: float) -> float:
        cut = self.n * self.width
        of_U = float(np.linalg.norm(error[:cut]) / np.linalg.norm(y[:cut]))
        of_N = float(np.linalg.norm(error[cut:])) / (self.n * size_of_N) if self.sparse else 0.0
        return max(of_U, of_N)

    def _arrived(self, y: FloatArray, slope: FloatArray, tol: float) -> bool:
        cut = self.n * self.width
        if self.sparse:
            return float(np.abs(slope[cut:]).max()) <= tol * self.unit
        if float(np.abs(slope[:cut]).max()) > tol * self.unit**1.5:
            return False
        U, _ = self.parts(y)
        return float(np.abs(np.linalg.eigvalsh(U.T @ U) - self.best).max()) <= tol * self.unit
