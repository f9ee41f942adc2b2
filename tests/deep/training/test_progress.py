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
    assert "SOP: 10/10 epochs" in shown[-1]
    assert "loss 0.500, test 12.0 %, 100 img/s" in shown[-1]


def test_a_log_has_twenty_lines_at_most(capsys):
    told = progress.watcher("SOP", 130)
    for epoch in range(130):
        told(epoch, 0, ROW)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 19
    assert lines[-1] == "SOP: epoch 130/130, loss 0.500, test 12.0 %, 100 img/s"
