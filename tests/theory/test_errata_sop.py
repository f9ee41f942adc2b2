"""Entries of docs/errata.md on the SOP paper and its slides; the others are tested in tests/linear/."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import brentq, minimize


def test_p2_case_3_of_proposition_33_is_not_strict():
    """N = 1, J = 1, y = lambda = 1.

    The flow's limit solves nu + 2 gamma^2 sinh(4 alpha nu) = y, alpha = L / (2 lambda), L = -log gamma.

    For every gamma |nu| < lambda, s > 0; as gamma -> 0, s -> 0 and nu -> lambda: the limit's inequality is not strict.
    """
    previous = 1.0
    for L in (1e1, 1e3, 1e5, 1e7):
        # 2 gamma^2 sinh(2 L nu) = exp(2 L (nu - 1)) - exp(-2 L (nu + 1))
        nu = brentq(lambda v, L=L: v + np.exp(2 * L * (v - 1)) - np.exp(-2 * L * (v + 1)) - 1, 0, 1, xtol=1e-15)
        s = 1 - nu
        assert 0 < s < previous
        previous = s
    assert s < 1e-6
    assert_allclose(nu, 1, atol=1e-6)  # printed: lim |nu| < lambda = 1


@pytest.mark.parametrize("s", [-1.7, 0.0, 0.3, 2.0])
def test_p3_variational_form_of_the_l1_norm(s):
    """min (u^2 + v^2) / 2 over u^2 - v^2 = s is |s| / 2; without the 1/2 it is |s|."""
    best = minimize(
        lambda w: 0.5 * (np.abs(s + w[0] ** 2) + w[0] ** 2),
        [0.5],
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-12},
    ).fun
    assert_allclose(best, abs(s) / 2, atol=1e-8)
    if s:
        assert not np.isclose(best, abs(s))  # as printed on the slide
