"""Robust PCA with a certificate, against CVXPY and against its optimality conditions; what is refused."""

import math

import numpy as np
import pytest

from sparseop.errors import InputError
from sparseop.linear import LowRankProblem, gaussian_low_rank, robust_pca_gap, solve_robust_pca


@pytest.mark.parametrize(
    ("size", "rank", "corruption", "lam", "seed"),
    [
        (8, 1, 0.1, 0.4, 0),
        (8, 2, 0.5, 0.3, 1),
        (10, 3, 0.3, 0.6, 2),
        (6, 6, 1.0, 0.5, 3),
    ],
)
def test_agrees_with_the_program_as_printed(size, rank, corruption, lam, seed):
    """min tr X + lam |S|_1 s.t. X + S = Y, X psd, through CVXPY: an independent route."""
    cvxpy = pytest.importorskip("cvxpy")
    problem = gaussian_low_rank(size, rank, corruption, seed=seed)
    found = solve_robust_pca(problem, lam, tol=1e-8, max_iter=20_000)
    X = cvxpy.Variable((size, size), PSD=True)
    program = cvxpy.Problem(cvxpy.Minimize(cvxpy.trace(X) + lam * cvxpy.sum(cvxpy.abs(problem.Y - X))))
    program.solve(solver="CLARABEL")
    assert found.status == "optimal"
    assert found.objective == pytest.approx(program.value, rel=1e-6)
    assert np.abs(found.X - X.value).max() < 1e-3 * np.abs(problem.Y).max()


@pytest.mark.parametrize(("rank", "corruption"), [(2, 0.1), (4, 0.4), (30, 0.0)])
def test_the_certificate_is_one(rank, corruption):
    """M is feasible for the dual, the gap is what weak duality says, and complementarity holds up to it."""
    problem = gaussian_low_rank(20, min(rank, 20), corruption, seed=4)
    found = solve_robust_pca(problem, tol=1e-8, max_iter=20_000)
    assert np.abs(found.M).max() <= found.lam * (1 + 1e-12)
    assert np.linalg.eigvalsh((found.M + found.M.T) / 2)[-1] <= 1 + 1e-12
    assert np.linalg.eigvalsh(found.X)[0] >= -1e-9 * np.linalg.norm(found.X)
    assert found.objective == pytest.approx(
        np.trace(found.X) + found.lam * np.abs(problem.Y - found.X).sum(), rel=1e-12
    )
    assert found.gap + 1e-12 >= 0
    left = found.lam * np.abs(problem.Y - found.X - found.S).sum()  # what the zeros of S leave out
    assert found.gap == pytest.approx(
        (found.objective + left - np.vdot(problem.Y, found.M)) / found.objective, abs=1e-13
    )
    assert found.status == "optimal"
    slack = np.trace(found.X) - np.vdot(found.M, found.X)  # <I - M, X> >= 0, part of the gap
    assert -1e-9 * found.objective <= slack <= (found.gap + 1e-9) * found.objective
    assert found.residual <= 1e-4 * np.abs(problem.Y).max()


def test_recovers_what_it_should_and_says_when_it_stopped_early():
    problem = gaussian_low_rank(40, 2, 0.1, seed=0)
    found = solve_robust_pca(problem)
    assert problem.error(found.X) < 1e-6
    assert found.rank == 2
    assert set(zip(*np.nonzero(found.S), strict=True)) >= set(
        zip(*np.nonzero(np.abs(problem.S_star) > 1e-3), strict=True)
    )
    early = solve_robust_pca(problem, max_iter=3)
    assert early.status == "iteration limit"
    assert early.gap > 1e-7
    left = early.lam * np.abs(problem.Y - early.X - early.S).sum() / early.objective
    assert early.gap == pytest.approx(robust_pca_gap(problem, early.X, early.M, early.lam) + left, abs=1e-12)


def test_extreme_weights_and_data():
    problem = gaussian_low_rank(12, 2, 0.2, seed=1)
    assert solve_robust_pca(problem, 1e-3).X.max() == 0  # everything is cheaper as S
    assert solve_robust_pca(LowRankProblem(np.zeros((4, 4)))).gap == 0
    one = solve_robust_pca(LowRankProblem([[3.0]]), 2.0)
    assert one.X[0, 0] == pytest.approx(3.0)
    assert solve_robust_pca(LowRankProblem([[-3.0]]), 2.0).X[0, 0] == 0
    huge = LowRankProblem(1e8 * problem.Y)
    assert solve_robust_pca(huge).status == "optimal"


def test_the_generator():
    problem = gaussian_low_rank(20, 3, 0.25, amplitude=4, seed=7)
    assert np.linalg.matrix_rank(problem.X_star) == 3
    assert np.count_nonzero(problem.S_star) == 100
    assert np.abs(problem.S_star).max() < 4
    assert np.array_equal(problem.Y, problem.X_star + problem.S_star)
    assert np.array_equal(problem.Y, gaussian_low_rank(20, 3, 0.25, amplitude=4, seed=7).Y)
    assert math.isnan(LowRankProblem(problem.Y).error(problem.Y))
    assert math.isnan(LowRankProblem(problem.Y, np.zeros((20, 20))).error(problem.Y))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: LowRankProblem(np.ones((2, 3))), "Y must be square, got shape (2, 3)."),
        (lambda: LowRankProblem(np.ones((2, 2)), np.ones((3, 3))), "X_star must have shape (2, 2) (that of Y)"),
        (lambda: LowRankProblem([[np.nan]]), "Y must be finite"),
        (lambda: gaussian_low_rank(5, 6, 0.1), "rank must be >= 1 and <= 5 = size, got 6."),
        (lambda: gaussian_low_rank(5, 1, 1.5), "corruption must lie in [0, 1], got 1.5."),
        (lambda: solve_robust_pca(LowRankProblem(np.eye(2)), -1.0), "lam must be a finite number > 0, got -1.0."),
        (lambda: solve_robust_pca(LowRankProblem(np.eye(2)), tol=0), "tol must lie in (0, 1), got 0."),
        (lambda: gaussian_low_rank(5, 1, 0.1, amplitude=0), "amplitude must be a finite number > 0, got 0."),
        (
            lambda: robust_pca_gap(LowRankProblem(np.eye(2)), -np.eye(2), np.eye(2), 1.0),
            "X must be symmetric and positive semidefinite",
        ),
        (
            lambda: robust_pca_gap(LowRankProblem(np.eye(2)), np.array([[1.0, 1], [0, 1]]), np.eye(2), 1.0),
            "X must be symmetric",
        ),
        (
            lambda: robust_pca_gap(LowRankProblem(np.eye(2)), np.eye(2), np.eye(3), 1.0),
            "M must have shape (2, 2) (that of Y)",
        ),
    ],
)
def test_what_is_refused(call, words):
    with pytest.raises(InputError) as caught:
        call()
    assert words in str(caught.value)
