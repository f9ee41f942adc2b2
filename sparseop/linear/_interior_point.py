"""The compiled core of ``solve_convex``: a Mehrotra predictor-corrector method with an exact finish.

In units where max |y_i| = 1, with nu = lam w, the optimality conditions of (26) are

    s = y - F b = p - q,   b = lam F^T w,   p_i (1 - w_i) = 0,   q_i (1 + w_i) = 0,   p, q >= 0,   |w_i| <= 1.

Every iteration solves the linearised system, complementarity relaxed to a shrinking mu. With D = p/(1-w) + q/(1+w),

    (I/lam + F^T D^{-1} F) db = F^T D^{-1} g - r_b/lam,     dw = D^{-1} (g - F db),

one r x r Cholesky factor; where r is close to N, (D + lam F F^T) dw = g + F r_b is N x N and saves the product.
The slacks a = 1 - w and c = 1 + w are iterated on their own: near a bound, 1 - w computed from w has no digits left.

The iteration never decides that it is done. It proposes a support, entries of s that are zero and the signs of the
others, and ``finish`` solves the linear system that belongs to it, to rounding; a wrong support shows there and costs
half an iteration. Along a path of lam, the support of the last solution is the first proposal.

References: Mehrotra, SIAM J. Optim. 2 (1992), doi:10.1137/0802028; Portnoy and Koenker, Statist. Sci. 12 (1997),
doi:10.1214/ss/1030037960 (the same barrier for least absolute deviations).
"""

from typing import NamedTuple

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
from sparseop.linear._finish import FAST, finish, row_norms

UNKNOWN = 2.0  # in ``sign``: no guess yet
DUAL_SHARE = 0.7  # r > so much of N: the N x N system is the cheaper one
DUAL_LIMIT = 1e6  # lam |F|^2 / N up to which it is well-conditioned enough
LARGEST_WEIGHT = 1e18  # of a row in the system: near the end D spans 1e-16 ... 1e16; beyond, the factor would fail
NON_ZERO = 0.1  # entries of s above NON_ZERO mean|y| (1 -+ w_i) count as non-zero in a proposal
SETTLED, FEW, LATE = (
    1e-5,
    2,
    1e-8,
)  # mu, relative to the first, at which a proposal is tried that so few entries left; any
AGAIN = 0.05  # the same proposal is tried again once mu has fallen by this
PATIENCE = 15  # iterations without a smaller mu after which rounding has the method
CLOSEST, FARTHEST = 0.9995, 0.99  # share of the step to the boundary, towards the end and before
FINISHED, LIMIT, STUCK = 0, 1, 2  # how ``interior_point`` ends


class State(NamedTuple):
    """Where the method stands, and its work space; arrays of N entries except b, db, r_b (r) and the matrices."""

    b: FloatArray
    w: FloatArray
    a: FloatArray
    c: FloatArray
    p: FloatArray
    q: FloatArray
    s: FloatArray
    r_b: FloatArray
    a_inv: FloatArray
    c_inv: FloatArray
    p_inv: FloatArray
    q_inv: FloatArray
    D_inv: FloatArray
    g: FloatArray
    db: FloatArray
    F_db: FloatArray
    dw: FloatArray
    dp: FloatArray
    dq: FloatArray
    K: FloatArray  # (N, N) or (0, 0): lam F F^T for the N x N system
    M: FloatArray  # the system of this iteration, then its factor
    buffer: FloatArray


@njit(cache=True, error_model="numpy", fastmath=FAST)
def interior_point(
    F: FloatArray, y: FloatArray, lam: float, tol: float, max_iter: int, b: FloatArray, w: FloatArray, sign: FloatArray
) -> tuple[int, int]:
    """Minimise 1/2 |b|^2 + lam |y - F b|_1, r >= 1, y != 0.

    Parameters
    ----------
    F, y, lam : the problem, (N, r), (N,), in the user's units.
    tol : largest relative gap, in the sense of ``relative_gap``, with which a support is accepted.
    b, w, sign : (r,), (N,), (N,): a guess to try first, where sign[0] is not UNKNOWN; overwritten by the result, with
        nu = lam w, and sign the support of s.

    Returns
    -------
    iterations : Cholesky factors of the method; 0 where the guess was right.
    end : FINISHED, or the best that was found at the LIMIT or where rounding left it STUCK.
    """
    n, r = F.shape
    unit, shift = 0.0, 0.0
    for i in range(n):
        unit = max(unit, abs(y[i]))
        shift += abs(y[i])
    shift /= n * unit
    y = y / unit
    lam = lam / unit
    norm, work = row_norms(F), workspace()
    buffer, L = np.empty((min(n, 256), r)), np.empty((r, r))
    best_gap, best_b, best_w, best_sign = np.inf, np.zeros(r), np.zeros(n), np.zeros(n)
    iteration, end = 0, FINISHED
    if sign[0] != UNKNOWN:
        b /= unit
        gap, visible = finish(F, norm, y, lam, b, w, sign, buffer, L, work)
        if gap <= tol and visible == 0:
            b *= unit
            return 0, FINISHED
    at = _start(F, y, lam, shift, buffer)
    sign[:] = UNKNOWN
    first, tried, least, stalled = _measure(F, y, lam, at, work), np.inf, np.inf, 0
    mu = first
    while True:
        # 1) propose a support and finish, where it has settled, or is a vertex, or must be right soon
        changed, zeros = _propose(norm, y, NON_ZERO * shift, at, sign)
        settled = changed == 0 or zeros == r or mu < LATE * first or (changed <= FEW and mu < SETTLED * first)
        if iteration > 0 and settled and (changed > 0 or tried > mu / AGAIN):
            tried = mu
            b[:] = at.b
            w[:] = at.w
            gap, visible = finish(F, norm, y, lam, b, w, sign, buffer, L, work)
            if gap <= tol and visible == 0:
                break
            if gap < best_gap:
                best_gap = gap
                best_b[:] = b
                best_w[:] = w
                best_sign[:] = sign
        elif changed > 0:
            tried = np.inf
        # 2) give up where nothing moves any more
        stalled = 0 if mu < 0.9 * least else stalled + 1
        least = min(least, mu)
        if iteration == max_iter or stalled > PATIENCE or not mu < 1e300:
            end = LIMIT if iteration == max_iter else STUCK
            break
        # 3) move
        iteration += 1
        if not _direction(F, lam, mu, at, work):
            end = STUCK
            break
        _step(mu, at)
        mu = _measure(F, y, lam, at, work)
    if end != FINISHED:
        # where rounding stopped the method (lam so large that p and q sink below the rounding of y - F b), its last
        # proposal may still be right, or that of a corruption-free problem, or nothing was ever proposed
        b[:] = at.b
        w[:] = at.w
        for attempt in range(2):
            if attempt == 1:
                b[:] = 0.0
                w[:] = 0.0
                sign[:] = 0.0
            gap, visible = finish(F, norm, y, lam, b, w, sign, buffer, L, work)
            if gap < best_gap:
                best_gap = gap
                best_b[:] = b
                best_w[:] = w
                best_sign[:] = sign
            if gap <= tol and visible == 0:
                end = FINISHED
                break
        if best_gap < np.inf:
            b[:] = best_b
            w[:] = best_w
            sign[:] = best_sign
        else:
            b[:] = at.b
            w[:] = at.w
            for i in range(n):
                sign[i] = 1.0 if at.s[i] > 0 else -1.0
    b *= unit
    return iteration, end


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _start(F: FloatArray, y: FloatArray, lam: float, shift: float, buffer: FloatArray) -> State:
    """Return w = 0, p - q = y, all well inside, and the work space."""
    n, r = F.shape
    dual = r > DUAL_SHARE * n and lam * np.sum(F * F) < DUAL_LIMIT * n
    side = n if dual else r
    K = lam * (F @ F.T) if dual else np.empty((0, 0))
    p, q = np.empty(n), np.empty(n)
    for i in range(n):
        p[i] = max(y[i], 0.0) + shift
        q[i] = max(-y[i], 0.0) + shift
    room = np.empty((11, n))
    return State(
        np.zeros(r),
        np.zeros(n),
        np.ones(n),
        np.ones(n),
        p,
        q,
        room[0],
        np.empty(r),
        room[1],
        room[2],
        room[3],
        room[4],
        room[5],
        room[6],
        np.empty(r),
        room[7],
        room[8],
        room[9],
        room[10],
        K,
        np.empty((side, side)),
        buffer,
    )


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _measure(F: FloatArray, y: FloatArray, lam: float, at: State, work: Work) -> float:
    """Compute the residuals s and r_b at the current point; return mu, the mean complementarity, nan in a breakdown."""
    n, r = F.shape
    times_both(F, at.b, at.s, at.w, at.r_b, work)
    for j in range(r):
        at.r_b[j] = at.b[j] - lam * at.r_b[j]
    mu = 0.0
    for i in range(n):
        at.s[i] = y[i] - at.s[i]
        mu += at.p[i] * at.a[i] + at.q[i] * at.c[i]
    return float(mu / (2 * n))


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _propose(norm: FloatArray, y: FloatArray, kappa: float, at: State, sign: FloatArray) -> tuple[int, int]:
    """Write the support that the point suggests into ``sign``; return how many entries changed, how many are 0."""
    changed, zeros = 0, 0
    for i in range(y.size):
        if norm[i] == 0.0:  # s_i = y_i whatever b is
            guess = np.sign(y[i])
        else:
            guess = 1.0 if at.p[i] > kappa * at.a[i] else (-1.0 if at.q[i] > kappa * at.c[i] else 0.0)
        changed += guess != sign[i]
        zeros += guess == 0.0
        sign[i] = guess
    return changed, zeros


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _direction(F: FloatArray, lam: float, mu: float, at: State, work: Work) -> bool:
    """Compute the predictor-corrector direction; return False where the system can't be factored."""
    n, dual = at.p.size, at.K.size > 0
    for i in range(n):
        at.a_inv[i] = 1 / at.a[i]
        at.c_inv[i] = 1 / at.c[i]
        at.p_inv[i] = 1 / at.p[i]
        at.q_inv[i] = 1 / at.q[i]
        at.g[i] = at.s[i]  # right-hand side of the predictor
        at.D_inv[i] = min(max(1 / (at.p[i] * at.a_inv[i] + at.q[i] * at.c_inv[i]), 1 / LARGEST_WEIGHT), LARGEST_WEIGHT)
    if dual:
        at.M[:, :] = at.K
        for i in range(n):
            at.M[i, i] += 1 / at.D_inv[i]
        factored = cholesky(at.M, 0.0, work)
    else:
        weighted_gram(F, at.D_inv, at.M, at.buffer, work)
        factored = cholesky(at.M, 1 / lam, work)
    if not factored:
        return False
    # predictor: complementarity to zero
    _newton(F, lam, at, work)
    for i in range(n):
        at.dp[i] = at.p[i] * (at.dw[i] * at.a_inv[i] - 1)
        at.dq[i] = -at.q[i] * (at.dw[i] * at.c_inv[i] + 1)
    step_p = min(1.0, _longest_step(at.dp, at.p_inv, at.dq, at.q_inv, 1.0))
    step_w = min(1.0, _longest_step(at.dw, at.c_inv, at.dw, at.a_inv, -1.0))
    after = 0.0
    for i in range(n):
        after += (at.p[i] + step_p * at.dp[i]) * (at.a[i] - step_w * at.dw[i])
        after += (at.q[i] + step_p * at.dq[i]) * (at.c[i] + step_w * at.dw[i])
    target = mu * (after / (2 * n * mu)) ** 3
    # corrector: centred, with the second-order term of the predictor
    for i in range(n):
        at.dp[i] = (target + at.dp[i] * at.dw[i]) * at.a_inv[i] - at.p[i]
        at.dq[i] = (target - at.dq[i] * at.dw[i]) * at.c_inv[i] - at.q[i]
        at.g[i] = at.s[i] - at.p[i] + at.q[i] - at.dp[i] + at.dq[i]
    _newton(F, lam, at, work)
    for i in range(n):
        at.dp[i] += at.p[i] * at.dw[i] * at.a_inv[i]
        at.dq[i] -= at.q[i] * at.dw[i] * at.c_inv[i]
    return True


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _step(mu: float, at: State) -> None:
    """Move along the direction, almost to the boundary."""
    near = min(max(FARTHEST, 1 - 10 * mu), CLOSEST)
    step_p = min(1.0, near * _longest_step(at.dp, at.p_inv, at.dq, at.q_inv, 1.0))
    step_w = min(1.0, near * _longest_step(at.dw, at.c_inv, at.dw, at.a_inv, -1.0))
    for j in range(at.b.size):
        at.b[j] += step_p * at.db[j]
    for i in range(at.p.size):
        at.p[i] += step_p * at.dp[i]
        at.q[i] += step_p * at.dq[i]
        at.w[i] += step_w * at.dw[i]
        at.a[i] -= step_w * at.dw[i]
        at.c[i] += step_w * at.dw[i]


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _newton(F: FloatArray, lam: float, at: State, work: Work) -> None:
    """Solve F db + D dw = g, db - lam F^T dw = -r_b with the factor in M; overwrites g."""
    n, r = F.shape
    if at.K.size > 0:
        times(F, at.r_b, at.F_db, work)
        for i in range(n):
            at.dw[i] = at.g[i] + at.F_db[i]
        cholesky_solve(at.M, at.dw, work)
        transposed_times(F, at.dw, at.db, work)
        for j in range(r):
            at.db[j] = lam * at.db[j] - at.r_b[j]
    else:
        for i in range(n):
            at.g[i] *= at.D_inv[i]
        transposed_times(F, at.g, at.db, work)
        for j in range(r):
            at.db[j] -= at.r_b[j] / lam
        cholesky_solve(at.M, at.db, work)
        times(F, at.db, at.F_db, work)
        for i in range(n):
            at.dw[i] = at.g[i] - at.D_inv[i] * at.F_db[i]


@njit(cache=True, error_model="numpy", fastmath=FAST | {"nnan"})  # nnan: the maximum takes vector registers
def _longest_step(dx: FloatArray, x_inv: FloatArray, dz: FloatArray, z_inv: FloatArray, turn: float) -> float:
    """Return the largest t with x + t dx >= 0 and z + t turn dz >= 0."""
    block = 1e-300
    for i in range(dx.size):
        block = max(block, max(-dx[i] * x_inv[i], -turn * dz[i] * z_inv[i]))
    return 1 / block
