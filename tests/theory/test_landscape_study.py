import pandas as pd
import pytest

from sparseop import study
from theory import landscape
from theory.landscape import STUDIES


@pytest.fixture(scope="module")
def table():
    return study.simulate(STUDIES[0], "quick", jobs=1)[0]


def test_every_critical_point_is_a_strict_saddle_or_a_global_minimum(table):
    assert set(table.kind) == {"strict saddle", "global minimum"}
    assert (table.gradient < 1e-6).all()
    saddles, minima = table[table.kind == "strict saddle"], table[table.kind == "global minimum"]
    assert len(saddles) > 50
    assert len(minima) > 50
    assert (minima.negative == 0).all()
    assert (saddles.smallest < 0).all()


def test_the_negative_eigenvalues_are_the_residuals(table):
    saddles = table[table.kind == "strict saddle"]
    pd.testing.assert_series_equal(saddles.smallest, saddles.predicted, check_names=False, rtol=1e-6)
    assert (saddles.negative == saddles.residuals).all()
    assert saddles.spectrum_error.max() < 1e-12


def test_where_there_are_no_saddles(table):
    # full row rank, or nothing corrupted: y is in the range of J on any set of samples
    for size in ("p > N, full rank", "k = 0"):
        assert (table[table["size"] == size].kind == "global minimum").all()
    assert (table[table.off <= table["rank"]].kind == "global minimum").all()


def test_draws_and_tabulates(table):
    caption = " ".join(STUDIES[0].draw(table).get_supxlabel().split())
    assert f"{len(table)} constructed critical points" in caption
    assert "; 0 others" in caption
    lines = STUDIES[0].tables(table)[""]
    assert len(lines) == len(landscape.SIZES)
    assert (lines.others == 0).all()
