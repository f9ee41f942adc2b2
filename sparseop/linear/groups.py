"""Several outputs at once, sparse by rows: which observations are corrupted, when an observation is a vector.

With Y (N, K) = J Theta + S + E, and c the intercept, where there is one,

    min over Theta, c, S of   1/2 sum_j d_j |Theta_j|^2 + sum_g w_g (lam |S_g|_F + 1/(2 sigma^2) |E_g|_F^2),

where g runs over groups of rows, by default each row by itself, and sigma = 0 makes the last term the constraint Y =
J Theta + c + S. For labels, Y one-hot, a wrong label is one row of S; entry by entry, with the norm of (26), the
corruption S = Y is as sparse as the truth, and often the answer. For K = 1 and sigma = 0 the program is (26); for
sigma > 0 the loss of a row is Huber's.

Its dual, V (N, K), d_j Theta_j = J_j^T V:

    max over V of   <V, Y> - 1/2 sum_{d_j > 0} |J_j^T V|^2 / d_j - sum_g sigma^2 / (2 w_g) |V_g|^2
    subject to      |V_g|_F <= lam w_g,   J_j^T V = 0 where d_j = 0,   1^T V = 0 with an intercept.

Whatever the method (``_row_newton``) found, the certificate is computed afterwards from (Theta, c, V) and the user's
own J and Y in float64: V is brought into the constraints, and the gap between the two values bounds how far (Theta,
c) is from optimal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparseop.certificate import Certificate, Certified, Check, apart
from sparseop.errors import FloatArray, InputError, array, between, instance, integer, moderate, nonnegative
from sparseop.linear._group_data import GroupData
from sparseop.linear._group_program import GroupProgram
from sparseop.linear._rows import Rows, design
from sparseop.status import Status


@dataclass(frozen=True, eq=False)
class GroupSolution(Certified):
    """A solution of the row-group program and how good it is.

    Attributes
    ----------
    Theta, intercept : (p, K) and (K,), the minimiser; the intercept is 0 where none was asked for.
    S : (N, K), the corruption; groups that are zero are exactly zero.
    V : (N, K), feasible for the dual; V_g = lam w_g S_g / |S_g| where S_g is not zero.
    gap : (primal - dual) / (1/2 sum_j d_j |Theta_j|^2), what the answer depends on, from Theta, intercept, V and the
        user's J and Y alone.
    objective : the primal value.
    residual : sigma = 0: the largest entry of |Y - J Theta - intercept - S|, what the zeros of S leave out; sigma >
        0: nan, as there that difference is the noise.
    bound : |Theta - Theta_opt|_F is at most this (over the penalised rows, each times sqrt(d_j)): the program is
        strongly convex.
    iterations : Newton steps.
    status : OPTIMAL, INACCURATE or ITERATION_LIMIT of ``sparseop.status.Status``.
    lam, sigma : as given.
    """

    Theta: FloatArray
    intercept: FloatArray
    S: FloatArray
    V: FloatArray
    gap: float
    objective: float
    residual: float
    bound: float
    iterations: int
    status: Status
    lam: float
    sigma: float

    @property
    def message(self) -> str:
        """The status in words."""
        return f"{self.status.sentence} (gap {self.gap:.1e})"

    @property
    def zero(self) -> NDArray[np.bool_]:
        """Which rows (N,) of S are zero: the observations that count as clean."""
        return np.asarray(~self.S.any(axis=1))

    def predict(self, J: Any) -> FloatArray:
        """Return J Theta + intercept (n, K) for the rows of a J (n, p), old or new."""
        J = design("J", J)
        if J.shape[1] != len(self.Theta):
            raise InputError(f"J must have {len(self.Theta)} columns, as in the fit, got {J.shape[1]}.")
        return Rows(J, np.ones(J.shape[1]), np.empty((J.shape[0], 0))).times(self.Theta) + self.intercept

    def certificate(
        self, J: Any, Y: Any, *, intercept: bool = False, penalties: Any = None, weights: Any = None, groups: Any = None
    ) -> Certificate:
        """Check every array against the data, given as to ``solve_groups``."""
        data = GroupData(J, Y, intercept, penalties, weights, groups)
        lam, balls, V = self.lam, data.balls(self.lam), self.V[data.rows]
        gap, bound, objective, R, inside = data.certify(self.Theta, self.intercept, V, lam, self.sigma)
        S, best = self.S[data.rows], data.corruption(R, None, lam, self.sigma)
        if self.sigma == 0:  # rows held at zero are off by no more than ``residual``
            best = np.where((S == 0) & (np.abs(best) <= self.residual), 0.0, best)
        size = float(np.abs(data.Y).max())
        outside = float((balls.norms(V) / balls.radii).max()) - 1
        return Certificate(
            (
                Check("duality gap as reported", gap, 1.01 * self.gap + 1e-12, ("Theta", "intercept", "V")),
                Check("bound as reported", bound, 1.01 * self.bound + 1e-6 * float(np.linalg.norm(self.Theta)), ()),
                Check("V_g in its ball", outside, 1e-12, ("V",)),
                Check("V as projected onto the dual's constraints", apart(V, inside, lam), 1e-9, ("V",)),
                Check("S the best for Y - J Theta - c", apart(S, best, size), 1e-9, ("S", "Theta", "intercept")),
                Check("objective", apart(self.objective, objective), 1e-9, ("Theta", "intercept")),
            )
        )


def solve_groups(
    J: Any,
    Y: Any,
    lam: float,
    *,
    sigma: float = 0.0,
    intercept: bool = False,
    penalties: Any = None,
    weights: Any = None,
    groups: Any = None,
    tol: float = 1e-9,
    max_iter: int = 500,
    start: GroupSolution | None = None,
) -> GroupSolution:
    """Solve the row-group program and certify the answer.

    Parameters
    ----------
    J : (N, p), float64 or float32, in memory or mapped from a file: it is read by blocks of rows and never copied
        (where p <= N).
    Y : (N, K), or (N,) for K = 1.
    lam : weight of the corruption, > 0.
    sigma : size of the noise that is no corruption, >= 0.
    intercept : whether an unpenalised constant c (K,) belongs to the model.
    penalties : (p,) weights d_j >= 0 of |Theta_j|^2, default 1; a column with 0 is unpenalised.
    weights : (N,) weights w_i >= 0 of the rows, default 1, as if a row were there w_i times; with ``groups`` one per
        group, in the order of ``numpy.unique(groups)``. A row of weight 0 takes no part in the fit.
    groups : (N,) labels; rows of the same label share one norm. Default: each row is a group.
    tol : relative duality gap to reach, in (0, 1).
    max_iter : Newton steps at most.
    start : a solution for another lam, sigma or other weights, to start from.

    Returns
    -------
    GroupSolution
        always with its true gap; ``status`` says whether it is within ``tol``.

    Raises
    ------
    InputError
        for a wrong shape, NaN or infinity, a largest entry outside [1e-50, 1e50], a parameter outside its range.
    """
    data = GroupData(J, Y, intercept, penalties, weights, groups)
    lam, sigma, limits = moderate("lam", lam), _noise(sigma), _limits(tol, max_iter)
    if start is not None:
        instance("start", start, GroupSolution)
        if start.Theta.shape != (len(data.d), data.shape[1]) or start.V.shape != data.shape:
            raise InputError(
                f"start must be a solution for J and Y of these shapes, got Theta {start.Theta.shape} and V "
                f"{start.V.shape}."
            )
    return _solve(GroupProgram(data), lam, sigma, *limits, start)


def solve_groups_path(
    J: Any,
    Y: Any,
    lams: Sequence[float],
    *,
    sigma: float = 0.0,
    intercept: bool = False,
    penalties: Any = None,
    weights: Any = None,
    groups: Any = None,
    tol: float = 1e-9,
    max_iter: int = 500,
) -> list[GroupSolution]:
    """Solve the row-group program at every lam of ``lams``, each started from the next larger one.

    The other parameters are those of ``solve_groups``.

    Returns
    -------
    One certified solution for each lam, in the order given.

    Raises
    ------
    InputError
        as ``solve_groups``, and for an empty path.
    """
    data = GroupData(J, Y, intercept, penalties, weights, groups)
    path = [moderate("lams", lam) for lam in array("lams", lams, (None,))]
    sigma, limits = _noise(sigma), _limits(tol, max_iter)
    program = GroupProgram(data)
    found: dict[int, GroupSolution] = {}
    last: GroupSolution | None = None
    for index in np.argsort(-np.array(path), kind="stable"):
        last = found[int(index)] = _solve(program, path[index], sigma, *limits, last)
    return [found[index] for index in range(len(path))]


def groups_gap(
    J: Any,
    Y: Any,
    lam: float,
    Theta: Any,
    V: Any,
    *,
    offset: Any = None,
    sigma: float = 0.0,
    intercept: bool = False,
    penalties: Any = None,
    weights: Any = None,
    groups: Any = None,
) -> float:
    """Return how far any (Theta, offset) is from optimal, at most, by any V.

    It is (primal - dual) / (1/2 sum_j d_j |Theta_j|^2); ``offset`` (K,) is the intercept, and ``V`` (N, K) any
    matrix: it is projected onto the dual's constraints.

    Raises
    ------
    InputError
        as ``solve_groups``.
    """
    data = GroupData(J, Y, intercept, penalties, weights, groups)
    p, (n, K) = data.J.shape[1], data.shape
    Theta = array("Theta", Theta, (p, K) if np.ndim(Theta) == 2 else (p,)).reshape(p, K)
    V = array("V", V, (n, K) if np.ndim(V) == 2 else (n,)).reshape(n, K)[data.rows]
    offset = np.zeros(K) if offset is None else array("offset", offset, (K,))
    if offset.any() and not intercept:
        raise InputError("offset must be zero, or left out, where the program has no intercept.")
    return data.certify(Theta, offset, V, moderate("lam", lam), _noise(sigma))[0]


def _solve(
    program: GroupProgram, lam: float, sigma: float, tol: float, max_iter: int, start: GroupSolution | None
) -> GroupSolution:
    data, B, M = program.data, None, None
    if start is not None:
        B, M = program.begin(start.Theta, start.intercept, start.V[data.rows] * (lam / start.lam))
    found = program.minimise(lam, sigma, tol, max_iter, B, M)
    Theta, offset, V = program.back(found)
    gap, bound, objective, R, V = data.certify(Theta, offset, V, lam, sigma)
    S = data.corruption(R, found.zero, lam, sigma)
    residual = float("nan") if sigma else float(np.abs(R - S).max())
    if len(V) < data.shape[0]:
        S, V = data.all_rows(Theta, offset, S, V)
    unfinished = Status.ITERATION_LIMIT if found.iterations >= max_iter else Status.INACCURATE
    return GroupSolution(
        Theta=Theta,
        intercept=offset,
        S=S,
        V=V,
        gap=gap,
        objective=objective,
        residual=residual,
        bound=bound,
        iterations=found.iterations,
        status=Status.OPTIMAL if gap <= tol else unfinished,
        lam=lam,
        sigma=sigma,
    )


def _noise(sigma: float) -> float:
    return moderate("sigma", sigma) if nonnegative("sigma", sigma) else 0.0


def _limits(tol: float, max_iter: int) -> tuple[float, int]:
    return between("tol", tol, 0.0, 1.0), integer("max_iter", max_iter, 1)
