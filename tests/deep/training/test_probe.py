"""Nearest neighbours and linear classifiers, against scikit-learn and against loops."""

import copy
import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from sparseop.deep.training import probe
from sparseop.errors import InputError


def clouds(n, classes=5, width=12, spread=1.2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn((classes, width), generator=torch.Generator().manual_seed(99))
    labels = torch.arange(n) % classes
    return centres[labels] + spread * torch.randn((n, width), generator=generator), labels


TRAIN, TEST = clouds(400), clouds(200, seed=1)


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.1), (50, 0.05), (200, 0.1), (400, 1e-3)])
def test_knn_is_scikit_learns_with_weights_of_the_angle(k, temperature):
    other = KNeighborsClassifier(
        k, metric="cosine", algorithm="brute", weights=lambda d: np.exp((d.min(1, keepdims=True) - d) / temperature)
    )
    expected = other.fit(TRAIN[0].numpy(), TRAIN[1].numpy()).score(TEST[0].numpy(), TEST[1].numpy())
    assert probe.knn(*TRAIN, *TEST, 5, k, temperature) == pytest.approx(expected, abs=1e-9)
    assert 0.3 < expected < 1


def test_knn_of_a_case_by_hand():
    """Cosines 1, 0.6 and 0.6: at temperature 1, e + 0 against 2 e^0.6 = 3.64 > 2.72, the pair wins.

    At 0.1 the nearest does.
    """
    bank = torch.tensor([[2.0, 0], [0.6, 0.8], [3, -4]])
    labels, query = torch.tensor([0, 1, 1]), torch.tensor([[5.0, 0]])
    assert probe.knn(bank, labels, query, torch.tensor([1]), 2, 3, 1.0) == 1
    assert probe.knn(bank, labels, query, torch.tensor([0]), 2, 3, 0.1) == 1


def test_knn_in_small_pieces_is_the_same(monkeypatch):
    whole = probe.knn(*TRAIN, *TEST, 5)
    monkeypatch.setattr(probe, "MEMORY", 4 * 400 * 7)
    assert probe.knn(*TRAIN, *TEST, 5) == whole
    assert probe.knn(TRAIN[0].half(), TRAIN[1], TEST[0].half(), TEST[1], 5) == pytest.approx(whole, abs=0.01)


@pytest.mark.parametrize("width", [12, 500])
def test_ridge_is_scikit_learns(width):
    """Both systems: fewer columns than rows, and more. A constant column, a huge and a tiny one change nothing."""
    (x, y), (tx, _) = clouds(300, width=width), clouds(50, width=width, seed=2)
    for part in (x, tx):
        part[:, 0] = 3.5
        part[:, 1] *= 1e4
        part[:, 2] *= 1e-4
    targets = torch.nn.functional.one_hot(y, 5).double()
    weights, offset = probe.ridge(x, targets, 0.03)
    scaler = StandardScaler().fit(x.double().numpy())
    other = Ridge(alpha=0.03 * 300, solver="cholesky").fit(scaler.transform(x.double().numpy()), targets.numpy())
    assert (tx.double() @ weights + offset).numpy() == pytest.approx(
        other.predict(scaler.transform(tx.double().numpy())), abs=1e-7
    )


def test_ridge_without_penalty_survives_dependent_columns():
    x, y = clouds(100)
    weights, offset = probe.ridge(torch.cat([x, x], 1), torch.nn.functional.one_hot(y, 5), 0.0)
    assert torch.isfinite(weights).all()
    assert torch.isfinite(offset).all()


def test_linear_probes_agree_with_logistic_regression():
    """Three routes to a linear classifier on the same features come within the noise of 200 test samples."""
    reference = (
        LogisticRegression(max_iter=1000)
        .fit(TRAIN[0].numpy(), TRAIN[1].numpy())
        .score(TEST[0].numpy(), TEST[1].numpy())
    )
    assert reference > 0.7
    for options in (
        {},
        {"solver": "adam", "epochs": 40},
        {"solver": "sgd", "lr": 0.3, "epochs": 30},
        {"solver": "sgd", "lr": 0.3, "epochs": 30, "schedule": "cosine"},
    ):
        assert probe.linear_probe(*TRAIN, *TEST, 5, **options) == pytest.approx(reference, abs=0.04), options


def test_gradient_probe_reaches_the_optimum():
    """Full batches and a rate that falls: the cross-entropy's gradient at the end is nearly 0, and a seed repeats."""
    x, y = TRAIN
    head = probe.train_head(lambda _: iter([(x, y)]), 12, 5, lr=1.0, epochs=400, schedule="cosine")
    loss = torch.nn.functional.cross_entropy(head(x), y)
    gradient = torch.autograd.grad(loss, list(head.parameters()))
    assert max(float(g.abs().max()) for g in gradient) < 1e-3
    first, again = (probe.linear_probe(*TRAIN, *TEST, 5, solver="sgd", lr=0.1, epochs=3, seed=4) for _ in range(2))
    assert first == again


def test_rates_fall_at_60_and_80_percent(monkeypatch):
    """Under a loss of gradient 1, plain descent moves the offset by the sum of the rates.

    6, 2 and 2 epochs at 1, 0.1 and 0.01.
    """
    real = torch.optim.SGD
    monkeypatch.setattr(torch.optim, "SGD", lambda parameters, lr, **_: real(parameters, lr))
    head = probe.train_head(
        lambda _: iter([(torch.zeros(1, 3), torch.zeros(1))]),
        3,
        2,
        lr=1.0,
        epochs=10,
        loss=lambda logits, _: logits.sum(),
    )
    assert head.bias.tolist() == pytest.approx([-6.22, -6.22])


def test_a_head_goes_on_where_it_stopped():
    states = []
    options = {"lr": 0.5, "epochs": 4, "after": lambda _, loss, state: states.append((loss, copy.deepcopy(state)))}
    whole = probe.train_head(lambda _: iter([TRAIN, TRAIN]), 12, 5, **options)
    assert [state["epoch"] for _, state in states] == [1, 2, 3, 4]
    assert states[0][0] > states[3][0]
    again = probe.train_head(lambda _: iter([TRAIN, TRAIN]), 12, 5, lr=0.5, epochs=4, begun=states[1][1])
    assert torch.equal(whole.weight, again.weight)


def test_global_randomness_is_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    probe.linear_probe(*TRAIN, *TEST, 5, solver="adam", epochs=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"k": 401}, "k must be >= 1 and <= 400 = number of training samples, got 401"),
        ({"temperature": 0.0}, "temperature must be a finite number > 0"),
        ({"classes": 4}, "train labels must lie in 0..3, got 0 to 4"),
        ({"train_labels": TRAIN[1][:-1]}, r"train labels must be int64 of shape \(400,\)"),
        ({"test_features": TEST[0][:, :5]}, "same width, got 12 and 5"),
        ({"test_features": TEST[0].long()}, "test features must be floating point"),
        ({"train_features": torch.full((400, 12), math.nan)}, "train features must be finite; row 0 is not"),
        ({"test_features": TEST[0][:0], "test_labels": TEST[1][:0]}, "with N > 0"),
    ],
)
def test_what_knn_refuses(change, words):
    whole = {
        "train_features": TRAIN[0],
        "train_labels": TRAIN[1],
        "test_features": TEST[0],
        "test_labels": TEST[1],
        "classes": 5,
    }
    with pytest.raises(InputError, match=words):
        probe.knn(**{**whole, **change})


def test_what_the_linear_probe_refuses():
    with pytest.raises(InputError, match="solver must be one of"):
        probe.linear_probe(*TRAIN, *TEST, 5, solver="lbfgs")
    with pytest.raises(InputError, match="penalty must be a finite number >= 0"):
        probe.linear_probe(*TRAIN, *TEST, 5, penalty=-1)
    with pytest.raises(InputError, match="epochs must be >= 1"):
        probe.linear_probe(*TRAIN, *TEST, 5, solver="sgd", epochs=0)
    with pytest.raises(InputError, match=r"not finite after epoch \d; a smaller lr than 1e\+37"):
        probe.linear_probe(1e20 * TRAIN[0], TRAIN[1], *TEST, 5, solver="sgd", lr=1e37, epochs=3)
