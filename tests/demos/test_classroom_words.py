"""Numbers in the lessons' sentences: what has no value says so, and what is rounding is called that."""

import math

import pytest

classroom = pytest.importorskip("demos.classroom")


def test_a_gap_below_rounding_and_a_fit_that_has_diverged():
    assert classroom.rounded(5e-32) == "below rounding"
    assert classroom.rounded(-2e-7) == "-2e-07"
    assert classroom.decibels(math.nan) == "none, it has diverged"
    assert classroom.decibels(21.34) == "21.3 dB"
