"""Where does the noise of a picture go: into the network's image, or into s? Watch it move.

make notebooks
marimo run demos/image_recovery.py
"""

import marimo

app = marimo.App(width="medium", app_title="Noise moves into s")

with app.setup:
    import marimo as mo
    import numpy as np
    from matplotlib.figure import Figure

    from demos import classroom
    from sparseop import plotting
    from sparseop.errors import between

    SIDE, EVERY = 48, 10


@app.cell
def _():
    classroom.opening(
        "Where does the noise of a picture go?",
        r"""A network that has seen no other picture is fitted to one noisy photograph $y$ (48 x 48 pixels; some entries are replaced by 0 or 1). It
        learns the photograph first and the noise later, so it must be stopped in time. Now add $s = g\odot g - h\odot h$, one pair of numbers for
        each entry, and fit $f + s$ to $y$: the noise moves into $s$, and nobody has to stop. A fit takes some seconds; then walk through it.""",
        [
            "Move the iteration from 0 on. Some of the noise creeps into the image (red); then $s$ wakes up and takes it, from the image as well (green).",
            "Compare the curves: the absolute loss without $s$ (dashed) has its best moment too, and then memorises. Who would know when to stop it?",
            r"Move the learning rate of $g, h$ far to the left, **too small**: the network has memorised the noise before $s$ wakes up.",
            "Move it far to the right, **too large**: $s$ takes what is hard to learn of the photograph itself. Look for the photograph in $s$.",
        ],
    )


@app.cell
def _():
    controls = classroom.controls(
        noise=classroom.slider(0.05, 0.6, 0.05, 0.3, "share of corrupted entries"),
        log2_ratio=classroom.slider(-4.0, 4.0, 0.5, 0.0, r"$\log_2$ of $\alpha$ over the rule's choice"),
        image=mo.ui.text("flower", label="image: flower, china, or the path of a file"),
        instance={"seed": 0},
        button="Fit",
    )
    controls
    return (controls,)


@app.function
def solve(noise, log2_ratio, image="flower", seed=0, iterations=400):
    """Fit with s and, by the absolute loss, without; keep the images and what each has of the noise, every few iterations."""
    import torch

    from sparseop.deep.image_prior import corruption, ratio
    from sparseop.deep.image_prior import recipe as recipes
    from sparseop.deep.image_prior.fit import Fit
    from sparseop.deep.image_prior.images import load_image

    torch.set_num_threads(1)
    seed = classroom.whole("seed", seed, 0, 2**63 - 1)
    between("log2 ratio", log2_ratio, -6, 6, ends="[]")
    between("noise", noise, 0, 0.9, ends="(]")
    clean = load_image(str(image), SIDE)
    y = corruption.corrupt(clean, noise, seed=seed)
    ruled = ratio.ratio_for(ratio.estimated_level(y), 1e-5)
    alpha, gamma = ratio.stable(ruled * 2.0**log2_ratio, 1e-5, entries=y.numel(), lr=1.0, momentum=0.9)
    recipe = recipes.parse(
        "",
        name="demo",
        overrides=[
            f"seed={seed}",
            "network.width=24",
            "network.scales=3",
            f"sparse.ratio={alpha}",
            f"sparse.gamma={gamma}",
        ],
    )
    e = y - clean
    size = float(e.square().sum())
    found = {
        "y": y.numpy(),
        "clean": clean.numpy(),
        "at": np.arange(0, iterations + 1, EVERY),
        "alpha": ruled * 2.0**log2_ratio,
        "ruled": ruled,
        "lam": ratio.matching(alpha, gamma),
        "noise": noise,
    }
    with mo.status.progress_bar(total=2 * len(found["at"]), title="Fitting", remove_on_exit=True) as bar:
        for method in ("double", "absolute"):
            fit, kept = Fit(y, method, recipe), []
            for iteration in range(iterations + 1):
                if iteration % EVERY == 0:
                    f, s = fit.output(), fit.corruption()
                    s = torch.zeros_like(f) if s is None else s
                    kept.append(
                        (
                            f.numpy(),
                            s.numpy(),
                            corruption.psnr(f, clean),
                            float(((f - clean) * e).sum()) / size,
                            float((s * e).sum()) / size,
                            *corruption.detection(s, e),
                        )
                    )
                    bar.update(title=f"Fitting, {'with s' if method == 'double' else 'absolute loss'}")
                fit.step()
            names = ("f", "s", "psnr", "noise_in_f", "noise_in_s", "precision", "recall")
            found[method] = {
                name: np.array(values) for name, values in zip(names, zip(*kept, strict=True), strict=True)
            }
    return found


@app.cell
def _(controls):
    found, trouble = classroom.attempt(solve, controls)
    return found, trouble


@app.cell
def _(found):
    _last = 1 if found is None else len(found["at"]) - 1
    place = classroom.slider(0, _last, 1, min(_last, 8), "iteration shown, in tens")
    place if found is not None else None
    return (place,)


@app.function
def draw(found, k):
    """The noisy picture, the network's image, s and the rest; below, the share of the noise in each, and PSNR over iterations."""
    own, other, y = found["double"], found["absolute"], found["y"]
    figure = Figure(figsize=(11, 6.6))
    grid = figure.add_gridspec(2, 4, height_ratios=[1.15, 1])
    panels = (
        ("noisy picture $y$", y),
        (f"network's image $f$: {classroom.decibels(own['psnr'][k])}", own["f"][k]),
        ("$s$ (grey is 0)", 0.5 + own["s"][k] / 2),
        ("what neither has, $y - f - s$", 0.5 + (y - own["f"][k] - own["s"][k]) / 2),
    )
    for place, (title, image) in enumerate(panels):
        axis = figure.add_subplot(grid[0, place])
        picture = np.clip(np.moveaxis(image, 0, -1), 0, 1)
        axis.imshow(picture[..., 0] if picture.shape[2] == 1 else picture, origin="upper", cmap="gray", vmin=0, vmax=1)
        axis.set_title(title, fontsize=10.5)
        axis.set_axis_off()
    left, right = figure.add_subplot(grid[1, :2]), figure.add_subplot(grid[1, 2:])
    at = found["at"]
    in_f, in_s = np.clip(own["noise_in_f"], 0, 1), np.clip(own["noise_in_s"], 0, 1)
    rest = np.clip(1 - in_f - in_s, 0, 1)
    left.stackplot(
        at,
        100 * in_s,
        100 * in_f,
        100 * rest,
        colors=[plotting.GREEN, plotting.RED, "#cccccc"],
        alpha=0.75,
        labels=["in $s$", "memorised, in $f$", "nowhere yet"],
    )
    left.set(xlabel="iteration", xlim=(0, at[-1]), ylim=(0, 100), title="where the noise is (%)")
    left.legend(loc="lower right", frameon=True)
    right.plot(at, own["psnr"], color=plotting.RED, lw=2.2, label="$f + s$, squared loss")
    right.plot(at, other["psnr"], "--", color=plotting.BLUE, lw=2.2, label="$f$ alone, absolute loss")
    right.set(xlabel="iteration", xlim=(0, at[-1]), title="PSNR of the network's image (dB)")
    right.legend(loc="lower right")
    for axis in (left, right):
        axis.axvline(at[k], color="black", lw=1.2, ls=":")
    return figure


@app.function
def tell(found, k):
    """This iteration in numbers, and both ends."""
    own, other = found["double"], found["absolute"]
    best, held = int(np.argmax(other["psnr"])), own["recall"][k]
    finds = (
        f"; of the corrupted entries $s$ has found {100 * held:.0f} %"
        + (
            f", and {100 * own['precision'][k]:.0f} % of what it holds is corruption"
            if np.isfinite(own["precision"][k])
            else ""
        )
        if np.isfinite(held)
        else ""
    )
    return (
        rf"After {found['at'][k]} iterations {100 * own['noise_in_s'][k]:.0f} % of the noise is in $s$ and {100 * own['noise_in_f'][k]:.0f} % in the image{finds}. "
        rf"At $\gamma = 10^{{-5}}$, $\alpha = {found['alpha']:.0f}$ (the rule says {found['ruled']:.0f}), which stands for $\lambda = \log(1/\gamma)/(2\alpha) = {found['lam']:.3f}$. "
        f"At the end: {classroom.decibels(own['psnr'][-1])} with $s$; without, "
        f"{classroom.decibels(other['psnr'][-1])}, after {classroom.decibels(other['psnr'][best])} at iteration "
        f"{found['at'][best]}."
    )


@app.cell
def _(found, place, trouble):
    classroom.show(trouble, draw, tell, found, place.value)


if __name__ == "__main__":
    app.run()
