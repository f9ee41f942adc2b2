"""Problems: the factor, the generator of section 3.2, ground truth, and what is refused."""

import numpy as np
import pytest

from sparseop.errors import InputError
from sparseop.linear import (
    LinearProblem,
    flow_limit,
    gaussian_problem,
    gradient_descent,
    gradient_flow,
    solve_convex,
    solve_path,
)
from sparseop.linear.problem import ground_truth


@pytest.mark.parametrize(("n", "p", "rank"), [(20, 40, 3), (20, 5, 5), (20, 20, 20), (7, 9, 0), (30, 31, 30)])
def test_generator_follows_section_3_2(n, p, rank):
    problem = gaussian_problem(n, p, rank, 4, seed=0)
    J = problem.J
    assert problem.rank == rank == (np.linalg.matrix_rank(J) if rank else 0)
    assert np.count_nonzero(problem.s_star) == 4
    np.testing.assert_allclose(J @ problem.theta_star + problem.s_star, problem.y, atol=1e-10)
    # eq. (14): the minimum-norm solution of J theta = y - s_star
    np.testing.assert_allclose(problem.theta_star, np.linalg.pinv(J) @ (problem.y - problem.s_star), atol=1e-9)


def test_generator_is_seeded():
    a, b, c = (gaussian_problem(10, 12, 3, 2, seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(a.y, b.y)
    assert not np.array_equal(a.y, c.y)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_factor_of_users_data_and_of_factors(scale):
    rng = np.random.default_rng(1)
    A, B = scale * rng.standard_normal((15, 6)), rng.standard_normal((6, 9))
    B[5] = B[4]  # rank 5, although the factors have width 6
    own, given = LinearProblem(A @ B, np.ones(15)), LinearProblem.from_factors(A, B, np.ones(15))
    for problem in (own, given):
        assert problem.rank == 5
        np.testing.assert_allclose(problem.F @ problem.F.T, (A @ B) @ (A @ B).T, atol=1e-10 * scale**2)
        b = rng.standard_normal(5)
        np.testing.assert_allclose(problem.factor.coordinates(problem.factor.lift(b)), b, atol=1e-12)
        np.testing.assert_allclose(problem.J @ problem.factor.lift(b), problem.F @ b, atol=1e-10 * scale)
        np.testing.assert_allclose(problem.U.T @ problem.U, np.eye(5), atol=1e-12)
    assert "J" not in LinearProblem.from_factors(A, B, np.ones(15)).__dict__  # never formed unless asked for


def test_takes_other_layouts_and_does_not_change():
    J = np.asfortranarray(np.arange(12, dtype=np.float32).reshape(4, 3))
    problem = LinearProblem(J, [1, 2, 3, 4])
    assert problem.J.dtype == np.float64
    assert problem.J.flags.c_contiguous
    with pytest.raises(AttributeError, match="cannot assign to field"):
        problem.y = np.zeros(4)
    with pytest.raises(ValueError, match="read-only"):
        problem.y[0] = 7.0
    assert repr(problem) == "LinearProblem(N=4, p=3)"


def test_ground_truth_must_be_recoverable():
    problem = gaussian_problem(10, 15, 3, 2, seed=0)
    beyond = problem.theta_star + np.linalg.svd(problem.J)[2][-1]
    with pytest.raises(InputError, match="minimum-norm solution of eq"):
        ground_truth(LinearProblem(problem.J, problem.y, beyond, problem.s_star))
    with pytest.raises(InputError, match="must equal J theta_star"):
        ground_truth(LinearProblem(problem.J, problem.y + 1, problem.theta_star, problem.s_star))
    with pytest.raises(InputError, match="no theta_star and s_star"):
        ground_truth(LinearProblem(problem.J, problem.y))


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (
            lambda: LinearProblem(np.ones((3, 2)), np.ones(2)),
            r"y must have shape \(3\) \(one entry per row of J\), got \(2,\)",
        ),
        (lambda: LinearProblem(np.ones(3), np.ones(3)), r"J must have shape \(any, any\), got \(3,\)"),
        (lambda: LinearProblem([[1.0, np.nan]], [1.0]), r"J must be finite, got nan at index \(0, 1\)"),
        (lambda: LinearProblem([[1.0]], [np.inf]), "y must be finite, got inf at index 0"),
        (lambda: LinearProblem(np.ones((0, 3)), []), "J must not be empty"),
        (lambda: LinearProblem([["a"]], [1.0]), "J must be an array of real numbers"),
        (lambda: LinearProblem([[1.0]], [1.0], theta_star=[1.0, 2.0]), "theta_star must have shape"),
        (lambda: LinearProblem([[1.0]], [1.0], s_star=[[1.0]]), "s_star must have shape"),
        (lambda: LinearProblem.from_factors(np.ones((3, 2)), np.ones((3, 4)), np.ones(3)), "B must have shape"),
        (
            lambda: gaussian_problem(5, 4, 5, 1, seed=0),
            r"rank must be >= 0 and <= 4 = min\(n_samples, n_params\), got 5",
        ),
        (lambda: gaussian_problem(5, 4, 2, 6, seed=0), "sparsity must be >= 0 and <= 5 = n_samples, got 6"),
        (lambda: gaussian_problem(0, 4, 0, 0, seed=0), "n_samples must be >= 1"),
        (lambda: gaussian_problem(5, 4, 1.5, 0, seed=0), "rank must be a whole number"),
    ],
)
def test_bad_data(build, words):
    with pytest.raises(InputError, match=words):
        build()


@pytest.mark.parametrize("sparsity", [0, 3, 20])
@pytest.mark.parametrize("rank", [0, 3])
def test_an_instance_of_rank_zero_or_without_corruption_is_one_like_any_other(rank, sparsity):
    """Every solver takes what the generator gives at the ends of its ranges, and its certificate holds."""
    problem = gaussian_problem(20, 40, rank, sparsity, seed=1)
    assert problem.rank == rank
    assert problem.J.shape == (20, 40)
    np.testing.assert_allclose(problem.J @ problem.theta_star + problem.s_star, problem.y, atol=1e-13)
    answers = [
        solve_convex(problem, 0.1),
        solve_convex(problem, 0.1, solver="CLARABEL"),
        *solve_path(problem, [1.0, 0.1]),
        flow_limit(problem, alpha=2, gamma=1e-3),
        gradient_flow(problem, alpha=2, gamma=1e-3, times=[0.1, 10.0]),
        gradient_descent(problem, alpha=2, gamma=1e-3, max_iter=500, tol=1e-6),
    ]
    for answer in answers:
        assert answer.certificate(problem).holds, answer.certificate(problem)
        if rank == 0:
            assert not answer.theta.any()
    if rank == 0:
        np.testing.assert_array_equal(answers[0].s, problem.y)
