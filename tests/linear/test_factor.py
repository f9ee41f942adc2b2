"""The factor: nothing of J is lost, whichever way it is found."""

import numpy as np
import pytest

from sparseop.linear import factor
from sparseop.linear.factor import factor_matrix, factor_product


def rebuilt(found):
    """Return F V^T."""
    return found.F if found.B is None else found.F @ found.lift(np.eye(found.F.shape[1])).T


def agrees(found, J):
    """Return whether J = F V^T to the rounding of each row, with orthonormal V."""
    V = np.eye(J.shape[1]) if found.B is None else found.lift(np.eye(found.F.shape[1]))
    rows = np.linalg.norm(J, axis=1)
    close = np.linalg.norm(rebuilt(found) - J, axis=1) <= 8 * max(J.shape) * np.finfo(float).eps * rows
    return bool(close.all()) and np.abs(V.T @ V - np.eye(found.F.shape[1])).max(initial=0.0) < 1e-12


@pytest.mark.parametrize("scale", ["plain", "rows", "columns"])
@pytest.mark.parametrize(("n", "p", "rank"), [(12, 7, 7), (7, 12, 7), (12, 9, 3), (9, 12, 3), (5, 5, 1), (6, 4, 0)])
def test_nothing_is_lost(n, p, rank, scale):
    rng = np.random.default_rng(n + p + rank)
    J = (
        rng.standard_normal((n, rank)) @ rng.standard_normal((rank, p))
        if rank < min(n, p)
        else rng.standard_normal((n, p))
    )
    if scale == "rows":
        J *= 10.0 ** rng.integers(-9, 9, (n, 1))
    if scale == "columns":
        J *= 10.0 ** rng.integers(-4, 4, (1, p))
    found = factor_matrix(J)
    assert agrees(found, J)
    if scale != "columns":
        assert found.F.shape[1] == rank


def test_a_tall_matrix_is_its_own_factor():
    J = np.random.default_rng(0).standard_normal((50, 4))
    assert factor_matrix(J).F is J


@pytest.mark.parametrize("graded", [False, True])
def test_large_low_rank_by_a_sketch_with_proof(graded, monkeypatch):
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((400, 12)), rng.standard_normal((12, 350))
    A[7] = 0.0
    if graded:  # rows that a sketch loses: the proof fails, and the stable way takes over
        A *= 10.0 ** rng.integers(-12, 1, (400, 1))
    J, ways = A @ B, []
    monkeypatch.setattr(factor, "factor_product", lambda *given: ways.append("sketch") or factor_product(*given))
    found = factor_matrix(J)
    assert (ways == ["sketch"]) is not graded
    assert agrees(found, J)
    assert found.F.shape[1] == 12


def test_a_product_of_deficient_factors():
    rng = np.random.default_rng(1)
    A, B = rng.standard_normal((15, 6)), rng.standard_normal((6, 9))
    A[:, 1], B[5] = A[:, 0], B[4]
    found = factor_product(A, B)
    assert found.F.shape[1] == 4
    np.testing.assert_allclose(rebuilt(found), A @ B, atol=1e-12)
