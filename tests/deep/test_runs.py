"""The plan of real runs: what it holds, and that a run stopped by the clock is taken up again."""

import pytest

from deep import runs
from sparseop.deep import recipe as recipes


def test_the_plan_names_recipes_that_exist_and_no_record_twice():
    plan = runs.plan()
    assert {run.recipe for run in plan} <= set(recipes.names())
    assert len({run.record for run in plan}) == len(plan)
    for run in plan:
        recipes.read(recipes.find(run.recipe), run.changes)


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
        runs.work([run], tmp_path / "scratch", None, device="cpu", minutes=2, jobs=1)
    except KeyboardInterrupt:
        monkeypatch.setattr(runs.time, "sleep", lambda _: slept(0.05))
        runs.work([run], tmp_path / "scratch", None, device="cpu", minutes=2, jobs=1)
    assert run.record.name == "digits_sym40_sop-width4-epochs5-seed1"
    assert {path.name for path in run.record.iterdir()} == set(runs.KEPT)
    assert len((run.record / "metrics.csv").read_text().splitlines()) == 6
    started = capsys.readouterr().out.count("started")
    runs.work([run], tmp_path / "scratch", None, device="cpu", minutes=2, jobs=1)  # nothing left to do
    assert started >= 1
    assert "started" not in capsys.readouterr().out
