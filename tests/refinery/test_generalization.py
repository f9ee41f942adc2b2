import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sparseop.errors import InputError
from sparseop.refinery.generalization import (
    label_lipschitz,
    lower_constant,
    realising_cosine,
    two_class_labels,
    two_class_risks,
    upper_bound,
)

MASS = st.floats(0.01, 0.49)


def test_the_papers_example():
    risks = two_class_risks(0.4, 0.45)
    assert_allclose(two_class_labels(0.4), [[0.4, 0.4, 0.2], [0.4, 0.2, 0.4]])
    assert_allclose(risks.gap, -0.1 * np.log(2))
    assert_allclose(risks.discrepancy, 0.05 * np.sqrt(6))
    assert_allclose(risks.constant, 0.566, atol=5e-4)


@given(MASS, MASS)
def test_the_constant_is_its_closed_form(y0, y0_star):
    if abs(y0 - y0_star) > 1e-6:
        assert_allclose(two_class_risks(y0, y0_star).constant, lower_constant(y0), rtol=1e-6, atol=1e-9)


@given(MASS, MASS, MASS)
def test_the_gap_obeys_the_lipschitz_bound_for_any_model(y0, y0_star, predicted):
    risks = two_class_risks(y0, y0_star, predicted=predicted)
    log_h = np.log(two_class_labels(predicted))
    printed, sharp = label_lipschitz(log_h)
    assert abs(risks.gap) <= sharp * risks.discrepancy * (1 + 1e-9) + 1e-12
    assert sharp <= printed


def test_risk_is_least_at_the_truth():
    best = two_class_risks(0.4, 0.45, predicted=0.45).population
    for predicted in (0.3, 0.4, 0.44, 0.46, 0.49):
        assert two_class_risks(0.4, 0.45, predicted=predicted).population > best


@given(st.floats(0.34, 0.49), st.floats(0.1, 0.5))
def test_realised_by_similarities(y0, temperature):
    c = 1 - temperature * np.log(y0 / (1 - 2 * y0))
    if c < -1:
        with pytest.raises(InputError):
            realising_cosine(y0, temperature)
        return
    assert_allclose(realising_cosine(y0, temperature), c)
    weights = np.exp(np.array([1, 1, c]) / temperature)
    assert_allclose(weights[0] / weights.sum(), y0)


def test_no_label_error_no_gap():
    risks = two_class_risks(0.4, 0.4)
    assert risks.gap == risks.discrepancy == 0
    assert np.isnan(risks.constant)


def test_bound_terms_by_hand_and_scale():
    losses = np.array([0.0, 1.0, 2.0, 1.0])
    terms = upper_bound(losses, 0.3, lipschitz=2.0, loss_range=2.0, log_class_size=1.5, nu=0.1)
    log = np.log(40) + 1.5
    assert_allclose(terms.label, 0.6)
    assert_allclose(terms.variance, np.sqrt(2 * (2 / 3) * log / 4))
    assert_allclose(terms.range, 7 * 2 * log / 9)
    assert_allclose(terms.total, terms.label + terms.variance + terms.range)
    scaled = upper_bound(10 * losses, 0.3, lipschitz=20.0, loss_range=20.0, log_class_size=1.5, nu=0.1)
    assert_allclose(scaled.total, 10 * terms.total)  # a bound on a loss must have the loss's unit


def test_deviation_holds_in_simulation():
    rng = np.random.default_rng(0)
    failures = 0
    for _ in range(400):
        losses = rng.random(50) ** 3
        failures += abs(losses.mean() - 0.25) > upper_bound(losses, 0, lipschitz=0, loss_range=1).total
    assert failures <= 0.05 * 400


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (lambda: two_class_risks(0.6, 0.4), "y0 must lie in (0, 0.5)"),
        (lambda: lower_constant(0), "y0 must lie in (0, 0.5), got 0."),
        (lambda: realising_cosine(0.4, 0), "temperature must be a finite number > 0"),
        (lambda: realising_cosine(0.49, 2), "the cosine would have to be"),
        (lambda: upper_bound([1.0], 0, lipschitz=1, loss_range=1), "len(losses) must be >= 2"),
        (lambda: upper_bound([1.0, 2], 0, lipschitz=1, loss_range=1, nu=1), "nu must lie in (0, 1)"),
        (lambda: label_lipschitz([[0.0, -np.inf]]), "log_h must be finite"),
    ],
)
def test_bad_input(action, words):
    with pytest.raises(InputError) as caught:
        action()
    assert words in str(caught.value)
