import dataclasses

import numpy as np
import pytest

from sparseop import study
from theory import theorem31
from theory.theorem31 import STUDIES


@pytest.fixture(scope="module")
def table():
    cells = [{"kind": "chain", "trial": 0, "log_scale": scale, "per_decade": 3} for scale in (8, 32)]
    cells += [{"kind": "end", "trial": 0, "log_scale": scale, "per_decade": 3} for scale in (16, 64)]
    return study.simulate(dataclasses.replace(STUDIES[0], grids={"paper": cells}), jobs=1)[0]


def test_the_chain_holds_below_alpha_0_and_breaks_above(table):
    chain = table[table.kind == "chain"]
    assert (chain.gap <= 1e-9).all()
    assert (chain.residual <= 1e-11).all()
    below, above = chain[chain.relative < 0.99], chain[chain.relative > 1.01]
    assert below.theta_convex.max() < 1e-9
    assert above.theta_convex.min() > 1e-3
    assert above.theta_limit.min() > 1e-3
    assert above.theta_descent.min() > 1e-3
    # all three agree above, and the flow follows the convex program below as gamma shrinks
    assert np.abs(above.theta_limit - above.theta_convex).max() < 0.15
    far = below[below.relative < 0.5]
    for scale, bound in ((8, 1e-3), (32, 1e-9)):
        assert far[far.log_scale == scale].theta_limit.max() < bound
    assert far.theta_descent.max() < 1e-3
    assert set(chain.status) == {"converged", "iteration limit", "not run"}


def test_the_last_alpha_approaches_alpha_0_like_one_over_log_gamma(table):
    ends = table[table.kind == "end"].pivot_table(index="level", columns="log_scale", values="end")
    assert ((ends > 0) & (ends < 1)).all(axis=None)
    ratio = (1 - ends[16]) / (1 - ends[64])
    assert ((ratio > 3) & (ratio < 5)).all()


def test_no_alpha_of_the_grid_is_alpha_0():
    for per_decade in (4, 10, 20):
        assert np.abs(np.array(theorem31.grid(per_decade)) - 1).min() > 0.01


def test_draws_with_trials_and_grid_in_the_caption(table):
    caption = " ".join(STUDIES[0].draw(table).get_supxlabel().split())
    assert "1 trials" in caption
