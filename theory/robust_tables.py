"""The program with noise beside robust regressions in use: on three classical tables, and under growing corruption.

    python -m theory.robust_tables            a few minutes on two cores
    python -m theory.robust_tables --quick    one draw

``robust_tables``: which of the rows that the literature names each method flags, and which others. A row is flagged
where its residual is beyond 2.5 times 1.48 times the median |residual| (over the rows that are not fitted exactly),
the same rule for all. ``robust_corruption``: error of theta and time, for a share of rows corrupted in y, and for a
share moved to a far corner of the columns and corrupted there (leverage points), where any convex loss of the
residuals must fail, this one too.
"""

import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.linear_model import HuberRegressor, LinearRegression, QuantileRegressor, RANSACRegressor, TheilSenRegressor

from sparseop import plotting, study
from sparseop.linear import diagnose_rows
from sparseop.linear.estimators import MAD, SparseCorruptionRegressor
from sparseop.linear.tables import TABLES, load

SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4)
N, P, NOISE = 100, 5, 0.5
SEEDS = {"paper": 4, "quick": 1}
Fit = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, float]]


def _sklearn(make: Callable[[], object]) -> Fit:
    def fit(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
        model = make().fit(X, y)
        model = getattr(model, "estimator_", model)  # RANSAC's is inside
        return np.ravel(model.coef_), float(np.ravel(model.intercept_)[0])

    return fit


def _rlm(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    import statsmodels.api as sm

    found = sm.RLM(y, sm.add_constant(X, has_constant="add"), M=sm.robust.norms.TukeyBiweight()).fit(maxiter=500)
    return np.asarray(found.params[1:]), float(found.params[0])


def _mm(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    import statsmodels.api as sm
    from statsmodels.robust.resistant_linear_model import RLMDetSMM

    found = RLMDetSMM(y, sm.add_constant(X, has_constant="add")).fit()
    return np.asarray(found.params[1:]), float(found.params[0])


#: method -> how it is fitted, its colour and dash
METHODS: dict[str, tuple[Fit, str, str]] = {
    "sparse corruption": (_sklearn(SparseCorruptionRegressor), plotting.BLUE, "-"),
    "sparse corruption, sigma = 0": (_sklearn(lambda: SparseCorruptionRegressor(sigma=0.0)), plotting.CYAN, "--"),
    "least squares": (_sklearn(LinearRegression), plotting.GREY, ":"),
    "HuberRegressor": (_sklearn(lambda: HuberRegressor(max_iter=10_000)), plotting.GREEN, "-."),
    "QuantileRegressor": (_sklearn(lambda: QuantileRegressor(alpha=0.0, solver="highs")), plotting.YELLOW, "--"),
    "RANSAC": (_sklearn(lambda: RANSACRegressor(random_state=0)), plotting.RED, "-."),
    "TheilSen": (_sklearn(lambda: TheilSenRegressor(max_subpopulation=2000, random_state=0)), plotting.PURPLE, ":"),
    "RLM, bisquare": (_rlm, "#BB5500", "-."),
    "MM": (_mm, "black", "-"),
}


def fitted(method: str, X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float, float, str]:
    """Return coefficients, intercept, CPU seconds, and what failed, if it did."""
    fit, failed = METHODS[method][0], ""
    coefficients, offset, seconds = np.full(X.shape[1], np.nan), float("nan"), float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # convergence is judged by the answer
        try:
            start = time.process_time()
            coefficients, offset = fit(X, y)
            seconds = time.process_time() - start
        except (ValueError, np.linalg.LinAlgError) as error:
            failed = type(error).__name__
    return coefficients, offset, seconds, failed


def table_cell(name: str, method: str) -> study.Row:
    """Return which known outliers a method flags, and how many other rows; and whether the row diagnostics warned."""
    table = load(name)
    coefficients, offset, _, failed = fitted(method, table.X, table.y)
    residual = np.abs(table.y - table.X @ coefficients - offset)
    spread = MAD * np.median(np.sort(residual)[table.X.shape[1] + 1 :])
    flagged = np.flatnonzero(residual > 2.5 * spread)
    known = np.isin(table.outliers, flagged)
    return {
        "known": len(known),
        "found": int(known.sum()),
        "false": len(flagged) - int(known.sum()),
        "coefficients": " ".join(f"{value:.4g}" for value in (offset, *coefficients)),
        "could_hide": int(np.isin(table.outliers, diagnose_rows(table.X).hiding).sum()),
        "failed": failed,
    }


def corruption_cell(where: str, share: float, seed: int, method: str) -> study.Row:
    """Return the error of theta, relative to the noise's share of it, and the CPU time."""
    rng = study.generator("robust corruption", where, seed)
    X, theta = rng.standard_normal((N, P)), rng.standard_normal(P)
    y = X @ theta + 1 + NOISE * rng.standard_normal(N)
    wrong = rng.permutation(N)[: round(share * N)]
    if where == "leverage":
        X[wrong] = 10 + rng.standard_normal((len(wrong), P))
        y[wrong] = -10 + NOISE * rng.standard_normal(len(wrong))
    else:
        y[wrong] += 20 + 5 * rng.standard_normal(len(wrong))
    coefficients, _, seconds, failed = fitted(method, X, y)
    diagnostics = diagnose_rows(X, programs=20) if method == "sparse corruption" else None
    warned = float("nan") if diagnostics is None else float(len(diagnostics.hiding) <= max(len(wrong), 1))
    return {
        "error": float(np.linalg.norm(coefficients - theta)),
        "warned": warned,
        f"_{method}": seconds,
        "failed": failed,
    }


def draw_corruption(table: pd.DataFrame) -> Figure:
    """Draw the error over the share of wrong rows, in y and in leverage points."""
    figure = Figure(figsize=(12.4, 5.0))
    axes = figure.subplots(1, 2, sharey=True)
    for axis, (where, title) in zip(
        axes, (("y", "wrong values of y"), ("leverage", "wrong rows far out: leverage points")), strict=True
    ):
        for method, (_, color, dash) in METHODS.items():
            part = table[(table["where"] == where) & (table.method == method)].groupby("share").error.median()
            axis.plot(
                part.index, part, color=color, ls=dash, label=method, lw=2.6 if method == "sparse corruption" else 1.6
            )
        axis.set(yscale="log", xlabel="share of wrong rows", title=title)
    axes[0].set(ylabel=r"$\|\theta - \theta_\star\|_2$, median")
    axes[0].legend(fontsize=8.5, ncols=2)
    ours = table[(table.method == "sparse corruption") & (table["where"] == "leverage") & (table.share > 0)]
    wrong = table[(table["where"] == "y") & (table.share == max(SHARES))].groupby("method").error.median()
    plotting.caption(
        figure,
        f"Left, {max(SHARES):.0%} of y wrong to one side: ours {wrong['sparse corruption']:.2f}, with sigma = 0"
        f" {wrong['sparse corruption, sigma = 0']:.2f}, MM {wrong['MM']:.2f}.\nRight: every convex method fails, ours"
        f" too; its row diagnostics say so beforehand in {ours.warned.mean():.0%} of {table.seed.nunique()} draws.",
    )
    return figure


def tables_of_tables(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Tabulate found / known (others) for each method and table."""
    text = table.found.astype(str) + " of " + table.known.astype(str) + " (+" + table.false.astype(str) + ")"
    return {
        "": table.assign(text=text)
        .pivot_table(index="method", columns="name", values="text", aggfunc="first")
        .reset_index()
    }


def tables_of_corruption(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Tabulate median errors."""
    return {
        "": table.pivot_table(
            index=["where", "method"], columns="share", values="error", aggfunc="median"
        ).reset_index()
    }


STUDIES = (
    study.Study(
        "robust_tables",
        table_cell,
        {"paper": [{"name": name, "method": method} for name in TABLES for method in METHODS]},
        tables=tables_of_tables,
        packages=("scikit-learn", "statsmodels"),
    ),
    study.Study(
        "robust_corruption",
        corruption_cell,
        {
            mode: [
                {"where": where, "share": share, "seed": seed, "method": method}
                for where in ("y", "leverage")
                for share in SHARES
                for seed in range(count)
                for method in METHODS
            ]
            for mode, count in SEEDS.items()
        },
        draw_corruption,
        tables_of_corruption,
        packages=("scikit-learn", "statsmodels"),
    ),
)

if __name__ == "__main__":
    sys.exit(study.main("theory.robust_tables"))
