"""The studies of tables, of several outputs and of the open questions: a cell of each, and what it has to show."""

import dataclasses

import pytest

from sparseop import study
from theory import group_flow, open_questions, robust_tables


def simulate(which, cells):
    return study.simulate(dataclasses.replace(which, grids={"paper": cells}), jobs=1)[0]


def test_directions_and_products_recover_what_the_program_recovers():
    table = simulate(group_flow.STUDIES[0], [{"seed": 0, "lam": 1.0}])
    assert (table.gap <= 1e-9).all()
    assert (table.program_error < 1e-6).all()
    last = table[table.scale == 32].set_index("kind")
    assert (last.loc[["directions 32", "products"], "error"] < 1e-3).all()
    assert set(table.status) <= {"converged", "iteration limit"}
    caption = " ".join(group_flow.STUDIES[0].draw(table).get_supxlabel().split())
    assert "1 instances" in caption
    assert set(group_flow.STUDIES[0].tables(table)[""].kind) == set(group_flow.KINDS)


@pytest.mark.parametrize(
    ("question", "kinds"), [("sizes", {"recovered", "not recovered"}), ("depth", {"2", "3", "4", "6"})]
)
def test_limits_answer_their_question(question, kinds):
    table = simulate(open_questions.STUDIES[0], [{"question": question, "seed": 0}])
    assert set(table.kind) == kinds
    assert set(table.status) == {"converged"}
    if question == "sizes":
        away = table[(table.kind == "not recovered") & (table.x == 32)].iloc[0]
        assert away.error < 0.2 * away.other
    else:
        least = table[table.x == 0.001].set_index("kind").error
        assert least["6"] < least["4"] < least["3"] < 0.1 * least["2"]


def test_a_tail_costs_lam_tau_squared():
    table = simulate(open_questions.STUDIES[0], [{"question": "tail", "seed": 0}])
    assert set(table.status) == {"optimal"}
    ratio = (table.error / (table.kind.astype(float) * table.x**2))[(table.x < 0.1) & (table.x > 0.002)]
    assert ratio.max() < 1.2 * ratio.min()


@pytest.mark.slow
def test_a_stochastic_run_ends_at_the_limit_for_its_sizes():
    table = simulate(open_questions.STUDIES[0], [{"question": "steps", "seed": 0}])
    part = table[table.kind == "stochastic"].sort_values("x")
    assert part.error.is_monotonic_increasing
    assert (part.other < part.error).all()
    assert part.other.iloc[0] < 0.2 * part.error.iloc[0]


def test_the_classical_tables():
    names = [{"name": "hawkins_bradu_kass", "method": m} for m in ("sparse corruption", "HuberRegressor", "MM")]
    table = simulate(robust_tables.STUDIES[0], names).set_index("method")
    assert list(table.known) == [10, 10, 10]
    assert table.found["sparse corruption"] == 0
    assert table.false["sparse corruption"] == 4
    assert table.found["MM"] == 10
    assert (table.could_hide > 0).all()
    assert not table.failed.any()


@pytest.mark.slow
def test_growing_corruption_and_its_picture():
    cells = [
        {"where": where, "share": share, "seed": 0, "method": method}
        for where in ("y", "leverage")
        for share in (0.1, 0.4)
        for method in ("sparse corruption", "sparse corruption, sigma = 0", "least squares", "RANSAC", "MM")
    ]
    which = robust_tables.STUDIES[1]
    table = simulate(which, cells)
    errors = table.set_index(["where", "share", "method"]).error
    assert errors["y", 0.1, "sparse corruption"] < 0.3 * errors["y", 0.1, "least squares"]
    assert errors["leverage", 0.4, "sparse corruption"] > 0.5 > errors["leverage", 0.4, "MM"]
    assert (table.warned.dropna() == 1).loc[table["where"] == "leverage"].all()
    assert "1 draws" in " ".join(which.draw(table).get_supxlabel().split())
