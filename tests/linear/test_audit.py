"""The audit: whatever array of a result is corrupted, the certificate recomputed from the user's data says so."""

from dataclasses import fields, replace

import numpy as np
import pytest

from sparseop.certificate import Certified
from sparseop.linear import (
    LinearProblem,
    LowRankProblem,
    flow_limit,
    gaussian_low_rank,
    gaussian_problem,
    gradient_descent,
    gradient_flow,
    low_rank_flow,
    solve_convex,
    solve_robust_pca,
)

PROBLEM = gaussian_problem(12, 18, 3, 2, seed=0)
TALL = LinearProblem(np.random.default_rng(0).standard_normal((9, 2)), np.arange(9.0))
LOW_RANK = gaussian_low_rank(8, 1, 0.1, seed=0)
RESULTS = {
    "convex": (PROBLEM, lambda: solve_convex(PROBLEM, 0.3)),
    "convex, large lam": (PROBLEM, lambda: solve_convex(PROBLEM, 1e8)),
    "convex, p < N": (TALL, lambda: solve_convex(TALL, 0.3)),
    "descent": (
        PROBLEM,
        lambda: gradient_descent(PROBLEM, alpha=2.0, gamma=1e-3, max_iter=3000, tol=1e-8, record_every=500),
    ),
    "descent, p < N": (
        TALL,
        lambda: gradient_descent(TALL, alpha=2.0, gamma=1e-2, max_iter=500, tol=0, record_every=100),
    ),
    "limit": (PROBLEM, lambda: flow_limit(PROBLEM, alpha=2.0, gamma=1e-2)),
    "flow": (PROBLEM, lambda: gradient_flow(PROBLEM, alpha=2.0, gamma=1e-2, times=[0.0, 0.1, 1.0, 10.0])),
    "robust PCA": (LOW_RANK, lambda: solve_robust_pca(LOW_RANK)),
    "low-rank flow": (LOW_RANK, lambda: low_rank_flow(LOW_RANK, gamma=1e-3)),
}


def arrays(result, prefix=""):
    """Yield name, array and a function that puts another array in its place, of a result and of the results in it."""
    for field in fields(result):
        value = getattr(result, field.name)
        if isinstance(value, np.ndarray):
            yield prefix + field.name, value, lambda new, name=field.name: replace(result, **{name: new})
        elif hasattr(value, "__dataclass_fields__"):
            for name, array, put in arrays(value, prefix + field.name + "."):
                yield name, array, lambda new, put=put, name=field.name: replace(result, **{name: put(new)})


@pytest.mark.parametrize("name", RESULTS)
def test_corrupting_any_array_shows(name):
    problem, solve = RESULTS[name]
    result = solve()
    assert isinstance(result, Certified)
    certificate = result.certificate(problem)
    assert certificate.holds, str(certificate)
    found = list(arrays(result))
    assert {array for array, _, _ in found} <= certificate.covered
    for array, right, put in found:
        for place in (0, right.size // 2, right.size - 1):
            wrong = right.astype(float)
            wrong.flat[place] += 1e-2 * np.abs(right).max() + 1e-2
            assert put(wrong).certificate(problem).failed, (array, place)
            wrong.flat[place] = np.nan
            assert put(wrong).certificate(problem).failed, (array, place)


@pytest.mark.parametrize("name", RESULTS)
def test_a_certificate_is_of_its_own_problem(name):
    problem, solve = RESULTS[name]
    other = (
        LowRankProblem(problem.Y + np.eye(len(problem.Y)))
        if isinstance(problem, LowRankProblem)
        else LinearProblem(problem.J, problem.y + 1.0)
    )
    assert not solve().certificate(other).holds


def test_descent_on_y_zero_stands_still():
    run = gradient_descent(LinearProblem(np.ones((3, 2)), np.zeros(3)), alpha=1.0, gamma=0.1, max_iter=1000, tol=1e-9)
    assert run.status == "converged"
    assert not run.theta.any()
    assert not run.s.any()
    endless = gradient_descent(LinearProblem(np.ones((3, 2)), np.zeros(3)), alpha=1.0, gamma=0.1, max_iter=1000, tol=0)
    assert endless.status == "iteration limit"
    assert not endless.theta.any()


@pytest.mark.parametrize(
    "Y", [[[-3.0]], [[-3.0, 0.0], [0.0, -1.0]], [[-1.0, 5.0], [-5.0, -2.0]], [[2.0, -7.0], [1.0, 0.0]]]
)
def test_the_certificate_of_robust_pca_sees_S(Y):
    found = solve_robust_pca(LowRankProblem(Y))
    assert found.converged
    np.testing.assert_allclose(found.X + found.S, Y, atol=1e-6)
    assert not replace(found, S=1.02 * found.S).certificate(LowRankProblem(Y)).holds


def test_negative_definite_data_are_all_corruption():
    np.testing.assert_allclose(solve_robust_pca(LowRankProblem([[-3.0]])).S, [[-3.0]], rtol=1e-12)


def test_a_limit_called_converged_keeps_its_promise():
    rng = np.random.default_rng(3)
    for _ in range(20):
        problem = LinearProblem(
            rng.standard_normal((15, 6)) * 10 ** rng.uniform(-3, 3, (1, 6)), rng.standard_normal(15)
        )
        limit = flow_limit(problem, alpha=float(10 ** rng.uniform(-3, 3)), gamma=1e-4)
        assert limit.converged
        assert limit.residual <= 1e-11 * max(np.abs(problem.y).max(), np.abs(limit.s).max())
        assert limit.mismatch <= 1e-11


def test_a_low_rank_problem_owns_its_arrays():
    Y = np.eye(3)
    problem = LowRankProblem(Y)
    Y[0, 0] = 7.0
    assert problem.Y[0, 0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        problem.Y[0, 0] = 2.0
