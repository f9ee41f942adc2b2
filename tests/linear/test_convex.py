"""The convex program: certificates, independent solvers, hand-derived cases, symmetries, hostile input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparseop.errors import InputError
from sparseop.linear import LinearProblem, gaussian_problem, solve_convex
from sparseop.status import Status


def kkt_residual(problem, solution):
    """Largest violation of (B.3): y = J theta + s, theta = J^T nu, nu in lam sign(s), each relative to its terms."""
    J, y, lam = problem.J, problem.y, solution.lam
    scale = np.abs(y).max() + np.abs(J).max() * np.abs(solution.theta).max()
    equation = np.abs(y - J @ solution.theta - solution.s).max() / scale
    row_space = np.abs(solution.theta - J.T @ solution.nu).max() / (np.abs(solution.theta).max() + 1e-300)
    sign = np.abs(solution.nu - lam * np.sign(solution.s))[solution.s != 0].max(initial=0.0) / lam
    box = (np.abs(solution.nu).max() - lam) / lam
    return max(equation, row_space, sign, box)


@pytest.mark.parametrize("lam", [1e-3, 1e-2, 0.1, 1.0, 100.0])
@pytest.mark.parametrize(("rank", "sparsity"), [(1, 0), (5, 5), (20, 40), (60, 20), (90, 50), (100, 10)])
def test_kkt_conditions_hold_to_rounding(rank, sparsity, lam):
    problem = gaussian_problem(100, 150, rank, sparsity, seed=7)
    solution = solve_convex(problem, lam, tol=1e-13)
    assert solution.status == "optimal"
    assert kkt_residual(problem, solution) < 1e-8


@pytest.mark.parametrize("solver", ["ECOS", "CLARABEL"])
@pytest.mark.parametrize(
    ("n", "p", "rank", "sparsity", "lam"), [(30, 45, 6, 4, 0.1), (30, 20, 20, 5, 0.03), (12, 40, 12, 3, 1.0)]
)
def test_agrees_with_general_solvers_on_the_printed_program(solver, n, p, rank, sparsity, lam):
    """They minimise over (theta, s) with J itself.

    Ours over b with the factor. The objective is strictly convex in theta.
    """
    problem = gaussian_problem(n, p, rank, sparsity, seed=1)
    mine, theirs = solve_convex(problem, lam), solve_convex(problem, lam, solver=solver)
    assert mine.objective == pytest.approx(theirs.objective, rel=1e-8)
    np.testing.assert_allclose(mine.theta, theirs.theta, atol=1e-4 * np.abs(mine.theta).max())
    assert theirs.solver.startswith(solver)
    assert theirs.gap < 1e-6  # certified from the solver's own multipliers, not from what it reports


def test_one_observation_by_hand():
    """N = p = 1, J = 2, y = 3: theta = 2 nu, so nu = y / J^2 = 3/4 where lam >= 3/4, else nu = lam, s = 3 - 4 lam."""
    problem = LinearProblem([[2.0]], [3.0])
    small, large = solve_convex(problem, 0.5), solve_convex(problem, 10.0)
    np.testing.assert_allclose([small.theta[0], small.s[0], small.nu[0]], [1.0, 1.0, 0.5], rtol=1e-12)
    np.testing.assert_allclose([large.theta[0], large.s[0]], [1.5, 0.0], rtol=1e-12)
    assert large.s[0] == 0.0


def test_tiny_lam_by_hand():
    """For lam -> 0 every s_i keeps the sign of y_i, nu = lam sign(y), theta = lam J^T sign(y)."""
    problem = gaussian_problem(20, 30, 5, 3, seed=0)
    solution = solve_convex(problem, 1e-8)
    np.testing.assert_allclose(solution.theta, 1e-8 * problem.J.T @ np.sign(problem.y), rtol=1e-7)


def test_matches_support_vector_regression():
    """Problem (26) is linear support-vector regression with epsilon = 0, C = lam, no intercept (others' code)."""
    from sklearn.svm import LinearSVR

    problem = gaussian_problem(25, 8, 4, 5, seed=3)
    machine = LinearSVR(epsilon=0.0, C=0.2, fit_intercept=False, tol=1e-8, max_iter=1_000_000, random_state=0).fit(
        problem.J, problem.y
    )
    solution = solve_convex(problem, 0.2)
    theirs = 0.5 * machine.coef_ @ machine.coef_ + 0.2 * np.abs(problem.y - problem.J @ machine.coef_).sum()
    assert solution.objective <= theirs * (1 + 1e-12)
    assert solution.objective == pytest.approx(theirs, rel=1e-7)
    np.testing.assert_allclose(solution.theta, machine.coef_, atol=1e-7)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1.0, 1e3, 1e6])
@pytest.mark.parametrize(
    ("n", "p", "rank", "sparsity"), [(1, 5, 1, 1), (30, 5, 5, 3), (30, 60, 30, 3), (30, 60, 5, 0), (60, 90, 50, 30)]
)
def test_any_scale_of_J_and_lam(n, p, rank, sparsity, scale):
    """Optimal wherever float64 can show it; beyond lam |J|^2 / |y| of about 1e14 the status says where it cannot."""
    base = gaussian_problem(n, p, rank, sparsity, seed=3)
    problem = LinearProblem(base.J * scale, base.y)
    ridge = np.square(problem.J).sum(axis=1).max() / np.abs(problem.y).max()
    for lam in 10.0 ** np.arange(-8, 9, 2):
        solution = solve_convex(problem, lam)
        assert np.isfinite(solution.theta).all()
        assert np.isfinite(solution.s).all()
        assert isinstance(solution.status, Status)
        if lam * ridge < 1e14:
            assert solution.status == "optimal", (lam, solution.message)


def test_degenerate_data():
    rng = np.random.default_rng(0)
    J = rng.standard_normal((20, 10))
    doubled = LinearProblem(np.vstack([J, J, np.zeros((3, 10))]), rng.standard_normal(43))
    assert doubled.rank == 10
    zero = LinearProblem(np.zeros((4, 3)), [1.0, -2.0, 0.0, 3.0])
    silent = LinearProblem(J, np.zeros(20))
    for lam in (1e-8, 0.1, 1e8):
        assert solve_convex(doubled, lam).status == "optimal"
        np.testing.assert_array_equal(solve_convex(zero, lam).s, zero.y)
        np.testing.assert_array_equal(solve_convex(silent, lam).theta, np.zeros(10))
        assert solve_convex(silent, lam).gap == 0.0


def test_reports_what_it_could_not_reach():
    solution = solve_convex(gaussian_problem(100, 150, 60, 20, seed=0), 0.1, max_iter=2)
    assert solution.status == "iteration limit"
    assert solution.gap > 1e-9
    assert "iterations allowed ran out" in solution.message


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), lam=st.floats(1e-3, 1e2), scale=st.floats(1e-2, 1e2))
def test_symmetries(seed, lam, scale):
    """Scaling y and lam together scales the solution; a sign flip and a permutation of rows, and a rotation of the
    parameters, act on the solution as they do on the data."""
    rng = np.random.default_rng(seed)
    problem = gaussian_problem(20, 30, 4, 5, seed=seed)
    solution = solve_convex(problem, lam, tol=1e-12)
    theta, s = solution.theta, solution.s
    size = np.abs(problem.y).max()

    scaled = solve_convex(LinearProblem(problem.J, scale * problem.y), scale * lam, tol=1e-12)
    np.testing.assert_allclose(scaled.s, scale * s, atol=1e-6 * scale * size)

    order, flip = rng.permutation(20), rng.choice([-1.0, 1.0], 20)
    moved = solve_convex(LinearProblem((flip[:, None] * problem.J)[order], (flip * problem.y)[order]), lam, tol=1e-12)
    np.testing.assert_allclose(moved.s, (flip * s)[order], atol=1e-6 * size)
    np.testing.assert_allclose(moved.theta, theta, atol=1e-6 * size)

    Q = np.linalg.qr(rng.standard_normal((30, 30)))[0]
    turned = solve_convex(LinearProblem(problem.J @ Q, problem.y), lam, tol=1e-12)
    np.testing.assert_allclose(turned.theta, Q.T @ theta, atol=1e-6 * size)


@pytest.mark.slow
def test_a_hundred_thousand_observations_in_factors():
    """N = 100,000, r = 100 from factors: neither an N x p nor an N x N matrix is formed (320 GB and 80 GB here)."""
    rng = np.random.default_rng(0)
    n, r, p = 100_000, 100, 400_000
    A, B = rng.standard_normal((n, r)), rng.standard_normal((r, p)) / np.sqrt(p)
    theta, s = B.T @ rng.standard_normal(r), np.zeros(n)
    s[rng.permutation(n)[:20_000]] = rng.standard_normal(20_000)
    problem = LinearProblem.from_factors(A, B, A @ (B @ theta) + s)
    solution = solve_convex(problem, 1.0)
    assert solution.status == "optimal"
    np.testing.assert_allclose(solution.s, s, atol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"lam": 0.0}, "lam must be a finite number > 0, got 0.0"),
        ({"lam": -1.0}, "lam must be a finite number > 0"),
        ({"lam": np.nan}, "lam must be a finite number > 0, got nan"),
        ({"lam": "x"}, "lam must be a real number, got 'x'"),
        ({"lam": 1.0, "solver": "ecos"}, "Did you mean 'ECOS'"),
        ({"lam": 1.0, "tol": 0.0}, "tol must lie in"),
        ({"lam": 1.0, "max_iter": 0}, "max_iter must be >= 1"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(InputError, match=words.replace("(", r"\(")):
        solve_convex(gaussian_problem(5, 8, 2, 1, seed=0), **arguments)
