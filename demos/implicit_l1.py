"""Why does gradient descent on s = u*u - v*v find the wrong observations? Drag and see.

    make demo
"""

import marimo

app = marimo.App(width="medium", app_title="Implicit sparse regularisation")


@app.cell
def _():
    import marimo as mo
    import numpy as np
    from matplotlib.figure import Figure

    from sparseop import plotting
    from sparseop.linear import (
        flow_limit,
        gaussian_problem,
        gradient_flow,
        implicit_regularizer,
        matching_lam,
        solve_convex,
    )

    return (Figure, flow_limit, gaussian_problem, gradient_flow, implicit_regularizer, matching_lam, mo, np, plotting,
            solve_convex)


@app.cell
def _(mo):
    mo.md(
        r"""
        # Can gradient descent find the wrong labels by itself?

        20 observations $y = J\theta_\star + s_\star$, 40 parameters, a few observations corrupted. We write $s = u\odot u - v\odot v$,
        start at $\theta = 0$, $u = v = \gamma$, and follow the gradient of the squared error alone: no penalty anywhere.

        **Try this.** (1) Raise $\alpha$ until the corrupted entries (red) are no longer the only ones that grow. (2) Lower $\log\gamma$:
        the limit approaches the $\ell_1$ solution (crosses). (3) Corrupt half of the observations: it fails, and so does the $\ell_1$ program.
        """
    )


@app.cell
def _(mo):
    alpha = mo.ui.slider(0.0, 3.6, 0.05, value=1.3, label=r"$\log_{10}\alpha$", show_value=True)
    gamma = mo.ui.slider(-24, -2, 1, value=-8, label=r"$\log\gamma$", show_value=True)
    corrupted = mo.ui.slider(0, 16, 1, value=3, label="corrupted observations", show_value=True)
    mo.hstack([alpha, gamma, corrupted], justify="start", gap=2)
    return alpha, corrupted, gamma


@app.cell
def _(flow_limit, gaussian_problem, gradient_flow, matching_lam, np, solve_convex):
    def solve(log10_alpha, log_gamma, k, seed=1):
        """Everything the picture shows, as numbers."""
        problem = gaussian_problem(20, 40, 3, k, seed=seed)
        a, g = 10.0**log10_alpha, float(np.exp(log_gamma))
        times = np.geomspace(1e-3, 1e4, 120)
        return {
            "problem": problem, "alpha": a, "gamma": g, "lam": matching_lam(a, g), "times": times,
            "path": gradient_flow(problem, alpha=a, gamma=g, times=times).s,
            "limit": flow_limit(problem, alpha=a, gamma=g),
            "convex": solve_convex(problem, matching_lam(a, g)),
        }

    return (solve,)


@app.cell
def _(Figure, implicit_regularizer, np, plotting):
    def draw(found):
        """Left: every s_i over time, its limit and the convex solution. Right: what the flow minimises instead of |s|."""
        with plotting.style():
            figure = Figure(figsize=(10, 4.2))
            left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
            wrong = found["problem"].s_star != 0
            for i in np.argsort(wrong):
                color = plotting.RED if wrong[i] else plotting.GREY
                left.semilogx(found["times"], found["path"][:, i], color=color, lw=2 if wrong[i] else 1)
            end = found["times"][-1]
            left.plot(np.full(20, end * 1.6), found["limit"].s, "o", color=plotting.BLUE, ms=5, label="limit of the flow")
            left.plot(np.full(20, end * 3.5), found["convex"].s, "x", color="black", ms=6, label=r"$\ell_1$ program (26)")
            left.plot([], [], color=plotting.RED, label="corrupted observations")
            left.set(xlabel="time $t$", ylabel="$s_i(t)$")
            left.legend(loc="upper left")
            s = np.linspace(-2, 2, 401)
            right.plot(s, implicit_regularizer(s, found["gamma"]), color=plotting.BLUE, label=r"$h_\gamma(s)$")
            right.plot(s, np.abs(s), "--", color="black", label=r"$|s|$")
            right.set(xlabel="$s$", title="what the flow minimises")
            right.legend()
        return figure

    return (draw,)


@app.cell
def _(alpha, corrupted, draw, gamma, mo, np, solve):
    found = solve(alpha.value, gamma.value, corrupted.value)
    _gap = float(np.abs(found["limit"].s - found["convex"].s).max())
    _error = float(np.linalg.norm(found["limit"].theta - found["problem"].theta_star) / np.linalg.norm(found["problem"].theta_star))
    mo.vstack([
        draw(found),
        mo.md(rf"$\alpha = {found['alpha']:.3g}$ matches $\lambda = -\log\gamma/(2\alpha) = {found['lam']:.3g}$. "
              rf"Limit and $\ell_1$ solution differ by {_gap:.1e}; $\theta$ is off by {100 * _error:.2g} %."),
    ])
    return (found,)


if __name__ == "__main__":
    app.run()
