"""The core of ``solve_groups``: the method of multipliers, each step of it a semismooth Newton method.

In the units of ``Rows`` the program is, R = Y - A B, over groups g of rows with weights w_g and radii r_g = lam w_g,

    min over B of  1/2 |D B|^2 + sum_g phi_g(R_g),   phi_g(R) = min over S of r_g |S| + w_g / (2 sigma^2) |R - S|^2,

D zero on unpenalised rows of B and one elsewhere; sigma = 0 makes phi_g(R) = r_g |R|. The method of multipliers adds
-t/(2 w_g) |V_g - M_g|^2 to the dual, which makes phi smooth: with R' = R + t M / w and the threshold r_g (sigma^2 +
t) / w_g, V_g is R'_g times w_g / (sigma^2 + t) inside the threshold and r_g R'_g / |R'_g| outside it. Newton's system
has the matrix

    D^2 + A^T H A,   H_g = w_g / (sigma^2 + t) inside,   (r_g / |R'_g|) (I - u_g u_g^T), u = R' / |R'|, outside,

solved by conjugate gradients, preconditioned by the Cholesky factor of D^2 + A^T diag(h) A, which is the same for
every column of B; where there is one column, or few unknowns, the matrix itself is factored. For many rows the
preconditioner sums over a sample of them, drawn in proportion to h. Then M = V, t falls, and the next step starts
where the last one ended.

Reference: Li, Sun, Toh, SIAM J. Optim. 28 (2018), doi:10.1137/16M1097572 (the same pair of methods for the lasso).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from sparseop.errors import FloatArray
from sparseop.linear._rows import Rows

EPS, TINY = float(np.finfo(float).eps), float(np.finfo(float).tiny)
CANCELLED = 1e5  # times its rounding, A^T V counts as zero, and a gap is relative to that
FLOOR = 1e-4  # of the largest |Y_g|: t starts no smaller than a residual of this size would have it
SHRINK = 0.1  # t from one step of the method of multipliers to the next
DIRECT = 400  # unknowns up to which Newton's matrix is factored
SAMPLE = 16  # rows in the preconditioner, times the columns of A
SUBSAMPLE, LEAST = 40, 5000  # rows of the problem that a large one starts from: times the columns of A, and at least
CG_LIMIT, CG_TOL = 60, 0.1


@dataclass(frozen=True, eq=False)
class Balls:
    """Which rows share a norm, how much each group weighs, and the radius of the ball that its multiplier lies in.

    Attributes
    ----------
    radii, weights : (g,), > 0.
    index : (N,) group of each row; None where every row is its own.
    """

    radii: FloatArray
    weights: FloatArray
    index: NDArray[np.intp] | None

    def norms(self, R: FloatArray) -> FloatArray:
        """Return |R_g| (g,)."""
        return np.sqrt(self.sums(np.einsum("ij,ij->i", R, R)))

    def sums(self, x: FloatArray) -> FloatArray:
        """Return the sums (g,) of one number a row over the rows of each group."""
        return x if self.index is None else np.bincount(self.index, x, len(self.radii)).astype(np.float64)

    def kept(self, norms: FloatArray, noise: float) -> FloatArray:
        """Return the share (g,) of a residual of size ``norms`` that is S_g: 1 - r_g sigma^2 / (w_g |R_g|), or 0."""
        threshold = self.radii * (noise / self.weights)
        return np.asarray(1 - threshold / np.maximum(norms, np.maximum(threshold, TINY)))

    def spread(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return one value a row (N,) from one a group."""
        return x if self.index is None else x[self.index]


def duality_gap(
    balls: Balls, noise: float, R: FloatArray, V: FloatArray, B: FloatArray, back: FloatArray
) -> tuple[float, float]:
    """Return primal - dual, and the primal value, at B and a feasible V.

    With S the best one for R = Y - A B, E = R - S and A^T V = 0 on unpenalised columns, the difference is a sum of
    squares and of terms that are >= 0, without cancellation:
    1/2 |B - A^T V|^2 + sum_g (r_g |S_g| - <S_g, V_g>) + w_g / (2 sigma^2) |E_g - sigma^2 / w_g V_g|^2.

    Parameters
    ----------
    noise : sigma^2, >= 0.
    B, back : the penalised rows of B and of A^T V.
    """
    norms = balls.norms(R)
    kept = balls.kept(norms, noise)
    sizes = balls.radii * kept * norms
    slack = sizes - kept * balls.sums(np.einsum("ij,ij->i", R, V))
    slack[slack <= 8 * EPS * sizes] = 0.0  # V_g, to within its own rounding, is r_g S_g / |S_g|
    primal = 0.5 * float(np.vdot(B, B)) + float(sizes.sum())
    apart = B - back
    excess = 0.5 * float(np.vdot(apart, apart)) + float(slack.sum())
    if noise:
        rest, tau = balls.spread(1 - kept)[:, None] * R, noise / balls.weights
        primal += float(np.sum(balls.norms(rest) ** 2 / (2 * tau)))
        excess += float(np.sum(balls.norms(rest - balls.spread(tau)[:, None] * V) ** 2 / (2 * tau)))
    return excess, primal


@dataclass(eq=False)
class Found:
    """Where a run ends: B, V feasible but for rounding, the groups held at S_g = 0, and how it went."""

    B: FloatArray
    V: FloatArray
    zero: NDArray[np.bool_]
    gap: float
    iterations: int


def minimise(
    A: Rows,
    Y: FloatArray,
    ridge: FloatArray,
    balls: Balls,
    sigma: float,
    tol: float,
    max_iter: int,
    B: FloatArray,
    M: FloatArray | None,
) -> Found:
    """Return the minimiser B (q, K) to a relative gap of ``tol``, from a start B and, if there is one, a multiplier M.

    Parameters
    ----------
    A, Y : (N, q), (N, K).
    ridge : (q,), 1 for penalised rows of B and 0 for others.
    max_iter : Newton steps at most.
    """
    if M is None and balls.index is None and len(Y) >= 8 * max(SUBSAMPLE * A.shape[1], LEAST):
        B = _subsampled(A, Y, ridge, balls, sigma, B)
    solver = _Newton(A, Y, ridge, balls, sigma)
    noise = sigma * sigma
    R = Y - A.times(B)
    ratio = balls.weights / balls.radii
    typical = max(float(np.median(balls.norms(R) * ratio)), FLOOR * float((balls.norms(Y) * ratio).max()))
    t = typical if M is None and not B.any() else 0.1 * typical
    M = np.zeros_like(Y) if M is None else M
    best, steps, smallest = Found(B, M, np.zeros(len(balls.radii), bool), np.inf, 0), 0, 1e-14 * typical
    settled, failures = 0, 0
    while True:
        # 1. Newton's method on the smoothed program
        t = 0.0 if t < 0.1 * noise else t
        started, failed = False, False
        while True:
            state = solver.state(B, R, M, t)
            if state.gap < best.gap:
                best = Found(B, state.V, state.inside, state.gap, steps)
            best.iterations = steps
            off = float(np.abs(R[balls.spread(state.inside)]).max(initial=0.0)) if noise == 0 else 0.0
            if state.gap <= tol and (off <= 1e-11 * np.abs(Y).max() or settled >= 4):
                return Found(B, state.V, state.inside, state.gap, steps)
            size = float(np.linalg.norm(state.gradient))
            if steps >= max_iter:
                return best
            enough = 0.1 * np.sqrt(t) * float(np.linalg.norm(state.V - M))
            if t > 0 and (size <= solver.floor(state.V) or (started and size <= enough)):
                break
            started = True
            steps += 1
            step = solver.step(state, B, R, t)
            if step is None:  # too ill-conditioned at this t
                failed = True
                break
            B, R = step
        # 2. the multiplier, and a smaller t
        if best.gap <= tol:
            settled += 1
        if t <= smallest or failures > 8:
            return best
        failures += failed
        M = state.V
        t *= 10 if failed else SHRINK


def _subsampled(A: Rows, Y: FloatArray, ridge: FloatArray, balls: Balls, sigma: float, B: FloatArray) -> FloatArray:
    """Return a rough minimiser over a random subsample of the rows, each standing for several."""
    n = len(Y)
    m = max(SUBSAMPLE * A.shape[1], LEAST)
    rows = np.sort(np.random.default_rng(0).choice(n, m, replace=False))
    part = Balls(balls.radii[rows] * (n / m), balls.weights[rows] * (n / m), None)
    return minimise(A.take(rows), Y[rows], ridge, part, sigma, 1e-3, 50, B, None).B


@dataclass(eq=False)
class _State:
    """What the smoothed program is at B."""

    norms: FloatArray
    inside: NDArray[np.bool_]
    h: FloatArray
    V: FloatArray
    shifted: FloatArray
    gradient: FloatArray
    gap: float


class _Newton:
    def __init__(self, A: Rows, Y: FloatArray, ridge: FloatArray, balls: Balls, sigma: float) -> None:
        self.A, self.Y, self.ridge, self.balls, self.noise = A, Y, ridge, balls, sigma * sigma
        self.free = A.Q.shape[1]
        self.size = A.size()
        self.At_Q = A.transposed(A.Q)
        self.rng = np.random.default_rng(0)  # of the preconditioner's sample: any will do
        rows = 1 if balls.index is None else np.bincount(balls.index, minlength=len(balls.radii))
        self.inner = 1 - 1 / (
            np.broadcast_to(rows, balls.radii.shape) * Y.shape[1]
        )  # of H_g's eigenvalues, the share not 0
        self.alone = balls.index is None and Y.shape[1] == 1

    def state(self, B: FloatArray, R: FloatArray, M: FloatArray, t: float) -> _State:
        """Return V, the gradient and the gap at B, R = Y - A B."""
        balls = self.balls
        tau = (self.noise + t) / balls.weights
        shifted = R + balls.spread(t / balls.weights)[:, None] * M
        norms = balls.norms(shifted)
        inside = norms <= balls.radii * tau
        h = np.where(inside, 1 / tau, balls.radii / np.maximum(norms, TINY))
        V = balls.spread(h)[:, None] * shifted
        back = self.A.transposed(V)
        return _State(norms, inside, h, V, shifted, self.ridge[:, None] * B - back, self.gap(B, R, V, back))

    def gap(self, B: FloatArray, R: FloatArray, V: FloatArray, back: FloatArray) -> float:
        """Return the relative gap at B and at V, made orthogonal to Q and scaled into the balls."""
        p = len(B) - self.free
        if self.free:
            excess = back[p:] / len(V)
            V = V - self.A.Q @ excess
            back = back - self.At_Q @ excess
        shrink = 1 / max(1.0, float((self.balls.norms(V) / self.balls.radii).max()))
        gap, primal = duality_gap(self.balls, self.noise, R, shrink * V, B[:p], shrink * back[:p])
        size = max(0.5 * float(np.vdot(B[:p], B[:p])), 0.5 * (CANCELLED * self.floor(V)) ** 2) if self.size else primal
        return gap / max(size, TINY)

    def floor(self, V: FloatArray) -> float:
        """Return the rounding of |A^T V|."""
        return EPS * self.size * float(np.linalg.norm(V))

    def step(self, state: _State, B: FloatArray, R: FloatArray, t: float) -> tuple[FloatArray, FloatArray] | None:
        """Return B and R after one Newton step with a line search; None where float64 allows no descent."""
        balls = self.balls
        unit = balls.spread(~state.inside / np.maximum(state.norms, TINY))[:, None] * state.shifted
        h = balls.spread(state.h)
        direct = self.alone or (B.size <= DIRECT and balls.index is None and B.size * len(R) <= 2**23)
        found = self._direct(state, unit, h) if direct else self._gradients(state, unit, h)
        if found is None:
            return None
        D, AD = found
        radii, tau = balls.radii, (self.noise + t) / balls.weights

        fixed, along = float(np.vdot(self.ridge[:, None] * B, D)), float(np.vdot(self.ridge[:, None] * D, D))

        def slope(a: float) -> float:
            """Return the derivative along the step: monotone, and, unlike the value, sharp near the minimum."""
            shifted = state.shifted - a * AD
            h = np.minimum(1 / tau, radii / np.maximum(balls.norms(shifted), TINY))
            return fixed + a * along - float(np.sum(h * balls.sums(np.einsum("ij,ij->i", shifted, AD))))

        first = slope(0.0)
        if not first < 0:
            return None
        a = _root(slope, 0.1 * abs(first))
        B = B + a * D
        return B, (R - a * AD if self.A.J.dtype == np.float64 else self.Y - self.A.times(B))

    def _direct(self, state: _State, unit: FloatArray, h: FloatArray) -> tuple[FloatArray, FloatArray] | None:
        """Return Newton's step from the factored matrix, and A times it; balls of single rows only."""
        q, K = state.gradient.shape
        rows = np.flatnonzero(state.inside)
        matrix: FloatArray
        if K == 1:
            matrix = self.A.gram(h[rows], rows)
        else:
            matrix = np.asarray(np.kron(np.eye(K), self.A.gram(h)), dtype=np.float64)
            out = np.flatnonzero(~state.inside)
            block = self.A.dense(out)
            turned = (np.sqrt(h[out])[:, None, None] * unit[out][:, :, None] * block[:, None, :]).reshape(
                len(out), K * q
            )
            matrix = np.asarray(matrix - turned.T @ turned)
        matrix[np.diag_indices(K * q)] += np.tile(self.ridge + (self.ridge == 0) * 1e-6 * h.sum(), K)
        factor = _factor(matrix)
        if factor is None:
            return None
        D = -scipy.linalg.cho_solve(factor, state.gradient.T.ravel(), check_finite=False).reshape(K, q).T
        return D, self.A.times(D)

    def _gradients(self, state: _State, unit: FloatArray, h: FloatArray) -> tuple[FloatArray, FloatArray] | None:
        """Return Newton's step by preconditioned conjugate gradients, and A times it."""
        balls = self.balls
        damp = (self.ridge == 0) * 1e-6 * h.sum()
        matrix = self._sampled_gram(balls.spread(state.h * np.where(state.inside, 1.0, self.inner)))
        matrix[np.diag_indices(len(matrix))] += self.ridge + damp
        factor = _factor(matrix)
        if factor is None:
            return None
        r = -state.gradient
        D, AD = np.zeros_like(r), np.zeros_like(self.Y)
        z = scipy.linalg.cho_solve(factor, r, check_finite=False)
        P, rz = z, float(np.vdot(r, z))
        first = rz
        for _ in range(CG_LIMIT):
            AP = self.A.times(P, exact=False)
            along = balls.spread(balls.sums(np.einsum("ij,ij->i", unit, AP)))
            HP = (self.ridge + damp)[:, None] * P + self.A.transposed(
                h[:, None] * (AP - along[:, None] * unit), exact=False
            )
            curvature = float(np.vdot(P, HP))
            if not curvature > 0:
                break
            D = D + rz / curvature * P
            AD += rz / curvature * AP
            r = r - rz / curvature * HP
            z = scipy.linalg.cho_solve(factor, r, check_finite=False)
            after = float(np.vdot(r, z))
            if after <= CG_TOL**2 * first:
                break
            P, rz = z + after / rz * P, after
        return D, AD

    def _sampled_gram(self, weights: FloatArray) -> FloatArray:
        """Return A^T diag(weights) A; for many rows, an unbiased estimate from rows drawn as their weights are."""
        n, q = self.A.shape
        wanted = SAMPLE * q
        if n <= 4 * wanted:
            return self.A.gram(weights)
        chance = np.minimum(1.0, wanted * weights / weights.sum())
        rows = np.flatnonzero(self.rng.random(n) < chance)
        return self.A.gram(weights[rows] / chance[rows], rows)


def _root(slope: Callable[[float], float], enough: float) -> float:
    """Return a > 0 where an increasing function, negative at 0, is at most ``enough`` in size; 1 where that will do."""
    low, high, a = 0.0, np.inf, 1.0
    at_low = slope(0.0)
    at_high = np.nan
    for trial in range(40):
        here = slope(a)
        if abs(here) <= enough:
            break
        if here < 0:
            low, at_low = a, here
        else:
            high, at_high = a, here
        if high == np.inf:
            a = 2 * low
        elif trial % 3 == 2:
            a = (low + high) / 2
        else:  # the secant, kept off the ends
            a = low + (high - low) * min(max(at_low / (at_low - at_high), 0.05), 0.95)
    return a


def _factor(matrix: FloatArray) -> tuple[FloatArray, bool] | None:
    """Return the Cholesky factor, the diagonal raised a little where rounding left it not positive definite."""
    at = np.diag_indices(len(matrix))
    diagonal = matrix[at]
    for raised in (0.0, 1e-14, 1e-11, 1e-8):
        matrix[at] = diagonal * (1 + raised) + raised * TINY
        try:
            factor: tuple[FloatArray, bool] = scipy.linalg.cho_factor(matrix, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            continue
        return factor
    return None
