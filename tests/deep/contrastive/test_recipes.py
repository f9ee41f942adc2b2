"""The contrastive recipes that ship: each able to take a real step, and what is refused."""

import pytest
import torch

from deep.published import values
from sparseop.deep.contrastive import recipe as recipes
from sparseop.deep.contrastive import run as engine
from sparseop.deep.datasets import Dataset
from sparseop.deep.training.samples import Samples, describe
from sparseop.errors import InputError

NAMES = [name for name in recipes.names() if name.startswith(("sane_", "demo_"))]


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_reads_and_its_resolved_text_reads_back(name):
    recipe = recipes.read(name)
    assert recipe.name == name
    assert recipe.title
    assert recipe.source.needs
    assert recipes.text(recipes.parse(recipes.text(recipe), name=name)) == recipes.text(recipe)


def test_every_row_of_the_papers_own_methods_has_its_recipe_and_number():
    """Of tables 1, 2, 4, 5 and 6: the rows of SANE, of its parts, and of MoCo v2."""
    sources = {name: recipes.read(name).source for name in NAMES}
    have = {(s.table, s.dataset, s.setting.removeprefix("knn_head "), s.method): s.value for s in sources.values()}
    for table in (1, 2, 4, 5, 6):
        for cell in values(f"sane_table{table}").itertuples():
            ours = cell.method.startswith(("SANE", "MoCo v2", "MoCo+")) or table in (4, 5)
            if ours and cell.setting != "knn":
                assert have[(f"sane_table{table}", cell.dataset, cell.setting, cell.method)] == cell.value
    assert sources["sane_table4_cifar10_p_q_mm"].value == 95.9
    assert sources["demo_cifar10_moco_200"].value == 82.6


def tiny(recipe):
    """Return samples of the recipe's shape: enough for one batch."""
    side, n = 32 if recipe.data.name == "cifar10" else 256, recipe.training.batch_size
    labels = torch.arange(n) % 10
    images = torch.randint(256, (n, 3, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    dataset = Dataset(
        recipe.data.name, images, labels, images[:4], labels[:4], tuple(map(str, range(10))), (0.5,) * 3, (0.25,) * 3
    )
    return Samples(dataset, describe(labels, labels, 10), torch.arange(n), torch.arange(0))


def sort(name):
    """What of a recipe decides how a step is computed."""
    recipe = recipes.read(name)
    options = {
        key: value
        for key, value in recipe.method.options.items()
        if key not in ("lam", "momentum") or value in (0.0, 1.0)
    }
    return repr((recipe.data.name, recipe.network, recipe.head, recipe.views, recipe.method.name, options))


def step(name, tmp_path, monkeypatch, *changes):
    recipe = recipes.read(
        name,
        [
            "training.epochs=1",
            "training.batch_size=16",
            "method.queue=32",
            "engine.test_batch=16",
            "evaluation.neighbours=[3]",
            "evaluation.temperatures=[0.1]",
            "evaluation.probe_epochs=1",
            "engine.precision=float32",
            *changes,
        ],
    )
    monkeypatch.setattr(engine._Run, "prepare", lambda *_, **__: tiny(recipe))
    summary = engine.train(recipe, tmp_path / "run", device="cpu")
    before = recipes.read(tmp_path / "run" / "recipe.toml")
    assert summary["epochs"] == 1
    assert summary["labels"]["own_mass"] > 0
    assert before.method.name == recipe.method.name


DISTINCT = sorted({sort(name): name for name in NAMES}.values())


@pytest.mark.parametrize("name", [name for name in DISTINCT if "imagenet" not in name])
def test_a_recipe_takes_a_real_step_with_a_narrow_network(name, tmp_path, monkeypatch):
    torch.set_num_threads(1)
    step(name, tmp_path, monkeypatch, "network.width=4", "head.hidden=16")


@pytest.mark.parametrize("name", [name for name in DISTINCT if "imagenet" in name])
def test_a_large_recipe_takes_a_real_step_with_a_narrow_network_and_small_views(name, tmp_path, monkeypatch):
    torch.set_num_threads(1)
    sizes = recipes.read(name).method.options.get("mix_sizes", ())
    small = [f"method.mix_sizes={[side // 3 for side in sizes]}"] if sizes else []
    step(name, tmp_path, monkeypatch, "network.width=4", "head.hidden=16", "views.size=75", "training.splits=2", *small)


@pytest.mark.slow
@pytest.mark.parametrize("name", DISTINCT)
def test_a_recipe_takes_a_real_step_with_its_own_network(name, tmp_path, monkeypatch):
    # 16 images of 224 x 224 through ResNet-50 take 8 GiB: four in two groups are a step as well
    step(
        name,
        tmp_path,
        monkeypatch,
        *(("training.batch_size=4", "training.splits=2", "method.queue=8") if "imagenet" in name else ()),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[views]\nsize = 16\n[method]\nname = "sane"\nmu = 1\n', "unknown key in [method] for method.name = 'sane'"),
        ('[views]\nsize = 16\n[method]\nname = "simclr"\n', "method.name must be one of 'moco', 'sane', got 'simclr'"),
        ("[views]\nsize = 16\nmean = 1\n", "unknown key in [views]"),
        ('[views]\nname = "strong"\n', "[views] for views.name = 'strong' in the recipe needs size"),
        (
            "[training]\nepochs = 100_000_000_000\n[views]\nsize = 16\n",
            "training.epochs must be >= 1 and <= 10000000, got 100000000000",
        ),
        ("[head]\nwide = 3\n", "unknown key in [head]"),
        ("[views]\nsize = 16\n[training]\nsplits = 0\n", "training.splits must be >= 1, got 0"),
        (
            '[views]\nsize = 16\n[evaluation]\nprobe = "svm"\n',
            "evaluation.probe must be one of 'ridge', 'adam', 'sgd', 'none', got 'svm'",
        ),
        ("[noise]\nrate = 0.4\n", "unknown key in the recipe: 'noise'"),
    ],
)
def test_what_is_refused(text, message):
    with pytest.raises(InputError) as refused:
        recipes.parse(text, name="x")
    assert message in str(refused.value)
