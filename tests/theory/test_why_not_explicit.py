import dataclasses

import numpy as np
import pytest

from sparseop import study
from theory.why_not_explicit import STUDIES, WEIGHT, instance


@pytest.fixture(scope="module")
def table():
    grid = [cell for cell in STUDIES[0].grids["quick"] if cell["trial"] == 0]
    return study.simulate(dataclasses.replace(STUDIES[0], grids={"paper": grid}), jobs=1)[0]


def curve(table, kind, method, panel="weight"):
    rows = table[(table.kind == kind) & (table.method == method) & (table.panel == panel)]
    return rows.set_index("x")


def test_ranks_and_ground_truth():
    assert [instance(kind, 0).rank for kind in ("low", "tail", "full")] == [20, 100, 100]
    problem = instance("tail", 1)
    sigma = np.linalg.svd(problem.J, compute_uv=False)
    assert sigma[20] < 0.02 * sigma[19]


def test_low_rank_the_explicit_forms_are_as_good(table):
    assert curve(table, "low", "l1").theta_error.max() < 1e-9
    joint = curve(table, "low", "joint").theta_error
    assert joint.iloc[0] < 1e-5
    assert (np.diff(joint) > -1e-9).all()
    assert joint.iloc[-1] == pytest.approx(curve(table, "low", "squares").theta_error.iloc[-1], rel=1e-5)
    implicit = curve(table, "low", "implicit").theta_error
    assert implicit[implicit.index > 0.05].max() < 1e-7
    assert implicit.iloc[0] > 0.5  # ... and the implicit one needs lam above its threshold


def test_small_tail_the_explicit_forms_overfit_at_every_weight(table):
    squares = curve(table, "tail", "squares").theta_error.iloc[0]
    assert np.allclose(curve(table, "tail", "joint").theta_error, squares, rtol=1e-4)
    assert curve(table, "tail", "joint").check.max() < 1e-9  # the joint minimum is 0
    assert curve(table, "tail", "implicit").theta_error.min() < 0.02 < 0.02 * squares
    course = {method: curve(table, "tail", method, "time").theta_error for method in ("joint", "implicit")}
    assert course["joint"].iloc[-1] == pytest.approx(squares, rel=1e-3)
    assert course["joint"].min() < 0.02
    assert course["implicit"].iloc[-1] < 0.03


def test_full_rank_no_form_beats_least_squares(table):
    squares = curve(table, "full", "squares").theta_error.iloc[0]
    for method in ("implicit", "program", "joint"):
        assert curve(table, "full", method).theta_error.min() >= squares * (1 - 1e-4)


def test_the_implicit_route_is_the_convex_program(table):
    for kind in ("low", "tail", "full"):
        implicit, program = curve(table, kind, "implicit"), curve(table, kind, "program")
        assert program.check.max() <= 1e-9
        assert implicit.check.max() < 1e-7
        close = implicit.index > 0.05
        assert np.allclose(implicit.theta_error[close], program.theta_error[close], rtol=0.1, atol=1e-7)


def test_caption(table):
    caption = " ".join(STUDIES[0].draw(table).get_supxlabel().split())
    assert "Median of 1 trials" in caption
    assert WEIGHT == 0.02
