"""Other over-parameterisations of s with the exact limits of their flows: sizes per entry, depth three and more.

Whatever s = g(u) - g(v), entry by entry, with u and v from small values, the flow has theta = J^T nu and s_i =
s_i(nu_i), nu the integral of the residual; s_i increases, so the limit is the minimiser of the strictly convex

    Phi(nu) = 1/2 |J^T nu|^2 - y^T nu + sum_i psi_i(nu_i),   psi_i' = s_i,

and solves min 1/2 |theta|^2 + sum_i psi_i^*(s_i), y = J theta + s, where psi_i^* is the conjugate: the implicit
penalty.

**Sizes per entry**: s = u*u - v*v from u_i = v_i = gamma_i: s_i = 2 gamma_i^2 sinh(4 alpha nu_i). With gamma_i =
exp(-w_i L), L to infinity and alpha = L / (2 lam), psi_i becomes the indicator of |nu_i| <= w_i lam: the program with
lam sum_i w_i |s_i|. An initial size is a weight of the penalty, by its logarithm.

**Depth** q >= 3: s = u^q - v^q from gamma. u' = alpha q u^(q-1) r integrates to u = gamma (1 - nu / lam)^(-1/(q-2))
with

    lam = gamma^(2-q) / (alpha q (q-2)),     s(nu) = gamma^q ((1 - nu/lam)^(-q/(q-2)) - (1 + nu/lam)^(-q/(q-2))),

so |nu_i| < lam at any gamma, and where |s| is large beside gamma^q the penalty's slope is lam (1 - (gamma^q /
|s|)^((q-2)/q)): the l1 norm up to a power of gamma, where depth two has it up to 1/log(1/gamma). Woodworth et al.,
COLT 2020, arXiv:2002.09277, have these potentials for theta itself.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparseop.certificate import Certificate, Certified, Check, apart
from sparseop.errors import FloatArray, InputError, array, fits, instance, integer, moderate
from sparseop.linear.problem import LinearProblem
from sparseop.status import Status

TOLERANCE = 1e-9
#: nu -> s and its derivative, or None where nu is outside the domain
Rule = Callable[[FloatArray], tuple[FloatArray, FloatArray] | None]


@dataclass(frozen=True, eq=False)
class VariantLimit(Certified):
    """The limit of a flow.

    Attributes
    ----------
    theta, s, nu : (p,), (N,), (N,): theta = J^T nu, s = y - J theta = s(nu).
    residual : largest error of an entry of nu, to first order: |s - s(nu)| over the slope of s(nu), relative to max
        |nu|.
    status : CONVERGED, or INACCURATE where float64 allows no residual of 1e-9.
    """

    theta: FloatArray
    s: FloatArray
    nu: FloatArray
    residual: float
    status: Status

    def certificate(self, problem: LinearProblem) -> Certificate:
        """Check theta = J^T nu and y = J theta + s."""
        scale = float(np.abs(self.theta).max())
        fit = problem.J @ self.theta + self.s
        return Certificate(
            (
                Check("theta = J^T nu", apart(self.theta, problem.J.T @ self.nu, scale), 1e-6, ("theta", "nu")),
                Check("y = J theta + s", apart(fit, problem.y, float(np.abs(problem.y).max())), 1e-6, ("theta", "s")),
            )
        )


def sized_flow_limit(problem: LinearProblem, log_scales: Any, *, alpha: float) -> VariantLimit:
    """Return the limit of the flow on s = u*u - v*v from u_i = v_i = exp(-L_i).

    Parameters
    ----------
    log_scales : (N,) L_i > 0.
    alpha : rate of u, v over that of theta.

    Raises
    ------
    InputError
        for a value outside its range.
    """
    instance("problem", problem, LinearProblem)
    scales = array("log_scales", log_scales, (problem.n_samples,), what="one for each row of J", moderate=True)
    if scales.min() <= 0:
        raise InputError(f"log_scales must be > 0, got {scales.min()} at index {int(scales.argmin())}.")
    alpha = moderate("alpha", alpha)

    def rule(share: float) -> Rule:
        rate, L = 4 * alpha * share, 2 * share * scales

        def s(nu: FloatArray) -> tuple[FloatArray, FloatArray] | None:
            if (rate * np.abs(nu) - L).max() > 300:
                return None
            up, down = np.exp(rate * nu - L), np.exp(-rate * nu - L)
            return up - down, rate * (up + down)

        return s

    steps = np.linspace(0, 1, 2 + int(2 * scales.max()))[1:]
    return _limit(problem, [rule(float(share)) for share in steps])


def deep_flow_limit(problem: LinearProblem, depth: int, *, lam: float, gamma: float) -> VariantLimit:
    """Return the limit of the flow on s = u^q - v^q, q = ``depth`` >= 3, from gamma.

    alpha is the one that matches lam: gamma^(2-q) / (lam q (q-2)).

    Raises
    ------
    InputError
        for a depth < 3, a lam or gamma outside its range.
    """
    instance("problem", problem, LinearProblem)
    q = integer("depth", depth, 3)
    lam, gamma = moderate("lam", lam), moderate("gamma", gamma)
    power = q / (q - 2)

    def rule(scale: float) -> Rule:
        def s(nu: FloatArray) -> tuple[FloatArray, FloatArray] | None:
            up, down = 1 - nu / lam, 1 + nu / lam
            if min(up.min(), down.min()) <= 0:
                return None
            grown, shrunk = scale**q * up**-power, scale**q * down**-power
            return grown - shrunk, power / lam * (grown / up + shrunk / down)

        return s

    first = max(gamma, float(np.abs(problem.y).max()) ** (1 / q))
    scales = np.geomspace(first, gamma, 2 + int(6 * math.log(first / gamma)))
    return _limit(problem, [rule(float(scale)) for scale in scales])


def _limit(problem: LinearProblem, rules: list[Rule]) -> VariantLimit:
    """Minimise Phi by Newton's method, from the rule of the largest size to the one asked for."""
    F, y, n = problem.F, problem.y, problem.n_samples
    fits("Newton's matrix of the potential", n * n, instead="take fewer rows")
    K, size = F @ F.T, float(np.abs(y).max()) or 1.0
    nu = np.zeros(n)
    for rule in rules:
        known = rule(nu)
        for _ in range(60):  # a smaller size may have a smaller domain
            if known is not None:
                break
            nu = 0.9 * nu
            known = rule(nu)
        nu = _newton(K, y, rule, nu, size)
    s, found = y - K @ nu, rule(nu)
    off = np.inf
    if found is not None:  # how far nu is off, by Newton's step of each entry alone: s(nu) may be too steep to tell
        off = float(np.abs((s - found[0]) / (found[1] + np.diag(K))).max() / (np.abs(nu).max() or 1.0))
    status = Status.CONVERGED if off <= TOLERANCE else Status.INACCURATE
    return VariantLimit(problem.factor.lift(F.T @ nu), s, nu, off, status)


def _newton(K: FloatArray, y: FloatArray, rule: Rule, nu: FloatArray, size: float) -> FloatArray:
    n = len(y)
    for _ in range(200):
        found = rule(nu)
        if found is None:
            return nu
        s, slope = found
        gradient = K @ nu - y + s
        if np.abs(gradient).max() <= 1e-14 * size:
            return nu
        # scaled symmetrically: slope spans many orders of magnitude
        root = 1 / np.sqrt(slope + np.diag(K))
        matrix = (K * root) * root[:, None]
        matrix[np.diag_indices(n)] += slope * root * root
        try:
            step = -root * np.linalg.solve(matrix, root * gradient)
        except np.linalg.LinAlgError:  # sizes so small that the slope underflows
            return nu
        down, t = float(gradient @ step), 1.0
        if not down < 0:
            return nu
        for _ in range(80):  # the derivative along the step is monotone
            moved = rule(nu + t * step)
            if moved is not None and float((K @ (nu + t * step) - y + moved[0]) @ step) <= 0.5 * abs(down):
                break
            t *= 0.5
        else:
            return nu
        nu = nu + t * step
    return nu
