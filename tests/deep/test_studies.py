"""The tables and figures: from hand-made records, and one real run of a cell."""

import json
from dataclasses import replace

import pandas as pd
import pytest
from matplotlib.figure import Figure

from deep import cifar10_convnet, digits, fig1, published, sensitivity, table1, table5, tableA1
from sparseop.deep.labels import recipe as recipes
from sparseop.errors import InputError


def record(folder, recipe, last, best, **summary):
    run = folder / f"{recipe.name}-seed{recipe.seed}"
    run.mkdir(parents=True)
    (run / "recipe.toml").write_text(recipes.text(recipe))
    (run / "run.json").write_text(
        json.dumps(
            {
                "hardware": {"device": "cpu", "processor": "abacus"},
                "threads": 1,
                "noise_rate": 0.4,
                "notes": ["rebuilt files"],
            }
        )
    )
    (run / "summary.json").write_text(
        json.dumps(
            {
                "final": {"test": last, "test_ilsvrc12": last - 10},
                "best": {"test": best, "test_ilsvrc12": best - 10, "epoch": 3},
                **summary,
            }
        )
    )
    (run / "metrics.csv").write_text("epoch,train_given,test\n1,30,40\n2,60,70\n")
    return run


def own(name, *changes):
    return recipes.read(name, changes)


def test_published_numbers():
    """Counts and corners of the printed tables."""
    table = published.values("table1")
    assert len(table) == 48
    assert len(published.values("table2")) == 38
    assert len(published.values("table3")) == 14
    assert len(published.values("table4")) == 48
    cell = table[(table["dataset"] == "CIFAR-10") & (table["setting"] == "sym40") & (table["method"] == "SOP")].iloc[0]
    assert (cell["value"], cell["std"]) == (90.09, 0.27)


def test_a_table_beside_the_records(tmp_path):
    name = "table1_cifar10_sym40_sop"
    for seed, last in ((0, 90.0), (1, 91.0)):
        record(tmp_path, own(name, f"seed={seed}"), last, last + 1)
    table = published.beside("table1", tmp_path).set_index(["data set", "setting", "method"])
    row = table.loc["CIFAR-10", "sym40", "SOP"]
    assert row["published"] == "90.09 ± 0.27"
    assert row["last epoch"] == "90.50 ± 0.71 (2)"
    assert row["best epoch"] == "91.50 ± 0.71 (2)"
    assert row["difference"] == "+0.41"
    assert "drawn anew from all classes" in row["remarks"]
    assert table.loc["CIFAR-10", "sym40", "CE"]["remarks"] == "not run yet; recipe: table1_cifar10_sym40_ce"
    rest = published.beside("table2", tmp_path)
    assert set(rest["remarks"].str.split(";").str[0]) == {"not run yet"}


def test_a_run_that_differs_from_the_recipe_says_in_what(tmp_path):
    record(tmp_path, own("table1_cifar10_sym40_ce", "training.epochs=20", "network.name=resnet18"), 80, 81)
    table = published.beside("table1", tmp_path)
    remarks = table[(table["setting"] == "sym40") & (table["method"] == "CE") & (table["data set"] == "CIFAR-10")][
        "remarks"
    ].iloc[0]
    assert "network.name = resnet18 (recipe: resnet34)" in remarks
    assert "training.epochs = 20 (recipe: 120)" in remarks


def test_runs_with_other_settings_are_not_averaged(tmp_path):
    for seed, decay, last in ((0, 1e-3, 60.0), (1, 1e-3, 62.0), (0, 5e-4, 50.0)):
        record(
            tmp_path / str(decay),
            own("table4_cifar100n_noisy_sopplus", f"seed={seed}", f"training.weight_decay={decay}"),
            last,
            last,
        )
    table = published.beside("table4", tmp_path)
    mine = table[(table["setting"] == "noisy") & (table["method"] == "SOP+")]
    assert mine["last epoch"].tolist() == ["61.00 ± 1.41 (2)", "50.00 (1)"]
    assert "training.weight_decay = 0.0005 (recipe: 0.001)" in mine["remarks"].iloc[1]


def test_the_second_test_set_is_another_column_of_the_same_run(tmp_path):
    record(tmp_path, own("table3_webvision_web_sop"), 76, 77)
    table = published.beside("table3", tmp_path).set_index(["data set", "method"])
    assert table.loc["WebVision", "SOP"]["last epoch"] == "76.00 (1)"
    assert table.loc["ILSVRC12", "SOP"]["last epoch"] == "66.00 (1)"
    assert table.loc["ILSVRC12", "ELR"]["remarks"] == "not run yet; recipe: table3_webvision_web_elr"


def test_table_a1_shows_what_was_taken_instead():
    table = tableA1.table().set_index("")
    assert table.loc["weight decay", "CIFAR-10, SOP+"] == "0.0005; here 0.001"
    assert table.loc["lr_u, lr_v (asym)", "CIFAR-100, SOP+"] == "1, 100; here 0.1, 100"
    assert table.loc["lr decay", "CIFAR-100, SOP"] == "40, 80; here 80, 120"
    assert table.loc["batch size", "WebVision"] == "32"
    reasons = tableA1.reasons()
    assert len(reasons) == sum("here" in " ".join(row) for row in table.to_numpy())
    assert reasons["reason"].str.len().min() > 20


def test_table5_divides_by_cross_entropy_of_the_same_measurement(tmp_path):
    (tmp_path / "a.json").write_text(
        json.dumps(
            {
                "network": "convnet",
                "batch": 128,
                "seconds_per_batch": {"ce": 0.10, "sop": 0.104, "coteaching+": 0.2},
                "hardware": {"processor": "abacus", "device": "cpu", "cores": 2},
                "threads": 2,
                "load": 3.5,
            }
        )
    )
    table = table5.table(tmp_path).set_index("method")
    assert table.loc["SOP"]["here: ratio to CE"] == "1.04"
    assert table.loc["SOP"]["here: ms per batch"] == "104"
    assert table.loc["SOP"]["where"] == "convnet, abacus, 2 thread(s), on a busy machine (load 3.5)"
    assert table.loc["Co-teaching+"]["here: ratio to CE"] == "2.00"
    assert table.loc["SOP+"]["where"] == "not measured yet"
    assert table.loc["DivideMix"]["where"] == "not measured yet"
    assert table.loc["SOP+"]["published ratio to CE"] == pytest.approx(2.33)


def test_the_convnet_table(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10_convnet, "records", list)
    with pytest.raises(InputError, match="no record of a cifar10_convnet run"):
        cifar10_convnet.table()
    for method, last in (("ce", 55.3), ("sop", 70.0)):
        record(
            tmp_path,
            own(f"cifar10_convnet_sym40_{method}"),
            last,
            last,
            train_given=60.0,
            memorised=20.0,
            detection={"auroc": 0.9},
        )
    found = published.records(tmp_path)
    monkeypatch.setattr(cifar10_convnet, "records", lambda: found)
    table = cifar10_convnet.table()
    assert table["method"].tolist() == ["CE", "SOP"]
    assert table["test, last epoch"].tolist() == ["55.3 (1)", "70.0 (1)"]
    assert table["wrong labels found: AUROC"].tolist() == ["0.900 (1)", "0.900 (1)"]


def test_table1_of_the_digits():
    rows = [
        {"method": m, "rate": r, "seed": s, "last": 90 + s, "best": 95 + s, "memorised": 5.0, "auroc": 0.9}
        for m in ("CE", "SOP")
        for r in (0.2, 0.8)
        for s in (0, 1)
    ]
    table = table1.table_digits(pd.DataFrame(rows))
    assert table["method"].tolist() == ["CE", "SOP"]
    assert table["20% last"].tolist() == ["90.5 ± 0.7 (2)"] * 2
    assert "40% last" not in table
    assert table["AUROC at 80%"].tolist() == ["0.900 ± 0.000 (2)"] * 2


def test_figure_1(tmp_path, monkeypatch):
    rows = [
        {"method": m, "rate": r, "seed": s, "epoch": e, "train": 50 + e, "test": 60 + e + s}
        for m in ("CE", "SOP")
        for r in (0.0, 0.4)
        for s in (0, 1)
        for e in (1, 2, 3)
    ]
    monkeypatch.setattr(fig1.published, "records", list)
    table = pd.DataFrame(rows)
    drawn = fig1.draw(table)
    assert list(drawn) == ["digits"]
    train, test = drawn["digits"].axes
    assert [line.get_linestyle() for line in test.lines] == ["--", "-", "--", "-"]
    assert test.lines[0].get_ydata().tolist() == [61.5, 62.5, 63.5]
    assert train.get_xlabel() == test.get_xlabel() == "epoch"
    assert fig1.tables(table)["digits"]["test accuracy"].tolist() == ["63.5 ± 0.7 (2)"] * 4
    monkeypatch.undo()
    for method in ("ce", "sop"):
        record(tmp_path, own(f"cifar10_convnet_sym40_{method}"), 60, 61)
    found = published.records(tmp_path)
    monkeypatch.setattr(fig1.published, "records", lambda: found)
    cifar = fig1.draw(table)["cifar10"]
    assert cifar.axes[1].lines[0].get_ydata().tolist() == [40, 70]
    assert "small ConvNet" in cifar.get_suptitle()


def test_sensitivity_figure():
    table = pd.DataFrame(
        [
            {"lambda_C": c, "lambda_B": b, "seed": 0, "last": 90 + c + b, "best": 99.0}
            for c in (0.0, 0.9)
            for b in (0.0, 0.1)
        ]
    )
    assert isinstance(sensitivity.draw(table), Figure)
    assert sensitivity.tables(table)[""]["last"].tolist() == ["90.0 (1)", "90.1 (1)", "90.9 (1)", "91.0 (1)"]


@pytest.mark.filterwarnings("ignore:[uv]_on = ")  # two epochs
@pytest.mark.parametrize("method", digits.METHODS)
def test_a_digits_run_of_each_method(method):
    changes = ["method.warmup=1"] if method == "Forward" else []
    summary, metrics = digits.train(method, "symmetric", 0.4, 0, "training.epochs=2", *changes)
    assert metrics["epoch"].tolist() == [1, 2]
    assert 0 <= summary["final"]["test"] <= 100
    assert summary["corrupted"] == round(0.4 * 1347)


def test_recipe_names_are_those_of_files():
    recipe = replace(own("table2_cifar10_sym50_sopplus"), name="x")
    assert published.recipe_name("table2", recipe.source.dataset, "sym50", "SOP+") == "table2_cifar10_sym50_sopplus"
    assert published.recipe_of("table2", "CIFAR-10", "sym50", "UNICON") is None
