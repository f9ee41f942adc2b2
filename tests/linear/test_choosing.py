"""Choosing lam: where S vanishes, grids in the data's units, a cross-validation that wrong rows can't steer."""

import numpy as np
import pytest

from sparseop.errors import InputError
from sparseop.linear import solve_groups
from sparseop.linear.choosing import choose_lam, lam_for_share, lam_grid, lam_max


def table(n=80, p=5, k=8, *, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    J, theta = rng.standard_normal((n, p)), rng.standard_normal(p)
    y = J @ theta + noise * rng.standard_normal(n) + 3
    y[:k] += rng.choice([-20, 20], k)
    return J, y, theta


@pytest.mark.parametrize("options", [{}, {"weights": np.linspace(0, 2, 80)}, {"groups": np.arange(80) // 4}])
def test_lam_max_is_where_corruption_vanishes(options):
    J, y, _ = table()
    top = lam_max(J, y, sigma=0.5, intercept=True, **options)
    live = options.get("weights", np.ones(80)) > 0
    assert solve_groups(J, y, top * 1.0001, sigma=0.5, intercept=True, **options).zero[live].all()
    assert not solve_groups(J, y, top * 0.999, sigma=0.5, intercept=True, **options).zero[live].all()


@pytest.mark.parametrize("sigma", [0.0, 0.5])
def test_a_grid_moves_with_the_units(sigma):
    J, y, _ = table()
    grid = lam_grid(J, y, sigma=sigma, n=5, decades=2, intercept=True)
    assert grid[0] / grid[-1] == pytest.approx(100)
    assert (np.diff(grid) < 0).all()
    np.testing.assert_allclose(
        lam_grid(10 * J, 7 * y, sigma=10 * sigma, n=5, decades=2, intercept=True), grid * 7 / 100, rtol=1e-3
    )


def test_without_noise_the_grid_starts_where_the_answer_stands_still():
    J, y, theta = table(noise=0.0)
    top = lam_grid(J, y, intercept=True)[0]
    found = solve_groups(J, y, top, intercept=True)
    np.testing.assert_allclose(found.Theta[:, 0], theta, atol=1e-6)


def test_cross_validation_chooses_a_lam_that_finds_the_corruption():
    J, y, theta = table()
    chosen = choose_lam(J, y, sigma=0.3, intercept=True, folds=4)
    assert chosen.converged
    assert chosen.scores.shape == (20, 4)
    assert chosen.lam in chosen.lams
    assert chosen.lam >= chosen.best
    fit = solve_groups(J, y, chosen.lam, sigma=0.3, intercept=True)
    assert not fit.zero[:8].any()
    np.testing.assert_allclose(fit.Theta[:, 0], theta, atol=0.1)
    # eight wrong rows of eighty, ten thousand times larger: the score does not see them
    wild = y.copy()
    wild[:8] *= 1e4
    again = choose_lam(J, wild, list(chosen.lams), sigma=0.3, intercept=True, folds=4)
    np.testing.assert_allclose(again.scores[-10:], chosen.scores[-10:], rtol=1e-3)


def test_labels_are_scored_by_what_they_say():
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=200)
    J = np.eye(3)[truth] + 0.3 * rng.standard_normal((200, 3))
    given = np.where(rng.random(200) < 0.2, rng.integers(3, size=200), truth)
    chosen = choose_lam(J, np.eye(3)[given], [1e-4, 1.0], score="labels", intercept=True, weights=np.ones(200))
    assert chosen.best == 1.0
    assert 0 < chosen.scores.min() < 0.4


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4])
def test_a_share_of_corruption_is_reached(share):
    J, y, _ = table()
    found = lam_for_share(J, y, share, sigma=0.5, intercept=True)
    assert found.converged
    assert 1 - found.zero.mean() == pytest.approx(share, abs=1.5 / 80)


def test_hostile_input():
    J, y, _ = table(20)
    for call, words in [
        (lambda: lam_max(J, y, sigma=0), "sigma must be a finite number > 0"),
        (lambda: choose_lam(J, y, folds=21), "folds must be >= 2 and <= 20 = N"),
        (lambda: choose_lam(J, y, score="r2"), "score must be one of 'residual', 'labels'"),
        (lambda: choose_lam(J, y, trim=1), r"trim must lie in \[0, 1\)"),
        (lambda: choose_lam(J, y, groups=np.arange(20)), "without groups"),
        (lambda: lam_for_share(J, y, 1.0, sigma=1), r"share must lie in \[0, 1\)"),
        (lambda: lam_grid(J, np.ones(20), sigma=1.0, intercept=True), "Y is fitted without error"),
    ]:
        with pytest.raises(InputError, match=words):
            call()
    assert lam_for_share(J, np.ones(20), 0.1, sigma=1.0, intercept=True).zero.all()
