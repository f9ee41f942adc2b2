"""The row-group program in the units and the least size that the method works in.

Units: A = J diag(1 / sqrt(d)) / a and Y / u, both of largest size 1, so Theta = (u / a) B / sqrt(d), lam = (u / a^2)
lam', sigma = a sigma', V = (u / a^2) V'. Size: the unpenalised part of Y is taken off, and Y turned to the directions
of its outputs that are left (for K one-hot columns with an intercept K - 1 of them), which leaves every norm as it
is. Where A has more columns than rows, a QR factor replaces it.
"""

import numpy as np
import scipy.linalg

from sparseop.errors import FloatArray, fits
from sparseop.linear._group_data import EPS, GroupData
from sparseop.linear._row_newton import Balls, Found, minimise
from sparseop.linear._rows import Rows, dense, largest


class GroupProgram:
    """The program of some data, prepared once for any lam and sigma."""

    def __init__(self, data: GroupData) -> None:
        self.data = data
        J, Y, Q, free = data.J, data.Y, data.Q, data.free
        (n, p), K = J.shape, Y.shape[1]
        fits(f"the row-group program of {n} rows, {p} columns and {K} outputs", 10 * n * K + 4 * min(n, p) ** 2)
        self.a = float((largest(J) * ~free / data.root).max()) or 1.0
        self.mean = Q.T @ Y / n  # of Y, along Q
        rest = Y - Q @ self.mean
        if np.abs(rest).max() <= 1e-14 * np.abs(Y).max():
            rest[:] = 0.0
        sigma, turn = np.linalg.svd(np.linalg.qr(rest, mode="r"))[1:]
        kept = max(int((sigma > max(rest.shape) * EPS * sigma[0]).sum()), 1)
        self.turn = np.ascontiguousarray(turn[:kept].T)
        rest = rest @ self.turn
        size = float(np.linalg.norm(rest, axis=1).max())
        self.trivial, self.u = size == 0, size or 1.0
        self.target = rest / self.u
        self.scale = ~free / (data.root * self.a)
        self.lift: FloatArray | None = None
        if p > n:
            self.lift, R = scipy.linalg.qr((dense(J) * self.scale).T, mode="economic", check_finite=False)
            self.A = Rows(np.ascontiguousarray(R.T), np.ones(n), Q)
        else:
            self.A = Rows(J, self.scale, Q)
        self.ridge = np.r_[np.ones(self.A.shape[1] - Q.shape[1]), np.zeros(Q.shape[1])]

    def minimise(
        self, lam: float, sigma: float, tol: float, max_iter: int, B: FloatArray | None, M: FloatArray | None
    ) -> Found:
        """Return the minimiser, in the method's units, from a start in the user's: ``begin`` makes it."""
        B = np.zeros((self.A.shape[1], self.target.shape[1])) if B is None else B
        if self.trivial:
            return Found(B, np.zeros_like(self.target), np.ones(len(self.data.weights), bool), 0.0, 0)
        balls = Balls(lam * self.a**2 / self.u * self.data.weights, self.data.weights, self.data.index)
        return minimise(self.A, self.target, self.ridge, balls, sigma / self.a, tol, max_iter, B, M)

    def begin(self, Theta: FloatArray, offset: FloatArray, V: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return B and the multiplier for (Theta, offset) and V, in the method's units."""
        data, free = self.data, self.data.free
        inner = data.root[:, None] * self.a / self.u * np.where(free[:, None], 0.0, Theta)
        fit = data.J[:, free] @ Theta[free] + offset * data.intercept
        outer = (data.Q.T @ fit / len(fit) - self.mean) / self.u
        B = np.concatenate([inner if self.lift is None else self.lift.T @ inner, outer]) @ self.turn
        return B, V @ self.turn * (self.a**2 / self.u)

    def back(self, found: Found) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return Theta, the intercept and V in the user's units."""
        data = self.data
        q = self.A.shape[1] - data.Q.shape[1]
        wide = found.B @ self.turn.T * self.u
        Theta = self.scale[:, None] * (wide[:q] if self.lift is None else self.lift @ wide[:q])
        unpenalised = data.C @ (self.mean + wide[q:])
        m = int(data.free.sum())
        Theta[data.free] = unpenalised[:m]
        offset = unpenalised[m] if data.intercept else np.zeros(data.shape[1])
        return Theta, offset, found.V @ self.turn.T * (self.u / self.a**2)
