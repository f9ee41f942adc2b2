"""What does a network do with wrong labels? Train twice on digits, and watch epoch by epoch.

make notebooks
marimo run demos/label_noise.py
"""

import marimo

app = marimo.App(width="medium", app_title="Label noise on digits")

with app.setup:
    import tempfile
    import warnings
    from pathlib import Path

    import marimo as mo
    import numpy as np
    from matplotlib.figure import Figure

    from demos import classroom
    from sparseop import plotting

    METHODS = {
        "CE": ("method.name=ce",),
        "SOP": ("method.name=sop", "method.lr_u=auto", "method.lr_v=auto", "method.eps=1e-8"),
    }


@app.cell
def _():
    classroom.opening(
        "What does a network do with wrong labels?",
        r"""1,347 handwritten digits (8 x 8 pixels), some of whose labels are wrong. A small network is trained twice from the same weights: with
        cross-entropy (CE), and with SOP, which gives every image its own $s = u\odot u - v\odot v$ to put a wrong label into. Training takes
        less than a minute; then walk through the epochs.""",
        [
            "Move the epoch from 1 on: both networks learn the clean pattern first. Then CE (dashed) memorises the wrong labels, and its test accuracy falls.",
            "See when SOP's scores (right) part: wrong labels move up, right ones stay. The images below are those it suspects most, with the label it proposes.",
            "Train with no wrong labels at all: SOP should flag next to nothing. With 80 %: how long does it hold?",
            "Halve the epochs: SOP's own learning rates adapt to the schedule, but a very short one leaves no time between learning and memorising.",
        ],
    )


@app.cell
def _():
    controls = classroom.controls(
        rate=classroom.slider(0.0, 0.8, 0.05, 0.4, "share of wrong labels"),
        epochs=classroom.slider(10, 60, 5, 40, "epochs"),
        instance={"seed": 0},
        button="Train",
    )
    controls
    return (controls,)


@app.function
def solve(rate, epochs, seed=0):
    """Train both methods; keep every epoch's measures, and of SOP every epoch's score of every label."""
    import torch

    from sparseop.deep.labels import recipe as recipes
    from sparseop.deep.labels import run as engine
    from sparseop.deep.labels.data import prepare
    from sparseop.deep.labels.methods.sop import SOP
    from sparseop.deep.training import checkpoint

    torch.set_num_threads(1)
    changes = [
        f"training.epochs={classroom.whole('epochs', epochs, 1, 200)}",
        f"seed={classroom.whole('seed', seed, 0)}",
        *([f"noise.rate={rate}"] if rate else ["noise.kind=none", "noise.rate=0"]),
    ]
    found, scores, proposals, notes = {}, [], [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        mo.status.progress_bar(total=2 * epochs, title="Training", remove_on_exit=True) as bar,
    ):
        for name, options in METHODS.items():
            recipe = recipes.read("digits_sym40_ce", [*changes, *options])
            samples = prepare(recipe, None)
            rows, given, run = [], samples.labels.given, Path(folder) / name
            judge = SOP(len(given), 10) if name == "SOP" else None

            def watch(_epoch, _step, row, rows=rows, given=given, run=run, judge=judge, name=name):
                if row is None:
                    return
                rows.append(row)
                if judge is not None:  # the checkpoint of this epoch is written already
                    judge.load_state_dict(checkpoint.load(run / "last.pt")["method"])
                    scores.append(judge.suspicion(given).numpy())
                    proposals.append(judge.proposed(given).numpy())
                bar.update(title=f"Training, {name}")

            with warnings.catch_warnings(record=True) as said:
                warnings.filterwarnings("always", "[uv]_on = ", UserWarning)  # few epochs: told below the picture
                engine.train(recipe, run, device="cpu", watch=watch)
            notes += [str(warning.message) for warning in said]
            found[name] = {
                key: np.array([row.get(key, np.nan) for row in rows], dtype=float)
                for key in ("test", "memorised", "train_given")
            }
    return {
        **found,
        "given": samples.labels.given.numpy(),
        "true": samples.labels.true.numpy(),
        "scores": np.array(scores),
        "proposals": np.array(proposals),
        "images": samples.dataset.train_images.numpy()[:, 0],
        "epochs": epochs,
        "notes": list(dict.fromkeys(notes)),
    }


@app.cell
def _(controls):
    found, trouble = classroom.attempt(solve, controls)
    return found, trouble


@app.cell
def _(found):
    _last = 1 if found is None else found["epochs"]
    epoch = classroom.slider(1, max(_last, 2), 1, _last, "epoch shown")
    epoch if found is not None else None
    return (epoch,)


@app.function
def draw(found, epoch):
    """Accuracy and memorisation over epochs, the scores of right and wrong labels, and the most suspicious images."""
    figure = Figure(figsize=(11, 6.4))
    grid = figure.add_gridspec(3, 12, height_ratios=[2.6, 1, 1])
    left, middle, right = (figure.add_subplot(grid[0, 4 * i : 4 * i + 4]) for i in range(3))
    epochs = np.arange(1, found["epochs"] + 1)
    for name, color, dash in (("CE", plotting.RED, "--"), ("SOP", plotting.BLUE, "-")):
        left.plot(epochs, found[name]["test"], dash, color=color, lw=2.2, label=name)
        middle.plot(epochs, found[name]["memorised"], dash, color=color, lw=2.2)
    for axis in (left, middle):
        axis.axvline(epoch, color="black", lw=1, ls=":")
        axis.set(xlabel="epoch", ylim=(-3, 103))
    left.set_title("test accuracy (%)")
    left.legend(loc="lower right")
    middle.set_title("wrong labels memorised (%)")
    score, wrong = found["scores"][epoch - 1], found["given"] != found["true"]
    bins = np.linspace(0, 1, 21)
    right.hist(score[~wrong], bins, color=plotting.BLUE, alpha=0.55, label="right labels")
    right.hist(score[wrong], bins, histtype="step", color=plotting.RED, lw=2.2, label="wrong labels")
    right.set(
        xlabel="SOP's score: above 1/2 is flagged", title=f"scores after epoch {epoch}", yscale="symlog", ylim=(0, None)
    )
    right.set_yticks([0, 10, 100, 1000], ["0", "10", "100", "1000"])
    right.legend(loc="upper center")
    for place, i in enumerate(np.argsort(-score, kind="stable")[:24]):
        axis = figure.add_subplot(grid[1 + place // 12, place % 12])
        axis.imshow(found["images"][i], cmap="gray_r", origin="upper")
        given, proposed = found["given"][i], found["proposals"][epoch - 1][i]
        kept, good = proposed == given, proposed == found["true"][i]
        axis.set_title(f"{given}" if kept else f"{given} $\\rightarrow$ {proposed}", fontsize=9.5)
        axis.set(xticks=[], yticks=[])
        axis.grid(visible=False)
        for spine in axis.spines.values():
            spine.set(
                visible=True,
                linewidth=2.4,
                color=plotting.GREY if kept else plotting.GREEN if good else plotting.RED,
                linestyle="-" if kept or good else ":",
            )
    return figure


@app.function
def tell(found, epoch):
    """This epoch in numbers."""
    t, wrong = epoch - 1, found["given"] != found["true"]
    flagged = found["scores"][t] > 0.5
    hits = int((flagged & wrong).sum())
    memorised, of = "", "and no label is wrong"
    if wrong.any():
        memorised = f"has memorised {found['CE']['memorised'][t]:.0f} % of the wrong labels and "
        of = f"{100 * hits / max(int(flagged.sum()), 1):.0f} % of them rightly; {100 * hits / int(wrong.sum()):.0f} % of the wrong labels are found"
    return (
        f"After epoch {epoch}: CE {memorised}is right on {found['CE']['test'][t]:.1f} % of the test images; SOP on {found['SOP']['test'][t]:.1f} %. "
        f"SOP flags {int(flagged.sum())} of {len(flagged)} labels, {of}. Of the labels it proposes, "
        f"{100 * np.mean(found['proposals'][t] == found['true']):.1f} % are right; of the given ones, {100 * np.mean(~wrong):.1f} %. (Images: given "
        "$\\rightarrow$ proposed label; a green frame where the proposal is the truth, a dotted red one where it isn't, grey where there is none yet.)"
        + "".join(f" A note on training: {note}" for note in found["notes"])
    )


@app.cell
def _(epoch, found, trouble):
    classroom.show(trouble, draw, tell, found, epoch.value)


if __name__ == "__main__":
    app.run()
