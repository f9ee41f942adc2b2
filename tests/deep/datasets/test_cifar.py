"""Tiny files of the official layout, in Python 2's pickles and today's; the true files where SPARSEOP_DATA has them."""

import http.client
import io
import os
import pickle
import struct
import tarfile
import zipfile
from types import MappingProxyType

import numpy as np
import pytest
import torch

from sparseop.deep.datasets import cifar as cifar_module
from sparseop.deep.datasets import load, signature
from sparseop.deep.datasets.unpickle import read_pickle
from sparseop.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:cifar:UserWarning")
RNG = np.random.default_rng(0)


def python2(value):
    """Write the subset of pickle protocol 2 that Python 2 wrote into the official archives.

    Byte strings, numpy 1 names.
    """

    def string(text):
        raw = text.encode() if isinstance(text, str) else text
        return b"U" + bytes([len(raw)]) + raw if len(raw) < 256 else b"T" + struct.pack("<i", len(raw)) + raw

    def number(n):
        return b"J" + struct.pack("<i", n)

    def item(v):
        if isinstance(v, np.ndarray):
            shape = b"(" + b"".join(number(n) for n in v.shape) + b"t"
            kind = (
                b"cnumpy\ndtype\n"
                + string("u1")
                + b"K\x00K\x01\x87R"
                + b"(K\x03"
                + string("|")
                + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
            )
            return (
                b"cnumpy.core.multiarray\n_reconstruct\n"
                + b"cnumpy\nndarray\n"
                + b"K\x00\x85"
                + string("b")
                + b"\x87R"
                + b"(K\x01"
                + shape
                + kind
                + b"\x89"
                + string(v.tobytes())
                + b"tb"
            )
        if isinstance(v, list):
            return b"](" + b"".join(item(x) for x in v) + b"e"
        return number(v) if isinstance(v, int) else string(v)

    return b"\x80\x02}(" + b"".join(string(k) + item(v) for k, v in value.items()) + b"u."


def today(value):
    return pickle.dumps(value, protocol=4)


def protocol2(value):
    return pickle.dumps(value, protocol=2)


def protocol5(value):
    return pickle.dumps(value, protocol=5)


def write_cifar10(folder, dump=today, per_batch=4):
    folder.mkdir(parents=True)
    images = RNG.integers(0, 256, (6 * per_batch, 3072), dtype=np.uint8)
    labels = [int(i) for i in RNG.integers(0, 10, 6 * per_batch)]
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    for i, name in enumerate(names):
        part = slice(i * per_batch, (i + 1) * per_batch)
        (folder / name).write_bytes(dump({"batch_label": name, "labels": labels[part], "data": images[part]}))
    (folder / "batches.meta").write_bytes(dump({"label_names": [f"class {i}" for i in range(10)]}))
    return images.reshape(-1, 3, 32, 32), labels


def write_cifar100(folder, dump=today):
    folder.mkdir(parents=True)
    for name, n in (("train", 12), ("test", 5)):
        held = {
            "fine_labels": list(range(n)),
            "coarse_labels": [i // 5 for i in range(n)],
            "data": RNG.integers(0, 256, (n, 3072), dtype=np.uint8),
        }
        (folder / name).write_bytes(dump(held))
    (folder / "meta").write_bytes(dump({"fine_label_names": [f"fine {i}" for i in range(100)]}))


@pytest.mark.parametrize("dump", [python2, today, protocol2, protocol5])
def test_cifar10_from_old_and_new_pickles(tmp_path, dump):
    images, labels = write_cifar10(tmp_path / "cifar-10-batches-py", dump)
    found = load("cifar10", tmp_path)
    assert torch.equal(found.train_images, torch.from_numpy(images[:20]))
    assert torch.equal(found.test_images, torch.from_numpy(images[20:]))
    assert found.train_labels.tolist() == labels[:20]
    assert found.classes[3] == "class 3"
    assert torch.equal(load("cifar10", tmp_path / "cifar-10-batches-py").train_images, found.train_images)


def test_the_hand_written_python2_pickle_is_one():
    value = {"labels": [3, 300], "data": np.arange(600, dtype=np.uint8).reshape(2, 300)}
    loaded = pickle.loads(python2(value), encoding="bytes")  # our own bytes
    assert loaded[b"labels"] == [3, 300]
    assert np.array_equal(loaded[b"data"], value["data"])


def test_from_the_packed_archive(tmp_path):
    images, _ = write_cifar10(tmp_path / "made" / "cifar-10-batches-py")
    root = tmp_path / "root"
    root.mkdir()
    with tarfile.open(root / "cifar-10-python.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "made" / "cifar-10-batches-py", "cifar-10-batches-py")
    assert torch.equal(load("cifar10", root).train_images, torch.from_numpy(images[:20]))
    assert list(root.iterdir()) == [root / "cifar-10-python.tar.gz"]
    packed = (root / "cifar-10-python.tar.gz").read_bytes()
    (root / "cifar-10-python.tar.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(InputError, match=r"cifar-10-python.tar.gz' cannot be read; it is truncated"):
        load("cifar10", root)


def packed(root, file="cifar-10-python.tar.gz", prefix=""):
    """Write an archive of the official layout, as ``tar -C folder -czf archive .`` does with the prefix './'."""
    images, _ = write_cifar10(root.parent / "made" / "cifar-10-batches-py")
    root.mkdir()
    with tarfile.open(root / file, "w:gz") as tar:
        tar.add(root.parent / "made" / "cifar-10-batches-py", f"{prefix}cifar-10-batches-py")
    return torch.from_numpy(images[:20])


def test_an_archive_whose_names_begin_with_a_dot(tmp_path):
    images = packed(tmp_path / "root", prefix="./")
    assert torch.equal(load("cifar10", tmp_path / "root").train_images, images)


def test_a_folder_that_was_unpacked_in_part_beside_the_whole_archive(tmp_path, monkeypatch):
    images = packed(tmp_path / "root")
    folder = tmp_path / "root" / "cifar-10-batches-py"
    folder.mkdir()
    for name in ("data_batch_1", "batches.meta"):
        (folder / name).write_bytes((tmp_path / "made" / "cifar-10-batches-py" / name).read_bytes())
    found = load("cifar10", tmp_path / "root")
    assert torch.equal(found.train_images, images)
    assert any("'cifar-10-batches-py' is not whole" in note for note in found.notes)
    for file in (tmp_path / "made" / "cifar-10-batches-py").iterdir():  # every file is there, and the last one is cut
        (folder / file.name).write_bytes(file.read_bytes()[: 100 if file.name == "test_batch" else None])
    archive = tmp_path / "root" / "cifar-10-python.tar.gz"
    whole = archive.read_bytes()
    monkeypatch.setattr(cifar_module, "_md5", lambda c: cifar_module.CIFAR10.md5 if c == whole else "another")
    assert torch.equal(load("cifar10", tmp_path / "root").train_images, images)
    archive.unlink()
    with pytest.raises(InputError, match=r"test_batch' cannot be read; it is truncated"):
        load("cifar10", tmp_path / "root")
    (folder / "batches.meta").unlink()
    with pytest.raises(InputError, match=r"batches.meta' is missing; the folder .* is not complete. Get https"):
        load("cifar10", tmp_path / "root")


def test_a_web_page_saved_as_the_file(tmp_path):
    page = "\n<!DOCTYPE html>\n<html><body>Too many downloads" + 5000 * "x"
    (tmp_path / "cifar-10-python.tar.gz").write_text(page)
    with pytest.raises(InputError, match=r"tar.gz' is a web page that was saved under that name") as caught:
        load("cifar10", tmp_path)
    assert len(str(caught.value)) < 300
    write_cifar10(tmp_path / "cifar-10-batches-py")
    (tmp_path / "CIFAR-10_human.pt").write_text(page)
    with pytest.raises(InputError, match=r"human.pt' is a web page"):
        load("cifar10n", tmp_path)


def test_cifar100_with_superclasses(tmp_path):
    write_cifar100(tmp_path / "cifar-100-python")
    found = load("cifar100", tmp_path)
    assert found.n_classes == 100
    assert found.coarse_labels.tolist() == [i // 5 for i in range(12)]


@pytest.mark.filterwarnings("error")
def test_other_files_are_a_warning_and_a_note(tmp_path):
    write_cifar10(tmp_path / "cifar-10-batches-py")
    with pytest.warns(UserWarning, match="checksum differs for data_batch_1 .*20 training images instead of 50,000"):
        found = load("cifar10", tmp_path)
    assert "checksum differs" in found.notes[0]


class Evil:
    def __reduce__(self):
        return exec, ("raise SystemExit('the file ran code')",)


@pytest.mark.parametrize(
    "payload",
    [
        Evil(),
        {"data": Evil()},
        {"data": np.array([Evil()], dtype=object)},
        {"data": np.float64},
        {"a": bytearray(b"x"), "b": pickle},
    ],
)
def test_code_in_a_pickle_is_never_run(payload):
    try:
        content = pickle.dumps(payload, protocol=4)
    except TypeError:
        content = b"cos\nsystem\n(S'exit'\ntR."
    with pytest.raises(InputError, match=r"cannot be read; .*(names|not read)"):
        read_pickle(content, "file")


def test_arrays_that_lie_about_their_size_are_refused():
    content = python2({"data": np.zeros((2, 100), np.uint8)}).replace(b"J\x64\x00\x00\x00", b"J\xff\xff\xff\x7f")
    with pytest.raises(InputError, match="does not match its 200 bytes"):
        read_pickle(content, "file")


def test_every_truncation_is_one_sentence():
    content = today({"labels": [1, 2], "data": np.zeros((2, 5), np.uint8)})
    for end in range(len(content)):
        with pytest.raises(InputError, match="'file' cannot be read; it is truncated, damaged"):
            read_pickle(content[:end], "file")
    with pytest.raises(InputError, match="must hold a dictionary, got list"):
        read_pickle(today([1]), "file")


def test_missing_and_inconsistent_files(tmp_path, monkeypatch):
    monkeypatch.delenv("SPARSEOP_DATA", raising=False)
    with pytest.raises(InputError, match="cifar10 needs a data folder: give --data-root DIR or set SPARSEOP_DATA"):
        load("cifar10")
    with pytest.raises(InputError, match=r"the folder '.*nowhere/cifar-10-batches-py' nor the archive .*--download"):
        load("cifar10", tmp_path / "nowhere")
    folder = tmp_path / "cifar-10-batches-py"
    write_cifar10(folder)
    good = (folder / "data_batch_3").read_bytes()
    for change, message in (
        ({"labels": [1, 2]}, "holds 4 images but 2 labels"),
        ({"labels": [1, 2, 3, 40]}, "classes 0 to 9, got 40"),
        ({"labels": [0.5] * 4}, "list of whole numbers"),
        ({"data": np.zeros((4, 100), np.uint8)}, r"uint8 pixels of shape \(n, 3072\)"),
    ):
        (folder / "data_batch_3").write_bytes(today(pickle.loads(good) | change))
        with pytest.raises(InputError, match=message):
            load("cifar10", tmp_path)
    (folder / "data_batch_3").unlink()
    with pytest.raises(InputError, match=r"data_batch_3' is missing"):
        load("cifar10", tmp_path)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(InputError, match="is a file"):
        load("cifar10", file)


def write_human(path, labels, **held):
    """As published: a zip of torch.save's layout whose pickle names numpy's functions by their old address."""
    arrays = {"clean_label": np.array(labels), **{k: np.array(v) for k, v in held.items()}}
    content = pickle.dumps(arrays, protocol=2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/version", "3\n")


def test_human_labels(tmp_path):
    _, labels = write_cifar10(tmp_path / "cifar-10-batches-py")
    clean, path = labels[:20], tmp_path / "CIFAR-10_human.pt"
    worst = [(y + 1) % 10 for y in clean]
    with pytest.raises(InputError, match=r"CIFAR-10_human.pt', which is not there. Get .*cifar-10-100n"):
        load("cifar10n", tmp_path)
    write_human(path, clean, worse_label=worst)
    found = load("cifar10n", tmp_path, labels="worst")
    assert found.given_labels.tolist() == worst
    assert found.train_labels.tolist() == clean
    with pytest.raises(InputError, match="has no 'aggre_label'; it holds clean_label, worse_label"):
        load("cifar10n", tmp_path, labels="aggregate")
    torch.save({"clean_label": torch.tensor(clean), "worse_label": torch.tensor(worst)}, path)
    assert load("cifar10n", tmp_path).given_labels.tolist() == worst
    for bad, message in ((worst[:-1], "must have 20 entries"), ([*worst[:-1], 10], "classes 0 to 9, got 10")):
        write_human(path, clean, worse_label=bad)
        with pytest.raises(InputError, match=message):
            load("cifar10n", tmp_path)
    write_human(path, worst, worse_label=worst)
    with pytest.raises(InputError, match=r"belongs to other images: .* differ from cifar10's for 20 of 20"):
        load("cifar10n", tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"not a file of torch\.save"):
        load("cifar10n", tmp_path)
    torch.save([1, 2], path)
    with pytest.raises(InputError, match="must hold a dictionary, got list"):
        load("cifar10n", tmp_path)


def test_human_labels_of_cifar100(tmp_path):
    write_cifar100(tmp_path / "cifar-100-python")
    write_human(tmp_path / "CIFAR-100_human.pt", list(range(12)), noisy_label=[0] * 12)
    assert load("cifar100n", tmp_path).given_labels.tolist() == [0] * 12


def test_download_is_whole_or_not_at_all(tmp_path, monkeypatch):
    class Answer(io.BytesIO):
        headers = MappingProxyType({"Content-Length": "10"})

    monkeypatch.setattr(cifar_module.urllib.request, "urlopen", lambda *_, **__: Answer(b"12345"))
    with pytest.raises(InputError, match=r"could not be downloaded \(a: ended after 5 of 10 bytes"):
        cifar_module.fetch(("a",), tmp_path / "file")

    class Broken(Answer):
        def read(self, _):
            raise http.client.IncompleteRead(b"123", 7)

    monkeypatch.setattr(cifar_module.urllib.request, "urlopen", lambda *_, **__: Broken())
    with pytest.raises(
        InputError, match=r"could not be downloaded \(a: IncompleteRead\(3 bytes read, 7 more expected\)"
    ):
        cifar_module.fetch(("a",), tmp_path / "file")
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(cifar_module.urllib.request, "urlopen", lambda *_, **__: Answer(b"1234567890"))
    cifar_module.fetch(("a",), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"1234567890"


def test_digits_need_nothing():
    found = load("digits")
    assert found.train_images.shape == (1347, 1, 8, 8)
    assert found.test_images.shape == (450, 1, 8, 8)
    assert torch.bincount(found.train_labels).min() >= 130
    pixels = found.train_images.double() / 255
    assert (pixels.mean().item(), pixels.std().item()) == pytest.approx((found.mean[0], found.std[0]), abs=1e-3)


def test_digits_are_those_of_sklearn():
    from sklearn.datasets import load_digits

    theirs, found = load_digits(), load("digits")
    test = np.arange(1797) % 4 == 0
    assert np.array_equal(found.test_labels.numpy(), theirs.target[test])
    assert np.allclose(found.train_images.numpy()[:, 0] / 255 * 16, theirs.images[~test], atol=0.04)


def test_unknown_names_and_options():
    with pytest.raises(InputError, match="Did you mean 'cifar10'"):
        load("cifar-10", ".")
    with pytest.raises(InputError, match="dataset 'digits' takes no option, got 'size'"):
        load("digits", size=3)
    with pytest.raises(InputError, match="Did you mean 'labels'"):
        load("cifar10n", ".", label="worst")
    with pytest.raises(InputError, match="Did you mean 'worst'"):
        load("cifar10n", ".", labels="worse")
    assert list(signature("cifar10n").parameters) == ["labels"]


REAL = os.environ.get("SPARSEOP_DATA", "")


@pytest.mark.slow
@pytest.mark.skipif(not REAL, reason="SPARSEOP_DATA does not name a folder with CIFAR and CIFAR-N")
@pytest.mark.parametrize(
    ("name", "labels", "wrong"),
    [
        ("cifar10n", "aggregate", 9.01),
        ("cifar10n", "random1", 17.23),
        ("cifar10n", "random2", 18.12),
        ("cifar10n", "random3", 17.64),
        ("cifar10n", "worst", 40.21),
        ("cifar100n", "noisy", 40.20),
    ],
)
def test_published_noise_rates_of_the_true_files(name, labels, wrong):
    found = load(name, REAL, labels=labels)
    assert found.train_images.shape == (50_000, 3, 32, 32)
    assert found.test_images.shape == (10_000, 3, 32, 32)
    assert (torch.bincount(found.train_labels) == 50_000 // found.n_classes).all()
    assert round(100 * (found.given_labels != found.train_labels).double().mean().item(), 2) == wrong
