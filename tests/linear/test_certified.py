"""What the convex program's certificate promises, on inputs once called optimal and wrong, and their kind."""

import pickle
from copy import deepcopy
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from sparseop.linear import LinearProblem, gaussian_problem, recovery_interval, solve_convex, solve_path
from sparseop.status import Status

SHAPES = ((100, 5, 5, 30), (100, 150, 20, 20), (60, 90, 10, 10), (200, 20, 20, 60), (100, 150, 50, 10))
AMPLITUDES = (1.0, 1e3, 1e6, 1e9)


def recovered(shape, seed, amplitude):
    """Solve a noiseless instance with outliers ``amplitude`` times as large, at a weight that recovers the truth."""
    truth = gaussian_problem(*shape, seed=seed)
    interval = recovery_interval(truth)
    lam = 2 * interval.lower
    if not lam < interval.upper:
        return None
    solution = solve_convex(LinearProblem(truth.J, truth.y + (amplitude - 1) * truth.s_star), lam)
    error = np.linalg.norm(solution.theta - truth.theta_star) / np.linalg.norm(truth.theta_star)
    return solution, error, bool(((solution.s != 0) == (truth.s_star != 0)).all())


def test_gross_outliers_by_the_issue():
    g = gaussian_problem(100, 5, 5, 30, seed=8)
    solution = solve_convex(LinearProblem(g.J, g.y + 1e6 * g.s_star), 100.0)
    assert solution.status == "optimal"
    assert np.count_nonzero(solution.s) == 30
    np.testing.assert_allclose(solution.theta, g.theta_star, rtol=1e-9)


@pytest.mark.parametrize("amplitude", AMPLITUDES)
@pytest.mark.parametrize("shape", SHAPES)
def test_outliers_of_any_size_leave_theta_alone(shape, amplitude):
    solution, error, exact = recovered(shape, 11, amplitude)
    assert solution.converged
    assert exact
    assert error < 1e-6
    assert error * np.linalg.norm(solution.theta) <= solution.bound * (1 + 1e-6) + 1e-12


@pytest.mark.slow
def test_five_hundred_instances_at_four_amplitudes():
    found = [recovered(shape, 1000 + seed, size) for shape in SHAPES for seed in range(100) for size in AMPLITUDES]
    found = [each for each in found if each is not None]
    assert len(found) > 1800
    assert all(error < 1e-6 for solution, error, _ in found if solution.converged)
    assert np.mean([solution.converged for solution, _, _ in found]) >= 0.99
    assert np.mean([exact for _, _, exact in found]) >= 0.99


def test_the_bound_holds_where_the_solver_stops_early():
    problem = gaussian_problem(100, 150, 60, 20, seed=0)
    exact = solve_convex(problem, 0.1)
    for limit in range(1, 10):
        early = solve_convex(problem, 0.1, max_iter=limit)
        assert np.linalg.norm(early.theta - exact.theta) <= early.bound + exact.bound


@pytest.mark.parametrize("solver", ["interior-point", "ECOS", "CLARABEL"])
def test_zeros_are_zeros(solver):
    ones = solve_convex(LinearProblem(np.ones((10, 1)), [0] * 7 + [1] * 3), 1.0, solver=solver)
    assert ones.converged
    np.testing.assert_array_equal(ones.s, [0] * 7 + [1] * 3)
    g = gaussian_problem(40, 60, 8, 6, seed=1)
    assert np.count_nonzero(solve_convex(g, 0.3, solver=solver).s) == np.count_nonzero(solve_convex(g, 0.3).s) < 40


def test_whole_number_problems_have_no_entry_that_is_rounding():
    rng, proven = np.random.default_rng(0), 0
    for _ in range(200):
        n, p = rng.integers(2, 12), rng.integers(1, 8)
        problem = LinearProblem(rng.integers(-2, 3, (n, p)), rng.integers(-3, 4, n))
        lam = float(rng.choice([0.5, 1.0, 3.0, 100.0]))
        solution = solve_convex(problem, lam)
        proven += solution.converged
        assert not solution.converged or (np.abs(solution.s[solution.s != 0]) > 1e-12).all()
        assert solution.certificate(problem).holds
    assert proven >= 199  # degenerate ones may end "inaccurate", which is said


def test_a_small_corruption_survives():
    J, y = np.vstack([np.random.default_rng(0).standard_normal((20, 3)), np.zeros((1, 3))]), np.zeros(21)
    y[:20] = J[:20] @ [1.0, 2.0, 3.0]
    y[20], y[3] = 1e-13, y[3] + 1e-11
    s = solve_convex(LinearProblem(J, y), 10.0).s
    assert s[20] == 1e-13
    np.testing.assert_array_equal(np.flatnonzero(s), [3, 20])
    y[3] += 1.0
    theirs = solve_convex(LinearProblem(J, y), 10.0, solver="CLARABEL").s
    assert theirs[20] == 1e-13
    np.testing.assert_array_equal(np.flatnonzero(theirs), [3, 20])


def test_nothing_of_J_is_lost_to_a_column_of_another_size():
    N = 20000
    J = np.c_[5e9 * np.random.default_rng(0).random(N), np.arange(N) < 3]
    y = J @ [1 / 5e9, 5.0]
    for problem in (LinearProblem(J, y), LinearProblem.from_factors(J, np.eye(2), y)):
        solution = solve_convex(problem, 1.0)
        assert problem.rank == 2
        assert solution.objective == pytest.approx(10.5, rel=1e-9)  # theta = (2e-10, 3): three times s = 2
        assert solution.converged
        assert solution.certificate(problem).holds
    flat = LinearProblem(np.c_[J[:50], -J[:50, :1]][:, [0, 2, 1]].T.copy(), [1.0, -1.0, 2.0])
    assert flat.rank == 2  # rows 1 and 2 are negatives, exactly


def test_the_certificate_is_that_of_J_where_columns_depend():
    """A polynomial of degree 10 as in NIST's Filip: whatever the status, the gap is that of the user's J."""
    x = np.linspace(-8.8, -3.1, 82)
    problem = LinearProblem(np.vander(x, 11, increasing=True), np.sin(x))
    for lam in (1.0, 1e3):
        solution = solve_convex(problem, lam)
        nu = [
            Fraction(high) + Fraction(low)
            for high, low in zip(solution.nu.tolist(), solution.nu_low.tolist(), strict=True)
        ]
        pull = [sum(Fraction(a) * n for a, n in zip(column, nu, strict=True)) for column in problem.J.T.tolist()]
        apart = np.array([float(each - Fraction(own)) for each, own in zip(pull, solution.theta.tolist(), strict=True)])
        slack = lam * np.abs(solution.s).sum() - solution.s @ solution.nu
        excess = 0.5 * apart @ apart + slack
        assert excess / (0.5 * solution.theta @ solution.theta) <= 1.1 * solution.gap
        assert solution.certificate(problem).holds


def test_a_path_ends_as_a_single_solve_does():
    J = [[1, 0, -1], [1, 0, -1], [1, 0, 0], [0, 1, -1], [0, 0, 1]]
    problem = LinearProblem(J, [0, -1, -2, -1, 0])
    for lam in (1e4, 1e8, 1e10):
        alone, along = solve_convex(problem, lam), solve_path(problem, [lam, 1.0])[0]
        assert alone.status == along.status == "optimal"
        np.testing.assert_allclose(along.theta, alone.theta, atol=1e-12)
        np.testing.assert_array_equal(np.sign(along.s), np.sign(alone.s))


def test_every_array_of_a_solution_is_covered():
    problem = gaussian_problem(30, 45, 6, 4, seed=0)
    for solution in (
        solve_convex(problem, 0.3),
        solve_convex(problem, 1e7),
        solve_convex(problem, 0.3, solver="CLARABEL"),
    ):
        assert solution.certificate(problem).holds
        for name in ("theta", "s", "nu", "nu_low"):
            right = getattr(solution, name)
            for index in (0, -1):
                wrong = right.copy()
                wrong[index] += 1e-3 * np.abs(right).max() + 1e-3
                assert not replace(solution, **{name: wrong}).certificate(problem).holds, name
        assert not replace(solution, objective=1.001 * solution.objective).certificate(problem).holds
    other = gaussian_problem(30, 45, 6, 4, seed=1)
    assert not solution.certificate(other).holds


def test_a_problem_owns_its_arrays():
    J, y, s = np.random.default_rng(0).standard_normal((4, 3)), np.ones(4), np.zeros(4)
    A, B = J.copy(), np.eye(3)
    for problem in (LinearProblem(J, y, J.T @ s, s), LinearProblem.from_factors(A, B, y)):
        before = solve_convex(problem, 1.0).theta
        J *= 2
        A *= 2
        B *= 2
        y += 1
        np.testing.assert_array_equal(solve_convex(problem, 1.0).theta, before)
        np.testing.assert_array_equal(problem.y, np.ones(4))
        for same in (problem, pickle.loads(pickle.dumps(problem)), deepcopy(problem)):
            np.testing.assert_array_equal(solve_convex(same, 1.0).theta, before)
            for held in (same.J, same.y, same.A, same.F, same.U):
                with pytest.raises(ValueError, match="read-only"):
                    held[0] = 1.0
                with pytest.raises(ValueError, match="WRITEABLE"):
                    held.flags.writeable = True
        y -= 1
        with pytest.raises(AttributeError):
            problem.y = y


def test_statuses_are_one_vocabulary():
    solution = solve_convex(gaussian_problem(5, 8, 2, 1, seed=0), 1.0)
    assert solution.status is Status.OPTIMAL
    assert solution.message.startswith(Status.OPTIMAL.sentence)
