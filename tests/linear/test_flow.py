import numpy as np
import pytest
import scipy.integrate
from hypothesis import given, settings
from hypothesis import strategies as st

from sparseop.errors import InputError
from sparseop.linear import (
    LinearProblem,
    flow_limit,
    gaussian_problem,
    gradient_flow,
    implicit_regularizer,
    matching_alpha,
    solve_convex,
)

GAMMA = float(np.exp(-8))
EXTREME = [1e-6, 1e-2, 4.0, 400.0, 1e6]


def close(a, b, tol):
    return np.linalg.norm(a - b) <= tol * max(np.linalg.norm(a), np.linalg.norm(b))


def potential_route(problem, alpha, gamma):
    """Damped Newton on Phi(nu) as in the design notes: N-dimensional, no continuation, J itself."""
    J, y = problem.J, problem.y
    K = J @ J.T
    nu = np.zeros(len(y))

    def phi(nu):
        with np.errstate(over="ignore"):
            return 0.5 * nu @ K @ nu - y @ nu + gamma**2 / (2 * alpha) * np.cosh(4 * alpha * nu).sum()

    for _ in range(500):
        slope = K @ nu - y + 2 * gamma**2 * np.sinh(4 * alpha * nu)
        H = K + np.diag(8 * alpha * gamma**2 * np.cosh(4 * alpha * nu))
        step = -np.linalg.solve(H, slope)
        if -slope @ step < 1e-24 * (1 + abs(phi(nu))):
            break
        t = 1.0
        while not phi(nu + t * step) <= phi(nu) + 0.3 * t * (slope @ step) and t > 1e-12:
            t /= 2
        nu = nu + t * step
    return J.T @ nu, 2 * gamma**2 * np.sinh(4 * alpha * nu)


def entropy_route(problem, alpha, gamma):
    """Damped Newton in b on 1/2 |b|^2 + lam sum h(y - F b), r-dimensional, with continuation in gamma."""
    F, y = problem.F, problem.y
    lam = -np.log(gamma) / (2 * alpha)
    b = np.zeros(F.shape[1])
    for g in np.exp(np.linspace(-0.2, np.log(gamma), 24)):
        weight = lam / (-2 * np.log(g))

        def value(b, g=g):
            return 0.5 * b @ b + lam * implicit_regularizer(y - F @ b, g).sum()

        for _ in range(60):
            s = y - F @ b
            slope = b - F.T @ np.arcsinh(s / (2 * g * g)) * weight
            H = np.eye(len(b)) + (F.T * (weight / np.sqrt(s * s + 4 * g**4))) @ F
            step = -np.linalg.solve(H, slope)
            if -slope @ step < 1e-26 * (1 + value(b)):
                break
            t = 1.0
            while value(b + t * step) > value(b) + 0.3 * t * (slope @ step) and t > 1e-12:
                t /= 2
            b = b + t * step
    return problem.factor.lift(b), y - F @ b


@pytest.mark.parametrize(("rank", "sparsity"), [(3, 3), (3, 14), (20, 5), (0, 4)])
@pytest.mark.parametrize("alpha", [8.0, 4000.0])
def test_two_independent_routes_agree(rank, sparsity, alpha):
    problem = gaussian_problem(20, 40, rank, sparsity, seed=7)
    limit = flow_limit(problem, alpha=alpha, gamma=GAMMA)
    assert limit.status == "converged"
    theta, s = entropy_route(problem, alpha, GAMMA)
    assert close(limit.theta, theta, 1e-9)
    assert close(limit.s, s, 1e-8)
    if alpha == 4000 or rank == 0:  # where lam is large the plain method takes thousands of steps
        theta, s = potential_route(problem, alpha, GAMMA)
        assert close(limit.theta, theta, 1e-9)
        assert close(limit.s, s, 1e-8)


@pytest.mark.parametrize("alpha", EXTREME)
@pytest.mark.parametrize("log_gamma", [-1e-6, -1.0, -8.0, -30.0, -180.0, -700.0])
def test_identities_at_extreme_alpha_and_gamma(alpha, log_gamma):
    gamma = float(np.exp(log_gamma))
    for rank, sparsity in [(3, 3), (20, 6)]:
        problem = gaussian_problem(20, 40, rank, sparsity, seed=11)
        limit = flow_limit(problem, alpha=alpha, gamma=gamma)
        y = np.abs(problem.y).max()
        assert limit.status == "converged"
        assert limit.residual <= 1e-11 * y
        assert limit.mismatch <= 1e-11
        assert np.linalg.norm(problem.J @ limit.theta + limit.u**2 - limit.v**2 - problem.y) <= 1e-10 * y * 5
        with np.errstate(divide="ignore"):
            logs = np.log(limit.u) + np.log(limit.v)
        whole = np.isfinite(logs) & (np.minimum(limit.u, limit.v) > 1e-300)
        np.testing.assert_allclose(logs[whole], 2 * log_gamma, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("alpha", EXTREME)
def test_badly_scaled_data_converge(scale, alpha):
    base = gaussian_problem(30, 20, 6, 5, seed=2)
    for problem in (
        LinearProblem(scale * base.J, base.y),
        LinearProblem(base.J, scale * base.y),
        LinearProblem(base.J * np.geomspace(1 / scale, scale, 30)[:, None], base.y),
    ):
        limit = flow_limit(problem, alpha=alpha, gamma=GAMMA)
        assert limit.status == "converged"
        assert limit.residual <= 1e-11 * np.abs(problem.y).max() * max(1, scale)


@pytest.mark.parametrize("j", [1e-6, 0.3, 1.0, 1e6])
@pytest.mark.parametrize("x", [-30.0, -1.0, 0.0, 1e-3, 1.0, 20.0])
@pytest.mark.parametrize("alpha", [0.05, 7.0])
def test_one_sample_by_hand(j, x, alpha):
    # choose x = 4 alpha nu; then theta = j x / (4 alpha), s = 2 gamma^2 sinh(x), and y follows
    y = j * j * x / (4 * alpha) + 2 * GAMMA**2 * np.sinh(x)
    limit = flow_limit(LinearProblem([[j]], [y]), alpha=alpha, gamma=GAMMA)
    np.testing.assert_allclose(limit.theta, [j * x / (4 * alpha)], rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(limit.s, [2 * GAMMA**2 * np.sinh(x)], rtol=1e-8, atol=1e-14 * abs(y))
    np.testing.assert_allclose(limit.u, [GAMMA * np.exp(x / 2)], rtol=1e-8)
    np.testing.assert_allclose(limit.v, [GAMMA * np.exp(-x / 2)], rtol=1e-8)


def test_random_problems_at_random_extremes():
    rng = np.random.default_rng(0)
    for seed in range(150):
        n, p = int(rng.integers(1, 60)), int(rng.integers(1, 80))
        base = gaussian_problem(n, p, int(rng.integers(0, min(n, p) + 1)), int(rng.integers(0, n + 1)), seed=seed)
        J, y = base.J, base.y
        rows, columns, noise = (
            10 ** rng.uniform(-6, 6, (n, 1)),
            10 ** rng.uniform(-3, 3, (1, p)),
            rng.standard_normal(n),
        )
        J, y = [(J, y), (J * 10 ** rng.uniform(-6, 6), y), (J * rows, y), (J * columns, y), (J, 1e6 * noise)][seed % 5]
        limit = flow_limit(
            LinearProblem(J, y), alpha=10 ** rng.uniform(-6, 6), gamma=float(np.exp(-(10 ** rng.uniform(-3, 2.87))))
        )
        assert limit.status == "converged"
        assert limit.residual <= 1e-11 * np.abs(y).max()
        assert limit.mismatch <= 1e-11


def test_without_J_s_is_y():
    y = np.array([1.0, -2.0, 0.0, 1e-8])
    for problem in (LinearProblem(np.zeros((4, 3)), y), gaussian_problem(4, 3, 0, 0, seed=0)):
        limit = flow_limit(problem, alpha=3, gamma=1e-200)
        np.testing.assert_allclose(limit.s, problem.y, rtol=1e-13)
        assert (limit.theta == 0).all()
        flow = gradient_flow(problem, alpha=3, gamma=0.1, times=[0, 1e9])
        np.testing.assert_allclose(flow.s[-1], problem.y, atol=1e-9)


def test_without_y_nothing_moves():
    problem = LinearProblem(np.ones((2, 3)), np.zeros(2))
    limit = flow_limit(problem, alpha=1, gamma=0.1)
    assert (limit.theta == 0).all()
    assert (limit.u == limit.v).all()
    flow = gradient_flow(problem, alpha=1, gamma=0.1, times=[0, 1, 1e30])
    assert (flow.theta == 0).all()
    assert (flow.residual == 0).all()


def test_zero_and_duplicate_rows():
    base = gaussian_problem(12, 20, 4, 3, seed=3)
    J, y = np.vstack([base.J, base.J[:3], np.zeros((2, 20))]), np.concatenate([base.y, base.y[:3], [0.7, 0.0]])
    for alpha in (4.0, 4000.0):
        for gamma in (0.3, GAMMA, 1e-100):
            limit = flow_limit(LinearProblem(J, y), alpha=alpha, gamma=gamma)
            assert limit.status == "converged"
            np.testing.assert_allclose(limit.s[12:15], limit.s[:3], atol=1e-10)
            np.testing.assert_allclose(limit.s[15:], [0.7, 0.0], atol=1e-12)


def test_a_hundred_thousand_samples_from_factors():
    rng = np.random.default_rng(4)
    n, p, r = 100_000, 5_000, 4
    A, B = rng.standard_normal((n, r)), rng.standard_normal((r, p)) / np.sqrt(p)
    theta_star = B.T @ rng.standard_normal(r)
    s_star = np.where(rng.random(n) < 0.1, rng.standard_normal(n), 0)
    problem = LinearProblem.from_factors(A, B, A @ (B @ theta_star) + s_star)
    limit = flow_limit(problem, alpha=matching_alpha(0.1, 1e-3), gamma=1e-3)
    assert limit.status == "converged"
    assert "J" not in problem.__dict__  # an N x p matrix was never formed
    assert limit.residual < 1e-12
    assert close(limit.theta, theta_star, 1e-2)


def test_the_limit_is_the_minimum_of_its_program():
    problem = gaussian_problem(20, 40, 3, 5, seed=5)
    alpha = 30.0
    lam = -np.log(GAMMA) / (2 * alpha)
    limit = flow_limit(problem, alpha=alpha, gamma=GAMMA)

    def program(theta):
        return 0.5 * theta @ theta + lam * implicit_regularizer(problem.y - problem.J @ theta, GAMMA).sum()

    assert limit.value == pytest.approx(program(limit.theta), rel=1e-12)
    rng = np.random.default_rng(0)
    for size in (1e-4, 1e-2, 1):
        assert program(limit.theta + size * rng.standard_normal(40)) > limit.value


def test_both_rates_of_the_limit_to_the_convex_program():
    problem = gaussian_problem(20, 40, 3, 3, seed=1)

    def difference(lam, log_scale):
        gamma = float(np.exp(-log_scale))
        limit = flow_limit(problem, alpha=matching_alpha(lam, gamma), gamma=gamma)
        found = solve_convex(problem, lam, tol=1e-13)
        return np.linalg.norm(limit.theta - found.theta) / np.linalg.norm(found.theta)

    # the zero set pins theta down: a power of gamma (exponential in L = log 1/gamma)
    at = [difference(1.0, L) for L in (6, 9, 12)]
    assert at[2] < at[1] < at[0] < 1e-2
    powers = -np.diff(np.log(at)) / 3
    assert powers.min() > 0.5
    assert powers.max() / powers.min() < 1.3
    # it does not: 1/L, and the slope is known (see theory/fig2_equivalence.py)
    lam = 0.003
    found = solve_convex(problem, lam, tol=1e-13)
    zero = found.s == 0
    assert np.linalg.matrix_rank(problem.J[zero]) < problem.rank
    at = np.array([difference(lam, L) * L for L in (100, 200, 400)])
    assert np.ptp(at) / at.mean() < 0.02
    assert difference(lam, 30) > 1e-3


def test_the_flow_reaches_its_limit():
    problem = gaussian_problem(20, 40, 3, 3, seed=1)
    for alpha in (4.0, 400.0):
        limit = flow_limit(problem, alpha=alpha, gamma=GAMMA)
        flow = gradient_flow(problem, alpha=alpha, gamma=GAMMA, times=[25 / (8 * alpha * GAMMA**2), 1e12])
        assert close(flow.theta[0], limit.theta, 1e-8)
        assert close(flow.s[0], limit.s, 1e-7)
        assert close(flow.theta[1], limit.theta, 1e-12)
        assert flow.step_error <= 1e-7  # steps of 1e4 time units end in the rounding of the velocity
    # integrated all the way, past the point where the limit would be handed out
    flow = gradient_flow(problem, alpha=4000.0, gamma=GAMMA, times=[30 / (8 * 4000.0 * GAMMA**2)])
    limit = flow_limit(problem, alpha=4000.0, gamma=GAMMA)
    assert close(flow.theta[0], limit.theta, 1e-10)
    assert close(flow.nu[0], limit.nu, 1e-8)


def test_the_flow_against_another_integrator_of_the_original_system():
    problem = gaussian_problem(8, 12, 3, 2, seed=6)
    J, y, alpha, gamma = problem.J, problem.y, 5.0, 0.01
    n, p = J.shape

    def velocity(_, z):
        theta, u, v = z[:p], z[p : p + n], z[p + n :]
        r = J @ theta + u * u - v * v - y
        return np.concatenate([-J.T @ r, -2 * alpha * u * r, 2 * alpha * v * r])

    times = np.array([0, 1e-3, 0.03, 0.3, 5.0])
    start = np.concatenate([np.zeros(p), np.full(2 * n, gamma)])
    other = scipy.integrate.solve_ivp(velocity, (0, 5), start, method="LSODA", t_eval=times, rtol=1e-11, atol=1e-13).y.T
    flow = gradient_flow(problem, alpha=alpha, gamma=gamma, times=times)
    np.testing.assert_allclose(flow.theta, other[:, :p], atol=2e-8)
    np.testing.assert_allclose(flow.u, other[:, p : p + n], atol=2e-8)
    np.testing.assert_allclose(flow.v, other[:, p + n :], atol=2e-8)
    np.testing.assert_allclose(flow.u * flow.v, gamma**2, rtol=1e-13)
    np.testing.assert_allclose(flow.s, flow.u**2 - flow.v**2, atol=1e-13)
    np.testing.assert_allclose(flow.theta, flow.nu @ J, atol=1e-9)
    assert (flow.theta[0] == 0).all()
    np.testing.assert_allclose(flow.u[0], gamma, rtol=1e-14)
    assert flow.residual[0] == pytest.approx(np.abs(y).max())
    residual = np.abs(other[:, :p] @ J.T + other[:, p : p + n] ** 2 - other[:, p + n :] ** 2 - y).max(1)
    np.testing.assert_allclose(flow.residual, residual, atol=1e-7)
    assert residual[4] < 0.1 < np.abs(flow.s[4]).max()  # s takes part


def test_the_step_error_controls_the_flow():
    problem = gaussian_problem(20, 40, 3, 3, seed=8)
    times = np.geomspace(1e-4, 10, 8)
    fine = gradient_flow(problem, alpha=100, gamma=GAMMA, times=times, rtol=1e-11)
    for rtol in (1e-4, 1e-7):
        coarse = gradient_flow(problem, alpha=100, gamma=GAMMA, times=times, rtol=rtol)
        assert coarse.steps < fine.steps
        assert np.abs(coarse.s - fine.s).max() < 300 * rtol * np.abs(problem.y).max()


sizes = st.tuples(st.integers(1, 12), st.integers(1, 15), st.integers(0, 10_000))


@pytest.mark.parametrize("rtol", [1e-6, 1e-4])
def test_a_trial_step_that_overflows_is_refused(rtol):
    problem, scale = gaussian_problem(20, 40, 3, 20, seed=1), {"alpha": 10**3.6, "gamma": np.exp(-24)}
    times = np.geomspace(1e-3, 1e4, 90)
    loose, tight = gradient_flow(problem, times=times, rtol=rtol, **scale), gradient_flow(problem, times=times, **scale)
    assert loose.step_error <= rtol
    np.testing.assert_allclose(loose.s, tight.s, rtol=0, atol=100 * rtol * np.abs(problem.y).max())


@settings(max_examples=15, deadline=None)
@given(sizes, st.floats(-2, 4), st.floats(-40, -0.1))
def test_symmetries_of_the_limit(size, log_alpha, log_gamma):
    n, p, seed = size
    rng = np.random.default_rng(seed)
    r = int(rng.integers(0, min(n, p) + 1))
    problem = gaussian_problem(n, p, r, int(rng.integers(0, n + 1)), seed=rng)
    J, y, alpha, gamma = problem.J, problem.y, 10**log_alpha, float(np.exp(log_gamma))
    limit = flow_limit(problem, alpha=alpha, gamma=gamma)
    size_theta, size_s = 1e-6 * np.linalg.norm(limit.theta) + 1e-300, 1e-6 * np.abs(y).max() + 1e-300

    def same(found, theta, s, scale_theta=1.0, scale_s=1.0):
        assert found.status == "converged"
        assert np.linalg.norm(found.theta - theta) <= scale_theta * max(size_theta, size_s)
        assert np.abs(found.s - s).max() <= scale_s * max(size_s, size_theta)

    Q = np.linalg.qr(rng.standard_normal((p, p)))[0]  # a rotation of the parameter space
    same(flow_limit(LinearProblem(J @ Q, y), alpha=alpha, gamma=gamma), Q.T @ limit.theta, limit.s)
    order, signs = rng.permutation(n), rng.choice([-1.0, 1.0], n)
    same(flow_limit(LinearProblem(J[order], y[order]), alpha=alpha, gamma=gamma), limit.theta, limit.s[order])
    same(
        flow_limit(LinearProblem(signs[:, None] * J, signs * y), alpha=alpha, gamma=gamma), limit.theta, signs * limit.s
    )
    # (J, y, alpha, gamma^2) -> (c J, d y, alpha c^2/d, d gamma^2): theta d/c, s d
    c, d = 10 ** rng.uniform(-2, 2), 10 ** rng.uniform(-2, 0)
    scaled = flow_limit(LinearProblem(c * J, d * y), alpha=alpha * c * c / d, gamma=gamma * np.sqrt(d))
    same(scaled, limit.theta * d / c, d * limit.s, d / c, d)


@pytest.mark.parametrize("call", [flow_limit, lambda *a, **k: gradient_flow(*a, times=[1.0], **k)])
@pytest.mark.parametrize(
    ("alpha", "gamma", "named"),
    [
        (0, 0.1, "alpha"),
        (-1, 0.1, "alpha"),
        (np.nan, 0.1, "alpha"),
        (np.inf, 0.1, "alpha"),
        ("x", 0.1, "alpha"),
        (1, 0, "gamma"),
        (1, 1, "gamma"),
        (1, -0.1, "gamma"),
        (1, np.nan, "gamma"),
        (1, 2, "gamma"),
        (1, None, "gamma"),
    ],
)
def test_bad_alpha_and_gamma(call, alpha, gamma, named):
    with pytest.raises(InputError, match=named):
        call(gaussian_problem(4, 5, 2, 1, seed=0), alpha=alpha, gamma=gamma)


@pytest.mark.parametrize("times", [[-1.0], [1.0, 0.5], [np.nan], [np.inf], [], 3.0, [[1.0]], "soon"])
def test_bad_times(times):
    with pytest.raises(InputError, match="times"):
        gradient_flow(gaussian_problem(4, 5, 2, 1, seed=0), alpha=1, gamma=0.1, times=times)


@pytest.mark.parametrize("rtol", [0, 1e-14, 1, -1, np.nan])
def test_bad_tolerance(rtol):
    with pytest.raises(InputError, match="rtol"):
        gradient_flow(gaussian_problem(4, 5, 2, 1, seed=0), alpha=1, gamma=0.1, times=[1.0], rtol=rtol)
