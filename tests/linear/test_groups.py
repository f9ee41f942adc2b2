"""The row-group program: certificates, an independent solver, (26) as its case K = 1, symmetries, blocks, hostile
input."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse
from sklearn.metrics import roc_auc_score

from sparseop.errors import InputError
from sparseop.linear import (
    LinearProblem,
    gaussian_problem,
    groups_gap,
    solve_convex,
    solve_groups,
    solve_groups_path,
)
from sparseop.linear import _row_newton as row_newton
from sparseop.linear import _rows as rows


def noisy_labels(n, p, K, *, share=0.3, seed=0):
    """Random cosine features of K clusters, one-hot labels of which a share is redrawn; return J, Y, and which are
    wrong."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(K, size=n)
    X = rng.standard_normal((K, 20))[truth] * 1.5 + rng.standard_normal((n, 20))
    J = np.cos(X @ rng.standard_normal((20, p)) / 6 + rng.uniform(0, 7, p))
    given = np.where(rng.random(n) < share, rng.integers(K, size=n), truth)
    return J, np.eye(K)[given], given != truth


def by_cvxpy(J, Y, lam, *, sigma=0.0, intercept=False, penalties=None, weights=None, groups=None):
    """Solve the program as printed, over (Theta, c, S, E), with Clarabel."""
    import warnings

    import cvxpy as cp

    (n, p), K = J.shape, Y.shape[1]
    penalties = np.ones(p) if penalties is None else penalties
    labels = np.arange(n) if groups is None else groups
    names = np.unique(labels)
    weights = np.ones(len(names)) if weights is None else weights
    Theta, S, E, c = cp.Variable((p, K)), cp.Variable((n, K)), cp.Variable((n, K)), cp.Variable((1, K))
    size = 0.5 * cp.sum_squares(cp.multiply(np.sqrt(penalties)[:, None], Theta))
    for name, weight in zip(names, weights, strict=True):
        at = np.flatnonzero(labels == name)
        size += weight * lam * cp.norm(S[at], "fro")
        if sigma:
            size += weight / (2 * sigma**2) * cp.sum_squares(E[at])
    constraints = (
        [J @ Theta + np.ones((n, 1)) @ c + S + E == Y] + ([] if intercept else [c == 0]) + ([] if sigma else [E == 0])
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Solution may be inaccurate")  # compared below, to a tolerance of our own
        cp.Problem(cp.Minimize(size), constraints).solve(
            solver="CLARABEL", tol_gap_abs=1e-9, tol_gap_rel=1e-9, tol_feas=1e-9
        )
    return Theta.value, c.value.ravel(), size.value


CASES = {
    "plain": {},
    "intercept": {"intercept": True},
    "noise": {"sigma": 0.3},
    "all": {"sigma": 0.2, "intercept": True, "penalties": "some", "weights": "rows"},
    "groups": {"groups": "yes", "intercept": True},
    "groups and noise": {"groups": "yes", "sigma": 0.2, "weights": "groups"},
    "unpenalised": {"penalties": "some", "intercept": True},
}


@pytest.mark.parametrize("shape", [(24, 6, 3), (14, 20, 2)])
@pytest.mark.parametrize("case", CASES)
def test_agrees_with_a_general_solver_on_the_program_as_printed(case, shape):
    rng = np.random.default_rng(3)
    n, p, K = shape
    J, Y = rng.standard_normal((n, p)), rng.standard_normal((n, K)) + 2
    options = dict(CASES[case])
    if "groups" in options:
        options["groups"] = np.array(list("abcdefg"))[rng.integers(7, size=n)]
    if "penalties" in options:
        options["penalties"] = np.r_[0.0, 0.0, rng.uniform(0.5, 2, p - 2)]
    if "weights" in options:
        count = n if options["weights"] == "rows" else len(np.unique(options["groups"]))
        options["weights"] = rng.uniform(0.5, 2, count)
    mine = solve_groups(J, Y, 0.4, **options)
    Theta, c, objective = by_cvxpy(J, Y, 0.4, **options)
    assert mine.status == "optimal"
    assert mine.objective == pytest.approx(objective, rel=1e-7)
    np.testing.assert_allclose(mine.Theta, Theta, atol=1e-4)
    np.testing.assert_allclose(mine.intercept, c, atol=1e-4)
    options.pop("sigma", None)
    assert mine.certificate(J, Y, **options).holds


@pytest.mark.parametrize(
    ("n", "p", "rank", "sparsity", "lam"),
    [
        (100, 150, 20, 20, 0.1),
        (100, 150, 60, 20, 0.1),
        (100, 150, 90, 50, 100.0),
        (30, 20, 20, 5, 0.03),
        (40, 40, 5, 5, 1e-4),
    ],
)
def test_one_output_is_the_program_of_the_paper(n, p, rank, sparsity, lam):
    problem = gaussian_problem(n, p, rank, sparsity, seed=3)
    one, many = solve_convex(problem, lam), solve_groups(problem.J, problem.y, lam)
    assert many.status == "optimal"
    np.testing.assert_allclose(many.Theta[:, 0], one.theta, atol=1e-8 * np.abs(one.theta).max())
    np.testing.assert_array_equal(many.S[:, 0] == 0, one.s == 0)
    np.testing.assert_allclose(many.S[:, 0], one.s, atol=1e-7)
    assert many.objective == pytest.approx(one.objective, rel=1e-9)


def test_kkt_conditions_and_exact_zeros():
    J, Y, _ = noisy_labels(300, 250, 4)
    found = solve_groups(J, Y, 1.0, intercept=True)
    norms = np.linalg.norm(found.S, axis=1)
    assert 0 < found.zero.sum() < 300
    assert np.linalg.norm(found.V, axis=1).max() <= 1 + 1e-12
    np.testing.assert_allclose(found.V[~found.zero], found.S[~found.zero] / norms[~found.zero, None], atol=1e-6)
    np.testing.assert_allclose(found.Theta, J.T @ found.V, atol=2 * found.bound)
    np.testing.assert_allclose(found.V.sum(0), 0, atol=1e-10)
    assert np.abs(Y - found.predict(J) - found.S).max() == pytest.approx(found.residual, abs=1e-14)
    assert found.residual < 1e-8


def test_the_bound_holds_for_a_rough_answer():
    J, Y, _ = noisy_labels(400, 60, 5)
    exact, rough = solve_groups(J, Y, 1.0, tol=1e-12), solve_groups(J, Y, 1.0, tol=1e-2)
    off = np.linalg.norm(rough.Theta - exact.Theta)
    assert exact.bound < off <= rough.bound
    assert rough.gap == pytest.approx(groups_gap(J, Y, 1.0, rough.Theta, rough.V))


def test_a_gap_for_any_v_counts_only_what_the_dual_allows():
    """1^T V = 0 with an intercept: what V has beyond that proves nothing, and is taken off before V is scaled."""
    J, Y, _ = noisy_labels(100, 8, 3)
    Theta, V = np.zeros((8, 3)), 0.2 * (Y - Y.mean(0))
    plain, shifted = (
        groups_gap(J, Y + 5, 1.0, Theta + 1e-3, V + shift, offset=Y.mean(0) + 5, intercept=True) for shift in (0.0, 0.1)
    )
    assert shifted == pytest.approx(plain, rel=1e-9)


def test_iterations_that_run_out_are_said():
    J, Y, _ = noisy_labels(200, 40, 4)
    few = solve_groups(J, Y, 1.0, max_iter=1)
    assert few.status == "iteration limit"
    assert few.gap > 1e-6
    assert few.bound >= np.linalg.norm(few.Theta - solve_groups(J, Y, 1.0).Theta)


@pytest.mark.parametrize("field", ["Theta", "intercept", "S", "V"])
@pytest.mark.parametrize("sigma", [0.0, 0.1])
def test_a_certificate_sees_a_changed_array(field, sigma):
    J, Y, _ = noisy_labels(200, 30, 3)
    found = solve_groups(J, Y, 1.0, sigma=sigma, intercept=True)
    assert found.certificate(J, Y, intercept=True).holds
    changed = getattr(found, field).copy()
    changed.flat[np.abs(changed).argmax()] *= 1.001
    assert not dataclasses.replace(found, **{field: changed}).certificate(J, Y, intercept=True).holds


def test_wrong_labels_are_found_and_the_path_is_each_solution():
    J, Y, wrong = noisy_labels(600, 60, 6)
    lams = [0.1, 10.0, 1.0]
    path = solve_groups_path(J, Y, lams, intercept=True)
    for lam, found in zip(lams, path, strict=True):
        alone = solve_groups(J, Y, lam, intercept=True)
        assert found.lam == lam
        assert np.linalg.norm(found.Theta - alone.Theta) <= found.bound + alone.bound
    margin = path[2].predict(J)
    given = margin[Y == 1]
    margin[Y == 1] = -np.inf
    assert roc_auc_score(wrong, margin.max(1) - given) > 0.97


def test_a_warm_start_saves_work():
    J, Y, _ = noisy_labels(600, 60, 6)
    first = solve_groups(J, Y, 1.0, intercept=True)
    again = solve_groups(J, Y, 1.0, intercept=True, start=first)
    assert again.status == "optimal"
    assert again.iterations < first.iterations
    assert np.linalg.norm(first.Theta - again.Theta) <= first.bound + again.bound


@pytest.mark.parametrize("unit_J", [1e-10, 1.0, 1e15])
@pytest.mark.parametrize("unit_Y", [1e-15, 1e20])
def test_units_of_the_data_do_not_matter(unit_J, unit_Y):
    """Y -> c Y + shift, J -> a J, lam -> lam c / a^2, sigma -> a sigma turn Theta into (c / a) Theta, S into c S."""
    J, Y, _ = noisy_labels(200, 30, 3)
    plain = solve_groups(J, Y, 1.0, sigma=0.1, intercept=True, tol=1e-12)
    scaled = solve_groups(
        unit_J * J, unit_Y * (Y + 5), unit_Y / unit_J**2, sigma=0.1 * unit_J, intercept=True, tol=1e-12
    )
    np.testing.assert_allclose(scaled.Theta * unit_J / unit_Y, plain.Theta, atol=1e-5)
    np.testing.assert_allclose(scaled.intercept / unit_Y, plain.intercept + 5, atol=1e-5)
    np.testing.assert_array_equal(scaled.zero, plain.zero)


def test_outputs_and_rows_may_be_turned_and_a_weight_is_a_repetition():
    rng = np.random.default_rng(0)
    J, Y = rng.standard_normal((50, 6)), rng.standard_normal((50, 3))
    turn, order = np.linalg.qr(rng.standard_normal((3, 3)))[0], rng.permutation(50)
    plain = solve_groups(J, Y, 0.3, sigma=0.2, tol=1e-12)
    turned = solve_groups(J[order], Y[order] @ turn, 0.3, sigma=0.2, tol=1e-12)
    np.testing.assert_allclose(turned.Theta, plain.Theta @ turn, atol=1e-5)
    weights = rng.integers(0, 4, size=50)
    weighted = solve_groups(J, Y, 0.3, sigma=0.2, weights=weights, tol=1e-12)
    repeated = solve_groups(np.repeat(J, weights, 0), np.repeat(Y, weights, 0), 0.3, sigma=0.2, tol=1e-12)
    np.testing.assert_allclose(weighted.Theta, repeated.Theta, atol=1e-5)
    np.testing.assert_allclose(weighted.S[weights == 0], (Y - J @ weighted.Theta)[weights == 0])
    assert weighted.certificate(J, Y, weights=weights).holds


def test_groups_of_one_are_rows():
    J, Y, _ = noisy_labels(80, 10, 3)
    alone, labelled = solve_groups(J, Y, 1.0), solve_groups(J, Y, 1.0, groups=np.arange(80)[::-1])
    np.testing.assert_allclose(alone.Theta, labelled.Theta, atol=alone.bound + labelled.bound)


def test_a_large_lam_without_noise_does_not_hide_an_exact_fit():
    rng = np.random.default_rng(1)
    J, Theta = rng.standard_normal((200, 10)), rng.standard_normal((10, 3))
    S = np.zeros((200, 3))
    S[:40] = 5 * rng.standard_normal((40, 3))
    found = solve_groups(J, J @ Theta + S, 100.0)
    np.testing.assert_allclose(found.Theta, Theta, atol=1e-8)
    np.testing.assert_array_equal(found.zero, ~S.any(1))


def test_float32_and_a_mapped_file_are_read_by_blocks_and_certified_in_float64(tmp_path, monkeypatch):
    J, Y, _ = noisy_labels(500, 40, 4)
    single = J.astype(np.float32)
    np.save(tmp_path / "J.npy", single)
    mapped = np.load(tmp_path / "J.npy", mmap_mode="r")
    expected = solve_groups(single.astype(np.float64), Y, 1.0, intercept=True)
    monkeypatch.setattr(rows, "BLOCK", 8 * 40 * 64)  # 64 rows
    found = solve_groups(mapped, Y, 1.0, intercept=True)
    assert found.status == "optimal"
    assert found.certificate(single.astype(np.float64), Y, intercept=True).holds
    np.testing.assert_allclose(found.Theta, expected.Theta, atol=found.bound + expected.bound)


@pytest.mark.parametrize("options", [{}, {"intercept": True, "penalties": np.r_[0.0, np.ones(29)], "sigma": 0.3}])
@pytest.mark.parametrize("n", [200, 20])
def test_a_sparse_j_is_never_filled(n, options):
    J, Y, _ = noisy_labels(n, 30, 3)
    J[np.abs(J) < 0.8] = 0
    sparse = scipy.sparse.coo_array(J)
    found, expected = solve_groups(sparse, Y, 1.0, **options), solve_groups(J, Y, 1.0, **options)
    np.testing.assert_allclose(found.Theta, expected.Theta, atol=found.bound + expected.bound)
    np.testing.assert_allclose(found.predict(sparse), found.predict(J), atol=1e-12)
    options = {name: value for name, value in options.items() if name != "sigma"}
    assert found.certificate(sparse, Y, **options).holds
    sparse.data[3] = np.nan
    with pytest.raises(InputError, match="the entries of J must be finite"):
        solve_groups(sparse, Y, 1.0)


def test_many_rows_start_from_some_of_them_and_sample_the_preconditioner(monkeypatch):
    J, Y, _ = noisy_labels(6000, 15, 4)
    whole = solve_groups(J, Y, 1.0, intercept=True)
    taken = []
    original = row_newton.Rows.take
    monkeypatch.setattr(row_newton.Rows, "take", lambda self, at: taken.append(len(at)) or original(self, at))
    monkeypatch.setattr(row_newton, "LEAST", 0)
    monkeypatch.setattr(row_newton, "DIRECT", 0)
    sampled = solve_groups(J, Y, 1.0, intercept=True)
    assert taken == [40 * 16]
    assert sampled.status == "optimal"
    np.testing.assert_allclose(sampled.Theta, whole.Theta, atol=whole.bound + sampled.bound)


def test_what_cannot_be_told_apart_is_answered_and_what_cannot_be_used_is_refused():
    rng = np.random.default_rng(0)
    J, Y = rng.standard_normal((30, 4)), rng.standard_normal((30, 2))
    constant = solve_groups(J, np.full((30, 2), 7.0), 1.0, intercept=True)
    assert (constant.status, constant.gap) == ("optimal", 0.0)
    np.testing.assert_allclose(constant.intercept, 7.0)
    assert not constant.Theta.any()
    assert constant.zero.all()
    only = solve_groups(np.ones((30, 1)), Y, 1.0, intercept=True)  # a constant column beside an intercept
    assert only.status == "optimal"
    np.testing.assert_allclose(only.Theta, 0, atol=1e-12)
    one_hot = np.eye(3)[rng.integers(3, size=30)]
    collinear = solve_groups(one_hot, Y, 1.0, intercept=True, penalties=np.zeros(3))
    assert collinear.status == "optimal"
    assert collinear.certificate(one_hot, Y, intercept=True, penalties=np.zeros(3)).holds
    uneven = J * [1.0, 1e9, 1.0, 1e-9]
    assert solve_groups(uneven, Y, 1.0, intercept=True).status == "optimal"
    assert solve_groups(J[:1], Y[:1], 1.0, intercept=True).status == "optimal"
    assert solve_groups(np.tile(J[:1], (9, 1)), Y[:9], 1.0).status == "optimal"
    assert solve_groups(np.zeros((30, 4)), Y, 1.0).status == "optimal"
    assert solve_groups(J, np.zeros((30, 2)), 1.0).zero.all()
    for call, words in [
        (lambda: solve_groups(J, Y, 0), "lam must be a finite number > 0, got 0"),
        (lambda: solve_groups(J, Y[:9], 1), r"Y must have shape \(30, any\)"),
        (lambda: solve_groups(J, Y, 1, sigma=-1), "sigma must be a finite number >= 0"),
        (lambda: solve_groups(J, Y, 1, weights=-np.ones(30)), "weights must be >= 0, got -1.0 at index 0"),
        (lambda: solve_groups(J, Y, 1, weights=np.zeros(30)), "weights must have an entry > 0"),
        (lambda: solve_groups(J, Y, 1, penalties=[1, 1, 1, -2]), "penalties must be >= 0, got -2.0 at index 3"),
        (lambda: solve_groups(J, Y, 1, groups=np.arange(31)), r"groups must have shape \(30,\)"),
        (lambda: solve_groups(J, Y, 1, groups=[1, "a"] * 15 + [None]), "groups must have"),
        (lambda: solve_groups(J, Y, 1, start=3), "start must be a GroupSolution"),
        (lambda: solve_groups(J, Y, 1, start=solve_groups(J[:9], Y[:9], 1)), "start must be a solution for"),
        (lambda: solve_groups(J * np.nan, Y, 1), "J must be finite, got nan at index"),
        (lambda: solve_groups((J * np.inf).astype(np.float32), Y, 1), "J must be finite, got"),
        (lambda: groups_gap(J, Y, 1, np.ones((4, 2)), Y, offset=[1, 2]), "offset must be zero"),
        (lambda: constant.predict(J[:, :3]), "J must have 4 columns"),
    ]:
        with pytest.raises(InputError, match=words):
            call()


def test_linear_problem_data_need_no_copy():
    problem = LinearProblem(np.eye(3), [1.0, 2.0, 3.0])
    found = solve_groups(problem.J, problem.y, 10.0)
    np.testing.assert_allclose(found.Theta[:, 0], [1, 2, 3])
