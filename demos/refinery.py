"""Can a network correct the labels it learns from? Plain descent against the label refinery.

make notebooks
marimo run demos/refinery.py
"""

import marimo

app = marimo.App(width="medium", app_title="The label refinery")

with app.setup:
    import marimo as mo
    import numpy as np
    from matplotlib.figure import Figure

    from demos import classroom
    from sparseop import plotting
    from sparseop.refinery.data import corrupted_dataset
    from sparseop.refinery.descent import largest_step, log_steps, refine
    from sparseop.refinery.network import OneHiddenLayer


@app.cell
def _():
    classroom.opening(
        "Can a network correct the labels it learns from?",
        r"""10 points, 30 random crops of each within $\varepsilon$ of it, a share $\rho$ of the labels wrong. A one-hidden-layer network learns by gradient
        descent (dashed), or from the refinery's labels $\bar y_t = (1-\alpha) y + \alpha f(W_t, \tilde x)$: a mixture of the given label and its own
        opinion of another crop of the same point (solid).""",
        [
            "Compare the two runs: descent is right for a while, then fits every wrong label. The refinery never does, and nobody has to stop it.",
            r"Choose $\tilde x = x$, as the paper's proofs do: the solid curve becomes the dashed one, walked more slowly. What helps is the *other* crop.",
            r"Lower $\alpha$ below $1/(2-2\rho)$ (written into the right panel): the refined labels of wrongly labelled crops stay wrong.",
            r"Raise $\varepsilon$ until the points' crops overlap with what a wide network can tell apart: descent gets worse at its best, the refinery hardly.",
        ],
    )


@app.cell
def _():
    controls = classroom.controls(
        rho=classroom.slider(0.0, 0.48, 0.02, 0.3, r"share of wrong labels $\rho$"),
        eps=classroom.slider(0.0, 0.6, 0.05, 0.3, r"radius of the crops $\varepsilon$"),
        alpha=classroom.slider(0.0, 0.98, 0.02, 0.9, r"weight of the own opinion $\alpha$"),
        positive=mo.ui.dropdown(
            {
                "another crop, redrawn each step": "cluster",
                "a fixed partner": "partner",
                "a fresh crop": "fresh",
                "the same crop: x̃ = x": "self",
            },
            value="another crop, redrawn each step",
            label=r"$\tilde x$ is",
        ),
        instance={"steps": 1000, "width": 100, "seed": 0},
    )
    controls
    return (controls,)


@app.function
def solve(rho, eps, alpha, positive, steps=1000, width=100, seed=0):
    """Both runs from the same data and the same weights."""
    steps = classroom.whole("steps", steps, 1, 20000)
    width = classroom.whole("width", width, 2, 2000)
    seed = classroom.whole("seed", seed, 0)
    rng = np.random.default_rng(seed)
    data = corrupted_dataset(10, 20, 30, rho=rho, eps=eps, seed=rng)
    network = OneHiddenLayer.gaussian(width, 20, seed=rng)
    eta, record = largest_step(data, network), log_steps(steps, 30)
    common = {"steps": steps, "record": record, "precision": "single", "seed": seed, "test_crops": 30}
    # on S+ the refinery steps as eta (1 - alpha): with another crop its step may be longer, so that both runs cover the same way
    longer = 1 / (1 - alpha) if positive != "self" and 0 <= alpha < 1 else 1.0
    return {
        "rho": rho,
        "alpha": alpha,
        "descent": refine(data, network, eta=eta, **common),
        "refinery": refine(data, network, eta=eta * longer, alpha=alpha, positive_from=positive, **common),
    }


@app.function
def draw(found):
    """Test accuracy, memorised labels and right refined labels of gradient descent and of the refinery."""
    figure = Figure(figsize=(12, 4))
    axes = figure.subplots(1, 3, sharey=True)
    panels = (
        ("test_accuracy", "test accuracy on fresh crops"),
        ("noise_fitted", "share of wrong labels fitted"),
        ("label_recovery", r"refined labels $\bar y_t$ that are right"),
    )
    for axis, (name, title) in zip(axes, panels, strict=True):
        for run, color, dash, label in (
            ("descent", plotting.RED, "--", "gradient descent"),
            ("refinery", plotting.BLUE, "-", "refinery"),
        ):
            axis.plot(found[run].step, getattr(found[run], name), dash, color=color, lw=2.2, label=label)
        axis.set(xscale="symlog", xlabel="step $t$", title=title, ylim=(-0.03, 1.05))
        axis.yaxis.set_tick_params(labelleft=True)
    axes[0].legend(loc="lower left")
    axes[2].text(
        0.04,
        0.06,
        rf"$\alpha$ = {found['alpha']:.2f}; needed: $1/(2-2\rho)$ = {1 / (2 - 2 * found['rho']):.2f}",
        transform=axes[2].transAxes,
        fontsize=9.5,
    )
    return figure


@app.function
def tell(found):
    """Where both runs end."""
    plain, refined = found["descent"], found["refinery"]
    fitted = {
        name: f" and has fitted {100 * found[name].noise_fitted[-1]:.0f} % of the wrong labels"
        if np.isfinite(found[name].noise_fitted[-1])
        else ""
        for name in ("descent", "refinery")
    }
    return (
        f"After {plain.step[-1]} steps gradient descent is right on {100 * plain.test_accuracy[-1]:.1f} % of fresh crops "
        f"({100 * plain.test_accuracy.max():.1f} % at its best){fitted['descent']}; the refinery is right on {100 * refined.test_accuracy[-1]:.1f} %"
        f"{fitted['refinery']}. {100 * refined.label_recovery[-1]:.1f} % of its refined labels are right."
    )


@app.cell
def _(controls):
    found, trouble = classroom.attempt(solve, controls)
    classroom.show(trouble, draw, tell, found)
    return found, trouble


if __name__ == "__main__":
    app.run()
