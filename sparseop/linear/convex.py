"""The convex program that gradient descent solves implicitly (SOP paper, eq. 26), with a certificate for every answer.

    min over theta, s of  1/2 |theta|^2 + lam |s|_1   subject to   y = J theta + s

``solver="interior-point"`` is the method of ``_interior_point``, made for this program: it works on the r-dimensional
form ``min_b 1/2 |b|^2 + lam |y - F b|_1`` and costs O(N r^2 + r^3) an iteration. ``"ECOS"`` (the paper's choice) and
``"CLARABEL"`` solve the program as printed, through CVXPY: slow, and independent, which is what they are here for.

Whatever the solver, the certificate is computed afterwards from (b, nu) alone: nu is clipped to the box, where it is
feasible for the dual ``max y^T nu - 1/2 |J^T nu|^2, |nu_i| <= lam``, and the duality gap is

    primal - dual = 1/2 |theta - J^T nu|^2 + sum_i (lam |s_i| - s_i nu_i)  >= 0.
"""

import logging
import warnings
from dataclasses import dataclass

import numpy as np

from sparseop.certificate import Certified
from sparseop.errors import FloatArray, between, choice, instance, integer, moderate
from sparseop.linear._interior_point import UNKNOWN, certify, interior_point
from sparseop.linear.problem import LinearProblem
from sparseop.status import Status

SOLVERS = ("interior-point", "ECOS", "CLARABEL")
EPS, TINY = float(np.finfo(float).eps), float(np.finfo(float).tiny)
log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ConvexSolution(Certified):
    """A solution of (26) and how good it is.

    Attributes
    ----------
    theta, s : (p,), (N,), the minimiser; entries of s that are zero are exactly zero.
    nu : (N,), feasible dual point, |nu_i| <= lam; at the optimum theta = J^T nu and nu_i = lam sign(s_i) where s_i !=
        0.
    gap : (primal - dual) / max(primal, tiny), from nu and (theta, s) alone.
    objective : the primal value 1/2 |theta|^2 + lam |s|_1.
    residual : max_i |y - J theta - s|, zero up to the rounding of that difference.
    iterations : of the solver; 0 where the solution is in closed form, or a warm start was right.
    status : OPTIMAL, INACCURATE or ITERATION_LIMIT of ``sparseop.status.Status``; OPTIMAL only where
        gap <= tol, and the rounding in it, 1/2 (eps |J|_F |nu|_2)^2, is no larger.
    lam : the weight.
    solver : who solved it, e.g. "interior-point" or "ECOS 2.0.14".
    """

    theta: FloatArray
    s: FloatArray
    nu: FloatArray
    gap: float
    objective: float
    residual: float
    iterations: int
    status: Status
    lam: float
    solver: str

    @property
    def message(self) -> str:
        """The status in words."""
        return f"{self.status.sentence} (gap {self.gap:.1e})"


@dataclass(eq=False)
class _Guess:
    """Where a solve starts and ends: coordinates b, w = nu / lam, and the signs of s (UNKNOWN: no guess)."""

    b: FloatArray
    w: FloatArray
    sign: FloatArray


def solve_convex(
    problem: LinearProblem, lam: float, *, solver: str = "interior-point", tol: float = 1e-9, max_iter: int = 200
) -> ConvexSolution:
    """Solve (26) and certify the answer.

    Parameters
    ----------
    problem : any ``LinearProblem``.
    lam : weight of |s|_1, > 0.
    solver : "interior-point", "ECOS" or "CLARABEL"; where ECOS is not installed, Clarabel takes its place, with a
        warning in the log and its name in ``solver``.
    tol : relative duality gap to reach, in (0, 1).
    max_iter : iterations at most.

    Returns
    -------
    ConvexSolution
        always with its true gap; ``status`` says whether it is within ``tol``.

    Raises
    ------
    InputError
        for lam outside [1e-50, 1e50], a tolerance outside (0, 1), an unknown solver.
    """
    instance("problem", problem, LinearProblem)
    lam = moderate("lam", lam)
    choice("solver", solver, SOLVERS)
    tol = between("tol", tol, 0.0, 1.0)
    max_iter = integer("max_iter", max_iter, 1)
    if solver != "interior-point":
        return _solve_cvxpy(problem, lam, solver, tol, max_iter)
    solution = _solve(problem, lam, tol, max_iter, no_guess(problem))
    if solution.status == Status.INACCURATE:
        # lam so large that the method lost the ridge term in rounding; the support is that of a smaller lam, and a warm
        # start from there needs one linear system at the lam asked for
        for smaller in (1e-4, 1e-8, 1e-12):
            guess = no_guess(problem)
            _solve(problem, lam * smaller, 1e-14, max_iter, guess)
            again = _solve(problem, lam, tol, max_iter, guess)
            solution = min(solution, again, key=lambda found: found.gap)
            if solution.converged:
                break
    return solution


def no_guess(problem: LinearProblem) -> _Guess:
    """Return the cold start."""
    n = problem.n_samples
    return _Guess(np.zeros(problem.rank), np.zeros(n), np.full(n, UNKNOWN))


def _solve(problem: LinearProblem, lam: float, tol: float, max_iter: int, guess: _Guess) -> ConvexSolution:
    """Solve from ``guess``, which is overwritten by the solution: the next point of a path starts there."""
    iterations = 0
    if problem.rank and problem.y.any():
        iterations = interior_point(problem.F, problem.y, lam, tol, max_iter, guess.b, guess.w, guess.sign)
    else:  # J = 0: s = y; y = 0: everything is zero
        guess.w[:] = np.sign(problem.y)
    return _certified(problem, lam, tol, guess.b, guess.w, iterations, max_iter, "interior-point")


def _certified(
    problem: LinearProblem,
    lam: float,
    tol: float,
    b: FloatArray,
    w: FloatArray,
    iterations: int,
    max_iter: int,
    solver: str,
) -> ConvexSolution:
    s, nu, primal, excess, residual = certify(problem.F, problem.y, lam, b, w)
    gap = float(excess / max(primal, TINY))
    # b - F^T nu cancels where lam is huge: a gap that its own rounding exceeds proves nothing
    rounding = 0.5 * EPS**2 * float(np.vdot(problem.F, problem.F)) * float(np.vdot(nu, nu))
    status = (
        Status.OPTIMAL
        if gap <= tol and rounding <= tol * max(primal, TINY)
        else Status.ITERATION_LIMIT
        if iterations >= max_iter
        else Status.INACCURATE
    )
    return ConvexSolution(
        theta=problem.factor.lift(b),
        s=s,
        nu=nu,
        gap=gap,
        objective=float(primal),
        residual=residual,
        iterations=iterations,
        status=status,
        lam=lam,
        solver=solver,
    )


def _solve_cvxpy(problem: LinearProblem, lam: float, solver: str, tol: float, max_iter: int) -> ConvexSolution:
    """Solve (26) as printed: variables theta and s, data J and y."""
    import cvxpy as cp  # takes a second to import, and only the reference needs it

    if solver == "ECOS" and "ECOS" not in cp.installed_solvers():  # type: ignore[no-untyped-call]
        log.warning("ECOS is not installed (it has no wheel for this Python or processor): CLARABEL takes its place.")
        solver = "CLARABEL"
    theta, s = cp.Variable(problem.n_params), cp.Variable(problem.n_samples)
    equation = problem.J @ theta + s == problem.y
    size = 0.5 * cp.sum_squares(theta) + lam * cp.norm1(s)  # type: ignore[attr-defined]
    program = cp.Problem(cp.Minimize(size), [equation])
    options = (
        {"abstol": tol, "reltol": tol, "feastol": tol, "max_iters": max_iter}
        if solver == "ECOS"
        else {"tol_gap_abs": tol, "tol_gap_rel": tol, "tol_feas": tol, "max_iter": max_iter}
    )
    failed = None
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Solution may be inaccurate")  # the certificate says how inaccurate
            program.solve(solver=solver, **options)  # type: ignore[no-untyped-call]
    except cp.SolverError as error:
        failed = error
    if failed is not None or theta.value is None:
        log.warning("%s found no solution (%s); theta = 0 is certified instead.", solver, failed or program.status)
        b, w = np.zeros(problem.rank), np.sign(problem.y)
    else:
        # of the two signs CVXPY's solvers give the multiplier, the one that maximises the dual is nu
        b = problem.factor.coordinates(theta.value)
        w = equation.dual_value / lam
        w = w if problem.y @ w >= 0 else -w
    iterations = int(getattr(program.solver_stats, "num_iters", None) or 0)
    return _certified(problem, lam, tol, b, w, iterations, max_iter, f"{solver} {_version(solver)}")


def _version(solver: str) -> str:
    from importlib.metadata import version

    return version(solver.lower())
