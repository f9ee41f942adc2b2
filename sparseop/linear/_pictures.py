"""Pictures of a fit and its suspects, for the estimators; matplotlib is imported where one is drawn."""

from typing import TYPE_CHECKING, Any

import numpy as np

from sparseop.errors import FloatArray

if TYPE_CHECKING:
    from sparseop.linear.estimators import SparseCorruptionClassifier, SparseCorruptionRegressor

NAMED = 8  # suspects that are named in the picture


def draw_regression(fit: "SparseCorruptionRegressor", ax: Any) -> Any:
    """Draw y against the one column, or observed against fitted values, of the first output."""
    X, Y, _ = fit._data
    columns = [j for j in range(X.shape[1]) if np.ptp(X[:, j]) > 0]
    fitted = (X @ fit.solution_.Theta + fit.solution_.intercept)[:, 0]
    ax = _axes(ax)
    if len(columns) == 1:
        x = X[:, columns[0]] + fit._center[columns[0]]
        order = np.argsort(x)
        ax.plot(x[order], fitted[order], color="0.3", zorder=1, label="fit")
        names = getattr(fit, "feature_names_in_", None)
        ax.set(xlabel="x" if names is None else str(names[columns[0]]), ylabel="y")
    else:
        x = fitted
        ends = [float(fitted.min()), float(fitted.max())]
        ax.plot(ends, ends, color="0.3", zorder=1, label="observed = fitted")
        ax.set(xlabel="fitted", ylabel="observed")
    hiding = fit.diagnostics_.hiding
    rows = np.flatnonzero(fit._data[2] > 0)[hiding]
    ax.scatter(x[rows], Y[rows, 0], s=90, facecolors="none", edgecolors="0.4", label=f"{len(rows)} could hide together")
    _points(ax, x, Y[:, 0], fit, "corrupted")
    return ax


def draw_labels(fit: "SparseCorruptionClassifier", ax: Any) -> Any:
    """Draw f of the best other class against f of the label given: above the diagonal another class fits better."""
    X, Y, _ = fit._data
    scores = X @ fit.solution_.Theta + fit.solution_.intercept
    own = scores[Y == 1]
    scores[Y == 1] = -np.inf
    other = scores.max(axis=1)
    ax = _axes(ax)
    ends = [float(min(own.min(), other.min())), float(max(own.max(), other.max()))]
    ax.plot(ends, ends, color="0.3", zorder=1, label="both fit alike")
    ax.set(xlabel="f of the label given", ylabel="f of the best other class")
    _points(ax, own, other, fit, "label probably wrong")
    return ax


def _axes(ax: Any) -> Any:
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(6.0, 4.5), layout="constrained")[1] if ax is None else ax


def _points(ax: Any, x: FloatArray, y: FloatArray, fit: Any, name: str) -> None:
    from sparseop.plotting import BLUE, RED

    out = fit.outliers_
    ax.scatter(x[~out], y[~out], s=16, color=BLUE, label=f"{int((~out).sum())} clean", zorder=2)
    ax.scatter(x[out], y[out], s=30, color=RED, marker="^", label=f"{int(out.sum())} {name}", zorder=3)
    index = np.arange(len(x)) if fit._index is None else np.asarray(fit._index)
    for row in np.argsort(-fit.suspicion_, kind="stable")[: min(NAMED, int(out.sum()))]:
        ax.annotate(str(index[row]), (x[row], y[row]), textcoords="offset points", xytext=(5, 4), fontsize=9)
    ax.legend(fontsize=9)
