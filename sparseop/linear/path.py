"""Solutions of (26) along a path of lam: one curve of Figure 3.

The solution is piecewise smooth in lam: between two breakpoints the support and the signs of s stay the same, and the
solution is that of one linear system. So the support at the last lam is tried first at the next (see ``_finish``);
where it is right, one Cholesky factor does the work of a whole interior-point run, and where it is wrong, the duality
gap says so and the method starts cold.
"""

from collections.abc import Sequence

import numpy as np

from sparseop.errors import InputError, array, between, instance, integer, moderate
from sparseop.linear.convex import ConvexSolution, no_guess, solve_from
from sparseop.linear.problem import LinearProblem


def solve_path(
    problem: LinearProblem, lams: Sequence[float], *, tol: float = 1e-12, max_iter: int = 200
) -> list[ConvexSolution]:
    """Solve (26) at every lam of ``lams``, warm-started along the sorted path.

    Parameters
    ----------
    lams : positive weights in any order.
    tol, max_iter : as in ``solve_convex``.

    Returns
    -------
    One certified solution for each lam, in the order given.

    Raises
    ------
    InputError
        for an empty path, or a weight outside [1e-50, 1e50].
    """
    instance("problem", problem, LinearProblem)
    weights = array("lams", lams, (None,))
    if weights.min() <= 0:
        raise InputError(f"lams must be > 0, got {weights.min()!r} at index {int(weights.argmin())}.")
    for extreme in (weights.min(), weights.max()):
        moderate("lams", float(extreme))
    tol = between("tol", tol, 0.0, 1.0)
    max_iter = integer("max_iter", max_iter, 1)
    found: dict[int, ConvexSolution] = {}
    guess = no_guess(problem)
    for index in np.argsort(-weights, kind="stable"):
        found[int(index)] = solve_from(problem, float(weights[index]), tol, max_iter, guess)
    return [found[index] for index in range(len(weights))]
