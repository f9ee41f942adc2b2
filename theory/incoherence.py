"""What the conditions for exact recovery promise, and what happens: Proposition 3.5 of the SOP paper, step by step.

    python -m theory.incoherence            at most two minutes on two cores
    python -m theory.incoherence --quick    2 trials, 3 ranks, 5 sparsities

The proof is a chain: incoherence (28) => null-space constant rho < 1 (Lemma B.5) => recovery for lam above (B.25)
(Lemma B.4). On Gaussian instances each link is compared with the exact quantity that it bounds.
"""

import sys

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import beta

from sparseop import plotting, study
from sparseop.linear.incoherence import incoherence_condition
from sparseop.linear.nullspace import null_space_constant
from sparseop.linear.problem import gaussian_problem
from sparseop.linear.recovery import recovery_interval, threshold_bound
from sparseop.linear.transition import transition_sparsity

N, P = 100, 150
RANKS = (1, 2, 5, 10, 20, 40, 60)
SPARSITIES = (1, 2, 3, 5, 7, 10, 14, 20, 28, 40, 56, 80)
GRIDS = {
    mode: [{"rank": r, "sparsity": k, "trial": t} for r in ranks for k in sparsities for t in range(trials)]
    for mode, ranks, sparsities, trials in (
        ("paper", RANKS, SPARSITIES, 10),
        ("quick", (1, 5, 20), (1, 3, 7, 20, 56), 2),
        ("full", RANKS, SPARSITIES, 50),
    )
}


def cell(rank: int, sparsity: int, trial: int) -> study.Row:
    """One instance: every quantity of the chain."""
    problem = gaussian_problem(N, P, rank, sparsity, seed=study.generator("incoherence", rank, sparsity, trial))
    condition = incoherence_condition(problem, sparsity)
    # exact up to 2^6 sign patterns, a bracket beyond; where rho >= 1, its size no longer matters
    rho = null_space_constant(problem, max_programs=64 if sparsity <= 7 else 0, stop_at=1.0)
    exact = recovery_interval(problem)
    mu = condition.coherence
    return {
        "mu": mu,
        "holds": condition.holds,
        "weaker_holds": condition.weaker_holds,
        "rho_low": rho.lower,
        "rho_high": rho.upper,
        "rho_exact": rho.exact,
        "rho_lemma": _from_eta(sparsity * np.sqrt(rank * mu / N)),
        "rho_weaker": _from_eta(sparsity * rank * mu / N),
        "lam_0": exact.lower,
        "lam_1": exact.upper,
        "lp_error": exact.error,
        "bound": threshold_bound(problem, rho.upper).corrected,
    }


def _from_eta(eta: float) -> float:
    return eta / (1 - eta) if eta < 1 else np.inf


def tables(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """For each rank and sparsity.

    The share of instances that each link of the chain covers, and how loose (B.25) is.
    """
    rows = []
    for (r, k), group in table.groupby(["rank", "sparsity"]):
        ratio = (group.bound / group.lam_0)[np.isfinite(group.bound)]
        rows.append(
            {
                "r": r,
                "k": k,
                "mu, median": group.mu.median(),
                "(28) holds": group.holds.mean(),
                "2kr < N/mu": group.weaker_holds.mean(),
                "rho < 1 shown": (group.rho_high < 1).mean(),
                "rho >= 1 shown": (group.rho_low >= 1).mean(),
                "recovered at some lam": np.isfinite(group.lam_0).mean(),
                "lam_0, median": group.lam_0.median(),
                "(B.25) by its proof / lam_0, median": ratio.median(),
                "(B.25) as printed / lam_0, median": 2 * ratio.median(),
            }
        )
    return {"": pd.DataFrame(rows)}


def draw(table: pd.DataFrame) -> Figure:
    """Coherence; the sparsity each condition allows; rho against its bounds; lam_0 against (B.25)."""
    figure = Figure(figsize=(11.5, 9.2))
    axes = figure.subplots(2, 2)
    _draw_coherence(axes[0, 0], table)
    _draw_reach(axes[0, 1], table)
    _draw_rho(axes[1, 0], table)
    _draw_threshold(axes[1, 1], table)
    recovered = table[np.isfinite(table.lam_0)]
    bounded = table[np.isfinite(table.bound)]
    plotting.caption(
        figure,
        f"Of the {len(recovered)} of {len(table)} instances that some λ recovers, condition (28) covers"
        f" {recovered.holds.mean():.1%}, 2kr<N/μ {recovered.weaker_holds.mean():.1%}, and ρ < 1, certified,"
        f" {(recovered.rho_high < 1).mean():.1%}.\nThe bound (B.25), as its proof gives it, is"
        f" {(bounded.bound / bounded.lam_0).median():.1f} times the exact threshold in the median. N = {N}, p = {P}.",
    )
    return figure


def _draw_coherence(axis: Axes, table: pd.DataFrame) -> None:
    ranks = sorted(table["rank"].unique())
    axis.boxplot(
        [table[table["rank"] == r].mu for r in ranks],
        positions=ranks,
        widths=[0.18 * r for r in ranks],
        manage_ticks=False,
        medianprops={"color": plotting.RED},
        flierprops={"markersize": 2},
    )
    fine = np.geomspace(ranks[0], ranks[-1], 200)
    axis.plot(
        fine,
        N / fine * beta.ppf(0.5 ** (1 / N), fine / 2, (N - fine) / 2),
        color=plotting.BLUE,
        label="median, were the N leverages independent",
    )
    axis.plot(fine, N / fine, color=plotting.GREY, ls="--", label=r"largest possible, $N/r$")
    axis.axhline(1, color=plotting.GREY, ls=":", label="smallest possible, 1")
    axis.set(xscale="log", yscale="log", ylim=(0.42, 20), xlabel="rank r", ylabel=r"$\mu(J)$")
    axis.set_title("(a) coherence (27)", loc="left")
    axis.legend(loc="lower left")
    plotting.plain_ticks(axis, ranks)
    axis.set_yticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])


def _draw_reach(axis: Axes, table: pd.DataFrame) -> None:
    """Draw, for each rank, the sparsity up to which at least half of the instances satisfy each condition."""
    ranks = sorted(table["rank"].unique())
    mu = np.array([table[table["rank"] == r].mu.median() for r in ranks])
    r = np.array(ranks, dtype=float)
    fine = np.geomspace(ranks[0], ranks[-1], 100)
    axis.plot(
        fine,
        [transition_sparsity(N, x) for x in fine],
        color="black",
        lw=1.2,
        label="recovery, predicted for Gaussian J",
    )
    axis.plot(
        r, _half(table, ranks, np.isfinite(table.lam_0)), "o", color=plotting.GREEN, ms=7, label="recovery at some λ"
    )
    axis.plot(r, _half(table, ranks, table.rho_low < 1), "v", color=plotting.CYAN, ms=7, label="ρ < 1 not excluded")
    axis.plot(r, _half(table, ranks, table.rho_high < 1), "^", color=plotting.BLUE, ms=7, label="ρ < 1 certified")
    axis.plot(r, N / (2 * r * mu), "--s", color=plotting.PURPLE, ms=4, label=r"$2kr < N/\mu$")
    axis.plot(r, np.sqrt(N / (4 * r * mu)), "-.D", color=plotting.RED, ms=4, label=r"(28): $k^2 r < N/(4\mu)$")
    axis.axhspan(0.01, 1, color=plotting.GREY, alpha=0.12, lw=0)
    axis.text(ranks[-1], 0.1, "k < 1: nothing at all", ha="right", fontsize=9, color="#555555")
    axis.set(xscale="log", yscale="log", ylim=(0.08, 130), xlabel="rank r", ylabel="sparsity k")
    axis.set_title("(b) largest sparsity for which half of the instances have", loc="left")
    axis.legend(loc="lower left", fontsize=8.5)
    plotting.plain_ticks(axis, ranks)
    axis.set_yticks([1, 3, 10, 30, 100], ["1", "3", "10", "30", "100"])


def _half(table: pd.DataFrame, ranks: list[int], satisfied: pd.Series) -> list[float]:
    share = satisfied.groupby([table["rank"], table.sparsity]).mean()
    return [max((k for k, value in share[r].items() if value >= 0.5), default=np.nan) for r in ranks]


def _draw_rho(axis: Axes, table: pd.DataFrame) -> None:
    shown = table[table.rho_exact & (table.rho_low > 0) & (table.rho_high < 1)]
    for bound, color, marker, label in (
        ("rho_lemma", plotting.RED, "D", "Lemma B.5"),
        ("rho_weaker", plotting.PURPLE, "s", "Lemma B.5, sharpened"),
    ):
        useful = shown[shown[bound] < 100]
        axis.plot(useful.rho_low, useful[bound], marker, ls="", ms=3.5, color=color, alpha=0.5, mew=0, label=label)
    ends = np.array([1e-3, 1.0])
    axis.plot(ends, ends, color="black", lw=1, label="equality")
    axis.axhspan(1, 100, color=plotting.GREY, alpha=0.12, lw=0)
    axis.text(1.2e-3, 60, "proves nothing", va="center", fontsize=9, color="#555555")
    axis.set(
        xscale="log",
        yscale="log",
        xlim=(1e-3, 1),
        ylim=(1e-3, 100),
        xlabel=r"null-space constant $\rho$, exact",
        ylabel=r"upper bound on $\rho$ from $\mu(J)$",
    )
    axis.set_title("(c) first link: ρ from the coherence", loc="left")
    axis.legend(loc="lower right")


def _draw_threshold(axis: Axes, table: pd.DataFrame) -> None:
    shown = table[np.isfinite(table.bound)]
    for factor, color, marker, label in (
        (2, plotting.RED, "D", "(B.25), as printed"),
        (1, plotting.BLUE, "o", "(B.25), by its proof"),
    ):
        axis.plot(shown.lam_0, factor * shown.bound, marker, ls="", ms=3.5, color=color, alpha=0.45, mew=0, label=label)
    ends = np.array([shown.lam_0.min() / 2, shown.lam_0.max() * 2])
    axis.plot(ends, ends, color="black", lw=1, label="equality")
    axis.set(
        xscale="log", yscale="log", xlim=ends, xlabel=r"exact threshold $\lambda_0$", ylabel=r"bound on $\lambda_0$"
    )
    axis.set_title("(d) second link: the threshold from ρ", loc="left")
    axis.legend(loc="lower right")


STUDIES = (study.Study("incoherence", cell, GRIDS, draw, tables),)

if __name__ == "__main__":
    sys.exit(study.main("theory.incoherence"))
