"""The committed recipes: one for each cell that can be trained here, as the script writes them, each able to take a step."""

import pytest
import torch

from deep import make_recipes
from deep.published import PUBLISHED_ONLY, SECOND_TESTS, recipe_name, values
from sparseop.deep.datasets import Dataset
from sparseop.deep.labels import recipe as recipes
from sparseop.deep.labels import run as engine
from sparseop.deep.labels.noise import corrupt
from sparseop.deep.training.samples import Samples

MADE = {name: header + body for name, header, body in make_recipes.cells()}


def test_every_cell_that_can_be_trained_has_its_recipe():
    expected = set()
    for table in ("table1", "table2", "table3", "table4"):
        for cell in values(table).itertuples():
            if cell.method not in PUBLISHED_ONLY and cell.dataset not in SECOND_TESTS:
                expected.add(recipe_name(table, cell.dataset, cell.setting, cell.method))
    assert len(expected) == 120
    expected |= {f"fig1_cifar10_sym{rate}_{method}" for rate in (0, 20, 40) for method in ("ce", "sop")}
    assert set(MADE) == expected


def test_the_committed_files_are_what_the_script_writes():
    committed = {p.stem: p.read_text() for p in recipes.RECIPES.glob("*.toml") if p.stem.startswith(("table", "fig1"))}
    assert committed.keys() == MADE.keys()
    assert [name for name in MADE if MADE[name] != committed[name]] == []


@pytest.mark.parametrize("name", sorted(MADE))
def test_a_recipe_reads_and_says_what_it_reproduces(name):
    recipe = recipes.read(recipes.find(name))
    source = recipe.source
    assert recipe_name(source.table, source.dataset, source.setting, source.method) == name
    assert source.value > 0 or source.table == "fig1"
    assert source.needs
    assert source.notes
    assert MADE[name].startswith(f"# python -m sparseop.deep.train {name} ")


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
    method = recipes.read(recipes.find(name)).method.name
    # long warm-ups are cut to one epoch, so that the second takes the method's own steps
    changes = {
        "forward": ["method.warmup=1", "training.epochs=2", "training.lr=1e-3"],
        "cores2": ["method.warmup=1", "method.start=0", "method.ramp=1", "training.epochs=2"],
    }.get(method, ["training.epochs=1"])
    recipe = recipes.read(
        recipes.find(name),
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


SMALL = sorted(name for name in MADE if not name.startswith("table3"))


def sort(name):
    """What of a recipe decides how a step is computed; cells that differ in labels, rate and published value alone share it."""
    recipe = recipes.read(recipes.find(name))
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
@pytest.mark.parametrize("name", sorted(name for name in MADE if name.startswith("table3")))
def test_the_large_recipes_take_a_step_where_their_packages_are(name, tmp_path, monkeypatch, large_packages):
    recipe = recipes.read(recipes.find(name))
    if len(large_packages) < 2:
        pytest.skip("torchvision or timm is not installed")
    step(name, tmp_path, monkeypatch, **({"pretrained": "false"} if "pretrained" in recipe.network.options else {}))
