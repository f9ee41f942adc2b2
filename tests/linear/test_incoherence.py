import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparseop.errors import InputError
from sparseop.linear import LinearProblem, coherence, gaussian_problem, incoherence_condition, null_space_constant


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 15), p=st.integers(1, 15), data=st.data())
def test_bounds_and_invariances(seed, n, p, data):
    rank = data.draw(st.integers(0, min(n, p)))
    scale = 10.0 ** data.draw(st.floats(-6, 6))
    problem = gaussian_problem(n, p, rank, 0, seed=seed)
    mu = coherence(problem)
    assert 1 - 1e-12 <= mu <= n / max(rank, 1) * (1 + 1e-12)
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.standard_normal((p, p)))[0]
    moved = scale * (rng.choice([-1.0, 1.0], (n, 1)) * problem.J @ Q)[rng.permutation(n)]
    assert coherence(LinearProblem(moved, np.zeros(n))) == pytest.approx(mu, rel=1e-6)


def test_by_hand():
    zero = np.zeros(4)
    assert coherence(LinearProblem(np.ones((4, 3)), zero)) == pytest.approx(1)  # flat: the least coherent
    assert coherence(LinearProblem([[1.0], [0], [0], [0]], zero)) == pytest.approx(4)  # N / r: a column is an axis
    assert coherence(LinearProblem([[3.0], [4.0], [0], [0]], zero)) == pytest.approx(4 * 16 / 25)
    assert coherence(LinearProblem(np.eye(4), zero)) == pytest.approx(1)  # r = N
    assert coherence(LinearProblem(np.zeros((4, 2)), zero)) == 1  # J = 0, by convention
    assert coherence(LinearProblem([[5.0]], [1.0])) == pytest.approx(1)


def test_both_sides_of_28():
    problem = LinearProblem(np.ones((40, 3)), np.zeros(40))  # mu = 1, r = 1
    at = {k: incoherence_condition(problem, k) for k in (0, 3, 4, 19, 20)}
    assert (at[3].left, at[3].right) == (9, pytest.approx(10))
    assert [at[k].holds for k in at] == [True, True, False, False, False]
    assert (at[19].weaker_left, at[19].weaker_right) == (19, pytest.approx(20))
    assert [at[k].weaker_holds for k in (3, 4, 19)] == [True, True, True]
    # at k = 20 half of the rows are corrupted: rho = 1, so the weaker condition cannot be weakened any further
    assert null_space_constant(problem, range(19)).upper == pytest.approx(19 / 21)
    assert null_space_constant(problem, range(20)).upper == pytest.approx(1)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), rank=st.integers(1, 3), k=st.integers(1, 4))
def test_the_bounds_on_rho_behind_both_conditions(seed, rank, k):
    problem = gaussian_problem(60, 70, rank, k, seed=seed)
    mu = coherence(problem)
    condition = incoherence_condition(problem, k)
    rho = null_space_constant(problem).lower
    for eta in (k * np.sqrt(rank * mu / 60), k * rank * mu / 60):  # (B.22), and the sharper one
        assert eta >= 1 or rho <= eta / (1 - eta) * (1 + 1e-9)
    assert condition.weaker_holds or not condition.holds
    assert rho < 1 or not condition.weaker_holds


def test_a_hundred_thousand_observations():
    rng = np.random.default_rng(0)
    problem = LinearProblem.from_factors(
        rng.standard_normal((100_000, 20)), rng.standard_normal((20, 50)), np.zeros(100_000)
    )
    assert 1 < coherence(problem) < 5
    assert incoherence_condition(problem, 5).holds


@pytest.mark.parametrize("k", [-1, 6, 1.5])
def test_bad_sparsity(k):
    with pytest.raises(InputError, match="sparsity must be"):
        incoherence_condition(LinearProblem(np.ones((5, 2)), np.ones(5)), k)
