"""The whole inspection: what it finds on digits, that a stopped run goes on, and hostile input."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from sparseop.errors import InputError
from sparseop.inspect import demo, inspect_labels, work
from sparseop.inspect.work import area


@pytest.fixture(scope="module")
def digits():
    """600 digits, 60 of whose labels are wrong; and what was found."""
    pictures, labels = demo.digits()
    rng = np.random.default_rng(0)
    some = np.sort(rng.permutation(len(labels))[:600])
    pixels, right = pictures.reshape(len(pictures), -1)[some] / 255, labels[some]
    given = right.copy()
    wrong = rng.choice(600, 60, replace=False)
    given[wrong] = (right[wrong] + rng.integers(1, 10, 60)) % 10
    return pixels, given, right, inspect_labels(pixels, given, settings=(1.0, 1.0))


def test_the_wrong_ones_are_first_and_counted(digits):
    _, given, right, found = digits
    wrong = (given != right)[found.table["row"]]
    suspicion = found.table["suspicion"].to_numpy()
    assert area(suspicion[wrong], suspicion[~wrong]) > 0.99
    assert found.number == pytest.approx(60, abs=10)
    low, high = found.number_interval
    assert low <= found.number <= high
    top = wrong[: found.suspects]
    at = found.precision.iloc[found.suspects - 1]
    assert top.mean() == pytest.approx(at["precision"], abs=0.12)
    assert (
        found.table["proposed"].to_numpy()[:40][top[:40]] == right.astype(str)[found.table["row"]][:40][top[:40]]
    ).mean() > 0.9


def test_the_table_is_complete_ranked_and_frozen(digits):
    found = digits[3]
    assert sorted(found.table["row"]) == list(range(600))
    assert (np.diff(found.table["suspicion"]) <= 0).all()
    assert found.table["suspicion"].between(0, 1).all()
    np.testing.assert_array_equal(found.table["rank"], np.arange(1, 601))
    assert list(found.table.columns[:5]) == ["row", "given", "proposed", "suspicion", "rank"]
    assert {"rows", "held_out", "neighbours", "transition"} <= set(found.table.columns)
    assert (found.table["given"] != found.table["proposed"]).all()
    assert found.table["suspicion"].sum() == pytest.approx(found.number, rel=1e-9)
    assert found.pairs["samples"].sum() == pytest.approx(found.number, rel=0.15)
    assert found.certificate["gap"] <= 1e-6
    assert found.judges["weight"].sum() == pytest.approx(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.number = 3


def test_labels_to_train_on_are_in_the_order_of_the_input(digits):
    _, given, _, found = digits
    out, new, heavy = (found.to_train(then) for then in ("leave-out", "relabel", "weight"))
    for table in (out, new, heavy):
        np.testing.assert_array_equal(table["row"], np.arange(600))
        np.testing.assert_array_equal(table["given"], given.astype(str))
    assert (out["use"] == 0).sum() == found.suspects == (new["label"] != new["given"]).sum()
    suspicion = found.table.set_index("row")["suspicion"].sort_index().to_numpy()
    np.testing.assert_allclose(heavy["weight"], 1 - suspicion, atol=1e-6)
    fewer = found.to_train("leave-out", precision=0.99)
    assert (fewer["use"] == 0).sum() == found.length_for(0.99) <= found.length_for(0.5)
    with pytest.raises(InputError, match="then must be one of"):
        found.to_train("drop")


def test_the_longest_list_of_a_precision_has_it_and_the_next_has_not(digits):
    found = digits[3]
    n = found.length_for(0.9)
    curve = found.precision["precision"].to_numpy()
    assert curve[n - 1] >= 0.9 > curve[n]


def test_the_same_seed_gives_the_same_answer_and_a_stopped_run_goes_on(digits, tmp_path, monkeypatch):
    pixels, given, _, first = digits

    class StopError(Exception):
        pass

    def stop(text):
        if "copy 3" in text:
            raise StopError

    with pytest.raises(StopError):
        inspect_labels(pixels, given, settings=(1.0, 1.0), work=tmp_path, say=stop)
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert sum(name.startswith("judged") for name in kept) == 3  # the labels as given, and two copies
    (tmp_path / kept[0]).write_bytes(b"half a file")  # as a full disk would leave it
    calls = []
    solve = work.judges.rows
    monkeypatch.setattr(work.judges, "rows", lambda *a, **k: calls.append(1) or solve(*a, **k))
    again = inspect_labels(pixels, given, settings=(1.0, 1.0), work=tmp_path)
    assert len(calls) == work.planting.rounds_for(600) - 2 + (1 if kept[0].startswith("judged") else 0)
    pd.testing.assert_frame_equal(again.table, first.table)
    other = inspect_labels(pixels, given, settings=(1.0, 1.0), seed=1)
    assert not np.array_equal(other.table["suspicion"], first.table["suspicion"])


def test_settings_are_chosen_by_planted_errors_and_reported(digits, monkeypatch):
    monkeypatch.setattr(work, "WIDTHS", (1.0, 0.02))
    monkeypatch.setattr(work, "LAMS", (1.0, 3.0))
    pixels, given, _, _ = digits
    found = inspect_labels(pixels[:250], given[:250])
    assert set(found.chosen.columns) == {"c", "lam", "area", "sure_gain", "gap"}
    assert len(found.chosen) == len(work.WIDTHS) * len(work.LAMS)
    best = found.chosen.loc[found.chosen["sure_gain"].idxmax()]
    chosen = best if best["sure_gain"] > work.CLEARLY else found.chosen.query("c == 1 and lam == 1").iloc[0]
    assert found.chosen.query("c == 1 and lam == 1")["sure_gain"].item() == 0
    assert found.certificate["kernel width c"] == chosen["c"]
    assert found.certificate["lam"] == chosen["lam"]
    assert found.chosen["gap"].max() <= 1e-3


def test_equal_samples_with_different_labels_are_told():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 3)) + np.repeat([[0.0], [6.0]], 30, axis=0)
    y = np.repeat(["a", "b"], 30)
    X[10], X[11] = X[0], X[1]
    y[10] = "b"
    found = inspect_labels(X, y)
    assert found.duplicates[["row", "given"]].to_numpy().tolist() == [[0, "a"], [10, "b"]]


def test_a_frame_with_a_column_of_labels_and_names():
    rng = np.random.default_rng(1)
    kind = np.repeat(["ash", "oak"], 40)
    frame = pd.DataFrame(
        {
            "height": np.where(kind == "ash", 10, 20) + rng.normal(size=80),
            "bark": np.where(kind == "ash", "smooth", "rough"),
            "kind": kind,
        }
    )
    frame.loc[3, "kind"] = "oak"
    frame.loc[7, "kind"] = None
    found = inspect_labels(frame, "kind", names=[f"tree {i}" for i in range(80)])
    assert found.table.loc[0, "path"] == "tree 3"
    assert found.table.loc[0, "proposed"] == "ash"
    assert len(found.table) == 79
    trained = found.to_train()
    assert trained.loc[7, ["given", "use"]].tolist() == ["", 0]


def blobs(n=60, k=2, d=4, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    return rng.standard_normal((n, d)) + 5 * rng.standard_normal((k, d))[y], y


X, Y = blobs()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: inspect_labels(X, Y[:-1]), "labels must have 60 entries, one for each row of features, got 59"),
        (lambda: inspect_labels(X, np.zeros(60)), "all 60 are '0'"),
        (lambda: inspect_labels(X, np.arange(60)), "each of the 60 labels occurs once"),
        (lambda: inspect_labels(X[:3], Y[:3]), "at least 10 labels to compare, got 3"),
        (lambda: inspect_labels(np.where(np.arange(60)[:, None] == 5, np.nan, X), Y), "got nan in row 5, column 0"),
        (lambda: inspect_labels(X, "kind"), "labels must be a column of the frame"),
        (lambda: inspect_labels(pd.DataFrame(X), "kind"), "got 'kind'; its columns are 0, 1, 2, 3"),
        (lambda: inspect_labels(X, Y, names=["a"]), "names must have 60 entries"),
        (lambda: inspect_labels(X, Y, seed=-1), "seed must be >= 0"),
        (lambda: inspect_labels(X.tolist(), Y[:30]), "labels must have 60 entries"),
    ],
    ids=range(10),
)
def test_what_can_not_be_used_is_one_sentence(call, words):
    with pytest.raises(InputError) as caught:
        call()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sizes_beyond_memory_are_refused_before_the_work():
    with pytest.raises(InputError, match="judging 1,000,000,000 samples"):
        work.require_memory(10**9, 10, 4, print)


@pytest.mark.parametrize("n", [10, 25])
def test_few_samples_give_a_report(n):
    X, y = blobs(n)
    found = inspect_labels(X, y)
    assert len(found.table) == n
    assert found.table["suspicion"].between(0, 1).all()


def test_many_classes_with_one_sample_give_a_report():
    rng = np.random.default_rng(0)
    y = np.concatenate([np.arange(100), np.repeat(np.arange(40), 8)])  # 100 classes, 60 of which have one sample
    X = 4 * rng.standard_normal((100, 6))[y] + rng.standard_normal((len(y), 6))
    found = inspect_labels(X, y, settings=(1.0, 1.0))
    assert any("60 classes have one sample only" in note for note in found.notes)
    assert len(found.table) == 420
    assert len(found.lookalikes) <= 20


def test_equal_rows_everywhere_and_repeated_columns_give_a_report():
    X = np.repeat([[0.0, 1.0, 2.0], [3.0, 1.5, 5.0]], 20, axis=0)
    X = np.column_stack([X, X[:, 0]])
    y = np.repeat([0, 1], 20)
    y[0] = 1
    found = inspect_labels(X, y, settings=(1.0, 1.0))
    assert found.table.loc[0, "row"] == 0
    assert set(found.duplicates["group"]) == {1}


def test_dask_workers_map_the_blocks_where_they_lie(digits):
    """Two workers hold the features; only mapped rows, a fifth of them wide, and blocks of a few travel."""
    dask_array = pytest.importorskip("dask.array")
    from dask.distributed import Client, LocalCluster

    pixels, given, _, first = digits
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        lazy = dask_array.from_array(pixels, chunks=(150, 32))
        found = inspect_labels(lazy, given, settings=(1.0, 1.0))
    np.testing.assert_allclose(
        found.table.sort_values("row")["rows"], first.table.sort_values("row")["rows"], atol=1e-6
    )
