"""The rules by which a table counts as reproduced with another network: each is broken once."""

import pandas as pd
import pytest

from gallery.entry import DIFFERS, OTHER_NETWORK
from gallery.rules import judge

GOOD = {"CE": (82.0, 84.0), "GCE": (87.0, 87.5), "SOP": (90.0, 89.0)}  # published, ours


def table(**changes):
    rows = []
    for method, (published, ours) in {**GOOD, **changes}.items():
        off = "" if ours is None else f"{ours - published:+.2f}"
        rows.append({"setting": "sym40", "method": method, "published": str(published), "difference": off})
    return pd.DataFrame(rows)


def test_all_rules_hold():
    judged = judge(table())
    assert judged.kind == OTHER_NETWORK
    assert (judged.cells, judged.orders, judged.gaps, judged.missing) == ((3, 3), (3, 3), (1, 1), 0)
    assert "3 of 3 results end at most 2 points below" in judged.text()


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        ({"SOP": (90.0, 87.9)}, {"cells": (2, 3)}),
        ({"GCE": (87.0, 89.5)}, {"orders": (2, 3)}),
        ({"CE": (82.0, 86.0), "GCE": (87.0, 87.0)}, {"gaps": (0, 1)}),
        ({"SOP": (90.0, None)}, {"cells": (2, 2), "orders": (1, 1), "gaps": (0, 0), "missing": 1}),
    ],
)
def test_a_broken_rule_is_seen(changes, broken):
    judged = judge(table(**changes))
    assert judged.kind == DIFFERS
    assert {key: getattr(judged, key) for key in broken} == broken


def test_a_method_that_is_not_published_is_not_judged():
    rows = table()
    rows.loc[len(rows)] = {"setting": "sym40", "method": "SOP+", "published": "", "difference": ""}
    assert judge(rows) == judge(table())


def test_methods_published_alike_may_change_places():
    assert judge(table(GCE=(87.0, 87.5), ELR=(87.9, 86.5))).orders == (5, 5)


def test_without_a_run_nothing_is_reproduced():
    assert judge(table(CE=(82.0, None), GCE=(87.0, None), SOP=(90.0, None))).kind == DIFFERS
