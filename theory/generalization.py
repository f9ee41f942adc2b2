"""Theorem 1 of the SANE paper: the generalisation gap |Q - Q~| against the inaccuracy of the labels E|y - y*|.

    python -m theory.generalization            both studies, at most a minute on two cores
    python -m theory.generalization --quick    two seeds, fewer samples

``theorem1_construction`` measures the constant c_0 of part 2 in the paper's own two-class problem. ``theorem1_run``
trains a small contrastive model in the setting of section 2 (keys and target network fixed) on labels between one-hot
and true, and puts the measured gap beside every term of part 1's bound.
"""

import sys

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.special import log_softmax

from sparseop import plotting, study
from sparseop.refinery.data import corrupted_dataset, crop
from sparseop.refinery.generalization import (
    label_lipschitz,
    lower_constant,
    realising_cosine,
    two_class_labels,
    two_class_risks,
    upper_bound,
)

FITTED = (0.34, 0.36, 0.38, 0.4, 0.42, 0.44, 0.46, 0.48)
SHIFTS = (0.005, 0.01, 0.02, 0.04)
TEMPERATURE = 0.2
CENTRES, CLASSES, DIM, EPS = 12, 4, 8, 0.4
KEYS, STEPS, STEP_SIZE = 24, 150, 1.0
POPULATION = 20_000
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
SAMPLES = {"paper": (200, 2000, 20_000), "quick": (200, 2000), "full": (200, 2000, 20_000, 50_000)}
SEEDS = {"paper": 5, "quick": 2, "full": 10}


# ---- part 2 --------------------------------------------------------------------------------------------------------
def construction_cell(y0: float, shift: float, sharper: bool) -> study.Row:
    """Return exact risks, and the same through similarities of two vectors, where temperature 0.2 can realise them."""
    y0_star = y0 + shift if sharper else y0 - shift
    row = {
        "y0_star": y0_star,
        "closed_form": lower_constant(y0),
        "gap": float("nan"),
        "discrepancy": float("nan"),
        "constant": float("nan"),
        "simulated_gap": float("nan"),
        "lipschitz": float("nan"),
    }
    if not 0 < y0_star < 0.5:
        return row
    risks = two_class_risks(y0, y0_star)
    cosine = realising_cosine(y0, TEMPERATURE)
    features = np.array([[1.0, 0.0], [cosine, np.sqrt(1 - cosine**2)]])
    log_h = log_softmax(np.column_stack([np.ones(2), features @ features.T]) / TEMPERATURE, axis=1)
    moved = two_class_labels(y0_star) - two_class_labels(y0)
    return {
        **row,
        "gap": risks.gap,
        "discrepancy": risks.discrepancy,
        "constant": risks.constant,
        "simulated_gap": -(moved * log_h).sum(axis=1).mean(),
        "lipschitz": label_lipschitz(log_h)[1],
    }


def draw_construction(table: pd.DataFrame) -> Figure:
    """Draw the measured constant on its closed form, and the gap against the discrepancy for one y0."""
    figure = Figure(figsize=(11.2, 4.6))
    left, right = figure.subplots(1, 2)
    x = np.linspace(0.335, 0.485, 200)
    left.plot(x, [lower_constant(v) for v in x], color=plotting.BLUE, label=r"$c_0 = 2\ln\frac{y_0}{1-2y_0}/\sqrt{6}$")
    some = table[np.isfinite(table.constant)]
    left.plot(some.y0, some.constant, "o", color=plotting.RED, mfc="none", label="measured, every $y_0^*$")
    left.plot(
        x,
        [lower_constant(v) / 3 for v in x],
        color=plotting.GREY,
        ls=":",
        label="with the printed prefactor 1/6 for 1/2",
    )
    left.axvline(1 / 3, color="black", lw=1, ls="--")
    left.set(
        xlabel="fitted label mass $y_0$",
        ylabel=r"$|Q-\tilde Q| / E\|y-y^*\|_2$",
        title=r"the 'constant' $c_0$ vanishes at $y_0 = 1/3$",
        ylim=(0, None),
    )
    left.legend()
    for y0, color, marker in ((0.36, plotting.GREEN, "^"), (0.4, plotting.BLUE, "o"), (0.44, plotting.PURPLE, "D")):
        one = table[(table.y0 == y0) & np.isfinite(table.gap)].sort_values("y0_star")
        signed = np.sign(one.y0_star - y0) * one.discrepancy
        right.plot(signed, one.gap, marker=marker, color=color, label=f"$y_0={y0:g}$")
    right.set_xticks([-0.1, -0.05, 0, 0.05, 0.1])
    right.axhline(0, color="black", lw=0.8)
    right.axvline(0, color="black", lw=0.8)
    right.set(
        xlabel=r"$\pm E\|y-y^*\|_2$ (right: true labels sharper, the paper's case)",
        ylabel=r"$Q - \tilde Q$",
        title="the sign: sharper true labels, smaller risk",
    )
    right.legend()
    example = two_class_risks(0.4, 0.45)
    plotting.caption(
        figure,
        f"Exact. The paper's example (y₀ = 0.4, y₀* = 0.45) gives Q - Q̃ = {example.gap:.4f}, not the printed"
        " positive value:"
        f" fitted labels that are too soft overstate the risk.",
    )
    return figure


# ---- part 1 --------------------------------------------------------------------------------------------------------
def run_cell(share: float, samples: int, seed: int) -> study.Row:
    """Train on labels (1 - share) one-hot + share y*, then measure the gap and every term of the bound.

    Model: logits <A x / |A x|, key> / tau with A (d, d) trained by gradient descent, A = I at first; keys fixed: the
    dictionary and the query's positive, another crop of its centre. True label: 0.9 spread evenly over the keys of the
    query's class, 0.1 over all.
    """
    rng = study.generator("theorem 1", samples, seed)
    data = corrupted_dataset(
        CENTRES, DIM, 2, rho=0, eps=EPS, n_classes=CLASSES, seed=study.generator("theorem 1 centres", seed)
    )
    own = np.arange(KEYS) % CENTRES
    dictionary = crop(data.centres[own], EPS, study.generator("theorem 1 keys", seed))
    train = _pairs(data, own, samples, rng)
    test = _pairs(data, own, POPULATION, rng)
    one_hot = np.zeros(KEYS + 1)
    one_hot[0] = 1
    y = (1 - share) * one_hot + share * train[2]
    A = np.eye(DIM)
    for _ in range(STEPS):
        u, size = _normalise(train[0] @ A.T)
        pulled = np.exp(_log_probabilities(u, train[1], dictionary)) - y
        back = (pulled[:, :1] * train[1] + pulled[:, 1:] @ dictionary) / TEMPERATURE
        back -= (back * u).sum(axis=1, keepdims=True) * u
        A -= STEP_SIZE * (back / size).T @ train[0] / samples
    log_h = _log_probabilities(_normalise(train[0] @ A.T)[0], train[1], dictionary)
    log_test = _log_probabilities(_normalise(test[0] @ A.T)[0], test[1], dictionary)
    losses = -(train[2] * log_h).sum(axis=1)
    discrepancy = float(np.linalg.norm(y - train[2], axis=1).mean())
    printed, sharp = label_lipschitz(log_h)
    # cos / tau lies in [-1/tau, 1/tau], so no cross entropy exceeds 2 / tau + log(keys)
    loss_range = 2 / TEMPERATURE + np.log(KEYS + 1)
    terms = upper_bound(
        losses, discrepancy, lipschitz=sharp, loss_range=loss_range, log_class_size=32 * DIM**2 * np.log(2)
    )
    single = upper_bound(losses, discrepancy, lipschitz=sharp, loss_range=loss_range)
    population, training = float(-(test[2] * log_test).sum(axis=1).mean()), float(-(y * log_h).sum(axis=1).mean())
    return {
        "discrepancy": discrepancy,
        "population": population,
        "training": training,
        "gap": abs(population - training),
        "label": terms.label,
        "label_printed": printed * discrepancy,
        "deviation": terms.variance + terms.range,
        "deviation_single": single.variance + single.range,
        "lipschitz": sharp,
        "lipschitz_printed": printed,
        "class_accuracy": float(
            np.mean(test[2][np.arange(POPULATION), log_test[:, 1:].argmax(axis=1) + 1] > 0.5 / (KEYS + 1))
        ),
    }


def _pairs(data, own: np.ndarray, samples: int, rng: np.random.Generator):  # type: ignore[no-untyped-def]
    """Draw queries, their positives, and the true labels over (positive, dictionary)."""
    which = rng.integers(CENTRES, size=samples)
    query, positive = crop(data.centres[which], EPS, rng), crop(data.centres[which], EPS, rng)
    same = np.column_stack([np.ones(samples, bool), own[None] % CLASSES == (which % CLASSES)[:, None]])
    label = 0.9 * same / same.sum(axis=1, keepdims=True) + 0.1 / (KEYS + 1)
    return query, positive, label


def _normalise(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    size = np.linalg.norm(x, axis=1, keepdims=True)
    return x / size, size


def _log_probabilities(u: np.ndarray, positive: np.ndarray, dictionary: np.ndarray) -> np.ndarray:
    return np.asarray(
        log_softmax(np.column_stack([(u * positive).sum(axis=1), u @ dictionary.T]) / TEMPERATURE, axis=1)
    )


def draw_run(table: pd.DataFrame) -> Figure:
    """Draw the measured gap against E|y - y*| for every sample size, and the terms of the bound at each."""
    figure = Figure(figsize=(11.8, 4.9))
    left, right = figure.subplots(1, 2)
    table = table.assign(at=table.groupby(["share", "samples"]).discrepancy.transform("mean").round(3))
    for samples, color, marker in zip(sorted(table.samples.unique()), plotting.COLORS, plotting.MARKERS, strict=False):
        plotting.mean_spread(
            left,
            table[table.samples == samples],
            "at",
            "gap",
            color=color,
            marker=marker,
            ls="-" if samples == 200 else "--",
            label=f"measured, n = {samples}",
        )
    line = table.groupby("at").label.mean()
    left.plot(line.index, line, color="black", lw=1.2, label=r"$L_y\,E\|y-y^*\|$, $L_y$ on the simplex")
    left.set(xlabel=r"$E\|y-y^*\|_2$", ylabel=r"$|Q-\tilde Q|$", title="the gap is the labels' inaccuracy")
    left.legend(fontsize=8.8)
    mean = (
        table[table.share == 0]
        .groupby("samples")[["gap", "label", "label_printed", "deviation", "deviation_single"]]
        .mean()
    )
    for name, color, marker, dash, label in (
        ("gap", plotting.RED, "s", "-", "measured gap"),
        ("label", "black", "o", "-", "label term, $L_y$ on the simplex"),
        ("label_printed", plotting.GREY, "o", "--", r"label term, $L_y = \|\log h\|_2$"),
        ("deviation", plotting.BLUE, "^", "-", r"deviation, any $A$ in float32"),
        ("deviation_single", plotting.CYAN, "^", "--", "deviation, one fixed $A$"),
    ):
        right.plot(mean.index, mean[name], color=color, marker=marker, ls=dash, label=label)
    right.set(xscale="log", yscale="log", xlabel="samples $n$", title="the terms of the bound, one-hot labels")
    plotting.plain_ticks(right, mean.index)
    right.legend(fontsize=8.4, loc="lower left")
    ratio = (table.label / table.gap)[table.share == 0].mean()
    steep = (table.gap / table.discrepancy)[table.share == 0].mean()
    plotting.caption(
        figure,
        f"With one-hot labels the gap is {steep:.1f} E|y-y*| at every n: more samples do not help. The bound"
        " holds in all"
        f" runs; its label term is {ratio:.1f} times the gap. Mean and standard deviation of"
        f" {table.seed.nunique()} draws.",
    )
    return figure


def table_run(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Tabulate all terms, mean over the draws, and the standard deviation of the gap."""
    grouped = table.groupby(["samples", "share"])
    mean = grouped[
        [
            "discrepancy",
            "population",
            "training",
            "gap",
            "label",
            "label_printed",
            "deviation",
            "lipschitz",
            "lipschitz_printed",
        ]
    ].mean()
    return {
        "": mean.assign(gap_sd=grouped.gap.std(), bound_over_gap=(mean.label + mean.deviation) / mean.gap).reset_index()
    }


STUDIES = (
    study.Study(
        "theorem1_construction",
        construction_cell,
        {"paper": [{"y0": y, "shift": d, "sharper": s} for y in FITTED for d in SHIFTS for s in (True, False)]},
        draw_construction,
    ),
    study.Study(
        "theorem1_run",
        run_cell,
        {
            m: [
                {"share": s, "samples": n, "seed": seed} for s in SHARES for n in SAMPLES[m] for seed in range(SEEDS[m])
            ]
            for m in SEEDS
        },
        draw_run,
        table_run,
    ),
)

if __name__ == "__main__":
    sys.exit(study.main("theory.generalization"))
