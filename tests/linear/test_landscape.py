import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparseop.errors import InputError
from sparseop.linear import (
    LinearProblem,
    classify_critical_point,
    flow_limit,
    gaussian_problem,
    gradient,
    hessian,
    objective,
)


def saddle(problem, off, rng):
    """A critical point with u_i = v_i = 0 on ``off``: theta fits those rows best, u and v fit the others exactly."""
    J, y = problem.J, problem.y
    n, p = J.shape
    theta = np.linalg.lstsq(J[off], y[off], rcond=None)[0]
    free = np.eye(p) - np.linalg.pinv(J[off]) @ J[off]
    theta = theta + free @ rng.standard_normal(p)
    s = y - J @ theta
    floor = rng.random(n)
    u, v = np.sqrt(np.maximum(s, 0) + floor), np.sqrt(np.maximum(-s, 0) + floor)
    u[off] = v[off] = 0
    return theta, u, v


def random_point(problem, rng):
    return (
        rng.standard_normal(problem.n_params),
        rng.standard_normal(problem.n_samples),
        rng.standard_normal(problem.n_samples),
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.integers(1, 7), st.integers(0, 10_000))
def test_derivatives_against_finite_differences(n, p, seed):
    rng = np.random.default_rng(seed)
    problem = LinearProblem(rng.standard_normal((n, p)), rng.standard_normal(n))
    point = np.concatenate(random_point(problem, rng))

    def at(z):
        return z[:p], z[p : p + n], z[p + n :]

    h = 1e-5
    steps = h * np.eye(p + 2 * n)
    slope = [(objective(problem, *at(point + e)) - objective(problem, *at(point - e))) / (2 * h) for e in steps]
    exact = np.concatenate(gradient(problem, *at(point)))
    np.testing.assert_allclose(exact, slope, rtol=1e-6, atol=1e-6 * (1 + np.abs(exact).max()))
    curvature = [
        (np.concatenate(gradient(problem, *at(point + e))) - np.concatenate(gradient(problem, *at(point - e))))
        / (2 * h)
        for e in steps
    ]
    exact = hessian(problem, *at(point))
    np.testing.assert_allclose(exact, curvature, rtol=1e-6, atol=1e-6 * (1 + np.abs(exact).max()))
    assert (exact == exact.T).all()


def test_quadratic_form_is_b2_and_not_the_printed_blocks():
    rng = np.random.default_rng(0)
    problem = gaussian_problem(4, 6, 2, 2, seed=0)
    theta, u, v = random_point(problem, rng)
    J, r = problem.J, problem.J @ theta + u * u - v * v - problem.y
    dt, du, dv = random_point(problem, rng)
    d = np.concatenate([dt, du, dv])
    b2 = (
        np.sum((J @ dt) ** 2)
        + 4 * np.sum((u * du) ** 2)
        + 4 * np.sum((v * dv) ** 2)
        + 2 * r @ (du * du - dv * dv)
        + 4 * (J @ dt) @ (u * du - v * dv)
        - 8 * (u * du) @ (v * dv)
    )
    H = hessian(problem, theta, u, v)
    assert d @ H @ d == pytest.approx(b2)
    np.testing.assert_allclose(H[6:10, 10:], -4 * np.diag(u * v))  # printed: -2 diag(v*u)
    np.testing.assert_allclose(H[:6, 10:], -2 * J.T @ np.diag(v))  # printed: -2 J^T diag(v*u)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 9), st.integers(1, 10), st.integers(0, 10_000))
def test_every_constructed_critical_point_is_a_strict_saddle_or_a_global_minimum(n, p, seed):
    rng = np.random.default_rng(seed)
    problem = gaussian_problem(n, p, int(rng.integers(0, min(n, p) + 1)), int(rng.integers(0, n + 1)), seed=rng)
    off = np.flatnonzero(rng.random(n) < 0.6)
    if off.size == 0:
        off = np.array([0])
    point = saddle(problem, off, rng)
    found = classify_critical_point(problem, *point)
    eigenvalues = np.linalg.eigvalsh(hessian(problem, *point))
    scale = np.abs(eigenvalues).max()
    if found.kind == "global minimum":
        assert objective(problem, *point) <= 1e-12 * scale**2
        assert eigenvalues[0] >= -1e-6 * scale  # both are 0 where J, u and v are
    else:
        assert found.kind == "strict saddle"
        # sharper than the proposition: not only is there a negative eigenvalue, the smallest is known exactly
        assert found.curvature == pytest.approx(-2 * np.abs(found.residual).max())
        assert eigenvalues[0] == pytest.approx(found.curvature, rel=1e-6, abs=1e-9 * scale)
        d = found.direction
        assert d @ hessian(problem, *point) @ d == pytest.approx(found.curvature, rel=1e-9)
        # and following it lowers h
        z = np.concatenate(point) + 1e-3 * d
        p_ = problem.n_params
        assert objective(problem, z[:p_], z[p_ : p_ + n], z[p_ + n :]) < objective(problem, *point)


def test_the_origin_by_hand():
    # h = 1/2 (j theta + u^2 - v^2 - y)^2 at 0 with j = 0: r = -y, curvature -2 y along u
    problem = LinearProblem([[0.0]], [3.0])
    found = classify_critical_point(problem, [0], [0], [0])
    assert found.kind == "strict saddle"
    assert found.curvature == -6
    assert found.direction.tolist() == [0, 1, 0]
    assert objective(problem, [0], [0], [0]) == 4.5
    assert classify_critical_point(LinearProblem([[0.0]], [-3.0]), [0], [0], [0]).direction.tolist() == [0, 0, 1]
    # with j = 1 the origin is not critical: grad theta = -y
    assert classify_critical_point(LinearProblem([[1.0]], [3.0]), [0], [0], [0]).kind == "not critical"
    assert np.isnan(classify_critical_point(LinearProblem([[1.0]], [3.0]), [0], [0], [0]).curvature)


def test_the_flow_ends_in_a_global_minimum():
    problem = gaussian_problem(20, 40, 3, 3, seed=1)
    limit = flow_limit(problem, alpha=40, gamma=1e-3)
    assert classify_critical_point(problem, limit.theta, limit.u, limit.v).kind == "global minimum"
    rng = np.random.default_rng(1)
    assert classify_critical_point(problem, *random_point(problem, rng)).kind == "not critical"


@pytest.mark.parametrize("call", [objective, gradient, hessian, classify_critical_point])
@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ((np.zeros(4), np.zeros(4), np.zeros(4)), "theta"),
        ((np.zeros(5), np.zeros(5), np.zeros(4)), "u"),
        ((np.zeros(5), np.zeros(4), np.full(4, np.nan)), "v"),
        ((np.zeros(5), np.zeros((4, 1)), np.zeros(4)), "u"),
    ],
)
def test_bad_points(call, bad, named):
    with pytest.raises(InputError, match=f"^{named} must"):
        call(gaussian_problem(4, 5, 2, 1, seed=0), *bad)


@pytest.mark.parametrize("tol", [0, -1, np.nan])
def test_bad_tolerance(tol):
    problem = gaussian_problem(4, 5, 2, 1, seed=0)
    with pytest.raises(InputError, match="tol"):
        classify_critical_point(problem, np.zeros(5), np.zeros(4), np.zeros(4), tol=tol)
