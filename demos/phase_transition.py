"""How many wrong observations can be found? Pick a rank and a number of corruptions, and see one instance solved.

make notebooks
marimo run demos/phase_transition.py
"""

import marimo

app = marimo.App(width="medium", app_title="Phase transition")

with app.setup:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure

    from demos import classroom
    from sparseop import plotting
    from sparseop.errors import between
    from sparseop.linear import (
        gaussian_problem,
        incoherence_condition,
        recovery_interval,
        solve_convex,
        solve_path,
        transition_sparsity,
    )
    from sparseop.provenance import ROOT

    # the committed diagram; a copy of this notebook without the project's figures goes without
    _committed = ROOT / "figures" / "data" / "fig4.csv"
    diagram = pd.read_csv(_committed) if _committed.exists() else None

    N, P = 100, 150


@app.cell
def _():
    classroom.opening(
        "How many wrong observations can be found?",
        r"""100 observations of 150 parameters; $J$ has rank $r$, and $k$ observations are corrupted. The convex program (26) either returns the truth
        exactly or it does not, and between the two lies a sharp line. The picture on the left is Figure 4 of the paper; the cross is where you are, and the
        other two panels show one instance from there.""",
        [
            "Walk up from $k = 0$ at rank 20: nothing happens until the red line, and then everything breaks at once.",
            "Stay on the red line and change the seed: some instances are recovered, others are not. The line foretells half of each for large $N$.",
            r"Lower $\lambda$ below the instance's own threshold $\lambda_0$ (middle, dotted): exactness is lost at once, not gradually.",
            "Look for the region where the paper's condition (28) guarantees success. It is the cyan sliver at the bottom left.",
        ],
    )


@app.cell
def _():
    controls = classroom.controls(
        rank=classroom.slider(1, 99, 1, 20, "rank $r$"),
        corrupted=classroom.slider(0, 100, 1, 20, "corrupted $k$"),
        log10_lam=classroom.slider(-4, 1, 0.1, -1, r"$\log_{10}\lambda$"),
        instance={"seed": 0},
    )
    controls
    return (controls,)


@app.function
def solve(rank, corrupted, log10_lam, seed=0):
    """One instance: its solution and certificate at lam, its exact threshold, its errors along lam."""
    r = classroom.whole("rank", rank, 1, N, why="the number of observations")
    k = classroom.whole("corrupted", corrupted, 0, N, why="the number of observations")
    lam = 10.0 ** between("log10 lambda", log10_lam, -6, 3, ends="[]")
    problem = gaussian_problem(N, P, r, k, seed=classroom.whole("seed", seed, 0))
    lams = np.geomspace(1e-4, 10, 41)
    scale = np.linalg.norm(problem.theta_star)
    errors = [np.linalg.norm(solution.theta - problem.theta_star) / scale for solution in solve_path(problem, lams)]
    convex = solve_convex(problem, lam)
    return {
        "problem": problem,
        "rank": r,
        "corrupted": k,
        "lam": lam,
        "convex": convex,
        "error": float(np.linalg.norm(convex.theta - problem.theta_star) / scale),
        "interval": recovery_interval(problem),
        "lams": lams,
        "errors": np.array(errors),
        "condition": incoherence_condition(problem, k),
        "predicted": float(transition_sparsity(N, r)) if r < N else 0.0,
    }


@app.function
def draw(found):
    """The phase diagram with the chosen point, the error along lambda, and s against the truth."""
    figure = Figure(figsize=(12, 4.2))
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.1, 1, 1])
    if diagram is not None:
        table = diagram.pivot(index="k", columns="r", values="success_theta")
        left.pcolormesh(
            table.columns,
            table.index,
            table,
            cmap=plotting.RATE_MAP,
            vmin=0,
            vmax=1,
            shading="nearest",
            rasterized=True,
        )
        held = diagram.pivot(index="k", columns="r", values="covered")
        corrupted = held.index > 0
        left.fill_between(
            held.columns,
            0,
            ((held[corrupted] >= 0.5).mul(held.index[corrupted], axis=0)).max(),
            step="mid",
            color=plotting.CYAN,
            lw=0,
        )
    left.plot(np.arange(1, N), [transition_sparsity(N, r) for r in range(1, N)], color=plotting.RED, lw=2)
    left.plot([found["rank"]], [found["corrupted"]], "X", color=plotting.YELLOW, ms=13, mec="black", clip_on=False)
    left.set(
        xlabel="rank $r$",
        ylabel="corrupted $k$",
        xlim=(1, 100),
        ylim=(0, 100),
        title="share of recovered instances (white: all)",
    )
    left.grid(visible=False)

    floor = 1e-12
    middle.loglog(found["lams"], np.maximum(found["errors"], floor), color=plotting.BLUE)
    middle.plot([found["lam"]], [max(found["error"], floor)], "X", color=plotting.YELLOW, ms=11, mec="black")
    if np.isfinite(found["interval"].lower):
        middle.axvline(found["interval"].lower, color="black", ls=":", lw=1.4, label=r"exact threshold $\lambda_0$")
        middle.legend(loc="upper right")
    middle.set(xlabel=r"$\lambda$", title=r"error of $\theta$ in this instance", ylim=(floor / 3, 10))

    s, star = found["convex"].s, found["problem"].s_star
    reach = 1.1 * max(np.abs(s).max(initial=0), np.abs(star).max(initial=0), 1e-3)
    right.plot([-reach, reach], [-reach, reach], color="black", lw=0.8)
    wrong = star != 0
    right.plot(star[wrong], s[wrong], "o", color=plotting.RED, label="corrupted")
    right.plot(star[~wrong], s[~wrong], "s", color=plotting.BLUE, ms=4, alpha=0.6, label="correct")
    right.set(
        xlabel=r"true $s_\star$",
        ylabel="found $s$",
        title="on the line: found exactly",
        xlim=(-reach, reach),
        ylim=(-reach, reach),
    )
    right.legend(loc="upper left")
    return figure


@app.function
def tell(found):
    """The verdict, the exact threshold, and what the theory says."""
    interval, condition = found["interval"], found["condition"]
    if not np.isfinite(interval.lower):
        threshold = r"no $\lambda$ recovers this instance"
    else:
        upper = "" if np.isinf(interval.upper) else rf", up to {interval.upper:.3g}"
        threshold = rf"this instance is recovered from $\lambda_0$ = {interval.lower:.4g} on{upper}"
    verdict = "**recovered**" if found["error"] < 1e-3 else "**not recovered**"
    note = (
        ""
        if diagram is not None
        else " (The diagram is missing: it is drawn from `figures/data/fig4.csv` of a checkout.)"
    )
    return (
        rf"$r$ = {found['rank']}, $k$ = {found['corrupted']}, $\lambda$ = {found['lam']:.3g}: {verdict}, $\theta$ is {found['error']:.1e} off; "
        rf"{threshold}. Half of all instances are predicted to fail from $k$ = {found['predicted']:.1f} on. "
        rf"Certificate: duality gap {classroom.rounded(found['convex'].gap)} ({found['convex'].status}). "
        rf"Condition (28) "
        rf"{'holds' if condition.holds else 'does not hold'}: $k^2r$ = {condition.left:.0f} against $N/4\mu$ = {condition.right:.1f}.{note}"
    )


@app.cell
def _(controls):
    found, trouble = classroom.attempt(solve, controls)
    classroom.show(trouble, draw, tell, found)
    return found, trouble


if __name__ == "__main__":
    app.run()
