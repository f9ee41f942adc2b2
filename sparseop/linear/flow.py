"""Gradient flow (17) from theta = 0, u = v = gamma, at given times and at t = infinity.

By (20)-(21) the flow is known once nu_t = -integral of the residual is:

    theta_t = J^T nu_t,   u_t = gamma exp(2 alpha nu_t),   v_t = gamma exp(-2 alpha nu_t),   s_t = 2 gamma^2 sinh(4
    alpha nu_t),

and nu_t follows d nu/dt = -grad Phi(nu), nu_0 = 0, with the strictly convex potential

    Phi(nu) = 1/2 |J^T nu|^2 - y^T nu + (gamma^2 / (2 alpha)) sum_i cosh(4 alpha nu_i).

So the limit t -> infinity, whose existence Proposition 3.3 of the paper assumes, always exists: it is the one minimiser
of Phi, and |nu_t - nu_inf| <= exp(-8 alpha gamma^2 t) |nu_inf|. By duality it is also the solution of

    min 1/2 |theta|^2 + lam sum_i h_gamma(s_i)  s.t.  y = J theta + s,      lam = -log(gamma) / (2 alpha),

with the hyperbolic entropy of ``implicit_regularizer``.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparseop.certificate import Certificate, Certified, Check, apart, not_finite
from sparseop.errors import FloatArray, InputError, array, between, fits, instance, moderate
from sparseop.linear._hyperbolic import sparse_part
from sparseop.linear._newton import ACCEPTED, solve_limit
from sparseop.linear._stiff import Flow
from sparseop.linear.problem import LinearProblem
from sparseop.linear.regularizer import entropy
from sparseop.status import Status


@dataclass(frozen=True, eq=False)
class FlowLimit(Certified):
    """Limit of the gradient flow.

    Attributes
    ----------
    theta : (p,) theta = J^T nu.
    s, u, v : (N,) s = u*u - v*v with u*v = gamma^2; an entry of u or v below the range of float64 is 0.
    nu : (N,) multipliers. Where entries of s are below the rounding of y, y no longer determines their nu one by one;
        then nu is one vector that satisfies the equations to rounding, and theta, s and residual are as accurate as
        ever.
    residual : max |J theta + s - y|, in units of y.
    mismatch : |theta - J^T nu| relative to |J| |nu|, the rounding left in the closed form.
    value : 1/2 |theta|^2 + lam sum h_gamma(s), the minimum of the program above.
    iterations : Newton steps (each one factorisation of an r x r matrix).
    alpha, log_gamma : of the flow.
    status : CONVERGED, or INACCURATE where a relative error above 1e-11 remains (then residual and mismatch say
        how much).
    """

    theta: FloatArray
    s: FloatArray
    u: FloatArray
    v: FloatArray
    nu: FloatArray
    residual: float
    mismatch: float
    value: float
    iterations: int
    status: Status
    alpha: float
    log_gamma: float

    def certificate(self, problem: LinearProblem) -> Certificate:
        """Check the equations that define the limit, with J and y themselves; see ``docs/certificates.md``."""
        instance("problem", problem, LinearProblem)
        J, y = problem.J, problem.y
        size = max(float(np.abs(y).max()), float(np.abs(self.s).max()), 1e-300)
        longest = float(np.linalg.norm(J) * np.linalg.norm(self.nu)) or 1.0
        allowed = 10 * ACCEPTED
        s = sparse_part(4 * self.alpha * self.nu, 2 * self.log_gamma)[0]
        return Certificate(
            (
                Check("y = J theta + s", apart(J @ self.theta + self.s, y, size), allowed, ("theta", "s")),
                Check("theta = J^T nu", apart(self.theta, J.T @ self.nu, longest), allowed, ("theta", "nu")),
                # where entries of s are below y's rounding their nu is fixed only jointly; s says the rest
                Check("s = 2 gamma^2 sinh(4 alpha nu)", apart(self.s, s, size), allowed, ("s", "nu")),
                *_scales(self.u, self.v, self.nu, self.alpha, self.log_gamma),
                Check(
                    "residual is as stated",
                    apart(np.abs(J @ self.theta + self.s - y).max(), self.residual, size),
                    allowed,
                ),
            )
        )


@dataclass(frozen=True, eq=False)
class GradientFlow(Certified):
    """The gradient flow at m times.

    Attributes
    ----------
    times : (m,).
    theta : (m, p).
    u, v, s, nu : (m, N); u*v = gamma^2 at all times.
    residual : (m,) max |J theta + s - y|, in units of y.
    steps : integration steps taken.
    step_error : largest error of a step taken, relative as ``rtol`` is; above ``rtol`` only where rounding prevents
        better.
    alpha, log_gamma, rtol : of the flow, and of its integration.
    status : CONVERGED where every step kept to ``rtol``, else INACCURATE.
    """

    times: FloatArray
    theta: FloatArray
    u: FloatArray
    v: FloatArray
    s: FloatArray
    nu: FloatArray
    residual: FloatArray
    steps: int
    step_error: float
    alpha: float
    log_gamma: float
    rtol: float
    status: Status

    def certificate(self, problem: LinearProblem) -> Certificate:
        """Check the closed form (20) and the flow itself, with J and y; see ``docs/certificates.md``.

        The flow is integrated again with J in the place of its factor; a flow contracts, so errors of steps add up at
        most.
        """
        instance("problem", problem, LinearProblem)
        failed = not_finite(times=self.times, nu=self.nu)
        if failed is not None:
            return failed
        J, y = problem.J, problem.y
        s = sparse_part(4 * self.alpha * self.nu, 2 * self.log_gamma)[0]
        size = max(float(np.abs(y).max()), float(np.abs(self.s).max()), 1e-300)
        longest = float(np.linalg.norm(J) * np.linalg.norm(self.nu)) or 1.0
        allowed = max(1e-8, 100 * self.rtol * (1 + self.steps))
        fit = self.theta @ J.T + self.s - y
        again = _states(J, y, self.alpha, self.log_gamma, self.times, self.rtol)[0]
        return Certificate(
            (
                Check(
                    "nu is where the flow leads",
                    apart(self.nu, again, float(np.abs(again).max()) or 1.0),
                    allowed,
                    ("nu", "times"),
                ),
                Check("theta = J^T nu", apart(self.theta, self.nu @ J, longest), allowed, ("theta", "nu")),
                Check("s = 2 gamma^2 sinh(4 alpha nu)", apart(self.s, s, size), allowed, ("s", "nu")),
                *_scales(self.u, self.v, self.nu, self.alpha, self.log_gamma),
                Check(
                    "residual is as stated", apart(np.abs(fit).max(axis=1), self.residual, size), allowed, ("residual",)
                ),
            )
        )


def _scales(u: FloatArray, v: FloatArray, nu: FloatArray, alpha: float, log_gamma: float) -> tuple[Check, Check]:
    """Return the checks u = gamma exp(2 alpha nu), v = gamma exp(-2 alpha nu)."""
    with np.errstate(over="ignore", under="ignore"):
        right_u, right_v = np.exp(log_gamma + 2 * alpha * nu), np.exp(log_gamma - 2 * alpha * nu)
    return (
        Check("u = gamma exp(2 alpha nu)", apart(u, right_u, 1e-300), 1e-8, ("u", "nu")),
        Check("v = gamma exp(-2 alpha nu)", apart(v, right_v, 1e-300), 1e-8, ("v", "nu")),
    )


def flow_limit(problem: LinearProblem, *, alpha: float, gamma: float) -> FlowLimit:
    """Return the limit t -> infinity of the gradient flow (17).

    Newton's method goes on until rounding stops it, as a rule at 1e-15 of the terms of both equations; called
    converged is a limit with at most 1e-11 (``residual`` and ``mismatch`` say what is left).

    Cost O(N r^2) a Newton step, a dozen to two hundred steps; no matrix larger than N x r is formed. Any alpha in
    [1e-50, 1e50] and any gamma in (0, 1) that float64 holds are fine, also where gamma^2 underflows.

    Parameters
    ----------
    problem : the data (J, y); a ground truth is ignored.
    alpha : learning-rate ratio, in [1e-50, 1e50].
    gamma : initial scale, 0 < gamma < 1.

    Raises
    ------
    InputError
        for alpha or gamma outside its range.
    """
    instance("problem", problem, LinearProblem)
    alpha, log_gamma = moderate("alpha", alpha), math.log(between("gamma", gamma, 0, 1))
    F = problem.F
    limit = solve_limit(F, problem.y, alpha, log_gamma)
    lam = -log_gamma / (2 * alpha)
    nu = limit.x / (4 * alpha)
    longest = float(np.sqrt(np.einsum("ij,ij->", F, F)) * np.linalg.norm(nu))
    return FlowLimit(
        theta=problem.factor.lift(limit.b),
        s=limit.s,
        u=np.exp(log_gamma + limit.x / 2),
        v=np.exp(log_gamma - limit.x / 2),
        nu=nu,
        residual=float(np.abs(F @ limit.b + limit.s - problem.y).max()),
        mismatch=float(np.linalg.norm(limit.b - F.T @ nu)) / longest if longest else 0.0,
        value=float(0.5 * limit.b @ limit.b + lam * entropy(limit.s, log_gamma).sum()),
        iterations=limit.iterations,
        status=Status.CONVERGED if max(limit.fit_error, limit.coupling_error) <= ACCEPTED else Status.INACCURATE,
        alpha=alpha,
        log_gamma=log_gamma,
    )


def gradient_flow(
    problem: LinearProblem, *, alpha: float, gamma: float, times: Any, rtol: float = 1e-10
) -> GradientFlow:
    """Return the gradient flow (17) at the given times, through the closed form (20).

    Integrates d nu/dt = -grad Phi(nu) with an L-stable extrapolation method of order 8, N-dimensional and stiff: rates
    run from 8 alpha gamma^2 to |J|^2 + 4 alpha max|y|. u*v = gamma^2 holds by construction. Beyond the time where
    exp(-8 alpha gamma^2 t) is below rounding, the limit itself is returned, so times may be as large as 1e50.

    Parameters
    ----------
    problem : the data (J, y); a ground truth is ignored.
    alpha, gamma : learning-rate ratio in [1e-50, 1e50] and initial scale in (0, 1).
    times : (m,) from 0 to 1e50, in increasing order; 0 gives the initial point.
    rtol : error of one step relative to the largest entry of nu, of s and of theta's coordinates; the flow contracts,
        so errors of steps do not grow.

    Raises
    ------
    InputError
        for an argument outside its range, or a time that rounding keeps the integration from reaching, as where J and y
        are 1e18 apart.
    """
    instance("problem", problem, LinearProblem)
    alpha, log_gamma = moderate("alpha", alpha), math.log(between("gamma", gamma, 0, 1))
    rtol = between("rtol", rtol, 1e-11, 1e-2, ends="[]")
    wanted = array("times", times, (None,), moderate=True)
    if wanted[0] < 0 or (np.diff(wanted) < 0).any():
        raise InputError("times must be >= 0 and in increasing order.")
    fits(
        f"the flow at {len(wanted)} times", len(wanted) * (2 * problem.n_params + 6 * problem.n_samples + problem.rank)
    )
    nu, b, flow = _states(problem.F, problem.y, alpha, log_gamma, wanted, rtol)
    x = 4 * alpha * nu
    s = sparse_part(x, 2 * log_gamma)[0]
    return GradientFlow(
        times=wanted,
        theta=np.stack([problem.factor.lift(row) for row in b]),
        u=np.exp(log_gamma + x / 2),
        v=np.exp(log_gamma - x / 2),
        s=s,
        nu=nu,
        residual=np.abs(b @ problem.F.T + s - problem.y).max(axis=1),
        steps=flow.steps,
        step_error=flow.worst,
        alpha=alpha,
        log_gamma=log_gamma,
        rtol=rtol,
        status=Status.CONVERGED if flow.worst <= rtol else Status.INACCURATE,
    )


def _states(
    F: FloatArray, y: FloatArray, alpha: float, log_gamma: float, times: FloatArray, rtol: float
) -> tuple[FloatArray, FloatArray, Flow]:
    """Return nu and b at the times, and the integrator."""
    rate = 8 * alpha * math.exp(2 * log_gamma)
    flow = Flow(F, y, alpha, log_gamma, rtol)
    nu, b = np.empty((len(times), len(y))), np.empty((len(times), F.shape[1]))
    for row, t in enumerate(times):
        if rate * t > 40:
            limit = solve_limit(F, y, alpha, log_gamma)
            nu[row:], b[row:] = limit.x / (4 * alpha), limit.b
            break
        flow.advance(float(t))
        nu[row], b[row] = flow.nu, flow.b
    return nu, b, flow
