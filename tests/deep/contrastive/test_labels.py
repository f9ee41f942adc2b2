"""Self-labeling refinery and losses.

Against loops written from the paper's formulae, and what must hold for any features.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from sparseop.deep.contrastive import mixing, quality
from sparseop.deep.contrastive.labels import (
    Refined,
    confidence,
    cross_entropy,
    one_hot_labels,
    refine,
    similarities,
    smooth,
)


def features(n, dim=6, seed=0):
    return normalize(torch.randn(n, dim, generator=torch.Generator().manual_seed(seed)))


def by_hand(t, keys, own, tau, sharpening, mu, use_p=True, use_q=True):
    """Equation (5) for one query, in numpy, term by term."""
    cosine = [float(np.dot(t, k) / np.linalg.norm(t) / np.linalg.norm(k)) for k in keys]
    sigma = [math.exp(c / tau) ** (1 / sharpening) for c in cosine]
    p = [s / sum(sigma) for s in sigma]
    q = [0.0 if k == own else s / sum(v for j, v in enumerate(sigma) if j != own) for k, s in enumerate(sigma)]
    z = 1 + mu * max(p) * use_p + mu * max(q) * use_q
    alpha, beta = mu * max(p) * use_p / z, mu * max(q) * use_q / z
    return [(1 - alpha - beta) * (k == own) + alpha * p[k] + beta * q[k] for k in range(len(keys))], p, q, alpha, beta


@pytest.mark.parametrize(("use_p", "use_q"), [(True, True), (True, False), (False, True), (False, False)])
def test_refined_labels_are_equation_5(use_p, use_q):
    t, keys, own = features(5, seed=1), features(13, seed=2), torch.tensor([0, 1, 2, 3, 4])
    refined = refine(similarities(t, keys, 0.2), own, mu=3.0, sharpening=0.8, use_p=use_p, use_q=use_q)
    for i in range(5):
        label, p, q, alpha, beta = by_hand(
            t[i].double().numpy(), keys.double().numpy(), int(own[i]), 0.2, 0.8, 3.0, use_p, use_q
        )
        np.testing.assert_allclose(refined.label[i], label, atol=1e-6)
        np.testing.assert_allclose(refined.p[i], p, atol=1e-6)
        np.testing.assert_allclose(refined.q[i], q, atol=1e-6)
        assert (float(refined.alpha[i]), float(refined.beta[i])) == pytest.approx((alpha, beta), abs=1e-6)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 6), st.integers(1, 9), st.floats(0, 20), st.floats(0.05, 1), st.floats(0.3, 1), st.integers(0, 99)
)
def test_labels_are_distributions_and_leave_weight_on_the_own_positive(s, b, mu, tau, sharpening, seed):
    keys, own = features(s + b, seed=seed), torch.randperm(s + b)[:s]
    for scope in ("sample", "batch"):
        refined = refine(similarities(keys[own], keys, tau), own, mu=mu, sharpening=sharpening, scope=scope)
        for rows in (refined.label, refined.p, refined.q, smooth(refined)):
            torch.testing.assert_close(rows.sum(1), torch.ones(s))
            assert (rows >= -1e-6).all()
        assert (refined.q.gather(1, own[:, None]) == 0).all()
        # the own positive is its own nearest key: the largest entry of p, and at least 1 / z of the label
        torch.testing.assert_close(refined.p.gather(1, own[:, None])[:, 0], refined.p.amax(1))
        floor = 1 - refined.alpha - refined.beta
        assert (refined.own_mass() >= floor - 1e-6).all()
        assert (floor >= 1 / (1 + 2 * mu) - 1e-6).all()
        torch.testing.assert_close(smooth(refined).gather(1, own[:, None])[:, 0], refined.own_mass())


def test_without_confidence_labels_are_one_hot_at_their_column():
    own = torch.tensor([3, 0])
    refined = refine(similarities(features(2), features(7, seed=3), 0.1), own, mu=0)
    assert torch.equal(refined.label, one_hot_labels(own, 7))
    assert refined.label.argmax(1).tolist() == [3, 0]


def test_smaller_sharpening_gives_sharper_estimates():
    similarity, own = similarities(features(4, seed=5), features(30, seed=6), 0.5), torch.arange(4)
    largest = [refine(similarity, own, mu=1, sharpening=s).q.amax(1) for s in (1.0, 0.5, 0.2)]
    assert (largest[0] < largest[1]).all()
    assert (largest[1] < largest[2]).all()


def test_the_sign_of_the_similarity():
    """A query equal to its positive has a small loss, one opposite to it a large one.

    The printed minus would turn this round.
    """
    keys, own = features(9), torch.tensor([2])
    near, far = (
        float(cross_entropy(similarities(sign * keys[own], keys, 0.1), one_hot_labels(own, 9))) for sign in (1, -1)
    )
    assert near < 0.1
    assert far > 5
    query = keys[own].roll(1, 1).requires_grad_()
    torch.autograd.backward(cross_entropy(similarities(query, keys, 0.1), one_hot_labels(own, 9)))
    assert float(keys[own] @ (-query.grad).T) > 0  # descent moves the query towards its positive


def test_confidence_rises_over_the_whole_run():
    places = [confidence(0.5, 10.0, place) for place in np.linspace(0, 1, 101)]
    assert (places[0], places[50], places[-1]) == pytest.approx((0.5, 5.25, 10.0))
    assert all(a < b for a, b in itertools.pairwise(places))


def test_soft_cross_entropy_is_the_sum_over_all_keys():
    logits, labels = 5 * torch.randn(4, 11), torch.rand(4, 11).softmax(1)
    slow = (
        -sum(
            float(labels[i, k]) * math.log(math.exp(logits[i, k]) / sum(math.exp(v) for v in logits[i]))
            for i in range(4)
            for k in range(11)
        )
        / 4
    )
    assert float(cross_entropy(logits, labels)) == pytest.approx(slow, rel=1e-5)


# ---- mixup -----------------------------------------------------------------------------------------------------------


def test_mixing_labels_row_by_row_is_mixing_the_losses():
    logits, labels = torch.randn(6, 9), torch.rand(6, 9).softmax(1)
    theta, partner = mixing.draw(6, 2.0, torch.Generator().manual_seed(0))
    mixed = cross_entropy(logits, mixing.mix(theta, labels, labels[partner]))
    slow = (
        sum(
            float(theta[i]) * cross_entropy(logits[i : i + 1], labels[i : i + 1])
            + (1 - float(theta[i])) * cross_entropy(logits[i : i + 1], labels[partner[i]][None])
            for i in range(6)
        )
        / 6
    )
    torch.testing.assert_close(mixed, slow)
    images = torch.rand(6, 3, 4, 4)
    torch.testing.assert_close(
        mixing.mix(theta, images, images[partner])[2], theta[2] * images[2] + (1 - theta[2]) * images[partner[2]]
    )


@pytest.mark.parametrize("kappa", [0.1, 2.0])
def test_theta_is_beta_distributed(kappa):
    theta, _ = mixing.draw(200_000, kappa, torch.Generator().manual_seed(3))
    assert theta.isfinite().all()
    assert theta.min() >= 0
    assert theta.max() <= 1
    assert float(theta.mean()) == pytest.approx(0.5, abs=0.005)
    assert float(theta.var()) == pytest.approx(1 / (4 * (2 * kappa + 1)), rel=0.01)


def test_partners_and_scopes():
    generator = torch.Generator().manual_seed(1)
    theta, partner = mixing.draw(50, 2.0, generator)
    assert sorted(partner.tolist()) == list(range(50))
    assert theta.unique().numel() == 50
    theta, partner = mixing.draw(50, 2.0, generator, scope="batch", partner="uniform")
    assert theta.unique().numel() == 1
    assert len(set(partner.tolist())) < 50
    assert 0 <= partner.min() <= partner.max() < 50


# ---- what labels are worth -------------------------------------------------------------------------------------------


def test_quality_of_labels_by_hand():
    own, classes = torch.tensor([0, 1]), torch.tensor([7, 8, 7, 7, 8, -1])
    label = torch.tensor([[0.5, 0.1, 0.2, 0.1, 0.0, 0.1], [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]])
    zero = torch.zeros(2)
    refined = Refined(label=label, p=label, q=label, alpha=zero, beta=zero, own=own)
    found = {name: float(value) for name, value in quality.against_truth(refined, label, classes[own], classes).items()}
    assert found["same_mass"] == pytest.approx(0.15)  # (0.2 + 0.1 + 0) / 2
    assert found["wrong_mass"] == pytest.approx(0.1)
    assert found["purity"] == pytest.approx(0.6)
    assert found["chance"] == pytest.approx((2 + 1) / 2 / 5)
    truth = torch.tensor([[1 / 3, 0, 1 / 3, 1 / 3, 0, 0], [0, 1 / 2, 0, 0, 1 / 2, 0]])
    assert found["tv_refined"] == pytest.approx(float((label - truth).abs().sum(1).mean() / 2))
    assert found["l2_refined"] == pytest.approx(float((label - truth).norm(dim=1).mean()))
    assert found["tv_one_hot"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert found["l2_uniform"] == pytest.approx(float((torch.full((2, 6), 1 / 6) - truth).norm(dim=1).mean()))


def test_one_hot_labels_have_no_purity():
    own, classes = torch.tensor([0]), torch.tensor([1, 1, 2])
    refined = refine(torch.zeros(1, 3), own, mu=0)
    assert quality.against_truth(refined, refined.label, classes[own], classes)["purity"].isnan()


def test_the_l2_error_cannot_see_semantics():
    """Half the mass on one right key is worse in L2 than half spread over all keys, nine in ten of them wrong.

    Purity tells.
    """
    own, classes = torch.tensor([0]), torch.tensor([0] * 100 + [1] * 900)
    label = torch.zeros(1, 1000)
    label[0, 0], label[0, 1] = 0.5, 0.5
    half = torch.full((1,), 0.5)
    found = quality.against_truth(Refined(label, label, label, half, half, own), label, classes[own], classes)
    assert found["l2_smoothed"] < found["l2_refined"]
    assert found["purity"] == 1
