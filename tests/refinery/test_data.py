import numpy as np
import pytest
from numpy.testing import assert_allclose

from sparseop.errors import InputError
from sparseop.refinery.data import CorruptedDataset, corrupted_dataset, crop


def draw(**changes):
    options = {"n_centres": 6, "dim": 8, "crops": 20, "rho": 0.25, "eps": 0.2, "n_classes": 3, "seed": 4}
    options.update(changes)
    return corrupted_dataset(options.pop("n_centres"), options.pop("dim"), options.pop("crops"), **options)


def test_definition_1_holds():
    data = draw()
    assert_allclose(np.linalg.norm(data.X, axis=1), 1)
    assert_allclose(np.linalg.norm(data.centres, axis=1), 1)
    assert 0.15 < data.eps <= 0.2 + 1e-12
    gaps = np.linalg.norm(data.centres[:, None] - data.centres[None], axis=2)[np.triu_indices(6, 1)]
    assert gaps.min() >= 0.4
    assert data.delta == 1
    assert set(data.gammas) == {-1, 0, 1}
    assert data.rho == 0.25
    wrong = np.bincount(data.cluster, data.wrong)
    assert_allclose(wrong, 5)  # exactly rho n_i in every cluster
    assert (data.y[data.wrong] != data.y_star[data.wrong]).all()


def test_share_is_rounded_down_but_not_by_floating_point():
    data = draw(crops=[50, 51, 53, 10, 11, 12], rho=0.3)
    assert np.bincount(data.cluster, data.wrong).tolist() == [15, 15, 15, 3, 3, 3]
    assert (data.c_low, data.c_up) == (60 / 187, 318 / 187)


def test_farthest_labels_meet_lemma_8_with_equality():
    data = draw(corruption="farthest")
    e = data.y - data.y_star
    assert_allclose(np.abs(data.plus(e)).max(), 2 * data.rho)


def test_projections_are_orthogonal_and_idempotent():
    data = draw(crops=[5, 9, 20, 3, 4, 31])
    v = np.random.default_rng(0).standard_normal(data.n)
    assert_allclose(data.plus(v) + data.minus(v), v)
    assert_allclose(data.plus(data.plus(v)), data.plus(v))
    assert_allclose(data.plus(data.minus(v)), 0, atol=1e-14)
    assert_allclose(data.plus(v) @ data.minus(v), 0, atol=1e-12)
    assert_allclose(data.plus(v)[data.cluster == 3], v[data.cluster == 3].mean())


def test_diffusedness_is_the_smallest_constant():
    data = draw(crops=[5, 9, 20, 3, 4, 31])
    worst = (data.cluster == 3).astype(float)  # the smallest cluster
    assert_allclose(np.abs(worst).max(), np.sqrt(data.diffusedness / data.n) * np.linalg.norm(worst))
    rng = np.random.default_rng(1)
    for _ in range(50):
        v = data.plus(rng.standard_normal(data.n))
        assert np.abs(v).max() <= np.sqrt(data.diffusedness / data.n) * np.linalg.norm(v) * (1 + 1e-12)


def test_nearest_label():
    data = draw()
    assert data.nearest(np.array([-3, -0.51, -0.49, 0.2, 0.51, 9])).tolist() == [-1, -1, 0, 0, 1, 1]


def test_crops_fill_the_cap():
    centres = np.tile(np.eye(5)[0], (4000, 1))
    x = crop(centres, 0.4, np.random.default_rng(0))
    distance = np.linalg.norm(x - centres, axis=1)
    assert distance.max() <= 0.4 + 1e-12
    # |x - c| / eps has the law U^(1/(d-1)) with mean (d-1)/d = 0.8
    assert_allclose((distance / 0.4).mean(), 0.8, atol=0.01)
    assert_allclose(x.mean(axis=0)[1:], 0, atol=0.02)


def test_eps_zero_puts_every_crop_on_its_centre():
    data = draw(eps=0)
    assert_allclose(data.X, data.centres[data.cluster], atol=1e-15)
    moved = draw().at_centres()
    assert moved.eps == 0
    assert_allclose(moved.y, draw().y)


def test_seed_decides_and_differs_from_the_networks():
    assert_allclose(draw().X, draw().X)
    assert not np.allclose(draw().X, draw(seed=5).X)
    from sparseop.refinery.network import OneHiddenLayer

    W = OneHiddenLayer.gaussian(6, 8, seed=4).W
    cosine = (W / np.linalg.norm(W, axis=1, keepdims=True)) @ draw().centres.T
    assert np.abs(cosine).max() < 0.99  # with one stream for both, W_0 would hold the centres


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"delta": 1.01}, "delta must lie in (0, 1] for n_classes=3"),
        ({"delta": 0}, "delta must lie in"),
        ({"delta": "wide"}, "delta must be a real number, got 'wide'."),
        ({"rho": 0.5}, "rho must lie in [0, 0.5)"),
        ({"rho": -0.1}, "rho must lie in"),
        ({"rho": 0.1, "n_classes": 1}, "a single class has no wrong label"),
        ({"eps": 0.95, "dim": 3}, "eps=0.95 is too large for n_centres=6 in dim=3"),
        ({"eps": 1.5}, "eps must lie in [0, 1]"),
        ({"n_classes": 7}, "n_classes must be >= 1 and <= 6"),
        ({"crops": [3, 4]}, "crops must be one number or n_centres=6 numbers, got 2"),
        ({"crops": 0}, "crops must be >= 1"),
        ({"corruption": "randm"}, "Did you mean 'random'?"),
        ({"centres": np.eye(6, 8) * 1.1}, "centres must have unit rows"),
        ({"centres": np.eye(6, 8)[[0, 1, 2, 3, 4, 4]]}, "rows 4 and 5 are 0 apart"),
    ],
)
def test_bad_requests_get_one_sentence(changes, words):
    with pytest.raises(InputError) as caught:
        draw(**changes)
    assert words in str(caught.value)
    assert str(caught.value)[-1] in ".?"


def own(**changes):
    fields = {
        "X": np.eye(4),
        "y": np.array([1.0, -1, -1, -1]),
        "y_star": np.array([1.0, 1, -1, -1]),
        "cluster": np.array([0, 0, 1, 1]),
        "centres": np.eye(4)[[0, 2]],
        "gammas": np.array([-1.0, 1]),
    }
    return CorruptedDataset(**{**fields, **changes})


def test_own_data():
    data = own()
    assert data.rho == 0.5
    assert_allclose(data.eps, np.sqrt(2))
    assert data.centre_labels.tolist() == [1, -1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"X": 2 * np.eye(4)}, "X must have unit rows (Definition 1), row 0 has norm 2"),
        ({"y": np.array([1.0, 0, -1, -1])}, "y must hold labels among gammas, got 0"),
        ({"y_star": np.array([1.0, -1, -1, -1])}, "one label for each cluster, cluster 0 has several"),
        ({"cluster": np.array([0, 0, 2, 2])}, "cluster must use every index"),
        ({"cluster": np.array([0.0, 0, 1, 1])}, "cluster must be whole numbers"),
        ({"gammas": np.array([-1.0, 1.5])}, "gammas must increase inside [-1, 1]"),
        ({"X": np.full((4, 4), np.nan)}, "X must be finite"),
    ],
)
def test_bad_own_data(changes, words):
    with pytest.raises(InputError) as caught:
        own(**changes)
    assert words in str(caught.value)
