"""The scikit-learn estimators: scikit-learn's own checks, suspects, units, weights, frames, pipelines, pictures."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import HuberRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from sparseop.errors import InputError
from sparseop.linear import solve_groups
from sparseop.linear.estimators import SparseCorruptionClassifier, SparseCorruptionRegressor


def corrupted(n=120, p=4, k=12, *, seed=0):
    rng = np.random.default_rng(seed)
    X, theta = rng.standard_normal((n, p)) * [1, 10, 0.1, 3] + [0, 50, 1, -2], np.array([2.0, 0.3, 10.0, -1.0])
    y = X @ theta + 7 + 0.1 * rng.standard_normal(n)
    y[:k] += rng.choice([-1, 1], k) * rng.uniform(3, 9, k)
    return X, y, theta


def labelled(*, share=0.2, seed=0):
    X, y = load_iris(return_X_y=True)
    X = PolynomialFeatures(2, include_bias=False).fit_transform(X)  # the class in the middle needs a square
    rng = np.random.default_rng(seed)
    given = np.where(rng.random(len(y)) < share, rng.integers(3, size=len(y)), y)
    return X, given, given != y


@pytest.mark.parametrize(
    "estimator",
    [
        pytest.param(SparseCorruptionRegressor(), id="regressor"),
        pytest.param(SparseCorruptionRegressor(sigma=0.0), id="regressor of the paper", marks=pytest.mark.slow),
        pytest.param(SparseCorruptionClassifier(), id="classifier of the paper"),
        pytest.param(SparseCorruptionClassifier(sigma=0.5), id="classifier", marks=pytest.mark.slow),
    ],
)
def test_scikit_learn_accepts_it(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their checks warn of what they skip and provoke
        outcomes = check_estimator(estimator, on_fail="raise", on_skip=None)
    skipped = {outcome["check_name"] for outcome in outcomes if outcome["status"] != "passed"}
    assert skipped <= {"check_array_api_input"}
    assert len(outcomes) > 50


def test_the_corrupted_rows_are_named_and_the_rest_is_fitted():
    X, y, theta = corrupted()
    fit = SparseCorruptionRegressor().fit(X, y)
    assert fit.certificate_.holds
    assert fit.outliers_[:12].all()
    assert fit.outliers_[12:].mean() < 0.05
    np.testing.assert_array_equal(fit.corruption_[:, 0] != 0, fit.outliers_)
    assert fit.scale_ == pytest.approx(0.1, rel=0.4)
    np.testing.assert_allclose(fit.coef_ * X.std(0), theta * X.std(0), atol=0.12)
    assert set(fit.suspects(12).index) == set(range(12))
    with_zero = SparseCorruptionRegressor(sigma=0.0).fit(X, y)
    assert with_zero.outliers_[:12].all()


def test_it_is_hubers_estimate_with_a_ridge():
    """HuberRegressor(alpha=0) minimises sum_i H(r_i / s) s + n s; given its s, lam = epsilon s / sigma^2."""
    X, y, _ = corrupted()
    X = StandardScaler().fit_transform(X)
    huber = HuberRegressor(epsilon=1.5, alpha=0.0, tol=1e-10, max_iter=10_000).fit(X, y)
    sigma = 1e-3
    fit = SparseCorruptionRegressor(1.5 * huber.scale_ / sigma**2, sigma=sigma).fit(X, y)
    np.testing.assert_allclose(fit.coef_, huber.coef_, atol=1e-5)
    assert fit.intercept_ == pytest.approx(huber.intercept_, abs=1e-5)
    np.testing.assert_array_equal(fit.outliers_, huber.outliers_)


def test_units_of_the_columns_and_of_y_do_not_matter():
    X, y, _ = corrupted()
    units = np.array([1e-6, 1.0, 1e9, 1e3])
    plain, scaled = (
        SparseCorruptionRegressor().fit(X, y),
        SparseCorruptionRegressor().fit(X * units + 3 * units, 1e4 * y - 5),
    )
    np.testing.assert_allclose(scaled.coef_ * units, 1e4 * plain.coef_, rtol=1e-6)
    np.testing.assert_array_equal(scaled.outliers_, plain.outliers_)
    assert scaled.lam_ == pytest.approx(1e4 * plain.lam_)


def test_a_weight_is_a_repetition():
    X, y, _ = corrupted(60, k=6)
    weights = np.random.default_rng(1).integers(0, 3, 60)
    weighted = SparseCorruptionRegressor().fit(X, y, sample_weight=weights)
    repeated = SparseCorruptionRegressor().fit(np.repeat(X, weights, 0), np.repeat(y, weights))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-6)
    assert weighted.scale_ == pytest.approx(repeated.scale_)
    assert weighted.certificate_.holds


def test_several_outputs_share_their_suspects():
    X, y, _ = corrupted()
    Y = np.column_stack([y, -2 * y])
    fit = SparseCorruptionRegressor().fit(X, Y)
    assert fit.coef_.shape == (2, 4)
    assert fit.predict(X).shape == (120, 2)
    np.testing.assert_allclose(fit.coef_[1], -2 * fit.coef_[0], rtol=1e-5)
    assert fit.outliers_[:12].all()


def test_frames_keep_their_names_and_rows():
    X, y, _ = corrupted()
    frame = pd.DataFrame(X, columns=list("abcd"), index=[f"row {i}" for i in range(120)])
    fit = SparseCorruptionRegressor().fit(frame, pd.Series(y, index=frame.index))
    assert list(fit.feature_names_in_) == list("abcd")
    assert set(fit.suspects(12).index) == {f"row {i}" for i in range(12)}
    assert list(fit.suspects().columns) == ["suspicion", "outlier", "fitted"]
    with pytest.raises(ValueError, match="feature names should match"):
        fit.predict(frame[["b", "a", "c", "d"]])


def test_pipelines_and_grid_search():
    X, y, _ = corrupted()
    pipe = make_pipeline(PolynomialFeatures(2), StandardScaler(), SparseCorruptionRegressor())
    search = GridSearchCV(pipe, {"sparsecorruptionregressor__sigma": [0.1, 1.0, 30.0]}, cv=3)
    search.fit(X, y)
    assert search.best_estimator_[-1].certificate_.holds
    assert search.best_score_ > 0.5
    X, given, _ = labelled()
    search = GridSearchCV(SparseCorruptionClassifier(), {"lam": [0.01, 1.0]}, cv=3).fit(X, given)
    assert search.best_score_ > 0.6


def test_wrong_labels_are_proposed_again():
    X, given, wrong = labelled()
    fit = SparseCorruptionClassifier().fit(X, np.array(["setosa", "versicolor", "virginica"])[given])
    assert fit.certificate_.holds
    assert (fit.outliers_ == wrong).mean() > 0.85
    assert fit.score(X, np.array(["setosa", "versicolor", "virginica"])[load_iris().target]) > 0.8
    assert set(fit.suspects(5)["fitted"]) <= set(fit.classes_)
    direct = solve_groups(
        X - X.mean(0), np.eye(3)[given], 1.0, intercept=True, penalties=X.var(0)
    )  # standardising by hand
    np.testing.assert_allclose(fit.coef_, direct.Theta.T, atol=1e-4)


def test_two_classes_have_one_decision():
    X, given, _ = labelled()
    two = given < 2
    fit = SparseCorruptionClassifier().fit(X[two], given[two])
    assert fit.decision_function(X[two]).shape == (two.sum(),)
    np.testing.assert_array_equal(fit.predict(X[two]) == 1, fit.decision_function(X[two]) > 0)
    np.testing.assert_allclose(X[two] @ fit.coef_[0] + fit.intercept_[0], fit.decision_function(X[two]), atol=1e-9)


def test_plain_and_hostile_tables_are_answered():
    X, y, _ = corrupted(40, k=4)
    constant = np.column_stack([X, np.full(40, 3.7)])
    np.testing.assert_allclose(
        SparseCorruptionRegressor().fit(constant, y).coef_,
        np.r_[SparseCorruptionRegressor().fit(X, y).coef_, 0],
        rtol=1e-6,
    )
    one_hot = np.eye(3)[np.arange(40) % 3]
    collinear = SparseCorruptionRegressor().fit(np.hstack([X, one_hot]), y)
    assert collinear.certificate_.holds
    assert collinear.coef_[4:] @ one_hot.var(0) == pytest.approx(0, abs=1e-6)  # of all that fit alike, the least
    same = SparseCorruptionRegressor().fit(X, np.full(40, 2.0))
    assert same.intercept_ == pytest.approx(2.0)
    assert not same.outliers_.any()
    assert SparseCorruptionRegressor().fit(np.tile(X[:1], (5, 1)), y[:5]).certificate_.holds
    with pytest.warns(ConvergenceWarning, match="iterations"):
        SparseCorruptionRegressor(1.0, max_iter=1, sigma=0.0).fit(X, y)
    for estimator, words in [
        (SparseCorruptionRegressor(lam=-1), "lam must be"),
        (SparseCorruptionRegressor(lam="some"), "lam must be a number > 0 or 'auto', got 'some'"),
        (SparseCorruptionRegressor(sigma=-1), "sigma must be"),
        (SparseCorruptionRegressor(threshold=0), "threshold must be"),
        (SparseCorruptionClassifier(tol=2), "tol must lie"),
    ]:
        with pytest.raises(InputError, match=words):
            clone(estimator).fit(X, np.arange(40) % 2)
    with pytest.raises(InputError, match="two classes"):
        SparseCorruptionClassifier().fit(X, np.zeros(40, int))


@pytest.mark.parametrize("columns", [1, 4])
def test_the_picture_shows_every_row_and_names_suspects(columns):
    X, y, _ = corrupted()
    if columns == 1:
        y = y - X[:, 1:] @ [0.3, 10.0, -1.0]
    fit = SparseCorruptionRegressor().fit(X[:, :columns], y)
    ax = fit.plot()
    try:
        assert sum(len(points.get_offsets()) for points in ax.collections) == 120 + len(fit.diagnostics_.hiding)
        assert {text.get_text() for text in ax.texts} <= {str(i) for i in np.flatnonzero(fit.outliers_)}
        assert ax.texts
    finally:
        plt.close(ax.figure)
    X, given, _ = labelled()
    ax = SparseCorruptionClassifier().fit(X, given).plot()
    try:
        assert sum(len(points.get_offsets()) for points in ax.collections) == 150
    finally:
        plt.close(ax.figure)
