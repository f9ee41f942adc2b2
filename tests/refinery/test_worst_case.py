import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize

from sparseop.errors import InputError
from sparseop.refinery.data import corrupted_dataset, crop
from sparseop.refinery.network import OneHiddenLayer
from sparseop.refinery.worst_case import project, worst_accuracy, worst_crops


def problem():
    data = corrupted_dataset(4, 6, 5, rho=0, eps=0.3, seed=0)
    return data, OneHiddenLayer.gaussian(40, 6, seed=0)


def test_found_crops_are_admissible_and_beat_random_ones():
    data, network = problem()
    worst = worst_crops(network, data)
    rng = np.random.default_rng(0)
    for points, values in ((worst.high, worst.f_high), (worst.low, worst.f_low)):
        assert_allclose(np.linalg.norm(points, axis=1), 1)
        assert (np.linalg.norm(points - data.centres, axis=1) <= 0.3 + 1e-9).all()
        assert_allclose(network(points), values)
    for k in range(4):
        f = network(crop(np.tile(data.centres[k], (5000, 1)), 0.3, rng))
        assert worst.f_high[k] >= f.max()
        assert worst.f_low[k] <= f.min()
    assert worst.spread == (worst.f_high - worst.f_low).max()


def test_against_a_constrained_optimiser():
    data, network = problem()
    worst = worst_crops(network, data, starts=6, steps=80)
    for k in range(4):
        c = data.centres[k]
        found = [
            minimize(
                lambda x: -network(x[None])[0],
                crop(c[None], 0.3, np.random.default_rng(s))[0],
                method="SLSQP",
                constraints=[
                    {"type": "eq", "fun": lambda x: x @ x - 1},
                    {"type": "ineq", "fun": lambda x, c=c: 0.09 - (x - c) @ (x - c)},
                ],
            )
            for s in range(3)
        ]
        best = max(-r.fun for r in found if r.success)
        assert worst.f_high[k] >= best - 0.01 * worst.spread


def test_theorem_5_linear_case():
    """For tiny eps f is linear on the cap: the spread is 2 eps times the tangential gradient."""
    data, network = problem()
    eps = 1e-4
    worst = worst_crops(network, data, eps=eps)
    g = network.input_gradient(data.centres)
    g -= (g * data.centres).sum(axis=1, keepdims=True) * data.centres
    assert_allclose(worst.f_high - worst.f_low, 2 * eps * np.linalg.norm(g, axis=1), rtol=1e-2)


def test_projection():
    c = np.eye(3)[:1]
    x = project(np.array([[0.0, 2.0, 0.0]]), c, 0.5)
    assert_allclose(np.linalg.norm(x), 1)
    assert_allclose(np.linalg.norm(x - c), 0.5)
    assert x[0, 1] > 0
    assert_allclose(x[0, 2], 0)
    inside = np.array([[1.0, 0.1, 0.0]]) / np.sqrt(1.01)
    assert_allclose(project(3 * inside, c, 0.5), inside)


def test_accuracy_counts_centres():
    data, network = problem()
    worst = worst_crops(network, data)
    share = worst_accuracy(data, worst)
    f = np.sign([worst.f_high, worst.f_low, worst.f_centre])
    assert share == np.mean((f == data.centre_labels).all(axis=0))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"eps": 0}, "eps must lie in (0, 1]"),
        ({"starts": 0}, "starts must be >= 1"),
        ({"steps": 0}, "steps must be >= 1"),
    ],
)
def test_bad_input(changes, words):
    data, network = problem()
    with pytest.raises(InputError) as caught:
        worst_crops(network, data, **changes)
    assert words in str(caught.value)


def test_mismatched_network():
    data, _ = problem()
    with pytest.raises(InputError, match="inputs of length 3, but data has crops of length 6"):
        worst_crops(OneHiddenLayer.gaussian(4, 3, seed=0), data)
