"""The convex program that gradient descent solves implicitly (SOP paper, eq. 26), with a certificate for every answer.

    min over theta, s of  1/2 |theta|^2 + lam |s|_1   subject to   y = J theta + s

``solver="interior-point"`` is the method of ``_interior_point``, made for this program: it works on the r-dimensional
form ``min_b 1/2 |b|^2 + lam |y - F b|_1`` and costs O(N r^2 + r^3) an iteration. ``"ECOS"`` (the paper's choice) and
``"CLARABEL"`` solve the program as printed, through CVXPY: slow, and independent, which is what they are here for. All
three end alike: they find which entries of s are zero, and the linear system that belongs to it is solved to rounding
(``_finish``), so that zeros are zeros.

The certificate is computed afterwards, whatever the solver, from theta, nu and the user's own J and y: nu is in the
box, hence feasible for the dual ``max y^T nu - 1/2 |J^T nu|^2, |nu_i| <= lam``, and

    primal - dual = 1/2 |theta - J^T nu|^2 + sum_i (lam |s_i| - s_i nu_i)  >= 1/2 |theta - theta_opt|^2,

the last because the primal is strongly convex in theta. So sqrt(2 (primal - dual)) bounds the error of theta. What is
called the gap is this difference in units of 1/2 |theta|^2, the square of the relative error that is left: outliers of
any size inflate the objective, and not this measure.
"""

import logging
import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparseop.certificate import Certificate, Certified, Check, apart
from sparseop.errors import FloatArray, between, choice, instance, integer, moderate
from sparseop.linear._certify import certify
from sparseop.linear._compiled import compiling
from sparseop.linear._doubled import pull
from sparseop.linear._finish import finish_alone
from sparseop.linear._interior_point import FINISHED, LIMIT, UNKNOWN, interior_point
from sparseop.linear._polish import NO_FACTOR, polish
from sparseop.linear.problem import LinearProblem
from sparseop.status import Status

INTERIOR = "interior-point"
SOLVERS = (INTERIOR, "ECOS", "CLARABEL")
SMALLER = (1e-4, 1e-8, 1e-12)  # of lam, at which a support is sought where lam itself is lost in rounding
SUPPORTS = (
    0.1,
    1e-3,
    1e-5,
    10.0,
)  # how far an entry may be from zero for one of its multiplier: the first is nearly always right
NO_DIGITS = np.empty(0)
log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ConvexSolution(Certified):
    """A solution of (26) and how good it is.

    Attributes
    ----------
    theta, s : (p,), (N,), the minimiser; entries of s that are zero are exactly zero.
    nu : (N,), feasible dual point, |nu_i| <= lam; at the optimum theta = J^T nu and nu_i = lam sign(s_i) where s_i !=
        0.
    nu_low : (N,), the digits of nu that float64 doesn't hold: nu + nu_low is the dual point. They count where lam is so
        large that theta, as the sum J^T nu, is nothing but what its terms differ by.
    gap : (primal - dual) / (1/2 |theta|^2), from theta, nu, J and y; |theta - theta_opt| <= sqrt(gap) |theta|. The
        rounding eps |J|_F |nu|_2 of J^T nu counts as an error, unless the sum is computed with twice the digits. Where
        theta is zero, the smallest |y_i| / |J_i|, what a single row would ask for, takes the place of |theta|.
    bound : sqrt(2 (primal - dual)); theta is within it of the minimiser, which is unique.
    objective : the primal value 1/2 |theta|^2 + lam |s|_1.
    residual : max_i |y - J theta - s|, zero up to the rounding of that difference.
    iterations : of the solver; 0 where the solution is in closed form, or a warm start was right.
    status : OPTIMAL (gap <= tol), INACCURATE or ITERATION_LIMIT of ``sparseop.status.Status``.
    lam, tol : the weight, and the gap asked for.
    solver : who solved it, e.g. "interior-point" or "ECOS 2.0.14".
    """

    theta: FloatArray
    s: FloatArray
    nu: FloatArray
    nu_low: FloatArray
    gap: float
    bound: float
    objective: float
    residual: float
    iterations: int
    status: Status
    lam: float
    tol: float
    solver: str

    @property
    def message(self) -> str:
        """The status in words."""
        return f"{self.status.sentence} (gap {self.gap:.1e}, theta within {self.bound:.1e})"

    def certificate(self, problem: LinearProblem) -> Certificate:
        """Check the arrays against J and y; see ``docs/certificates.md``."""
        instance("problem", problem, LinearProblem)
        J, y, lam = problem.J, problem.y, self.lam
        fit, apart_from_theta = J @ self.theta, pull(J, NO_FACTOR, self.nu, self.nu_low, self.theta)
        # rounding of theta is one of the whole fit: in each column as large as in the one that contributes most
        column = np.maximum(np.linalg.norm(J, axis=0), 1e-300)
        terms = np.abs(y) + np.abs(J) @ (np.max(column * np.abs(self.theta)) / column)
        size = float(np.linalg.norm(self.theta))
        rounding = float(np.finfo(float).eps * np.linalg.norm(J) * np.linalg.norm(self.nu))
        excess = 0.5 * float(apart_from_theta @ apart_from_theta) + float(
            np.sum(lam * np.abs(self.s) - self.s * self.nu)
        )
        asked = (y != 0) & J.any(axis=1)
        natural = (np.abs(y[asked]) / np.linalg.norm(J[asked], axis=1)).min(initial=math.inf)
        gap = 2 * excess / (size or natural) ** 2 if excess else 0.0
        objective = 0.5 * size**2 + lam * float(np.abs(self.s).sum())
        stated = self.tol if self.converged else 2 * self.gap
        return Certificate(
            (
                Check("y = J theta + s", apart(fit + self.s, y, terms), 1e-12, ("theta", "s")),
                Check("|nu_i| <= lam", float(np.abs(self.nu).max() / lam - 1), 1e-15, ("nu",)),
                Check("primal - dual, in units of 1/2 |theta|^2", gap, stated, ("theta", "s", "nu", "nu_low")),
                Check(
                    "theta is within bound of the minimiser", math.sqrt(max(2 * excess, 0)), 2 * self.bound + rounding
                ),
                Check("objective is as stated", apart(self.objective, objective), 1e-9),
            )
        )


@dataclass(eq=False)
class _Guess:
    """Where a solve starts and ends: coordinates b, w = nu / lam, and the signs of s (UNKNOWN: no guess)."""

    b: FloatArray
    w: FloatArray
    sign: FloatArray


def solve_convex(
    problem: LinearProblem, lam: float, *, solver: str = "interior-point", tol: float = 1e-12, max_iter: int = 200
) -> ConvexSolution:
    """Solve (26) and certify the answer.

    Parameters
    ----------
    problem : any ``LinearProblem``.
    lam : weight of |s|_1, > 0.
    solver : "interior-point", "ECOS" or "CLARABEL"; where ECOS is not installed, Clarabel takes its place, with a
        warning in the log and its name in ``solver``.
    tol : gap to reach, in (0, 1): theta is then within sqrt(tol) |theta| of the minimiser, by default six digits. What
        is returned is as a rule the exact end of the solve, with a gap at rounding level.
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
    return solve_from(problem, lam, tol, max_iter, no_guess(problem))


def solve_from(problem: LinearProblem, lam: float, tol: float, max_iter: int, guess: _Guess) -> ConvexSolution:
    """Solve from ``guess``, overwritten by the solution; what a single solve and every point of a path end in."""
    solution = _solve(problem, lam, tol, max_iter, guess)
    if solution.status == Status.INACCURATE:
        # lam so large that the method lost the ridge term in rounding; the support is that of a smaller lam, and a warm
        # start from there needs one linear system at the lam asked for
        for smaller in SMALLER:
            other = no_guess(problem)
            _solve(problem, max(lam * smaller, 1e-50), tol, max_iter, other)
            again = _solve(problem, lam, tol, max_iter, other)
            if again.gap < solution.gap:
                solution, guess.b, guess.w, guess.sign = again, other.b, other.w, other.sign
            if solution.converged:
                break
    return solution


def no_guess(problem: LinearProblem) -> _Guess:
    """Return the cold start."""
    n = problem.n_samples
    sign = np.empty(n)
    sign[0] = UNKNOWN
    return _Guess(np.zeros(problem.rank), np.zeros(n), sign)


def _solve(problem: LinearProblem, lam: float, tol: float, max_iter: int, guess: _Guess) -> ConvexSolution:
    iterations, end = 0, FINISHED
    if problem.rank and problem.y.any():
        core = interior_point if interior_point.signatures else _announced
        iterations, end = core(problem.F, problem.y, lam, tol, max_iter, guess.b, guess.w, guess.sign)
    else:  # J = 0: s = y; y = 0: everything is zero
        guess.w[:] = np.sign(problem.y)
        guess.sign[:] = guess.w
    solution = _certified(problem, lam, tol, guess, iterations, end == LIMIT, INTERIOR)
    if solution.status == Status.INACCURATE and problem.rank and problem.y.any():
        exact = polish(problem, lam, solution.theta, guess.w, guess.sign)
        if exact is not None:
            theta, w, low = exact
            again = _certified(
                problem, lam, tol, _Guess(guess.b, w, guess.sign), iterations, False, INTERIOR, theta, low
            )
            solution = again if again.gap < solution.gap else solution
    return solution


def _announced(*arguments: Any) -> tuple[int, int]:
    """``interior_point``, for the first time in this process.

    Where it is not in numba's cache, compiling it takes a while.
    """
    with compiling("the convex solver"):
        iterations, end = interior_point(*arguments)
    return iterations, end


def _certified(
    problem: LinearProblem,
    lam: float,
    tol: float,
    guess: _Guess,
    iterations: int,
    limited: bool,
    solver: str,
    theta: FloatArray | None = None,
    w_low: FloatArray = NO_DIGITS,
) -> ConvexSolution:
    theta = problem.factor.lift(guess.b) if theta is None else theta
    B = NO_FACTOR if problem.B is None else problem.B
    s, nu, nu_low, objective, gap, bound, residual = certify(
        problem.A,
        B,
        problem.y,
        lam,
        theta,
        guess.w,
        w_low,
        guess.sign,
        problem.size,
        tol,
    )
    status = Status.OPTIMAL if gap <= tol else Status.ITERATION_LIMIT if limited else Status.INACCURATE
    return ConvexSolution(theta, s, nu, nu_low, gap, bound, objective, residual, iterations, status, lam, tol, solver)


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
        guess = _Guess(np.zeros(problem.rank), np.sign(problem.y), np.sign(problem.y))
    else:
        # of the two signs CVXPY's solvers give the multiplier, the one that maximises the dual is nu
        w = equation.dual_value / lam
        guess = _finished(problem, lam, tol, theta.value, w if problem.y @ w >= 0 else -w)
    iterations = int(getattr(program.solver_stats, "num_iters", None) or 0)
    return _certified(problem, lam, tol, guess, iterations, iterations >= max_iter, f"{solver} {_version(solver)}")


def _finished(problem: LinearProblem, lam: float, tol: float, theta: FloatArray, w: FloatArray) -> _Guess:
    """Return the exact solution on the support that a solver with a tolerance found, or what it found.

    An entry of s counts as zero where its multiplier is further from the box than the entry from zero, each on its
    scale.
    """
    residual = problem.y - problem.times(theta)
    w = np.clip(w, -1.0, 1.0)
    found = _Guess(problem.factor.coordinates(theta), w, np.sign(residual))
    scale, idle = float(np.abs(problem.y).mean()), ~problem.F.any(axis=1)  # idle rows: s_i = y_i whatever theta is
    if not problem.rank or not scale:
        return found
    for share in SUPPORTS:
        sign = np.where(np.abs(residual) > share * scale * (1 - np.abs(w)), np.sign(residual), 0.0)
        sign[idle] = np.sign(problem.y[idle])
        exact = _Guess(found.b.copy(), w.copy(), sign)
        gap, visible = finish_alone(problem.F, problem.y, lam, exact.b, exact.w, sign)
        if gap <= tol and visible == 0:
            return exact
    return found


def _version(solver: str) -> str:
    from importlib.metadata import version

    return version(solver.lower())
