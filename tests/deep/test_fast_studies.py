"""What is read off the fast network's records: tables 1 and 4, the ablation, and when SOP pays."""

import json

import pandas as pd
import pytest

from deep import fast_records, fast_tables, when_sop_pays
from deep.published import recipe_name
from deep.runs import PIECES
from sparseop.deep.labels import recipe as recipes
from sparseop.errors import InputError


def write(folder, setting, method, last, *, epochs=16, changes=(), hours=0.2, seed=0, memorised=10.0):
    """Write the record of a run that never was."""
    name = recipe_name("fast", "CIFAR-10", setting, method)
    options = [f"training.epochs={epochs}", f"seed={seed}", *changes]
    options += ["method.lr_u=5.0", "method.lr_v=50.0"] if method == "SOP" else []
    recipe = recipes.read(name, options)
    where = folder / f"{name}-{epochs}-{len(list(folder.iterdir()))}"
    where.mkdir()
    (where / "recipe.toml").write_text(recipes.text(recipe))
    (where / "run.json").write_text(json.dumps({"noise_rate": 0.36, "samples": 50_000}))
    summary = {
        "final": {"test": last},
        "best": {"test": last + 1, "epoch": epochs - 1},
        "memorised": memorised,
        "detection": {"auroc": 0.9},
        "core_hours": hours,
    }
    (where / "summary.json").write_text(json.dumps(summary))
    rows = [
        {"epoch": e + 1, "memorised": memorised * e / epochs, "flagged_recall": 80 * e / epochs} for e in range(epochs)
    ]
    pd.DataFrame(rows).to_csv(where / "metrics.csv", index=False)


@pytest.fixture
def runs(tmp_path):
    for epochs, ce, sop in ((8, 85.0, 84.0), (16, 86.5, 86.0), (32, 86.0, 88.0)):
        write(tmp_path, "sym40", "CE", ce, epochs=epochs)
        write(tmp_path, "sym40", "SOP", sop, epochs=epochs)
    write(tmp_path, "worst", "CE", 80.0)
    write(tmp_path, "worst", "SOP", 83.0)
    write(tmp_path, "clean", "CE", 90.0, epochs=4)
    write(tmp_path, "clean", "CE", 92.0, epochs=4, seed=1)
    write(tmp_path, "clean", "CE", 88.0, epochs=4, changes=["network.whiten=false"], hours=0.1)
    write(tmp_path, "clean", "CE", 89.0, epochs=4, changes=["training.optimiser=sgd", "training.lr=0.1"])
    write(tmp_path, "clean", "CE", 89.5, epochs=4, changes=["engine.precision=float32"])
    return fast_records.runs(tmp_path)


def test_a_run_says_what_it_cost(runs):
    long = runs[(runs["setting"] == "sym40") & (runs["epochs"] == 32)]
    assert set(long["flop"]) == {3 * 2 * 33_066_272.0 * 50_000 * 32}
    assert fast_records.forward("resnet34") == pytest.approx(2.32e9, rel=0.01)


def test_cells_stand_beside_the_longest_runs_of_their_settings(runs):
    table = fast_tables.beside("table1", runs).set_index(["setting", "method"])
    sop = table.loc[("sym40", "SOP")]
    assert (sop["published"], sop["last epoch"], sop["difference"], sop["epochs"]) == (
        "90.09",
        "88.00 (1)",
        "-2.09",
        "32",
    )
    assert sop["published FLOP / ours"] == f"{120 * fast_records.forward('resnet34') / (32 * 66_132_544):.0f}"
    assert table.loc[("sym40", "SL"), "last epoch"] == ""
    assert "worst" not in table.index.get_level_values(0)
    assert table["published"].min() != ""
    human = fast_tables.beside("table4", runs).set_index(["setting", "method"])
    assert human.loc[("worst", "CE"), "difference"] == "+2.31"
    assert tuple(human.loc[("worst", "SOP"), ["published", "last epoch", "difference"]]) == ("", "83.00 (1)", "")
    assert human.loc[("clean", "CE"), "last epoch"] == "91.00 ± 1.41 (2)"  # not the runs that lack a piece


def test_what_each_piece_buys(runs):
    table = fast_tables.pieces(runs).set_index("network")
    assert list(table.index) == list(PIECES)
    assert table.loc["all of it", "test accuracy"] == "91.00 ± 1.41 (2)"
    assert table.loc["the first convolution learns", "without it"] == "-3.00"
    assert table.loc["the first convolution learns", "core-seconds an epoch"] == "90.0"
    assert table.loc["SGD, rate 0.1", "without it"] == "-2.00"
    assert table.loc["single precision", "without it"] == "-1.50"
    assert table.loc["no crop", "test accuracy"] == ""


def test_where_sop_gains(runs):
    chosen = when_sop_pays.found(runs)
    assert len(chosen) == 8
    gains = when_sop_pays.gains(chosen).set_index(["setting", "epochs"])["gain"]
    assert gains.to_dict() == {("sym40", 8): -1.0, ("sym40", 16): -0.5, ("sym40", 32): 2.0, ("worst", 16): 3.0}
    table = when_sop_pays.table(chosen)
    assert len(table) == 8
    figure = when_sop_pays.draw(chosen)
    upper, lower = figure.axes[0], figure.axes[2]
    assert [len(line.get_xdata()) for line in upper.lines if line.get_linestyle() == "--"] == [3]
    assert len(lower.lines) == 3 * 2 + 2 * 3  # memorised by both; found and predicted, of SOP's
    assert "8 runs" in figure.get_supxlabel()
    with pytest.raises(InputError, match="no record"):
        when_sop_pays.found(runs[runs["setting"] == "clean"])


def test_the_switch_is_where_the_recursion_puts_it():
    """x <- x (1 + a 4 (1 - x^2)) from 1e-8 until x^2 > 1/2, step by step."""
    x, epochs = 1e-8, 0
    while x * x <= 0.5:
        x *= 1 + 50 / 250 * 4 * (1 - x * x)
        epochs += 1
    assert epochs - 1 < when_sop_pays.switch_on(50.0, 250) <= epochs
    assert 120 < when_sop_pays.switch_on(when_sop_pays.PAPER_RATE, 250) < 130
