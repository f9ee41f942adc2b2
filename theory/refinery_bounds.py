"""How far the theorems' constants are from what happens (SANE, Theorems 2, 5, 7, 8; Lemmas 4, 7, 9; Definition 4).

    python -m theory.refinery_bounds            four studies, at most four minutes on two cores
    python -m theory.refinery_bounds --quick    two seeds, coarse grids

A bound with a free constant always holds. So: the constants that the proofs write out are used, the exponents measured,
and for each lemma the smallest constant that holds is reported.
"""

import sys
from dataclasses import asdict

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sparseop import plotting, study
from sparseop.refinery import schedules
from sparseop.refinery.constants import theory_constants, trajectory_bounds
from sparseop.refinery.data import corrupted_dataset
from sparseop.refinery.descent import largest_step, log_steps, refine
from sparseop.refinery.network import OneHiddenLayer
from sparseop.refinery.worst_case import worst_accuracy, worst_crops

DIM, CENTRES, CROPS, WIDTH = 20, 10, 50, 200
SEEDS = {"paper": 5, "quick": 2, "full": 10}
EPSILONS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
PATH_STEPS, PATH_EPS, PATH_WIDTHS, PATH_CROPS = 200, (0.01, 0.03, 0.1, 0.3), (50, 100, 500, 1000), (10, 25, 100)
LABEL_STEPS = 3000


def _problem(name: str, seed: int, *, rho: float, eps: float, width: int = WIDTH, crops: int = CROPS):  # type: ignore[no-untyped-def]
    data = corrupted_dataset(CENTRES, DIM, crops, rho=rho, eps=eps, seed=study.generator(name, "data", seed))
    return data, OneHiddenLayer.gaussian(width, DIM, seed=study.generator(name, "network", seed))


# ---- Theorem 5, and 'any augmentation' -----------------------------------------------------------------------------
def worst_cell(method: str, rho: float, eps: float, seed: int) -> study.Row:
    """Train, then look for the worst crops of every centre; ``initial`` looks at W_0."""
    data, network = _problem("worst", seed, rho=rho, eps=eps)
    trained = network
    random = float("nan")
    if method != "initial":
        alpha = 0.9 if method == "refinery" else 0.0
        steps = 400 if method == "refinery" else 2000
        run = refine(
            data,
            network,
            steps=steps,
            eta=largest_step(data, network) / (1 - alpha),
            alpha=alpha,
            positive_from="cluster",
            precision="single",
            record=[0, steps],
            seed=study.generator("worst", "run", seed),
        )
        trained, random = network.at(run.W), run.test_accuracy[-1]
    worst = worst_crops(trained, data, seed=study.generator("worst", "search", seed))
    # the paper's ||W - W_0|| without a subscript is the spectral norm
    moved = float(np.linalg.norm(trained.W - network.W, 2))
    return {
        "spread": worst.spread,
        "moved": moved,
        "constant": worst.spread / (data.eps * (moved + np.sqrt(DIM))),
        "random_accuracy": random,
        "worst_accuracy": worst_accuracy(data, worst),
    }


def draw_worst(table: pd.DataFrame) -> Figure:
    """Draw the spread of f over the caps against eps, and the accuracy on the worst crop."""
    figure = Figure(figsize=(11.8, 4.8))
    left, right = figure.subplots(1, 2)
    spread = table[table.rho == 0.3]
    for method, color, marker, label in (
        ("initial", plotting.GREY, "o", "at $W_0$"),
        ("refinery", plotting.RED, "s", "refinery"),
        ("descent", plotting.BLUE, "^", "gradient descent, 2000 steps"),
    ):
        some = spread[spread.method == method]
        plotting.mean_spread(left, some, "eps", "spread", color=color, marker=marker, label=label)
        bound = (some.eps * (some.moved + np.sqrt(DIM))).groupby(some.eps).mean()
        left.plot(bound.index, bound, color=color, ls=":", lw=1.2)
    left.plot([], [], color=plotting.GREY, ls=":", label=r"Theorem 5 with $C = 1$")
    left.set(
        xscale="log",
        yscale="log",
        xlabel=r"radius of the crops $\varepsilon$",
        title=r"largest $|f(x)-f(x')|$ in one $\varepsilon$-ball",
    )
    plotting.plain_ticks(left, (0.02, 0.05, 0.1, 0.2, 0.5))
    left.legend(fontsize=8.8)
    for rho, color, marker in ((0.06, plotting.GREEN, "s"), (0.3, plotting.RED, "o")):
        some = table[(table.rho == rho) & (table.method == "refinery")]
        plotting.mean_spread(
            right,
            some,
            "eps",
            "random_accuracy",
            within=(0, 1),
            color=color,
            marker=marker,
            ls="--",
            mfc="white",
            label=rf"random crops, $\rho={rho:g}$",
        )
        plotting.mean_spread(
            right,
            some,
            "eps",
            "worst_accuracy",
            within=(0, 1),
            color=color,
            marker=marker,
            label=rf"worst crop, $\rho={rho:g}$",
        )
    right.set(
        xlabel=r"radius of the crops $\varepsilon$",
        ylabel="share of crops, of centres",
        ylim=(-0.03, 1.05),
        title="the refinery: right for random crops, for every crop?",
    )
    right.legend(fontsize=8.8, loc="lower left")
    exponents = table_worst(table)[1]
    plotting.caption(
        figure,
        f"In one ball the network's output spreads like ε^{exponents['refinery']:.2f} (refinery) and"
        f" ε^{exponents['descent']:.2f} (descent).\nWith ρ = 0.3 every crop found is right up to ε ="
        f" {table_all_right(table, 0.3):g}, random crops up to {table_all_right(table, 0.3, 'random_accuracy'):g}."
        f" Mean and standard deviation of {table.seed.nunique()} draws.",
    )
    return figure


def table_worst(table: pd.DataFrame) -> tuple[pd.Series, dict[str, float]]:
    """Return Theorem 5's smallest constant for each method, and the measured exponent of eps."""
    some = table[table.rho == 0.3]
    exponents = {
        m: float(np.polyfit(np.log(g.index), np.log(g), 1)[0])
        for m in ("initial", "refinery", "descent")
        for g in [some[some.method == m].groupby("eps").spread.mean()]
    }
    return table.groupby("method").constant.max(), exponents


def table_theorem5(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Tabulate the smallest C with which Theorem 5 holds, and the exponent of eps (bound: 1)."""
    constants, exponents = table_worst(table)
    mean = table.groupby("method").constant
    return {
        "": pd.DataFrame(
            [
                {
                    "weights": m,
                    "smallest C, all draws": constants[m],
                    "mean": mean.mean()[m],
                    "sd": mean.std()[m],
                    "exponent of eps": exponents[m],
                }
                for m in ("initial", "refinery", "descent")
            ]
        )
    }


def table_all_right(table: pd.DataFrame, rho: float, which: str = "worst_accuracy") -> float:
    """Return the largest eps up to which the refinery's accuracy is 1 in every draw."""
    lowest = table[(table.rho == rho) & (table.method == "refinery")].groupby("eps")[which].min()
    wrong = lowest.index[lowest < 1]
    return float(lowest.index[lowest.index < wrong.min()].max()) if len(wrong) else float(lowest.index.max())


# ---- Theorem 2, part 1: the refined labels -------------------------------------------------------------------------
def labels_cell(method: str, rho: float, seed: int) -> list[study.Row]:
    """Return the label discrepancy over time, and the two terms of its bound with the measured |f - y*| for zeta."""
    data, network = _problem("labels", seed, rho=rho, eps=0.3)
    options = {
        "self": {"alpha": 0.9},
        "cosine": {"alpha": schedules.cosine(LABEL_STEPS, 0.9, 100)},
        "cluster": {"alpha": 0.9, "positive_from": "cluster"},
    }[method]
    eta = largest_step(data, network) * (10 if method == "self" else 1)
    run = refine(
        data,
        network,
        steps=LABEL_STEPS,
        eta=eta,
        precision="single",
        record=log_steps(LABEL_STEPS, 36),
        seed=study.generator("labels", "run", seed),
        **options,
    )
    given = float(np.linalg.norm(data.y - data.y_star) / np.sqrt(data.n))
    return [
        {
            "step": t,
            "alpha": run.alpha[i],
            "discrepancy": run.discrepancy[i],
            "error": run.error[i],
            "given": given,
            "bound": (1 - run.alpha[i]) * given + run.alpha[i] * 4 * rho,
        }
        for i, t in enumerate(run.step)
    ]


def draw_labels(table: pd.DataFrame) -> Figure:
    """Draw the discrepancy of the refined labels against the bound with zeta = 4 rho, for two shares of wrong ones."""
    figure = Figure(figsize=(11.8, 4.8))
    axes = figure.subplots(1, 2)
    series = (
        ("self", plotting.CYAN, "--", r"$\tilde x=x$, $\alpha=0.9$, step $10\eta$"),
        ("cosine", plotting.YELLOW, "-.", r"$\tilde x=x$, $\alpha_t$ to 0.9 in 100 steps"),
        ("cluster", plotting.RED, "-", r"another crop, $\alpha=0.9$"),
    )
    for axis, rho in zip(axes, sorted(table.rho.unique()), strict=True):
        for method, color, dash, label in series:
            grouped = table[(table.method == method) & (table.rho == rho)].groupby("step").discrepancy
            axis.plot(grouped.mean(), color=color, ls=dash, label=label)
            axis.fill_between(grouped.mean().index, grouped.min(), grouped.max(), color=color, alpha=0.15, lw=0)
        bound = table[(table.method == "self") & (table.rho == rho)].groupby("step").bound.mean()
        axis.plot(bound, color="black", lw=1.2, label=r"$(1-\alpha)\|y-y^*\|/\sqrt{n} + \alpha\,4\rho$")
        axis.axhline(
            table[table.rho == rho].given.mean(),
            color=plotting.GREY,
            ls=":",
            lw=1.2,
            label=r"labels as given, $\|y-y^*\|/\sqrt{n}$",
        )
        axis.set(xscale="log", xlabel="step $t$", title=rf"$\rho={rho:g}$", ylim=(0, None))
    axes[0].set_ylabel(r"$\|\bar y^t - y^*\| / \sqrt{n}$")
    axes[0].legend(fontsize=8.6, loc="upper right")
    low = (
        table[(table.rho == table.rho.min()) & (table.step == table.step.max())]
        .groupby("method")[["discrepancy", "bound"]]
        .mean()
    )
    plotting.caption(
        figure,
        f"With x̃ = x, as in the proof, the bound holds for a while only: at ρ = {table.rho.min():g} the"
        " discrepancy ends at"
        f" {low.discrepancy['self']:.2f}, above {low.bound['self']:.2f}. With another crop it stays at"
        f" {low.discrepancy['cluster']:.2f}. Mean and range of {table.seed.nunique()} draws.",
    )
    return figure


# ---- Theorem 8: the trajectories on X and on X~ --------------------------------------------------------------------
def paths_cell(eps: float, width: int, crops: int, seed: int) -> list[study.Row]:
    """Gradient descent from the same W_0 on the crops and on their centres.

    Descent is the refinery in effective time.
    """
    data, network = _problem("paths", seed, rho=0.3, eps=eps, width=width, crops=crops)
    clean = data.at_centres()
    eta = largest_step(clean, network)
    record = log_steps(PATH_STEPS, 16)
    runs = [
        refine(d, network, steps=PATH_STEPS, eta=eta, precision="double", record=record, keep_path=True)
        for d in (data, clean)
    ]
    time = eta * record
    p_bound, d_bound = trajectory_bounds(data, network, time)
    rows = []
    for i, t in enumerate(record):
        p = np.linalg.norm(network.at(runs[0].path[i])(data.X) - network.at(runs[1].path[i])(clean.X))
        d = np.linalg.norm(runs[0].path[i] - runs[1].path[i])
        rows.append({"step": t, "p": p, "d": d, "p_bound": p_bound[i], "d_bound": d_bound[i]})
    return rows


def draw_paths(table: pd.DataFrame) -> Figure:
    """Draw both distances between the trajectories over time, for several eps, with (56)."""
    figure = Figure(figsize=(11.8, 4.8))
    axes = figure.subplots(1, 2)
    base = table[(table.width == WIDTH) & (table.crops == CROPS) & (table.step > 0)]
    for axis, name, title in zip(
        axes,
        ("p", "d"),
        (r"outputs $\|f(W_t,X)-f(\tilde W_t,\tilde X)\|_2$", r"weights $\|W_t-\tilde W_t\|_F$"),
        strict=True,
    ):
        for eps, color, marker in zip(PATH_EPS, plotting.COLORS, plotting.MARKERS, strict=False):
            some = base[base.eps == eps]
            plotting.mean_spread(
                axis, some, "step", name, color=color, marker=marker, ms=3.5, label=rf"$\varepsilon={eps:g}$"
            )
            axis.plot(some.groupby("step")[f"{name}_bound"].mean(), color=color, ls=":", lw=1.2)
        axis.plot([], [], color=plotting.GREY, ls=":", label="(56), its own constants")
        axis.set(xscale="log", yscale="log", xlabel="step $t$", title=title)
    axes[0].legend(fontsize=8.8, loc="center right", bbox_to_anchor=(1, 0.42))
    ratio = (base.p_bound / base.p)[base.step == PATH_STEPS].mean()
    start = table[(table.step == 0) & (table.width == WIDTH) & (table.crops == CROPS)]
    plotting.caption(
        figure,
        f"The bound (56) on the distance of two runs from one start is {ratio:.1g} times too large at step"
        f" {PATH_STEPS},"
        f" and says 0 at t = 0, where the outputs differ by {start[start.eps == 0.3].p.mean():.2f} (ε = 0.3).",
    )
    return figure


def table_paths(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Tabulate the measured exponents of the trajectories' distances in eps, t, n, k, beside those of (56)."""
    base = (table.eps == 0.1, table.width == WIDTH, table.crops == CROPS)
    rows = []

    def exponent(some: pd.DataFrame, x: str, name: str) -> tuple[float, float]:
        slopes = [np.polyfit(np.log(one[x]), np.log(one[name]), 1)[0] for _, one in some.groupby("seed")]
        return float(np.mean(slopes)), float(np.std(slopes, ddof=1))

    end = table.step == PATH_STEPS
    steps = np.sort(table.step.unique())
    early, late = table.step.isin(steps[(steps > 0) & (steps <= 10)]), table.step.isin(steps[steps >= 30])
    sized = table.assign(n=CENTRES * table.crops)
    for quantity, where, x, printed in (
        ("eps", table[base[1] & base[2] & end], "eps", (1.0, 1.0)),
        ("t, steps 1 to 10", table[early & base[0] & base[1] & base[2]], "step", (1.0, 2.0)),
        ("t, steps 30 to 200", table[late & base[0] & base[1] & base[2]], "step", (1.0, 2.0)),
        ("k", table[base[0] & base[2] & end], "width", (0.0, 0.0)),
        # with eta proportional to 1/n and t fixed, (56) has p and d proportional to sqrt(n) r0 sqrt(n) / n and sqrt(n)
        # r0 / n
        ("n, eta proportional to 1/n", sized[base[0] & base[1] & end], "n", (0.5, 0.0)),
    ):
        row = {"in": quantity}
        for name, exact in zip(("p", "d"), printed, strict=True):
            mean, deviation = exponent(where, x, name)
            row |= {f"{name}, measured": mean, f"{name}, sd": deviation, f"{name}, bound (56)": exact}
        rows.append(row)
    later = sized[sized.step > 0]
    smallest = pd.DataFrame(
        [
            {
                "bound": f"(56), {name}",
                "smallest factor that holds, t >= 1": (later[name] / later[f"{name}_bound"]).max(),
            }
            for name in ("p", "d")
        ]
    )
    return {"": pd.DataFrame(rows), "smallest": smallest}


# ---- the constants, and Lemmas 4, 7 and 9 --------------------------------------------------------------------------
def constants_cell(width: int, seed: int) -> study.Row:
    """Return every constant of the theorems and every measured counterpart, of one refinery run.

    Lemmas 4, 7, 9 at random draws.
    """
    data, network = _problem("constants", seed, rho=0.3, eps=0.3, width=width)
    alpha = schedules.cosine(400, 0.9, 40)
    eta = largest_step(data, network)
    run = refine(
        data,
        network,
        steps=400,
        eta=eta,
        alpha=alpha,
        positive_from="cluster",
        precision="single",
        seed=study.generator("constants", "run", seed),
    )
    rng = study.generator("constants", "lemmas", width, seed)
    e = data.y - data.y_star
    lemma4 = np.abs(data.plus(e)).max() / (np.sqrt(np.count_nonzero(e)) / data.n * np.linalg.norm(e))
    lemma7 = np.linalg.norm(network(data.X) - data.y) / np.sqrt(data.n * np.log(CENTRES))
    moved = run.W - network.W
    other = network.at(network.W + moved)
    clean = data.at_centres()
    shift = np.linalg.norm(moved) / np.sqrt(width) + data.eps
    lemma9 = _norm(other.jacobian(data.X) - network.jacobian(clean.X)) / (np.sqrt(data.n) * shift)
    smooth = _norm(other.jacobian(clean.X) - network.jacobian(clean.X)) / np.linalg.norm(moved)
    vectors = data.plus(rng.standard_normal(data.n))
    return {
        **asdict(theory_constants(data, network, eta=eta, steps=400, alpha=alpha, run=run)),
        "eta": eta,
        "L_measured": smooth,
        "diffusedness": data.diffusedness,
        "diffused_random": data.n * (np.abs(vectors).max() / np.linalg.norm(vectors)) ** 2,
        "lemma4": lemma4,
        "lemma7": lemma7,
        "lemma9": lemma9,
    }


def _norm(wide: np.ndarray) -> float:
    """Return the spectral norm of a matrix with many more columns than rows."""
    return float(np.sqrt(np.linalg.eigvalsh(wide @ wide.T)[-1]))


NAMES = (
    ("lambda(C)", "lam", None),
    ("|C|", "C_norm", None),
    ("alpha' (Theorem 4)", "alpha_prime", "alpha_measured"),
    ("beta (Theorem 4)", "beta", "beta_measured"),
    ("S-: Gamma sqrt(n) eps (Lemma 9)", "minus", "noise_measured"),
    ("L (Theorem 4)", "L", "L_measured"),
    ("R, distance from W_0 (Theorem 7)", "R", "distance_measured"),
    ("effective time to 4 rho (Theorem 6)", "time_0", "time_measured"),
    ("zeta with the constant of (56) (Theorem 2)", "zeta", "zeta_measured"),
    ("largest eps of (55)", "eps_max", "eps"),
    ("smallest width of (36)", "width_min_ball", "k"),
    ("smallest width of (55)", "width_min", "k"),
    ("largest step (Theorem 6)", "eta_max", "eta"),
    ("psi_1", "psi_1", None),
    ("psi_2", "psi_2", None),
    ("psi'", "psi", None),
    ("Lemma 4: zeta (Definition 4)", "diffusedness", "lemma4"),
    ("Lemma 7: constant of Gamma sqrt(n log K)", None, "lemma7"),
    ("Lemma 9: constant, printed 1", "one", "lemma9"),
)


def table_constants(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Tabulate defined, measured and their ratio: mean and standard deviation over the draws at the base width."""
    some = table[table.width == WIDTH].assign(minus=np.sqrt(CENTRES * CROPS) * 0.3, one=1.0, eps=0.3, k=float(WIDTH))
    rows = []
    for label, defined, measured in NAMES:
        d = some[defined] if defined else pd.Series([np.nan])
        m = some[measured] if measured else pd.Series([np.nan])
        rows.append(
            {
                "quantity": label,
                "theory": d.mean(),
                "theory, sd": d.std(),
                "measured or used": m.mean(),
                "measured, sd": m.std(),
                "theory / measured": d.mean() / m.mean(),
            }
        )
    return {"": pd.DataFrame(rows), "smallest": table_smallest(table)}


def table_smallest(table: pd.DataFrame) -> pd.DataFrame:
    """Tabulate, for every bound with a free constant, the smallest constant that held in all draws and widths."""
    n, rho, eps = CENTRES * CROPS, 0.3, 0.3
    xi = np.log(np.sqrt(n * np.log(CENTRES)) / rho)
    per_zeta = eps * table.psi * CENTRES * xi * np.sqrt(np.log(CENTRES)) / table.lam
    found = (
        (
            "Theorem 7: |W_t - W_0| <= c Gamma sqrt(K log K / lambda)",
            table.distance_measured / np.sqrt(CENTRES * np.log(CENTRES) / table.lam),
        ),
        (
            "Theorem 7: eta t_0 = c K/(n lambda) log(Gamma sqrt(n log K)/rho), effective time",
            table.time_measured * n * table.lam / (CENTRES * xi),
        ),
        (
            "Theorem 2: |f - y*|/sqrt(n) <= 4 rho + c eps psi' K Gamma^3 xi sqrt(log K)/lambda",
            np.maximum(table.zeta_measured - 4 * rho, 0) / per_zeta,
        ),
        ("Lemma 7: |f(W_0) - y| <= c Gamma sqrt(n log K)", table.lemma7),
        ("Lemma 9: c Gamma sqrt(n) (|W - W~|/sqrt(k) + eps)", table.lemma9),
        ("Lemma 4: |P e|_inf <= c sqrt(s) |e| / n (c = zeta of Definition 4)", table.lemma4),
        ("Definition 4 on random vectors of S+ (largest possible: K / c_low)", table.diffused_random),
    )
    return pd.DataFrame(
        [{"bound": name, "smallest c, all draws": c.max(), "mean": c.mean(), "sd": c.std()} for name, c in found]
    )


def _seeded(rows: list[study.Row], mode: str) -> list[study.Row]:
    return [{**row, "seed": seed} for row in rows for seed in range(SEEDS[mode])]


def _path_rows() -> list[study.Row]:
    base = {"eps": 0.1, "width": WIDTH, "crops": CROPS}
    return (
        [{**base, "eps": e} for e in PATH_EPS]
        + [{**base, "width": w} for w in PATH_WIDTHS]
        + [{**base, "crops": c} for c in PATH_CROPS]
    )


WORST = [
    {"method": m, "rho": r, "eps": e}
    for m, r in (("initial", 0.3), ("descent", 0.3), ("refinery", 0.3), ("refinery", 0.06))
    for e in EPSILONS
]
STUDIES = (
    study.Study("refinery_worst", worst_cell, {m: _seeded(WORST, m) for m in SEEDS}, draw_worst, table_theorem5),
    study.Study(
        "refinery_labels",
        labels_cell,
        {
            m: _seeded([{"method": k, "rho": r} for r in (0.06, 0.3) for k in ("self", "cosine", "cluster")], m)
            for m in SEEDS
        },
        draw_labels,
    ),
    study.Study("refinery_paths", paths_cell, {m: _seeded(_path_rows(), m) for m in SEEDS}, draw_paths, table_paths),
    study.Study(
        "refinery_constants",
        constants_cell,
        {m: _seeded([{"width": w} for w in (50, WIDTH, 500)], m) for m in SEEDS},
        None,
        table_constants,
    ),
)

if __name__ == "__main__":
    sys.exit(study.main("theory.refinery_bounds"))
