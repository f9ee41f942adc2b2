"""One's own network and data: by dotted path from where the command runs, as objects, and in the open dictionaries."""

import pytest
import torch
from torch import nn

from sparseop.deep import datasets, networks, train
from sparseop.deep.datasets import Dataset
from sparseop.deep.labels import recipe as recipes
from sparseop.deep.labels import run
from sparseop.deep.trained.classifier import load_classifier
from sparseop.errors import InputError
from tests.deep.runs import StopError, assert_same_state, state_of, stop_in

MODULE = """
import torch
from torch import nn
from sparseop.deep.datasets import Dataset

def build(n_classes, in_channels, depth: int = 1):
    hidden = [part for _ in range(depth) for part in (nn.LazyLinear(8), nn.ReLU())] if depth > 1 else []
    return nn.Sequential(nn.Flatten(), nn.Linear(in_channels * 64, 8), nn.ReLU(), nn.Linear(8, n_classes))

def load(root=None, *, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (60,), generator=generator)
    images = torch.randint(60, (60, 1, 8, 8), generator=generator, dtype=torch.uint8)
    images[labels == 1, :, ::2] += 150
    return Dataset("stripes", images[:40], labels[:40], images[40:], labels[40:], ("plain", "striped"), (0.3,), (0.3,))

def wrong(n_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))

def nothing(n_classes):
    return None

value = 3
"""
TINY = ["training.epochs=2", "training.batch_size=10"]


@pytest.fixture(autouse=True)
def _module(tmp_path, monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_parts.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "my_parts", raising=False)


def network(n_classes, channels):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * 64, 8), nn.ReLU(), nn.Linear(8, n_classes))


def stripes():
    import my_parts

    return my_parts.load()


def test_by_dotted_path_from_where_the_command_runs(tmp_path):
    parts = ["network.name=my_parts:build", "network.depth=1", "data.name=my_parts:load", "data.seed=4"]
    assert train.main(["digits_sym40_ce", "--set", *parts, *TINY, "--out", "run"]) == 0
    written = (tmp_path / "run" / "recipe.toml").read_text()
    assert 'name = "my_parts:build"\ndepth = 1' in written
    assert 'name = "my_parts:load"\nseed = 4' in written
    assert train.main(["--resume", "run"]) == 0
    assert load_classifier("run").classes == ("plain", "striped")


def test_as_objects_which_are_given_again_to_go_on(tmp_path):
    recipe = recipes.read("digits_sym40_ce", ["training.epochs=4", "training.batch_size=10"])
    whole = {"dataset": stripes(), "network": network}
    run.train(recipe, "whole", **whole)
    with pytest.raises(StopError):
        run.train(recipe, "stopped", watch=stop_in(2), **whole)
    with pytest.raises(InputError, match="was given its data as an object, which no file holds: give it again"):
        run.resume("stopped")
    with pytest.raises(InputError, match="was given its network as an object"):
        run.resume("stopped", dataset=stripes())
    run.resume("stopped", **whole)
    assert_same_state(state_of(tmp_path / "stopped"), state_of(tmp_path / "whole"))


def test_a_module_is_copied_and_one_alone_does_not_do_for_two_networks():
    given = network(2, 1)
    before = [p.clone() for p in given.parameters()]
    run.train(recipes.read("digits_sym40_ce", TINY), "run", dataset=stripes(), network=given)
    assert all(torch.equal(a, b) for a, b in zip(before, given.parameters(), strict=True))
    with pytest.raises(InputError, match="'coteaching' trains several networks, which must differ: give a function"):
        run.train(
            recipes.read("digits_sym40_ce", [*TINY, "method.name=coteaching"]), "two", dataset=stripes(), network=given
        )


def test_the_dictionaries_are_open(monkeypatch):
    monkeypatch.setitem(networks.NETWORKS, "mine", network)
    monkeypatch.setitem(datasets.DATASETS, "stripes", stripes)
    recipe = recipes.read("digits_sym40_ce", [*TINY, "network.name=mine", "data.name=stripes"])
    assert run.train(recipe, "run")["epochs"] == 2
    assert isinstance(datasets.load("stripes"), Dataset)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("network.name=no_such:build", "there is no module 'no_such', neither in"),
        ("network.name=my_parts:biuld", "'my_parts' has nothing of that name, where a function is wanted"),
        ("network.name=my_parts:value", "'my_parts' has a int, where a function is wanted"),
        ("network.name=:build", "must be MODULE:FUNCTION, got ':build'"),
        ("network.name=my_parts:nothing", "must be a torch.nn.Module, got NoneType"),
        ("network.name=my_parts:wrong", r"logits of shape (images, classes) = (2, 10), got (2, 3)"),
        ("data.name=my_parts:build", "needs n_classes"),
        ("network.name=timm", "needs model"),
        ("data.name=object", "was given its data as an object"),
    ],
)
def test_what_is_refused_in_one_sentence(change, message, capsys):
    assert train.main(["digits_sym40_ce", "--set", *TINY, change, "--out", "run"]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_any_network_of_timm_and_torchvision(large_packages):
    images = torch.zeros(2, 3, 32, 32)
    for package, model in (("timm", "resnet18"), ("torchvision", "resnet18"), ("torchvision", "mobilenet_v3_small")):
        if package in large_packages:
            assert networks.build(package, 7, model=model).eval()(images).shape == (2, 7)
            with pytest.raises(InputError, match=r"got 'resnett18'; did you mean .*'resnet18"):
                networks.build(package, 7, model="resnett18")
    if "timm" in large_packages:
        assert networks.build("timm", 7, 1, model="resnet18").eval()(images[:, :1]).shape == (2, 7)
