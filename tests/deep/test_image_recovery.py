"""The studies of image recovery: tiny real cells, and what tables and captions make of hand-made numbers."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest

from deep import image_recovery
from deep.image_recovery import FILTERS, STUDIES, choices
from sparseop import study
from sparseop.deep.image_prior.ratio import matching, ratio_for

pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def tables():
    kept = image_recovery.ITERATIONS, image_recovery.CHOICE_ITERATIONS, image_recovery.EVERY
    image_recovery.ITERATIONS = image_recovery.CHOICE_ITERATIONS = image_recovery.EVERY = 4
    cells = {
        "image_recovery": image_recovery._curves(("flower",), (0.3,), (0,)),
        "image_recovery_matched": image_recovery._pairs((1e-2, 1e-6), (0,))[:6:2],
        "image_recovery_choice": image_recovery._choices(("flower",), (0.3,), (0,))[::5],
        "image_recovery_rule": image_recovery._beside(("flower",), (0.3,), (0,)),
    }
    try:
        return {s.name: study.simulate(dataclasses.replace(s, grids={"paper": cells[s.name]}), jobs=1)[0] for s in STUDIES}
    finally:
        image_recovery.ITERATIONS, image_recovery.CHOICE_ITERATIONS, image_recovery.EVERY = kept


def test_cells_measure_what_they_say(tables):
    table = tables["image_recovery"]
    fits = table[table["filter"] == ""]
    assert sorted(fits["iteration"].unique()) == [0, 4]
    assert set(table[table["method"] == "filters"]["filter"]) == set(FILTERS)
    assert fits[fits["method"] == "squared"]["found"].isna().all()  # without s nothing is found
    assert fits["ratio"].nunique() == 2  # one for each kind of noise: all methods see the same image
    matched = tables["image_recovery_matched"]
    for row in matched.itertuples():
        assert row.ratio == pytest.approx(matching(row.lam, row.gamma))
    rule = tables["image_recovery_rule"]
    middle = rule[rule["factor"] == 1].iloc[0]
    assert middle["lam"] == pytest.approx(matching(ratio_for(middle["level"], 1e-5), 1e-5))
    choice = tables["image_recovery_choice"]
    assert (choice["psnr_best"] >= choice[["psnr", "psnr_stopped"]].max(axis=1)).all()


def test_draws_and_tables(tables):
    for s in STUDIES:
        if s.draw is not None:
            drawn = s.draw(tables[s.name])
            figure = drawn[""] if isinstance(drawn, dict) else drawn
            assert "seeds" in figure.get_supxlabel()
        assert all(len(frame) for frame in s.tables(tables[s.name]).values())


def test_choices_pick_by_what_they_may_know():
    """The truth says lam = 0.02; held-out entries say 0.04; the share found says 0.08; the rule says what the level says."""
    rows = []
    for image, noise in itertools.product(("flower", "china"), (0.3,)):
        rows += [{"method": "double", "lam": lam, "image": image, "noise": noise, "seed": 0, "level": 0.24,
                         "psnr": {0.08: 20.0, 0.04: 24.0, 0.02: 26.0}[lam] - 3 * (image == "china" and lam == 0.02), "held_out": abs(lam - 0.04),
                         "found": 0.24 + abs(lam - 0.08), "psnr_best": 27.0, "psnr_stopped": 26.5}
                 for lam in (0.08, 0.04, 0.02)]
        rows.append({"method": "absolute", "lam": 0.0, "image": image, "noise": noise, "seed": 0, "level": 0.24, "psnr": 12.0, "held_out": 0.2,
                     "found": np.nan, "psnr_best": 25.0, "psnr_stopped": 24.5})
    found = choices(pd.DataFrame(rows)).set_index("image")
    flower, china = found.loc["flower"], found.loc["china"]
    assert (flower["oracle"], china["oracle"]) == (26.0, 24.0)
    assert flower["held out"] == 24.0
    assert flower["found = estimated"] == 20.0
    assert flower["rule"] == 24.0  # 0.15 exp(-5.6 * 0.24) = 0.039
    assert flower["best of the other image"] == 24.0
    assert china["best of the other image"] == 23.0
    assert (flower["absolute loss, oracle stop"], flower["absolute loss, held-out stop"], flower["absolute loss, last"]) == (25.0, 24.5, 12.0)
