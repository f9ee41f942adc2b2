"""Kernels: the same answers as with the features, new rows, a certified rank, and matrices that are no kernel."""

import numpy as np
import pytest

from sparseop.errors import InputError
from sparseop.linear import solve_groups
from sparseop.linear.kernels import kernel_factor, solve_kernel_groups


def data(n=60, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 2))
    Y = np.column_stack([np.sin(X[:, 0]), X[:, 1] ** 2])
    Y[:6] += 3
    return X, Y


def rbf(A, B):
    return np.exp(-0.5 * ((A[:, None] - B[None]) ** 2).sum(2))


@pytest.mark.parametrize("sigma", [0.0, 0.2])
def test_a_linear_kernel_is_the_program_on_the_columns(sigma):
    X, Y = data()
    direct = solve_groups(X, Y, 1.0, sigma=sigma, intercept=True)
    found = solve_kernel_groups(X @ X.T, Y, 1.0, sigma=sigma, intercept=True)
    assert found.gap < 1e-8
    np.testing.assert_allclose(X.T @ found.V, direct.Theta, atol=1e-5)
    new = np.random.default_rng(1).standard_normal((5, 2))
    np.testing.assert_allclose(found.predict(new @ X.T), direct.predict(new), atol=1e-4)


def test_a_kernel_finds_what_is_wrong_and_predicts():
    X, Y = data(150)
    found = solve_kernel_groups(rbf(X, X), Y, 10.0, sigma=0.1, intercept=True)
    assert found.gap < 1e-7
    assert np.linalg.norm(found.S, axis=1)[:6].min() > 5 * np.linalg.norm(found.S, axis=1)[6:].max()
    new = 0.5 * np.random.default_rng(1).standard_normal((20, 2))
    expected = np.column_stack([np.sin(new[:, 0]), new[:, 1] ** 2])
    assert np.abs(found.predict(rbf(new, X)) - expected).max() < 0.3


def test_a_smaller_rank_is_paid_for_in_the_gap():
    X, Y = data(100)
    K = rbf(X, X)
    rough, fine = (solve_kernel_groups(K, Y, 1.0, sigma=0.3, rank=rank) for rank in (6, 60))
    assert rough.rest > 1e3 * fine.rest
    assert fine.gap < 1e-3 * rough.gap
    assert rough.status == "inaccurate"


def test_the_factor_is_certified_and_knows_new_rows():
    X, _ = data()
    K = rbf(X, X)
    factor = kernel_factor(K, tol=1e-6)
    assert factor.G.shape[1] < 60
    left = np.linalg.eigvalsh(K - factor.G @ factor.G.T)
    assert left.min() > -1e-10
    assert left.sum() / np.trace(K) == pytest.approx(factor.rest, rel=1e-6)
    assert factor.rest <= 1e-6
    np.testing.assert_allclose(factor.features(K), factor.G, atol=1e-7)


def test_matrices_that_are_no_kernel_are_refused():
    X, Y = data(10)
    K = rbf(X, X)
    for bad, words in [
        (K[:, :9], "K must be square"),
        (K + np.triu(np.ones((10, 10)), 1), "K must be symmetric"),
        (-K, "K must be positive semidefinite"),
        (K - 0.5 * np.ones((10, 10)), "K must be positive semidefinite"),
        (np.array([[0.0, 1.0], [1.0, 0.0]]), "K must be positive semidefinite"),
    ]:
        with pytest.raises(InputError, match=words):
            kernel_factor(bad)
    with pytest.raises(InputError, match="K_new must have shape"):
        solve_kernel_groups(K, Y, 1.0).predict(K[:, :3])
    assert kernel_factor(np.zeros((3, 3))).G.shape == (3, 0)
    assert solve_kernel_groups(np.zeros((3, 3)), [1.0, 2.0, 3.0], 1.0, sigma=1.0).converged
