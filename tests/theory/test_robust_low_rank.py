import dataclasses

import numpy as np
import pytest

from sparseop import provenance, study
from sparseop.files import read_csv
from theory import robust_low_rank
from theory.robust_low_rank import STUDIES

SMALL = {
    "low_rank_gamma": [{"rank": 2, "corruption": 0.1, "trial": 0}],
    "low_rank_match": [{"alpha": alpha, "per_decade": 3, "trial": 0} for alpha in (1.0, 4.0)],
    "low_rank_phase": [{"rank": r, "corruption": c, "trials": 1} for r in (1, 12) for c in (0.0, 0.5)],
    "low_rank_width": [{"width": w, "sparse": s, "trial": 0} for w, s in ((3, True), (6, True), (6, False))],
}


@pytest.fixture(scope="module")
def tables():
    gammas, robust_low_rank.GAMMAS = robust_low_rank.GAMMAS, (1e-2, 1e-4, 1e-5)
    try:
        return {
            s.name: study.simulate(dataclasses.replace(s, grids={"paper": SMALL[s.name]}), jobs=1)[0] for s in STUDIES
        }
    finally:
        robust_low_rank.GAMMAS = gammas


def test_the_difference_falls_with_gamma_and_every_gap_is_certified(tables):
    table = tables["low_rank_gamma"].sort_values("gamma")
    assert table["difference"].is_monotonic_increasing
    assert table["difference"].iloc[0] < 1e-3
    assert (table["gap_flow"] > 0).all()
    assert (table["gap_convex"] <= 1e-8).all()


def test_at_the_usual_alpha_the_best_lam_is_near_one_over_alpha(tables):
    part = tables["low_rank_match"].query("alpha == 4").set_index("lam")["difference"]
    nearest = np.abs(np.log(4 * part.index)).argmin()  # of a grid of three values a decade
    assert part.argmin() == nearest
    assert part.iloc[nearest] < 1e-3
    assert part.drop(part.index[nearest]).min() > 0.03


def test_recovery_without_corruption_and_none_beyond(tables):
    table = tables["low_rank_phase"].set_index(["rank", "corruption"])
    assert table.loc[(1, 0.0), ["convex", "flow"]].tolist() == [1, 1]
    assert table.loc[(12, 0.5), ["convex", "flow"]].tolist() == [0, 0]


def test_a_wider_factor_helps_only_with_g_and_h(tables):
    table = tables["low_rank_width"].set_index(["sparse", "width"])["error"]
    assert table[True].max() < 1e-2
    assert table[False].min() > 0.1


def test_draws_every_figure_with_its_certificate(tables):
    for s in STUDIES:
        assert "n = " in s.draw(tables[s.name]).get_supxlabel()
    assert "certified to" in " ".join(STUDIES[0].draw(tables["low_rank_gamma"]).get_supxlabel().split())


def test_what_the_docs_say():
    table = read_csv(provenance.ROOT / "figures" / "data" / "low_rank_gamma.csv")
    middle = table.groupby(["rank", "gamma"]).median(numeric_only=True)
    assert [float(f"{middle.loc[(2, g), 'difference']:.0e}") for g in (1e-2, 1e-4, 1e-6, 1e-12)] == [
        0.02,
        4e-4,
        5e-5,
        1e-5,
    ]
    assert float(f"{middle.loc[(2, 1e-12), 'gap_flow']:.0e}") == 6e-6
    failed = (
        table[table["rank"].isin([4, 6]) & (table["gamma"] < 1e-3)].groupby(["rank", "gamma"]).median(numeric_only=True)
    )
    assert (round(failed["difference"].min(), 2), round(failed["difference"].max(), 2)) == (0.09, 0.24)
    assert (round(failed["gap_flow"].min(), 3), round(failed["gap_flow"].max(), 3)) == (0.007, 0.023)
    for rank in (4, 6):
        assert failed.loc[(rank, 1e-12), "difference"] > failed.loc[(rank, 1e-5), "difference"]
    assert middle.loc[(6, 1e-12), ["error_flow", "error_convex"]].round(2).tolist() == [0.09, 0.15]
    assert (table["gap_convex"] <= 1e-8).all()
    assert (table["status"] == "converged").all()
