import time

import numpy as np
import pytest

from sparseop.errors import InputError
from sparseop.linear import LinearProblem, accurate_step_size, flow_limit, gaussian_problem, gradient_descent

GAMMA = float(np.exp(-8))


def by_hand(J, y, alpha, gamma, tau, steps):
    """Equation (16) as printed, on the full parameter vector."""
    theta, u, v = np.zeros(J.shape[1]), np.full(len(y), gamma), np.full(len(y), gamma)
    for _ in range(steps):
        r = J @ theta + u * u - v * v - y
        theta, u, v = theta - tau * J.T @ r, u - 2 * alpha * tau * u * r, v + 2 * alpha * tau * v * r
    return theta, u, v


def distance(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.parametrize(("n", "p", "r"), [(20, 40, 3), (7, 4, 4), (5, 5, 5), (3, 9, 0), (1, 1, 1)])
def test_it_is_the_literal_iteration(n, p, r):
    problem = gaussian_problem(n, p, r, n // 2, seed=1)
    run = gradient_descent(problem, alpha=3, gamma=0.1, step_size=1e-3, max_iter=200, tol=0)
    theta, u, v = by_hand(problem.J, problem.y, 3, 0.1, 1e-3, 200)
    np.testing.assert_allclose(run.theta, theta, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(run.u, u, rtol=1e-10)
    np.testing.assert_allclose(run.v, v, rtol=1e-10)
    assert run.iterations == 200
    assert run.status == "iteration limit"
    assert run.residual == pytest.approx(np.abs(problem.J @ theta + u * u - v * v - problem.y).max())


def test_one_step_by_hand():
    # r = -y: theta = tau j y, u = gamma (1 + 2 alpha tau y), v = gamma (1 - 2 alpha tau y)
    run = gradient_descent(LinearProblem([[2.0]], [0.5]), alpha=3, gamma=0.1, step_size=0.1, max_iter=1, tol=0)
    assert run.theta == pytest.approx([0.1])
    assert run.u == pytest.approx([0.1 * 1.3])
    assert run.v == pytest.approx([0.1 * 0.7])
    assert run.s == pytest.approx([0.01 * (1.69 - 0.49)])


def test_the_drift_of_u_times_v_is_the_product_it_should_be():
    problem = gaussian_problem(6, 9, 2, 2, seed=2)
    alpha, tau = 4.0, 2e-3
    run = gradient_descent(problem, alpha=alpha, gamma=0.05, step_size=tau, max_iter=3000, tol=0, record_every=1)
    path = run.trajectory
    r = path.theta[:-1] @ problem.J.T + path.s[:-1] - problem.y
    factors = np.cumprod(1 - 4 * alpha**2 * tau**2 * r**2, axis=0)
    np.testing.assert_allclose(path.u[1:] * path.v[1:], 0.05**2 * factors, rtol=1e-9)


@pytest.mark.parametrize("alpha", [40.0, 400.0, 4000.0])
def test_first_order_approach_to_the_flow_limit(alpha):
    problem = gaussian_problem(20, 40, 3, 3, seed=5)
    limit = flow_limit(problem, alpha=alpha, gamma=GAMMA)
    accuracy = np.array([4e-2, 2e-2, 1e-2]) if alpha > 40 else np.array([4e-3, 2e-3, 1e-3])
    errors = []
    for wanted in accuracy:
        tau = accurate_step_size(problem, alpha=alpha, gamma=GAMMA, accuracy=wanted)
        run = gradient_descent(
            problem, alpha=alpha, gamma=GAMMA, step_size=tau, max_iter=3_000_000, tol=1e-9 if alpha > 40 else 1e-5
        )
        assert run.converged
        errors.append(distance(run.theta, limit.theta))
    orders = np.diff(np.log(errors)) / np.diff(np.log(accuracy))
    assert errors[-1] < 2 * accuracy[-1]
    if alpha > 40:  # at 40 the zero set pins theta down and the drift hardly matters
        np.testing.assert_allclose(orders, 1, atol=0.15)


def test_the_default_step_is_as_accurate_as_it_says():
    for seed in range(3):
        problem = gaussian_problem(20, 40, 3, 3, seed=seed)
        for alpha in (300.0, 4000.0):
            run = gradient_descent(problem, alpha=alpha, gamma=GAMMA, max_iter=2_000_000, tol=1e-6)
            assert run.converged
            assert distance(run.theta, flow_limit(problem, alpha=alpha, gamma=GAMMA).theta) < 3e-3


def test_the_mean_drift_is_the_predicted_one():
    problem = gaussian_problem(20, 40, 3, 3, seed=1)
    alpha = 1000.0
    tau = 1e-8
    run = gradient_descent(problem, alpha=alpha, gamma=GAMMA, step_size=tau, max_iter=6_000_000, tol=0)
    drift = -np.log(run.u * run.v / GAMMA**2).mean()
    predicted = 4 * alpha**2 * tau * flow_limit(problem, alpha=alpha, gamma=GAMMA).value / 20
    assert drift == pytest.approx(predicted, rel=0.01)


def test_too_large_a_step_is_reported_not_returned():
    problem = gaussian_problem(20, 40, 3, 3, seed=1)
    for tau in (1.0, 1e-2, 1e10, 1e150):
        run = gradient_descent(
            problem, alpha=1000, gamma=GAMMA, step_size=tau, max_iter=10_000, tol=1e-9, record_every=7
        )
        assert run.status == "diverged"
        assert not run.converged
        assert run.iterations < 10_000
        for part in (run.theta, run.u, run.v, run.s, run.residual):
            assert np.isfinite(part).all()


def test_the_trajectory():
    problem = gaussian_problem(5, 8, 2, 1, seed=3)
    options = {"alpha": 2.0, "gamma": 0.1, "step_size": 0.01, "tol": 0}
    run = gradient_descent(problem, max_iter=25, record_every=10, **options)
    assert run.trajectory.iterations.tolist() == [0, 10, 20]
    assert run.trajectory.theta.shape == (3, 8)
    assert run.trajectory.u.shape == run.trajectory.s.shape == (3, 5)
    for row, steps in enumerate((0, 10, 20)):
        short = gradient_descent(problem, max_iter=steps, **options)
        np.testing.assert_array_equal(run.trajectory.u[row], short.u)
        np.testing.assert_array_equal(run.trajectory.theta[row], short.theta)
        assert run.trajectory.residual[row] == pytest.approx(short.residual)
    assert gradient_descent(problem, max_iter=20, record_every=10, **options).trajectory.iterations.tolist() == [
        0,
        10,
        20,
    ]
    assert gradient_descent(problem, max_iter=0, record_every=3, **options).trajectory.iterations.tolist() == [0]
    # longer than one compiled chunk
    long = gradient_descent(gaussian_problem(2, 2, 1, 1, seed=0), max_iter=3_000_001, record_every=500_000, **options)
    assert long.trajectory.iterations.tolist() == [500_000 * k for k in range(7)]


def test_stopping():
    problem = gaussian_problem(10, 20, 3, 2, seed=4)
    run = gradient_descent(problem, alpha=50, gamma=0.01, max_iter=10**7, tol=1e-6)
    assert run.converged
    assert run.status == "converged"
    assert run.residual < 1e-6 * np.abs(problem.y).max()
    again = gradient_descent(problem, alpha=50, gamma=0.01, max_iter=run.iterations, tol=0)
    assert again.iterations == run.iterations
    assert not again.converged
    np.testing.assert_array_equal(again.u, run.u)
    exactly = gradient_descent(problem, alpha=50, gamma=0.01, max_iter=run.iterations, tol=1e-6)
    assert exactly.converged


def test_nothing_to_fit():
    run = gradient_descent(LinearProblem(np.zeros((2, 3)), np.zeros(2)), alpha=1, gamma=0.1, max_iter=5, tol=0)
    assert run.iterations == 5
    assert (run.theta == 0).all()


def test_a_million_steps_take_about_a_second():
    problem = gaussian_problem(20, 40, 3, 3, seed=1)
    options = {"alpha": 100.0, "gamma": GAMMA, "step_size": 1e-6, "tol": 0}
    gradient_descent(problem, max_iter=10, **options)
    seconds = []
    for _ in range(3):
        started = time.process_time()
        gradient_descent(problem, max_iter=200_000, **options)
        seconds.append(5 * (time.process_time() - started))
    assert min(seconds) < 2


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"alpha": 0}, "alpha"),
        ({"gamma": 1}, "gamma"),
        ({"gamma": 0}, "gamma"),
        ({"step_size": 0}, "step_size"),
        ({"step_size": np.nan}, "step_size"),
        ({"max_iter": -1}, "max_iter"),
        ({"max_iter": 1.5}, "max_iter"),
        ({"tol": -1}, "tol"),
        ({"tol": np.nan}, "tol"),
        ({"record_every": 0}, "record_every"),
        ({"record_every": 0.5}, "record_every"),
    ],
)
def test_bad_arguments(change, named):
    arguments = {"alpha": 1.0, "gamma": 0.1, "max_iter": 10, "tol": 0.0} | change
    with pytest.raises(InputError, match=named):
        gradient_descent(gaussian_problem(4, 5, 2, 1, seed=0), **arguments)


def test_bad_accuracy():
    with pytest.raises(InputError, match="accuracy"):
        accurate_step_size(gaussian_problem(4, 5, 2, 1, seed=0), alpha=1, gamma=0.1, accuracy=0)
