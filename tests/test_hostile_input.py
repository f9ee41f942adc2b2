"""What can't be used is refused in one sentence.

Wrong kinds of values, sizes beyond memory, numbers beyond float64's squares.
"""

import numpy as np
import pandas as pd
import pytest

from sparseop import errors, linear, memory
from sparseop.errors import InputError
from sparseop.refinery import data, descent, network, schedules, worst_case

PROBLEM = linear.gaussian_problem(6, 8, 3, 1, seed=0)
LOW_RANK = linear.gaussian_low_rank(4, 1, 0.1, seed=0)
DATA = data.corrupted_dataset(3, 4, 5, rho=0.2, eps=0.1, seed=0)
NETWORK = network.OneHiddenLayer.gaussian(4, 4, seed=0)


def refused(call, *words):
    with pytest.raises(InputError) as caught:
        call()
    said = str(caught.value)
    assert all(word in said for word in words), said
    assert "\n" not in said
    assert len(said) < 320


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([[1, 2], [3]], "array of real numbers"),
        (np.ones((2, 2)) * 1j, "array of real numbers"),
        (np.array([[1, 1j]], dtype=object), "array of real numbers"),
        (np.array([["2020-01-01"]], dtype="M8[D]"), "array of real numbers"),
        (np.ma.masked_array(np.ones((2, 2)), mask=np.eye(2)), "masked"),
        ([[10**400, 1], [1, 1]], "too large for float64"),
        (np.full((2, 2), np.longdouble("1e400")), "finite"),
        (np.broadcast_to(1.0, (10**6, 10**6)), "GiB"),
        (pd.DataFrame({"a": [1, None]}, dtype=object), "finite"),
        ([[1e300, 1.0]], "[1e-50, 1e+50]"),
        ([[1e-300]], "other units"),
    ],
)
def test_arrays(value, words):
    refused(
        lambda: linear.LinearProblem(value, [1.0]), "J of shape" if words == "GiB" else "J must", words
    )  # J is read before y


@pytest.mark.parametrize(
    "value",
    [
        10**400,
        -(10**5000),
        1 + 0j,
        np.complex128(1),
        np.ones(10**5),
        [[1], [1, 2]],
        pd.Series([0.5]),
        pd.NA,
        None,
        np.ma.masked,
        np.datetime64("2020-01-01"),
        True,
    ],
    ids=lambda value: (
        f"{type(value).__name__} {value!r}"[:20] if not isinstance(value, int) or value is True else f"{value > 0}"
    ),
)
def test_numbers(value):
    for check in (errors.positive, errors.nonnegative, errors.moderate, lambda *a: errors.between(*a, 0, 1)):
        refused(lambda check=check: check("lam", value), "lam must")
    refused(lambda: errors.choice("kind", value, ("a", "b")), "kind must be one of 'a', 'b'")
    if not isinstance(value, int) or isinstance(value, bool):
        refused(lambda: errors.integer("rank", value, 0), "rank must be a whole number")


def test_whole_numbers_fit_into_64_bits():
    refused(lambda: errors.integer("steps", 2**63, 1), "steps must be >= 1 and < 2^63")
    refused(lambda: errors.integer("rank", 10**5000, 0, 5), "a int of more than 4000 digits")
    assert errors.integer("steps", np.int64(2**62), 1) == 2**62


@pytest.mark.parametrize("seed", [-1, 1.5, "1", np.nan, np.array(1.0)])
def test_seeds(seed):
    for call in (
        lambda: linear.gaussian_problem(4, 4, 1, 1, seed=seed),
        lambda: linear.gaussian_low_rank(4, 1, 0.1, seed=seed),
        lambda: linear.low_rank_flow(LOW_RANK, seed=seed),
        lambda: network.OneHiddenLayer.gaussian(4, 4, seed=seed),
        lambda: descent.refine(DATA, NETWORK, steps=2, seed=seed),
    ):
        refused(call, "seed must be a whole number >= 0")
    assert linear.gaussian_problem(4, 4, 1, 1, seed=10**30).rank == 1


SIZES = {
    "observations": lambda n: linear.gaussian_problem(n, 5, 1, 1, seed=0),
    "parameters": lambda n: linear.gaussian_problem(5, n, 1, 1, seed=0),
    "low rank": lambda n: linear.gaussian_low_rank(n, 1, 0.1, seed=0),
    "trajectory": lambda n: linear.gradient_descent(PROBLEM, alpha=1, gamma=0.1, max_iter=n, tol=0, record_every=1),
    "centres": lambda n: data.corrupted_dataset(n, 4, 5, rho=0.2, eps=0.0, seed=0),
    "dimension": lambda n: data.corrupted_dataset(3, n, 5, rho=0.2, eps=0.1, seed=0),
    "crops": lambda n: data.corrupted_dataset(3, 4, [1, n, 2], rho=0.2, eps=0.1, seed=0),
    "width": lambda n: network.OneHiddenLayer.gaussian(n, 4, seed=0),
    "steps": lambda n: descent.refine(DATA, NETWORK, steps=n),
    "test crops": lambda n: descent.refine(DATA, NETWORK, steps=2, test_crops=n),
    "ramp": lambda n: schedules.ramp(n, 0.5, 3),
    "starts": lambda n: worst_case.worst_crops(NETWORK, DATA, starts=n),
}


@pytest.mark.parametrize("size", [10**12, 2**62])
@pytest.mark.parametrize("what", SIZES)
def test_sizes_beyond_memory(what, size):
    refused(lambda: SIZES[what](size))


def test_free_memory_is_the_least_that_anything_leaves(monkeypatch):
    assert memory.free() is None or memory.free() > 0
    monkeypatch.setattr(memory, "_machine", lambda: 2**30)
    monkeypatch.setattr(memory, "_limit", lambda: 2**24)
    monkeypatch.setattr(memory, "_group", lambda: None)
    assert memory.free() == 2**24
    errors.fits("a matrix", 2**21)
    refused(
        lambda: errors.fits("a matrix", 2**22, instead="take a smaller one"),
        "a matrix would take 0.03125 GiB",
        "take a smaller one",
    )


def test_an_array_in_the_place_of_a_problem():
    calls = [
        lambda J: linear.solve_convex(J, 1.0),
        lambda J: linear.solve_path(J, [1.0]),
        lambda J: linear.flow_limit(J, alpha=1, gamma=0.1),
        lambda J: linear.gradient_flow(J, alpha=1, gamma=0.1, times=[1.0]),
        linear.coherence,
        linear.null_space_constant,
        linear.recovery_threshold,
        lambda J: linear.gradient_descent(J, alpha=1, gamma=0.1, max_iter=1, tol=0),
        lambda J: linear.objective(J, [1], [1], [1]),
        linear.solve_robust_pca,
        linear.low_rank_flow,
        lambda J: descent.refine(J, NETWORK, steps=1),
        lambda J: worst_case.worst_crops(J, DATA),
    ]
    for call in calls:
        refused(lambda call=call: call(np.eye(3)), "must be a")


@pytest.mark.parametrize("value", [1e-300, 1e300])
def test_weights_beyond_float64_squares(value):
    for call in (
        lambda: linear.solve_convex(PROBLEM, value),
        lambda: linear.solve_path(PROBLEM, [1.0, value]),
        lambda: linear.flow_limit(PROBLEM, alpha=value, gamma=0.1),
        lambda: linear.accurate_step_size(PROBLEM, alpha=value, gamma=0.1),
        lambda: linear.solve_robust_pca(LOW_RANK, value),
        lambda: linear.LowRankProblem([[value]]),
    ):
        refused(call, "[1e-50, 1e+50]")
    refused(lambda: linear.gradient_flow(PROBLEM, alpha=1, gamma=1e-200, times=[value]), "times must")


def test_optimal_is_said_only_where_the_gap_is_more_than_rounding():
    rng = np.random.default_rng(0)
    J, y = np.outer(rng.standard_normal(6), rng.standard_normal(7)), rng.standard_normal(6)
    assert linear.solve_convex(linear.LinearProblem(J, y), 1.0).status == "optimal"
    assert linear.solve_convex(linear.LinearProblem(J, y), 1e50).status != "optimal"  # b - F^T nu has no digit left


def test_a_step_beyond_float64_ends_finite():
    run = linear.gradient_descent(PROBLEM, alpha=1.0, gamma=0.1, step_size=1e300, max_iter=100, tol=0, record_every=1)
    assert run.status == "diverged"
    for part in (run.theta, run.u, run.v, run.s, run.residual, run.trajectory.residual):
        assert np.isfinite(part).all()


@pytest.mark.parametrize("order", ["C", "F", "strided", "float32", "list", "frame"])
def test_results_do_not_depend_on_how_an_array_is_stored(order):
    J, y = np.round(PROBLEM.J * 8) / 8, np.round(PROBLEM.y * 8) / 8  # exact in float32
    given = {
        "C": J,
        "F": np.asfortranarray(J),
        "strided": np.repeat(J, 2, axis=1)[:, ::2],
        "float32": J.astype(np.float32),
        "list": J.tolist(),
        "frame": pd.DataFrame(J),
    }[order]
    if isinstance(given, np.ndarray):
        given.flags.writeable = False
    expected, found = (linear.solve_convex(linear.LinearProblem(matrix, y), 0.1) for matrix in (J, given))
    np.testing.assert_array_equal(found.theta, expected.theta)


def test_arrays_of_the_user_stay_writeable():
    own = [np.array(part) for part in (DATA.X, DATA.y, DATA.y_star, DATA.cluster, DATA.centres, DATA.gammas)]
    built = data.CorruptedDataset(*own)
    assert all(part.flags.writeable for part in own)
    assert not built.X.flags.writeable


def test_edges_of_a_range():
    assert linear.transition_sparsity(5, 5e-324) == 5.0
    refused(lambda: linear.transition_sparsity(10**400, 1.0), "n_samples must")
    refused(lambda: DATA.plus([1.0]), "values must have shape")
    refused(lambda: descent.log_steps(10, -1), "count must")
    refused(lambda: linear.null_space_constant(PROBLEM, [[1], [1, 2]]), "support must")
    refused(lambda: linear.null_space_constant(PROBLEM, stop_at=np.ones(3)), "stop_at must")
