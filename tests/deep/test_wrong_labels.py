"""The study of wrong labels: rivals do what they are named after, tables count, no run is refused in a sentence."""

import sys

import numpy as np
import pytest

from deep import wrong_labels, wrong_labels_cifar
from sparseop.files import read_csv
from sparseop.provenance import ROOT


@pytest.fixture(scope="module")
def wine():
    X, right, given = wrong_labels.drawn("wine", "symmetric", 0.1, 0)
    return X, given, given != right


def test_noise_is_exact_and_each_seeds_own(wine):
    assert wine[2].sum() == 18
    assert not np.array_equal(wine[1], wrong_labels.drawn("wine", "symmetric", 0.1, 1)[2])


@pytest.mark.parametrize("method", [wrong_labels.cleanlab, wrong_labels.ten_neighbours])
def test_rivals_doubt_wrong_labels_more(wine, method):
    X, given, wrong = wine
    answer = method(X, given)
    assert wrong_labels.accuracy(answer["doubt"], wrong)["auroc"] > 0.97
    assert answer.get("number", 18) == pytest.approx(18, abs=6)


def test_a_network_followed_doubts_wrong_labels_more(wine, monkeypatch):
    monkeypatch.setattr(wrong_labels, "PASSES", 12)
    X, given, wrong = wine
    for doubt in wrong_labels.followed(X, given, 0):
        assert wrong_labels.accuracy(doubt, wrong)["auroc"] > 0.9


def test_the_tables_say_what_the_record_says():
    table = read_csv(ROOT / "figures" / "data" / "wrong_labels.csv")
    made = wrong_labels.tables(table)
    assert len(made["found"]) == len(made["trust"]) == len(wrong_labels.SETS)
    one = table[(table["data"] == "wine") & (table["rate"] == 0.3) & (table["method"] == "cleanlab")]
    shown = made["found"].set_index("labels").loc["wine, symmetric 30 %", "cleanlab"]
    assert shown == f"{one['auroc'].mean():.4f} ({one['ap'].mean():.3f})"
    assert (table.loc[table["gap"].notna(), "gap"] <= 1e-6).all()  # every program is certified


def test_the_command_for_runs_refuses_a_folder_that_is_none(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["wrong_labels_cifar", str(tmp_path)])
    assert wrong_labels_cifar.main() == 2
    assert "has no labels.npz" in capsys.readouterr().err
