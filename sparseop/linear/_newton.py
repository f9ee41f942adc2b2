"""The limit of the gradient flow, by a globalised Newton method on its strictly convex potential.

In units where max|y| = 1, with G = F / sqrt(4 alpha max|y|), x = 4 alpha nu and beta ~ b, the limit is the solution of

    G beta + s = y,      G^T x = beta,      s = 2 gamma^2 sinh(x) entry by entry,                          (*)

the optimality system of both the N-dimensional potential Phi (in x alone) and the r-dimensional program with the
hyperbolic entropy (in beta alone). Either one alone fails in floating point: asinh(y - G beta) is noise once gamma^2 is
below the rounding of y, and G^T x cancels once alpha is small. So x and beta are kept side by side, as in a primal-dual
method. One step:

1. Newton's linear system for (*), eliminated to an r x r Cholesky factor of I + G^T D^{-1} G, D = diag(ds/dx).
2. Newton's point (x + dx, s + D dx) lies beside the curve s = 2 gamma^2 sinh(x). Each entry goes back to it along the
  line
   of slope -m_i, where m_i is how strongly all other entries, seen as linear, answer to entry i. Where entries do not
   interact this is exact in one step, and it never overflows: the exponential makes neither x nor s overshoot.

Globalisation: the same problem for larger gamma with alpha in proportion, so that lam = log(1/gamma)/(2 alpha), and
with it the solution, hardly moves; log(1/gamma) grows by a factor that adapts to how the steps fare.
"""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from sparseop.errors import FloatArray
from sparseop.linear._cholesky import nearest_cholesky
from sparseop.linear._hyperbolic import meet, multiplier, sparse_part

EPS = float(np.finfo(float).eps)
ACCEPTED = 1e-11  # relative error of (*) up to which a limit counts as converged


@dataclass(frozen=True)
class Limit:
    """x (N,), b (r,) and s (N,) of (*) in the problem's units, with the relative errors left in its two equations."""

    x: FloatArray
    b: FloatArray
    s: FloatArray
    fit_error: float
    coupling_error: float
    iterations: int


def solve_limit(F: FloatArray, y: FloatArray, alpha: float, log_gamma: float) -> Limit:
    """Return the limit of the flow (17) for J = F V^T; b are the coordinates of theta = V b."""
    limit = _follow(F, y, alpha, log_gamma, careful=False)
    if max(limit.fit_error, limit.coupling_error) > ACCEPTED:
        limit = min(
            limit,
            _follow(F, y, alpha, log_gamma, careful=True),
            key=lambda found: max(found.fit_error, found.coupling_error),
        )
    return limit


def _follow(F: FloatArray, y: FloatArray, alpha: float, log_gamma: float, *, careful: bool) -> Limit:
    unit = float(np.abs(y).max())
    r = F.shape[1]
    if unit == 0:
        return Limit(np.zeros_like(y), np.zeros(r), np.zeros_like(y), 0.0, 0.0, 0)
    log_scale = 2 * log_gamma - float(np.log(unit))
    if r == 0:
        return Limit(multiplier(y / unit, log_scale), np.zeros(0), y.copy(), 0.0, 0.0, 0)
    shrink = np.sqrt(4 * alpha) * np.sqrt(unit)
    stage = _Stage(F / shrink, y / unit, careful)
    end = float(multiplier(np.ones(1), log_scale)[0])  # x where s = max|y|: about 2 log(1/gamma)
    a, a_next, ratio = 0.0, min(1.0, end), 2.0
    x, beta = np.zeros_like(y), np.zeros(r)
    while True:
        last = a_next >= end
        stretch = a_next / a if a else 1.0
        stage.G = stage.G_end * np.sqrt(end / a_next)
        reached, steps = stage.run(
            x * stretch,
            beta * np.sqrt(stretch),
            log_scale if last else -a_next - float(np.log(-np.expm1(-2 * a_next))),
            2 * EPS * (1 + end) if last else 1e-4,
            100 if last else 12,
        )
        if reached or (last and ratio < 1.001) or not a:
            a, x, beta = a_next, stage.x, stage.beta
            if last or not reached:
                break
            if steps <= 4:
                ratio = min(ratio**1.5, 3.0)
        elif ratio < 1.001:
            a_next = end  # no smaller step helps: report what the last stage reaches from here
            continue
        else:
            ratio = float(np.sqrt(ratio))
        a_next = min(a * ratio, end)
    s = sparse_part(x, log_scale)[0] * unit
    return Limit(x, beta * unit / shrink, s, stage.fit_error, stage.coupling_error, stage.iterations)


class _Stage:
    """Newton's method on (*) at one gamma.

    X, beta are the best point of the latest run, errors relative to its terms.
    """

    def __init__(self, G: FloatArray, y: FloatArray, careful: bool) -> None:
        self.G = self.G_end = G
        self.y, self.careful = y, careful
        self.iterations = 0

    def run(self, x: FloatArray, beta: FloatArray, log_scale: float, tol: float, limit: int) -> tuple[bool, int]:
        best, since, floor = np.inf, 0, 1e-8
        longest = float(np.sqrt(np.einsum("ij,ij->j", self.G, self.G).max()))
        for step in range(limit + 1):
            s, D = sparse_part(x, log_scale)
            fit = self.G @ beta
            g1, g2 = fit + s - self.y, self.G.T @ x - beta
            scale = max(1.0, float(np.abs(s).max()), float(np.abs(fit).max()))
            fit_error = float(np.abs(g1).max()) / scale
            coupling_error = float(np.abs(g2).max() / max(longest * np.linalg.norm(x), np.abs(beta).max(), 1e-300))
            error = max(fit_error, coupling_error)
            since = 0 if error < 0.5 * best else since + 1
            if error < best:
                best = error
                self.x, self.beta, self.fit_error, self.coupling_error = x, beta, fit_error, coupling_error
            if best <= tol or (best < 1e-12 and since >= 4):
                return True, step
            if not np.isfinite(error) or (limit < 100 and step == limit) or since > 40:
                break
            # Below the floor D is lost in the rounding of y and (*) fixes these x only jointly: a proximal step stands
            # in for Newton's. It shrinks while progress is slow, which is when an entry below it does matter.
            floor = max(min(floor, 1e-3 * fit_error + 1e-12) * (0.1 if since >= 2 else 1.0), 1e-17)
            g1 = np.where(
                np.abs(g1) > 3 * EPS * scale, g1, 0.0
            )  # divided by a tiny D, rounding would move x for nothing
            dx, dbeta, m = self._direction(np.maximum(D, floor), g1, g2)
            beta = beta + dbeta
            x = meet(s + D * dx + m * (x + dx), m, log_scale)
            self.iterations += 1
        return best < ACCEPTED and limit == 100, step

    def _direction(self, D: FloatArray, g1: FloatArray, g2: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Solve D dx + G dbeta = -g1, G^T dx - dbeta = -g2; return dx, dbeta and the slopes m."""
        G, r = self.G, self.G.shape[1]
        if self.careful:
            G, C, order = _graded_factor(G, D)
            g2 = g2[order]
        W = G / D[:, None]
        if not self.careful:
            A = G.T @ W
            A[np.diag_indices(r)] += 1
            C = nearest_cholesky(A)
        dbeta = scipy.linalg.cho_solve((C, True), g2 - W.T @ g1, check_finite=False)
        dx = -(g1 + G @ dbeta) / D
        for _ in range(2):  # dx above cancels; the second equation is restored without touching the first
            more = scipy.linalg.cho_solve((C, True), G.T @ dx - dbeta + g2, check_finite=False)
            dx -= W @ more
            dbeta = dbeta + more
        leverage = (
            np.einsum("ji,ji->i", *(2 * [scipy.linalg.solve_triangular(C, G.T, lower=True, check_finite=False)])) / D
        )
        leverage = np.minimum(leverage, 1 - 1e-12)
        if self.careful:
            dbeta = dbeta[np.argsort(order)]
        return dx, dbeta, D * leverage / (1 - leverage)


def _graded_factor(G: FloatArray, D: FloatArray) -> tuple[FloatArray, FloatArray, NDArray[np.intp]]:
    """Return G with its columns reordered, the lower Cholesky factor of I + G^T D^{-1} G in that order, and the order.

    By QR with rows sorted and columns pivoted, which is stable row by row (Cox and Higham, 1998): where the rows of J
    differ by many orders of magnitude, forming the matrix would lose the small ones.
    """
    stacked = np.vstack([G / np.sqrt(D)[:, None], np.eye(G.shape[1])])
    stacked = stacked[np.argsort(-np.abs(stacked).max(axis=1), kind="stable")]
    R, order = scipy.linalg.qr(stacked, mode="r", pivoting=True, check_finite=False)
    return G[:, order], R[: G.shape[1]].T, order
