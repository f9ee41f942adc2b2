"""The compiled core of ``solve_convex``: a Mehrotra predictor-corrector method with an exact finish.

In units where max |y_i| = 1, with nu = lam w, the optimality conditions of (26) are

    s = y - F b = p - q,   b = lam F^T w,   p_i (1 - w_i) = 0,   q_i (1 + w_i) = 0,   p, q >= 0,   |w_i| <= 1.

Every iteration solves the linearised system, complementarity relaxed to a shrinking mu. With D = p/(1-w) + q/(1+w),

    (I/lam + F^T D^{-1} F) db = F^T D^{-1} g - r_b/lam,     dw = D^{-1} (g - F db),

one r x r Cholesky factor; where r is close to N, (D + lam F F^T) dw = g + F r_b is N x N and saves the product.
The slacks a = 1 - w and c = 1 + w are iterated on their own: near a bound, 1 - w computed from w has no digits left.

The finish. Once the method knows which entries of s are zero (set Z) and the signs of the others, the solution is that
of a linear system, F_Z b = y_Z and b = lam (F_Z^T w_Z + F_S^T sign). Solving it ends at rounding level instead of at
the tolerance and replaces the last one to three iterations; a wrong guess shows in the duality gap and costs half an
iteration. Along a path of lam, the support of the last solution is the first guess.

References: Mehrotra, SIAM J. Optim. 2 (1992), doi:10.1137/0802028; Portnoy and Koenker, Statist. Sci. 12 (1997),
doi:10.1214/ss/1030037960 (the same barrier for least absolute deviations).
"""

import numpy as np
from numba import njit

from sparseop.errors import FloatArray
from sparseop.linear._blas import (
    Work,
    cholesky,
    cholesky_solve,
    times,
    times_both,
    transposed_times,
    weighted_gram,
    workspace,
)

FAST = {"contract", "arcp", "reassoc", "nsz"}  # never nnan: a breakdown must show as NaN, and be caught
ROUNDING = 4e-15  # an entry of y - F b below this, relative to the terms of the difference, cannot be told from zero
UNKNOWN = 2.0  # in ``sign``: no guess yet


@njit(cache=True, error_model="numpy", fastmath=FAST)
def interior_point(
    F: FloatArray, y: FloatArray, lam: float, tol: float, max_iter: int, b: FloatArray, w: FloatArray, sign: FloatArray
) -> int:
    """Minimise 1/2 |b|^2 + lam |y - F b|_1, r >= 1, y != 0.

    Parameters
    ----------
    F, y, lam : the problem, (N, r), (N,), in the user's units.
    tol : stop at this relative duality gap.
    b, w, sign : (r,), (N,), (N,): a guess to try first, where sign[0] is not UNKNOWN; overwritten by the result, with
        nu = lam w, and sign the support the finish settled on.

    Returns
    -------
    iterations : Cholesky factors of the method; 0 where the guess was right.
    """
    n, r = F.shape
    unit, shift = 0.0, 0.0
    for i in range(n):
        unit = max(unit, abs(y[i]))
        shift += abs(y[i])
    shift /= n * unit
    y = y / unit
    lam = lam / unit
    for j in range(r):
        b[j] /= unit

    work = workspace()
    dual = r > 0.7 * n and lam * np.sum(F * F) < 1e6 * n  # with larger lam, D + lam K is too ill-conditioned
    a, c, p, q = np.ones(n), np.ones(n), np.empty(n), np.empty(n)
    a_inv, c_inv, p_inv, q_inv, D_inv = np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    s, g, F_db, dw, dp, dq = np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    db, r_b = np.empty(r), np.empty(r)
    buffer, M = np.empty((min(n, 256), r)), np.empty((r, r))
    K, system = np.empty((n, n) if dual else (0, 0)), np.empty((n, n) if dual else (0, 0))

    # 0) the guess, if there is one; else start at w = 0, p - q = y, all well inside
    if sign[0] != UNKNOWN and _finish(F, y, lam, b, w, sign, buffer, M, work) <= tol:
        b *= unit
        return 0
    sign[:] = UNKNOWN
    b[:] = 0.0
    w[:] = 0.0
    if dual:
        K[:, :] = lam * (F @ F.T)
    kappa = 0.1 * shift  # entries of s above kappa (1 -+ w_i) count as non-zero when the finish guesses Z
    for i in range(n):
        p[i] = max(y[i], 0.0) + shift
        q[i] = max(-y[i], 0.0) + shift

    iteration, stalled, tried = 0, 0, True
    best_b, best_w, best_sign, best_gap = b.copy(), w.copy(), sign.copy(), np.inf
    while True:
        # 1) residuals, duality gap, mu
        times_both(F, b, s, w, r_b, work)
        infeasible, size = 0.0, 0.0
        for j in range(r):
            r_b[j] = b[j] - lam * r_b[j]
            infeasible += r_b[j] * r_b[j]
            size += b[j] * b[j]
        gap, fit, mu = 0.0, 0.0, 0.0
        for i in range(n):
            s[i] = y[i] - s[i]
            fit += abs(s[i])
            gap += max(s[i], 0.0) * a[i] + max(-s[i], 0.0) * c[i]
            mu += p[i] * a[i] + q[i] * c[i]
        gap = (0.5 * infeasible + lam * gap) / (0.5 * size + lam * fit)
        mu /= 2 * n
        if gap < best_gap:
            stalled = 0
            best_gap = gap
            best_b[:] = b
            best_w[:] = w
            best_sign[:] = sign
        stalled += 1
        if gap <= tol or iteration == max_iter or stalled > 15 or not gap < 1e300:
            break
        iteration += 1

        # 2) factor
        for i in range(n):
            a_inv[i] = 1 / a[i]
            c_inv[i] = 1 / c[i]
            p_inv[i] = 1 / p[i]
            q_inv[i] = 1 / q[i]
            g[i] = s[i]  # right-hand side of the predictor
            # near the end D spans 1e-16 ... 1e16; beyond, the factor would fail
            D_inv[i] = min(max(1 / (p[i] * a_inv[i] + q[i] * c_inv[i]), 1e-18), 1e18)
        if dual:
            system[:, :] = K
            for i in range(n):
                system[i, i] += 1 / D_inv[i]
            factored = cholesky(system, work)
        else:
            weighted_gram(F, D_inv, M, buffer, work)
            for j in range(r):
                M[j, j] = M[j, j] * (1 + 1e-15) + 1 / lam
            factored = cholesky(M, work)
        if not factored:
            break

        # 3) predictor: complementarity to zero
        _newton(F, lam, dual, system if dual else M, D_inv, g, r_b, db, F_db, dw, work)
        for i in range(n):
            dp[i] = p[i] * (dw[i] * a_inv[i] - 1)
            dq[i] = -q[i] * (dw[i] * c_inv[i] + 1)
        step_p = min(1.0, _longest_step(dp, p_inv, dq, q_inv, 1.0))
        step_w = min(1.0, _longest_step(dw, c_inv, dw, a_inv, -1.0))
        after = 0.0
        for i in range(n):
            after += (p[i] + step_p * dp[i]) * (a[i] - step_w * dw[i]) + (q[i] + step_p * dq[i]) * (
                c[i] + step_w * dw[i]
            )
        target = mu * (after / (2 * n * mu)) ** 3

        # 4) corrector: centred, with the second-order term of the predictor
        for i in range(n):
            dp[i] = (target + dp[i] * dw[i]) * a_inv[i] - p[i]
            dq[i] = (target - dq[i] * dw[i]) * c_inv[i] - q[i]
            g[i] = s[i] - p[i] + q[i] - dp[i] + dq[i]
        _newton(F, lam, dual, system if dual else M, D_inv, g, r_b, db, F_db, dw, work)
        for i in range(n):
            dp[i] += p[i] * dw[i] * a_inv[i]
            dq[i] -= q[i] * dw[i] * c_inv[i]

        # 5) step, almost to the boundary
        near = min(max(0.99, 1 - 10 * mu), 0.9995)
        step_p = min(1.0, near * _longest_step(dp, p_inv, dq, q_inv, 1.0))
        step_w = min(1.0, near * _longest_step(dw, c_inv, dw, a_inv, -1.0))
        for j in range(r):
            b[j] += step_p * db[j]
        zeros, changed = 0, 0
        for i in range(n):
            p[i] += step_p * dp[i]
            q[i] += step_p * dq[i]
            w[i] += step_w * dw[i]
            a[i] -= step_w * dw[i]
            c[i] += step_w * dw[i]
            guess = 1.0 if p[i] > kappa * a[i] else (-1.0 if q[i] > kappa * c[i] else 0.0)
            changed += guess != sign[i]
            zeros += guess == 0.0
            sign[i] = guess

        # 6) finish, where the guess of the support has settled, or is a vertex, or must be right soon
        tried = tried and changed == 0
        if not tried and (changed == 0 or zeros == r or gap < 1e-5):
            tried = True
            finish_b, finish_w = b.copy(), w.copy()
            if _finish(F, y, lam, finish_b, finish_w, sign, buffer, M, work) <= tol:
                best_gap = 0.0
                best_b[:] = finish_b
                best_w[:] = finish_w
                break

    # 7) where rounding stopped the method (lam so large that p and q sink below the rounding of y - F b), its last
    # guess    of the support may still be right, or that of a corruption-free problem
    for attempt in range(2):
        if best_gap > tol:
            b[:] = best_b
            if attempt == 0:
                w[:] = best_w
                sign[:] = best_sign
            else:
                w[:] = 0.0
                sign[:] = 0.0
            if _finish(F, y, lam, b, w, sign, buffer, M, work) < best_gap:
                best_gap = 0.0
                best_b[:] = b
                best_w[:] = w
    b[:] = best_b * unit
    w[:] = best_w
    return iteration


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _newton(
    F: FloatArray,
    lam: float,
    dual: bool,
    factor: FloatArray,
    D_inv: FloatArray,
    g: FloatArray,
    r_b: FloatArray,
    db: FloatArray,
    F_db: FloatArray,
    dw: FloatArray,
    work: Work,
) -> None:
    """Solve F db + D dw = g, db - lam F^T dw = -r_b with the factor of step 2; overwrites g."""
    n, r = F.shape
    if dual:
        times(F, r_b, F_db, work)
        for i in range(n):
            dw[i] = g[i] + F_db[i]
        cholesky_solve(factor, dw, work)
        transposed_times(F, dw, db, work)
        for j in range(r):
            db[j] = lam * db[j] - r_b[j]
    else:
        for i in range(n):
            g[i] *= D_inv[i]
        transposed_times(F, g, db, work)
        for j in range(r):
            db[j] -= r_b[j] / lam
        cholesky_solve(factor, db, work)
        times(F, db, F_db, work)
        for i in range(n):
            dw[i] = g[i] - D_inv[i] * F_db[i]


@njit(cache=True, error_model="numpy", fastmath=FAST | {"nnan"})  # nnan: the maximum takes vector registers
def _longest_step(dx: FloatArray, x_inv: FloatArray, dz: FloatArray, z_inv: FloatArray, turn: float) -> float:
    """Return the largest t with x + t dx >= 0 and z + t turn dz >= 0."""
    block = 1e-300
    for i in range(dx.size):
        block = max(block, max(-dx[i] * x_inv[i], -turn * dz[i] * z_inv[i]))
    return 1 / block


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _finish(
    F: FloatArray,
    y: FloatArray,
    lam: float,
    b: FloatArray,
    w: FloatArray,
    sign: FloatArray,
    buffer: FloatArray,
    L: FloatArray,
    work: Work,
) -> float:
    """Solve for (b, w) on the support ``sign``; return the relative gap, inf where the support is wrong."""
    n, r = F.shape
    s, g, F_db, norm, db, r_b = np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(r), np.empty(r)
    # I/lam + weight F_Z^T F_Z: proximal steps on the linear system, which converge at any rank of F_Z; the weight is
    # large beside the ridge term, and beside 1 = max |y_i|, which a change of w by one may move by 1/weight only
    total = 0.0
    for i in range(n):
        norm[i] = 0.0
        for j in range(r):
            norm[i] += F[i, j] * F[i, j]
        norm[i] = np.sqrt(norm[i])
        if sign[i] == 0.0:
            total += norm[i] * norm[i]
        else:
            w[i] = sign[i]
    weight = 1e7 * max(1.0, r / (lam * max(total, 1e-300)))
    for i in range(n):
        g[i] = weight if sign[i] == 0.0 else 0.0
    weighted_gram(F, g, L, buffer, work)
    for i in range(r):
        L[i, i] = L[i, i] * (1 + 1e-15) + 1 / lam
    if not cholesky(L, work):
        return np.inf
    gap, last, last_b, last_w = np.inf, np.inf, b.copy(), w.copy()
    for step in range(10):
        times_both(F, b, s, w, r_b, work)
        infeasible, size = 0.0, 0.0
        for j in range(r):
            r_b[j] -= b[j] / lam
            infeasible += r_b[j] * r_b[j]
            size += b[j] * b[j]
        slack, fit, length = 0.0, 0.0, np.sqrt(size)
        for i in range(n):
            s[i] = y[i] - s[i]
            visible = abs(s[i]) if abs(s[i]) > ROUNDING * (abs(y[i]) + norm[i] * length) else 0.0
            fit += visible
            slack += visible - s[i] * w[i] if visible > 0.0 else 0.0
        excess = 0.5 * lam * lam * infeasible + lam * abs(slack)
        if step > 0:
            if not excess < 0.5 * last:  # no more progress, or NaN
                break
            last = excess
            gap = excess / (0.5 * size + lam * fit)
            last_b[:] = b
            last_w[:] = w
            if gap <= 1e-26:
                break
        for i in range(n):
            g[i] = weight * s[i] if sign[i] == 0.0 else 0.0
        transposed_times(F, g, db, work)
        for j in range(r):
            db[j] += r_b[j]
        cholesky_solve(L, db, work)
        times(F, db, F_db, work)
        for j in range(r):
            b[j] += db[j]
        for i in range(n):
            if sign[i] == 0.0:
                w[i] += g[i] - weight * F_db[i]
    b[:] = last_b
    w[:] = last_w
    for i in range(n):
        if abs(w[i]) > 1 + 1e-9:
            return np.inf
    return gap


@njit(cache=True, error_model="numpy")
def certify(
    F: FloatArray, y: FloatArray, lam: float, b: FloatArray, w: FloatArray
) -> tuple[FloatArray, FloatArray, float, float, float]:
    """Return (s, nu, primal, gap, residual): the primal value at b, and its distance to the dual value at nu.

    nu is lam w clipped to the box, and primal - dual = 1/2 |b - F^T nu|^2 + sum_i (lam |s_i| - s_i nu_i). An entry of y
    - F b below its own rounding error is an exact zero that the arithmetic cannot show, and is returned as zero.
    """
    n, r = F.shape
    s, nu = np.empty(n), np.empty(n)
    bound = np.zeros(r)
    fit, slack, residual = 0.0, 0.0, 0.0
    length = np.sqrt(np.sum(b * b))
    for i in range(n):
        nu[i] = lam * min(max(w[i], -1.0), 1.0)
        total, norm = y[i], 0.0
        for j in range(r):
            total -= F[i, j] * b[j]
            norm += F[i, j] * F[i, j]
            bound[j] += F[i, j] * nu[i]
        if abs(total) > ROUNDING * (abs(y[i]) + np.sqrt(norm) * length):
            s[i] = total
        else:
            s[i] = 0.0
            residual = max(residual, abs(total))
        fit += abs(s[i])
        slack += lam * abs(s[i]) - s[i] * nu[i]
    infeasible = 0.0
    for j in range(r):
        infeasible += (b[j] - bound[j]) ** 2
    return s, nu, 0.5 * length * length + lam * fit, 0.5 * infeasible + slack, residual
