"""Labels as people keep them: each finding is told, nothing is changed unasked, what can't be used is one sentence."""

import numpy as np
import pandas as pd
import pytest

from sparseop.errors import InputError
from sparseop.inspect.labels import read_labels


def test_numbers_are_ordered_as_numbers_and_text_as_text():
    assert read_labels([10, 9, 10, 2] * 5).classes == ("2", "9", "10")
    assert read_labels(["dog", "cat"] * 6).classes == ("cat", "dog")


def test_whole_decimals_are_the_same_class_as_whole_numbers():
    found = read_labels([1, 1.0, "1", 2, 2.0, "2"] * 3)
    assert found.classes == ("1", "2")
    assert any("mixed types" in note for note in found.notes)


def test_rows_without_a_label_are_left_out_and_counted():
    values = ["a", "b"] * 8 + [None, np.nan, "  ", "NA", pd.NA]
    found = read_labels(values)
    assert found.total == 21
    np.testing.assert_array_equal(found.kept, np.arange(16))
    assert any("5 rows have no label (the first is row 16)" in note for note in found.notes)


@pytest.mark.parametrize("other", ["Dog", "dog ", "DOG", "dög"])
def test_two_spellings_are_told_and_merged_only_when_asked(other):
    values = ["dog"] * 30 + ["cat"] * 30 + [other] * 2
    apart, merged = read_labels(values), read_labels(values, merge=True)
    assert len(apart.classes) == 3
    assert merged.classes == ("cat", "dog")
    assert apart.spellings == (("dog", other),)
    assert any("--merge-spellings" in note for note in apart.notes)
    assert merged.codes.tolist()[-2:] == [1, 1]


def test_a_slip_of_the_pen_is_told_but_numbered_classes_are_not():
    assert read_labels(["truck"] * 100 + ["ship"] * 100 + ["trcuk"]).spellings == (("truck", "trcuk"),)
    assert read_labels(["class 10"] * 100 + ["class 1"] * 2 + ["x"] * 20).spellings == ()
    assert read_labels(["cat"] * 100 + ["bat"]).spellings == ()  # too short to tell


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["a"] * 20, "at least two classes, and all 20 are 'a'"),
        ([f"name {i}" for i in range(20)], "each of the 20 labels occurs once"),
        (["a", "b", "a"], "at least 10 labels"),
        ([None] * 20, "got 0"),
        (np.zeros((10, 2)), "one label a sample"),
    ],
)
def test_what_can_not_be_used_is_one_sentence(values, words):
    with pytest.raises(InputError) as caught:
        read_labels(values)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_single_samples_are_told():
    values = [str(i) for i in range(8)] + ["a", "b"] * 20
    assert any("8 classes have one sample only" in note for note in read_labels(values).notes)
