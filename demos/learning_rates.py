"""Why does s need another learning rate than theta? Watch them race.

make notebooks
marimo run demos/learning_rates.py
"""

import marimo

app = marimo.App(width="medium", app_title="Discrepant learning rates")

with app.setup:
    import numpy as np
    from matplotlib.figure import Figure

    from demos import classroom
    from sparseop import plotting
    from sparseop.errors import between
    from sparseop.linear import LinearProblem, flow_limit, gradient_flow

    GAMMA = float(np.exp(-12.0))

    CURVES = {
        "error": (plotting.BLUE, "-", r"error of $\theta$"),
        "found": (plotting.RED, "-", "corruption that $s$ has found"),
        "swallowed": (plotting.YELLOW, "--", "clean signal that $s$ has swallowed"),
    }


@app.cell
def _():
    classroom.opening(
        r"Why does $s$ need another learning rate than $\theta$?",
        r"""A network that is large enough can learn any labels, right or wrong. Here $J$ has 3 strong directions, in which the truth lies, and a weak
        full-rank tail, with which $\theta$ can memorise whatever is left. $\theta$ and $s = u\odot u - v\odot v$ race for the residual; $\alpha$ is the
        learning rate of $u, v$ divided by that of $\theta$.""",
        [
            r"Start in the middle: $\theta$ (blue) learns the signal first, then $s$ (red) takes the corruption before the tail can.",
            r"Move $\alpha$ far to the left, **too small**: $s$ comes too late, and $\theta$ has memorised the wrong labels.",
            r"Move $\alpha$ far to the right, **too large**: $s$ grows before $\theta$ has learned anything and swallows the clean labels (yellow) too.",
            (
                "Set the tail to 0: nothing can be memorised any more, and no $\\alpha$ is too small if you wait long enough. Raise the tail to 0.3: the window "
                "narrows."
            ),
        ],
    )


@app.cell
def _():
    controls = classroom.controls(
        log10_alpha=classroom.slider(-1.0, 4.5, 0.05, 1.6, r"$\log_{10}\alpha$"),
        tail=classroom.slider(0.0, 0.3, 0.01, 0.05, "tail of $J$"),
        corrupted=classroom.slider(1, 20, 1, 4, "corrupted observations"),
        instance={"observations": 30, "parameters": 60, "rank": 3, "seed": 0},
    )
    controls
    return (controls,)


@app.function
def instance(tail, corrupted, observations, parameters, rank, seed):
    """Strong directions, in which theta_star lies, a weak full-rank tail, and a few corrupted observations of size 1."""
    n = classroom.whole("observations", observations, 2, 200)
    p = classroom.whole("parameters", parameters, 1, 2000)
    r = classroom.whole("rank", rank, 1, min(n, p), why="the smaller of observations and parameters")
    k = classroom.whole("corrupted", corrupted, 1, n - 1, why="observations - 1")
    rng = np.random.default_rng(classroom.whole("seed", seed, 0))
    J = rng.standard_normal((n, r)) @ rng.standard_normal((r, p)) + between(
        "tail", tail, 0, 1, ends="[]"
    ) * rng.standard_normal((n, p))
    theta_star = np.linalg.svd(J, full_matrices=False)[2][:r].T @ rng.standard_normal(r)
    s_star = np.zeros(n)
    s_star[rng.permutation(n)[:k]] = rng.choice([-1.0, 1.0], k) * (3 + rng.standard_normal(k))
    return LinearProblem(J, J @ theta_star + s_star, theta_star, s_star)


@app.function
def shares(problem, theta, s):
    """What theta has learned, what s has found, what s has swallowed; each a share, theta (..., p), s (..., N)."""
    star, wrong = problem.s_star, problem.s_star != 0
    signal = problem.J @ problem.theta_star
    error = np.linalg.norm(theta - problem.theta_star, axis=-1) / np.linalg.norm(problem.theta_star)
    found = (s[..., wrong] * np.sign(star[wrong])).sum(-1) / np.abs(star).sum()
    swallowed = np.abs(s[..., ~wrong]).sum(-1) / np.abs(signal[~wrong]).sum()
    return {"error": error, "found": np.clip(found, 0, 1), "swallowed": swallowed}


@app.function
def solve(log10_alpha, tail, corrupted, observations=30, parameters=60, rank=3, seed=0):
    """The race at this alpha, and where it ends at every alpha."""
    problem = instance(tail, corrupted, observations, parameters, rank, seed)
    a = 10.0 ** between("log10 alpha", log10_alpha, -4, 6, ends="[]")
    times = np.geomspace(1e-5, 1e3, 60)
    flow = gradient_flow(problem, alpha=a, gamma=GAMMA, times=times, rtol=1e-4)
    limit = flow_limit(problem, alpha=a, gamma=GAMMA)
    alphas = np.geomspace(0.1, 10**4.5, 40)
    ends = [flow_limit(problem, alpha=float(x), gamma=GAMMA) for x in alphas]
    return {
        "problem": problem,
        "alpha": a,
        "times": times,
        "limit": limit,
        "race": shares(problem, flow.theta, flow.s),
        "end": {name: float(value) for name, value in shares(problem, limit.theta, limit.s).items()},
        "alphas": alphas,
        "ends": shares(problem, np.array([e.theta for e in ends]), np.array([e.s for e in ends])),
    }


@app.function
def draw(found):
    """The race of theta and s over time, and its end for every learning-rate ratio."""
    figure = Figure(figsize=(10, 4.2))
    left, right = figure.subplots(1, 2, sharey=True)
    for name, (color, dash, label) in CURVES.items():
        left.semilogx(found["times"], found["race"][name], dash, color=color, lw=2.2, label=label)
        right.semilogx(found["alphas"], found["ends"][name], dash, color=color, lw=2.2)
        right.plot([found["alpha"]], [found["end"][name]], "o", color=color, ms=8, mec="white")
    right.axvline(found["alpha"], color="black", lw=1, ls=":")
    left.set(
        xlabel="time $t$", title=rf"the race at $\alpha$ = {found['alpha']:.3g}", ylim=(-0.05, 1.6), ylabel="share"
    )
    right.set(xlabel=r"$\alpha$", title=r"where it ends:   $\leftarrow$ memorised   |   nothing learned $\rightarrow$")
    right.yaxis.set_tick_params(labelleft=True)
    left.legend(loc="upper center")
    return figure


@app.function
def tell(found):
    """Name what went wrong, if anything did."""
    end, best = found["end"], found["alphas"][int(np.argmin(found["ends"]["error"]))]
    where = f"The smallest error over all $\\alpha$ is at about {best:.2g}."
    if end["error"] < 0.1:
        verdict = rf"**Right.** $\theta$ ends {100 * end['error']:.2g} % off the truth, and $s$ holds {100 * end['found']:.0f} % of the corruption."
    elif end["swallowed"] > 0.2:
        verdict = (
            rf"**$\alpha$ is too large.** $s$ has swallowed {100 * end['swallowed']:.0f} % of the clean signal before $\theta$ could learn it; "
            rf"$\theta$ is {100 * end['error']:.0f} % off. {where}"
        )
    else:
        verdict = (
            rf"**$\alpha$ is too small.** {100 * (1 - end['found']):.0f} % of the corruption has gone into $\theta$, which is "
            rf"{100 * end['error']:.0f} % off: it has memorised. {where}"
        )
    return rf"{verdict} ($\gamma$ = {GAMMA:.1e}; residual of the limit {found['limit'].residual:.0e})"


@app.cell
def _(controls):
    found, trouble = classroom.attempt(solve, controls)
    classroom.show(trouble, draw, tell, found)
    return found, trouble


if __name__ == "__main__":
    app.run()
