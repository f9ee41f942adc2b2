"""The flow on U U^T + g*g - h*h: against literal gradient descent, closed forms, and robust PCA as gamma shrinks."""

import itertools

import numpy as np
import pytest

from sparseop.errors import InputError
from sparseop.linear import LowRankProblem, gaussian_low_rank, low_rank_flow, robust_pca_gap, solve_robust_pca
from sparseop.linear._chebyshev import MOST_STAGES, advance, coefficients, local_error, longest_step, stages_for


def descent(problem, alpha, gamma, step, steps):
    """Gradient descent on 1/2 |U U^T + g*g - h*h - Y|^2 with ratio alpha, as one would write it down."""
    n = problem.size
    U, g, h = gamma * np.eye(n), np.full((n, n), gamma), np.full((n, n), gamma)
    for _ in range(steps):
        R = U @ U.T + g * g - h * h - problem.Y
        U, g, h = U - step * (R + R.T) @ U, g - alpha * step * 2 * R * g, h + alpha * step * 2 * R * h
    return U @ U.T, g * g - h * h


def relative(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def test_is_the_limit_of_gradient_descent_as_its_step_shrinks():
    """Also where robust PCA does not recover: what the flow finds there is no artefact of the integrator."""
    problem = gaussian_low_rank(8, 2, 0.4, amplitude=4, seed=0)
    alpha = np.sqrt(8)
    flow = low_rank_flow(problem, gamma=1e-3, tol=1e-3, rtol=1e-5)
    off = []
    for step in (2e-3, 1e-3):
        X, S = descent(problem, alpha, 1e-3, step, round(flow.time / step))
        off.append(max(relative(X, flow.X), relative(S, flow.S)))
    assert off[0] < 0.01
    assert 1.6 < off[0] / off[1] < 2.4  # the step's error, linear in it


def test_approaches_robust_pca_at_lam_one_over_alpha_where_that_recovers():
    """Certified: the convex program's dual point bounds how far the flow's X is from optimal."""
    problem = gaussian_low_rank(24, 2, 0.1, seed=5)
    convex = solve_robust_pca(problem, tol=1e-9, max_iter=20_000)
    assert problem.error(convex.X) < 1e-6
    gaps, off, own = [], [], []
    for gamma in (1e-1, 1e-2, 1e-4, 1e-7):
        flow = low_rank_flow(problem, gamma=gamma)
        assert flow.status == "converged"
        assert flow.lam == pytest.approx(convex.lam)
        gaps.append(robust_pca_gap(problem, flow.X, convex.M, convex.lam))
        off.append(relative(flow.X, convex.X))
        own.append(flow.gap)
    assert all(a > 2 * b > 0 for a, b in itertools.pairwise(gaps))
    assert all(a > 2 * b for a, b in itertools.pairwise(off))
    assert gaps[-1] < 1e-4
    assert off[-1] < 5e-4
    assert all(a > b > 0 for a, b in itertools.pairwise(own))
    assert all(a >= b for a, b in zip(own, gaps, strict=True))


def test_need_not_approach_it_where_it_does_not_recover():
    """The statement 'the limit is robust PCA' has a proof where everything commutes.

    Here is a case where it is false.
    """
    problem = gaussian_low_rank(16, 3, 0.4, seed=0)
    convex = solve_robust_pca(problem, tol=1e-8, max_iter=20_000)
    assert problem.error(convex.X) > 0.05
    off = [relative(low_rank_flow(problem, gamma=gamma, tol=1e-4).X, convex.X) for gamma in (1e-4, 1e-8, 1e-12)]
    assert min(off) > 0.03
    assert off[-1] > 0.8 * off[0]


def test_commuting_matrices_follow_the_scalar_closed_form():
    """Diagonal Y: each entry is a scalar flow, whose X is gamma^2 exp(4 N) and S is 2 gamma^2 sinh(4 alpha N)."""
    diagonal, gamma, alpha = np.array([3.0, -2.0, 0.5]), 1e-3, 2.0
    flow = low_rank_flow(LowRankProblem(np.diag(diagonal)), alpha=alpha, gamma=gamma, tol=1e-7, rtol=1e-6)
    N = np.diag(flow.N)
    assert np.allclose(np.diag(flow.X), gamma**2 * np.exp(4 * N), rtol=2e-3)
    assert np.allclose(np.diag(flow.S), 2 * gamma**2 * np.sinh(4 * alpha * N), rtol=1e-9)
    assert np.allclose(np.diag(flow.X + flow.S), diagonal, atol=1e-6)
    assert np.abs(flow.S - np.diag(np.diag(flow.S))).max() == 0


@pytest.mark.parametrize("width", [2, 5, 24])
def test_a_wider_factor_costs_nothing(width):
    problem = gaussian_low_rank(24, 2, 0.1, seed=5)
    flow = low_rank_flow(problem, width=width, gamma=1e-7, tol=1e-4)
    assert problem.error(flow.X) < 5e-3
    assert flow.U.shape == (24, width)


def test_without_g_and_h_the_corruption_stays():
    problem = gaussian_low_rank(24, 2, 0.1, seed=1)
    alone = low_rank_flow(problem, sparse=False, gamma=1e-6)
    values, vectors = np.linalg.eigh((problem.Y + problem.Y.T) / 2)
    best = (vectors * np.maximum(values, 0)) @ vectors.T  # what min |U U^T - Y|^2 is
    assert alone.status == "converged"
    assert relative(alone.X, best) < 1e-2
    assert not alone.S.any()
    assert problem.error(alone.X) > 0.05


@pytest.mark.parametrize(
    ("diagonal", "width"),
    [([1.0, 0.01], 2), ([1.0, 0.3, 0.05], 3), ([2.0, 2.0, 1.0], 1), ([-1.0, -1.0], 2), ([0.0, 0.0], 2)],
)
def test_without_g_and_h_a_saddle_is_no_end(diagonal, width):
    """The flow lingers where the largest eigenvalues have grown and small ones have not.

    And a Y without positive ones is fitted at once.
    """
    flow = low_rank_flow(LowRankProblem(np.diag(diagonal)), sparse=False, width=width, tol=1e-5)
    assert flow.status == "converged"
    assert flow.steps < 2000
    assert np.allclose(np.linalg.eigvalsh(flow.X)[-width:], np.sort(np.maximum(diagonal, 0))[-width:], atol=2e-5)


def test_a_step_limit_is_said():
    flow = low_rank_flow(gaussian_low_rank(10, 1, 0.1, seed=0), max_steps=5)
    assert flow.status == "iteration limit"
    assert flow.residual > 1e-2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"alpha": 0}, "alpha must be a finite number > 0, got 0."),
        ({"gamma": 1e-20}, "gamma must lie in [1e-12, 1), got 1e-20."),
        ({"width": 11}, "width must be >= 1 and <= 10 = size of Y, got 11."),
        ({"tol": 2}, "tol must lie in (0, 1), got 2."),
        ({"max_steps": 0}, "max_steps must be >= 1, got 0."),
    ],
)
def test_what_is_refused(arguments, words):
    with pytest.raises(InputError) as caught:
        low_rank_flow(gaussian_low_rank(10, 1, 0.1, seed=0), **arguments)
    assert words in str(caught.value)


def test_the_integrator_is_of_second_order_and_stable_far_along_the_negative_axis():
    rates = np.array([0.5, 1.0, 3.0])

    def decay(y):
        return -rates * y

    y = np.array([1.0, 2.0, 3.0])
    errors = [np.abs(advance(decay, y, decay(y), step, 5) - y * np.exp(-rates * step)).max() for step in (0.1, 0.05)]
    assert 6 < errors[0] / errors[1] < 10  # local error of order 3
    for stages in (2, 10, 100, MOST_STAGES):
        far = ((stages - 1) ** 2 - 1) / 1.54 if stages > 2 else 1.0
        for z in np.linspace(0, far, 400):
            grown = advance(lambda y, z=z: -z * y, np.ones(1), -z * np.ones(1), 1.0, stages)
            assert abs(grown[0]) <= 1 + 1e-12
        assert len(coefficients(stages)[1]) == stages - 1
    assert stages_for(longest_step(7.0), 7.0) <= MOST_STAGES
    new = advance(decay, y, decay(y), 0.05, 5)
    estimate = np.abs(local_error(y, new, decay(y), decay(new), 0.05)).max()
    assert estimate >= errors[1]
