"""A benchmark's numbers: beside the committed ones, and committed only when that is asked for."""

import json
import subprocess

import pandas as pd
import pytest

from benchmarks import record
from sparseop.files import read_csv
from sparseop.provenance import ROOT

TABLE = pd.DataFrame({"r": [5, 5, 20], "k": [5, 10, 10], "ms": [1.0, 2.0, 3.0], "x ECOS": [700.0, 400.0, 300.0]})


@pytest.fixture
def claimed(tmp_path, monkeypatch):
    """A project whose committed record has another first row, one row less, and one more number in its summary."""
    monkeypatch.setattr(record, "ROOT", tmp_path)
    path = tmp_path / "figures" / "data" / "bench_test.csv"
    path.parent.mkdir(parents=True)
    TABLE.assign(ms=[9.0, 2.0, 3.0])[:2].to_csv(path, index=False)
    path.with_suffix(".json").write_text(json.dumps({"x ECOS": {"least": 250.0}, "device": "cpu"}))
    return path


def options(*words):
    return record.parser("test", "A benchmark.").parse_args(words)


def test_a_run_prints_claimed_beside_measured_and_leaves_the_record_alone(claimed, tmp_path, capsys):
    before = {path: path.read_bytes() for path in claimed.parent.iterdir()}
    record.keep(TABLE, "bench_test", options(), **{"x ECOS": {"least": 300.0, "mean": 466.5}}, device="cpu")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "claimed | measured here"
    cells = {line[:7].strip(): line for line in lines[2:6]}
    assert "9 | 1" in cells["5, 5"]
    assert "700 | 700" in cells["5, 5"]
    assert "2 | 2" in cells["5, 10"]
    assert "- | 3" in cells["20, 10"]
    assert "250 | 300" in cells["x ECOS"]
    assert "- | 466.5" in cells["x ECOS"]
    assert lines[-1].startswith("measured: figures/measured/data/bench_test.csv")
    assert {path: path.read_bytes() for path in claimed.parent.iterdir()} == before
    kept = tmp_path / "figures" / "measured" / "data" / "bench_test.csv"
    pd.testing.assert_frame_equal(read_csv(kept), TABLE)
    assert json.loads(kept.with_suffix(".json").read_text())["x ECOS"]["mean"] == 466.5


def test_record_replaces_what_is_claimed(claimed, capsys):
    record.keep(TABLE, "bench_test", options("--record"))
    assert "9 | 1" in capsys.readouterr().out
    pd.testing.assert_frame_equal(read_csv(claimed), TABLE)
    assert {"commit", "hardware", "versions"} <= json.loads(claimed.with_suffix(".json").read_text()).keys()


def test_without_a_record_nothing_is_claimed(claimed, capsys):
    record.keep(TABLE, "bench_other", options())
    assert "nothing is claimed yet: there is no record bench_other.csv" in capsys.readouterr().out


def test_a_record_of_other_columns_claims_nothing_of_these(claimed, capsys):
    pd.DataFrame({"N": [1, 2], "ms": [1.0, 2.0]}).to_csv(claimed, index=False)
    record.keep(TABLE, "bench_test", options())
    assert "- | 1" in capsys.readouterr().out


def test_git_ignores_what_a_run_writes():
    said = subprocess.run(
        ["git", "check-ignore", "figures/measured/data/bench_convex.csv"], cwd=ROOT, capture_output=True, check=False
    )
    assert said.returncode in (0, 128)  # 128: no checkout


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_every_benchmark_goes_through_the_record(path):
    text = path.read_text()
    if path.stem not in ("__init__", "record"):
        assert f'record.parser("{path.stem}", __doc__)' in text
        assert "record.keep(" in text
        assert "--out" not in text
