"""A warm-started path gives what separate solves give, in the order asked for."""

import numpy as np
import pytest

from sparseop.errors import InputError
from sparseop.linear import gaussian_problem, solve_convex, solve_path


@pytest.mark.parametrize(("rank", "sparsity"), [(20, 10), (20, 80), (80, 20)])
def test_equals_separate_solves(rank, sparsity):
    problem = gaussian_problem(100, 150, rank, sparsity, seed=2)
    lams = np.geomspace(1e-4, 1, 25)
    np.random.default_rng(0).shuffle(lams)
    path = solve_path(problem, lams)
    for lam, solution in zip(lams, path, strict=True):
        assert solution.lam == lam
        assert solution.status == "optimal"
        assert solution.objective == pytest.approx(solve_convex(problem, lam).objective, rel=2e-9)


def test_warm_start_saves_iterations():
    """Above the recovery threshold the support does not change any more: no interior-point iteration at all."""
    problem = gaussian_problem(100, 150, 20, 10, seed=2)
    path = solve_path(problem, np.geomspace(1, 1e-4, 50))
    cold = [solve_convex(problem, solution.lam).iterations for solution in path]
    assert path[5].iterations == 0
    assert sum(solution.iterations for solution in path) < 0.7 * sum(cold)


@pytest.mark.parametrize(
    ("lams", "words"), [([], "must not be empty"), ([1.0, 0.0], "got .*0.0.* at index 1"), (3.0, "shape")]
)
def test_bad_paths(lams, words):
    with pytest.raises(InputError, match=words):
        solve_path(gaussian_problem(5, 8, 2, 1, seed=0), lams)
