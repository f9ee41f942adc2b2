"""What the notebooks share: the controls' values, whole numbers from text, and sentences where a lesson can't go on."""

from types import SimpleNamespace

import pytest

pytest.importorskip("marimo")
from demos import classroom
from sparseop.errors import InputError


@pytest.mark.parametrize("button", [None, "Go"])
def test_the_first_values_of_the_controls_are_there_before_anybody_moves_them(button):
    controls = classroom.controls(
        rate=classroom.slider(0.0, 1.0, 0.1, 0.4, "rate"), instance={"rank": 3, "seed": 0}, button=button
    )
    assert classroom.attempt(dict, controls) == ({"rate": 0.4, "rank": "3", "seed": "0"}, None)
    for label in ("Another instance", "rank", "seed"):
        assert label in controls.text


def test_with_a_button_the_values_are_those_it_was_pressed_with():
    form = classroom.controls(rate=classroom.slider(0.0, 1.0, 0.25, 0.5, "rate"), instance={"seed": 0}, button="Go")
    form._update({"rate": 0.75, "seed": "5"})
    assert classroom.attempt(dict, form) == ({"rate": 0.75, "seed": "5"}, None)


@pytest.mark.parametrize(("value", "found"), [("7", 7), (" 12 ", 12), (3, 3)])
def test_whole_numbers(value, found):
    assert classroom.whole("seed", value, 0) == found


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("", "seed must be a whole number, got ''."),
        ("2.5", "seed must be a whole number"),
        (3.5, "seed must be a whole number"),
        (None, "seed must be a whole number"),
        ("-1", "seed must be >= 0 and <= 9 = the last digit, got -1."),
        (10, "got 10."),
    ],
)
def test_anything_else_is_refused_and_nothing_is_cut_off(value, sentence):
    with pytest.raises(InputError, match="seed must be") as refused:
        classroom.whole("seed", value, 0, 9, why="the last digit")
    assert sentence in str(refused.value)


def test_a_missing_package_is_named_and_a_bug_is_not_hidden():
    def lacking(module):
        raise ModuleNotFoundError(name=module)

    found, trouble = classroom.attempt(lacking, SimpleNamespace(value={"module": "torch"}))
    assert found is None
    assert "torch" in trouble.text
    assert "pip install" in trouble.text
    with pytest.raises(ModuleNotFoundError):
        classroom.attempt(lacking, SimpleNamespace(value={"module": "sparseop.depe"}))
