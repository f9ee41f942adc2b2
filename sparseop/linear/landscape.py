"""The nonconvex objective (15), its derivatives, and what its critical points are (Proposition 3.2, appendix B.1).

    h(theta, u, v) = 1/2 |r|^2,   r = J theta + u*u - v*v - y

Derivatives, with z = (theta, u, v) in R^(p + 2N) and the (N, p + 2N) matrix B = [J, 2 diag(u), -2 diag(v)] = dr/dz:

    grad h = B^T r,      Hess h = B^T B + diag(0, 2 r, -2 r)

(the block matrix printed in the paper above (B.2) is garbled; (B.2) itself agrees with this one). At a critical point
an entry with r_i != 0 has u_i = v_i = 0 (Lemma B.1), so its two columns of B vanish and e_{u_i}, e_{v_i} are
eigenvectors with eigenvalues 2 r_i and -2 r_i, while on all other coordinates the Hessian is positive semidefinite. So
more is true than the proposition says: the smallest eigenvalue of the Hessian at a critical point that is not a global
minimum is EXACTLY -2 max|r|.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sparseop.errors import FloatArray, array, fits, instance, positive
from sparseop.linear.problem import LinearProblem


@dataclass(frozen=True, eq=False)
class CriticalPoint:
    """Verdict on a point.

    Attributes
    ----------
    kind : "global minimum", "strict saddle", or "not critical".
    residual : (N,) r.
    gradient_norm : max |grad h|, absolute.
    curvature : smallest eigenvalue of the Hessian, -2 max|r|, where the point is a strict saddle; 0 at a global
        minimum; nan where it is not critical.
    direction : (p + 2N,) unit vector with that curvature, at a strict saddle; otherwise None.
    """

    kind: str
    residual: FloatArray
    gradient_norm: float
    curvature: float
    direction: FloatArray | None


def objective(problem: LinearProblem, theta: Any, u: Any, v: Any) -> float:
    """Return h(theta, u, v), eq. (15); theta (p,), u and v (N,).

    Raises
    ------
    InputError
        for a wrong shape, NaN or infinity.
    """
    r = _residual(problem, *_point(problem, theta, u, v))
    return float(0.5 * r @ r)


def gradient(problem: LinearProblem, theta: Any, u: Any, v: Any) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the gradient of h with respect to theta (p,), u (N,) and v (N,): (J^T r, 2 r*u, -2 r*v).

    Raises
    ------
    InputError
        for a wrong shape, NaN or infinity.
    """
    theta, u, v = _point(problem, theta, u, v)
    r = _residual(problem, theta, u, v)
    return problem.factor.lift(problem.F.T @ r), 2 * r * u, -2 * r * v


def hessian(problem: LinearProblem, theta: Any, u: Any, v: Any) -> FloatArray:
    """Return the Hessian of h, (p + 2N, p + 2N), coordinates in the order theta, u, v.

    Raises
    ------
    InputError
        for a wrong shape, NaN or infinity.
    """
    theta, u, v = _point(problem, theta, u, v)
    r = _residual(problem, theta, u, v)
    fits(
        f"the Hessian in {problem.n_params + 2 * problem.n_samples} coordinates",
        4 * (problem.n_params + 2 * problem.n_samples) ** 2,
    )
    B = np.hstack([problem.J, 2 * np.diag(u), -2 * np.diag(v)])
    curvature: FloatArray = B.T @ B + np.diag(np.concatenate([np.zeros(problem.n_params), 2 * r, -2 * r]))
    return curvature


def classify_critical_point(problem: LinearProblem, theta: Any, u: Any, v: Any, *, tol: float = 1e-8) -> CriticalPoint:
    """Say whether a point is a global minimum of (15), a strict saddle, or not critical; with proof for a saddle.

    Parameters
    ----------
    problem : the data (J, y).
    theta, u, v : (p,), (N,), (N,).
    tol : with scale = max(|y|, |J theta|, u*u, v*v): the residual counts as zero up to tol scale, and the gradient up
        to tol times its own scale (|J| scale for theta, scale^(3/2) for u and v).

    Raises
    ------
    InputError
        for a wrong shape, NaN or infinity, or tol <= 0.
    """
    tol = positive("tol", tol)
    theta, u, v = _point(problem, theta, u, v)
    r = _residual(problem, theta, u, v)
    fit = problem.F @ problem.factor.coordinates(theta)
    scale = float(max(np.abs(problem.y).max(), np.abs(fit).max(), (u * u).max(), (v * v).max()))
    slopes = gradient(problem, theta, u, v)
    size = float(np.linalg.norm(problem.F))
    small = [np.abs(slopes[0]).max() <= tol * size * scale, *(np.abs(g).max() <= tol * scale**1.5 for g in slopes[1:])]
    norm = float(max(np.abs(g).max() for g in slopes))
    if np.abs(r).max() <= tol * scale:
        return CriticalPoint("global minimum", r, norm, 0.0, None)
    if not all(small):
        return CriticalPoint("not critical", r, norm, float("nan"), None)
    i = int(np.argmax(np.abs(r)))
    n, p = problem.n_samples, problem.n_params
    direction = np.zeros(p + 2 * n)
    direction[p + i + (n if r[i] > 0 else 0)] = 1.0
    return CriticalPoint("strict saddle", r, norm, -2 * abs(float(r[i])), direction)


def _point(problem: LinearProblem, theta: Any, u: Any, v: Any) -> tuple[FloatArray, FloatArray, FloatArray]:
    instance("problem", problem, LinearProblem)
    n, p = problem.n_samples, problem.n_params
    return (
        array("theta", theta, (p,), what="one entry per column of J", moderate=True),
        array("u", u, (n,), what="one entry per row of J", moderate=True),
        array("v", v, (n,), what="one entry per row of J", moderate=True),
    )


def _residual(problem: LinearProblem, theta: FloatArray, u: FloatArray, v: FloatArray) -> FloatArray:
    return problem.F @ problem.factor.coordinates(theta) + u * u - v * v - problem.y
