"""Folders of runs: each its own, named when interrupted, branched for more epochs, with the chosen weights."""

import datetime
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sparseop.deep import tasks, train
from sparseop.deep.labels import recipe as recipes
from sparseop.deep.labels import run
from sparseop.deep.training import progress
from sparseop.errors import InputError
from tests.deep.runs import assert_same_state, state_of

pytestmark = pytest.mark.filterwarnings("ignore:[uv]_on = ")  # few epochs, and "auto" rates
TINY = ["network.width=4", "training.epochs=2", "training.batch_size=100"]
COMMAND = ["digits_sym40_sop", "--set", *TINY]


@pytest.fixture(autouse=True)
def _here(monkeypatch, tmp_path):
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)


def tiny(*changes):
    return recipes.read("digits_sym40_sop", [*TINY, *changes])


def test_runs_of_one_second_have_folders_of_their_own(monkeypatch, tmp_path):
    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 2, 3, 4, 5, tzinfo=tz)

    monkeypatch.setattr(tasks.datetime, "datetime", Clock)
    for _ in range(3):
        assert train.main(COMMAND) == 0
    found = sorted(path.name for path in (tmp_path / "runs" / "digits_sym40_sop").iterdir())
    assert found == ["20260102-030405-seed0", "20260102-030405-seed0-2", "20260102-030405-seed0-3"]
    assert all((tmp_path / "runs" / "digits_sym40_sop" / name / "summary.json").is_file() for name in found)


def test_what_is_refused_leaves_no_folder(tmp_path, capsys):
    assert train.main(["digits_sym40_sop", "--set", "data.name=cifar10", "--data-root", "nowhere"]) == 2
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr().err.count("\n") == 1


def test_a_run_says_at_its_start_what_was_changed_and_where_it_goes(capsys, tmp_path):
    assert train.main([*COMMAND, "--out", "here"]) == 0
    first, second, third = capsys.readouterr().err.splitlines()[:3]
    assert (
        first == "SOP, digits, 40 % wrong (changed); changed: network.width=4 training.epochs=2 training.batch_size=100"
    )
    assert second.startswith("  folder: here")
    assert "epoch 1/2, test" in third
    assert "left" in third


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ((0, 1), "no epoch was finished, so there is nothing to go on from: remove 'here' and begin again"),
        ((1, 1), "what was finished is kept; go on by --resume here"),
    ],
)
def test_an_interrupted_run_says_how_it_goes_on(when, said, monkeypatch, capsys):
    watched = progress.watcher

    def interrupting(*arguments):
        watch = watched(*arguments)

        def stop(epoch, step, row):
            watch(epoch, step, row)
            if (epoch, step) == when:
                raise KeyboardInterrupt

        return stop

    monkeypatch.setattr("sparseop.deep.training.epoch_runs.watcher", interrupting)
    assert train.main([*COMMAND, "--out", "here"]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == f"sparseop.deep.train: interrupted: {said}."
    monkeypatch.setattr("sparseop.deep.training.epoch_runs.watcher", watched)
    if when[0]:
        assert train.main(["--resume", "here"]) == 0


def test_an_interruption_before_the_run_begins(monkeypatch, capsys, tmp_path):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("sparseop.deep.labels.run.train", stop)
    assert train.main(COMMAND) == 130
    assert "the run had not begun; give the same command again" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_finished_run_is_branched_to_more_epochs(tmp_path, capsys):
    """With a constant rate the branch is the longer run, to the last bit."""
    still = ["training.schedule=constant", "method.lr_u=1.0", "method.lr_v=1.0"]
    run.train(tiny(*still), "short")
    run.train(tiny(*still, "training.epochs=4"), "long")
    before = (tmp_path / "short" / "last.pt").read_bytes()
    assert train.main(["--branch", "short", "--set", "training.epochs=4", "--out", "branch"]) == 0
    assert_same_state(state_of(tmp_path / "branch"), state_of(tmp_path / "long"))
    assert (tmp_path / "short" / "last.pt").read_bytes() == before
    assert json.loads((tmp_path / "branch" / "run.json").read_text())["branched_from"] == {"run": "short", "epoch": 2}
    assert len((tmp_path / "branch" / "metrics.csv").read_text().splitlines()) == 5
    assert "branch" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([], "training.epochs must be > 2, which the run has already, got 2"),
        (["training.epochs=1"], "training.epochs must be > 2"),
        (["training.epochs=4", "method.name=ce"], "a branch goes on with the same method"),
        (["training.epochs=4", "noise.rate=0.1"], "a branch goes on with the same noise"),
        (["training.epochs=4", "training.validation=10"], "the same training.validation"),
        (["training.epochs=4", "seed=1"], "a branch goes on with the same seed"),
    ],
)
def test_branches_that_would_be_other_runs(changes, message, tmp_path):
    run.train(tiny(), tmp_path / "run")
    with pytest.raises(InputError, match=message):
        run.branch(tmp_path / "run", tmp_path / "new", changes)
    assert not (tmp_path / "new").exists()


def test_resuming_with_changes_names_the_branch(capsys):
    assert train.main(["--resume", "x", "--set", "training.epochs=9"]) == 2
    assert "for more epochs give --branch RUN --set training.epochs=N" in capsys.readouterr().err


def test_the_chosen_epoch_keeps_its_weights(tmp_path):
    recipe = tiny("training.epochs=6", "training.validation=200", "training.lr=0.3")
    summary = run.train(recipe, tmp_path / "run")
    chosen = torch.load(tmp_path / "run" / "chosen.pt", weights_only=True)
    epoch = summary["chosen_by_validation"]["epoch"]
    assert chosen["epoch"] == epoch
    assert "optimiser" not in chosen
    accuracy = _test_accuracy(chosen, recipe)
    assert accuracy == pytest.approx(summary["chosen_by_validation"]["test"], abs=1e-6)


def _test_accuracy(state, recipe):
    """Return the test accuracy in percent of the weights of a checkpoint."""
    from sparseop.deep import networks
    from sparseop.deep.labels.data import prepare

    data = prepare(recipe, None).dataset
    network = networks.build(recipe.network.name, data.n_classes, 1, **recipe.network.options)
    network.load_state_dict({name.removeprefix("0."): value for name, value in state["networks"].items()})
    images = (data.test_images.float() / 255 - data.mean[0]) / data.std[0]
    with torch.no_grad():
        return 100 * float((network.eval()(images).argmax(1) == data.test_labels).double().mean())


@pytest.mark.slow
def test_two_commands_that_begin_together(tmp_path):
    """Four processes at once: four runs, none refused."""
    command = [sys.executable, "-m", "sparseop.deep.train", *COMMAND, "--device", "cpu"]
    started = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(4)
    ]
    for process in started:
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err.decode()
    assert len(list(Path(tmp_path, "runs").glob("*/*/summary.json"))) == 4
