"""Sizes per entry and depth: special cases, the flow integrated, programs and rates of convergence."""

import dataclasses

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from sparseop.errors import InputError
from sparseop.linear import LinearProblem, flow_limit, gaussian_problem, solve_convex, solve_groups
from sparseop.linear.variants import deep_flow_limit, sized_flow_limit


@pytest.fixture(scope="module")
def problem():
    return gaussian_problem(20, 40, 3, 3, seed=1)


def apart(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def integrated(problem, velocity, first, read, horizon=300.0):
    """Follow theta' = J^T r beside the factors' own equations; return theta."""
    F, r = problem.F, problem.rank

    def flow(_, z):
        residual = problem.y - F @ z[:r] - read(z[r:])
        return np.concatenate([F.T @ residual, velocity(z[r:], residual)])

    end = solve_ivp(flow, (0, horizon), np.concatenate([np.zeros(r), first]), method="LSODA", rtol=1e-9, atol=1e-14)
    return problem.factor.lift(end.y[:r, -1])


def test_equal_sizes_are_the_flow_of_the_paper(problem):
    theirs = flow_limit(problem, alpha=40.0, gamma=np.exp(-8.0))
    mine = sized_flow_limit(problem, np.full(20, 8.0), alpha=40.0)
    assert mine.converged
    np.testing.assert_allclose(mine.theta, theirs.theta, atol=1e-12)
    np.testing.assert_allclose(mine.s, theirs.s, atol=1e-10)


def test_sizes_become_weights_of_the_program(problem):
    weights = np.random.default_rng(0).uniform(0.5, 2, 20)
    for lam, rate in ((0.1, 1e-3), (0.01, 0.7)):  # recovered: powers of gamma; not: 1 / log(1/gamma)
        program = solve_groups(problem.J, problem.y, lam, weights=weights)
        limits = [sized_flow_limit(problem, L * weights, alpha=L / (2 * lam)) for L in (8.0, 16.0)]
        off = [apart(limit.theta, program.Theta[:, 0]) for limit in limits]
        assert off[1] < rate * off[0] < 0.05
        assert all(limit.certificate(problem).holds for limit in limits)


def test_a_flow_with_sizes_ends_there(problem):
    scales, alpha = np.linspace(3, 6, 20), 20.0
    start = np.exp(-scales)
    theta = integrated(
        problem,
        lambda z, r: np.concatenate([2 * alpha * z[:20] * r, -2 * alpha * z[20:] * r]),
        np.concatenate([start, start]),
        lambda z: z[:20] ** 2 - z[20:] ** 2,
    )
    assert apart(theta, sized_flow_limit(problem, scales, alpha=alpha).theta) < 1e-4


@pytest.mark.parametrize("depth", [3, 4])
def test_a_deep_flow_ends_there(problem, depth):
    lam, gamma = 0.2, 0.1
    alpha = gamma ** (2 - depth) / (lam * depth * (depth - 2))
    theta = integrated(
        problem,
        lambda z, r: np.concatenate(
            [alpha * depth * z[:20] ** (depth - 1) * r, -alpha * depth * z[20:] ** (depth - 1) * r]
        ),
        np.full(40, gamma),
        lambda z: z[:20] ** depth - z[20:] ** depth,
    )
    limit = deep_flow_limit(problem, depth, lam=lam, gamma=gamma)
    assert limit.converged
    assert np.abs(limit.nu).max() < lam
    assert apart(theta, limit.theta) < 1e-4


@pytest.mark.parametrize("depth", [3, 4, 6])
def test_depth_converges_like_a_power_of_gamma(problem, depth):
    """gamma^(q-2) where the program does not recover, gamma^q where it does."""
    for lam, power in ((0.01, depth - 2), (0.1, depth)):
        program = solve_convex(problem, lam)
        off = [apart(deep_flow_limit(problem, depth, lam=lam, gamma=g).theta, program.theta) for g in (0.1, 0.05)]
        assert np.log2(off[0] / off[1]) == pytest.approx(power, rel=0.25)


def test_a_tail_of_the_spectrum_is_noise():
    """(26) for [J, tau I] is the program with noise sigma = tau, whose solution is the first part of theta."""
    problem = gaussian_problem(30, 40, 3, 4, seed=2)
    for tau, lam in ((0.1, 1.0), (0.5, 0.2)):
        whole = solve_convex(LinearProblem(np.hstack([problem.J, tau * np.eye(30)]), problem.y), lam)
        noisy = solve_groups(problem.J, problem.y, lam, sigma=tau)
        np.testing.assert_allclose(noisy.Theta[:, 0], whole.theta[:40], atol=1e-6)
        np.testing.assert_allclose(noisy.S[:, 0], whole.s, atol=1e-6)


@pytest.mark.parametrize("field", ["theta", "s", "nu"])
def test_a_certificate_sees_a_changed_array(problem, field):
    limit = deep_flow_limit(problem, 3, lam=0.1, gamma=0.01)
    assert limit.certificate(problem).holds
    changed = getattr(limit, field).copy()
    changed[np.abs(changed).argmax()] *= 1.001
    assert not dataclasses.replace(limit, **{field: changed}).certificate(problem).holds


def test_hostile_input(problem):
    for call, words in [
        (lambda: deep_flow_limit(problem, 2, lam=1, gamma=0.1), "depth must be >= 3"),
        (lambda: deep_flow_limit(problem, 3, lam=0, gamma=0.1), "lam must be"),
        (lambda: sized_flow_limit(problem, np.zeros(20), alpha=1), "log_scales must be > 0"),
        (lambda: sized_flow_limit(problem, np.ones(3), alpha=1), r"log_scales must have shape"),
    ]:
        with pytest.raises(InputError, match=words):
            call()
