"""The study engine: caching by content, resuming, provenance, and what a user's mistake looks like."""

import contextlib
import dataclasses
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from sparseop import study
from sparseop.errors import InputError

MODULE = '''
"""A study for the tests: squares.

    python -m squares
"""
import os, sys, time
from pathlib import Path
from matplotlib.figure import Figure
from sparseop import study

FACTOR = 1

def cell(x, pause=0.0):
    time.sleep(pause)
    with open(os.environ["CALLS"], "a") as calls:
        calls.write(f"{x}\\n")
    return {"square": FACTOR * x * x, "noise": float(study.generator("squares", x).standard_normal()), "_seconds": 0.5}

def draw(table):
    figure = Figure()
    figure.subplots().plot(table.x, table.square)
    return figure

def tables(table):
    return {"all": table}

PAUSE = float(os.environ.get("PAUSE", 0))
STUDIES = (study.Study("squares", cell, {"paper": [{"x": x, "pause": PAUSE * (5 if x > 4 else 1)} for x in range(8)],
                                         "quick": [{"x": 3}]}, draw, tables),)
if __name__ == "__main__":
    sys.exit(study.main("squares"))
'''


@pytest.fixture
def squares(tmp_path, monkeypatch):
    """A folder with the module above, on the path; ``calls()`` tells which cells were computed since the last call."""
    (tmp_path / "squares.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.delitem(sys.modules, "squares", raising=False)
    return tmp_path


def calls(folder: Path) -> list[int]:
    path = folder / "calls"
    done = [int(line) for line in path.read_text().split()] if path.exists() else []
    path.unlink(missing_ok=True)
    return done


def run(folder: Path, *arguments: str) -> int:
    return study.main(
        "squares", ["--out", str(folder / "figures"), "--cache", str(folder / "cache"), "--jobs", "1", *arguments]
    )


def test_first_run_writes_everything_second_computes_nothing(squares, capsys):
    assert run(squares) == 0
    assert calls(squares) == list(range(8))
    files = sorted(p.relative_to(squares / "figures").as_posix() for p in (squares / "figures").rglob("*.*"))
    assert files == [
        "dark/squares.png",
        "data/squares.csv",
        "data/squares.json",
        "squares.pdf",
        "squares.png",
        "squares.svg",
        "tables/squares_all.csv",
        "tables/squares_all.md",
        "tables/squares_all.tex",
    ]
    record = json.loads((squares / "figures/data/squares.json").read_text())
    assert record["totals"].pop("core_seconds") >= 0
    assert record["totals"] == {"seconds": 4.0}
    assert {"commit", "dirty", "versions", "hardware", "master_seed", "code_sha256", "csv_sha256"} <= record.keys()
    before = {p: p.read_bytes() for p in (squares / "figures").rglob("*.*")}
    assert run(squares) == 0
    assert calls(squares) == []
    assert {p: p.read_bytes() for p in (squares / "figures").rglob("*.*")} == before  # byte-identical, provenance kept
    assert "8 from the cache" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("before", "now", "replaced"),
    [(True, False, True), (True, True, False), (False, False, False), (False, True, False)],
)
def test_a_clean_checkout_replaces_the_record_of_a_changed_one(squares, monkeypatch, before, now, replaced):
    monkeypatch.setattr(study.provenance, "commit", lambda: {"commit": "first", "dirty": before})
    assert run(squares) == 0
    monkeypatch.setattr(study.provenance, "commit", lambda: {"commit": "second", "dirty": now})
    assert run(squares) == 0
    record = json.loads((squares / "figures/data/squares.json").read_text())
    assert (record["commit"] == "second") == replaced


def test_seeds_do_not_depend_on_what_else_ran(squares):
    import squares as module

    full, _ = study.simulate(module.STUDIES[0], jobs=1)
    quick, _ = study.simulate(module.STUDIES[0], "quick", jobs=1)
    assert quick.noise[0] == full.noise[3]


KEYS = [
    ("a",),
    ("a", 0),
    ("a", 0, 0),
    ("a", 0, 0, 0),
    ("a", 0, 0, 0, 0),
    ("a", 1),
    ("a", 0, 1),
    ("a", 1, 0),
    ("a", "b"),
]
KEYS += [("b",), (0,), (0, 0), ("a", "1"), (97,), ("a", 2**32 - 1), ("a", 1, 2), ("a", 1, 2, 0), ("a", 1, 2, 0, 0)]


def test_two_keys_have_two_streams():
    first = [study.generator(*key).integers(2**63) for key in KEYS]
    assert len(set(first)) == len(KEYS)
    assert first == [study.generator(*key).integers(2**63) for key in KEYS]
    assert study.generator("a", np.int64(3)).integers(2**63) == study.generator("a", 3).integers(2**63)


@pytest.mark.parametrize("part", [0.02, 0.5, 1.0, np.float64(2), True, -1, 2**32, "", None, ("a",)])
def test_a_key_holds_words_and_whole_numbers(part):
    for key in (("a", part), (part, "a"), ("a", 7, 8, part)):
        with pytest.raises(InputError, match=f"part {1 + key.index(part)} of a generator's key must be"):
            study.generator(*key)
    with pytest.raises(InputError, match="must have a part"):
        study.generator()


def test_a_figure_counts_for_no_cell_and_a_function_of_the_cell_does(squares):
    run(squares)
    calls(squares)
    path = squares / "squares.py"
    for old, new, again in (
        ("figure = Figure()", "figure = Figure(figsize=(3, 3))", []),
        ('{"all": table}', '{"each": table}', []),
        ("def cell(x", "def draw_factor():\n    return FACTOR\n\ndef cell(x", list(range(8))),
        ("FACTOR * x * x", "draw_factor() * x * x", list(range(8))),
        ("return FACTOR", "return FACTOR + 0", list(range(8))),
    ):
        path.write_text(path.read_text().replace(old, new))
        sys.modules.pop("squares", None)
        run(squares)
        assert calls(squares) == again, new


def test_parallel_equals_serial(squares):
    import squares as module

    serial, _ = study.simulate(module.STUDIES[0], jobs=1)
    parallel, _ = study.simulate(module.STUDIES[0], jobs=2)
    pd.testing.assert_frame_equal(serial, parallel)


def test_joblib_backends_are_respected(squares):
    import squares as module

    serial, _ = study.simulate(module.STUDIES[0], jobs=1)
    with joblib.parallel_config(backend="threading", n_jobs=2):
        threaded, _ = study.simulate(module.STUDIES[0])
    pd.testing.assert_frame_equal(serial, threaded)


@pytest.mark.slow
def test_dask_backend(squares):
    distributed = pytest.importorskip("distributed")
    import squares as module

    serial, _ = study.simulate(module.STUDIES[0], jobs=1)
    with (
        distributed.Client(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None),
        joblib.parallel_config(backend="dask"),
    ):
        table, _ = study.simulate(module.STUDIES[0])
    pd.testing.assert_frame_equal(serial, table)


@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_run_goes_on_where_it_stopped(squares, blow):
    command = [sys.executable, "-m", "squares", "--out", "figures", "--cache", "cache", "--jobs", "1"]
    environment = {**os.environ, "PAUSE": "0.3", "PYTHONPATH": os.pathsep.join([str(squares), str(Path.cwd())])}
    # a suite that runs in the background of a shell has SIGINT ignored, and its children inherit that
    process = subprocess.Popen(
        command,
        cwd=squares,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (
        (squares / "calls").exists() and len((squares / "calls").read_text().split()) >= 5
    ):
        time.sleep(0.05)
    process.send_signal(blow)
    _, said = process.communicate(timeout=60)
    first = calls(squares)
    assert 4 <= len(first) < 8
    if blow != signal.SIGKILL:
        assert process.returncode == 128 + blow
        assert "interrupted: finished cells are kept" in said
        assert "Traceback" not in said
    again = subprocess.run(
        command, cwd=squares, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert again.returncode == 0, again.stderr
    second = calls(squares)
    assert second[-1] == 7
    assert len(set(first) & set(second)) <= 3  # at most the cells of the last half second are computed twice
    assert set(first) | set(second) == set(range(8))


def test_failure_is_not_cached(squares, monkeypatch):
    import squares as module

    broken = study.Study("squares", module.cell, {"paper": [{"x": 1}, {"x": 2, "pause": "no"}]})
    with pytest.raises(TypeError):
        study.simulate(broken, jobs=1, cache=squares / "cache")
    assert calls(squares) == [1]
    table, record = study.simulate(
        study.Study("squares", module.cell, {"paper": [{"x": 1}]}), jobs=1, cache=squares / "cache"
    )
    assert record["cells_from_cache"] == 1
    assert table.square[0] == 1


def test_redraw_leaves_out_a_study_that_has_not_been_run(squares, capsys, monkeypatch):
    assert run(squares) == 0
    import squares as module

    second = dataclasses.replace(module.STUDIES[0], name="later")
    monkeypatch.setattr(module, "STUDIES", (*module.STUDIES, second))
    (squares / "figures/squares.png").unlink()
    assert run(squares, "--redraw") == 0
    assert "later: no record yet, left out" in capsys.readouterr().out
    assert (squares / "figures/squares.png").exists()
    assert run(squares, "--redraw", "--only", "later") == 2  # asked for by name, it can't be left out


def test_redraw_draws_the_record_of_the_full_grid_too(squares, monkeypatch):
    import squares as module

    both = dataclasses.replace(
        module.STUDIES[0], grids={**module.STUDIES[0].grids, "full": [{"x": x} for x in range(10)]}
    )
    monkeypatch.setattr(module, "STUDIES", (both,))
    assert run(squares) == run(squares, "--full") == 0
    drawn = {
        path: path.read_bytes() for path in (squares / "figures").rglob("squares*.*") if path.parent.name != "data"
    }
    assert {path.name for path in drawn} >= {"squares.png", "squares_full.png", "squares_full_all.md"}
    for path in drawn:
        path.unlink()
    assert run(squares, "--redraw") == 0
    assert {path: path.read_bytes() for path in drawn} == drawn


def test_the_record_names_the_grid_that_was_run(squares):
    """There is no full grid: --full runs the paper's, whose record stays as it is."""
    assert run(squares) == 0
    before = (squares / "figures/data/squares.json").read_bytes()
    assert run(squares, "--full") == 0
    assert (squares / "figures/data/squares.json").read_bytes() == before
    assert json.loads(before)["mode"] == "paper"


def test_a_change_of_a_file_that_the_cells_read_counts(squares):
    import squares as module

    (squares / "recipe.toml").write_text("x = 1")
    reader = dataclasses.replace(module.STUDIES[0], files=(squares / "recipe.toml",))
    study.simulate(reader, jobs=1, cache=squares / "cache")
    assert study.simulate(reader, jobs=1, cache=squares / "cache")[1]["cells_from_cache"] == 8
    (squares / "recipe.toml").write_text("x = 2")
    assert study.simulate(reader, jobs=1, cache=squares / "cache")[1]["cells_from_cache"] == 0


def test_redraw_needs_the_data_its_provenance_describes(squares, capsys):
    assert run(squares, "--redraw") == 2
    assert "is not there; run without --redraw first" in capsys.readouterr().err
    run(squares)
    (squares / "figures/squares.png").unlink()
    calls(squares)
    assert run(squares, "--redraw") == 0
    assert (squares / "figures/squares.png").exists()
    assert calls(squares) == []
    (squares / "figures/data/squares.csv").write_text("x,square\n1,2\n")
    assert run(squares, "--redraw") == 2
    assert "is not the file that its provenance describes" in capsys.readouterr().err
    for broken in ("{", "[]"):
        (squares / "figures/data/squares.json").write_text(broken)
        assert run(squares, "--redraw") == 2
        assert "is not the file that its provenance describes" in capsys.readouterr().err
    assert run(squares) == 0
    assert run(squares, "--redraw") == 0


def test_mistakes_are_one_sentence_and_status_2(squares, capsys):
    (squares / "cache").mkdir()
    (squares / "cache/squares.sqlite").write_text("not a database, but long enough to be mistaken for one" * 20)
    assert run(squares) == 2
    assert "cannot be used" in capsys.readouterr().err
    assert run(squares, "--force") == 0
    (squares / "plain").write_text("")
    capsys.readouterr()
    assert study.main("squares", ["--out", str(squares / "plain/figures"), "--jobs", "1"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "plain" in said
    assert run(squares, "--jobs", "0") == 2
    assert "jobs must be >= 1" in capsys.readouterr().err
    import squares as module

    with pytest.raises(InputError, match="mode must be one of"):
        study.simulate(module.STUDIES[0], "fast")


def test_a_cache_that_is_none_is_neither_used_nor_removed(squares, capsys):
    path = squares / "cache/squares.sqlite"
    path.mkdir(parents=True)
    for arguments in ((), ("--force",)):
        assert run(squares, *arguments) == 2
        assert "it is a folder; give another --cache" in capsys.readouterr().err
    path.rmdir()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE letters (text TEXT)")
    before = path.read_bytes()
    for arguments in ((), ("--force",)):
        assert run(squares, *arguments) == 2
        assert "a database with the table 'letters'" in capsys.readouterr().err
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", ["5", "[1]", "{", b"\xff"])
def test_a_damaged_cell_is_told(squares, capsys, content):
    assert run(squares) == 0
    with contextlib.closing(sqlite3.connect(squares / "cache/squares.sqlite")) as database:
        database.execute("UPDATE cells SET rows = ?", (content,))
        database.commit()
    assert run(squares) == 2
    assert "run with --force to start it anew" in capsys.readouterr().err
    assert run(squares, "--force") == 0


def test_more_workers_than_cores_can_serve_are_refused(squares, capsys):
    assert run(squares, "--jobs", "1000000") == 2
    assert "four for each core, got 1000000" in capsys.readouterr().err
    assert run(squares, "--redraw", "--out", str(squares / "nowhere")) == 2
    assert not (squares / "nowhere").exists()


def test_rows_are_plain_values(squares):
    import squares as module

    with pytest.raises(TypeError, match="rows hold numbers"):
        study.simulate(study.Study("odd", _returns_figure, {"paper": [{}]}), jobs=1)
    assert module.STUDIES[0].name == "squares"


def _returns_figure():
    return {"figure": Figure()}
