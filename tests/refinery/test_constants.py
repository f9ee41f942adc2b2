import numpy as np
import pytest
from numpy.testing import assert_allclose

from sparseop.errors import InputError
from sparseop.refinery import schedules
from sparseop.refinery.constants import jacobian_spectrum, theory_constants, trajectory_bounds
from sparseop.refinery.data import corrupted_dataset
from sparseop.refinery.descent import refine
from sparseop.refinery.network import OneHiddenLayer, network_covariance


def problem(eps=0.2, crops=(8, 12, 10, 6), width=60):
    data = corrupted_dataset(4, 6, list(crops), rho=0.25, eps=eps, seed=2)
    return data, OneHiddenLayer.gaussian(width, 6, seed=2)


def test_spectrum_against_the_jacobian_itself():
    data, network = problem()
    J = network.jacobian(data.X)
    U = np.linalg.qr(np.eye(4)[data.cluster])[0]
    N = np.linalg.svd(U, full_matrices=True)[0][:, 4:]
    found = jacobian_spectrum(data, network)
    assert_allclose(found.plus, np.linalg.svd(U.T @ J, compute_uv=False), rtol=1e-9)
    assert_allclose(found.minus, np.linalg.svd(N.T @ J, compute_uv=False)[: data.n - 4], atol=1e-7)


def test_at_the_centres_the_jacobian_lives_on_s_plus():
    """Theorem 4: range in S+; and J J^T = A Sigma A^T in the mean, so sigma_min^2 is about n lambda / K."""
    data, network = problem(crops=(10,) * 4, width=4000)
    spectrum = jacobian_spectrum(data.at_centres(), network)
    assert spectrum.minus.max() < 1e-6
    eigenvalues = np.linalg.eigvalsh(10 * network_covariance(data.centres))[::-1]
    assert_allclose(spectrum.plus**2, eigenvalues, rtol=0.05)


def test_constants_by_their_definitions():
    data, network = problem()
    alpha = schedules.cosine(100, 0.8, 20)
    run = refine(data, network, steps=100, eta=0.02, alpha=alpha)
    c = theory_constants(data, network, eta=0.02, steps=100, alpha=alpha, run=run)
    n = data.n
    norm = np.linalg.norm(data.centres, 2)
    lam = np.linalg.eigvalsh(network_covariance(data.centres))[0]
    assert_allclose([c.lam, c.C_norm], [lam, norm])
    assert_allclose(c.alpha_prime, np.sqrt(6 * lam / 2))  # c_low n / K is the smallest cluster
    assert_allclose(c.beta, np.sqrt(12) * norm)  # c_up n / K the largest
    assert_allclose(c.L, c.beta / np.sqrt(60))
    assert_allclose(c.r0, np.linalg.norm(network(data.X) - data.y))
    assert_allclose(c.psi_1, 2 * np.sqrt(n) * 0.8 / c.r0)
    assert_allclose(c.R, 4 * (1 + c.psi_1) * c.r0 / (c.alpha_prime / 2))
    assert_allclose(c.t_0, 5 / (0.02 * c.alpha**2) * np.log(c.r0 / (0.2 * 2 * data.rho)))
    assert_allclose(c.time_0, 5 / c.alpha**2 * np.log(c.r0 / (2 * data.rho)))
    assert_allclose(c.distance_measured, run.distance.max())
    # at the smallest width of (36) L R = alpha, of (55) L is as large as it may be
    assert_allclose(c.beta / np.sqrt(c.width_min_ball) * c.R, c.alpha)
    L = c.beta / np.sqrt(c.width_min)
    assert_allclose(L, 2 / (5 * c.time_0 * c.r0 * (1 + 8 * c.time_0 * c.beta**2)))
    assert c.alpha_measured <= c.beta_measured <= c.beta
    assert np.isnan(theory_constants(data, network, eta=0.02, steps=5).zeta_measured)


def test_a_schedule_that_reaches_one_has_no_t0_in_steps():
    data, network = problem()
    c = theory_constants(data, network, eta=0.02, steps=50, alpha=1.0)
    assert c.t_0 == np.inf
    assert np.isfinite(c.time_0)


def test_measured_time_is_after_the_last_excess():
    data, network = problem(eps=0.0)
    run = refine(data, network, steps=3000, alpha=0.0)
    c = theory_constants(data, network, eta=run.eta, steps=3000, run=run)
    assert 0 < c.time_measured < c.time_0
    inside = run.time >= c.time_measured
    assert (run.error_max[inside] <= 4 * data.rho).all()


def test_bounds_56_by_hand():
    data, network = problem()
    p, d = trajectory_bounds(data, network, np.array([0.0, 2.0]), psi=1.5)
    r0 = np.linalg.norm(network(data.X) - data.y)
    beta = np.sqrt(12) * np.linalg.norm(data.centres, 2)
    assert_allclose(p, [0, 8 * 2 * 2.5 * np.sqrt(data.n) * data.eps * r0 * beta])
    assert_allclose(d, [0, 2 * 2 * np.sqrt(data.n) * data.eps * r0 * (1.5 + 16 * beta**2)])


def test_refusals():
    data, network = problem()
    clean = corrupted_dataset(4, 6, 5, rho=0, eps=0.1, seed=0)
    with pytest.raises(InputError, match="with rho = 0 the theorems' t_0 is infinite"):
        theory_constants(clean, network, eta=0.1, steps=5)
    with pytest.raises(InputError, match="eta must be a finite number > 0"):
        theory_constants(data, network, eta=0, steps=5)
    with pytest.raises(InputError, match="S- is empty"):
        jacobian_spectrum(corrupted_dataset(4, 6, 1, rho=0, eps=0.1, seed=0), network)
