"""The stiff ODE of the closed form (20), d nu/dt = y - F b - 2 gamma^2 sinh(4 alpha nu) with b = F^T nu, to high order.

Extrapolated linearly implicit Euler (Deuflhard 1985; Hairer and Wanner, Solving ODEs II, section IV.9). Its substeps
solve with I + h (F F^T + diag), which costs one r x r Cholesky factor, so that no N x N matrix appears at any N; each
is L-stable, and for h -> infinity one substep is Newton's step on the potential, so that the steps may grow without
bound near the limit.
"""

import numpy as np
import scipy.linalg

from sparseop.errors import FloatArray, InputError
from sparseop.linear._cholesky import nearest_cholesky
from sparseop.linear._hyperbolic import sparse_part

EPS, TINY = float(np.finfo(float).eps), float(np.finfo(float).tiny)
MOST_TRIALS = 5_000  # of one call; the hardest of the studies take a few hundred
COLUMNS = 8  # order of the extrapolation; measured: 6 to 9 cost the same at rtol = 1e-10, 5 and less cost more


class Flow:
    """State (nu, b) of the flow at time t; ``advance`` moves it to a later time."""

    def __init__(self, F: FloatArray, y: FloatArray, alpha: float, log_gamma: float, rtol: float) -> None:
        self.F, self.y, self.alpha, self.rtol = F, y, alpha, rtol
        self.log_scale = 2 * log_gamma
        self.t = 0.0
        self.nu, self.b = np.zeros_like(y), np.zeros(F.shape[1])
        self.gram_norm = float(np.linalg.norm(F.T @ F, 2)) if F.shape[1] else 0.0
        self.unit = float(np.abs(y).max())
        self.h = 1e-3 / (self.gram_norm + 4 * alpha * self.unit) if self.unit else np.inf
        self.steps = 0
        self.worst = 0.0  # largest relative error of a step taken

    def advance(self, t: float) -> None:
        """Integrate to time ``t``, to ``rtol`` of the largest entry of nu, of b and of s in each step."""
        begun = self.steps
        while self.t < t and self.unit > 0:
            if self.steps - begun >= MOST_TRIALS:
                raise InputError(
                    f"times must be reachable in {MOST_TRIALS} steps, and t = {t:g} is not: rounding held the flow at"
                    f" {self.t:.3g}; bring J, y and alpha nearer to one scale, or ask for flow_limit."
                )
            left = t - self.t
            landing = self.h >= left
            # two equal steps to the end rather than one full and one tiny
            h = left if landing else min(self.h, 0.5 * left) if self.h > 0.5 * left else self.h
            with np.errstate(over="ignore", invalid="ignore"):  # a trial step may overshoot; it is then refused below
                try:
                    nu, b, error, plain = self._step(h)
                except (
                    np.linalg.LinAlgError,
                    ValueError,
                ):  # a step so long that its matrix is infinite, or rounding all of it: refused
                    nu, b, error, plain = self.nu, self.b, np.inf, np.inf
            self.steps += 1
            grow = 0.8 * (1.0 / max(error, 1e-30)) ** (1.0 / COLUMNS)
            stuck = h < 1e-13 * self.t  # rounding, not the method, limits the step: take it, and say so in ``worst``
            if not np.isfinite(error) or (error > 1 and not stuck):
                self.h = h * (min(0.7, max(0.1, grow)) if np.isfinite(grow) else 0.1)
                continue
            self.nu, self.b = nu, b
            self.worst = max(self.worst, plain)
            self.t = t if landing else self.t + h
            proposal = h * min(5.0, max(0.3, grow))
            self.h = max(self.h, proposal) if landing else proposal

    def _velocity(self, nu: FloatArray, b: FloatArray) -> FloatArray:
        return self.y - self.F @ b - sparse_part(4 * self.alpha * nu, self.log_scale)[0]

    def _step(self, h: float) -> tuple[FloatArray, FloatArray, float, float]:
        F, r = self.F, self.F.shape[1]
        s, slope = sparse_part(4 * self.alpha * self.nu, self.log_scale)
        first = self.y - F @ self.b - s
        table: list[tuple[FloatArray, FloatArray]] = []
        coarse = np.zeros_like(self.nu)
        for j in range(COLUMNS):
            count = j + 1
            step = h / count
            M = 1 + step * (4 * self.alpha * slope)
            W = F / M[:, None]
            A = step * (F.T @ W)
            A[np.diag_indices(r)] += 1
            solve = step * scipy.linalg.cho_solve((nearest_cholesky(A), True), W.T, check_finite=False) if r else W.T
            nu, b, f = self.nu, self.b, first
            for i in range(count):
                if i:
                    f = self._velocity(nu, b)
                db = solve @ f
                nu = nu + step * (f - F @ db) / M
                b = b + db
            row = [(nu, b)]
            for k in range(j):
                ratio = count / (count - k - 1) - 1
                (nu0, b0), (nu1, b1) = table[k], row[k]
                row.append((nu1 + (nu1 - nu0) / ratio, b1 + (b1 - b0) / ratio))
            coarse, table = row[-2][0] if j else nu, row
        nu, b = table[-1]
        previous = table[-2][1]
        if not np.isfinite(nu).all():
            return nu, b, np.inf, np.inf
        s, slope = sparse_part(4 * self.alpha * nu, self.log_scale)
        fit = F @ b
        # what the rounding of the velocity, magnified by the extrapolation, does to nu in so long a step
        rounding = 1000 * EPS * max(self.unit, float(np.abs(fit).max())) * h / (1 + h * 4 * self.alpha * slope)
        change, size = np.abs(nu - coarse), max(float(np.abs(nu).max()), TINY)
        others = [float((change * 4 * self.alpha * slope).max() / self.unit)]
        if r:
            others.append(float(np.abs(b - previous).max() / max(float(np.abs(b).max()), TINY)))
        # np.max, unlike max, lets nan through
        judged = float(
            np.max([(change / (self.rtol * size + rounding)).max(), *(other / self.rtol for other in others)])
        )
        return nu, b, judged, float(np.max([change.max() / size, *others]))
