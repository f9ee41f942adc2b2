"""Can gradient descent find the wrong observations by itself? Drag and see.

make notebooks
marimo run demos/implicit_l1.py
"""

import marimo

app = marimo.App(width="medium", app_title="Implicit sparse regularisation")

with app.setup:
    import numpy as np
    from matplotlib.figure import Figure

    from demos import classroom
    from sparseop import plotting
    from sparseop.errors import between
    from sparseop.linear import (
        flow_limit,
        gaussian_problem,
        gradient_flow,
        implicit_regularizer,
        matching_lam,
        solve_convex,
    )


@app.cell
def _():
    classroom.opening(
        "Can gradient descent find the wrong observations by itself?",
        r"""20 observations $y = J\theta_\star + s_\star$ of 40 parameters; a few observations are corrupted ($s_\star$). We write
        $s = u\odot u - v\odot v$, start at $\theta = 0$, $u = v = \gamma$ and follow the gradient of the squared error alone. There is no penalty
        anywhere, and yet only the corrupted entries of $s$ grow: the flow ends where the $\ell_1$ program ends.""",
        [
            r"Raise $\alpha$, the learning rate of $u, v$ relative to $\theta$, until the corrupted entries (red) aren't the only ones that grow.",
            (
                r"Lower $\log\gamma$ with $\alpha$ fixed, then raise $\alpha$ until $\lambda$ is what it was: the dots move into the crosses, and "
                r"$h_\gamma$ (right) becomes $|s|$."
            ),
            r"Corrupt 16 of the 20 observations: the flow fails, and so does the $\ell_1$ program. Descent is not at fault; the data are.",
        ],
    )


@app.cell
def _():
    controls = classroom.controls(
        log10_alpha=classroom.slider(0.0, 3.6, 0.05, 1.3, r"$\log_{10}\alpha$"),
        log_gamma=classroom.slider(-24, -2, 1, -8, r"$\log\gamma$"),
        corrupted=classroom.slider(0, 20, 1, 3, "corrupted observations"),
        instance={"observations": 20, "parameters": 40, "rank": 3, "seed": 1},
    )
    controls
    return (controls,)


@app.function
def solve(log10_alpha, log_gamma, corrupted, observations=20, parameters=40, rank=3, seed=1):
    """Everything the picture shows, as numbers."""
    n = classroom.whole("observations", observations, 1, 200)
    p = classroom.whole("parameters", parameters, 1, 2000)
    r = classroom.whole("rank", rank, 0, min(n, p), why="the smaller of observations and parameters")
    k = classroom.whole("corrupted", corrupted, 0, n, why="observations")
    problem = gaussian_problem(n, p, r, k, seed=classroom.whole("seed", seed, 0))
    a, g = (
        10.0 ** between("log10 alpha", log10_alpha, -4, 6, ends="[]"),
        float(np.exp(between("log gamma", log_gamma, -50, 0, ends="[)"))),
    )
    times = np.geomspace(1e-3, 1e4, 90)
    lam = matching_lam(a, g)
    return {
        "problem": problem,
        "alpha": a,
        "gamma": g,
        "lam": lam,
        "times": times,
        "path": gradient_flow(problem, alpha=a, gamma=g, times=times, rtol=1e-6).s,
        "limit": flow_limit(problem, alpha=a, gamma=g),
        "convex": solve_convex(problem, lam),
    }


@app.function
def draw(found):
    """Every entry of s over time; the effective regulariser beside the absolute value."""
    figure = Figure(figsize=(10, 4.2))
    left, right = figure.subplots(1, 2, width_ratios=[1.6, 1])
    wrong, s = found["problem"].s_star != 0, found["limit"].s
    for i in np.argsort(wrong):
        left.semilogx(
            found["times"],
            found["path"][:, i],
            color=plotting.RED if wrong[i] else plotting.GREY,
            lw=2 if wrong[i] else 1,
        )
    end = found["times"][-1]
    left.plot(np.full(len(s), end * 1.8), s, "o", color=plotting.BLUE, ms=5, label="limit of the flow")
    left.plot(np.full(len(s), end * 4), found["convex"].s, "x", color="black", ms=6, label=r"$\ell_1$ program (26)")
    left.plot([], [], color=plotting.RED, label="corrupted observations")
    left.plot([], [], color=plotting.GREY, lw=1, label="correct observations")
    left.set(xlabel="time $t$", ylabel="$s_i(t)$", xticks=10.0 ** np.arange(-3, 5))
    left.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    x = np.linspace(-2, 2, 401)
    right.plot(
        x, implicit_regularizer(x, found["gamma"]), color=plotting.BLUE, label=r"$h_\gamma(s)$, what the flow minimises"
    )
    right.plot(x, np.abs(x), "--", color="black", label=r"$|s|$, what the program minimises")
    right.set(xlabel="$s$", ylim=(-0.05, 2.5))
    right.legend(loc="lower left", bbox_to_anchor=(0, 1))
    return figure


@app.function
def tell(found):
    """What is shown, in numbers."""
    gap = float(np.abs(found["limit"].s - found["convex"].s).max())
    star = found["problem"].theta_star
    error = (
        rf"is off by {100 * np.linalg.norm(found['limit'].theta - star) / np.linalg.norm(star):.2g} %"
        if star.any()
        else "has nothing to find"
    )
    return (
        rf"$\alpha = {found['alpha']:.3g}$ and $\gamma = {found['gamma']:.1e}$ match $\lambda = -\log\gamma/(2\alpha) = {found['lam']:.3g}$. "
        rf"The flow's limit and the $\ell_1$ solution differ by at most {classroom.rounded(gap)}; "
        rf"the limit's $\theta$ {error}. "
        rf"Certificates: residual {classroom.rounded(found['limit'].residual)}, "
        rf"duality gap {classroom.rounded(found['convex'].gap)} ({found['convex'].status})."
    )


@app.cell
def _(controls):
    found, trouble = classroom.attempt(solve, controls)
    classroom.show(trouble, draw, tell, found)
    return found, trouble


if __name__ == "__main__":
    app.run()
