"""scikit-learn estimators on the row-group program: robust regression and classification that name their suspects.

They need scikit-learn (``pip install sparseop[estimators]``); nothing else in ``sparseop.linear`` does. Both
minimise, over standardised columns x and with an intercept,

    1/2 |theta|^2 + sum_i w_i (lam |s_i|_2 + 1/(2 sigma^2) |y_i - x_i theta - c - s_i|_2^2),

that is, ridge regression of strength sigma^2 with Huber's loss of threshold lam sigma^2; sigma = 0 is the program of
the paper, ridge regression with absolute loss. Standardising a column is the same as the penalty var(x_j) on its own
coefficient, so the answer is in the units of the data, and its certificate is that of ``solve_groups``.
"""

import math
import warnings
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from sparseop.certificate import Certificate
from sparseop.errors import FloatArray, InputError, between, integer, moderate, nonnegative
from sparseop.linear.diagnostics import RowDiagnostics, diagnose_rows
from sparseop.linear.groups import GroupSolution, solve_groups

MAD = 1.482602218505602  # times the median of |x|: the standard deviation, for a Gaussian x


class _SparseCorruption(BaseEstimator):  # type: ignore[misc]
    """What regression and classification share: the data brought to the program, and what the fit says of its rows."""

    coef_: FloatArray
    solution_: GroupSolution

    def _solve(self, X: FloatArray, Y: FloatArray, weights: FloatArray, lam: float, sigma: float) -> GroupSolution:
        return solve_groups(
            X - self._center,
            Y,
            lam,
            sigma=sigma,
            intercept=self.fit_intercept,
            penalties=self._penalties,
            weights=weights,
            tol=self.tol,
            max_iter=self.max_iter,
        )

    def _prepare(self, X: FloatArray, weights: FloatArray) -> None:
        """Weighted means and variances of the columns; a column that does not vary keeps the penalty 1, and gets 0."""
        total = weights.sum()
        self._center = weights @ X / total if self.fit_intercept else np.zeros(X.shape[1])
        self._penalties = np.ones(X.shape[1])
        if self.standardize:
            variance = weights @ (X - weights @ X / total) ** 2 / total
            rounding = (1e-12 * np.abs(X).max(axis=0)) ** 2
            self._penalties = np.where(variance > rounding, variance, 1.0)

    def _finish(self, X: FloatArray, Y: FloatArray, weights: FloatArray) -> None:
        found = self.solution_
        self._diagnostics: RowDiagnostics | None = None
        if not found.converged:
            warnings.warn(f"{type(self).__name__}: {found.message}.", ConvergenceWarning, stacklevel=3)
        self._data = (X - self._center, Y, weights)
        offset = found.intercept - self._center @ found.Theta if self.fit_intercept else found.intercept
        self._offset = offset
        self.n_iter_ = max(found.iterations, 1)
        self.corruption_ = found.S
        self.lam_, self.sigma_ = found.lam, found.sigma

    @property
    def certificate_(self) -> Certificate:
        """Every array of the fit checked against the training data, its columns centred."""
        check_is_fitted(self, "solution_")
        X, Y, weights = self._data
        return self.solution_.certificate(
            X, Y, intercept=self.fit_intercept, penalties=self._penalties, weights=weights
        )

    @property
    def diagnostics_(self) -> RowDiagnostics:
        """Which rows could be wrong and hide, by ``diagnose_rows``: y plays no part; read it beside ``outliers_``."""
        check_is_fitted(self, "solution_")
        X, _, weights = self._data
        if self._diagnostics is None:
            self._diagnostics = diagnose_rows(X[weights > 0], intercept=self.fit_intercept, programs=50)
        return self._diagnostics

    def suspects(self, n: int | None = None) -> Any:
        """Return a pandas data frame of the training rows, the most suspicious first; n of them, or all.

        Columns: ``suspicion`` (``suspicion_``), ``outlier`` (``outliers_``), and what the fit would put in the row's
        place, ``fitted``. The index is that of the data frame the estimator was fitted on, or the number of the row.
        """
        import pandas as pd

        check_is_fitted(self, "solution_")
        count = len(self.suspicion_) if n is None else integer("n", n, 1)
        frame = pd.DataFrame(
            {"suspicion": self.suspicion_, "outlier": self.outliers_, "fitted": self._fitted}, index=self._index
        )
        return frame.sort_values("suspicion", ascending=False, kind="stable").head(count)

    def _linear(self, X: Any) -> FloatArray:
        check_is_fitted(self, "solution_")
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return np.asarray(X @ self.solution_.Theta + self._offset)

    def _checked_parameters(self) -> None:
        nonnegative("sigma", self.sigma)
        between("tol", self.tol, 0.0, 1.0)
        integer("max_iter", self.max_iter, 1)
        if not (self.lam == "auto" or (isinstance(self.lam, Real) and moderate("lam", float(self.lam)))):
            raise InputError(f"lam must be a number > 0 or 'auto', got {self.lam!r}.")


class SparseCorruptionRegressor(RegressorMixin, _SparseCorruption):  # type: ignore[misc]
    """Linear regression that tells corrupted observations from noisy ones.

    Parameters
    ----------
    lam : weight of the corruption, in units of y; "auto" for threshold * scale_ / sigma^2, which makes residuals beyond
        threshold * scale_ count as corruption. With sigma = 0, threshold times the robust spread of y.
    sigma : square root of the strength of the ridge, whatever the units of X (their columns are standardised); 0 for
        the program of the paper, where every residual counts as corruption.
    threshold : residuals beyond this many standard deviations are corruption. 2.5 flags 1 % of
        Gaussian noise.
    fit_intercept, standardize : whether there is an unpenalised constant; whether a column's penalty is its variance.
    tol, max_iter : relative duality gap to reach, and Newton steps to spend at most.

    Attributes
    ----------
    coef_, intercept_ : (p,) and a number, or (K, p) and (K,) for several outputs, which then share their outliers.
    corruption_ : (N, K), the S of the program, exactly zero for clean rows.
    outliers_ : (N,) whether a row is corrupted; with sigma = 0, where any residual is corruption, whether its
        residual is beyond threshold * scale_.
    suspicion_ : (N,) size of the residual over scale_.
    scale_ : robust standard deviation of the noise: 1.48 times the median residual of the fit with absolute loss.
    lam_, sigma_, n_iter_ : weights used, Newton steps.
    solution_ : the ``GroupSolution``, for centred columns; ``certificate_`` checks it.
    diagnostics_ : which rows could be wrong together without being noticed (computed when asked for).

    Raises
    ------
    InputError
        from ``fit``, for a parameter outside its range.
    """

    def __init__(
        self,
        lam: Any = "auto",
        *,
        sigma: float = 1.0,
        threshold: float = 2.5,
        fit_intercept: bool = True,
        standardize: bool = True,
        tol: float = 1e-12,
        max_iter: int = 500,
    ) -> None:
        self.lam = lam
        self.sigma = sigma
        self.threshold = threshold
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.tol = tol
        self.max_iter = max_iter

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit; a weight counts as a repetition of its row."""
        self._checked_parameters()
        moderate("threshold", self.threshold)
        self._index = getattr(X, "index", None)
        X, y = validate_data(self, X, y, multi_output=True, y_numeric=True, dtype=np.float64)
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        Y = np.asarray(y, np.float64).reshape(len(X), -1)
        self._prepare(X, weights)
        self._absolute(X, Y, weights)
        if self.lam != "auto":
            self.solution_ = self._solve(X, Y, weights, float(self.lam), self.sigma)
        elif self.sigma > 0:
            lam = self.threshold * self._floor / self.sigma**2
            self.solution_ = self._solve(X, Y, weights, lam, self.sigma)
        self._finish(X, Y, weights)
        single = np.ndim(y) == 1
        self.coef_ = self.solution_.Theta[:, 0] if single else self.solution_.Theta.T
        self.intercept_ = float(self._offset[0]) if single else self._offset
        self._fitted = self._linear_rows(X)[:, 0] if single else list(self._linear_rows(X))
        residual = np.linalg.norm(Y - self._linear_rows(X), axis=1)
        self.suspicion_ = residual / max(self.scale_, 1e-12 * max(float(np.abs(Y).max()), 1e-300))
        clean = self.suspicion_ <= self.threshold if self.sigma == 0 else self.solution_.zero
        self.outliers_ = ~clean
        return self

    def predict(self, X: Any) -> FloatArray:
        """Return the fitted values, (n,) or (n, K) as y was given."""
        found = self._linear(X)
        return found[:, 0] if np.ndim(self.coef_) == 1 else found

    def plot(self, ax: Any = None) -> Any:
        """Draw observed against fitted values, or y against a single column, the suspects named; return the axes."""
        from sparseop.linear._pictures import draw_regression

        check_is_fitted(self, "solution_")
        return draw_regression(self, ax)

    def _linear_rows(self, X: FloatArray) -> FloatArray:
        return np.asarray(X @ self.solution_.Theta + self._offset_of(self.solution_))

    def _offset_of(self, found: GroupSolution) -> FloatArray:
        return found.intercept - self._center @ found.Theta

    def _absolute(self, X: FloatArray, Y: FloatArray, weights: FloatArray) -> None:
        """Fit with absolute loss, lam of the size of y's spread; its residuals give the scale of the noise.

        The scale is 1.48 times the median of |residual|, less one row for each coefficient: absolute loss fits as
        many rows exactly. Wrong rows hardly move it, so it is not estimated again with Huber's loss, which they may
        swell.
        """
        off = np.linalg.norm(Y - _columns_median(Y, weights) * self.fit_intercept, axis=1)
        spread = MAD * _upper_median(off, weights, 0.0) or float(weights @ off / weights.sum())
        self.solution_ = self._solve(X, Y, weights, max(self.threshold * spread, 1e-12), 0.0)
        residual = np.linalg.norm(Y - self._linear_rows(X), axis=1) / math.sqrt(Y.shape[1])
        fitted = min(X.shape[1] + int(self.fit_intercept), 0.5 * weights.sum())
        self.scale_ = MAD * _upper_median(residual, weights, fitted)
        self._floor = max(self.scale_, 1e-3 * spread, 1e-12)


class SparseCorruptionClassifier(ClassifierMixin, _SparseCorruption):  # type: ignore[misc]
    """Linear classification by the row-group program on one-hot labels: a wrong label is one row of S.

    Parameters
    ----------
    lam : weight of a wrong label; "auto" for 1, whatever the units of X.
    sigma : as in ``SparseCorruptionRegressor``; 0, the default, is the program of the paper with a norm for each row.
    fit_intercept, standardize, tol, max_iter : as there.

    Attributes
    ----------
    classes_ : (K,).
    coef_, intercept_ : (K, p), (K,); for two classes (1, p), (1,), as scikit-learn has it, the difference of the two.
    suspicion_ : (N,) max over other classes of f, less f of the label given: > 0 where another class fits better.
    outliers_ : (N,) whether ``suspicion_`` is > 0: the labels that are probably wrong.
    corruption_, lam_, sigma_, n_iter_, solution_, certificate_ : as in ``SparseCorruptionRegressor``.

    Raises
    ------
    InputError
        from ``fit``, for a parameter outside its range.
    """

    def __init__(
        self,
        lam: Any = "auto",
        *,
        sigma: float = 0.0,
        fit_intercept: bool = True,
        standardize: bool = True,
        tol: float = 1e-12,
        max_iter: int = 500,
    ) -> None:
        self.lam = lam
        self.sigma = sigma
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.tol = tol
        self.max_iter = max_iter

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit; a weight counts as a repetition of its row."""
        self._checked_parameters()
        self._index = getattr(X, "index", None)
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        self.classes_, given = np.unique(y, return_inverse=True)
        if len(np.unique(given[weights > 0])) < 2:
            raise InputError(f"y must have at least two classes, got one class: {self.classes_[given[0]]!r}.")
        Y = np.eye(len(self.classes_))[given]
        self._prepare(X, weights)
        self.solution_ = self._solve(X, Y, weights, 1.0 if self.lam == "auto" else float(self.lam), self.sigma)
        self._finish(X, Y, weights)
        theta, offset = self.solution_.Theta.T, self._offset
        two = len(self.classes_) == 2
        self.coef_ = theta[1:] - theta[:1] if two else theta
        self.intercept_ = offset[1:] - offset[:1] if two else offset
        scores = X @ self.solution_.Theta + offset
        at = np.arange(len(X))
        own = scores[at, given]
        self._fitted = self.classes_[scores.argmax(axis=1)]
        scores[at, given] = -np.inf
        self.suspicion_ = scores.max(axis=1) - own
        self.outliers_ = self.suspicion_ > 0
        return self

    def decision_function(self, X: Any) -> FloatArray:
        """Return f (n, K), which is near a one-hot row; for two classes (n,), f of the second less f of the first."""
        found = self._linear(X)
        return found[:, 1] - found[:, 0] if len(self.classes_) == 2 else found

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the classes with the largest f."""
        best = self._linear(X).argmax(axis=1)
        return np.asarray(self.classes_[best])

    def plot(self, ax: Any = None) -> Any:
        """Draw f of the best other class against f of the label given, the suspects named; return the axes."""
        from sparseop.linear._pictures import draw_labels

        check_is_fitted(self, "solution_")
        return draw_labels(self, ax)


def _upper_median(x: FloatArray, weights: FloatArray, less: float) -> float:
    """Return the median of x without its ``less`` smallest entries, entries counted by their weights."""
    order = np.argsort(x, kind="stable")
    reached = np.cumsum(weights[order])
    at = int(np.searchsorted(reached, less + 0.5 * (reached[-1] - less) - 1e-9 * reached[-1]))
    return float(x[order[min(at, len(x) - 1)]])


def _columns_median(Y: FloatArray, weights: FloatArray) -> FloatArray:
    return np.array([_upper_median(column, weights, 0.0) for column in Y.T])
