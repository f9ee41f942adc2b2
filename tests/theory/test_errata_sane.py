"""Every entry of docs/errata.md on the SANE paper: the printed statement fails here, the corrected one holds."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from sparseop.refinery.constants import theory_constants, trajectory_bounds
from sparseop.refinery.data import corrupted_dataset
from sparseop.refinery.descent import largest_step, refine
from sparseop.refinery.generalization import label_lipschitz, lower_constant, realising_cosine, two_class_risks
from sparseop.refinery.network import OneHiddenLayer


# ---- Theorem 1 and section 2 ---------------------------------------------------------------------------------------
def test_s1_similarity_must_grow_with_the_cosine():
    def loss(sign, positive):
        logits = sign * np.array([positive, 0.1, -0.2]) / 0.2
        return -logits[0] + np.log(np.exp(logits).sum())

    assert loss(-1, 0.9) > loss(-1, 0.1)  # as printed below (1), agreement with the positive is punished
    assert loss(+1, 0.9) < loss(+1, 0.1)


def test_s2_sign_and_prefactor_of_the_lower_bound():
    y, y_star = np.array([0.4, 0.4, 0.2]), np.array([0.45, 0.45, 0.1])
    risks = two_class_risks(0.4, 0.45)
    printed_sign = ((y_star - y) * np.log(y)).sum()
    assert printed_sign > 0 > risks.gap  # Q_e - Q~ >= C E|y - y*| with C > 0 fails for the paper's own numbers
    assert_allclose(risks.gap, -printed_sign)
    printed_gap = 2 * printed_sign / 6
    assert not np.isclose(abs(risks.gap), printed_gap)
    assert_allclose(abs(risks.gap), 3 * printed_gap)  # n/2 samples of each class: 1/2, not 1/6
    assert_allclose(risks.constant, lower_constant(0.4))
    assert_allclose(lower_constant(0.4), 2 * np.log(2) / np.sqrt(6))
    assert lower_constant(1 / 3 + 1e-9) < 1e-7  # no constant works for every y0 > 1/3


@pytest.mark.parametrize("temperature", [0.05, 0.2, 1.0])
def test_s3_the_printed_sign_cannot_realise_the_construction(temperature):
    if temperature * np.log(2) <= 2:
        c = realising_cosine(0.4, temperature)
        assert_allclose(1 - c, temperature * np.log(2))  # what (12) needs with the sign corrected
    with pytest.raises(ValueError, match="cannot be predicted"):
        realising_cosine(0.4, temperature, sign=-1)


def test_s4_the_deviation_must_scale_with_the_loss():
    """A loss in [0, a]: gap and correct bound are proportional to a, the printed bound to a^2."""
    n, nu, p, a = 2000, 0.05, 0.5, 0.01
    k = np.arange(n + 1)
    gap = a * np.abs(k / n - p)
    variance = a**2 * (k / n) * (1 - k / n) * n / (n - 1)
    log = np.log(2 / nu)
    printed = np.sqrt(2 * a**2 * variance * log / n) + 7 * a**2 * log / (3 * (n - 1))
    corrected = np.sqrt(2 * variance * np.log(4 / nu) / n) + 7 * a * np.log(4 / nu) / (3 * (n - 1))
    probability = stats.binom.pmf(k, n, p)
    assert probability[gap > printed].sum() > 0.5  # promised: at most 0.05
    assert probability[gap > corrected].sum() <= nu


def test_s5_the_label_term_is_the_samples_own_mean():
    """Each label is wrong with probability p, the loss on true labels is constant.

    The gap is L_y times the sample's mean.
    """
    n, p, nu = 1_000_000, 0.3, 0.05
    log_h = np.log([0.2, 0.5, 0.3])
    direction = log_h - log_h.mean()
    direction *= 0.1 / np.linalg.norm(direction)
    y_star = np.array([0.4, 0.3, 0.3])
    y = y_star + direction  # the label error that cross entropy feels most
    lipschitz = label_lipschitz(log_h[None])[1]
    wrong = np.arange(n + 1)
    gap = np.abs(-(y - y_star) @ log_h) * wrong / n
    rest = 7 * 1.7**2 * np.log(2 / nu) / (3 * (n - 1))  # V_D = 0; every loss lies in [0, 1.7]
    probability = stats.binom.pmf(wrong, n, p)
    assert probability[gap > lipschitz * p * 0.1 + rest].sum() > 0.05  # printed: E|y - y*|
    assert np.all(gap <= lipschitz * (wrong / n) * 0.1 * (1 + 1e-12))  # corrected: (1/n) sum |y_i - y_i*|


def test_s6_the_lipschitz_constant_of_cross_entropy_grows_with_the_keys():
    rng = np.random.default_rng(0)
    values = []
    for keys in (100, 4352):
        logits = rng.uniform(-1, 1, keys)[None] / 0.2
        log_h = logits - np.log(np.exp(logits).sum())
        values.append(label_lipschitz(log_h))
        assert values[-1][1] <= np.sqrt(keys) / 0.2
    (few, few_sharp), (many, many_sharp) = values
    assert many > 6.5 * few  # about sqrt(4352/100) = 6.6 times: far from constant
    assert many > 3 * many_sharp  # on the simplex a common shift of log h costs nothing
    uniform = np.full((1, 4352), -np.log(4352))
    assert label_lipschitz(uniform)[0] == pytest.approx(np.sqrt(4352) * np.log(4352))  # 553
    assert label_lipschitz(uniform)[1] == pytest.approx(0, abs=1e-9)
    assert few_sharp < few


# ---- the general model, Theorem 6: a linear f(w) = A w + f_0 meets Assumptions 4 and 5 exactly (L = 0) ---------------
def linear_model(alpha=0.1, beta=1.0, seed=0):
    """Jacobian of rank 2 in R^5 with singular values beta, alpha; residual of true labels in S+, no corruption."""
    rng = np.random.default_rng(seed)
    U = np.linalg.qr(rng.standard_normal((5, 2)))[0]
    return U * np.array([beta, alpha]), U


def run_linear(A, residual, schedule, eta):
    """Return f(w_t) - y for every t and |w_t - w_0| for gradient descent (14) on refined labels."""
    q, w, path, distance = residual.copy(), np.zeros(A.shape[1]), [residual.copy()], [0.0]
    for a in schedule:
        step = -eta * A.T @ ((1 - a) * q)
        w += step
        q = q + A @ step
        path.append(q.copy())
        distance.append(np.linalg.norm(w))
    return np.array(path), np.array(distance)


def test_s7_the_conditions_on_alpha_contradict_one_another():
    ratio = np.linspace(1e-3, 1, 200)  # alpha / beta
    share = ratio**2 / 4
    stated, first, second = 1 - share, share, ratio / 4
    assert (stated > np.minimum(first, second)).all()  # no alpha_t meets statement and proof


def test_s8_distance_bound_of_theorem_6():
    alpha, beta = 0.1, 1.0
    A, U = linear_model(alpha, beta)
    a = 1 - alpha**2 / (4 * beta**2)  # the smallest constant the theorem allows; psi_1 = 0
    residual = U @ np.array([1.0, 0.3])  # no corruption: f(w_0) - y = f(w_0) - y* in S+
    eta = 1 / (2 * beta**2)
    _, distance = run_linear(A, residual, np.full(20_000, a), eta)
    printed = 4 * (1 - a) * np.linalg.norm(residual) / alpha  # 4 |f(w_0) - ybar_0| / alpha
    corrected = 4 * np.linalg.norm(residual) / alpha  # 4 |f(w_0) - y| / alpha
    assert distance.max() > 10 * printed
    assert distance.max() <= corrected


def test_s9_contraction_and_t0_of_theorem_6():
    alpha, beta = 0.5, 1.0
    A, U = linear_model(alpha, beta)
    a = 0.99
    assert a >= 1 - alpha**2 / (4 * beta**2)
    residual = U @ np.array([0.0, 1.0])  # the slow direction
    eta, nu = 1 / (2 * beta**2), 0.01
    path, _ = run_linear(A, residual, np.full(20_000, a), eta)
    size = np.linalg.norm(path, axis=1)
    t = np.arange(len(size))
    refined = (1 - a) * size  # r_t = f - ybar_t
    assert (refined[1:] ** 2 > (1 - eta * alpha**2 / 4) ** t[1:] * refined[0] ** 2).all()  # printed (22)
    assert (size**2 <= (1 - eta * (1 - a) * alpha**2 / 2) ** t * size[0] ** 2 + 1e-300).all()  # corrected
    t0 = 5 / (eta * alpha**2) * np.log(refined[0] / ((1 - a) * nu))
    assert size[math.ceil(t0)] > 50 * nu  # printed: |f - y*| <= 2 nu from t_0 on
    effective = np.cumsum(np.full(20_000, eta * (1 - a)))
    arrived = np.searchsorted(effective, 5 / alpha**2 * np.log(size[0] / nu)) + 1
    assert size[arrived] <= 2 * nu  # corrected: t_0 in effective time


@pytest.mark.parametrize("seed", range(5))
def test_s9_corrected_theorem_6_holds_for_any_schedule(seed):
    A, U = linear_model(0.2, 1.0, seed)
    rng = np.random.default_rng(seed)
    alphas = rng.random(400)
    eta = 0.5
    path, distance = run_linear(A, U @ rng.standard_normal(2), alphas, eta)
    size = np.linalg.norm(path, axis=1)
    shrink = np.cumprod(np.append(1, 1 - eta * (1 - alphas) * 0.2**2 / 2))
    assert (size**2 <= shrink * size[0] ** 2 * (1 + 1e-12)).all()
    assert (0.2 / 4 * distance + size <= size[0] * (1 + 1e-12)).all()  # (23) with the residual to y


def test_s10_a_squared_norm_has_no_unsquared_recursion():
    """From x_{t+1} <= q x_t + c the proof concludes x_t^2 <= q^t x_0^2 + sum q^(t-i) c.

    False as soon as units change.
    """
    q, c, scale = 0.9, 1.0, 10.0
    x = [0.0]
    for _ in range(60):
        x.append(q * x[-1] + c * scale)
    memory = c * scale * sum(q**i for i in range(60))
    assert x[-1] ** 2 > memory  # (22)
    assert_allclose(x[-1], memory)  # the same without the square


def test_s11_half_of_the_descent_step_is_lost():
    """Lemma 6 gives G >= J J^T / 2; the display after (34) uses G >= J J^T."""
    J2, eta = 1.0, 0.4
    G = 0.5 * J2
    assert (1 - eta * G) ** 2 > 1 - eta * J2  # printed: |(I - eta G) r|^2 <= |r|^2 - eta |J^T r|^2
    for G in np.linspace(0.5 * J2, J2, 11):
        assert (1 - eta * G) ** 2 <= 1 - eta * J2 / 2 + 1e-12


def test_s12_sigma_min_is_an_infimum():
    A, U = linear_model(0.1, 1.0)
    singular = np.linalg.svd(U.T @ A, compute_uv=False)
    directions = np.linalg.qr(np.random.default_rng(0).standard_normal((2, 2)))[0]
    sup = max(
        np.linalg.norm(v @ U.T @ A)
        for angle in np.linspace(0, np.pi, 1000)
        for v in [directions @ [np.cos(angle), np.sin(angle)]]
    )
    assert_allclose(sup, singular[0], rtol=1e-5)  # printed: the largest singular value
    assert singular[-1] < 0.11


def test_s13_diffusedness_bounds_in_theorem_6():
    n, K = 600, 3
    cluster = np.arange(n) % K
    zeta = n / (n // K)

    def plus(v):
        return (np.bincount(cluster, v) / np.bincount(cluster))[cluster]

    e = np.zeros(n)
    e[:180] = 2.0  # spread over the clusters: the share 0.3 of each
    projection = np.abs(plus(e)).max()
    assert projection > 4 * zeta * np.sqrt(180) / n * np.abs(e).max()  # the proof's |e|_inf
    assert projection <= zeta * np.sqrt(180) / n * np.linalg.norm(e)  # Lemma 4, |e|_2
    assert projection <= zeta * 180 / n * np.abs(e).max()  # what holds with |e|_inf
    whole = (cluster == 0).astype(float)  # Lemma 4 is sharp here, so the theorem's factor 2 is lost
    right = zeta * np.sqrt(whole.sum()) / n * np.linalg.norm(whole)
    assert_allclose(np.abs(plus(whole)).max(), right)
    assert 2 * np.abs(plus(whole)).max() > right  # printed: 2 |P e|_inf <= zeta sqrt(s) |e|_2 / n


# ---- Theorem 2 -----------------------------------------------------------------------------------------------------
def test_s14_label_recovery_needs_another_threshold():
    """delta = 2, rho = 1/16, eps = 0: the theorem accepts every alpha >= -1/2, alpha = 0 among them."""
    data = corrupted_dataset(6, 10, 16, rho=1 / 16, eps=0, seed=0)
    delta = 2.0
    assert data.rho <= delta / 32
    network = OneHiddenLayer.gaussian(100, 10, seed=0)
    for alpha in (0.0, 0.25, 0.5):
        assert alpha >= 1 - 3 * delta / 4
        run = refine(data, network, steps=2000, alpha=alpha, record=[2000])
        assert run.train_accuracy[-1] == 1  # the network has learned everything ...
        assert run.label_recovery[-1] < 1  # ... and the refined labels are still wrong
    alpha = 1 - delta / (8 - delta) + 1e-3
    run = refine(data, network, steps=8000, eta=2 * largest_step(data, network), alpha=alpha, record=[8000])
    assert run.label_recovery[-1] == 1


def test_s14_the_corrected_threshold_is_what_the_proof_gives():
    for delta in np.linspace(0.05, 2, 40):
        threshold = 1 - delta / (8 - delta)
        worst = lambda a, d=delta: (1 - a) * 2 + a * (4 * d / 32 + d / 8)  # |y - y*| up to 2, not 1
        assert worst(threshold + 1e-9) < delta / 2 <= worst(threshold - 1e-9)
        assert worst(max(1 - 3 * delta / 4, 0)) >= delta / 2  # printed
        assert worst(1 - delta / 8) < delta / 2  # a simpler sufficient condition


def test_s15_with_the_crop_itself_later_overfitting_is_not_excluded():
    """'After t >= t_0' with constant alpha and x~ = x: the run is gradient descent, and ends at the labels as given."""
    data = corrupted_dataset(5, 10, 16, rho=1 / 16, eps=0.3, seed=3)
    network = OneHiddenLayer.gaussian(200, 10, seed=3)
    eta = largest_step(data, network)
    run = refine(data, network, steps=8000, eta=2 * eta, alpha=0.5, precision="single")
    early = run.error.argmin()
    assert run.error[early] < 4 * data.rho  # it has been within zeta
    assert run.error[-1] > 4 * data.rho  # and leaves again
    assert run.noise_fitted[early] < run.noise_fitted[-1] == 1
    assert run.label_recovery[-1] < 1
    # another crop: nothing is proven about it, and nothing of this happens
    other = refine(data, network, steps=8000, eta=2 * eta, alpha=0.9, positive_from="cluster", precision="single")
    assert other.error[-1] < 4 * data.rho
    assert other.noise_fitted[-1] == 0


# ---- Theorem 8 -----------------------------------------------------------------------------------------------------
def paths(alpha=0.0, eps=0.2, steps=50):
    data = corrupted_dataset(5, 10, 12, rho=0.25, eps=eps, seed=1)
    network = OneHiddenLayer.gaussian(100, 10, seed=1)
    clean = data.at_centres()
    eta = largest_step(clean, network)
    runs = [
        refine(d, network, steps=steps, eta=eta, alpha=alpha, record=np.arange(steps + 1), keep_path=True)
        for d in (data, clean)
    ]
    f = [np.array([network.at(W)(d.X) for W in run.path]) for run, d in zip(runs, (data, clean), strict=True)]
    return data, network, runs, f


def test_s16_the_trajectories_do_not_start_together():
    data, network, runs, f = paths()
    p = np.linalg.norm(f[0] - f[1], axis=1)
    printed, _ = trajectory_bounds(data, network, runs[0].time)
    assert printed[0] == 0 < p[0]  # (56) at t = 0
    # corrected: (56) bounds the growth; at W_0 the crops' own spread, Theorem 5, is added
    assert (p <= p[0] + printed).all()
    slope = np.linalg.norm(network.W, 2) * np.sqrt(np.mean((1 - np.tanh(data.X @ network.W.T) ** 2) ** 2))
    assert p[0] <= np.sqrt(data.n) * data.eps * max(slope, np.linalg.norm(network.W, 2) * network.phi.Gamma)


@pytest.mark.parametrize("alpha", [0.3, 0.9])
def test_s17_the_residuals_differ_less_than_the_outputs(alpha):
    """p_t = (1 - alpha_t) |f - f~|, so a bound on p_t bounds |f - f~| only after division by 1 - alpha_t."""
    data, _, runs, f = paths(alpha)
    y = data.y
    r = [(1 - alpha) * (values - y) for values in f]
    p, difference = np.linalg.norm(r[0] - r[1], axis=1), np.linalg.norm(f[0] - f[1], axis=1)
    assert_allclose(p, (1 - alpha) * difference, rtol=1e-12)
    assert (difference > p * 1.4).all()  # printed: |f - f~| <= (the bound on p)
    assert_allclose(runs[0].residual_plus ** 2 + runs[0].residual_minus ** 2, (r[0] ** 2).sum(axis=1))


def test_s18_the_centres_path_needs_the_step_size():
    """(19) without eta is another iteration than (18) even where X = X~."""
    data = corrupted_dataset(4, 8, 10, rho=0.2, eps=0, seed=0)
    network = OneHiddenLayer.gaussian(40, 8, seed=0)
    printed = refine(data, network, steps=3, eta=1.0)
    run = refine(data, network, steps=3, eta=0.02)
    corrected = refine(data.at_centres(), network, steps=3, eta=0.02)
    assert np.linalg.norm(printed.W - run.W) > 1
    assert_allclose(corrected.W, run.W)


def test_s19_the_roadmap_swaps_the_weights():
    """D.2.1 has ybar = alpha y + (1 - alpha) f; by (5) alpha = 0 is descent on the labels as given."""
    data = corrupted_dataset(4, 8, 10, rho=0.2, eps=0.1, seed=0)
    network = OneHiddenLayer.gaussian(40, 8, seed=0)
    run = refine(data, network, steps=1, alpha=0.0)
    f = network(data.X)
    residual = np.hypot(run.residual_plus[0], run.residual_minus[0])
    assert_allclose(residual, np.linalg.norm(f - data.y))  # (5)
    assert np.linalg.norm(f - (0 * data.y + 1 * f)) == 0 < residual  # swapped: nothing would ever move


def test_s20_width_condition_inverts_alpha_max():
    """(61) L <= c / alpha_max, L = a / sqrt(k) mean k >= (a alpha_max / c)^2, not (a / (c alpha_max))^2 as in (62)."""
    a, c = 3.0, 0.1
    for alpha_max in (0.01, 0.3, 0.9):
        needed, printed = (a * alpha_max / c) ** 2, (a / (c * alpha_max)) ** 2
        assert_allclose(a / np.sqrt(needed), c / alpha_max)
        assert printed > needed
    assert (a / (c * 1e-8)) ** 2 > 1e18  # gradient descent itself, alpha_max -> 0, would need infinite width


def test_s21_lemma_9_needs_bounded_weights():
    c = np.eye(3)[0]
    x = np.array([np.sqrt(1 - 0.05**2), 0.05, 0.0])
    X, centres = np.tile(x, (20, 1)), np.tile(c, (20, 1))
    eps = np.linalg.norm(x - c)
    for scale, fails in ((1.0, False), (200.0, True)):
        W = np.tile(scale * np.eye(3)[1], (10, 1))  # orthogonal to c, so phi' goes from 1 to nearly 0 within the crop
        network = OneHiddenLayer(W)
        change = np.linalg.norm(network.jacobian(X) - network.jacobian(centres), 2)
        assert (change > np.sqrt(20) * eps) == fails  # printed, Gamma = 1
        spectral = np.linalg.norm(W, 2) / np.sqrt(10)
        assert change <= np.sqrt(20) * eps * (1 + spectral)  # corrected


def test_s22_sizes_the_theorems_ask_for():
    """With the proofs' own constants no data set or network of this world meets the conditions, and all goes well."""
    data = corrupted_dataset(10, 20, 50, rho=0.3, eps=0.3, seed=0)
    network = OneHiddenLayer.gaussian(200, 20, seed=0)
    eta = largest_step(data, network)
    run = refine(data, network, steps=400, eta=eta, alpha=0.9, positive_from="cluster", precision="single")
    found = theory_constants(data, network, eta=eta, steps=400, alpha=0.9, run=run)
    assert found.width_min > 1e14
    assert found.width_min_ball > 1e5
    assert found.eps_max < 1e-3
    assert found.zeta > 1000  # and no error exceeds 2
    assert found.zeta_measured < 4 * data.rho
    assert found.distance_measured < found.R / 10
    assert run.test_accuracy[-1] == 1
