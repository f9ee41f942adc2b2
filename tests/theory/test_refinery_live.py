"""The refinery's claims on small runs of today's code: what tests on committed data cannot see, a change of the code.

The studies' own cells, with 6 centres of 20 crops and width 100: every claim of the figures already shows there.
"""

import numpy as np
import pandas as pd
import pytest

from theory import generalization, refinery_bounds, refinery_descent, refinery_jacobian, refinery_recovery


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    for module in (refinery_descent, refinery_recovery, refinery_bounds):
        for name, value in (("CENTRES", 6), ("CROPS", 20), ("WIDTH", 100)):
            monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(refinery_bounds, "LABEL_STEPS", 1000)
    monkeypatch.setattr(generalization, "POPULATION", 5000)


def test_the_jacobian_is_bimodal_and_within_its_bounds():
    rows = [refinery_jacobian.jacobian_cell("tanh", eps, 10, 200, 0) for eps in (0.05, 0.1, 0.3)]
    table = pd.DataFrame(rows, index=[0.05, 0.1, 0.3])
    assert 0.9 < np.polyfit(np.log(table.index), np.log(table.minus_max), 1)[0] < 1.05
    assert (table.minus_max < 0.6 * table.plus_min).all()
    assert (table.plus_max <= table.beta_bound).all()
    assert (table.minus_max <= table.minus_bound).all()
    assert (table.plus_min >= table.alpha_prime).all()
    assert table.plus_min[0.05] == pytest.approx(table.mean_width_limit[0.05], rel=0.1)
    lam = [refinery_jacobian.jacobian_cell("tanh", 0.1, centres, 200, 0)["lam"] for centres in (5, 10, 20)]
    assert lam[0] > lam[1] > lam[2] > 0


def test_lemma_8_with_equality_for_the_farthest_label():
    cells = {
        corruption: refinery_jacobian.projection_cell(0.2, 10, "equal", corruption, 0)
        for corruption in ("farthest", "random")
    }
    assert cells["farthest"]["projection"] == pytest.approx(cells["farthest"]["lemma8"], rel=1e-12)
    assert 0 < cells["random"]["projection"] < cells["random"]["lemma8"]
    assert all(cell["projection"] <= cell["lemma4"] + 1e-12 for cell in cells.values())


def test_descent_overfits_and_the_refinery_with_another_crop_does_not():
    runs = {
        name: pd.DataFrame(refinery_descent.cell(name, 1500, 0))
        for name in ("descent", "self", "stopped", "teacher", "partner", "cluster", "fresh", "long")
    }
    last = pd.DataFrame({name: run.iloc[-1] for name, run in runs.items()}).T
    assert runs["descent"].test_accuracy.max() > 0.98
    assert last.test_accuracy["descent"] < 0.8
    assert last.noise_fitted["descent"] > 0.85
    for name in ("partner", "cluster", "long"):
        assert tuple(last.loc[name, ["test_accuracy", "noise_fitted", "label_recovery"]]) == (1, 0, 1)
        assert last.error_max[name] < 4 * refinery_descent.RHO
    assert last.test_accuracy["fresh"] > 0.95
    assert last.noise_fitted[["self", "teacher"]].min() > 0.15
    assert last.noise_fitted["stopped"] < 0.05
    assert runs["stopped"][runs["stopped"].step >= 110].distance.nunique() == 1
    assert 0.88 < last.fit_minus["long"] < 0.93  # linear theory: 0.9
    # the refinery with x~ = x is descent with the step eta (1 - alpha): step 10 t of the one is step t of the other
    same = np.interp(np.log(150), np.log(runs["descent"].step[1:]), runs["descent"].distance[1:])
    assert last.distance["self"] == pytest.approx(same, rel=0.02)


def test_recovery_where_the_projected_noise_is_below_half_of_delta():
    for rho, classes in ((0.06, 2), (0.2, 2), (0.06, 5), (0.45, 5), (0.4, 4)):
        row = refinery_recovery.diagram_cell(rho, classes, 0)
        assert (row["test_accuracy"] == 1) == (row["projection"] < row["delta"] / 2), (rho, classes)


@pytest.mark.parametrize(("cell", "value"), [("eps_cell", 0.3), ("width_cell", 50)])
def test_as_good_as_the_best_stopping_time(cell, value):
    descent, refined = (getattr(refinery_recovery, cell)(method, value, 0) for method in ("descent", "refinery"))
    assert descent["test_accuracy"] < 0.9
    assert descent["noise_fitted"] == 1
    assert refined["test_accuracy"] == 1 >= descent["best_accuracy"]
    assert refined["noise_fitted"] == 0


def test_the_threshold_in_alpha():
    found = {alpha: refinery_recovery.alpha_cell(alpha, 0.1, 0)["wrong_recovered"] for alpha in (0.3, 0.45, 0.7, 0.9)}
    threshold = 1 / (2 - 2 * 0.1)
    assert all((share > 0.97) == (alpha > threshold) for alpha, share in found.items())
    assert all(share < 0.05 for alpha, share in found.items() if alpha < threshold)


def test_the_spread_over_a_cap_grows_with_eps_and_theorem_5_holds():
    exponents = {}
    for method in ("initial", "refinery", "descent"):
        cells = [refinery_bounds.worst_cell(method, 0.3, eps, 0) for eps in (0.05, 0.1)]
        exponents[method] = np.log2(cells[1]["spread"] / cells[0]["spread"])
        assert all(0 < cell["constant"] < 2.5 for cell in cells)
        if method != "initial":
            assert [cell["worst_accuracy"] for cell in cells] == [float(method == "refinery")] * 2
    assert 0.5 < exponents["refinery"] < 0.85 < exponents["initial"] < 1.05
    assert 0.85 < exponents["descent"] < 1.1


def test_refined_labels_leave_their_bound_with_the_crop_itself():
    own, other = (pd.DataFrame(refinery_bounds.labels_cell(method, 0.06, 0)) for method in ("self", "cluster"))
    assert own.discrepancy.iloc[-1] > own.bound.iloc[-1] > own.discrepancy.min()
    assert other.discrepancy.iloc[-1] < 0.7 * other.bound.iloc[-1]
    for table in (own, other):
        assert (table.discrepancy <= (1 - table.alpha) * table.given + table.alpha * table.error + 1e-6).all()


def test_trajectories_against_56():
    cells = {eps: pd.DataFrame(refinery_bounds.paths_cell(eps, 100, 20, 0)) for eps in (0.03, 0.1)}
    for table in cells.values():
        later = table[table.step > 0]
        assert (later.p <= later.p_bound).all()
        assert (later.d <= later.d_bound).all()
        assert (later.d > 0).all()
        assert table.p[0] > 0 == table.p_bound[0]
    first = [cells[eps].p[1] for eps in (0.03, 0.1)]
    assert np.log(first[1] / first[0]) / np.log(0.1 / 0.03) == pytest.approx(1, abs=0.1)


def test_every_constant_bounds_what_is_measured():
    row = refinery_bounds.constants_cell(100, 0)
    for measured, bound in (("beta_measured", "beta"), ("L_measured", "L"), ("distance_measured", "R")):
        assert 0 < row[measured] <= row[bound], measured
    assert row["alpha_measured"] >= row["alpha_prime"]
    assert 0 < row["time_measured"] <= row["time_0"]
    assert row["lemma4"] <= row["diffusedness"]
    assert row["lemma7"] < 2
    assert row["lemma9"] < 1


def test_theorem_1_in_its_construction_and_on_real_runs():
    for sharper in (False, True):
        cell = generalization.construction_cell(0.4, 0.02, sharper)
        assert cell["constant"] == pytest.approx(cell["closed_form"], rel=1e-9)
        assert cell["gap"] == pytest.approx(cell["simulated_gap"], abs=1e-12)
        assert np.sign(cell["gap"]) == (-1 if sharper else 1)
        assert abs(cell["gap"]) <= cell["lipschitz"] * cell["discrepancy"] * (1 + 1e-12)
    runs = [generalization.run_cell(share, 500, 0) for share in (0.0, 0.5, 1.0)]
    assert all(run["gap"] <= run["label"] + run["deviation_single"] for run in runs)
    assert runs[0]["gap"] > runs[1]["gap"] > 0.1 > runs[2]["gap"]
    assert runs[0]["discrepancy"] == pytest.approx(2 * runs[1]["discrepancy"])
    assert runs[2]["discrepancy"] == 0
