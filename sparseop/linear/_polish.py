"""The last digits of a solution whose support is known: residuals of J itself, multipliers with twice the digits.

Where lam is large, theta = J^T nu is the small difference of terms of size lam |J|, and the rounding of nu alone, one
part in 1e16 of them, spoils the certificate, as does that of a factor J = F V^T. The same proximal steps as in
``_finish``, with s = y - J theta and J^T w - theta/lam from the user's J, w as the sum of two numbers, and the factor
only to solve with, converge to what float64 can hold of theta.
"""

import numpy as np
import scipy.linalg

from sparseop.errors import FloatArray
from sparseop.linear._doubled import pull, total
from sparseop.linear._finish import ROUNDING, WEIGHT, natural_size
from sparseop.linear.problem import LinearProblem

STEPS = 6
DIGITS = 0.1  # largest change of theta, relative, that counts as polishing
NO_FACTOR = np.empty((0, 0))


def polish(
    problem: LinearProblem, lam: float, theta: FloatArray, w: FloatArray, sign: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray] | None:
    """Return (theta, w, w_low) on the support ``sign``; None where that is more than digits."""
    Z = sign == 0
    F, size = problem.F[Z], float(np.sum(problem.F[Z] ** 2))
    unit = float(np.abs(problem.y[Z]).max(initial=0.0)) or float(np.abs(problem.y).max())
    weight = WEIGHT * max(1 / unit, problem.rank / (lam * size) if size else 0.0)
    A, B = problem.A, NO_FACTOR if problem.B is None else problem.B
    try:
        L = scipy.linalg.cho_factor(weight * (F.T @ F) + np.eye(problem.rank) / lam, lower=True)
    except np.linalg.LinAlgError:
        return None
    norm = np.linalg.norm(F, axis=1)
    start, size_theta = (
        theta,
        float(np.linalg.norm(theta)) or natural_size(np.linalg.norm(problem.F, axis=1), problem.y),
    )
    w, low = np.where(Z, w, sign), np.zeros_like(w)
    for _ in range(STEPS):
        s = (problem.y - problem.times(theta))[Z]
        # rounding of s, divided by its small share in w, would be all that is left of the last digits of w
        s[np.abs(s) <= ROUNDING * (np.abs(problem.y[Z]) + norm * np.linalg.norm(theta))] = 0.0
        off = pull(A, B, w, low, theta / lam)
        inside = problem.factor.coordinates(off)
        b = scipy.linalg.cho_solve(L, weight * (F.T @ s) + inside)
        # what J^T w has outside the factor's row space, directions of J at rounding level, theta takes over as it is
        theta = theta + problem.factor.lift(b) + lam * (off - problem.factor.lift(inside))
        w[Z], error = total(w[Z], weight * (s - F @ b))
        low[Z] += error
    # no more than digits: where J's rounding has grown into directions of their own, lam can be too large for any
    # answer
    return (theta, w, low) if np.linalg.norm(theta - start) <= DIGITS * size_theta else None
