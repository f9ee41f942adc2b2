"""What a run shows while it goes."""

import sys

import pytest

from sparseop.deep.training import progress

ROW = {"loss": 0.5, "images_per_second": 100.0, "test": 12.0, "memorised": float("nan")}


@pytest.mark.parametrize("first", [0, 7])
def test_the_line_on_a_terminal_counts_what_was_done_before(first, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    told = progress.watcher("SOP", 10)
    for epoch in range(first, 10):
        told(epoch, 1, None)
        told(epoch, 0, ROW)
    shown = capsys.readouterr().err.split("\r")
    assert "SOP: 10/10 " in shown[-1]
    assert "test 12.0 %, loss 0.500, 100 img/s" in shown[-1]


def test_a_log_has_twenty_lines_at_most(capsys):
    told = progress.watcher("SOP", 130)
    for epoch in range(130):
        told(epoch, 0, ROW)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 20
    assert lines[0].startswith("SOP: epoch 1/130, test 12.0 %, loss 0.500, 100 img/s; about ")
    assert lines[-1] == "SOP: epoch 130/130, test 12.0 %, loss 0.500, 100 img/s"


def test_a_hundred_columns_hold_the_number_that_is_looked_for(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    told = progress.watcher("SOP, CIFAR-100 with human labels, ResNet-34 (changed)", 1000)
    for epoch in range(1000):
        told(epoch, 0, {**ROW, "test": 93.4, "memorised": 12.3, "images_per_second": 12345.0})
    shown = capsys.readouterr().err.split("\r")[-1]
    assert shown.index("test 93.4 %, memorised 12 %") + len("test 93.4 %, memorised 12 %") <= 100


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.1, "1 s"), (40, "40 s"), (150, "2 min"), (7800, "2 h 10 min"), (400_000, "5 days")],
)
def test_times_as_people_say_them(seconds, said):
    assert progress.span(seconds) == said
