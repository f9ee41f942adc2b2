"""The command line: what it prints, and one sentence with status 2 for everything a user can get wrong."""

import re

import pytest
import torch

from sparseop import deep
from sparseop.deep import train

pytestmark = pytest.mark.filterwarnings("ignore:[uv]_on = ")  # two epochs, and "auto" rates
TINY = ["--set", "network.width=4", "--set", "training.epochs=2", "--set", "training.batch_size=100"]


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch, tmp_path):
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)


def test_without_arguments_it_compares_cross_entropy_with_sop(capsys, tmp_path):
    assert train.main(TINY) == 0
    out, err = capsys.readouterr()
    assert re.search(r"^\s+CE\s+SOP$", out, re.MULTILINE)
    for line in (
        "test accuracy, last epoch",
        "test accuracy, best epoch",
        "wrong labels memorised",
        "wrong labels found: recall",
    ):
        assert line in out
    assert "epoch 2/2" in err
    assert sorted(path.parent.name for path in (tmp_path / "runs").glob("*/*")) == [
        "digits_sym40_ce",
        "digits_sym40_sop",
    ]


def test_list(capsys):
    assert train.main(["--list"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["recipe", "reproduces", "published", "needs"]
    assert "digits_sym40_sop" in out


def test_resume(capsys, tmp_path):
    assert train.main(["digits_sym40_sop", *TINY, "--seed", "3", "--out", "run"]) == 0
    assert "seed = 3" in (tmp_path / "run" / "recipe.toml").read_text()
    assert train.main(["--resume", "run"]) == 0  # finished: says again how it ended
    first, second = capsys.readouterr().out.strip().split("\n\n")
    assert [line for line in first.splitlines() if "accuracy" in line] == [
        line for line in second.splitlines() if "accuracy" in line
    ]


def test_a_run_and_a_comparison_do_not_share_a_folder(tmp_path, capsys):
    held = tmp_path / "run" / "recipe.toml"
    held.parent.mkdir()
    for task, recipe in (("labels", "sane"), ("sane", "digits_sym40_ce"), ("sane", "sane")):
        held.write_text(f'task = "{task}"')
        assert train.main([recipe, "--out", "run"]) == 2
        assert "'run' holds a run that has no checkpoint yet" in capsys.readouterr().err
        assert held.read_text() == f'task = "{task}"'
        assert [path.name for path in held.parent.iterdir()] == ["recipe.toml"]


def test_a_recipe_by_path(tmp_path, capsys):
    (tmp_path / "mine.toml").write_text('title = "mine"\n[method]\nname = "gce"\n')
    assert train.main(["mine.toml", *TINY, "--out", "run"]) == 0
    assert "GCE" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digits_sym40_sob"], "unknown recipe: 'digits_sym40_sob'; did you mean 'digits_sym40_sop'"),
        (["nowhere/x.toml"], "the recipe 'nowhere/x.toml' is not there"),
        (["digits_sym40_ce", "--set", "training.epoch=3"], "unknown key in [training]"),
        (["digits_sym40_ce", "--set", "epochs"], "--set takes table.key=value"),
        (["digits_sym40_ce", "--set", "data.name=cifar10", "--data-root", "nowhere"], "nowhere"),
        (["digits_sym40_ce", "--seed", "-1"], "--seed must be >= 0"),
        (["digits_sym40_ce", "--device", "cuda:99"], "device 'cuda:99' cannot be used"),
        (["digits_sym40_ce", "--device", "meta"], "device 'meta' cannot be used"),
        (["--resume", "nothing"], "there is no run in 'nothing'"),
        (["--resume", "nothing", "--seed", "1"], "--resume takes no --set and no --seed"),
    ],
)
def test_one_sentence_and_status_2(arguments, message, capsys):
    assert train.main(arguments) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert err.startswith("sparseop.deep.train: error: ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "is not TOML"),
        ('task = "sane"\na = 1', "unknown key in"),
        ('task = "sane"\nchanges = [1]', "changes in"),
        ('task = "sane"\nchanges = ["seed"]', "--set takes table.key=value"),
        ('task = "sine"', "got 'sine'. Did you mean 'sane'?"),
    ],
)
def test_a_damaged_comparison(content, message, tmp_path, capsys):
    (tmp_path / "recipe.toml").write_text(content)
    assert train.main(["--resume", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err


def test_the_command_is_a_function_too(tmp_path):
    """What a notebook user types first: a name and a folder, a string each; without a folder the run gets its own."""
    changes = ["network.width=4", "training.epochs=1", "training.batch_size=100"]
    summary = train("digits_sym40_ce", "run", changes)
    assert summary["epochs"] == 1
    assert deep.resume("run")["final"] == summary["final"]
    train("digits_sym40_ce", overrides=changes, dataset=deep.load("digits"))
    assert len(list((tmp_path / "runs").glob("*/*/summary.json"))) == 1
