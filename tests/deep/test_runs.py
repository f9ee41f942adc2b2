"""The plan of real runs: what it holds, what is measured first, and that a stopped run is taken up again."""

import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from deep import runs
from sparseop.deep.labels import recipe as recipes
from sparseop.errors import InputError
from tests.benchmarks import fake_official


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    monkeypatch.setattr(runs.provenance, "commit", lambda: {"commit": "a" * 40, "dirty": False})


@pytest.mark.parametrize("gpu", [True, False])
def test_the_plan_names_recipes_that_exist_and_no_record_twice(gpu):
    plan = runs.plan(gpu=gpu)
    assert {run.recipe for run in plan} <= set(recipes.names())
    assert len({run.record for run in plan}) == len(plan)
    for run in plan:
        recipes.read(run.recipe, run.changes)


def test_a_gpu_is_timed_first_and_only_once(tmp_path, monkeypatch, capsys):
    done, status = [], {}
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    monkeypatch.setattr(runs, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(
        runs.subprocess,
        "run",
        lambda words, **_: done.append(words[2:]) or SimpleNamespace(returncode=status.get(words[2], 0)),
    )
    monkeypatch.setattr(runs, "work", lambda *_, **__: done.append(["the runs"]))

    def modules(*arguments, ends=0):
        done.clear()
        monkeypatch.setattr(sys, "argv", ["runs", *map(str, arguments)])
        assert runs.main() == ends
        return [words[0] for words in done]

    official = fake_official.write(tmp_path / "official")
    monkeypatch.setattr(runs.torch.cuda, "is_available", lambda: False)
    assert modules("--official", official) == ["the runs"]
    monkeypatch.setattr(runs.torch.cuda, "is_available", lambda: True)
    assert modules("--device", "cpu", "--official", official) == ["the runs"]
    assert modules("--task", "contrastive") == ["benchmarks.contrastive", "the runs"]
    assert modules() == ["deep.table5", "the runs"]
    assert modules("--official", official) == ["deep.table5", "benchmarks.official_sop", "the runs"]
    status["benchmarks.official_sop"] = 2
    assert modules("--official", official, ends=2) == ["deep.table5", "benchmarks.official_sop"]
    for path in ("results/table5/preact_resnet18-cuda-1.json", "figures/data/bench_official_sop_cuda.csv"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
    assert modules("--official", official) == ["the runs"]
    assert modules("--official", tmp_path / "nowhere", ends=2) == []
    assert "there is no folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--jobs", "1000000000"], "--jobs must be >= 1 and <= 64, got 1000000000"),
        (["--jobs", "0"], "--jobs must be >= 1"),
        (["--hours", "nan"], "--hours must be a finite number > 0"),
        (["--data-root", "nowhere"], "--data-root 'nowhere' is not a folder"),
        (["--device", "meta"], "device 'meta' cannot be used"),
    ],
)
def test_what_would_fail_in_every_run_is_refused_before_the_first(arguments, message, monkeypatch, capsys):
    monkeypatch.setattr(runs, "work", lambda *_, **__: pytest.fail("went on"))
    monkeypatch.setattr(runs.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["runs", *arguments])
    assert runs.main() == 2
    assert message in capsys.readouterr().err


def test_without_a_gpu_only_the_fast_network_runs(monkeypatch, capsys):
    monkeypatch.setattr(runs.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["runs", "--plan"])
    assert runs.main() == 0
    names = [line.split()[-1] for line in capsys.readouterr().out.splitlines()]
    assert names[0] == "fast_cifar10_clean_ce-seed0"
    assert all(name.startswith("fast_") for name in names)
    with_gpu = [run.name for run in runs.plan(gpu=True)]
    assert with_gpu[0].startswith("table1_")
    assert with_gpu[-len(names) :] == names


@pytest.mark.parametrize("gpu", [True, False])
def test_the_contrastive_plan(gpu):
    plan = runs.plan("contrastive", gpu=gpu)
    assert len({run.record for run in plan}) == len(plan)
    for run in plan:
        recipe = runs.contrastive_recipes.read(run.recipe, run.changes)
        assert run is not plan[0] or (recipe.network.name == "fastnet") is not gpu


def test_a_plan_that_is_ended_ends_its_runs(tmp_path, monkeypatch):
    """SIGTERM, as Ctrl-C, leaves no process behind."""
    started = []

    def sleeping(*_):
        started.append(subprocess.Popen(["sleep", "60"]))
        return started[0]

    monkeypatch.setattr(runs, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(runs, "start", sleeping)
    monkeypatch.setattr(runs.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(runs.time, "sleep", lambda _: os.kill(os.getpid(), signal.SIGTERM))
    monkeypatch.setattr(sys, "argv", ["runs", "--scratch", str(tmp_path)])
    assert runs.main() == 143
    assert started[0].returncode == -signal.SIGTERM


def test_nothing_is_run_by_code_that_no_commit_holds(monkeypatch, capsys):
    monkeypatch.setattr(runs, "work", lambda *_, **__: pytest.fail("went on"))
    monkeypatch.setattr(runs.provenance, "commit", lambda: {"commit": "a" * 40, "dirty": True})
    monkeypatch.setattr(sys, "argv", ["runs"])
    assert runs.main() == 2
    assert "this checkout differs from its commit" in capsys.readouterr().err


def test_runs_that_fail_are_told_at_the_end(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runs, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(runs, "start", lambda *_: SimpleNamespace(poll=lambda: 2, returncode=2))
    monkeypatch.setattr(runs.time, "sleep", lambda _: None)
    with pytest.raises(InputError, match=r"2 of the runs failed, the first digits_sym40_ce-seed0; why is in '.*\.log'"):
        runs.work(
            [runs.Run("digits_sym40_ce"), runs.Run("digits_sym40_sop")], tmp_path, None, device="cpu", hours=1, jobs=1
        )
    assert capsys.readouterr().out.count("FAILED") == 2


@pytest.mark.slow
def test_a_run_that_the_time_does_not_suffice_for_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(runs, "RESULTS", tmp_path / "results")
    run = runs.Run("digits_sym40_sop", 1, ("network.width=4", "training.epochs=5"))
    checkpoint = tmp_path / "scratch" / run.name / "last.pt"
    slept = runs.time.sleep

    def until_the_first_checkpoint(_):
        slept(0.05)
        if checkpoint.exists():
            raise KeyboardInterrupt

    monkeypatch.setattr(runs.time, "sleep", until_the_first_checkpoint)
    try:
        runs.work([run], tmp_path / "scratch", None, device="cpu", hours=1, jobs=1)
    except KeyboardInterrupt:
        monkeypatch.setattr(runs.time, "sleep", lambda _: slept(0.05))
        runs.work([run], tmp_path / "scratch", None, device="cpu", hours=1, jobs=1)
    assert run.record.name == "digits_sym40_sop-width4-epochs5-seed1"
    assert {path.name for path in run.record.iterdir()} == set(runs.KEPT)
    assert len((run.record / "metrics.csv").read_text().splitlines()) == 6
    started = capsys.readouterr().out.count("started")
    runs.work([run], tmp_path / "scratch", None, device="cpu", hours=1, jobs=1)  # nothing left to do
    assert started >= 1
    assert "started" not in capsys.readouterr().out
