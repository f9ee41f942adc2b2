import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from sparseop.errors import InputError
from sparseop.linear import gaussian_problem, recovery_threshold, transition_sparsity


def statistical_dimension(q):
    """delta/N by minimising its defining expression, the independent route."""

    def width(t):
        return q * (1 + t * t) + (1 - q) * 2 * ((1 + t * t) * norm.sf(t) - t * norm.pdf(t))

    return minimize_scalar(width, bounds=(0, 30), method="bounded", options={"xatol": 1e-12}).fun


@pytest.mark.parametrize("rank", [1, 5, 20, 50, 90, 99])
def test_solves_the_equation_it_comes_from(rank):
    k = transition_sparsity(100, rank)
    assert 100 * statistical_dimension(k / 100) == pytest.approx(100 - rank, abs=1e-7)


def test_limits():
    assert transition_sparsity(7, 0) == 7
    assert transition_sparsity(7, 7) == 0
    assert transition_sparsity(1, 0.5) == pytest.approx(transition_sparsity(100, 50) / 100)
    for r in (1e-4, 1e-8, 1e-12):
        k = transition_sparsity(1, r)
        assert 1 - k == pytest.approx(math.sqrt(math.pi * r / 2), rel=3 * math.sqrt(r))
    # r near N: delta ~ 2 k log(N/k), to leading order
    k = transition_sparsity(1, 1 - 1e-9)
    assert 0.5 < 1e-9 / (2 * k * math.log(1 / k)) < 1
    ranks = np.linspace(0, 100, 201)
    assert (np.diff([transition_sparsity(100, r) for r in ranks]) < 0).all()


def success(rank, sparsity, trials):
    found = [
        recovery_threshold(gaussian_problem(100, 150, rank, sparsity, seed=[rank, sparsity, t])) for t in range(trials)
    ]
    return np.isfinite(found).mean()


@pytest.mark.parametrize("rank", [10, 40])
def test_separates_success_from_failure(rank):
    k = transition_sparsity(100, rank)
    assert success(rank, round(0.75 * k), 12) >= 0.9
    assert success(rank, round(1.3 * k), 12) <= 0.1


@pytest.mark.slow
@pytest.mark.parametrize("rank", [5, 10, 20, 30, 50, 70])
def test_half_of_the_instances_at_the_curve(rank):
    k = transition_sparsity(100, rank)
    share = np.interp(k, [math.floor(k), math.ceil(k)], [success(rank, f(k), 150) for f in (math.floor, math.ceil)])
    assert 0.35 < share < (0.65 if rank >= 10 else 0.8)  # few directions, and the O(sqrt(N)) of the theorem shows


@pytest.mark.parametrize(("n", "rank"), [(0, 0), (10, -1), (10, 11), (10, math.nan), (2.5, 1)])
def test_bad_arguments(n, rank):
    with pytest.raises(InputError):
        transition_sparsity(n, rank)
