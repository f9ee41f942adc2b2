"""The tables of SANE's paper, the study on shapes, the plan and the benchmark: from made records, and one real cell."""

import json
import math

import pandas as pd
import pytest
from matplotlib.figure import Figure

from benchmarks import contrastive as benchmark
from deep import published, runs, sane_cells, sane_regimes, sane_shapes, sane_tables, sane_time
from sparseop.deep.contrastive import recipe as recipes
from sparseop.files import read_csv
from sparseop.provenance import ROOT


def record(folder, name, final, *changes, seed=0):
    run = folder / f"{name}-{len(changes)}-seed{seed}"
    run.mkdir(parents=True)
    (run / "recipe.toml").write_text(recipes.text(recipes.read(name, [f"seed={seed}", *changes])))
    (run / "run.json").write_text("{}")
    (run / "summary.json").write_text(json.dumps({"final": final}))


def test_a_table_beside_the_records(tmp_path):
    for seed, linear in ((0, 93.0), (1, 94.0)):
        record(tmp_path, "sane_table4_cifar10_p_q_mm", {"knn": 90.0, "linear": linear}, seed=seed)
    record(
        tmp_path,
        "sane_table4_cifar10_p_q_mm",
        {"knn": 70.0, "linear": 80.0},
        "network.name=resnet18",
        "training.epochs=50",
    )
    table = sane_tables.beside("sane_table4", tmp_path)
    mine = table[table["method"] == "p+q+MM"]
    assert mine["published"].tolist() == ["95.9", "95.9"]
    assert mine["ours"].tolist() == ["93.5 ± 0.7 (2)", "80.0 (1)"]
    assert mine["difference"].tolist() == ["-2.4", "-15.9"]
    assert mine["remarks"].iloc[0] == ""
    assert "training.epochs = 50 (recipe: 1000)" in mine["remarks"].iloc[1]
    rest = table[table["method"] != "p+q+MM"]
    assert (rest["ours"] == "").all()
    assert rest["remarks"].str.contains("not run: needs CIFAR-10; a GPU").all()
    assert "uniform+MM" in set(rest["method"])  # the control, which the paper does not have


def test_knn_rows_take_the_papers_setting_and_the_demo_the_heads(tmp_path):
    record(tmp_path, "sane_table1_cifar10_sane", {"knn": 91.0, "knn_200": 1.0, "knn_head": 2.0, "linear": 92.0})
    record(tmp_path, "demo_cifar10_moco_200", {"knn": 3.0, "knn_50": 4.0, "knn_head": 82.0, "linear": 5.0})
    table = sane_tables.beside("sane_table1", tmp_path).set_index(["setting", "method"])
    assert table.loc[("knn", "SANE"), "ours"] == "91.0 (1)"
    assert table.loc[("linear", "SANE"), "ours"] == "92.0 (1)"
    assert table.loc[("linear", "SANE (strong)"), "ours"] == ""
    assert table.loc[("linear", "Supervised"), "remarks"].startswith("published only")
    demo = sane_tables.beside("moco_demo", tmp_path).set_index(["setting", "method"])
    assert demo.loc[("knn_head 200ep", "MoCo"), ["ours", "difference"]].tolist() == ["82.0 (1)", "-0.6"]
    assert demo.loc[("knn_head 400ep", "MoCo"), "ours"] == ""


def test_tables_2_and_3_state_their_needs(tmp_path):
    table = sane_tables.beside("sane_table2", tmp_path)
    ours = table[table["method"].str.startswith("SANE")]
    assert len(ours) == 8
    assert ours["remarks"].str.contains("8 GPUs").all()
    transfer = sane_tables.beside("sane_table3", tmp_path)
    assert transfer[transfer["method"].str.startswith("SANE")]["remarks"].str.contains("multi").all()


def test_records_with_labels_and_without_do_not_mix(tmp_path):
    record(tmp_path, "demo_cifar10_moco_200", {"knn_head": 82.0})
    assert published.records(tmp_path) == []
    assert len(published.records(tmp_path, "contrastive")) == 1


def test_published_numbers_agree_where_the_paper_repeats_itself():
    """Table 4's row MM is table 6's momentum mixup with strong views; its last row is table 5's lambda = 0.5."""

    def value(table, method, setting="linear strong"):
        rows = published.values(table)
        return rows[(rows["method"] == method) & (rows["setting"] == setting) & (rows["dataset"] == "CIFAR-10")][
            "value"
        ].item()

    assert value("sane_table4", "MM") == value("sane_table6", "MoCo+momentum mixup") == 94.8
    assert value("sane_table4", "p+q+MM") == value("sane_table5", "lambda=0.5") == 95.9
    # which of the two captions of table 5 is right cannot be told: lambda = 0 is MoCo, but not table 4's
    assert value("sane_table5", "lambda=0") != value("sane_table4", "none")


def test_the_plan():
    plan = runs.plan("contrastive")
    assert [run.recipe for run in plan[:2]] == ["demo_cifar10_moco_200", "demo_cifar10_sane_200"]
    assert len({run.record for run in plan}) == len(plan)
    assert all(run.record.parent.name == "contrastive" for run in plan)
    for run in plan:
        recipes.read(run.recipe, run.changes)
    assert {recipe for recipe in recipes.names() if recipe.startswith("sane_table4")} <= {run.recipe for run in plan}


# ---- the study on shapes ---------------------------------------------------------------------------------------------


def test_every_variant_is_a_recipe_and_the_control_is_there():
    for changes in (*sane_cells.VARIANTS.values(), *sane_cells.ONE_PASS.values()):
        recipes.read("shapes_sane", changes)
    assert set(sane_time.NAMES) - set(sane_cells.ONE_PASS) <= set(sane_shapes.FIRST) <= set(sane_cells.VARIANTS)
    assert set(sane_shapes.FIRST) | set(sane_shapes.REST) == set(sane_cells.VARIANTS)
    (ablation,) = sane_shapes.STUDIES
    trained = {(cell["variant"], cell["seed"]) for cell in ablation.grids["paper"]}
    assert trained >= {(name, seed) for name in sane_shapes.FIRST for seed in (0, 1, 2)}


def test_a_cell_and_what_is_drawn_of_it(monkeypatch):
    read = recipes.read
    small = ["data.train=256", "data.test=60", "network.width=4", "method.queue=128"]
    monkeypatch.setattr(sane_cells.recipes, "read", lambda path, changes: read(path, [*changes, *small]))
    rows = []
    for variant in ("none (MoCo)", "p+q+MM (SANE)", "uniform instead of p+q, MM"):
        rows += [
            {"variant": variant, "epochs": 2, "seed": 0, "every": 1, **row} for row in sane_cells.cell(variant, 2, 0, 1)
        ]
    table = pd.DataFrame(rows)
    assert table.groupby("variant").size().tolist() == [2, 2, 2]
    final = sane_shapes.last_rows(table).set_index("variant")
    assert final.loc["none (MoCo)", "own_mass"] == 1
    control, refined = final.loc["uniform instead of p+q, MM"], final.loc["p+q+MM (SANE)"]
    assert control["own_mass"] < 1
    assert control["tv_used"] == pytest.approx(control["tv_smoothed"])
    assert refined["tv_used"] != refined["tv_smoothed"]
    assert table[table["epoch"] == 1]["linear"].isna().all()
    assert (table["cpu_seconds"] > 0).all()
    shown = sane_shapes.table_of(table).set_index("variant")
    assert shown.loc["none (MoCo)", "kNN minus MoCo"] == ""
    assert shown.loc["p+q+MM (SANE)", "kNN minus MoCo"].count("(") == 1
    assert isinstance(sane_shapes.draw(table), Figure)
    assert isinstance(sane_time.draw(table), Figure)


def test_regimes_differ_in_nothing_but_the_labels():
    for _, changes in sane_regimes.REGIMES.values():
        found = {
            name: recipes.read("shapes_sane", [*changes, *method]) for name, method in sane_regimes.METHODS.items()
        }
        for name, recipe in found.items():
            own = {key: value for key, value in recipe.method.options.items() if key not in ("p", "q", "refinement")}
            assert own == {
                key: value for key, value in found["SANE"].method.options.items() if key not in ("p", "q", "refinement")
            }
            assert (recipe.method.options["refinement"] == "uniform") == (name == "uniform")
            assert recipe.method.options["p"] == recipe.method.options["q"] == (name != "MM")
    rows = [
        {
            "regime": regime,
            "method": method,
            "seed": seed,
            "knn": 50.0 + seed + 2 * (method == "SANE"),
            "linear": 40.0,
            "own_mass": 0.5,
            "same_mass": 0.2,
            "wrong_mass": 0.3,
        }
        for regime in sane_regimes.REGIMES
        for seed in (0, 1)
        for method in sane_regimes.METHODS
    ]
    table = sane_regimes.tables(pd.DataFrame(rows))[""].set_index(["regime", "method"])
    assert table.loc[("24 epochs", "SANE"), "kNN minus uniform"] == "+2.0 (+2.0, +2.0)"
    assert table.loc[("24 epochs", "uniform"), "kNN minus uniform"] == ""
    assert isinstance(sane_regimes.draw(pd.DataFrame(rows)), Figure)


def test_the_benchmark_measures_every_variant(monkeypatch):
    monkeypatch.setattr(benchmark, "BASES", {"cpu": ("shapes_moco", "shapes_sane")})
    # two steps of 64 images leave a query 64 others: a longer queue would hold keys of its own image, and say so
    short = {name: (which, ("method.queue=64",)) for which, name in enumerate(("MoCo", "SANE"))}
    assert {benchmark.VARIANTS[name] for name in short} == {(0, ()), (1, ())}
    monkeypatch.setattr(benchmark, "VARIANTS", short)
    table = benchmark.measure("cpu", 1, 2)
    assert table["variant"].tolist() == ["MoCo", "SANE"]
    assert table["x MoCo"].iloc[0] == 1
    assert table["x MoCo"].iloc[1] > 1
    assert all(math.isfinite(value) for value in table["ms a step"])


def test_what_the_docs_say_is_what_the_committed_records_say():
    """docs/contrastive.md: no gain at equal time, none from labels alone, an L2 error that prefers wrong labels."""
    final = sane_shapes.last_rows(read_csv(ROOT / "figures" / "data" / "sane_shapes.csv"))
    knn = final.pivot_table(index="variant", columns="seed", values="knn")
    mean = final.groupby("variant").mean(numeric_only=True)
    sane, plain = "p+q+MM (SANE)", "none (MoCo)"
    assert (knn.loc["MoCo for SANE's time"] > knn.loc[sane] + 2).all()
    assert 0 < (knn.loc[sane] - knn.loc[plain]).mean() < 3
    assert all((knn.loc[name] - knn.loc[plain]).mean() < 0 for name in ("p", "q", "p+q"))
    assert abs((knn.loc[sane] - knn.loc["uniform instead of p+q, MM"]).mean()) < 2
    assert mean.loc[sane, "l2_smoothed"] < mean.loc[sane, "l2_used"]
    assert mean.loc[sane, "tv_used"] < mean.loc[sane, "tv_smoothed"] < mean.loc[sane, "tv_one_hot"]
    assert mean.loc[sane, "l2_uniform"] < 0.1 < mean.loc[sane, "l2_used"]
