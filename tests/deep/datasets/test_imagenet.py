"""ImageNet's layout on a made set; decoding by processes; hostile files."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image

from sparseop.deep.datasets import LazyImages, load
from sparseop.deep.datasets.files import ImageFiles
from sparseop.errors import InputError

SYNSETS = ("n01440764", "n01443537", "n02111889")


def write(root, train=4, val=2):
    rng = np.random.default_rng(0)
    for part, n in (("train", train), ("val", val)):
        for label, name in enumerate(SYNSETS):
            folder = root / part / name
            folder.mkdir(parents=True)
            for i in range(n):
                picture = np.full(
                    (int(rng.integers(20, 60)), int(rng.integers(20, 60)), 3), (80 * label, 40 * i, 100), np.uint8
                )
                Image.fromarray(picture).save(folder / f"{name}_{i}.JPEG", quality=95)
    return root


def test_classes_are_the_synsets_in_order(tmp_path):
    data = load("imagenet", write(tmp_path), size=16, workers=0)
    assert data.classes == SYNSETS
    assert isinstance(data.train_images, LazyImages)
    assert data.train_images.shape == (12, 3, 16, 16)
    assert torch.bincount(data.train_labels).tolist() == [4, 4, 4]
    assert torch.bincount(data.test_labels).tolist() == [2, 2, 2]
    found = data.train_images.fetch(torch.tensor([9, 0]))
    assert found.double().mean((2, 3)).round().tolist() == pytest.approx(np.array([[160, 40, 100], [0, 0, 100]]), abs=3)


def fetch_until_noticed(files, index):
    for _ in range(50):  # the pool notices a loss within a moment
        files.fetch(index)
        time.sleep(0.1)


def test_processes_decode_what_threads_decode_and_name_what_they_cannot(tmp_path):
    """In one test, since starting the processes takes seconds."""
    write(tmp_path)
    paths = sorted((tmp_path / "train").rglob("*.JPEG"))
    whole = paths[3].read_bytes()
    by_threads, by_processes = ImageFiles(paths, 24), ImageFiles(paths, 24, workers=2)
    index = torch.tensor([5, 3, 3, 11, 0])
    assert torch.equal(by_processes.fetch(index), by_threads.fetch(index))
    assert torch.equal(by_processes.fetch(index[:1]), by_threads.fetch(index[:1]))
    paths[3].write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"n01440764_3.JPEG"):
        by_processes.fetch(index)
    paths[3].write_bytes(whole)
    assert torch.equal(by_processes.fetch(index), by_threads.fetch(index))  # the processes live on
    os.kill(next(iter(by_processes.decoders._pool._processes)), signal.SIGKILL)
    with pytest.raises(InputError, match=r"a process that decodes images was killed.*fewer workers than 2"):
        fetch_until_noticed(by_processes, index)
    assert torch.equal(by_processes.fetch(index[:2]), by_threads.fetch(index[:2]))  # others take their place
    by_processes.decoders.close()


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\xff\xd8\xff\xe0" + 40 * b"\0"])
def test_what_is_no_image_is_named(tmp_path, content):
    data = load("imagenet", write(tmp_path), size=8, workers=0)
    (tmp_path / "val" / SYNSETS[1] / f"{SYNSETS[1]}_0.JPEG").write_bytes(content)
    with pytest.raises(InputError, match=r"n01443537_0.JPEG' cannot be read"):
        data.test_images.fetch(torch.arange(6))


def test_truncated_jpeg_is_named(tmp_path):
    write(tmp_path)
    victim = tmp_path / "train" / SYNSETS[0] / f"{SYNSETS[0]}_1.JPEG"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (80, 80, 3), dtype=np.uint8)).save(victim)
    victim.write_bytes(victim.read_bytes()[:1500])
    with pytest.raises(InputError, match=r"n01440764_1.JPEG' cannot be read; it is truncated"):
        load("imagenet", tmp_path, size=8, workers=0).train_images.fetch(torch.tensor([0, 1]))


def test_layouts_that_are_refused(tmp_path):
    with pytest.raises(InputError, match="imagenet needs a data folder"):
        load("imagenet")
    with pytest.raises(InputError, match=r"train' is not there. It holds train/SYNSET"):
        load("imagenet", tmp_path)
    root = write(tmp_path / "a")
    with pytest.raises(InputError, match="workers must be >= -1, got -2"):
        load("imagenet", root, workers=-2)
    (root / "val" / "n09999999").mkdir()
    with pytest.raises(InputError, match=r"train' lacks the class 'n09999999'"):
        load("imagenet", root)
    (root / "val" / "n09999999").rmdir()
    for file in (root / "train" / SYNSETS[2]).iterdir():
        file.rename(file.with_suffix(".txt"))
    with pytest.raises(InputError, match=r"train/n02111889' holds no image"):
        load("imagenet", root)
    flat = write(tmp_path / "b")
    for file in list((flat / "val").rglob("*.JPEG")):
        file.rename(flat / "val" / file.name)
    for name in SYNSETS:
        (flat / "val" / name).rmdir()
    with pytest.raises(InputError, match="holds images, but no class folders"):
        load("imagenet", flat)


@pytest.mark.slow
def test_a_contrastive_run_on_decoding_processes_ends_cleanly(tmp_path):
    """The whole command: two epochs on forty made images, then no process left, only progress on standard error."""
    write(tmp_path / "data", train=16, val=4)
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(
        'task = "contrastive"\n[data]\nname = "imagenet"\nsize = 40\nworkers = 2\n[network]\nname ='
        ' "resnet8"\n[views]\nname = "weak"\nsize = 32\n[method]\nname = "moco"\nqueue = 16\n[training]\nepochs ='
        " 2\nbatch_size = 16\n[evaluation]\nneighbours = [5]\ntemperatures = [0.1]\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "sparseop.deep.train",
            str(recipe),
            "--data-root",
            str(tmp_path / "data"),
            "--device",
            "cpu",
            "--out",
            str(tmp_path / "run"),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "resource_tracker" not in done.stderr
    assert (tmp_path / "run" / "summary.json").is_file()
