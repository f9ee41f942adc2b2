import dataclasses

import numpy as np
import pytest

from sparseop import study
from theory import fig3_penalty
from theory.fig3_penalty import STUDIES


@pytest.fixture(scope="module")
def table():
    grid = [cell for cell in STUDIES[0].grids["quick"] if cell["trial"] == 0]
    small = dataclasses.replace(STUDIES[0], grids={"paper": grid})
    return study.simulate(small, jobs=1)[0]


def test_the_paper_s_settings():
    cells = STUDIES[0].grids["paper"]
    assert len(cells) == 90
    assert {(c["rank"], c["sparsity"]) for c in cells} == {(20, k) for k in (10, 20, 40, 60, 80)} | {
        (r, 20) for r in (10, 20, 40, 60, 80)
    }
    assert {c["trial"] for c in cells} == set(range(10))
    assert (fig3_penalty.N, fig3_penalty.P) == (100, 150)


def test_every_curve_falls_at_its_exact_threshold(table):
    assert (table.gap <= 1e-9).all()
    assert (table.lp_error < 1e-9).all()
    grid = table[table["where"] == "grid"]
    assert grid.lam.min() == pytest.approx(1e-4)
    assert grid.lam.max() == pytest.approx(1)
    inside = (grid.lam >= 1.001 * grid.lam_0) & (grid.lam <= 0.999 * grid.lam_1)
    outside = (grid.lam <= 0.999 * grid.lam_0) | (grid.lam >= 1.001 * grid.lam_1)
    assert inside.any()
    assert grid[inside].theta_error.max() < 1e-9
    assert grid[inside].s_error.max() < 1e-7
    assert grid[outside].theta_error.min() > 1e-5
    assert table[table["where"] == "above"].theta_error.max() < 1e-9
    assert table[table["where"] == "below"].theta_error.min() > 1e-5


def test_where_nothing_recovers_and_where_the_bound_speaks(table):
    first = table.drop_duplicates(["rank", "sparsity"]).set_index(["rank", "sparsity"])
    for hopeless in [(20, 60), (20, 80), (60, 20), (80, 20)]:
        assert first.lam_0[hopeless] == np.inf
    assert np.isfinite(first.lam_0).sum() == 5
    bounded = first[np.isfinite(first.bound)]
    assert set(bounded.index) == {(20, 10), (20, 20), (10, 20)}
    assert (bounded.bound >= bounded.lam_0).all()
    assert (first.rho_low[[(20, 40), (40, 20)]] >= 1).all()


def test_draws_with_trials_and_grid_in_the_caption(table):
    figure = STUDIES[0].draw(table)
    caption = " ".join(figure.get_supxlabel().split())
    assert "median of 1 trials" in caption
    assert "all 5 trials" in caption
