"""Figure 4: what its caption and its legend claim, on the committed data and on fresh cells."""

from pathlib import Path

import numpy as np
import pytest

from sparseop import study
from sparseop.files import read_csv
from sparseop.linear import transition_sparsity
from theory import fig4_phase_transition as fig4

DATA = Path(__file__).resolve().parents[2] / "figures" / "data" / "fig4.csv"


@pytest.fixture(scope="module")
def committed():
    return read_csv(DATA)


def test_committed_grid_is_the_papers(committed):
    """At least 50 x 50 cells over r and k up to 100, 20 trials each, every program certified."""
    assert committed.r.nunique() >= 50
    assert committed.k.nunique() >= 50
    assert committed.r.max() == committed.k.max() == 100
    assert (committed.trials == 20).all()
    assert committed.largest_gap.max() <= 1e-9


def test_transition_is_where_it_is_predicted(committed):
    """Success is near certain at 0.8 of the predicted k and rare at 1.3, for theta and s."""
    for r in range(10, 71, 10):
        column = committed[committed.r == r].set_index("k")
        predicted = transition_sparsity(fig4.N, r)
        for what in ("success_theta", "success_s"):
            assert column[what][column.index <= 0.75 * predicted].mean() > 0.9
            assert column[what][column.index >= 1.35 * predicted].mean() < 0.1


def test_condition_28_covers_almost_nothing(committed):
    found = fig4.coverage(committed)
    assert 0 < found["covered_of_recovered"] < 0.01
    corrupted = committed[committed.k > 0]
    assert (corrupted[corrupted.covered == 1].success_theta == 1).all()  # sufficient it is, for lam large enough


def test_cells_agree_with_the_committed_ones(committed):
    for r, k in ((10, 20), (60, 40)):
        fresh = fig4.cell(r, k, 20)
        row = committed[(committed.r == r) & (committed.k == k)].iloc[0]
        assert fresh["success_theta"] == row.success_theta
        np.testing.assert_allclose(fresh["error_theta"], row.error_theta, rtol=1e-4, atol=1e-9)


def test_draws_and_tabulates():
    table, _ = study.simulate(
        study.Study(
            "fig4", fig4.cell, {"paper": [{"r": r, "k": k, "trials": 2} for r in (10, 50, 90) for k in (0, 30, 60)]}
        ),
        jobs=1,
    )
    assert len(fig4.draw(table).axes) == 3
    assert fig4.tables(table)["transition"]["predicted k"].is_monotonic_decreasing
