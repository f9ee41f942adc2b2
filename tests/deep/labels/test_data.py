"""A run on somebody's own pictures: their labels stay as they are, and a run that goes on does so on the same
pictures."""

import json

import numpy as np
import pytest
from PIL import Image

from sparseop.deep.labels import recipe as recipes
from sparseop.deep.labels import run
from sparseop.deep.labels.data import prepare
from sparseop.errors import InputError
from tests.deep.runs import StopError, stop_in

TINY = ["network.width=4", "training.epochs=2", "training.batch_size=4", "training.pad=1", "training.hole=3"]


@pytest.fixture
def pictures(tmp_path):
    """Return a folder of two class folders with ten pictures each."""
    for label, name in enumerate(("cat", "dog")):
        for i in range(10):
            (tmp_path / "data" / name).mkdir(parents=True, exist_ok=True)
            colours = np.random.default_rng(100 * label + i).integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(colours).save(tmp_path / "data" / name / f"{i}.png")
    return tmp_path / "data"


def recipe(*overrides, base="digits_sym40_sop"):
    return recipes.read(base, ["data.name=folder", *TINY, *overrides])


def test_nobodys_labels_are_changed_unasked(pictures):
    with pytest.raises(InputError, match=r"noise.kind = 'symmetric\w*' would change labels of folder.*noise.kind=none"):
        prepare(recipe("noise.kind=symmetric"), pictures)
    same = prepare(recipe("noise.kind=none"), pictures)
    assert not same.labels.corrupted.any()
    for asked in ("noise.on_top=true", "data.clean=true"):
        assert prepare(recipe("noise.kind=symmetric", "noise.rate=0.5", asked), pictures).labels.realised_rate == 0.5


def test_labels_of_a_file_by_path(pictures, tmp_path):
    names = sorted(f"{path.parent.name}/{path.name}" for path in pictures.rglob("*.png"))
    (tmp_path / "labels.csv").write_text("path,label\n" + "".join(f"{name},dog\n" for name in names))
    found = prepare(recipe("noise.kind=file", f"noise.path={tmp_path / 'labels.csv'}"), pictures)
    assert found.labels.given.unique().tolist() == [1]


def test_a_run_knows_its_classes_paths_and_pictures_when_it_goes_on(pictures, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(StopError):
        run.train(recipe("noise.kind=none", base="digits_sym40_ce"), folder, data_root=pictures, watch=stop_in(1))
    about = json.loads((folder / "run.json").read_text())
    assert about["classes"] == ["cat", "dog"]
    assert any("held out" in note for note in about["notes"])
    listed = (folder / "images.txt").read_text().splitlines()
    assert len(listed) == 16
    assert all((pictures / name).is_file() for name in listed)
    Image.new("RGB", (8, 8)).save(pictures / listed[0])  # another picture of another size on disk, the same label
    with pytest.raises(InputError, match=r"the images \(paths and sizes of their files, or their pixels\) differ"):
        run.resume(folder, data_root=pictures)
