"""Four questions that the paper leaves open: an answer to each, and a certified run beside it (docs/theory.md).

    python -m theory.open_questions            a few minutes on two cores
    python -m theory.open_questions --quick    two instances

- tail: J approximately of low rank (footnote 2). A tail of size tau is noise of size tau: the error grows like lam
tau^2.
- steps: stochastic gradient descent and momentum end at the same limit as gradient descent as the step shrinks; what
is left is a
  smaller gamma for each row, read off the run, and the limit for these sizes predicts the end of the run.
- sizes: different initial sizes gamma_i = gamma^(w_i) are weights w_i of the penalty.
- depth: s = u^q - v^q has the l1 penalty too, up to a power of gamma instead of 1/log(1/gamma).
"""

import sys

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numba import njit

from sparseop import plotting, study
from sparseop.linear import LinearProblem, flow_limit, gaussian_problem, solve_convex, solve_groups
from sparseop.linear.variants import deep_flow_limit, sized_flow_limit

N, P, RANK, SPARSITY = 20, 40, 3, 3
TAILS = tuple(float(x) for x in np.round(np.logspace(-3, 0, 10), 6))
TAIL_LAMS = (0.1, 1.0, 10.0)
STEPS = (2e-4, 1e-4, 5e-5, 2.5e-5)
RULES = {"descent": "gradient descent", "stochastic": "one row at a time", "momentum": "momentum 0.9"}
HORIZON, SCALE, LAM = 60.0, 6.0, 0.01
SCALES = (4, 8, 16, 32)
GAMMAS = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
LAMS = {"recovered": 0.3, "not recovered": 0.005}
SEEDS = {"paper": 8, "quick": 2}


@njit(cache=True)
def _run(F, y, alpha, step, gamma, epochs, stochastic, beta, order):
    """Return b and the log-sizes L_i = -1/2 log(u_i v_i) at the end of a run of one of the rules."""
    n, r = F.shape
    b, u, v = np.zeros(r), np.full(n, gamma), np.full(n, gamma)
    mb, mu, mv = np.zeros(r), np.zeros(n), np.zeros(n)
    residual = np.zeros(n)
    for epoch in range(epochs):
        if stochastic:
            for place in range(n):
                i = order[epoch % len(order), place]
                rest = y[i] - u[i] * u[i] + v[i] * v[i]
                for j in range(r):
                    rest -= F[i, j] * b[j]
                for j in range(r):
                    b[j] += step * F[i, j] * rest
                u[i] *= 1 + 2 * alpha * step * rest
                v[i] *= 1 - 2 * alpha * step * rest
        else:
            for i in range(n):
                residual[i] = y[i] - u[i] * u[i] + v[i] * v[i]
                for j in range(r):
                    residual[i] -= F[i, j] * b[j]
            for j in range(r):
                pull = 0.0
                for i in range(n):
                    pull += F[i, j] * residual[i]
                mb[j] = beta * mb[j] + pull
                b[j] += step * (1 - beta) * mb[j]
            for i in range(n):
                mu[i] = beta * mu[i] + 2 * alpha * u[i] * residual[i]
                mv[i] = beta * mv[i] - 2 * alpha * v[i] * residual[i]
                u[i] += step * (1 - beta) * mu[i]
                v[i] += step * (1 - beta) * mv[i]
    return b, -0.5 * (np.log(np.abs(u)) + np.log(np.abs(v)))


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def cell(question: str, seed: int) -> list[study.Row]:
    """Return the rows of one question on one instance."""
    problem = gaussian_problem(N, P, RANK, SPARSITY, seed=study.generator("open questions", seed))
    rng = study.generator("open questions", question, seed)
    return {"tail": _tail, "steps": _steps, "sizes": _sizes, "depth": _depth}[question](problem, rng)


def _row(kind: str, x: float, error: float, other: float = float("nan"), status: str = "") -> study.Row:
    return {"kind": kind, "x": x, "error": error, "other": other, "status": status}


def _tail(problem: LinearProblem, rng: np.random.Generator) -> list[study.Row]:
    beyond = np.linalg.svd(problem.J)[2][RANK:]  # a basis of what the low-rank part does not see
    T = np.linalg.qr(rng.standard_normal((P - RANK, N)))[0].T @ beyond  # all singular values of the tail are tau
    rows = []
    for tau in TAILS:
        for lam in TAIL_LAMS:
            found = solve_convex(
                LinearProblem(problem.J + tau * T, problem.J @ problem.theta_star + problem.s_star), lam
            )
            part = problem.factor.lift(problem.factor.coordinates(found.theta))
            rows.append(_row(f"{lam:g}", tau, _apart(part, problem.theta_star), found.gap, str(found.status)))
    return rows


def _steps(problem: LinearProblem, rng: np.random.Generator) -> list[study.Row]:
    alpha, gamma = SCALE / (2 * LAM), float(np.exp(-SCALE))
    order = np.array([rng.permutation(N) for _ in range(997)])
    limit = flow_limit(problem, alpha=alpha, gamma=gamma)
    rows = []
    for step in STEPS:
        for kind in RULES:
            b, sizes = _run(
                problem.F,
                problem.y,
                alpha,
                step,
                gamma,
                round(HORIZON / step),
                kind == "stochastic",
                0.9 if kind == "momentum" else 0.0,
                order,
            )
            theta = problem.factor.lift(b)
            if not np.isfinite(theta).all():
                rows.append(_row(kind, step, float("nan"), status="diverged"))
                continue
            predicted = sized_flow_limit(problem, sizes, alpha=alpha)
            rows.append(
                _row(kind, step, _apart(theta, limit.theta), _apart(theta, predicted.theta), str(predicted.status))
            )
    return rows


def _sizes(problem: LinearProblem, rng: np.random.Generator) -> list[study.Row]:
    weights = rng.uniform(0.5, 2.0, N)
    rows = []
    for kind, lam in LAMS.items():
        program = solve_groups(problem.J, problem.y, lam, weights=weights).Theta[:, 0]
        plain = solve_convex(problem, lam).theta
        for scale in SCALES:
            limit = sized_flow_limit(problem, scale * weights, alpha=scale / (2 * lam))
            rows.append(_row(kind, scale, _apart(limit.theta, program), _apart(limit.theta, plain), str(limit.status)))
    return rows


def _depth(problem: LinearProblem, _: np.random.Generator) -> list[study.Row]:
    lam = LAMS["not recovered"]
    program = solve_convex(problem, lam).theta
    rows = []
    for gamma in GAMMAS:
        two = flow_limit(problem, alpha=-np.log(gamma) / (2 * lam), gamma=gamma)
        rows.append(_row("2", gamma, _apart(two.theta, program), status=str(two.status)))
        for depth in (3, 4, 6):
            limit = deep_flow_limit(problem, depth, lam=lam, gamma=gamma)
            rows.append(_row(str(depth), gamma, _apart(limit.theta, program), status=str(limit.status)))
    return rows


def draw(table: pd.DataFrame) -> Figure:
    """Draw a panel for each question."""
    figure = Figure(figsize=(13, 9))
    tail, steps, sizes, depth = figure.subplots(2, 2).ravel()
    for index, (kind, part) in enumerate(table[table.question == "tail"].groupby("kind")):
        lam, color = float(kind), plotting.COLORS[index]
        median = part.groupby("x").error.median()
        tail.plot(median.index, median, color=color, marker=plotting.MARKERS[index], label=rf"$\lambda$ = {lam:g}")
        tail.plot(median.index, lam * median.index.to_numpy() ** 2, color=color, ls=":", lw=1)
    tail.set(
        xlabel=r"size $\tau$ of the tail's singular values", title=r"J of low rank plus a tail; dotted: $\lambda\tau^2$"
    )
    for index, (kind, label) in enumerate(RULES.items()):
        part = table[(table.question == "steps") & (table.kind == kind)].groupby("x")
        color, marker = plotting.COLORS[index], plotting.MARKERS[index]
        steps.plot(part.error.median().index, part.error.median(), color=color, marker=marker, label=label)
        if kind != "momentum":
            steps.plot(part.other.median().index, part.other.median(), color=color, marker=marker, ls=":", mfc="none")
    steps.set(xlabel="step size", title="distance to the flow's limit; dotted: to the limit for the sizes left")
    for index, kind in enumerate(LAMS):
        part = table[(table.question == "sizes") & (table.kind == kind)].groupby("x")
        color, marker = plotting.COLORS[index], plotting.MARKERS[index]
        sizes.plot(part.error.median().index, part.error.median().clip(1e-15), color=color, marker=marker, label=kind)
        sizes.plot(
            part.other.median().index, part.other.median().clip(1e-15), color=color, ls=":", marker=marker, mfc="none"
        )
    sizes.set(
        xlabel=r"$L$, sizes $\gamma_i = e^{-w_i L}$", title="distance to the weighted program; dotted: to the plain one"
    )
    for index, (kind, part) in enumerate(table[table.question == "depth"].groupby("kind")):
        median = part.groupby("x").error.median()
        depth.plot(
            median.index, median, color=plotting.COLORS[index], marker=plotting.MARKERS[index], label=f"depth {kind}"
        )
    depth.set(xlabel=r"$\gamma$", title="distance to the program where it does not recover, by depth")
    for axis in (tail, steps, sizes, depth):
        axis.set(yscale="log", ylabel=r"relative difference of $\theta$")
        axis.legend(fontsize=9)
    for axis in (tail, steps, depth):
        axis.set(xscale="log")
    shallow = table[(table.question == "depth") & (table.x == min(GAMMAS))].groupby("kind").error.median()
    plotting.caption(
        figure,
        f"(N, p, r, k) = ({N}, {P}, {RANK}, {SPARSITY}), medians of {table.seed.nunique()} instances. Certified "
        f"programs and exact limits; descents run for time {HORIZON:g}.\nAt γ = {min(GAMMAS):g}: depth two is "
        f"{shallow['2']:.2g} from the program,"
        f" depth three {shallow['3']:.2g}, depth six {shallow['6']:.2g}.",
    )
    return figure


def warm() -> object:
    """Compile what the workers need."""
    problem = gaussian_problem(6, 8, 2, 1, seed=0)
    flow_limit(problem, alpha=1.0, gamma=0.1)
    solve_convex(problem, 1.0)
    return _run(problem.F, problem.y, 1.0, 1e-3, 0.1, 2, True, 0.0, np.zeros((1, 6), np.int64))


GRIDS = {
    mode: [
        {"question": question, "seed": seed}
        for question in ("tail", "steps", "sizes", "depth")
        for seed in range(count)
    ]
    for mode, count in SEEDS.items()
}
STUDIES = (study.Study("open_questions", cell, GRIDS, draw, warm=warm),)

if __name__ == "__main__":
    sys.exit(study.main("theory.open_questions"))
