"""Gradient flow on factors of S (N, K): which over-parameterisation has the row-group program as its implicit bias.

All flows start at Theta = 0 with a small scale gamma, follow the gradient of 1/2 |Y - J Theta - S|^2, with a rate
alpha times larger for the factors, and fit Y; R is the residual, and V_t its integral, so Theta_t = J^T V_t. With L =
log(1/gamma):

- **directions**: S_i = sum_d (u_id^2 - v_id^2) d over unit vectors d. Each u_id, v_id moves along d only, so u =
gamma exp(2 alpha
  <V_i, d>), v = gamma exp(-2 alpha <V_i, d>), and S_i = 2 gamma^2 sum_d sinh(4 alpha <V_i, d>) d is a gradient in
  V_i: the flow is the paper's (17) with K directions more, its limit minimises a strictly convex potential of V, and
  as gamma -> 0 with alpha = L / (2
  lam) it is the program with the norm |S|_D = min {|c|_1 : sum_d c_d d = S}, for which |S|_2 <= |S|_D <= |S|_2 /
  cos(phi), phi the largest angle between any vector and the nearest of the lines. Enough directions give the group
  program.
- **products**: S_i = a_i b_i, a_i a number, a = gamma, b = 0 at first. Then (a_i, b_i)' = alpha [[0, R_i^T], [R_i,
0]] (a_i, b_i):
  a boost of special relativity, and a_i^2 - |b_i|^2 = gamma^2 stays. For K = 1 boosts commute and S = gamma^2/2
  sinh(2 alpha V). For K >= 2 they do not, two paths with one end V lead to different S (Thomas's rotation), so no
  potential of V exists. With a_i = gamma cosh(rho), b_i = gamma sinh(rho) e: rho' = alpha <e, R_i>, e' = alpha
  coth(rho) (R_i - <e, R_i> e), and while rho is of the order of L, e has turned to R_i long since: row i is switched
  on when the *length* of its path, the integral of |R_i|, reaches lam = L / alpha, where the program asks for the
  chord |V_i|. The two agree for rows whose residual keeps its direction.
- **normalised**: S_i = a_i^2 e_i, e_i a unit vector (weight normalisation; Li, Nguyen, Hegde, Wong, ICLR 2023,
arXiv:2301.12540).
  e_i turns at a rate alpha a_i^2 |R_i|, not at all while a_i is small: row i is switched on when <e_i, V_i>, e_i as
  it was *at first*, reaches lam = L / (2 alpha), and not where that is negative.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from sparseop.certificate import Certified
from sparseop.errors import FloatArray, InputError, array, choice, fits, integer, moderate, positive
from sparseop.status import Status

FACTORS = ("products", "normalised")
TOLERANCE = 1e-9  # of the gradient of the potential, relative to Y


@dataclass(frozen=True, eq=False)
class GroupFlowLimit(Certified):
    """Where a flow ends.

    Attributes
    ----------
    Theta, S, V : (p, K), (N, K), (N, K), V the integral of the residual: Theta = J^T V.
    length : (N,) integral of |R_i|, at least |V_i|; for ``group_flow_limit`` nan, the limit needs no path.
    residual : the largest entry of |Y - J Theta - S|, relative to that of Y.
    status : CONVERGED or ITERATION_LIMIT.
    """

    Theta: FloatArray
    S: FloatArray
    V: FloatArray
    length: FloatArray
    residual: float
    status: Status


def plane_directions(n: int) -> FloatArray:
    """Return n unit vectors (n, 2), half a turn spread evenly: no vector is further than pi / (2 n) from a line."""
    angle = np.arange(integer("n", n, 2)) * (math.pi / n)
    return np.column_stack([np.cos(angle), np.sin(angle)])


def group_flow_limit(J: Any, Y: Any, directions: Any, *, alpha: float, gamma: float) -> GroupFlowLimit:
    """Return the limit of the flow on S_i = sum_d (u_id^2 - v_id^2) d, by Newton's method on its potential.

    The potential is 1/2 |J^T V|^2 - <V, Y> + gamma^2 / (2 alpha) sum_id cosh(4 alpha <V_i, d>), reached from larger
    gamma.

    Parameters
    ----------
    J, Y : (N, p), (N, K).
    directions : (D, K) vectors that span R^K; brought to length 1.
    alpha, gamma : rate of u, v over that of Theta; scale of their start, in [exp(-300), 1).

    Raises
    ------
    InputError
        for a wrong shape or value, directions that do not span R^K.
    """
    J, Y, F, basis = _data(J, Y)
    n, K = Y.shape
    D = array("directions", directions, (None, K), what="one column for each of Y")
    D = D / np.maximum(np.linalg.norm(D, axis=1, keepdims=True), 1e-300)
    if np.linalg.matrix_rank(D) < K:
        raise InputError(f"directions must span all {K} columns of Y.")
    alpha, L = moderate("alpha", alpha), _log_scale(gamma)
    fits("Newton's matrix of the potential", (n * K) ** 2, instead="take fewer rows")
    size, lam = float(np.abs(Y).max()) or 1.0, L / (2 * alpha)
    V, kernel, error = np.zeros((n, K)), np.asarray(np.kron(F @ F.T, np.eye(K)), dtype=np.float64), math.inf
    for scale in np.append(np.arange(min(1.0, L), L, 0.5), L):
        V, error = _newton(V, Y, F, D, kernel, lam, float(scale), size)
    S = _sinh(V, D, lam, L)
    fit = F @ (F.T @ V)
    status = Status.CONVERGED if error <= TOLERANCE else Status.INACCURATE
    return GroupFlowLimit(basis @ (F.T @ V), S, V, np.full(n, np.nan), float(np.abs(Y - fit - S).max() / size), status)


def group_flow(
    J: Any, Y: Any, factors: str, *, alpha: float, gamma: float, horizon: float, start: Any = None
) -> GroupFlowLimit:
    """Follow the flow on S_i = a_i b_i ("products") or a_i^2 e_i ("normalised") until time ``horizon``.

    Parameters
    ----------
    J, Y : (N, p), (N, K).
    start : (N, K) directions e_i at first, for "normalised"; default Y_i / |Y_i|.

    Raises
    ------
    InputError
        for a wrong shape or value.
    """
    choice("factors", factors, FACTORS)
    J, Y, F, basis = _data(J, Y)
    (n, K), r = Y.shape, F.shape[1]
    alpha, gamma, horizon = moderate("alpha", alpha), math.exp(-_log_scale(gamma)), positive("horizon", horizon)
    e = Y if start is None else array("start", start, (n, K), what="one row for each of Y")
    e = e / np.maximum(np.linalg.norm(e, axis=1, keepdims=True), 1e-300)
    products = factors == "products"
    c0 = np.zeros((n, K)) if products else e
    first = np.concatenate([np.zeros(r * K), np.full(n, gamma), c0.ravel(), np.zeros(n * K), np.zeros(n)])
    size = float(np.abs(Y).max()) or 1.0

    def parts(z: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        b, a, c = z[: r * K].reshape(r, K), z[r * K : r * K + n], z[r * K + n : r * K + n + n * K].reshape(n, K)
        c = c if products else c / np.linalg.norm(c, axis=1, keepdims=True)
        S = (a if products else a * a)[:, None] * c
        return a, c, S, Y - F @ b - S

    def velocity(_: float, z: FloatArray) -> FloatArray:
        a, c, _S, R = parts(z)
        along = np.einsum("ij,ij->i", c, R)
        if products:
            da, dc = alpha * along, alpha * a[:, None] * R
        else:
            da, dc = 2 * alpha * a * along, alpha * (a * a)[:, None] * (R - along[:, None] * c)
        return np.concatenate([(F.T @ R).ravel(), da, dc.ravel(), R.ravel(), np.linalg.norm(R, axis=1)])

    path = solve_ivp(velocity, (0.0, horizon), first, method="LSODA", rtol=1e-8, atol=1e-13 * size)
    z = path.y[:, -1]
    S, R = parts(z)[2:]
    b = z[: r * K].reshape(r, K)
    left = float(np.abs(R).max() / size)
    V = z[-n - n * K : -n].reshape(n, K)
    status = Status.CONVERGED if left <= 1e-3 else Status.ITERATION_LIMIT
    return GroupFlowLimit(basis @ b, S, V, z[-n:], left, status)


def _data(J: Any, Y: Any) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return J, Y, and F (N, r), an orthonormal basis (p, r) with J = F basis^T."""
    J = array("J", J, (None, None), moderate=True)
    Y = array("Y", Y, (len(J), None), what="one row for each of J", moderate=True)
    U, sigma, Vt = np.linalg.svd(J, full_matrices=False)
    r = max(int((sigma > max(J.shape) * np.finfo(float).eps * sigma[0]).sum()), 1)
    return J, Y, U[:, :r] * sigma[:r], Vt[:r].T


def _log_scale(gamma: float) -> float:
    gamma = positive("gamma", gamma)
    if not math.exp(-300) <= gamma < 1:
        raise InputError(f"gamma must lie in [exp(-300), 1), got {gamma!r}.")
    return -math.log(gamma)


def _sinh(V: FloatArray, D: FloatArray, lam: float, L: float) -> FloatArray:
    """Return sum_d 2 gamma^2 sinh(4 alpha <V, d>) d, without overflow: 4 alpha = 2 L / lam."""
    x = 2 * L / lam * (V @ D.T)
    return np.asarray((np.exp(np.minimum(x - 2 * L, 300)) - np.exp(np.minimum(-x - 2 * L, 300))) @ D)


def _newton(
    V: FloatArray, Y: FloatArray, F: FloatArray, D: FloatArray, kernel: FloatArray, lam: float, L: float, size: float
) -> tuple[FloatArray, float]:
    """Minimise the potential at one scale, from V; return V and the largest entry of the gradient over ``size``."""
    n, K = Y.shape
    outer = np.einsum("di,dj->dij", D, D)
    error = math.inf
    for _ in range(300):
        gradient = F @ (F.T @ V) - Y + _sinh(V, D, lam, L)
        error = float(np.abs(gradient).max() / size)
        if error <= 1e-13:
            break
        x = 2 * L / lam * (V @ D.T)
        h = 2 * L / lam * (np.exp(np.minimum(x - 2 * L, 300)) + np.exp(np.minimum(-x - 2 * L, 300)))
        matrix, at = kernel.copy(), np.arange(n * K).reshape(n, K)
        matrix[at[:, :, None], at[:, None, :]] += np.einsum("nd,dij->nij", h, outer)
        step = np.linalg.solve(matrix, -gradient.ravel()).reshape(n, K)
        slope, t = float(np.vdot(gradient, step)), 1.0
        # the derivative along the step is monotone: halve until it is no longer large and positive
        for _ in range(60):
            moved = V + t * step
            here = float(np.vdot(F @ (F.T @ moved) - Y + _sinh(moved, D, lam, L), step))
            if here <= 0.5 * abs(slope):
                break
            t *= 0.5
        V = V + t * step
    return V, error
