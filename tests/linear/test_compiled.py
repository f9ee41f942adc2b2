"""A first call that compiles says so, and one that loads does not."""

import time

from sparseop.linear import _compiled


def test_a_slow_first_call_is_announced_once(capfd, monkeypatch):
    monkeypatch.setattr(_compiled, "PATIENCE", 0.05)
    monkeypatch.setattr(_compiled, "_ready", set())
    with _compiled.compiling("a thing"):
        time.sleep(0.5)
    assert capfd.readouterr().err.count("compiling a thing") == 1
    with _compiled.compiling("a thing"):
        time.sleep(0.2)
    assert capfd.readouterr().err == ""


def test_a_quick_one_is_silent(capfd, monkeypatch):
    monkeypatch.setattr(_compiled, "PATIENCE", 5.0)
    monkeypatch.setattr(_compiled, "_ready", set())
    with _compiled.compiling("another"):
        pass
    assert capfd.readouterr().err == ""
