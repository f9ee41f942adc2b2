import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad

from sparseop.errors import InputError
from sparseop.refinery.network import ACTIVATIONS, OneHiddenLayer, network_covariance, smallest_eigenvalue

NAMES = sorted(ACTIVATIONS)


def inputs(n, d, seed=0):
    X = np.random.default_rng(seed).standard_normal((n, d))
    return X / np.linalg.norm(X, axis=1, keepdims=True)


@pytest.mark.parametrize("name", NAMES)
def test_activation_against_its_definition(name):
    phi = ACTIVATIONS[name]
    z = np.linspace(-30, 30, 2001)
    exact = {"tanh": np.tanh(z), "softplus": np.logaddexp(0, z), "sigmoid": 1 / (1 + np.exp(-z))}[name]
    values, slopes = phi.both(z)
    assert_allclose(values, exact, rtol=1e-13, atol=1e-15)
    h = 1e-5
    assert_allclose(slopes, (phi.both(z + h)[0] - phi.both(z - h)[0]) / (2 * h), atol=1e-9)
    single, _ = phi.both(z.astype(np.float32))
    assert single.dtype == np.float32
    assert_allclose(single, exact, rtol=3e-7, atol=3e-7)


@pytest.mark.parametrize("name", NAMES)
def test_gamma_bounds_hold_and_are_reached(name):
    phi = ACTIVATIONS[name]
    z = np.linspace(-8, 8, 400_001)
    slopes = phi.both(z)[1]
    assert_allclose(np.abs(slopes).max(), phi.slope, rtol=2e-3)
    assert_allclose(np.abs(np.gradient(slopes, z)).max(), phi.curvature, rtol=1e-6)
    assert_allclose(phi.both(np.zeros(1))[0][0], phi.at_zero)
    assert phi.Gamma == 1


@pytest.mark.parametrize("name", NAMES)
def test_jacobian_against_finite_differences(name):
    network = OneHiddenLayer.gaussian(6, 4, name, seed=1)
    X = inputs(5, 4)
    J = network.jacobian(X)
    h = 1e-6
    for index in [(0, 0), (2, 3), (5, 1)]:
        step = np.zeros((6, 4))
        step[index] = h
        slope = (network.at(network.W + step)(X) - network.at(network.W - step)(X)) / (2 * h)
        assert_allclose(J[:, index[0] * 4 + index[1]], slope, atol=1e-9)
    assert_allclose(network.gram(X), J @ J.T, atol=1e-14)


def test_khatri_rao_formula():
    # J^T = (diag(v) phi'(W X^T)) * X^T, columns multiplied by Kronecker product (Definition 6)
    network = OneHiddenLayer.gaussian(4, 3, seed=2)
    X = inputs(6, 3)
    left = network.v[:, None] * (1 - np.tanh(network.W @ X.T) ** 2)
    columns = np.stack([np.kron(left[:, i], X[i]) for i in range(6)], axis=1)
    assert_allclose(network.jacobian(X).T, columns)


def test_input_gradient():
    network = OneHiddenLayer.gaussian(10, 4, "softplus", seed=3)
    X = inputs(3, 4)
    for j in range(4):
        step = 1e-6 * np.eye(4)[j]
        assert_allclose(network.input_gradient(X)[:, j], (network(X + step) - network(X - step)) / 2e-6, atol=1e-8)


def test_output_weights_are_the_papers():
    v = OneHiddenLayer.gaussian(8, 2, seed=0).v
    assert_allclose(np.linalg.norm(v), 1)
    assert_allclose(sorted(v), [-(8**-0.5)] * 4 + [8**-0.5] * 4)


@pytest.mark.parametrize("name", NAMES)
def test_covariance_by_three_routes(name):
    C = inputs(5, 4, seed=7)
    S = network_covariance(C, name)
    phi = ACTIVATIONS[name]
    # 1. the diagonal is a one-dimensional integral
    density = lambda u: np.exp(-u * u / 2) / np.sqrt(2 * np.pi)
    exact = quad(lambda u: phi.both(np.array([u]))[1][0] ** 2 * density(u), -12, 12)[0]
    assert_allclose(np.diag(S), exact, rtol=1e-9)
    # 2. Hermite series: E phi'(a) phi'(b) = sum c_m^2 cos^m / m!
    z, w = np.polynomial.hermite_e.hermegauss(160)
    w = w / np.sqrt(2 * np.pi)
    slopes = phi.both(z)[1]
    cosine = C[0] @ C[1]
    series, factorial, before, now = 0.0, 1.0, np.zeros_like(z), np.ones_like(z)
    for m in range(60):
        series += (w @ (slopes * now)) ** 2 * cosine**m / factorial
        before, now = now, z * now - m * before
        factorial *= m + 1
    assert_allclose(S[0, 1], cosine * series, rtol=1e-8)
    # 3. the mean of J J^T over wide Gaussian networks
    wide = np.mean([OneHiddenLayer.gaussian(20_000, 4, name, seed=s).gram(C) for s in range(4)], axis=0)
    assert_allclose(wide, S, atol=0.006)


def test_smallest_eigenvalue_sees_close_centres():
    C = inputs(4, 6)
    near = C.copy()
    near[1] = near[0] + 1e-3 * near[2]
    near[1] /= np.linalg.norm(near[1])
    assert smallest_eigenvalue(near) < 1e-5 < smallest_eigenvalue(C)


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (lambda: OneHiddenLayer.gaussian(4, 3, "relu", seed=0), "activation must be one of"),
        (lambda: OneHiddenLayer.gaussian(5, 3, seed=0), "width must be even"),
        (lambda: OneHiddenLayer(np.ones((3, 2))), "W must have an even number of rows"),
        (lambda: OneHiddenLayer.gaussian(4, 3, seed=0)(np.ones((2, 4))), "X must have shape (any, 3)"),
        (lambda: network_covariance(2 * np.eye(3)), "C must have unit rows, row 0 has norm 2"),
        (lambda: network_covariance(np.eye(3), "tahn"), "Did you mean 'tanh'?"),
    ],
)
def test_bad_input(action, words):
    with pytest.raises(InputError) as caught:
        action()
    assert words in str(caught.value)
