"""Why not use explicit regularisation? The question of the SOP slides, answered on the linear model.

    python -m theory.why_not_explicit            at most a minute on two cores
    python -m theory.why_not_explicit --quick    2 trials, 2 weights a decade

The explicit form adds a variable and a penalty, ``min 1/2 |J theta + s - y|^2 + lam |s|_1`` over (theta, s); s can be
eliminated, which leaves Huber's loss of the residual with threshold lam (and the l1 loss as lam -> 0). The implicit
form is the gradient flow on s = u*u - v*v, whose limit is the convex program (26). Three kinds of J tell them apart:
exactly low rank, low rank plus a small full-rank part (the model of a network that can fit any labels), and full rank.
"""

import sys

import cvxpy as cp
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.integrate import solve_ivp
from scipy.optimize import linprog

from sparseop import plotting, study
from sparseop.errors import FloatArray
from sparseop.linear.flow import flow_limit, gradient_flow
from sparseop.linear.path import solve_path
from sparseop.linear.problem import LinearProblem
from sparseop.linear.regularizer import matching_alpha

N, P, RANK, SPARSITY = 100, 150, 20, 20
TAIL = 0.03  # entries of the full-rank part relative to those of a rank-one term
GAMMA = np.exp(-16.0)
WEIGHT = 0.02  # lam of the time courses
FLOOR = 1e-8  # smaller errors are drawn here
KINDS = {"low": "exactly low rank", "tail": "low rank + small full-rank part", "full": "full rank"}
# name -> label, colour, dash
METHODS = {
    "implicit": (r"implicit: $s = u\odot u - v\odot v$, $\alpha = \log(1/\gamma)/(2\lambda)$", plotting.BLUE, "-"),
    "program": ("convex program (26)", plotting.CYAN, (0, (1, 1.5))),
    "joint": (r"explicit: joint loss $+\ \lambda\|s\|_1$ (Huber)", plotting.RED, "--"),
    "l1": (r"explicit: $\ell_1$ loss", plotting.PURPLE, "-."),
    "squares": ("least squares", plotting.GREY, ":"),
}
GRIDS = {
    mode: [{"kind": kind, "trial": t, "per_decade": n} for kind in KINDS for t in range(trials)]
    for mode, trials, n in (("paper", 10, 4), ("quick", 2, 2), ("full", 50, 8))
}


def instance(kind: str, trial: int) -> LinearProblem:
    """Draw a problem whose theta_star lies in the leading right singular vectors of J.

    The directions a network learns.
    """
    rng = study.generator("why not explicit", kind, trial)
    if kind == "full":
        J = rng.standard_normal((N, P))
    else:
        J = rng.standard_normal((N, RANK)) @ rng.standard_normal((RANK, P))
        J += (TAIL if kind == "tail" else 0.0) * rng.standard_normal((N, P))
    rank = N if kind == "full" else RANK
    theta_star = np.linalg.svd(J, full_matrices=False)[2][:rank].T @ rng.standard_normal(rank)
    s_star = np.zeros(N)
    s_star[rng.permutation(N)[:SPARSITY]] = rng.standard_normal(SPARSITY)
    return LinearProblem(J, J @ theta_star + s_star, theta_star, s_star)


def cell(kind: str, trial: int, per_decade: int) -> list[study.Row]:
    """One instance: the error of every method against lam, and along time at one lam."""
    problem = instance(kind, trial)
    lams = np.logspace(-4, 2, 6 * per_decade + 1)
    square = np.linalg.lstsq(problem.F, problem.y)[0]
    absolute = _least_absolute(problem)
    joint, objective = _joint_path(problem, lams)
    rows = []
    for lam, program, b, value in zip(lams, solve_path(problem, lams), joint, objective, strict=True):
        limit = flow_limit(problem, alpha=matching_alpha(lam, GAMMA), gamma=GAMMA)
        found = {
            "implicit": (limit.theta, limit.residual),
            "program": (program.theta, program.gap),
            "joint": (problem.factor.lift(b), value),
            "l1": (problem.factor.lift(absolute), np.nan),
            "squares": (problem.factor.lift(square), np.nan),
        }
        rows += [_row(problem, "weight", lam, method, *pair) for method, pair in found.items()]
    times = np.logspace(-6, 7, 53 if per_decade > 2 else 27)
    flow = gradient_flow(problem, alpha=matching_alpha(WEIGHT, GAMMA), gamma=GAMMA, times=times, rtol=1e-7)
    courses = {"implicit": flow.theta, "joint": _joint_flow(problem, times), "squares": _squares_flow(problem, times)}
    return rows + [
        _row(problem, "time", t, method, theta, np.nan)
        for method, thetas in courses.items()
        for t, theta in zip(times, thetas, strict=True)
    ]


def _row(problem: LinearProblem, panel: str, x: float, method: str, theta: FloatArray, check: float) -> study.Row:
    """``check``: what certifies the method: the residual, the duality gap, the value of the joint loss."""
    s = problem.y - problem.J @ theta
    s_star = problem.s_star
    return {
        "panel": panel,
        "x": x,
        "method": method,
        "check": check,
        "theta_error": np.linalg.norm(theta - problem.theta_star) / np.linalg.norm(problem.theta_star),
        "absorbed": 1 - s @ s_star / (s_star @ s_star),
    }


def _least_absolute(problem: LinearProblem) -> FloatArray:
    """Return the minimiser of |y - F b|_1: a linear program in (b, positive part, negative part)."""
    n, r = problem.F.shape
    result = linprog(
        np.r_[np.zeros(r), np.ones(2 * n)],
        A_eq=np.hstack([problem.F, np.eye(n), -np.eye(n)]),
        b_eq=problem.y,
        bounds=[(None, None)] * r + [(0, None)] * (2 * n),
        method="highs",
    )
    return np.asarray(result.x[:r])


def _joint_path(problem: LinearProblem, lams: FloatArray) -> tuple[list[FloatArray], list[float]]:
    """Minimise 1/2 |F b + s - y|^2 + lam |s|_1 over (b, s), literally.

    Also return the minimum over that at b = s = 0.
    """
    b, s = cp.Variable(problem.rank), cp.Variable(problem.n_samples)
    lam = cp.Parameter(nonneg=True)
    program = cp.Problem(cp.Minimize(cp.sum_squares(problem.F @ b + s - problem.y) / 2 + lam * cp.norm1(s)))
    found, values = [], []
    for weight in lams:
        lam.value = weight
        program.solve(solver="CLARABEL")
        found.append(np.asarray(b.value))
        values.append(_huber(problem.y - problem.F @ b.value, weight) / _huber(problem.y, weight))
    return found, values


def _huber(residual: FloatArray, lam: float) -> float:
    size = np.abs(residual)
    return float(np.where(size <= lam, size**2 / 2, lam * (size - lam / 2)).sum())


def _joint_flow(problem: LinearProblem, times: FloatArray) -> FloatArray:
    """Gradient flow of the joint loss in theta from 0, s at its minimiser throughout.

    Db/dt = F^T clip(y - F b, lam).
    """
    F, y = problem.F, problem.y

    def slope(_: float, b: FloatArray) -> FloatArray:
        return F.T @ np.clip(y - F @ b, -WEIGHT, WEIGHT)

    def jacobian(_: float, b: FloatArray) -> FloatArray:
        return -(F * (np.abs(y - F @ b) < WEIGHT)[:, None]).T @ F

    found = solve_ivp(
        slope,
        (0.0, times[-1]),
        np.zeros(problem.rank),
        method="LSODA",
        t_eval=times,
        jac=jacobian,
        rtol=1e-6,
        atol=1e-9,
    )
    return np.stack([problem.factor.lift(b) for b in found.y.T])


def _squares_flow(problem: LinearProblem, times: FloatArray) -> FloatArray:
    U, sigma, Wt = np.linalg.svd(problem.F, full_matrices=False)
    learned = -np.expm1(-np.outer(times, sigma**2)) / sigma
    return np.stack([problem.factor.lift(Wt.T @ (row * (U.T @ problem.y))) for row in learned])


def draw(table: pd.DataFrame) -> Figure:
    """Error against lam at the end of training, and along training at one lam, for the three kinds of J."""
    figure = Figure(figsize=(13, 8.2))
    axes = figure.subplots(2, 3, sharey=True)
    for column, (kind, title) in enumerate(KINDS.items()):
        for row, panel in enumerate(("weight", "time")):
            _draw_panel(axes[row, column], table[(table.kind == kind) & (table.panel == panel)])
        axes[0, column].set(title=title, xlabel=r"$\lambda$")
        axes[1, column].set(xlabel=rf"training time (gradient flow), $\lambda$ = {WEIGHT:g}")
    for axis in axes[:, 0]:
        axis.set(ylabel=r"$\|\theta - \theta_\star\|_2 / \|\theta_\star\|_2$", ylim=(FLOOR / 3, 10))
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3)
    last = table[(table.panel == "time")].groupby(["kind", "method", "trial"]).theta_error.agg(["last", "min"])
    tail = last.groupby(["kind", "method"]).median().loc["tail"]
    trials = int(table.trial.nunique())
    plotting.caption(
        figure,
        "Where the model can memorise (middle) an explicit penalty on s ends where least squares does (error"
        f" {tail['last']['joint']:.2g}) unless stopped in time; the implicit one stays at"
        f" {tail['last']['implicit']:.2g}. Median of {trials} trials, band: 10 % to 90 %; 1e-8 stands for less.",
    )
    return figure


def _draw_panel(axis: Axes, rows: pd.DataFrame) -> None:
    for method, (label, color, dash) in METHODS.items():
        errors = rows[rows.method == method].groupby("x").theta_error
        if errors.ngroups == 0:
            continue
        low, middle, high = (errors.quantile(q).clip(FLOOR) for q in (0.1, 0.5, 0.9))
        axis.fill_between(middle.index, low, high, color=color, alpha=0.12, lw=0)
        axis.plot(
            middle.index,
            middle,
            color=color,
            ls=dash,
            label=label,
            lw=2.6 if method == "program" else 1.8,
            zorder=3 if method in ("implicit", "program") else 2,
        )
    axis.set(xscale="log", yscale="log", xlim=(rows.x.min(), rows.x.max()))
    rest = rows[rows.method.isin(["joint", "l1", "squares"])].groupby(["x", "method"]).theta_error.median().unstack()
    if rest.shape[1] == 3 and (rest.max(axis=1) < 1.02 * rest.min(axis=1)).all():  # three lines that look like one
        level = float(rest.iloc[0].mean())
        axis.text(2 * rows.x.min(), level / 1.6, "explicit forms and least squares: one line", fontsize=8.5, va="top")


def warm() -> object:
    """Compile the solvers before the workers need them."""
    problem = LinearProblem(np.eye(3)[:, :2], np.ones(3))
    return solve_path(problem, [1.0, 0.1]), gradient_flow(problem, alpha=1.0, gamma=0.1, times=[1.0])


STUDIES = (study.Study("why_not_explicit", cell, GRIDS, draw, warm=warm),)

if __name__ == "__main__":
    sys.exit(study.main("theory.why_not_explicit"))
