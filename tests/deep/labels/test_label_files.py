"""Files of labels as people have them: every usual form gives the same labels, every other is refused in a sentence."""

import json

import numpy as np
import pytest
import torch

from sparseop.deep.labels.label_files import Samples, read_labels
from sparseop.deep.labels.noise import corrupt
from sparseop.deep.training.samples import describe
from sparseop.errors import InputError

CLASSES = ("cat", "dog", "cow", "pig")
GIVEN = [(i + 1) % 4 for i in range(20)]
NAMES = [CLASSES[label] for label in GIVEN]
PATHS = tuple(f"train/{i}.png" for i in range(20))
SAMPLES = Samples(20, CLASSES, PATHS, ("test/0.png",))
ORDER = np.random.default_rng(0).permutation(20).tolist()


def lines(*rows, first="", newline="\n"):
    return (first + newline.join(rows) + newline).encode()


def torch_bytes(value):
    import io

    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def numpy_bytes(value, save=np.save, **named):
    import io

    buffer = io.BytesIO()
    save(buffer, **named) if named else save(buffer, value)
    return buffer.getvalue()


FORMS = {
    "plain.txt": lines(*map(str, GIVEN)),
    "side by side.txt": lines(" ".join(map(str, GIVEN))),
    "names.txt": lines(*NAMES),
    "header.csv": lines("label", *map(str, GIVEN)),
    "excel.csv": lines("index,label", *(f"{i},{GIVEN[i]}" for i in ORDER), first="\ufeff", newline="\r\n"),
    "no header.csv": lines(*(f"{i},{GIVEN[i]}" for i in ORDER)),
    "semicolons.csv": lines("Index;Label", *(f"{i};{NAMES[i]}" for i in ORDER)),
    "tabs.tsv": lines("id\tclass", *(f"{i}\t{NAMES[i]}" for i in ORDER)),
    "floats.csv": lines("index,label", *(f"{i}.0,{GIVEN[i]}.0" for i in ORDER)),
    "paths.csv": lines("path,label,split", *(f"{PATHS[i]},{NAMES[i]},train" for i in ORDER), "test/0.png,cat,test"),
    "more.csv": lines("path,suspicion,label", *(f"{PATHS[i]},0.5,{NAMES[i]}" for i in ORDER), "test/0.png,1,cat"),
    "whole.npy": numpy_bytes(np.array(GIVEN, np.uint8)),
    "float.npy": numpy_bytes(np.array(GIVEN, np.float32)),
    "column.npy": numpy_bytes(np.array(GIVEN)[:, None]),
    "names.npy": numpy_bytes(np.array(NAMES)),
    "bytes.npy": numpy_bytes(np.array(NAMES).astype("S")),
    "ours.npz": numpy_bytes(None, np.savez, given=np.array(GIVEN), true=np.zeros(20)),
    "one.npz": numpy_bytes(None, np.savez, anything=np.array(GIVEN)),
    "list.json": json.dumps(GIVEN).encode(),
    "names.json": json.dumps(NAMES).encode(),
    "index.json": json.dumps({str(i): GIVEN[i] for i in ORDER}).encode(),
    "paths.json": json.dumps({PATHS[i]: NAMES[i] for i in ORDER}).encode(),
    "named.json": json.dumps({"labels": GIVEN}).encode(),
    "tensor.pt": torch_bytes(torch.tensor(GIVEN)),
    "float.pt": torch_bytes(torch.tensor(GIVEN, dtype=torch.bfloat16)),
    "list.pth": torch_bytes(GIVEN),
    "dictionary.pt": torch_bytes({"given": torch.tensor(GIVEN), "true": torch.zeros(20)}),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_labels(tmp_path, name):
    (tmp_path / name).write_bytes(FORMS[name])
    found = read_labels(tmp_path / name, SAMPLES)
    assert found.dtype == torch.int64
    assert found.tolist() == GIVEN


def test_what_a_run_writes_is_read(tmp_path):
    true, given = torch.arange(20) % 4, torch.tensor(GIVEN)
    describe(given, true, 4).save(tmp_path / "labels.npz")
    noisy = corrupt(true, 4, "file", path=tmp_path / "labels.npz")
    assert torch.equal(noisy.given, given)
    assert noisy.realised_rate == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("short.txt", lines("1", "2"), "must have 20 entries, one for each image, got 2"),
        ("range.txt", lines(*["7"] * 20), "classes 0 to 3, got 7 at index 0"),
        (
            "word.txt",
            lines(*NAMES[:19], "cut"),
            "class names or whole numbers, got 'cat'|got 'dog'.*the classes are 'cat'",
        ),
        ("empty.csv", b"", "is empty"),
        ("ragged.csv", lines("0,1", "1"), "as many columns in each line, got 1 and 2"),
        ("columns.csv", lines("a,b", *["x,y"] * 20), "columns index,label or path,label in its header, got a,b"),
        ("from one.csv", lines("index,label", *(f"{i + 1},0" for i in range(20))), "an index from 0 to 19"),
        ("twice.csv", lines("index,label", "3,1", "3,2"), "two labels for 3"),
        ("word.csv", lines("index,label", "three,1"), "whole numbers in its column 'index', got 'three'"),
        (
            "strange.csv",
            lines("path,label", *(f"{p},cat" for p in PATHS), "x.png,cat"),
            "not among the data, such as 'x.png'",
        ),
        (
            "lacking.csv",
            lines("path,label", *(f"{p},cat" for p in PATHS[1:])),
            "lacks 1 training images, such as 'train/0.png'",
        ),
        ("half.npy", FORMS["whole.npy"][:-5], "truncated, damaged"),
        (
            "object.npy",
            b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n",
            "cannot be read",
        ),
        ("half.npy", numpy_bytes(np.full(20, 0.5)), "whole numbers, got 0.5 at index 0"),
        ("nan.npy", numpy_bytes(np.full(20, np.nan)), "whole numbers, got nan at index 0"),
        ("matrix.npy", numpy_bytes(np.zeros((20, 4))), r"list of labels, got an array float64 of shape \(20, 4\)"),
        (
            "two.npz",
            numpy_bytes(None, np.savez, a=np.zeros(20), b=np.zeros(20)),
            "one named 'given', and it holds 'a', 'b'",
        ),
        ("truth.json", json.dumps([True] * 20).encode(), "list of labels, got an array bool"),
        ("one.json", b"5", "list of labels"),
        ("broken.json", b"[1, 2", "truncated, damaged"),
        ("page.npy", b"<!DOCTYPE html><html>" + 9000 * b"x", "is a web page"),
        ("page.pt", b"<!DOCTYPE html><html>" + 9000 * b"x", "is a web page"),
        ("labels.xlsx", b"PK", r"must be .npy, .npz, .csv, .tsv, .txt, .json, .pt or .pth, got '.xlsx'"),
        ("labels", b"1", "got 'no suffix'"),
    ],
)
def test_what_is_refused_in_one_sentence(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_labels(tmp_path / name, SAMPLES)
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith((".", ")."))
    assert len(text) < 400


def test_paths_for_images_that_have_none(tmp_path):
    (tmp_path / "paths.csv").write_bytes(FORMS["paths.csv"])
    with pytest.raises(InputError, match="these images have none; give index,label"):
        read_labels(tmp_path / "paths.csv", Samples(20, CLASSES))
