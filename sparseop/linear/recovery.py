"""For which weights lam the convex program (26) returns the ground truth: exactly, and by the paper's bound (B.25).

(theta_star, s_star) solves (26) at lam if and only if some nu satisfies its optimality conditions (B.3)::

    J^T nu = theta_star,    nu_i = lam sign(s_star_i) where s_star_i != 0,    |nu_i| <= lam elsewhere.

With nu = lam w, t = 1/lam and U an orthonormal basis of the column space of J, this is linear in (w, t)::

    U_C^T w_C + U_S^T sign(s_star_S) = t U^T g,   |w_i| <= 1,       g = U Sigma^{-1} V^T theta_star,  C the complement
                                                                                                      of S

so the weights that recover form an interval, and each of its ends is one linear program. The minimiser is unique: the
objective is strictly convex in theta, and s = y - J theta.
"""

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from sparseop.errors import FloatArray, nonnegative
from sparseop.linear.nullspace import null_space_constant
from sparseop.linear.problem import LinearProblem, ground_truth
from sparseop.linear.zonotope import Reach, reach

# An end of the t-interval this close to zero, in units of 1/|g|_inf, cannot be told from zero (lam = infinity).
_ZERO = 1e-9


@dataclass(frozen=True)
class RecoveryInterval:
    """The weights lam at which (26) returns (theta_star, s_star): lower <= lam <= upper, lam > 0.

    Attributes
    ----------
    lower, upper : ends; upper is inf where every larger weight recovers. Where none does: lower = inf, upper = 0.
    error : certified relative error of the ends, from the duality gap of the linear programs; inf where the solver's
        answer "no weight recovers" came without proof.
    """

    lower: float
    upper: float
    error: float

    def __contains__(self, lam: float) -> bool:
        return lam > 0 and self.lower <= lam <= self.upper


@dataclass(frozen=True)
class ThresholdBound:
    """Sufficient weights for recovery, from the null-space constant rho (Lemma B.4); inf where rho >= 1.

    Attributes
    ----------
    rho : the null-space constant used.
    corrected : (1 + rho)/(1 - rho) |U Sigma^{-1} V^T theta_star|_inf, what the proof of Lemma B.4 gives.
    printed : (B.25) as printed, 2 (1 + rho)/(1 - rho) |U Sigma^{-1} V^T theta_star|_inf; its proof drops the factor 1/2
        of the objective in (B.24) and so ends twice as high as it must.
    """

    rho: float
    corrected: float
    printed: float


def recovery_threshold(problem: LinearProblem) -> float:
    """Return the smallest lam > 0 at which (26) recovers the ground truth.

    Inf if there is none, 0 if all small ones do.

    The exact counterpart of lambda_0 in Proposition 3.5. See ``recovery_interval`` for the upper end, which is finite
    in a few per cent of the instances near the phase transition.

    Raises
    ------
    InputError
        where the problem has no ground truth, or one that (26) could never return (theta_star not of minimum norm).
    """
    return _interval(problem, both=False).lower


def recovery_interval(problem: LinearProblem) -> RecoveryInterval:
    """Return the exact interval of weights lam at which (26) recovers the ground truth.

    Special cases: theta_star = 0 recovers at every lam > 0 or at none; sparsity 0 always recovers for lam large enough;
    with fewer clean observations than rank(J) the interval is empty or a single point.

    Raises
    ------
    InputError
        as ``recovery_threshold``.
    """
    return _interval(problem, both=True)


def threshold_bound(problem: LinearProblem, rho: float | None = None) -> ThresholdBound:
    """Return the sufficient threshold of Lemma B.4, with the proof's own constant and with the printed one.

    For d = s_star - s in the column space of J, and g = U Sigma^{-1} V^T theta_star, the objective of (B.24) rises by
    ``1/2 |V Sigma^{-1} U^T d|^2 + <d, g> + lam (|s|_1 - |s_star|_1) >= (lam (1-rho)/(1+rho) - |g|_inf) |d|_1``.

    Parameters
    ----------
    rho : null-space constant relative to the support of s_star, or a bound on it; default: the upper end of
        ``null_space_constant``, or inf as soon as it is seen to be at least 1.
    """
    g, _ = _aligned(problem)
    rho = null_space_constant(problem, stop_at=1.0).upper if rho is None else nonnegative("rho", rho, infinite=True)
    below = rho < 1 - _ZERO  # a rho that cannot be told from 1 proves nothing
    corrected = (1 + rho) / (1 - rho) * float(np.abs(g).max()) if below else np.inf
    return ThresholdBound(rho, corrected, 2 * corrected)


def _aligned(problem: LinearProblem) -> tuple[FloatArray, FloatArray]:
    """Return (g, s_star) with g = U Sigma^{-1} V^T theta_star: g in the column space of J, J^T g = theta_star."""
    b_star, s_star = ground_truth(problem)
    U = problem.U
    R = np.triu(U.T @ problem.F)
    return (
        U @ scipy.linalg.solve_triangular(R, b_star, trans="T", check_finite=False) if problem.rank else s_star * 0
    ), s_star


def _interval(problem: LinearProblem, *, both: bool) -> RecoveryInterval:
    g, s_star = _aligned(problem)
    S = s_star != 0
    U = problem.U
    C, c = U[~S], U[S].T @ np.sign(s_star[S])
    scale = float(np.abs(g).max())
    if scale == 0:
        # theta_star = 0: the conditions do not depend on lam. They hold iff -c is in the zonotope {C^T w}
        size = float(np.linalg.norm(c))
        far = reach(C, np.zeros_like(c), -c) if size > _ZERO else None
        if far is None or far.tau >= 1 - _ZERO:
            return RecoveryInterval(0.0, np.inf, 0.0 if far is None else far.defect)
        return RecoveryInterval(np.inf, 0.0, 0.0 if far.bound < 1 else np.inf)
    d = U.T @ (g / scale)
    top = reach(C, c, d)
    if top.tau <= _ZERO:
        return RecoveryInterval(np.inf, 0.0, 0.0 if top.bound <= _ZERO else np.inf)
    bottom = reach(C, c, -d) if both else None
    if bottom is None or bottom.tau >= -_ZERO:
        return RecoveryInterval(scale / top.tau, np.inf, _relative(top))
    return RecoveryInterval(scale / top.tau, scale / -bottom.tau, max(_relative(top), _relative(bottom)))


def _relative(end: Reach) -> float:
    return max(end.defect, abs(end.bound - end.tau)) / max(min(abs(end.tau), 1.0), _ZERO)
