import numpy as np
import pytest
from numpy.testing import assert_allclose

from sparseop.errors import InputError
from sparseop.refinery import schedules
from sparseop.refinery.data import corrupted_dataset
from sparseop.refinery.descent import POSITIVES, _Descent, largest_step, log_steps, refine
from sparseop.refinery.network import ACTIVATIONS, OneHiddenLayer


def problem(seed=0, width=60, activation="tanh", **options):
    data = corrupted_dataset(5, 8, 12, rho=0.25, **{"eps": 0.25, "seed": seed, **options})
    return data, OneHiddenLayer.gaussian(width, 8, activation, seed=seed)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_one_step_is_equation_7(activation):
    data, network = problem(activation=activation)
    run = refine(data, network, steps=1, eta=0.03)
    residual = network(data.X) - data.y
    expected = network.W - 0.03 * (network.jacobian(data.X).T @ residual).reshape(network.W.shape)
    assert_allclose(run.W, expected, rtol=1e-12, atol=1e-14)


def test_refined_label_is_equation_5_and_is_not_differentiated():
    data, network = problem()
    run = refine(data, network, steps=1, eta=0.03, alpha=0.7)
    ybar = 0.3 * data.y + 0.7 * network(data.X)
    expected = network.W - 0.03 * (network.jacobian(data.X).T @ (network(data.X) - ybar)).reshape(network.W.shape)
    assert_allclose(run.W, expected, rtol=1e-12, atol=1e-14)
    assert_allclose(run.discrepancy[0], np.linalg.norm(ybar - data.y_star) / np.sqrt(data.n))


@pytest.mark.parametrize("alphas", [np.full(300, 0.9), schedules.cosine(300, 0.99, 200)])
def test_with_the_crop_itself_the_refinery_is_gradient_descent_with_another_step(alphas):
    """The collapse in effective time, exactly: step by step the same weights when eta (1 - alpha_t) is the same."""
    data, network = problem()
    run = refine(data, network, steps=300, eta=0.05, alpha=alphas)
    W = network.W
    for a in alphas:
        net = network.at(W)
        W = W - 0.05 * (1 - a) * (net.jacobian(data.X).T @ (net(data.X) - data.y)).reshape(W.shape)
    assert_allclose(run.W, W, rtol=0, atol=1e-11)
    assert_allclose(run.time[-1], 0.05 * np.sum(1 - alphas))


def test_constant_alpha_is_a_smaller_step_and_nothing_else():
    data, network = problem()
    slow = refine(data, network, steps=500, eta=0.1, alpha=0.9, record=[0, 500])
    descent = refine(data, network, steps=500, eta=0.01, record=[0, 500])
    assert_allclose(slow.W, descent.W, atol=1e-12)
    # the residual that Theorem 6 follows is (1 - alpha) times descent's
    assert_allclose(slow.residual_plus, 0.1 * descent.fit_plus, rtol=1e-9)
    assert_allclose(slow.residual_minus, 0.1 * descent.fit_minus, rtol=1e-9)


def test_alpha_one_stops_everything():
    data, network = problem()
    run = refine(data, network, steps=5, alpha=1.0)
    assert_allclose(run.W, network.W)


def test_another_crop_leaves_the_floor_that_linear_theory_predicts():
    """On S- the fixed point is (1 - alpha) P_S- y, in mean over the redrawn partners: the noise is never fitted."""
    data, network = problem(width=100, eps=0.5)
    alpha = 0.8
    descent = refine(data, network, steps=2500)
    refined = refine(data, network, steps=2500, alpha=alpha, positive_from="cluster")
    noise = np.linalg.norm(data.minus(data.y))
    assert descent.fit_minus[-1] < 0.3 * noise
    # a random cycle of m crops has mean (P+ - I/m) m/(m-1), so the floor is alpha m/(m-1) over 1 + alpha/(m-1)
    m = 12
    floor = alpha * m / (m - 1) / (1 + alpha / (m - 1))
    assert_allclose(refined.fit_minus[-1] / noise, floor, atol=0.06)
    assert refined.noise_fitted[-1] <= 0.1
    assert descent.noise_fitted[-1] >= 0.9


def test_partners_are_other_crops_of_the_same_centre_each_used_once():
    data, network = problem()
    state = _Descent(data, network, "cluster", 0.0, np.float64, np.random.default_rng(0))
    for _ in range(20):
        partner = state._partners()
        assert sorted(partner) == list(range(data.n))
        assert (partner != np.arange(data.n)).all()
        assert (data.cluster[partner] == data.cluster).all()
    assert (state._partners() != state._partners()).any()


def test_partners_with_clusters_out_of_order():
    data, network = problem()
    mixed = np.random.default_rng(0).permutation(data.n)
    shuffled = type(data)(
        data.X[mixed], data.y[mixed], data.y_star[mixed], data.cluster[mixed], data.centres, data.gammas
    )
    partner = _Descent(shuffled, network, "cluster", 0.0, np.float64, np.random.default_rng(0))._partners()
    assert (shuffled.cluster[partner] == shuffled.cluster).all()
    assert (partner != np.arange(data.n)).all()


def test_moving_average_teacher():
    data, network = problem()
    run = refine(data, network, steps=2, eta=0.05, alpha=0.5, teacher=0.8)
    W, average = network.W, network.W
    for _ in range(2):
        net = network.at(W)
        ybar = 0.5 * data.y + 0.5 * network.at(average)(data.X)
        W = W - 0.05 * (net.jacobian(data.X).T @ (net(data.X) - ybar)).reshape(W.shape)
        average = 0.8 * average + 0.2 * W
    assert_allclose(run.W, W, atol=1e-13)


@pytest.mark.parametrize("positive_from", POSITIVES)
@pytest.mark.parametrize("teacher", [0.0, 0.9])
def test_every_source_runs_and_repeats(positive_from, teacher):
    data, network = problem()
    options = {"steps": 30, "alpha": 0.8, "positive_from": positive_from, "teacher": teacher, "seed": 3}
    one, two = refine(data, network, **options), refine(data, network, **options)
    assert_allclose(one.W, two.W)
    assert one.step[0] == 0
    assert one.step[-1] == 30
    assert np.isfinite(one.error).all()


@pytest.mark.parametrize("positive_from", ["self", "cluster"])
def test_single_precision_suffices(positive_from):
    data = corrupted_dataset(10, 20, 20, rho=0.3, eps=0.3, seed=1)
    network = OneHiddenLayer.gaussian(100, 20, seed=1)
    runs = [
        refine(data, network, steps=1000, alpha=0.5, positive_from=positive_from, precision=p, seed=2)
        for p in ("double", "single")
    ]
    assert_allclose(runs[1].W, runs[0].W, atol=1e-4)
    for name in ("error", "discrepancy", "distance", "fit_plus", "fit_minus", "residual_minus"):
        assert_allclose(getattr(runs[1], name), getattr(runs[0], name), rtol=2e-4, atol=1e-5)
    for name in ("test_accuracy", "noise_fitted", "label_recovery"):
        assert_allclose(getattr(runs[1], name), getattr(runs[0], name), atol=0.011)


def test_records_against_a_direct_computation():
    data, network = problem()
    run = refine(data, network, steps=40, eta=0.05, record=[0, 7, 40], keep_path=True)
    assert run.step.tolist() == [0, 7, 40]
    net = network.at(run.path[1])
    f = net(data.X)
    assert_allclose(run.path[2], run.W)
    assert_allclose(run.distance[1], np.linalg.norm(run.path[1] - network.W))
    assert_allclose(run.error[1], np.sqrt(np.mean((f - data.y_star) ** 2)))
    assert_allclose(run.error_max[1], np.abs(f - data.y_star).max())
    assert_allclose(run.fit_plus[1] ** 2 + run.fit_minus[1] ** 2, np.sum((f - data.y) ** 2))
    wrong = data.y != data.y_star
    assert_allclose(run.noise_fitted[1], np.mean(np.sign(f[wrong]) == data.y[wrong]))
    assert_allclose(run.label_recovery[1], np.mean(data.y == data.y_star))  # alpha = 0: the labels as given
    assert_allclose(run.time, 0.05 * run.step)


def test_perfectly_clustered_data_cannot_be_overfitted():
    """Theorem 7's setting, eps = 0.

    F is constant on clusters, so |f - y*|_inf settles at |P_S+ e|_inf, with alpha = 0 too.
    """
    data, network = problem(eps=0.0)
    for alpha in (0.0, 0.5):
        run = refine(data, network, steps=2500, alpha=alpha)
        assert_allclose(run.error_max[-1], np.abs(data.plus(data.y - data.y_star)).max(), rtol=1e-6)
        assert run.error_max[-1] <= 4 * data.rho
        assert_allclose(data.minus(run.f), 0, atol=1e-12)


def test_log_steps():
    assert log_steps(1).tolist() == [0, 1]
    steps = log_steps(5000, 40)
    assert steps[0] == 0
    assert steps[-1] == 5000
    assert (np.diff(steps) > 0).all()


def test_schedules():
    assert schedules.constant(3, 0.5).tolist() == [0.5] * 3
    assert schedules.ramp(5, 0.8, 4).tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert schedules.cosine(4, 1.0, 2).tolist() == pytest.approx([0, 0.5, 1, 1])
    assert schedules.variation(schedules.cosine(100, 0.9, 20)) == pytest.approx(0.9)
    # memory term of Theorem 6 by its definition
    alpha = np.array([0, 0.5, 0.2, 0.2])
    by_hand = max(sum(0.9 ** (t - i) * abs(alpha[i + 1] - alpha[i]) for i in range(t)) for t in (1, 2, 3))
    assert schedules.discounted_variation(alpha, 0.1) == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steps": 0}, "steps must be >= 1"),
        ({"alpha": 1.2}, "alpha must lie in [0, 1]"),
        ({"alpha": [0.1, 0.2]}, "alpha must have shape (10) (one weight a step)"),
        ({"alpha": [0.1] * 9 + [1.5]}, "alpha must lie in [0, 1] at every step, got 0.1 to 1.5"),
        ({"eta": -1}, "eta must be a finite number > 0"),
        ({"positive_from": "clusters"}, "Did you mean 'cluster'?"),
        ({"teacher": 1.0}, "teacher must lie in [0, 1)"),
        ({"precision": "half"}, "precision must be one of"),
        ({"record": [0, 11]}, "record must be increasing whole numbers from 0 to steps=10"),
        ({"test_crops": 0}, "test_crops must be >= 1"),
    ],
)
def test_bad_input(changes, words):
    data, network = problem()
    with pytest.raises(InputError) as caught, np.errstate(all="ignore"):
        refine(data, network, **{"steps": 10, **changes})
    assert words in str(caught.value)


def test_divergence_is_an_error_not_a_result():
    data, network = problem(activation="softplus")
    with pytest.raises(InputError, match="eta=1e\\+200 is too large, the weights were infinite at step"):
        refine(data, network, steps=10, eta=1e200)
    with pytest.raises(InputError, match="the weights were infinite at step 10"):  # also where the end is not recorded
        refine(data, network, steps=10, eta=1e200, record=[0])


def test_mismatched_network_and_single_crops():
    data, _ = problem()
    with pytest.raises(InputError, match="network takes inputs of length 3, but data has crops of length 8"):
        refine(data, OneHiddenLayer.gaussian(4, 3, seed=0), steps=1)
    single = corrupted_dataset(3, 8, [1, 5, 5], rho=0.0, eps=0.1, seed=0)
    with pytest.raises(InputError, match="needs two crops of every centre"):
        refine(single, OneHiddenLayer.gaussian(4, 8, seed=0), steps=1, alpha=0.5, positive_from="cluster")


def test_largest_step():
    data, network = problem()
    J = network.jacobian(data.X)
    assert_allclose(largest_step(data, network), 1 / np.linalg.norm(J, 2) ** 2)
