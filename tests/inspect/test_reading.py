"""Every kind of input, whole and damaged."""

import numpy as np
import pandas as pd
import pytest

from sparseop.errors import InputError
from sparseop.inspect.reading import read, read_labels_file

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((12, 3)), np.array(["a", "b"] * 6)


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    np.savez(tmp_path / "xy.npz", embeddings=X, y=Y, paths=[f"{i}.png" for i in range(12)])
    pd.DataFrame(X, columns=list("pqr")).assign(label=Y).to_csv(tmp_path / "table.csv", index=False)
    pd.DataFrame({"label": Y}).to_csv(tmp_path / "labels.csv", index=False)
    (tmp_path / "labels.txt").write_text("\n".join(Y))
    pd.DataFrame({"vector": list(X), "target": Y, "note": "n"}).to_parquet(tmp_path / "v.parquet")
    return tmp_path


@pytest.mark.parametrize("labels", ["y.npy", "labels.csv", "labels.txt"])
def test_features_with_labels_beside_them_are_mapped_not_read(folder, labels):
    source = read(folder / "x.npy", labels=folder / labels)
    assert isinstance(source.features, np.memmap)
    assert list(source.labels) == list(Y)


def test_archives_tables_and_lists(folder):
    archive = read(folder / "xy.npz")
    np.testing.assert_array_equal(archive.features, X)
    assert archive.names[3] == "3.png"
    table = read(folder / "table.csv")
    assert list(table.features.columns) == ["p", "q", "r"]
    assert list(table.labels) == list(Y)
    vectors = read(folder / "v.parquet")
    np.testing.assert_array_equal(vectors.features, X)
    assert list(vectors.frame.columns) == ["note"]
    assert "'vector'" in vectors.notes[0]


def test_parts_of_a_parquet_table(folder):
    parts = folder / "parts"
    parts.mkdir()
    frame = pd.DataFrame(X, columns=list("pqr")).assign(label=Y)
    for i in range(3):
        frame.iloc[4 * i : 4 * i + 4].to_parquet(parts / f"{i}.parquet")
    whole = read(parts)
    np.testing.assert_array_equal(whole.features[["p", "q", "r"]], X)
    assert list(whole.labels) == list(Y)


def test_a_list_of_pictures_is_pictures_and_numbers_beside_it_are_features(folder):
    frame = pd.DataFrame({"file": [f"{i}.jpg" for i in range(12)], "label": Y})
    frame.to_csv(folder / "list.csv", index=False)
    source = read(folder / "list.csv")
    assert source.features is None
    assert source.pictures.paths[2] == folder / "2.jpg"
    frame.assign(size=range(12)).to_csv(folder / "list.csv", index=False)
    source = read(folder / "list.csv")
    assert list(source.features.columns) == ["size"]
    assert source.names[2] == "2.jpg"


def test_a_copy_of_the_label_is_told_and_can_be_dropped(folder):
    pd.DataFrame(X, columns=list("pqr")).assign(label=Y, code=(Y == "a") + 1).to_csv(folder / "leak.csv", index=False)
    assert "'code' tells the label one to one" in read(folder / "leak.csv").notes[0]
    assert read(folder / "leak.csv", drop=["code"]).notes == ()


def damaged(folder, name, content):
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda f: read(f / "none.csv"), "is not there"),
        (lambda f: read(f / "x.npy"), "name their file by --labels"),
        (lambda f: read(f / "x.npy", labels=f / "none.npy"), "is not there"),
        (lambda f: read(damaged(f, "half.npy", (f / "x.npy").read_bytes()[:90]), labels=f / "y.npy"), "cannot be read"),
        (lambda f: read(damaged(f, "half.npz", (f / "xy.npz").read_bytes()[:200])), "cannot be read"),
        (lambda f: read(damaged(f, "half.parquet", (f / "v.parquet").read_bytes()[:200])), "cannot be read"),
        (lambda f: read(damaged(f, "bytes.csv", b"\xff\xfe\x00a,b\n")), "cannot be read"),
        (lambda f: read(damaged(f, "empty.csv", b"")), "cannot be read"),
        (lambda f: read(damaged(f, "head.csv", b"a,label\n")), "has no row"),
        (lambda f: read(damaged(f, "other.csv", b"p,q\n1,2\n3,4\n")), "name it by --label-column ('p', 'q')"),
        (lambda f: read(f / "table.csv", label_column="kind"), "must be a column of"),
        (lambda f: read(f / "table.csv", drop=["z"]), "--drop must name a column"),
        (lambda f: read(damaged(f, "x.xlsx", b"")), "must be a folder, .csv"),
    ],
    ids=range(13),
)
def test_what_can_not_be_read_is_one_sentence(folder, call, words):
    with pytest.raises(InputError) as caught:
        call(folder)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_labels_of_another_length_and_objects_are_refused(folder):
    np.save(folder / "short.npy", Y[:5])
    with pytest.raises(InputError, match="must have 12 entries"):
        read(folder / "x.npy", labels=folder / "short.npy")
    np.save(folder / "objects.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read"):
        read_labels_file(folder / "objects.npy")
