"""A recipe with several seeds: what is printed, and that processes and a cluster find what one process finds."""

import csv
import re
import statistics

import pytest
import torch

from sparseop.deep import train

TINY = ["--set", "network.width=4", "training.epochs=1", "training.batch_size=200", "--device", "cpu"]


@pytest.fixture(autouse=True)
def _here(monkeypatch, tmp_path):
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_of_mean_and_spread(tmp_path, capsys):
    assert train.main(["digits_sym40_ce", *TINY, "--seeds", "3", "--out", "all"]) == 0
    found = [float(row["final.test"]) for row in rows(tmp_path / "all" / "seeds.csv")]
    assert len(set(found)) > 1
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("final.test"))
    assert re.split(r"  +", line)[1] == f"{statistics.fmean(found):.4g} ± {statistics.stdev(found):.2g}"
    for seed in range(3):
        assert f"seed = {seed}" in (tmp_path / "all" / f"seed{seed}" / "recipe.toml").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["processes", "dask"])
def test_two_workers_find_what_one_process_finds(backend, tmp_path):
    if backend == "dask":
        pytest.importorskip("distributed")
    assert train.main(["digits_sym40_ce", *TINY, "--seeds", "2", "--out", "one"]) == 0
    assert (
        train.main(["digits_sym40_ce", *TINY, "--seeds", "2", "--jobs", "2", "--backend", backend, "--out", "two"]) == 0
    )
    assert rows(tmp_path / "one" / "seeds.csv") == rows(tmp_path / "two" / "seeds.csv")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "2"], "--seeds repeats one recipe, given by its name"),
        (["digits_sym40_ce", "--seeds", "2", "--seed", "1"], "takes no --seed"),
        (["digits_sym40_ce", "--seeds", "0"], "--seeds must be >= 1, got 0"),
        (["digits_sym40_ce", "--seeds", "2", "--jobs", "0"], "--jobs must be >= 1, got 0"),
        (["digits_sym40_ce", "--seeds", "2", "--backend", "ray"], "--backend must be one of 'processes', 'dask'"),
    ],
)
def test_what_is_refused(arguments, message, capsys):
    assert train.main(arguments) == 2
    assert message in capsys.readouterr().err
