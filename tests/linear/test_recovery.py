import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparseop.errors import InputError
from sparseop.linear import (
    LinearProblem,
    gaussian_problem,
    null_space_constant,
    recovery_interval,
    recovery_threshold,
    solve_convex,
    threshold_bound,
)


def error(problem, lam):
    found = solve_convex(problem, lam, tol=1e-12)
    return np.linalg.norm(found.theta - problem.theta_star) / np.linalg.norm(problem.theta_star)


def truth(J, theta, s):
    J, theta, s = np.asarray(J, float), np.asarray(theta, float), np.asarray(s, float)
    return LinearProblem(J, J @ theta + s, theta, s)


@pytest.mark.parametrize(("rank", "sparsity"), [(20, 0), (20, 10), (20, 40), (5, 69), (60, 5), (40, 20), (100, 0)])
def test_the_threshold_brackets_recovery(rank, sparsity):
    checked = 0
    for seed in range(4):
        problem = gaussian_problem(100, 150, rank, sparsity, seed=seed)
        interval = recovery_interval(problem)
        assert interval.error < 1e-9
        assert interval.lower == recovery_threshold(problem)
        if interval.lower < np.inf:
            checked += 1
            assert error(problem, 1.01 * interval.lower) < 1e-7
            assert error(problem, 0.99 * interval.lower) > 3e-6
    assert checked >= 2


@pytest.mark.parametrize(("rank", "sparsity"), [(20, 60), (60, 20), (100, 1)])
def test_where_the_threshold_is_infinite_no_weight_recovers(rank, sparsity):
    problem = gaussian_problem(100, 150, rank, sparsity, seed=0)
    interval = recovery_interval(problem)
    assert (interval.lower, interval.upper, interval.error) == (np.inf, 0.0, 0.0)
    assert 1.0 not in interval
    assert min(error(problem, lam) for lam in np.logspace(-4, 4, 9)) > 1e-4


@pytest.mark.parametrize("seed", [165, 179])
def test_recovery_may_stop_at_an_upper_end(seed):
    problem = gaussian_problem(30, 40, 8, 9, seed=seed)
    interval = recovery_interval(problem)
    assert 0 < interval.lower < interval.upper < 1
    assert interval.error < 1e-9
    assert error(problem, 1.01 * interval.lower) < 1e-6
    assert error(problem, math.sqrt(interval.lower * interval.upper)) < 1e-9
    assert error(problem, 0.99 * interval.upper) < 1e-6
    assert error(problem, 1.01 * interval.upper) > 1e-4


# ---- by hand: with r = 1, w_S = sign(s) and the rest of w in the box, and u.w = t J theta / |J| ---------------------


@pytest.mark.parametrize(
    ("J", "theta", "s", "lower", "upper"),
    [
        ([[2.0]], [3.0], [1.0], 1.5, 1.5),  # N = 1: 2 w = 3 t, w = 1: recovery at one weight only
        ([[2.0]], [3.0], [-1.0], np.inf, 0.0),  # ... and w = -1 would need t < 0
        ([[2.0]], [3.0], [0.0], 1.5, np.inf),  # 2 w = 3 t, |w| <= 1: t <= 2/3
        ([[1.0], [1.0]], [1.0], [1.0, 0.0], 0.5, np.inf),  # 1 + w = t: t in [0, 2]
        ([[2.0], [1.0]], [1.0], [1.0, 0.0], 1 / 3, 1.0),  # 2 + w = t: t in [1, 3]
        ([[2.0], [1.0]], [1.0], [-1.0, 0.0], np.inf, 0.0),  # -2 + w = t < 0
        ([[1.0], [2.0]], [1.0], [-5.0, 0.0], 1.0, np.inf),  # -1 + 2 w = t: t in [-3, 1]
        ([[1.0, 1.0], [1.0, 1.0]], [1.0, 1.0], [0.0, 0.0], 0.5, np.inf),  # p = 2: w_1 + w_2 = t
        (np.eye(2), [1.0, 1.0], [1.0, 2.0], 1.0, 1.0),  # r = N: w = t theta
        (np.eye(2), [1.0, 2.0], [1.0, 1.0], np.inf, 0.0),
        (np.eye(2), [1.0, 2.0], [0.0, 0.0], 2.0, np.inf),
        (np.eye(2), [1.0, 2.0], [0.0, 3.0], 2.0, 2.0),
        (np.eye(2), [1.0, 2.0], [3.0, 0.0], np.inf, 0.0),
        (np.zeros((3, 2)), [0.0, 0.0], [1.0, 0.0, -2.0], 0.0, np.inf),  # J = 0: s = y always
        ([[1.0], [1.0], [0.0]], [0.0], [1.0, 0.0, 3.0], 0.0, np.inf),  # theta = 0 and w = (1, -1, 1)
        ([[2.0], [1.0]], [0.0], [3.0, 0.0], np.inf, 0.0),  # theta = 0, and 2 + w = 0 is out of reach
        ([[1.0], [0.0], [1.0]], [2.0], [0.0, 7.0, 0.0], 1.0, np.inf),  # a zero row's corruption costs nothing
    ],
)
def test_small_cases_by_hand(J, theta, s, lower, upper):
    interval = recovery_interval(truth(J, theta, s))
    assert interval.lower == pytest.approx(lower, rel=1e-12)
    assert interval.upper == pytest.approx(upper, rel=1e-12)
    assert interval.error < 1e-12


def test_the_single_weight_that_recovers():
    problem = truth([[2.0]], [3.0], [1.0])
    assert error(problem, 1.5) < 1e-12
    assert error(problem, 1.499) > 1e-4
    assert error(problem, 1.501) > 1e-4


def test_one_parameter_in_closed_form():
    # r = 1: sum_S |u| a_i + (up to) sum_C |u| on one side, a_i = sign(s_i u_i theta)
    rng = np.random.default_rng(0)
    for _ in range(20):
        n, k = 12, int(rng.integers(0, 6))
        u, theta = rng.standard_normal(n), rng.standard_normal()
        s = np.where(np.arange(n) < k, rng.standard_normal(n), 0.0)
        on = np.sign(theta) * (np.sign(s[:k]) @ u[:k])
        off = np.abs(u[k:]).sum()
        interval = recovery_interval(truth(u[:, None], [theta], s))
        assert interval.lower == pytest.approx(abs(theta) / (on + off) if on + off > 0 else np.inf, rel=1e-10)
        if on + off > 0:
            assert interval.upper == pytest.approx(abs(theta) / (on - off) if on > off else np.inf, rel=1e-10)


# ---- invariances -----------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rank=st.integers(1, 5),
    sparsity=st.integers(0, 6),
    scale=st.floats(-6, 6),
    size=st.floats(-6, 6),
)
def test_invariances(seed, rank, sparsity, scale, size):
    plain = gaussian_problem(12, 9, rank, sparsity, seed=seed)
    lower = recovery_threshold(plain)
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.standard_normal((9, 9)))[0]
    rows, signs = rng.permutation(12), rng.choice([-1.0, 1.0], 12)
    c, d = 10.0**scale, 10.0**size
    J = c * (signs[:, None] * plain.J @ Q)[rows]
    moved = truth(J, d * (Q.T @ plain.theta_star), (signs * plain.s_star)[rows] * rng.uniform(0.1, 10, 12))
    assert recovery_threshold(moved) == pytest.approx(lower * d / c, rel=1e-6)


def test_rows_of_very_different_size():
    rng = np.random.default_rng(1)
    J = rng.standard_normal((40, 6)) @ rng.standard_normal((6, 60)) * 10 ** rng.uniform(-3, 3, (40, 1))
    J[3], J[10:20] = 0.0, J[20:30]
    theta = np.linalg.pinv(J) @ (J @ rng.standard_normal(60))
    small = np.argsort(np.linalg.norm(J, axis=1))[1:6]  # a row that decides a direction alone cannot be corrected
    problem = truth(J, theta, np.isin(np.arange(40), small))
    interval = recovery_interval(problem)
    assert interval.error < 1e-9
    assert error(problem, 1.01 * interval.lower) < 1e-7 < error(problem, 0.99 * interval.lower)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 10), p=st.integers(1, 10), exponent=st.integers(-6, 6))
def test_degenerate_vertices_are_certified(seed, n, p, exponent):
    rng = np.random.default_rng(seed)
    J = rng.integers(-1, 2, (n, p)) * 10.0**exponent  # ties, duplicate and zero rows, any rank
    problem = truth(J, J.T @ rng.integers(-2, 3, n), rng.integers(-1, 2, n) * 100.0**exponent)  # s in units of J theta
    interval = recovery_interval(problem)
    assert interval.error < 1e-8
    if 0 < interval.lower < 0.95 * interval.upper:
        assert error(problem, 1.02 * interval.lower) < 1e-4
    if interval.lower < np.inf and np.any(problem.theta_star):
        assert error(problem, 0.9 * interval.lower) > 1e-6


# ---- the paper's bound -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rank", "sparsity"), [(1, 5), (5, 8), (20, 6), (40, 4)])
def test_the_bound_is_sufficient(rank, sparsity):
    for seed in range(2):
        problem = gaussian_problem(100, 150, rank, sparsity, seed=seed)
        bound = threshold_bound(problem)
        assert bound.printed == 2 * bound.corrected
        assert bound.rho < 1
        assert recovery_threshold(problem) <= bound.corrected * (1 + 1e-9) < np.inf


def test_b25_is_twice_what_its_proof_gives():
    # N = 1, J = 1, theta_star = 1, s_star = 0, so rho = 0 and |U Sigma^-1 V^T theta_star|_inf = 1
    problem = truth([[1.0]], [1.0], [0.0])
    lam, s = 0.3, -1.0

    def g(s):  # (B.24)
        return (1.0 - s) ** 2 / 2 + lam * abs(s)

    rise = g(s) - g(0.0)
    quadratic = (1.0 - s) ** 2 - 1.0
    assert not rise >= lam * abs(s) + quadratic  # the proof's first line as printed, without it
    assert rise == pytest.approx(lam * abs(s) + quadratic / 2)  # with it
    bound = threshold_bound(problem)
    assert recovery_threshold(problem) == pytest.approx(bound.corrected)  # reached: no smaller constant can be right
    assert recovery_threshold(problem) < 0.6 * bound.printed


def test_theorem_b6_inverts_its_ratio_in_the_last_line_of_its_proof():
    problem = gaussian_problem(20, 30, 3, 3, seed=0)
    rho = null_space_constant(problem).upper
    x, rng = problem.s_star, np.random.default_rng(0)
    z = x[:, None] + problem.U @ rng.standard_normal((3, 200))
    excess, moved = np.abs(z).sum(0) - np.abs(x).sum(), np.abs(z - x[:, None]).sum(0)
    assert (excess >= (1 - rho) / (1 + rho) * moved - 1e-12).all()
    assert not (excess >= (1 + rho) / (1 - rho) * moved).any()


def test_the_bound_at_the_edges():
    none = gaussian_problem(10, 12, 0, 4, seed=0)
    assert threshold_bound(none).corrected == 0
    assert threshold_bound(gaussian_problem(10, 12, 10, 1, seed=0)).corrected == np.inf  # rho = inf
    clean = gaussian_problem(10, 12, 4, 0, seed=0)
    assert threshold_bound(clean).rho == 0
    assert threshold_bound(clean, 0.5).corrected == pytest.approx(3 * threshold_bound(clean).corrected)
    assert threshold_bound(clean, 1.0).corrected == threshold_bound(clean, np.inf).corrected == np.inf


# ---- refusals --------------------------------------------------------------------------------------------------


def test_refusals_are_one_sentence():
    rng = np.random.default_rng(0)
    J = rng.standard_normal((4, 6))
    with pytest.raises(InputError, match=r"no theta_star and s_star.*recovery is defined by them"):
        recovery_threshold(LinearProblem(J, np.ones(4)))
    with pytest.raises(InputError, match=r"minimum-norm solution of eq. \(14\)"):
        recovery_interval(truth(J, np.ones(6), np.zeros(4)))
    with pytest.raises(InputError, match="rho must be"):
        threshold_bound(gaussian_problem(4, 6, 2, 1, seed=0), -0.1)
    with pytest.raises(InputError, match="rho must be"):
        threshold_bound(gaussian_problem(4, 6, 2, 1, seed=0), math.nan)
