"""Families of recipes: every name resolves to the text it always did; how cells, notes and numbers come together."""

import json
import math

import pytest

from sparseop.deep import train
from sparseop.deep.contrastive import recipe as contrastive_recipes
from sparseop.deep.labels import recipe as recipes
from sparseop.deep.training import families
from sparseop.errors import InputError
from tests.deep.training import digests

SMALL = """
about = "small"
extends = ["_shared"]
name = "small_{data}_{rate}"
cells = [{ data = ["a", "b"], rate = ["1", "2"] }, { data = ["a"], rate = ["3"] }]
[base]
title = "{source.dataset}, {rate}"
network = { name = "convnet", width = 4 }
source = { table = "table1", setting = "sym{rate}0", method = "CE", notes = ["all"] }
[data.b]
network = { name = "resnet18" }
source = { dataset = "CIFAR-100", notes = ["only b"] }
[[data.b.also]]
when = { rate = ["2"] }
noise = { rate = 0.2 }
[notes]
"only b" = "of b"
"""
SHARED = """
[data.a]
source = { dataset = "CIFAR-10" }
[data.b]
source = { notes = ["shared"] }
[notes]
all = "of all"
shared = "of b, from elsewhere"
"""


def small(tmp_path, monkeypatch, text=SMALL):
    (tmp_path / "small.toml").write_text(text)
    (tmp_path / "_shared.toml").write_text(SHARED)
    families.published()  # of the files that ship
    monkeypatch.setattr(families, "FOLDER", tmp_path)
    return families._read(tmp_path / "small.toml")


def test_every_recipe_is_what_it_was():
    """The 252 single files that these families replaced resolved to these values, and what came since to its first."""
    held, now = json.loads(digests.FILE.read_text()), digests.resolved()
    known = set(held["known"])
    assert held["digests"].keys() == now.keys()
    assert [name for name in now if digests.digest(now[name], known) != held["digests"][name]] == []
    assert known <= {key for values in now.values() for key in values}  # an option that is gone changes recipes too


def test_a_digest_sees_a_changed_default_and_not_a_new_option():
    values = digests.values(recipes.read("digits_sym40_sop"))
    known = set(values)
    assert digests.digest({**values, "method.sop.new": 1}, known) == digests.digest(values, known)
    assert digests.digest({**values, "training.momentum": 0.8}, known) != digests.digest(values, known)


def test_a_family_makes_its_cells(tmp_path, monkeypatch):
    family = small(tmp_path, monkeypatch)
    assert list(family.cells) == ["small_a_1", "small_a_2", "small_b_1", "small_b_2", "small_a_3"]
    a, b = family.tables("small_a_2"), family.tables("small_b_2")
    assert a["title"] == "CIFAR-10, 2"
    assert a["network"] == {"name": "convnet", "width": 4}
    assert (a["source"]["value"], a["source"]["std"]) == (86.32, 0.18)  # SOP's table 1, CIFAR-10, sym20, CE
    assert a["source"]["notes"] == ["of all"]
    assert b["network"] == {"name": "resnet18"}  # another component has other options
    assert b["noise"] == {"rate": 0.2}
    assert "noise" not in family.tables("small_b_1")
    assert b["source"]["notes"] == ["of all", "of b, from elsewhere", "of b"]
    assert "value" not in family.tables("small_a_1")["source"]  # no sym10 was published
    assert family.tables("small_a_2") == a  # nothing leaks from one cell into another


def test_a_table_that_is_no_axis_is_refused(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"small.toml has a table \[colour\], which is no axis of its name"):
        small(tmp_path, monkeypatch, SMALL + "[colour.red]\n")


def test_the_families_that_ship_are_few_and_say_what_they_are():
    found = families.families()
    assert len(found) <= 20
    assert all(family.about for family in found.values())
    names = [name for family in found.values() for name in family.cells]
    assert len(names) == len(set(names)) == len(families.names())


def test_list_groups_and_filters(capsys):
    assert train.main(["--list", "table1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["recipe", "reproduces", "published", "needs"]
    assert families.families()["table1"].about in lines
    assert sum(line.startswith("table1_") for line in lines) == 48
    assert not any(line.startswith(("fast", "digits")) for line in lines)
    row = next(line for line in lines if line.startswith("table1_cifar10_sym40_sop"))
    assert "CIFAR-10 sym40 SOP" in row
    assert "90.09 %" in row
    assert train.main(["--list"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n{name} " in out for name in ("digits_sym40_sop", "sane", "image-recovery", "demo_cifar10_mm_800"))
    assert train.main(["--list", "tabel"]) == 2
    assert "no recipe has that in its name" in capsys.readouterr().err


def test_show_prints_what_a_run_records(capsys):
    for name, module in (("table1_cifar10_sym40_sop", recipes), ("shapes_sane", contrastive_recipes)):
        assert train.main(["--show", name]) == 0
        assert capsys.readouterr().out == module.text(module.read(name))
    assert train.main(["--show", "digits_sym40_ce", "--set", "training.epochs=7"]) == 0
    assert "\nepochs = 7\n" in capsys.readouterr().out
    assert train.main(["--show", "digits"]) == 2
    assert "did you mean 'digits_sym40_" in capsys.readouterr().err


def test_a_recipe_of_ones_own_begins_from_one_that_ships(tmp_path, capsys):
    mine = tmp_path / "mine.toml"
    mine.write_text('extends = "table1_cifar100_sym40_sop"\n[method]\nlr_u = 3.0\n[noise]\nkind = "none"\n')
    recipe, base = recipes.read(mine), recipes.read("table1_cifar100_sym40_sop")
    assert (recipe.name, recipe.training, recipe.network) == ("mine", base.training, base.network)
    assert recipe.method.options == {**base.method.options, "lr_u": 3.0}
    assert recipe.noise.kind == "none"
    assert recipe.title == "from table1_cifar100_sym40_sop"  # which makes none of its claims
    assert math.isnan(recipe.source.value)
    assert (recipe.source.table, recipe.source.needs) == ("", base.source.needs)
    mine.write_text('extends = "shapes_sane"\n[training]\nepochs = 3\n')
    assert contrastive_recipes.read(mine).training.epochs == 3
    assert train.main(["--show", str(mine)]) == 0
    assert 'task = "contrastive"' in capsys.readouterr().out
    mine.write_text('extends = "shapes_sana"\n')
    with pytest.raises(InputError, match=r"extends in .*: unknown recipe: 'shapes_sana'; did you mean 'shapes_sane'"):
        contrastive_recipes.read(mine)
    with pytest.raises(InputError, match="'shapes_sane' is one of 'contrastive', not of 'labels'"):
        recipes.read("shapes_sane")
