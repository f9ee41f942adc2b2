"""Several outputs at once, sparse by rows: which observations are corrupted, when an observation is a vector.

With Y (N, K) = J Theta + S + E, and c the intercept, where there is one,

    min over Theta, c, S of   1/2 sum_j d_j |Theta_j|^2 + sum_g w_g (lam |S_g|_F + 1/(2 sigma^2) |Y_g - J_g Theta - c - S_g|_F^2),

where g runs over groups of rows, by default each row by itself, and sigma = 0 makes the last term the constraint Y = J Theta + c + S.
For labels, Y one-hot, a wrong label is one row of S; entry by entry, with the norm of (26), the corruption S = Y is as sparse as the
truth, and often the answer. For K = 1 and sigma = 0 the program is (26); for sigma > 0 the loss of a row is Huber's.

Its dual, V (N, K), d_j Theta_j = J_j^T V:

    max over V of   <V, Y> - 1/2 sum_{d_j > 0} |J_j^T V|^2 / d_j - sum_g sigma^2 / (2 w_g) |V_g|^2
    subject to      |V_g|_F <= lam w_g,   J_j^T V = 0 where d_j = 0,   1^T V = 0 with an intercept.

Whatever the method (``_row_newton``) found, the certificate is computed afterwards from (Theta, c, V) and the user's own J and Y in
float64: V is brought into the constraints, and the gap between the two values bounds how far (Theta, c) is from optimal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from sparseop.errors import FloatArray, InputError, array, between, fits, instance, integer, moderate, nonnegative
from sparseop.linear._row_newton import Balls, duality_gap, minimise
from sparseop.linear._rows import Rows, design, orthonormal

EPS = float(np.finfo(float).eps)
#: status -> what it means
STATUSES = {
    "optimal": "the relative duality gap is at most tol",
    "inaccurate": "float64 allows no better; gap says how close it came",
    "iteration limit": "max_iter was reached first; gap says how close it came",
}


@dataclass(frozen=True, eq=False)
class GroupSolution:
    """A solution of the row-group program and how good it is.

    Attributes
    ----------
    Theta, intercept : (p, K) and (K,), the minimiser; the intercept is 0 where none was asked for.
    S : (N, K), the corruption; groups that are zero are exactly zero.
    V : (N, K), feasible for the dual; V_g = lam w_g S_g / |S_g| where S_g is not zero.
    gap : (primal - dual) / primal, from Theta, intercept, V and the user's J and Y alone.
    objective : the primal value.
    residual : sigma = 0: the largest entry of |Y - J Theta - intercept - S|, what the zeros of S leave out; sigma > 0: nan, as there
        that difference is the noise.
    bound : |Theta - Theta_opt|_F is at most this (over the penalised rows, each times sqrt(d_j)): the program is strongly convex.
    iterations : Newton steps.
    status : a key of ``STATUSES``.
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
    status: str
    lam: float
    sigma: float

    @property
    def message(self) -> str:
        """The status in words."""
        return f"{STATUSES[self.status]} (gap {self.gap:.1e})"

    def predict(self, J: Any) -> FloatArray:
        """Return J Theta + intercept (n, K) for the rows of a J (n, p), old or new."""
        J = design("J", J)
        if J.shape[1] != len(self.Theta):
            raise InputError(f"J must have {len(self.Theta)} columns, as in the fit, got {J.shape[1]}.")
        return Rows(J, np.ones(J.shape[1]), np.empty((len(J), 0))).times(self.Theta) + self.intercept


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
    J : (N, p), float64 or float32, in memory or mapped from a file: it is read by blocks of rows and never copied (where p <= N).
    Y : (N, K), or (N,) for K = 1.
    lam : weight of the corruption, > 0.
    sigma : size of the noise that is no corruption, >= 0.
    intercept : whether an unpenalised constant c (K,) belongs to the model.
    penalties : (p,) weights d_j >= 0 of |Theta_j|^2, default 1; a column with 0 is unpenalised.
    weights : (N,) weights w_i >= 0 of the rows, default 1, as if a row were there w_i times; with ``groups`` one per group, in the
        order of ``numpy.unique(groups)``. A row of weight 0 takes no part in the fit.
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
    program = _Program(J, Y, intercept, penalties, weights, groups)
    return program.solve(moderate("lam", lam), _noise(sigma), *_limits(tol, max_iter), program.checked(start))


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
    """Solve the row-group program at every lam of ``lams``, each started from the next larger one; as ``solve_groups`` else.

    Returns
    -------
    One certified solution for each lam, in the order given.

    Raises
    ------
    InputError
        as ``solve_groups``, and for an empty path.
    """
    program = _Program(J, Y, intercept, penalties, weights, groups)
    path = [moderate("lams", lam) for lam in array("lams", lams, (None,))]
    sigma, limits = _noise(sigma), _limits(tol, max_iter)
    found: dict[int, GroupSolution] = {}
    last: GroupSolution | None = None
    for index in np.argsort(-np.array(path), kind="stable"):
        last = found[int(index)] = program.solve(path[index], sigma, *limits, last)
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
    """Return how far any (Theta, offset) is from optimal, at most, by any V: (primal - dual) / primal.

    ``offset`` (K,) is the intercept, and ``V`` (N, K) any matrix: it is projected onto the dual's constraints.

    Raises
    ------
    InputError
        as ``solve_groups``.
    """
    program = _Program(J, Y, intercept, penalties, weights, groups)
    p, (n, K) = program.J.shape[1], program.shape
    Theta = array("Theta", Theta, (p, K) if np.ndim(Theta) == 2 else (p,)).reshape(p, K)
    V = array("V", V, (n, K) if np.ndim(V) == 2 else (n,)).reshape(n, K)[program.rows]
    offset = np.zeros(K) if offset is None else array("offset", offset, (K,))
    if offset.any() and not intercept:
        raise InputError("offset must be zero, or left out, where the program has no intercept.")
    return program.certify(Theta, offset, V, moderate("lam", lam), _noise(sigma))[0]


def _noise(sigma: float) -> float:
    return moderate("sigma", sigma) if nonnegative("sigma", sigma) else 0.0


def _limits(tol: float, max_iter: int) -> tuple[float, int]:
    return between("tol", tol, 0.0, 1.0), integer("max_iter", max_iter, 1)


class _Program:
    """The data of the program, checked, and brought to the units and the least size that the method works in.

    Units: A = J diag(1 / sqrt(d)) / a and Y / u, both of largest size 1, so Theta = (u / a) B / sqrt(d), lam = (u / a^2) lam',
    sigma = a sigma', V = (u / a^2) V'. Size: the unpenalised part of Y is taken off, and Y turned to the directions of its outputs
    that are left (for K one-hot columns with an intercept K - 1 of them), which leaves every norm as it is. Where A has more columns
    than rows, a QR factor replaces it.
    """

    def __init__(self, J: Any, Y: Any, intercept: bool, penalties: Any, weights: Any, groups: Any) -> None:
        self.J = design("J", J)
        n, p = self.J.shape
        what = "one row for each of J"
        self.Y = array("Y", Y, (n, None), what=what) if np.ndim(Y) == 2 else array("Y", Y, (n,), what=what)[:, None]
        array("Y", self.Y, (n, None), moderate=True)
        self.shape, self.given = self.Y.shape, (self.J, self.Y)
        self.d = (
            np.ones(p) if penalties is None else array("penalties", penalties, (p,), what="one for each column of J")
        )
        self.intercept = bool(intercept)
        self.index, self.weights = _grouped(n, weights, groups)
        self.rows: slice | NDArray[np.intp] = slice(None)
        if self.d.min() < 0:
            raise InputError(f"penalties must be >= 0, got {self.d.min()!r} at index {int(self.d.argmin())}.")
        if not self.weights.all():  # rows without weight take no part
            self._drop()
        n, K = self.Y.shape
        fits(f"the row-group program of {n} rows, {p} columns and {K} outputs", 8 * n * K + 4 * min(n, p) ** 2)
        self._prepare()

    def _drop(self) -> None:
        live = self.weights > 0
        if not live.any():
            raise InputError("weights must have an entry > 0, got zeros only.")
        self.rows = np.flatnonzero(live if self.index is None else live[self.index])
        self.J, self.Y = self.J[self.rows], self.Y[self.rows]
        if self.index is not None:
            self.index = (np.cumsum(live) - 1)[self.index[self.rows]]
        self.weights = self.weights[live]

    def _prepare(self) -> None:
        (n, p), free = self.J.shape, self.d == 0
        Z = np.hstack([self.J[:, free].astype(float), np.ones((n, int(self.intercept)))])
        Q, self.from_free = orthonormal(Z)
        root = np.sqrt(np.where(free, 1.0, self.d))
        a = float((np.maximum(self.J.max(0), -self.J.min(0)) * ~free / root).max()) or 1.0
        self.mean = Q.T @ self.Y / n  # of Y, along Q
        rest = self.Y - Q @ self.mean
        if np.abs(rest).max() <= 1e-14 * np.abs(self.Y).max():
            rest[:] = 0.0
        sigma, turn = np.linalg.svd(np.linalg.qr(rest, mode="r"))[1:]
        kept = max(int((sigma > max(rest.shape) * EPS * sigma[0]).sum()), 1)
        self.turn = np.ascontiguousarray(turn[:kept].T)
        rest = rest @ self.turn
        u = float(np.linalg.norm(rest, axis=1).max())
        self.zero = u == 0
        self.u, self.a = u or 1.0, a
        self.target = rest / self.u
        self.scale = ~free / (root * a)
        self.lift: FloatArray | None = None
        if p > n:
            full, R = scipy.linalg.qr((self.J * self.scale).T, mode="economic", check_finite=False)
            self.lift = full
            self.A = Rows(np.ascontiguousarray(R.T), np.ones(n), Q)
        else:
            self.A = Rows(self.J, self.scale, Q)
        self.ridge = np.r_[np.ones(self.A.shape[1] - Q.shape[1]), np.zeros(Q.shape[1])]

    def checked(self, start: GroupSolution | None) -> GroupSolution | None:
        """Return ``start``, refusing the solution of a program of other shapes."""
        if start is not None:
            instance("start", start, GroupSolution)
            if start.Theta.shape != (len(self.d), self.shape[1]) or start.V.shape != self.shape:
                raise InputError(
                    f"start must be a solution for J and Y of these shapes, got Theta {start.Theta.shape} and V {start.V.shape}."
                )
        return start

    def solve(self, lam: float, sigma: float, tol: float, max_iter: int, start: GroupSolution | None) -> GroupSolution:
        """Return the certified solution."""
        K = self.target.shape[1]
        B, V = np.zeros((self.A.shape[1], K)), np.zeros_like(self.target)
        zero, iterations = np.ones(len(self.weights), bool), 0
        if not self.zero:
            balls = Balls(lam * self.a * self.a / self.u * self.weights, self.weights, self.index)
            M = None if start is None else self._begin(start, lam, B)
            found = minimise(self.A, self.target, self.ridge, balls, sigma / self.a, tol, max_iter, B, M)
            B, V, zero, iterations = found.B, found.V, found.zero, found.iterations
        Theta, offset = self._back(B)
        V = V @ self.turn.T * (self.u / self.a**2)
        return self._solution(Theta, offset, V, zero, lam, sigma, tol, iterations, iterations >= max_iter)

    def _begin(self, start: GroupSolution, lam: float, B: FloatArray) -> FloatArray:
        """Write a start into B and return its multiplier, in the method's units."""
        n, free, q = len(self.Y), self.d == 0, self.A.shape[1] - self.A.Q.shape[1]
        with np.errstate(divide="ignore", invalid="ignore"):
            inner = np.where(free[:, None], 0.0, start.Theta / self.scale[:, None]) / self.u
        B[:q] = (inner if self.lift is None else self.lift.T @ inner) @ self.turn
        fit = self.J[:, free] @ start.Theta[free] + start.intercept * self.intercept
        B[q:] = (self.A.Q.T @ fit / n - self.mean) @ self.turn / self.u
        return np.asarray(start.V[self.rows] @ self.turn * (lam / start.lam * self.a**2 / self.u))

    def _back(self, B: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return Theta and the intercept, in the user's units."""
        q = self.A.shape[1] - self.A.Q.shape[1]
        wide = B @ self.turn.T * self.u
        inner = wide[:q] if self.lift is None else self.lift @ wide[:q]
        Theta = self.scale[:, None] * inner
        unpenalised = self.from_free @ (self.mean + wide[q:])
        m = int((self.d == 0).sum())
        Theta[self.d == 0] = unpenalised[:m]
        return Theta, unpenalised[m] if self.intercept else np.zeros(self.shape[1])

    def certify(
        self, Theta: FloatArray, offset: FloatArray, V: FloatArray, lam: float, sigma: float
    ) -> tuple[float, float, FloatArray, FloatArray]:
        """Return gap, objective, R = Y - J Theta - c, and V brought into the dual's constraints, all in the user's units."""
        user = Rows(self.J, np.ones(self.J.shape[1]), np.empty((len(self.J), 0)))
        fit = user.times(Theta) + offset
        R = self.Y - fit
        small = np.linalg.norm(R, axis=1) <= 1e-14 * (np.linalg.norm(self.Y, axis=1) + np.linalg.norm(fit, axis=1))
        R[small] = 0.0  # cannot be told from zero
        balls = Balls(lam * self.weights, self.weights, self.index)
        for _ in range(2):  # twice: the second time at rounding level
            V = V - self.A.Q @ (self.A.Q.T @ V / len(V))
        V = V * min(1.0, float((balls.radii / np.maximum(balls.norms(V), np.finfo(float).tiny)).min()))
        free = self.d == 0
        root = np.sqrt(np.where(free, 1.0, self.d))[:, None]
        gap, objective = duality_gap(balls, sigma**2, R, V, (root * Theta)[~free], (user.transposed(V) / root)[~free])
        return gap, objective, R, V

    def _solution(
        self,
        Theta: FloatArray,
        offset: FloatArray,
        V: FloatArray,
        zero: NDArray[np.bool_],
        lam: float,
        sigma: float,
        tol: float,
        iterations: int,
        limit: bool,
    ) -> GroupSolution:
        gap, objective, R, V = self.certify(Theta, offset, V, lam, sigma)
        balls = Balls(lam * self.weights, self.weights, self.index)
        S = R * balls.spread(~zero)[:, None]
        if sigma:
            norms = np.maximum(balls.norms(R), np.finfo(float).tiny)
            S = S * balls.spread(np.maximum(0.0, 1 - lam * sigma**2 / norms))[:, None]
        residual = float("nan") if sigma else float(np.abs(R - S).max())
        if len(V) < self.shape[0]:
            S, V = self._all_rows(Theta, offset, S, V)
        return GroupSolution(
            Theta=Theta,
            intercept=offset,
            S=S,
            V=V,
            gap=gap,
            objective=objective,
            residual=residual,
            bound=float(np.sqrt(2 * max(gap, 0.0) * objective)),
            iterations=iterations,
            status="optimal" if gap <= tol else "iteration limit" if limit else "inaccurate",
            lam=lam,
            sigma=sigma,
        )

    def _all_rows(
        self, Theta: FloatArray, offset: FloatArray, S: FloatArray, V: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return S and V with rows for those of weight 0: all of their residual, and no multiplier."""
        J, Y = self.given
        whole, multiplier = (
            Y - Rows(J, np.ones(J.shape[1]), np.empty((len(J), 0))).times(Theta) - offset,
            np.zeros_like(Y),
        )
        whole[self.rows], multiplier[self.rows] = S, V
        return whole, multiplier


def _grouped(n: int, weights: Any, groups: Any) -> tuple[NDArray[np.intp] | None, FloatArray]:
    """Return the group of each row (None: its own) and the weight of each group."""
    index, count = None, n
    if groups is not None:
        labels = np.asarray(groups)
        if labels.shape != (n,):
            raise InputError(f"groups must have shape ({n},), one label for each row of J, got {labels.shape}.")
        try:
            known, index = np.unique(labels, return_inverse=True)
        except TypeError:
            raise InputError("groups must have labels of one kind, all numbers or all text.") from None
        count = len(known)
    if weights is None:
        return index, np.ones(count)
    what = "one for each row of J" if groups is None else "one for each group, in the order of numpy.unique(groups)"
    values = array("weights", weights, (count,), what=what)
    if values.min() < 0:
        raise InputError(f"weights must be >= 0, got {values.min()!r} at index {int(values.argmin())}.")
    return index, values
