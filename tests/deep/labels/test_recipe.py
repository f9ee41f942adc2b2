"""Recipes: what is refused and how, and that a resolved recipe reads back as itself."""

import dataclasses
import math

import pytest

from sparseop.deep.image_prior import recipe as image_recipes
from sparseop.deep.labels import recipe as recipes
from sparseop.deep.labels.recipe import Recipe, parse, text
from sparseop.deep.training.schedule import rates
from sparseop.errors import InputError

SOP = """
title = "a test"
[noise]
kind = "symmetric"
rate = 0.4
[method]
name = "sop"
lr_u = 1
[training]
milestones = [3, 5]
"""


def test_defaults_are_filled_in_and_types_kept():
    recipe = parse(SOP, name="x")
    assert recipe.name == "x"
    assert recipe.method.options["lr_u"] == 1.0
    assert isinstance(recipe.method.options["lr_u"], float)
    assert recipe.method.options["lr_v"] == 10.0
    assert recipe.training.milestones == (3, 5)
    assert recipe.data.name == "digits"
    assert "seed" not in recipe.method.options
    assert "n_samples" not in recipe.method.options


def test_resolved_text_reads_back_as_itself():
    recipe = parse(
        SOP + 'lr = 1e-5\n[source]\nnotes = ["a \\"quoted\\" note", "b\\\\c"]\nvalue = 90.5\nstd = 0.1\n', name="x"
    )
    again = parse(text(recipe), name="other")
    assert again == recipe
    assert text(again) == text(recipe)
    odd = parse(SOP, name="x", overrides=[r'title="\u0000\u007f\r\n\t\u001b\u00e9 "'])
    assert parse(text(odd), name="x").title == odd.title == "\0\x7f\r\n\t\x1b\xe9 "


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_of_the_project_reads(name):
    recipe = recipes.read(name)
    assert recipe.name == name
    assert recipe.title
    assert recipe.source.needs
    assert text(parse(text(recipe), name=name)) == text(recipe)


def test_what_a_change_makes_untrue_is_dropped():
    """Title, cell and published value hold for the recipe as it is written, not for whatever it is turned into."""
    path = "table1_cifar10_sym40_sop"
    whole = recipes.read(path)
    assert whole.source.value > 0
    for harmless in (
        ["seed=3"],
        ["engine.threads=1"],
        ["method.name=sop"],
        [f"training.lr={whole.training.lr}"],
        ["name=x"],
    ):
        changed = recipes.read(path, harmless)
        assert (changed.title, changed.source.value, changed.source.table) == (
            whole.title,
            whole.source.value,
            "table1",
        )
    shorter = recipes.read(path, ["training.epochs=3"])
    assert shorter.title == f"{whole.title} (changed)"
    assert math.isnan(shorter.source.value)
    assert math.isnan(shorter.source.std)
    assert (shorter.source.table, shorter.source.method) == (
        "table1",
        "SOP",
    )  # still of that cell, and says so with its remark
    for changes in (
        ["method.name=ce"],
        ["data.name=digits"],
        ["noise.rate=0.2"],
        ["method.name=ce", "data.name=digits"],
    ):
        other = recipes.read(path, changes)
        assert other.title == f"{other.method.name} on {other.data.name}"
        assert other.source == recipes.Source()
    said = recipes.read(path, ["method.name=ce", 'title="mine"', "source.value=1.5"])
    assert (said.title, said.source.value) == ("mine", 1.5)


def test_a_value_that_toml_takes_for_a_number_is_a_name_where_a_name_is_wanted():
    assert image_recipes.read("image-recovery", ["image=456"]).image == "456"
    assert image_recipes.read("image-recovery", ["image=2026-01-01"]).image == "2026-01-01"
    assert recipes.parse("", name="x", overrides=["noise.path=007", "name=12"]).noise.path == "007"
    assert recipes.parse(SOP, name="x", overrides=["method.lr_u=3"]).method.options["lr_u"] == 3.0
    with pytest.raises(InputError, match=r"training.epochs must be a whole number, got 1\.5"):
        parse("", name="x", overrides=["training.epochs=1.5"])


@pytest.mark.parametrize(
    ("change", "meant"),
    [("epochs=1", "training.epochs"), ("lr=1", "training.lr"), ("rate=0.4", "noise.rate"), ("lr_u=1", "method.lr_u")],
)
def test_a_key_without_its_table_is_found(change, meant):
    with pytest.raises(InputError, match=f"unknown key '{change.partition('=')[0]}' .*did you mean '{meant}'"):
        parse(SOP, name="x", overrides=[change])


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("sop-digit", "digits_sym40_sop"),
        ("digits_sob", "digits_sym40_sop"),
        ("Table1 CIFAR10 sym40 SOP", "table1_cifar10_sym40_sop"),
        ("image recovery", "image-recovery"),
    ],
)
def test_an_unknown_recipe_is_answered_with_the_few_that_share_its_words(name, meant):
    with pytest.raises(InputError, match=f"unknown recipe: '{name}'; did you mean .*'{meant}'") as caught:
        recipes.find(name)
    assert str(caught.value).count(" or ") <= 3
    with pytest.raises(InputError, match="unknown recipe: 'qqq'; --list shows"):
        recipes.find("qqq")


def test_overrides():
    recipe = parse(
        SOP,
        name="x",
        overrides=["training.epochs=7", "method.lr_v=auto", "seed=3", "training.lr=1", "training.milestones=[1]"],
    )
    assert recipe.training.epochs == 7
    assert recipe.method.options["lr_v"] == "auto"
    assert recipe.seed == 3
    assert recipe.training.lr == 1.0
    assert recipe.training.milestones == (1,)


def test_another_method_drops_the_options_of_the_first():
    recipe = parse(SOP, name="x", overrides=["method.name=elr", "method.beta=0.9"])
    assert dict(recipe.method.options) == {"lam": 3.0, "beta": 0.9}
    assert parse(SOP, name="x", overrides=["method.name=sop"]).method.options["lr_u"] == 1.0  # the same one keeps them


@pytest.mark.parametrize(
    ("added", "overrides", "message"),
    [
        ("lerning_rate = 3\n", [], r"unknown key in \[training\] in the recipe: 'lerning_rate'"),
        ("momentun = 0.9\n", [], "did you mean 'momentum'"),
        ("", ["method.lr_w=1"], r"unknown key in \[method\] for method.name = 'sop'.*did you mean 'lr_v' or 'lr_u'"),
        ("", ["metod.name=ce"], "unknown key in the recipe: 'metod'; did you mean 'method'"),
        ("", ["method.name=sopp"], "method.name must be one of .* Did you mean 'sop'"),
        ("", ["data.name=cifar11"], "Did you mean 'cifar1"),
        ("", ["data.labels=worst"], "unknown key 'labels' in .* it takes none"),
        ("", ["network.width=wide"], "network.width must be a whole number, got 'wide'"),
        ("", ["training.epochs=1.5"], "training.epochs must be a whole number, got 1.5"),
        ("", ["training.epochs=true"], "training.epochs must be a whole number, got True"),
        ("", ["training.epochs=0"], "training.epochs must be >= 1"),
        ("", ["training.lr=-1"], "training.lr must be a finite number > 0"),
        ("", ["training.lr=nan"], "training.lr must be a finite number > 0"),
        ("", ["training.nesterov=1"], "training.nesterov must be true or false"),
        ("", ["training.schedule=cosin"], "Did you mean 'cosine'"),
        ("", ["training.milestones=5"], "training.milestones must be a list"),
        ("", ["training.milestones=[5, 3]"], "training.milestones must increase"),
        ("", ["training.augment=week"], "Did you mean 'weak'"),
        ("", ["noise.kind=symetric"], "Did you mean 'symmetric'"),
        ("", ["noise.rate=40"], r"noise.rate must lie in \[0, 1\]"),
        ("", ["method.lr_u=[1]"], r"method.lr_u must be a number or a string, got \[1\]"),
        ("", ["method=sop"], "method in the recipe must be a table"),
        ("", ["training.epochs"], "--set takes table.key=value"),
        ("", ["a.b.c=1"], "--set takes table.key=value"),
        ("", ["title.x=1"], "title is not a table"),
        ("", ["seed=-1"], "seed must be >= 0"),
        ("", [f"seed={2**63}"], "seed in the recipe must be at most 9223372036854775807 in size"),
        ("", [f"training.lr={10**400}"], "training.lr must be at most 9223372036854775807 in size, got 1000"),
        ("", ["engine.threads=10000000"], "engine.threads must be >= 0 and <= 4096"),
        (
            "",
            ["training.lr=1e-300"],
            "training.lr must be 0, or from 1e-37 to 1e\\+37 in size, as single precision holds it, got 1e-300",
        ),
        ("", ["method.lr_u=1e300"], "method.lr_u must be 0, or from 1e-37"),
        ("", ["training.milestones=[0, 2]"], "training.milestones must be >= 1, got 0"),
        ("", ["training.lr=" + "9" * 5000], "--set training.lr cannot be read: Exceeds the limit"),
        ("", ["training.milestones=" + "[" * 5000], "--set training.milestones cannot be read: maximum recursion"),
        ("x = " + "9" * 5000 + "\n", [], "the recipe cannot be read: Exceeds the limit"),
        ("", ["training.epochs=3\nx=4"], "training.epochs must be a whole number"),
        ("", ["title=\udcff"], "title in the recipe must be text"),
        ("", ["name=../x"], "name in the recipe must do as the name of a folder"),
        ("", ["name=''"], "name in the recipe must do as the name of a folder"),
        ("", ["name=" + "x" * 101], "of at most 100 characters"),
        ("nonsense\n", [], "the recipe is not TOML"),
    ],
)
def test_refusals(added, overrides, message):
    with pytest.raises(InputError, match=message):
        parse(SOP + added, name="x", overrides=overrides)


def test_unknown_recipe_and_file(tmp_path):
    with pytest.raises(InputError, match="unknown recipe: 'digits_sym40_so'; did you mean 'digits_sym40_sop'"):
        recipes.find("digits_sym40_so")
    with pytest.raises(InputError, match=r"the recipe '.*nothing.toml' is not there"):
        recipes.find(str(tmp_path / "nothing.toml"))
    (tmp_path / "bin.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not a text file"):
        recipes.read(tmp_path / "bin.toml")


def test_step_schedule_is_the_papers():
    """120 epochs, 0.02 divided by 10 after the 40th and the 80th."""
    values = rates(Recipe("x").training)
    assert values[0] == values[39] == 0.02
    assert values[40] == values[79] == pytest.approx(0.002)
    assert values[80] == values[119] == pytest.approx(0.0002)


def test_cosine_schedule_is_torchs():
    import torch

    training = dataclasses.replace(Recipe("x").training, epochs=30, schedule="cosine", lr=0.1, eta_min=2e-4)
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=30, eta_min=2e-4)
    for value in rates(training):
        assert value == pytest.approx(optimiser.param_groups[0]["lr"])
        optimiser.step()
        reference.step()


def test_constant_schedule():
    assert set(rates(dataclasses.replace(Recipe("x").training, schedule="constant"))) == {0.02}
