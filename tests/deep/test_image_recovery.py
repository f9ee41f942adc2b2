"""The studies of image recovery: tiny real cells, and what tables and captions make of hand-made numbers."""

import dataclasses
import itertools
import re

import numpy as np
import pandas as pd
import pytest

from deep import image_recovery
from deep.image_recovery import FILTERS, STUDIES, table_choices
from sparseop import provenance, study
from sparseop.deep.image_prior.ratio import matching, ratio_for
from sparseop.files import read_csv

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
        return {
            s.name: study.simulate(dataclasses.replace(s, grids={"paper": cells[s.name]}), jobs=1)[0] for s in STUDIES
        }
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
            assert re.search("seeds|fits", figure.get_supxlabel())
        assert all(len(frame) for frame in s.tables(tables[s.name]).values())


def test_choices_pick_by_what_they_may_know():
    """The truth says lam = 0.02; held-out entries say 0.04; the share found says 0.08.

    The rule says what the level says.
    """
    rows = []
    for image, noise in itertools.product(("flower", "china"), (0.3,)):
        rows += [
            {
                "method": "double",
                "lam": lam,
                "image": image,
                "noise": noise,
                "seed": 0,
                "level": 0.24,
                "psnr": {0.08: 20.0, 0.04: 24.0, 0.02: 26.0}[lam] - 3 * (image == "china" and lam == 0.02),
                "held_out": abs(lam - 0.04),
                "found": 0.24 + abs(lam - 0.08),
                "psnr_best": 27.0,
                "psnr_stopped": 26.5,
            }
            for lam in (0.08, 0.04, 0.02)
        ]
        rows.append(
            {
                "method": "absolute",
                "lam": 0.0,
                "image": image,
                "noise": noise,
                "seed": 0,
                "level": 0.24,
                "psnr": 12.0,
                "held_out": 0.2,
                "found": np.nan,
                "psnr_best": 25.0,
                "psnr_stopped": 24.5,
            }
        )
    found = table_choices(pd.DataFrame(rows)).set_index("image")
    flower, china = found.loc["flower"], found.loc["china"]
    assert (flower["oracle"], china["oracle"]) == (26.0, 24.0)
    assert flower["held out"] == 24.0
    assert flower["found = estimated"] == 20.0
    assert flower["rule"] == 24.0  # 0.15 exp(-5.6 * 0.24) = 0.039
    assert flower["best of the other image"] == 24.0
    assert china["best of the other image"] == 23.0
    assert (
        flower["absolute loss, oracle stop"],
        flower["absolute loss, held-out stop"],
        flower["absolute loss, last"],
    ) == (25.0, 24.5, 12.0)


def committed(name):
    """Return the committed table of a study."""
    return read_csv(provenance.ROOT / "figures" / "data" / f"{name}.csv")


def test_what_the_docs_say_of_the_curves():
    table = committed("image_recovery")
    fits = table[(table["filter"].isna()) & (table["kind"] == "salt-and-pepper")]
    last = fits[fits["iteration"] == 800].groupby(["image", "noise", "method"])["psnr"].mean().unstack()
    best = (
        fits.groupby(["image", "noise", "method", "seed"])["psnr"]
        .max()
        .groupby(["image", "noise", "method"])
        .mean()
        .unstack()
    )
    assert (best["double"] - last["double"]).max() < 0.3
    assert last.loc[("flower", 0.3)].round(1).to_dict() == {"absolute": 12.0, "double": 27.0, "squared": 9.9}
    assert last.loc[("china", 0.3)].round(1).to_dict() == {"absolute": 14.6, "double": 24.3, "squared": 10.1}
    assert last["double"].xs(0.5, level="noise").round(1).to_dict() == {"china": 22.0, "flower": 23.6}
    assert last[["absolute", "squared"]].xs(0.5, level="noise").max().max() < 8.5
    assert (last["absolute"] - last["double"]).xs(0.1, level="noise").round(1).to_dict() == {
        "china": 1.1,
        "flower": 0.1,
    }
    assert (best["absolute"] - last["double"]).abs().max() < 2
    ends = (
        fits[(fits["iteration"] == 800) & (fits["method"] == "double")]
        .groupby(["image", "noise"])[["precision", "recall"]]
        .mean()
    )
    assert (ends["precision"].min().round(2), ends["precision"].max().round(2)) == (0.76, 0.89)
    assert ends["recall"].min() > 0.975
    filtered = (
        table[(table["filter"] == FILTERS[2]) & (table["kind"] == "salt-and-pepper")].groupby("noise")["psnr"].mean()
    )
    assert filtered.round(1).tolist() == [32.8, 27.8, 24.6]
    uniform = table[table["kind"] == "uniform"]
    assert uniform[uniform["iteration"] == 800].groupby(["method", "image"])["psnr"].mean()["double"].round(
        1
    ).to_dict() == {"china": 24.0, "flower": 23.4}
    peak = uniform[uniform["method"] == "absolute"].groupby(["image", "seed"])["psnr"].max().groupby("image").mean()
    end = uniform[(uniform["method"] == "double") & (uniform["iteration"] == 800)].groupby("image")["psnr"].mean()
    assert (peak - end).round(1).to_dict() == {"china": 0.8, "flower": 2.6}
    assert uniform[uniform["filter"] == FILTERS[1]].groupby("image")["psnr"].mean().round(1).to_dict() == {
        "china": 21.4,
        "flower": 22.4,
    }
    assert uniform[uniform["filter"] == FILTERS[2]]["psnr"].max() < 12.5


def test_what_the_docs_say_of_the_choices():
    found = table_choices(committed("image_recovery_choice"))
    assert len(found) == 18
    for way in ("held out", "rule", "best of the other image"):
        assert (found[way] == found["oracle"]).all()
    costs = {
        way: round(float((found["oracle"] - found[way]).mean()), 1)
        for way in found.columns[-4:]
        if way != "best of the other image"
    }
    assert costs == {"absolute loss, oracle stop": 0.4, "absolute loss, held-out stop": 0.8, "absolute loss, last": 6.2}
    assert round(float((found["oracle"] - found["found = estimated"]).mean()), 1) == 2.8


def test_what_the_docs_say_of_matched_pairs():
    table = committed("image_recovery_matched")
    by_lam = table.groupby(["lam", "gamma"])["psnr"].mean().unstack()
    assert (by_lam.idxmax() == 0.04).all()
    spread = by_lam.max(axis=1) - by_lam.min(axis=1)
    assert (round(spread[0.04], 1), round(spread.max(), 1)) == (1.0, 6.9)
    best = table[table["lam"] == 0.04].groupby("gamma")["ratio"].first()
    assert best.round().tolist() == [230, 173, 115, 58]
    lost = by_lam.loc[0.04] - by_lam.loc[0.01]
    assert 2 < lost.min() < lost.max() < 4


def test_what_the_docs_say_of_the_rule():
    rule, choice = committed("image_recovery_rule"), committed("image_recovery_choice")
    assert rule["seed"].unique().tolist() == [0]
    cases = ["image", "noise"]
    grid = choice[(choice["method"] == "double") & (choice["seed"] == 0)].groupby(cases)["psnr"].max()
    by_factor = rule.assign(at=rule["factor"].round(2)).pivot(index=cases, columns="at", values="psnr")
    cost = pd.concat([grid, by_factor.max(axis=1)], axis=1).max(axis=1) - by_factor[1.0]
    assert (round(cost.mean(), 2), round(cost.max(), 1)) == (0.15, 0.4)
    assert 2.5 < (by_factor[1.0] - by_factor[1.41]).max() < 3
    assert 0.6 < (by_factor[1.0] - by_factor[0.71]).max() < 1
