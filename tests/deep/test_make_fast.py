"""The recipes of the fast network: the committed files are what the script writes, and train alike."""

from dataclasses import replace

from deep import make_fast
from sparseop.deep.labels import recipe as recipes

MADE = dict(make_fast.cells())


def test_the_committed_files_are_what_the_script_writes():
    committed = {path.stem: path.read_text() for path in recipes.RECIPES.glob("fast_*.toml")}
    assert committed == MADE


def test_all_train_alike():
    read = [recipes.read(recipes.find(name)) for name in MADE]
    assert len(read) == 8 * 7
    assert {replace(recipe.training) for recipe in read} == {read[0].training}
    assert {recipe.network.name for recipe in read} == {"fastnet"}
    assert {recipe.evaluation.mirror for recipe in read} == {True}
    published = {recipe.name: recipe.source.value for recipe in read}
    assert published["fast_cifar10_sym40_sop"] == 90.09
    assert published["fast_cifar10_worst_ce"] == 77.69
