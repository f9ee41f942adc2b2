"""The data of the row-group program as the user gave them, and the certificate that is computed from nothing else."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparseop.errors import FloatArray, InputError, array
from sparseop.linear._row_newton import CANCELLED, Balls, duality_gap
from sparseop.linear._rows import Rows, dense, design, orthonormal

EPS, TINY = float(np.finfo(float).eps), float(np.finfo(float).tiny)


class GroupData:
    """J, Y, the penalties and weights of the program of ``groups``, checked; rows of weight 0 are set aside.

    Attributes
    ----------
    J, Y : (N', p), (N', K), the rows that take part; J as it was given, float32 or float64.
    shape : (N, K), of all rows; ``rows`` leads from these to those that take part.
    d : (p,) penalties of the columns; ``free`` says where they are 0.
    index, weights : of groups of rows, as in ``Balls``.
    Q, C : basis of the unpenalised columns Z, the last one the intercept's, and Q = Z C.
    """

    def __init__(self, J: Any, Y: Any, intercept: bool, penalties: Any, weights: Any, groups: Any) -> None:
        self.J = design("J", J)
        n, p = self.J.shape
        what = "one row for each of J"
        self.Y = array("Y", Y, (n, None) if np.ndim(Y) == 2 else (n,), what=what, moderate=True).reshape(n, -1)
        self.d = (
            np.ones(p) if penalties is None else array("penalties", penalties, (p,), what="one for each column of J")
        )
        if self.d.min() < 0:
            raise InputError(f"penalties must be >= 0, got {self.d.min()} at index {int(self.d.argmin())}.")
        self.index, self.weights = _grouped(n, weights, groups)
        self.shape, self.given = self.Y.shape, (self.J, self.Y)
        self.rows: slice | NDArray[np.intp] = slice(None)
        if not self.weights.all():
            self._set_aside()
        self.intercept, self.free = bool(intercept), self.d == 0
        self.root = np.sqrt(np.where(self.free, 1.0, self.d))
        n = len(self.Y)
        self.Q, self.C = orthonormal(
            np.hstack([dense(self.J[:, self.free]).astype(float), np.ones((n, int(self.intercept)))])
        )

    def _set_aside(self) -> None:
        live = self.weights > 0
        if not live.any():
            raise InputError("weights must have an entry > 0, got zeros only.")
        self.rows = np.flatnonzero(live if self.index is None else live[self.index])
        self.J, self.Y = self.J[self.rows], self.Y[self.rows]
        if self.index is not None:
            self.index = (np.cumsum(live) - 1)[self.index[self.rows]]
        self.weights = self.weights[live]

    def balls(self, lam: float) -> Balls:
        """Return the groups with the radii lam w_g of their multipliers."""
        return Balls(lam * self.weights, self.weights, self.index)

    def certify(
        self, Theta: FloatArray, offset: FloatArray, V: FloatArray, lam: float, sigma: float
    ) -> tuple[float, float, float, FloatArray, FloatArray]:
        """Return gap, bound, objective, R = Y - J Theta - c, and V brought into the dual's constraints.

        The gap is relative to 1/2 sum_j d_j |Theta_j|^2, whose error it bounds; where no column is penalised, to the
        objective, and where Theta is zero to within 1e5 times the rounding of J^T V, to that.
        """
        user = Rows(self.J, np.ones(self.J.shape[1]), np.empty((self.J.shape[0], 0)))
        fit = user.times(Theta) + offset
        R = self.Y - fit
        small = np.linalg.norm(R, axis=1) <= 1e-14 * (np.linalg.norm(self.Y, axis=1) + np.linalg.norm(fit, axis=1))
        R[small] = 0.0  # cannot be told from zero
        balls, root = self.balls(lam), self.root[:, None]
        for _ in range(2):  # twice: the second time at rounding level
            V = V - self.Q @ (self.Q.T @ V / len(V))
        V = V / max(1.0, float((balls.norms(V) / balls.radii).max()))
        own, back = (root * Theta)[~self.free], (user.transposed(V) / root)[~self.free]
        excess, objective = duality_gap(balls, sigma**2, R, V, own, back)
        rounding = EPS * user.size(self.root * ~self.free) * float(np.linalg.norm(V))  # of J^T V
        size = max(0.5 * float(np.vdot(own, own)), 0.5 * (CANCELLED * rounding) ** 2) if rounding else objective
        bound = float(np.sqrt(2 * max(excess, rounding**2)))
        return excess / max(size, TINY), bound, objective, R, V

    def corruption(self, R: FloatArray, zero: NDArray[np.bool_] | None, lam: float, sigma: float) -> FloatArray:
        """Return the S that is best for R = Y - J Theta - c; the groups of ``zero`` are kept at zero if sigma = 0."""
        balls = self.balls(lam)
        if sigma:
            return np.asarray(R * balls.spread(balls.kept(balls.norms(R), sigma**2))[:, None])
        if zero is None or not zero.any():
            return R
        norms = balls.norms(R)
        beyond = norms > norms[zero].max()  # as near to zero as those that the method holds there is zero too
        return np.asarray(R * balls.spread(beyond)[:, None])

    def all_rows(
        self, Theta: FloatArray, offset: FloatArray, S: FloatArray, V: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return S and V with rows for those of weight 0: all of their residual, and no multiplier."""
        J, Y = self.given
        whole, multiplier = (
            Y - Rows(J, np.ones(J.shape[1]), np.empty((J.shape[0], 0))).times(Theta) - offset,
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
        raise InputError(f"weights must be >= 0, got {values.min()} at index {int(values.argmin())}.")
    return index, values
