import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparseop.errors import InputError
from sparseop.linear import implicit_regularizer, matching_alpha, matching_lam


def test_the_matching_rule_by_hand():
    assert matching_alpha(1.0, math.exp(-8)) == pytest.approx(4)
    assert matching_lam(4000.0, math.exp(-8)) == pytest.approx(1e-3)


@given(st.floats(1e-8, 1e8), st.floats(1e-300, 0.999))
def test_the_rule_and_its_inverse(lam, gamma):
    assert matching_lam(matching_alpha(lam, gamma), gamma) == pytest.approx(lam)


def test_the_formula_where_it_can_be_evaluated_directly():
    s, gamma = np.array([-2.0, -1e-3, 0.0, 0.3, 5.0]), 0.2
    direct = (s * np.arcsinh(s / (2 * gamma**2)) - np.sqrt(s**2 + 4 * gamma**4) + 2 * gamma**2) / (
        2 * math.log(1 / gamma)
    )
    np.testing.assert_allclose(implicit_regularizer(s, gamma), direct, rtol=1e-10, atol=1e-16)


def test_the_derivative_is_the_multiplier():
    s, gamma, h = np.array([-3.0, -0.1, 1e-4, 0.02, 1.0]), 0.03, 1e-6
    slope = (implicit_regularizer(s + h, gamma) - implicit_regularizer(s - h, gamma)) / (2 * h)
    np.testing.assert_allclose(slope, np.arcsinh(s / (2 * gamma**2)) / (2 * math.log(1 / gamma)), rtol=1e-5)


def test_it_becomes_the_absolute_value():
    s = np.array([-7.0, -0.5, 0.0, 1e-3, 4.0])
    before = np.inf
    for gamma in (1e-2, 1e-10, 1e-100, 1e-300):
        gap = np.abs(implicit_regularizer(s, gamma) - np.abs(s)).max()
        assert gap < before
        before = gap
    assert before < 0.02


def test_small_entries_see_a_parabola():
    gamma = 0.1
    assert implicit_regularizer(1e-9, gamma) == pytest.approx(1e-18 / (8 * gamma**2 * math.log(1 / gamma)))


@given(st.floats(-1e200, 1e200), st.floats(1e-300, 0.999))
def test_it_is_even_and_never_negative(s, gamma):
    value = implicit_regularizer(s, gamma)
    assert value >= 0
    assert value == implicit_regularizer(-s, gamma)
    assert value.shape == ()


def test_shapes_are_kept():
    assert implicit_regularizer(np.ones((2, 3, 4)), 0.1).shape == (2, 3, 4)
    assert implicit_regularizer([1, 2], 0.1).shape == (2,)


@pytest.mark.parametrize("s", [np.nan, [1, np.inf], "abc", []])
def test_bad_s(s):
    with pytest.raises(InputError, match=r"^s must"):
        implicit_regularizer(s, 0.1)


@pytest.mark.parametrize("gamma", [0, 1, -1, 2, np.nan, None])
def test_bad_gamma(gamma):
    for call in (
        lambda: implicit_regularizer(1.0, gamma),
        lambda: matching_alpha(1, gamma),
        lambda: matching_lam(1, gamma),
    ):
        with pytest.raises(InputError, match="gamma"):
            call()


@pytest.mark.parametrize("value", [0, -1, np.nan, np.inf])
def test_bad_weights(value):
    with pytest.raises(InputError, match="lam"):
        matching_alpha(value, 0.1)
    with pytest.raises(InputError, match="alpha"):
        matching_lam(value, 0.1)
