"""The recipes that ship: one for each cell that can be trained here, each able to take a step."""

import pytest
import torch

from deep.published import SECOND_TESTS, recipe_name, values
from sparseop.deep.datasets import Dataset
from sparseop.deep.labels import recipe as recipes
from sparseop.deep.labels import run as engine
from sparseop.deep.labels.noise import corrupt
from sparseop.deep.training.samples import Samples

NAMES = [name for name in recipes.names() if name.startswith(("table", "fig1", "fast"))]


def test_every_cell_that_can_be_trained_has_its_recipe():
    expected = set()
    for table in ("table1", "table2", "table3", "table4"):
        for cell in values(table).itertuples():
            if cell.dataset not in SECOND_TESTS:
                expected.add(recipe_name(table, cell.dataset, cell.setting, cell.method))
    assert len(expected) == 144
    assert {name for name in NAMES if name.startswith("table")} == expected


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_says_what_it_reproduces(name):
    source = recipes.read(name).source
    table = source.table or "fast"
    dataset = source.dataset.removesuffix("N") if table == "fast" else source.dataset
    assert recipe_name(table, dataset, source.setting, source.method) == name
    assert source.value > 0 or source.table in ("fig1", "")
    assert source.notes or not source.table


def test_the_fast_recipes_train_alike():
    read = [recipes.read(name) for name in NAMES if name.startswith("fast")]
    assert len(read) == 8 * 9 + 3 + 6  # and SOP by rows with three kinds of noise, six methods with sym50
    assert {recipe.training for recipe in read} == {read[0].training}
    assert {recipe.network.name for recipe in read} == {"fastnet"}
    assert {recipe.evaluation.mirror for recipe in read} == {True}
    published = {recipe.name: recipe.source.value for recipe in read}
    assert published["fast_cifar10_sym40_sop"] == 90.09
    assert published["fast_cifar10_worst_ce"] == 77.69


def tiny(recipe):
    """Return samples of the recipe's shape and classes: enough for two batches of four."""
    k = {"cifar10": 10, "cifar10n": 10, "clothing1m": 14, "webvision": 50}.get(recipe.data.name, 100)
    side = 256 if recipe.training.crop else 32
    generator = torch.Generator().manual_seed(0)
    n = 8
    labels = torch.arange(n) * 7 % k
    images = torch.randint(256, (n, 3, side, side), generator=generator, dtype=torch.uint8)
    dataset = Dataset(
        name=recipe.data.name,
        train_images=images,
        train_labels=labels,
        test_images=images[:2],
        test_labels=labels[:2],
        classes=tuple(map(str, range(k))),
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
    )
    noisy = corrupt(labels, k, "none" if recipe.noise.kind == "given" else recipe.noise.kind, recipe.noise.rate)
    return Samples(dataset, noisy, torch.arange(n), torch.arange(0))


def step(name, tmp_path, monkeypatch, **network):
    method = recipes.read(name).method.name
    # long warm-ups are cut to one epoch, so that the second takes the method's own steps
    changes = {
        "forward": ["method.warmup=1", "training.epochs=2", "training.lr=1e-3"],
        "dividemix": ["method.warmup=1", "training.epochs=2"],
        "cores2": ["method.warmup=1", "method.start=0", "method.ramp=1", "training.epochs=2"],
    }.get(method, ["training.epochs=1"])
    recipe = recipes.read(
        name,
        [
            "training.batch_size=4",
            "training.milestones=[]",
            "engine.test_batch=2",
            *changes,
            *(f"network.{key}={value}" for key, value in network.items()),
        ],
    )
    monkeypatch.setattr(engine._Run, "prepare", lambda *_, **__: tiny(recipe))
    summary = engine.train(recipe, tmp_path / "run", device="cpu")
    assert summary["epochs"] == recipe.training.epochs
    assert (tmp_path / "run" / "metrics.csv").exists()


SMALL = [name for name in NAMES if not name.startswith(("table3", "fast"))]


def sort(name):
    """What of a recipe decides how a step is computed.

    Cells that differ in labels, rate and published value alone share it.
    """
    recipe = recipes.read(name)
    options = {k: v for k, v in recipe.method.options.items() if k != "forget_rate"}
    return repr(
        (
            recipe.data.name.replace("n", ""),
            recipe.noise.kind,
            recipe.network,
            recipe.method.name,
            options,
            recipe.training,
        )
    )


DISTINCT = sorted({sort(name): name for name in SMALL}.values())


@pytest.mark.parametrize("name", DISTINCT)
def test_a_recipe_takes_real_steps_with_a_narrow_network(name, tmp_path, monkeypatch):
    step(name, tmp_path, monkeypatch, width=4)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_recipe_takes_real_steps_with_its_own_network(name, tmp_path, monkeypatch):
    step(name, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("table3")])
def test_the_large_recipes_take_a_step_where_their_packages_are(name, tmp_path, monkeypatch, large_packages):
    recipe = recipes.read(name)
    if len(large_packages) < 2:
        pytest.skip("torchvision or timm is not installed")
    step(name, tmp_path, monkeypatch, **({"pretrained": "false"} if "pretrained" in recipe.network.options else {}))
