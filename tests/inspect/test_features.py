"""Features: one pass finds what can't be used, blocks and dask give what the whole array gives."""

import numpy as np
import pandas as pd
import pytest

from sparseop.errors import InputError
from sparseop.inspect import features
from sparseop.inspect.features import encode_table, examine

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 5)) * [1, 2, 3, 1, 1] + 7


def test_scale_is_common_or_each_columns_own():
    every = np.arange(60)
    common, own = examine(X), examine(X * [1, 1, 1, 1, 1e3])
    assert np.ptp(common.scale) == 0
    np.testing.assert_allclose(own.block(every).std(0), 1)
    np.testing.assert_allclose(common.block(every).mean(0), 0, atol=1e-12)


def test_columns_that_say_nothing_are_left_out_and_told():
    held = examine(np.column_stack([X, np.full(60, 3.0), X[:, 1]]))
    np.testing.assert_array_equal(held.columns, np.arange(5))
    assert any("1 of 7 columns are constant" in note for note in held.notes)
    assert any("column 6" in note for note in held.notes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: np.where(np.arange(5) == 2, np.nan, x), "got nan in row 0, column 2"),
        (lambda x: np.where(np.arange(60)[:, None] == 4, np.inf, x), "got inf in row 4, column 0"),
        (lambda x: np.ones_like(x), "all 5 columns are constant"),
        (lambda x: x[:, :0], "at least one column"),
        (lambda x: x[:, 0], "a table of numbers"),
        (lambda x: x.astype(str), "real numbers"),
        (lambda x: x + 1j, "got complex128"),
    ],
)
def test_bad_features_are_one_sentence(change, words):
    with pytest.raises(InputError) as caught:
        examine(change(X))
    assert words in str(caught.value)


def test_small_blocks_mapped_files_and_single_precision_change_nothing(tmp_path, monkeypatch):
    whole = examine(X)
    np.save(tmp_path / "x.npy", X)
    monkeypatch.setattr(features, "BLOCK", 35)  # seven rows
    for other in (examine(X), examine(np.load(tmp_path / "x.npy", mmap_mode="r"))):
        np.testing.assert_allclose(other.mean, whole.mean, rtol=1e-13)
        np.testing.assert_allclose(other.scale, whole.scale, rtol=1e-12)
        np.testing.assert_array_equal(other.twins, whole.twins)
    squares = whole.mapped(lambda rows: rows**2, 5)
    monkeypatch.setattr(features, "BLOCK", 2**20)
    np.testing.assert_array_equal(squares, whole.block(np.arange(60)) ** 2)


def test_the_digest_sees_every_number_and_every_row_left_out():
    changed = X.copy()
    changed[59, 4] += 1e-12
    rows = np.arange(59)
    assert len({examine(X).digest, examine(changed).digest, examine(X, rows).digest}) == 3


def test_equal_rows_have_equal_hashes_alone():
    doubled = np.vstack([X, X[3], X[7] + 1e-9, -0.0 * X[:1]])
    doubled = np.vstack([doubled, 0.0 * X[:1]])
    twins = examine(doubled).twins
    assert twins[60] == twins[3]
    assert twins[61] != twins[7]
    assert twins[62] == twins[63]
    assert len(np.unique(twins[:60])) == 60


def test_a_table_becomes_numbers_and_says_how():
    frame = pd.DataFrame(
        {
            "size": [1.0, None, 3.0, 4.0] * 10,
            "colour": ["red", "blue", None, "red"] * 10,
            "day": pd.date_range("2020-01-01", periods=40),
            "ok": [True, False] * 20,
            "name": [f"person {i}" for i in range(40)],
        }
    )
    array, notes = encode_table(frame)
    assert array.shape == (40, 2 + 3 + 1 + 1)
    assert np.isfinite(array).all()
    np.testing.assert_allclose([array[:, :2].var(0).sum(), array[:, 2:5].var(0).sum(), array[:, 5].var()], 1)
    assert any("'size' lacks 10 numbers" in note for note in notes)
    assert any("'name'" in note and "nearly every entry is different" in note for note in notes)
    with pytest.raises(InputError, match="'size' must be finite"):
        encode_table(frame.assign(size=[np.inf, *range(39)]))
    with pytest.raises(InputError, match="none is left"):
        encode_table(frame[["name"]])
