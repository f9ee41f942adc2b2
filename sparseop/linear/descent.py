"""Gradient descent (16) on the over-parameterised model, literally, a million steps in well under a second.

    r_k = J theta_k + u_k*u_k - v_k*v_k - y
    theta_{k+1} = theta_k - tau J^T r_k,   u_{k+1} = u_k - 2 alpha tau u_k*r_k,   v_{k+1} = v_k + 2 alpha tau v_k*r_k

from theta = 0, u = v = gamma. theta never leaves the row space of J, so the iteration runs on its coordinates b (theta
= V b, F = J V): b_{k+1} = b_k - tau F^T r_k, the same numbers at r instead of p entries.

THE STEP SIZE. Descent does not conserve u*v as the flow does: u_k v_k = gamma^2 prod(1 - 4 alpha^2 tau^2 r^2), entry by
entry, so entry i ends where the flow would end from the smaller scale gamma^2 exp(-delta_i), delta_i ~ 4 alpha^2 tau
(integral of r_i^2 dt). Since the flow of nu is a gradient flow of Phi, sum_i integral r_i^2 dt = Phi(0) - min Phi,
which is by duality the minimum P of 1/2 |theta|^2 + lam sum h_gamma(s), lam = log(1/gamma)/(2 alpha). Hence, exactly to
first order in tau,

    mean_i delta_i = 4 alpha^2 tau P / N,

and since an active entry has nu_i = (log(s_i/gamma^2) + delta_i)/(4 alpha), a drift delta moves nu, and with it theta,
by about delta / (2 log(1/gamma)), relative. The default step makes this ``ACCURACY``: tau = ACCURACY N lam / (alpha P),
or the largest safely stable step, 1/2 of 1/(|J|^2 + 4 alpha max|y|), where that is smaller. A stable step alone can be
off by 15 %.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from sparseop.certificate import Certificate, Certified, Check, apart
from sparseop.errors import FloatArray, between, fits, instance, integer, moderate, nonnegative, positive
from sparseop.linear._newton import solve_limit
from sparseop.linear.problem import LinearProblem
from sparseop.linear.regularizer import entropy
from sparseop.status import Status

ACCURACY = 1e-3
RUNNING, CONVERGED, DIVERGED = 0, 1, 2
REPEATED = 1e-6  # relative difference of a run with J itself and of one with its factor


@dataclass(frozen=True, eq=False)
class Trajectory:
    """States of gradient descent at every ``record_every``-th iteration, the start included.

    Attributes
    ----------
    iterations : (m,) iteration numbers.
    theta : (m, p).
    u, v, s : (m, N).
    residual : (m,) max |J theta + s - y|, in units of y.
    """

    iterations: FloatArray
    theta: FloatArray
    u: FloatArray
    v: FloatArray
    s: FloatArray
    residual: FloatArray

    def checks(self, J: FloatArray, y: FloatArray, kept: FloatArray) -> list[Check]:
        """Return the checks of the kept states against those of a second run with J itself, ``kept`` (m, p + 2 N)."""
        p, n = J.shape[1], len(y)
        if len(kept) != len(self.iterations):
            return [Check("the kept states are those of the run", math.inf, 0.0, ("trajectory",))]
        theta, u, v = kept[:, :p], kept[:, p : p + n], kept[:, p + n :]
        s = u * u - v * v
        size = max(float(np.abs(y).max()), float(np.abs(s).max()), 1e-300)
        residual = np.abs(theta @ J.T + s - y).max(axis=1)
        return [
            Check(f"trajectory.{name}", apart(found, right, scale), REPEATED, (f"trajectory.{name}", "trajectory"))
            for name, found, right, scale in (
                ("theta", self.theta, theta, float(np.abs(theta).max()) or 1.0),
                ("u", self.u, u, 1e-300),
                ("v", self.v, v, 1e-300),
                ("s", self.s, s, size),
                ("residual", self.residual, residual, size),
                ("iterations", self.iterations, self.expected, 1.0),
            )
        ]

    @property
    def expected(self) -> FloatArray:
        """Iteration numbers as they have to be: multiples of the second, up to the last."""
        if len(self.iterations) < 2:
            return np.zeros(len(self.iterations))
        return np.arange(len(self.iterations), dtype=float) * float(self.iterations[1])


@dataclass(frozen=True, eq=False)
class DescentResult(Certified):
    """Last iterate of gradient descent; finite whatever happened.

    Attributes
    ----------
    theta : (p,).
    u, v, s : (N,), s = u*u - v*v.
    residual : max |J theta + s - y|, in units of y.
    iterations : steps taken.
    status : CONVERGED (residual < tol max|y|), ITERATION_LIMIT, or DIVERGED (the step is too large, and this is the
        last iterate before the blow-up) of ``sparseop.status.Status``.
    step_size, alpha, gamma : tau, and the settings of the run.
    trajectory : on request.
    """

    theta: FloatArray
    u: FloatArray
    v: FloatArray
    s: FloatArray
    residual: float
    iterations: int
    status: Status
    step_size: float
    alpha: float
    gamma: float
    trajectory: Trajectory | None = None

    def certificate(self, problem: LinearProblem) -> Certificate:
        """Check the arrays against J and y, by taking the same steps again with J itself; see ``docs/certificates.md``.

        Costs as much as the run, p / rank(J) times. After a divergence only what doesn't depend on the steps is
        checked.
        """
        instance("problem", problem, LinearProblem)
        J, y = problem.J, problem.y
        unit = float(np.abs(y).max()) or 1.0
        size = max(unit, float(np.abs(self.u).max()) ** 2, float(np.abs(self.v).max()) ** 2)
        fit = J @ self.theta + self.s - y
        checks = [
            Check("s = u*u - v*v", apart(self.s, self.u**2 - self.v**2, size), REPEATED, ("s", "u", "v")),
            Check(
                "max |J theta + s - y| is as stated",
                apart(np.abs(fit).max(), self.residual, size),
                REPEATED,
                ("theta",),
            ),
        ]
        if self.status != Status.DIVERGED:
            theta, u, v, kept = _again(J, y, self)
            for name, found, right in (("theta", self.theta, theta), ("u", self.u, u), ("v", self.v, v)):
                scale = float(np.abs(right).max())
                rough = apart(found, right, scale) if name == "theta" else apart(found, right, 1e-300)
                checks.append(Check(f"{name} is where the steps lead", rough, REPEATED, (name,)))
            if self.trajectory is not None:
                checks += self.trajectory.checks(J, y, kept)
        return Certificate(tuple(checks))


def gradient_descent(
    problem: LinearProblem,
    *,
    alpha: float,
    gamma: float,
    step_size: float | None = None,
    max_iter: int,
    tol: float,
    record_every: int | None = None,
) -> DescentResult:
    """Run gradient descent (16) from theta = 0, u = v = gamma.

    Parameters
    ----------
    problem : the data (J, y); a ground truth is ignored.
    alpha : learning-rate ratio, in [1e-50, 1e50]: theta moves with step tau, u and v with alpha tau.
    gamma : initial scale, 0 < gamma < 1.
    step_size : tau > 0; default: ``accurate_step_size``.
    max_iter : at most this many steps, >= 0.
    tol : stop when max |J theta + s - y| < tol max|y|; 0 runs all ``max_iter`` steps.
    record_every : keep every so many iterates in ``trajectory``; they take (p + 3 N) floats each.

    Raises
    ------
    InputError
        for an argument outside its range, or a trajectory that memory can't hold.
    """
    instance("problem", problem, LinearProblem)
    alpha, gamma = moderate("alpha", alpha), between("gamma", gamma, 0, 1)
    tau = (
        accurate_step_size(problem, alpha=alpha, gamma=gamma) if step_size is None else positive("step_size", step_size)
    )
    steps = integer("max_iter", max_iter, 0)
    tol = nonnegative("tol", tol)
    every = 0 if record_every is None else integer("record_every", record_every, 1)
    F, y = np.ascontiguousarray(problem.F), np.ascontiguousarray(problem.y)
    n, r = F.shape
    unit = float(np.abs(y).max()) or 1.0  # y = 0: solved as it stands
    b, u, v = np.zeros(r), np.full(n, gamma), np.full(n, gamma)
    # one call a tenth of a second or so, so that Ctrl-C is heard
    chunk = max(1, 50_000_000 // (n * (r + 4)))
    if every:
        chunk = min(chunk, max(1, 2_000_000 // (r + 2 * n)) * every)
    limit = _largest_residual(F, unit, alpha * tau, tau)
    done, status = 0, RUNNING
    records: list[list[Any]] = []
    kept_rows = 0
    if every and tol == 0:  # all steps will be taken
        _fits(problem, steps // every + 1)
    while status == RUNNING and done < steps:
        size = min(chunk, steps - done)
        kept = np.empty((size // every + 1 if every else 0, r + 2 * n))
        first = -done % every if every else 0
        taken, count, status = _descend(F, y, b, u, v, tau, alpha * tau, size, tol * unit, limit, every, first, kept)
        if every:
            kept_rows += count
            _fits(problem, kept_rows)
            records.append([done + first + every * np.arange(count), kept[:count]])
        done += taken
    residual = float(np.abs(F @ b + (u * u - v * v) - y).max())
    if status == RUNNING and residual < tol * unit:
        status = CONVERGED
    return DescentResult(
        theta=problem.factor.lift(b),
        u=u,
        v=v,
        s=u * u - v * v,
        residual=residual,
        iterations=done,
        status=(Status.ITERATION_LIMIT, Status.CONVERGED, Status.DIVERGED)[status],
        step_size=tau,
        alpha=alpha,
        gamma=gamma,
        trajectory=_trajectory(problem, records, done, every, b, u, v) if every else None,
    )


def accurate_step_size(problem: LinearProblem, *, alpha: float, gamma: float, accuracy: float = ACCURACY) -> float:
    """Return the step size tau at which descent ends within about ``accuracy`` (relative) of the gradient flow's limit.

    ``accuracy N lam / (alpha P)``, derived above, or half of 1/(|J|^2 + 4 alpha max|y|) where that is smaller.

    Raises
    ------
    InputError
        unless alpha is in [1e-50, 1e50], 0 < gamma < 1 and accuracy > 0.
    """
    instance("problem", problem, LinearProblem)
    alpha, log_gamma = moderate("alpha", alpha), math.log(between("gamma", gamma, 0, 1))
    accuracy = positive("accuracy", accuracy)
    F = problem.F
    limit = solve_limit(F, problem.y, alpha, log_gamma)
    lam = -log_gamma / (2 * alpha)
    least = 0.5 * limit.b @ limit.b + lam * entropy(limit.s, log_gamma).sum()
    sharpness = (float(np.linalg.norm(F.T @ F, 2)) if F.shape[1] else 0.0) + 4 * alpha * float(np.abs(problem.y).max())
    stable = 0.5 / sharpness if sharpness else 1.0  # J = 0 and y = 0: no step moves anything
    return min(stable, float(accuracy * len(F) * lam / (alpha * least))) if least else stable


def _again(J: FloatArray, y: FloatArray, run: DescentResult) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Take the steps of ``run`` again, with J in the place of its factor; return theta, u, v and the kept states."""
    n, p = J.shape
    theta, u, v = np.zeros(p), np.full(n, run.gamma), np.full(n, run.gamma)
    iterations = run.trajectory.iterations if run.trajectory is not None else np.zeros(0)
    every = int(iterations[1]) if len(iterations) > 1 else 0
    kept = np.empty((len(iterations), p + 2 * n))
    ratio = run.alpha * run.step_size
    limit = _largest_residual(J, float(np.abs(y).max()), ratio, run.step_size)
    count = _descend(J, y, theta, u, v, run.step_size, ratio, run.iterations, 0.0, limit, every, 0, kept)[1]
    if count < len(kept):  # the last state, after the last step
        kept[count] = np.concatenate([theta, u, v])
        count += 1
    return theta, u, v, kept[:count]


def _largest_residual(F: FloatArray, unit: float, ratio_tau: float, tau: float) -> float:
    """Return the residual from which on the run has diverged.

    One from which the next step still stays in float64's range.
    """
    limit = 1e60 * max(unit, 1.0)
    # a step adds 2 alpha tau r u to u, which is about sqrt(r), and the square of the sum must not overflow
    if 2 * ratio_tau * limit**1.5 > 1e150:
        limit = min(limit, 1e12 / (2 * ratio_tau))
    pull = tau * len(F) * float(np.abs(F).max(initial=0.0))
    return min(limit, 1e250 / pull) if pull * limit > 1e250 else limit


def _fits(problem: LinearProblem, rows: int) -> None:
    n, p = problem.n_samples, problem.n_params
    fits(
        f"a trajectory of {rows} iterates",
        rows * (2 * (problem.rank + 2 * n) + p + n),
        instead="give a larger record_every",
    )


def _trajectory(
    problem: LinearProblem, records: list[list[Any]], done: int, every: int, b: FloatArray, u: FloatArray, v: FloatArray
) -> Trajectory:
    if done % every == 0:  # the state after the last step, which the loop leaves before it would record it
        records = [*records, [np.array([done]), np.concatenate([b, u, v])[None]]]
    iterations = np.concatenate([part[0] for part in records])
    kept = np.concatenate([part[1] for part in records])
    iterations, where = np.unique(iterations, return_index=True)
    kept = kept[where]
    r, n = len(b), len(u)
    bs, us, vs = kept[:, :r], kept[:, r : r + n], kept[:, r + n :]
    s = us * us - vs * vs
    return Trajectory(
        iterations=iterations,
        theta=np.stack([problem.factor.lift(row) for row in bs]),
        u=us,
        v=vs,
        s=s,
        residual=np.abs(bs @ problem.F.T + s - problem.y).max(axis=1),
    )


@njit(cache=True, fastmath={"reassoc", "contract"})
def _descend(F, y, b, u, v, tau, ratio_tau, steps, tol, limit, every, first, kept):  # type: ignore[no-untyped-def]
    """Take up to ``steps`` steps in place; return how many, how many states were kept, and the status."""
    n, r = F.shape
    residual = np.empty(n)
    pull = np.empty(r)
    count = 0
    due = first if every > 0 else steps + 1
    for step in range(steps):
        if step == due:
            kept[count, :r] = b
            kept[count, r : r + n] = u
            kept[count, r + n :] = v
            count += 1
            due += every
        pull[:] = 0.0
        largest = 0.0
        finite = True
        for i in range(n):
            value = (u[i] - v[i]) * (u[i] + v[i]) - y[i]  # exactly 0 at the start where y_i = 0
            for j in range(r):
                value += F[i, j] * b[j]
            residual[i] = value
            for j in range(r):
                pull[j] += F[i, j] * value
            size = abs(value)
            finite = finite and size < limit  # False for NaN
            largest = max(largest, size)
        if not finite:
            return step, count, 2
        if largest < tol:
            return step, count, 1
        for j in range(r):
            b[j] -= tau * pull[j]
        for i in range(n):
            move = 2.0 * ratio_tau * residual[i]
            u[i] -= move * u[i]
            v[i] += move * v[i]
    return steps, count, 0
