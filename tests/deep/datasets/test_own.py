"""Your own pictures: what is data, what is held out, what is damaged, and what the notes say of it."""

import numpy as np
import pytest
import torch
from PIL import Image

from sparseop.deep import datasets
from sparseop.deep.datasets import load, own
from sparseop.errors import InputError


def picture(path, seed=0, size=(12, 10)):
    path.parent.mkdir(parents=True, exist_ok=True)
    colours = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(colours).save(path)
    return path


def write(root, n=10, classes=("cat", "dog"), parts=("",)):
    for part in parts:
        for label, name in enumerate(classes):
            for i in range(n):
                picture(root / part / name / f"{i}.png", 100 * label + i)
    return root


def test_class_folders_alone_hold_out_a_share_of_each_class(tmp_path):
    data = load("folder", write(tmp_path), held_out=0.3)
    assert (len(data.train_images), len(data.test_images)) == (14, 6)
    assert torch.bincount(data.test_labels).tolist() == [3, 3]
    assert not set(data.train_names) & set(data.test_names)
    assert any("30% of each class, are held out" in note for note in data.notes)
    picture(tmp_path / "cat" / "new.png", 99)  # what was held out stays so when a picture comes
    after = load("folder", tmp_path, held_out=0.3)
    assert len(set(data.test_names) - set(after.test_names)) <= 1
    assert set(data.test_names) & {f"dog/{i}.png" for i in range(10)} <= set(after.test_names)


def test_names_labels_and_images_belong_together(tmp_path):
    data = load("folder", write(tmp_path))
    for name, label, image in zip(data.train_names, data.train_labels.tolist(), data.train_images, strict=True):
        assert name.split("/")[0] == data.classes[label]
        alone = Image.open(tmp_path / name)
        with alone:
            expected = np.asarray(alone.convert("RGB"))[:, 1:11]
        assert np.abs(image.permute(1, 2, 0).numpy().astype(int) - expected).max() <= 1


def test_size_and_normalisation_come_from_the_pictures(tmp_path):
    data = load("folder", write(tmp_path))
    assert data.train_images.shape[2:] == (10, 10)
    pixels = data.train_images.double().transpose(0, 1).flatten(1) / 255
    assert data.mean == pytest.approx(pixels.mean(1).tolist(), abs=1e-12)
    assert data.std == pytest.approx(pixels.std(1, correction=0).tolist(), abs=1e-12)
    large = write(tmp_path / "large", 2)
    for path in large.rglob("*.png"):
        picture(path, size=(90, 70))
    data = load("folder", large)
    assert data.train_images.shape[2:] == (32, 32)
    assert any("typically 70 pixels" in note for note in data.notes)
    assert load("folder", large, size=48).train_images.shape[2:] == (48, 48)


def test_pictures_in_their_files_have_the_same_normalisation(tmp_path, monkeypatch):
    kept = load("folder", write(tmp_path))
    monkeypatch.setattr(own, "IN_MEMORY", 0)
    lazy = load("folder", tmp_path)
    assert not isinstance(lazy.train_images, torch.Tensor)
    assert (lazy.mean, lazy.std, lazy.images_sha256) == (kept.mean, kept.std, kept.images_sha256)


def test_what_systems_leave_behind_is_no_class_and_no_picture(tmp_path):
    write(tmp_path)
    for name in (".ipynb_checkpoints", "__MACOSX", ".git", "@eaDir"):
        picture(tmp_path / name / "x.png")
    picture(tmp_path / "cat" / "._0.png")
    picture(tmp_path / "cat" / ".ipynb_checkpoints" / "1-checkpoint.png")
    data = load("folder", tmp_path)
    assert data.classes == ("cat", "dog")
    assert len(data.train_names) + len(data.test_names) == 20


def test_what_is_not_read_is_counted_and_said(tmp_path):
    write(tmp_path / "d")
    (tmp_path / "d" / "cat" / "a.heic").touch()
    (tmp_path / "d" / "cat" / "b.heic").touch()
    (tmp_path / "d" / "dog" / "notes").touch()
    picture(tmp_path / "d" / "loose.png")
    picture(tmp_path / "elsewhere" / "0.png")
    (tmp_path / "d" / "cat" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "d" / "cat" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "d" / "cat" / "linked.png").symlink_to(tmp_path / "elsewhere" / "0.png")  # a picture like others
    data = load("folder", tmp_path / "d")
    said = "; ".join(data.notes)
    for part in (
        r"3 files in",
        "2 .heic, 1 without suffix",
        "1 link to a folder",
        "leading nowhere",
        "1 picture in",
        "in no class folder",
    ):
        assert part in said
    assert "cat/linked.png" in data.train_names + data.test_names
    (tmp_path / "d" / "cow").symlink_to(tmp_path / "elsewhere")  # a class folder may be a link
    picture(tmp_path / "elsewhere" / "1.png")
    assert load("folder", tmp_path / "d").classes == ("cat", "cow", "dog")


def test_a_circle_of_links_ends(tmp_path):
    write(tmp_path)
    (tmp_path / "cat" / "round").symlink_to(tmp_path)
    assert len(load("folder", tmp_path).train_names) == 16


def test_a_class_may_be_called_train(tmp_path):
    assert load("folder", write(tmp_path / "a", classes=("car", "train"))).classes == ("car", "train")
    split = write(tmp_path / "b", parts=("train", "test"))
    assert len(load("folder", split).test_names) == 20
    assert load("folder", split).test_names[0] == "test/cat/0.png"
    only = write(tmp_path / "c", parts=("train",))
    assert len(load("folder", only).test_names) == 4


def damage(root):
    """Cut one picture in half, make another empty, and put text in the place of a third; return their names."""
    names = ("train/cat/3.png", "train/dog/5.png", "test/dog/0.png")
    whole = (root / names[0]).read_bytes()
    (root / names[0]).write_bytes(whole[: len(whole) // 2])
    (root / names[1]).write_bytes(b"")
    (root / names[2]).write_text("no picture")
    return names


@pytest.mark.parametrize("in_memory", [0, own.IN_MEMORY])
def test_damaged_pictures_are_found_before_training_in_one_list(tmp_path, monkeypatch, in_memory):
    monkeypatch.setattr(own, "IN_MEMORY", in_memory)
    names = damage(write(tmp_path, parts=("train", "test")))
    with pytest.raises(InputError, match="3 of 40 pictures cannot be read") as caught:
        load("folder", tmp_path)
    assert all(name in str(caught.value) for name in names)
    assert "data.damaged = 'leave out'" in str(caught.value)
    data = load("folder", tmp_path, damaged="leave out")
    assert not set(names) & {*data.train_names, *data.test_names}
    assert (len(data.train_images), len(data.train_labels)) == (18, 18)
    assert any("3 of 40 pictures cannot be read and are left out: train/cat/3.png" in note for note in data.notes)
    data.train_images[:18] if in_memory else data.train_images.fetch(torch.arange(18))


def test_pictures_that_nobody_has_looked_at(tmp_path, monkeypatch):
    damage(write(tmp_path, parts=("train", "test")))
    monkeypatch.setattr(own, "IN_MEMORY", 0)
    data = load("folder", tmp_path, damaged="unchecked", size=8)
    with pytest.raises(InputError, match=r"3.png' cannot be read"):
        data.train_images.fetch(torch.arange(20))


def test_a_part_without_a_whole_picture(tmp_path):
    write(tmp_path, 1, parts=("train", "test"))
    for path in (tmp_path / "test").rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match="none of the 2 test pictures can be read"):
        load("folder", tmp_path, damaged="leave out")


def test_an_empty_test_class_is_noted(tmp_path):
    write(tmp_path, parts=("train", "test"))
    for path in (tmp_path / "test" / "dog").iterdir():
        path.unlink()
    assert any("1 of 2 classes have no test image: 'dog'" in note for note in load("folder", tmp_path).notes)


def test_the_digest_tells_other_files_from_these(tmp_path):
    first = load("folder", write(tmp_path)).images_sha256
    assert load("folder", tmp_path).images_sha256 == first
    picture(tmp_path / "cat" / "0.png", 5, (40, 40))
    assert load("folder", tmp_path).images_sha256 != first
    assert (
        load("digits").images_sha256 == load("digits").images_sha256 != load("shapes", train=20, test=20).images_sha256
    )


def table(root, text, name="labels.csv"):
    (root / name).write_text(text, encoding="utf-8")
    return root


ROWS = [f"{name}/{i}.png,{name}" for name in ("cat", "dog") for i in range(10)]


def test_a_table_of_paths_and_labels(tmp_path):
    write(tmp_path)
    data = load("csv", table(tmp_path, "\ufeffpath,label\r\n" + "\r\n".join(ROWS) + "\r\n\r\n"))
    folder = load("folder", tmp_path)
    assert data.classes == folder.classes
    assert set(data.test_names) == set(folder.test_names)
    split = [f"{row},{'test' if '/3' in row else 'train'}" for row in ROWS]
    data = load(
        "csv", table(tmp_path, "Image;Class;Split\n" + "\n".join(split).replace(",", ";"), "s.csv"), file="s.csv"
    )
    assert data.test_names == ("cat/3.png", "dog/3.png")
    assert data.train_labels.tolist() == [0] * 9 + [1] * 9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\n", "a header and at least one row"),
        ("where,label\na,b\n", "must have a column named 'path' or"),
        ("path,label\ncat/0.png,cat\ncat/1.png\n", "line 3 of .* must have 2 entries"),
        ("path,label\ncat/0.png,cat\ncat/0.png,dog\n", "lists 'cat/0.png' a second time"),
        ("path,label\ncat/0.png,\n", "must have a path and a label"),
        ("path,label\ncat/0.png,cat\n", "at least two classes, got 1"),
        ("path,label\ncat/0.png,cat\ncat/1.png,cat\ngone.png,dog\ndog/1.png,dog\n", r"gone.png' is not there"),
        ("path,label,split\ncat/0.png,cat,train\ndog/0.png,dog,train\ndog/1.png,cow,test\n", "of the class 'cow'"),
    ],
)
def test_tables_that_are_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        load("csv", table(write(tmp_path), text))


def test_a_table_that_is_none(tmp_path):
    with pytest.raises(InputError, match=r"labels.csv' is not there"):
        load("csv", tmp_path)
    (tmp_path / "labels.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="no text in UTF-8"):
        load("csv", tmp_path)


def test_every_set_of_files_says_what_it_does_with_damaged_ones():
    for name in datasets.DATASETS:
        if "size" in datasets.signature(name).parameters and name != "shapes":
            assert "damaged" in datasets.signature(name).parameters
