import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparseop.errors import InputError
from sparseop.linear import LinearProblem, gaussian_problem, null_space_constant


def by_vertices(U, support):
    """Definition B.3 without a linear program: the maximum is reached where r - 1 rows outside the support vanish."""
    inside = np.isin(np.arange(len(U)), list(support))
    A, C, r = U[inside], U[~inside], U.shape[1]
    best = 0.0
    for rows in itertools.combinations(range(len(C)), r - 1):
        null = np.linalg.svd(C[list(rows)])[2][len(rows) :] if rows else np.eye(r)
        if len(null) == 1 and np.abs(C @ null[0]).sum() > 1e-12:
            best = max(best, np.abs(A @ null[0]).sum() / np.abs(C @ null[0]).sum())
    return best


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), rank=st.integers(1, 3), k=st.integers(0, 5))
def test_exact_equals_the_maximum_over_vertices(seed, rank, k):
    problem = gaussian_problem(11, 13, rank, k, seed=seed)
    support = np.flatnonzero(problem.s_star)
    found = null_space_constant(problem)
    assert found.exact
    assert found.lower == pytest.approx(by_vertices(problem.U, support), rel=1e-7)
    rough = null_space_constant(problem, support, max_programs=0)
    assert rough.lower <= found.upper * (1 + 1e-9)
    assert rough.upper >= found.lower * (1 - 1e-9)


@pytest.mark.parametrize(("rank", "k"), [(20, 7), (40, 6)])
def test_the_bracket_contains_the_exact_value_and_tightens(rank, k):
    problem = gaussian_problem(100, 150, rank, k, seed=3)
    brackets = [null_space_constant(problem, max_programs=n) for n in (0, 4, 512)]
    assert brackets[-1].exact
    for bracket in brackets:
        assert bracket.lower <= brackets[-1].lower * (1 + 1e-8)
        assert bracket.upper >= brackets[-1].upper * (1 - 1e-8)
    assert brackets[0].upper >= brackets[1].upper >= brackets[2].upper


def test_large_supports_get_a_bracket_that_says_so():
    problem = gaussian_problem(100, 150, 20, 30, seed=0)
    found = null_space_constant(problem)
    assert not found.exact
    assert 0 < found.lower < found.upper < 2 * found.lower
    v = problem.U @ np.random.default_rng(0).standard_normal((20, 1000))
    inside = problem.s_star != 0
    assert (np.abs(v[inside]).sum(0) <= found.lower * np.abs(v[~inside]).sum(0)).all()


def test_no_program_is_solved_on_a_large_problem():
    rng = np.random.default_rng(0)
    problem = LinearProblem.from_factors(
        rng.standard_normal((40_000, 8)), rng.standard_normal((8, 20)), np.zeros(40_000)
    )
    found = null_space_constant(problem, range(30))
    assert found.programs == 0
    assert 0 < found.lower < found.upper < 0.01


def test_by_hand():
    one = LinearProblem([[3.0], [1.0], [-2.0]], np.zeros(3))
    assert null_space_constant(one, [0]).upper == pytest.approx(1.0)  # 3 / (1 + 2)
    assert null_space_constant(one, [1]).lower == pytest.approx(0.2)  # 1 / 5
    assert null_space_constant(one, [0, 1]).lower == pytest.approx(2.0)  # 4 / 2
    assert null_space_constant(one, [0, 1, 2]).lower == np.inf  # nothing outside
    assert null_space_constant(one, []).upper == 0
    assert null_space_constant(LinearProblem(np.eye(3), np.zeros(3)), [1]).upper == np.inf
    assert null_space_constant(LinearProblem(np.zeros((3, 2)), np.zeros(3)), [0, 2]).upper == 0  # J = 0
    twice = LinearProblem([[1.0, 0], [1, 0], [0, 1], [0, 1], [0, 0]], np.zeros(5))
    assert null_space_constant(twice, [0]).upper == pytest.approx(1.0)  # a duplicate row
    assert null_space_constant(twice, [0, 2]).upper == pytest.approx(1.0)
    assert null_space_constant(twice, [4]).upper == 0  # a zero row
    assert null_space_constant(twice, [0, 1]).lower == np.inf


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([1e-6, 1.0, 1e6]))
def test_invariances_and_monotonicity(seed, scale):
    problem = gaussian_problem(14, 10, 3, 4, seed=seed)
    rng = np.random.default_rng(seed)
    rows, signs = rng.permutation(14), rng.choice([-1.0, 1.0], 14)
    moved = LinearProblem(scale * (signs[:, None] * problem.J)[rows], np.zeros(14))
    mask = problem.s_star != 0
    rho = null_space_constant(problem, mask).lower
    assert null_space_constant(moved, mask[rows]).lower == pytest.approx(rho, rel=1e-7)
    assert null_space_constant(problem, np.flatnonzero(mask)[:-1]).upper <= rho * (1 + 1e-7)


@pytest.mark.parametrize(
    ("support", "message"),
    [
        ([5], r"support must hold indices from 0 to 4, got 5 to 5\."),
        ([-1, 2], r"support must hold indices from 0 to 4, got -1 to 2\."),
        ([1, 1], r"support must not repeat an index\."),
        ([0.5], "support must be a list of indices or a boolean mask of 5 entries"),
        ([[0, 1]], "support must be a list of indices"),
        ([True, False], r"support must have one entry per row of J \(5\) where it is a mask, got 2\."),
        (None, "support must be given for a problem without s_star"),
    ],
)
def test_bad_supports(support, message):
    problem = LinearProblem(np.ones((5, 2)), np.ones(5))
    with pytest.raises(InputError, match=message):
        null_space_constant(problem, support)


def test_stops_where_a_larger_rho_is_of_no_use():
    problem = gaussian_problem(100, 150, 40, 20, seed=0)
    found = null_space_constant(problem, stop_at=1)
    assert found.programs < 10
    assert 1 <= found.lower < found.upper == np.inf
    assert not found.exact


def test_bad_budget():
    with pytest.raises(InputError, match="max_programs must be >= 0"):
        null_space_constant(gaussian_problem(5, 5, 2, 1, seed=0), max_programs=-1)
