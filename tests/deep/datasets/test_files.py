"""Layouts of the large sets, on folders of a few small images."""

import numpy as np
import pytest
import torch
from PIL import Image

from sparseop.deep.datasets import LazyImages, load, own
from sparseop.deep.datasets.files import ImageFiles, read_square
from sparseop.errors import InputError


def picture(path, colour, size=(20, 10)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def colour_of(images, index=0):
    return images[index].flatten(1).double().mean(1).round().int().tolist()


def test_image_files_are_squares_of_the_centre(tmp_path):
    wide = np.zeros((10, 20, 3), np.uint8)
    wide[:, 5:15] = (0, 200, 0)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    picture(tmp_path / "grey.png", (7, 7, 7), (3, 9))
    files = ImageFiles([tmp_path / "wide.png", tmp_path / "grey.png"], 10)
    assert isinstance(files, LazyImages)
    assert files.shape == (2, 3, 10, 10)
    found = files.fetch(torch.tensor([1, 0, 0]))
    assert found.shape == (3, 3, 10, 10)
    assert colour_of(found, 0) == [7, 7, 7]
    assert colour_of(found, 1) == [0, 200, 0]
    stretched = ImageFiles([tmp_path / "wide.png"], 10, stretch=True).fetch(torch.tensor([0]))
    assert stretched[0, 1, :, 0].max() < 100 < stretched[0, 1, 5, 5]
    assert files.fetch(torch.tensor([], dtype=torch.int64)).shape == (0, 3, 10, 10)


@pytest.mark.parametrize(("width", "height", "side"), [(50, 37, 26), (37, 50, 64), (40, 20, 10), (11, 11, 11)])
def test_a_square_is_cut_from_the_scaled_image(width, height, side, tmp_path):
    """As if it were scaled whole, but for pillow's rounding between its two passes."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))
    image.save(tmp_path / "a.png")
    wide, tall = (round(length * side / min(width, height)) for length in (width, height))
    left, top = (wide - side) // 2, (tall - side) // 2
    expected = image.resize((wide, tall), Image.Resampling.BILINEAR).crop((left, top, left + side, top + side))
    found = read_square(str(tmp_path / "a.png"), side)
    torch.testing.assert_close(
        found.float(), torch.from_numpy(np.array(expected)).permute(2, 0, 1).float(), atol=1, rtol=0
    )


def test_a_strip_does_not_grow(tmp_path):
    """Scaled whole, it would take ten gigabytes."""
    picture(tmp_path / "strip.png", (1, 2, 3), (1, 60_000))
    assert colour_of(read_square(str(tmp_path / "strip.png"), 224)[None]) == [1, 2, 3]


def test_a_size_beyond_reason():
    with pytest.raises(InputError, match="size must be >= 1 and <= 4096, got 100000000"):
        ImageFiles([], 10**8)


def test_bad_images_are_named(tmp_path):
    good = picture(tmp_path / "a.png", (1, 2, 3), (40, 40))
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:60])
    (tmp_path / "text.jpg").write_text("no image")
    for name in ("cut.png", "text.jpg"):
        with pytest.raises(InputError, match=rf"{name}' cannot be read; it is truncated, damaged or no image"):
            ImageFiles([tmp_path / name], 8).fetch(torch.tensor([0]))
    with pytest.raises(InputError, match=r"gone.png' is not there"):
        ImageFiles([tmp_path / "gone.png"], 8).fetch(torch.tensor([0]))


def write_folder(root, test="test"):
    for label, name in enumerate(("class 10", "class 2", "cat")):
        for i in range(3):
            picture(root / "train" / name / f"{i}.png", (label, 100, i))
        picture(root / test / name / "deep" / "0.jpg", (label, 100, 9))
    return root


def test_folder(tmp_path):
    found = load("folder", write_folder(tmp_path), size=8)
    assert found.classes == ("cat", "class 2", "class 10")
    assert found.train_images.shape == (9, 3, 8, 8)
    assert found.train_labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert found.test_labels.tolist() == [0, 1, 2]
    assert found.mean[1] == pytest.approx(100 / 255)
    assert not found.truth_known
    assert load("folder", tmp_path, clean=True).truth_known


def test_a_large_folder_stays_in_its_files(tmp_path, monkeypatch):
    monkeypatch.setattr(own, "IN_MEMORY", 1)
    found = load("folder", write_folder(tmp_path, "val"), size=8)
    assert isinstance(found.train_images, ImageFiles)
    assert found.train_images.fetch(torch.arange(9)).shape == (9, 3, 8, 8)


def test_bad_folders(tmp_path):
    with pytest.raises(InputError, match=r"at least two class folders, got 0\. It holds train/CLASS"):
        load("folder", tmp_path)
    picture(tmp_path / "test" / "dog" / "0.png", (0, 0, 0))
    with pytest.raises(InputError, match=r"train' is not there. It holds train/CLASS"):
        load("folder", tmp_path)
    write_folder(tmp_path)
    picture(tmp_path / "test" / "dog" / "0.png", (0, 0, 0))
    with pytest.raises(InputError, match="holds the class 'dog', which"):
        load("folder", tmp_path)
    (tmp_path / "train" / "dog").mkdir()
    with pytest.raises(InputError, match="dog' holds no image"):
        load("folder", tmp_path)


def write_clothing(root, annotations=False):
    lists = root / "annotations" if annotations else root
    lists.mkdir(parents=True)
    keys = {
        part: [f"images/{i}/{part} {i}.jpg" for i in range(n)] for part, n in (("train", 4), ("val", 2), ("test", 3))
    }
    for part, names in keys.items():
        for i, key in enumerate(names):
            picture(root / key, (10 * i, 0, 0))
        prefix = "noisy" if part == "train" else "clean"
        (lists / f"{prefix}_{part}_key_list.txt").write_text("\n".join(names))
    (lists / "noisy_label_kv.txt").write_text("".join(f"{k} {i}\n" for i, k in enumerate(keys["train"])))
    (lists / "clean_label_kv.txt").write_text(
        "".join(f"{k} {13 - i}\n" for i, k in enumerate(keys["test"] + keys["val"]))
    )
    return lists


@pytest.mark.parametrize("annotations", [False, True])
def test_clothing1m(tmp_path, annotations):
    write_clothing(tmp_path / "c", annotations)
    found = load("clothing1m", tmp_path / "c", size=16)
    assert found.n_classes == 14
    assert found.train_labels.tolist() == [0, 1, 2, 3]
    assert found.test_labels.tolist() == [13, 12, 11]
    assert found.extra_tests["validation"][1].tolist() == [10, 9]
    assert not found.truth_known
    fetched = found.train_images.fetch(torch.tensor([2]))
    assert fetched.shape == (1, 3, 16, 16)
    assert abs(colour_of(fetched)[0] - 20) <= 2


def test_bad_clothing1m(tmp_path):
    with pytest.raises(InputError, match=r"noisy_train_key_list.txt' is not there. Ask its authors"):
        load("clothing1m", tmp_path)
    lists = write_clothing(tmp_path / "c")
    kv = lists / "noisy_label_kv.txt"
    text = kv.read_text()
    for change, message in (
        (text.replace(" 3\n", " 14\n"), "classes 0 to 13, got 14"),
        (text.replace(" 3\n", " x\n"), "whole number, got 'x'"),
        (text.splitlines()[0], "3 of 4 images of .* have no label"),
        ("alone\n", "must have 2 columns"),
    ):
        kv.write_text(change)
        with pytest.raises(InputError, match=message):
            load("clothing1m", tmp_path / "c")


def write_webvision(root, ilsvrc12=True):
    (root / "info").mkdir(parents=True)
    (root / "info" / "synsets.txt").write_text("".join(f"n{i:08d} name {i}, other\n" for i in range(4)))
    train = [(f"google/q{i:04d}/a{i}.jpg", i) for i in (0, 1, 2, 3, 1)]
    test = [(f"val{i:06d}.jpg", i % 4) for i in range(6)]
    (root / "info" / "train_filelist_google.txt").write_text("".join(f"{n} {y}\n" for n, y in train))
    (root / "info" / "val_filelist.txt").write_text("".join(f"{n} {y}\n" for n, y in test))
    for name, label in train:
        picture(root / name, (0, 0, 50 * label))
    for name, label in test:
        picture(root / "val_images_256" / name, (0, 0, 50 * label))
    if ilsvrc12:
        for i in range(2):
            picture(root / "imagenet" / "val" / f"n{i:08d}" / "x.JPEG", (0, 90 * i, 0))


def test_webvision_with_its_second_test_set(tmp_path):
    write_webvision(tmp_path)
    found = load("webvision", tmp_path, size=12, n_classes=2)
    assert found.classes == ("name 0", "name 1")
    assert found.train_labels.tolist() == [0, 1, 1]
    assert found.test_labels.tolist() == [0, 1, 0, 1]
    images, labels = found.extra_tests["ilsvrc12"]
    assert labels.tolist() == [0, 1]
    assert abs(colour_of(images.fetch(torch.tensor([1])))[1] - 90) <= 2


def test_webvision_without_it_says_so(tmp_path):
    write_webvision(tmp_path, ilsvrc12=False)
    with pytest.warns(UserWarning, match="no ILSVRC12 validation images"):
        found = load("webvision", tmp_path, n_classes=2)
    assert found.notes
    with pytest.raises(InputError, match="must hold folders named by synset, such as 'n00000000'"):
        load("webvision", tmp_path, n_classes=2, ilsvrc12=str(tmp_path))


def test_bad_webvision(tmp_path):
    with pytest.raises(InputError, match=r"train_filelist_google.txt' is not there"):
        load("webvision", tmp_path)
    write_webvision(tmp_path)
    with pytest.raises(InputError, match="at least n_classes = 50 classes, got 4"):
        load("webvision", tmp_path)
    with pytest.raises(InputError, match=r"lacks the class 'n00000002' \(1 of 3 are missing\)"):
        load("webvision", tmp_path, n_classes=3)
    (tmp_path / "info" / "synsets.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"synsets.txt' is not a text file"):
        load("webvision", tmp_path, n_classes=2)
