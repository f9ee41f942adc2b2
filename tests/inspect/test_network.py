"""Pictures without features: a short training, damaged files, and networks that are not there."""

import sys
import types

import numpy as np
import pytest
import torch

from sparseop.errors import InputError
from sparseop.inspect import demo
from sparseop.inspect.network import _read, inspect_pictures
from sparseop.inspect.reading import Source, read
from sparseop.inspect.thumbnails import ArrayPictures

PIL = pytest.importorskip("PIL.Image")


@pytest.fixture
def folder(tmp_path):
    """Forty pictures of two classes in folders, four of them mislabelled, two damaged."""
    rng = np.random.default_rng(0)
    for name, level in (("dark", 60), ("light", 190)):
        (tmp_path / name).mkdir()
        for i in range(20):
            wrong = i < 2
            value = 250 - level if wrong else level
            pixels = (value + rng.normal(0, 12, (20, 24, 3))).clip(0, 255).astype(np.uint8)
            PIL.fromarray(pixels).save(tmp_path / name / f"{i:02d}.png")
    (tmp_path / "dark" / "07.png").write_bytes((tmp_path / "dark" / "07.png").read_bytes()[:60])
    (tmp_path / "light" / "notes.txt").write_text("no picture")
    return tmp_path


def test_a_folder_of_class_folders_with_damaged_files(folder, tmp_path):
    source = read(folder)
    assert source.features is None
    assert any("notes" not in note and "not read" in note for note in source.notes)
    found = inspect_pictures(source, minutes=0.01, work=tmp_path / "work")
    assert len(found.table) == 39
    assert "network" in found.table
    assert any("1 pictures are left out" in note and "07.png" in note for note in found.notes)
    row = found.table.set_index("path").loc["light/05.png", "row"]
    assert row == 25  # the input's own, though an earlier picture is left out
    trained = found.to_train()
    assert len(trained) == 40
    assert trained.loc[7, "use"] == 0  # the damaged one
    wrong = {f"{name}/{i:02d}.png" for name in ("dark", "light") for i in range(2)}
    assert len(wrong & set(found.table["path"][:8])) >= 3
    said = []
    again = inspect_pictures(source, minutes=0.01, work=tmp_path / "work", say=said.append)
    assert not any("training" in text for text in said)
    np.testing.assert_array_equal(again.table["suspicion"], found.table["suspicion"])


def test_all_damaged_is_one_sentence(folder):
    for path in folder.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match="none of the 40 pictures can be read"):
        inspect_pictures(read(folder), minutes=0.01)


@pytest.mark.parametrize("shape", [(3, 8, 8), (3, 40, 30, 3), (3, 3, 32, 32)])
def test_arrays_of_pictures_become_squares_of_one_size(shape):
    images, rows, notes = _read(ArrayPictures(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)))
    assert images.shape == (3, 3, 32, 32)
    assert notes == ()
    np.testing.assert_array_equal(rows, np.arange(3))


@pytest.fixture
def timm(monkeypatch):
    """A stand-in for timm with one network: the mean of each channel in sixteen squares."""

    class Squares(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.pretrained_cfg = {"mean": (0.5, 0.5, 0.5), "std": (0.2, 0.2, 0.2), "input_size": (3, 64, 64)}

        def forward(self, images):
            assert images.shape[1:] == (3, 64, 64)
            return torch.nn.functional.adaptive_avg_pool2d(images, 8).flatten(1)

    module = types.ModuleType("timm")
    module.is_model = lambda name: name == "squares"
    module.list_models = lambda *_, **__: ["squares"]
    module.create_model = lambda *_, **__: Squares()
    monkeypatch.setitem(sys.modules, "timm", module)


def test_a_pretrained_network_by_name_makes_the_features(timm):
    pictures, right = demo.digits()
    given = right[:120].copy()
    given[:6] = (given[:6] + 3) % 10
    found = inspect_pictures(Source(given, None, None, ArrayPictures(pictures[:120])), network="squares")
    assert "network" not in found.table  # SOP's u and v are those of a trained one
    assert (found.table["row"][:8] < 6).sum() >= 4


def test_an_unknown_network_is_named(timm):
    pictures, labels = demo.digits()
    with pytest.raises(InputError, match="must be a network of timm, got 'square'; near: squares"):
        inspect_pictures(Source(labels[:50], None, None, ArrayPictures(pictures[:50])), network="square")


def test_fewer_than_two_class_folders_is_one_sentence(tmp_path):
    (tmp_path / "one").mkdir()
    with pytest.raises(InputError, match="at least two class folders"):
        read(tmp_path)
