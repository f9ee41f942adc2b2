import dataclasses

import numpy as np
import pytest

from sparseop import study
from theory.incoherence import STUDIES


@pytest.fixture(scope="module")
def table():
    grid = [cell for cell in STUDIES[0].grids["quick"] if cell["trial"] == 0]
    return study.simulate(dataclasses.replace(STUDIES[0], grids={"paper": grid}), jobs=1)[0]


def test_every_link_of_the_chain(table):
    assert (table.lp_error < 1e-9).all()
    assert (table.weaker_holds | ~table.holds).all()  # (28) implies k r < N / (2 mu)
    assert ((table.rho_high < 1) | ~table.weaker_holds).all()  # which implies rho < 1
    for bound in (table.rho_lemma, table.rho_weaker):
        assert (table.rho_low <= bound * (1 + 1e-9)).all()
    assert (np.isfinite(table.bound) == (table.rho_high < 1)).all()
    certified = table[np.isfinite(table.bound)]  # which implies recovery above (B.25)
    assert (certified.lam_0 <= certified.bound).all()
    assert (certified.lam_1 == np.inf).all()


def test_how_little_each_condition_covers(table):
    recovered = table[np.isfinite(table.lam_0)]
    shares = [recovered.holds.mean(), recovered.weaker_holds.mean(), (recovered.rho_high < 1).mean()]
    assert 0 < shares[0] < shares[1] < shares[2] < 1


def test_table_and_figure(table):
    result = STUDIES[0].tables(table)[""]
    assert list(result["r"].unique()) == [1, 5, 20]
    by_proof, printed = (result[f"(B.25) {how} / lam_0, median"].dropna() for how in ("by its proof", "as printed"))
    assert len(printed) > 5
    assert (by_proof >= 1).all()
    assert np.allclose(printed, 2 * by_proof)
    caption = " ".join(STUDIES[0].draw(table).get_supxlabel().split())
    assert f"of {len(table)} instances that some λ recovers" in caption
