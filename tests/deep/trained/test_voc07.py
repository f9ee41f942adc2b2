"""VOC07: its layout on a made set, the 11-point precision against a loop, classifiers on features that tell."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score

from sparseop.deep import networks
from sparseop.deep.datasets.voc import CLASSES, load_split
from sparseop.deep.trained import voc07
from sparseop.deep.training import checkpoint
from sparseop.deep.training.metrics import interpolated_precision
from sparseop.errors import InputError

N = {"trainval": 80, "test": 40}


def object_xml(names):
    parts = "".join(f"<object><name>{name}</name><difficult>{int(hard)}</difficult></object>" for name, hard in names)
    return f"<annotation><filename>x.jpg</filename>{parts}</annotation>"


def write(root, lists=True):
    """Make VOCdevkit/VOC2007: image i shows class i mod 20 in its colour; every seventh has a difficult one more."""
    base = root / "VOCdevkit" / "VOC2007"
    for part in ("ImageSets/Main", "Annotations", "JPEGImages"):
        (base / part).mkdir(parents=True)
    colours = np.random.default_rng(0).integers(0, 256, (20, 3))
    for split, n in N.items():
        names = [f"{split[0]}{i:05d}" for i in range(n)]
        (base / "ImageSets" / "Main" / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
        labels = np.full((n, 20), -1)
        for i, name in enumerate(names):
            found = [(CLASSES[i % 20], False)] + ([(CLASSES[(i + 3) % 20], True)] if i % 7 == 0 else [])
            labels[i, i % 20] = 1
            labels[i, (i + 3) % 20] = 0 if i % 7 == 0 else -1
            (base / "Annotations" / f"{name}.xml").write_text(object_xml(found))
            Image.new("RGB", (30, 20), tuple(map(int, colours[i % 20]))).save(base / "JPEGImages" / f"{name}.jpg")
        for j, label in enumerate(CLASSES):
            if lists:
                (base / "ImageSets" / "Main" / f"{label}_{split}.txt").write_text(
                    "".join(f"{name} {v:2d}\n" for name, v in zip(names, labels[:, j], strict=True))
                )
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write(tmp_path_factory.mktemp("voc"))


def test_lists_and_annotations_say_the_same(root, tmp_path):
    bare = write(tmp_path, lists=False)
    for split, n in N.items():
        found, other = load_split(root, split, 16), load_split(bare / "VOCdevkit", split, 16)
        assert torch.equal(found.labels, other.labels)
        assert found.labels.shape == (n, 20)
        assert found.images.fetch(torch.arange(2)).shape == (2, 3, 16, 16)
        assert (found.labels == 0).sum() == math.ceil(n / 7)
    assert (
        load_split(bare / "VOCdevkit" / "VOC2007", "test", 8).images.paths[1].endswith("VOC2007/JPEGImages/t00001.jpg")
    )


def test_damaged_layouts_are_named(tmp_path):
    base = write(tmp_path, lists=False) / "VOCdevkit" / "VOC2007"
    one = base / "Annotations" / "t00003.xml"
    listed = base / "ImageSets" / "Main" / "test.txt"
    whole = listed.read_text()
    for content, words in [
        ("<annotation>", "t00003.xml' is not XML"),
        (object_xml([("unicorn", False)]), "names the class 'unicorn'"),
        ("<a>" + " " * 2**20 + "</a>", "which none has"),
    ]:
        one.write_text(content)
        with pytest.raises(InputError, match=words):
            load_split(tmp_path, "test", 8)
    one.unlink()
    with pytest.raises(InputError, match=r"t00003.xml' is not there"):
        load_split(tmp_path, "test", 8)
    for content, words in [("", "lists no image"), (whole + "t00000\n", "lists an image twice")]:
        listed.write_text(content)
        with pytest.raises(InputError, match=words):
            load_split(tmp_path, "test", 8)
    with pytest.raises(InputError, match="VOC07 was not found in"):
        load_split(tmp_path / "VOCdevkit" / "VOC2007" / "Annotations", "test", 8)


def test_damaged_class_lists_are_named(tmp_path):
    path = write(tmp_path) / "VOCdevkit" / "VOC2007" / "ImageSets" / "Main" / "cat_test.txt"
    whole = path.read_text()
    for content, words in [
        (whole.split("\n", 1)[1], "has no line for the image 't00000'"),
        (whole.replace("-1", " 2", 1), "must hold 1, 0 and -1, got 2"),
        (whole.replace("-1", " x", 1), "must be a whole number, got 'x'"),
    ]:
        path.write_text(content)
        with pytest.raises(InputError, match=words):
            load_split(tmp_path, "test", 8)


def eleven_points(score, positive):
    """By the definition, for distinct scores: at each recall, the best precision of any cut that reaches it."""
    order = np.argsort(-score)
    hits = np.cumsum(positive[order])
    precision, recall = hits / np.arange(1, len(order) + 1), hits / positive.sum()
    return np.mean([precision[recall >= k / 10 - 1e-12].max() for k in range(11)])


def test_eleven_point_precision():
    rng = np.random.default_rng(1)
    for n, share in ((50, 0.3), (200, 0.05), (10, 0.9), (7, 0.2)):
        score, positive = rng.standard_normal(n), rng.random(n) < share
        positive[0] = True
        found = interpolated_precision(torch.tensor(score), torch.tensor(positive))
        assert found == pytest.approx(eleven_points(score, positive), abs=1e-12)
    # by hand: the best and the worst of four positives among ten; precision 1 to recall 1/4, 4/10 beyond: (3 + 8 x 0.4)
    # / 11
    score = torch.arange(10.0, 0, -1)
    assert interpolated_precision(score, torch.tensor([1, 0, 0, 0, 0, 0, 0, 1, 1, 1]) == 1) == pytest.approx(
        (3 + 8 * 0.4) / 11
    )
    assert interpolated_precision(torch.zeros(4), torch.tensor([1, 0, 0, 0]) == 1) == 0.25  # all fall together
    assert math.isnan(interpolated_precision(score, torch.zeros(10, dtype=torch.bool)))


def told_apart(n, seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.where(torch.rand((n, 4), generator=generator) < 0.3, 1, -1)
    directions = torch.randn((4, 24), generator=torch.Generator().manual_seed(9))
    features = (labels == 1).float() @ directions + 0.6 * torch.randn((n, 24), generator=generator)
    labels[torch.rand((n, 4), generator=generator) < 0.1] = 0
    return features, labels.to(torch.int8)


def test_both_classifiers_find_what_the_features_tell():
    """Close to each other; a permutation of the difficult images' features, which nobody looks at, changes nothing."""
    (train, labels), (test, truth) = told_apart(300, 0), told_apart(200, 1)
    svm, costs = voc07.svm_scores(train, labels, test)
    sgd = voc07.sgd_scores(train, labels, test, epochs=30)
    a, b = voc07.judge(svm, truth), voc07.judge(sgd, truth)
    assert len(costs) == 4
    assert a["map"] > 90
    assert b["map"] == pytest.approx(a["map"], abs=3)
    each = [
        100 * average_precision_score((truth[:, k] == 1)[truth[:, k] != 0], svm[:, k][truth[:, k] != 0])
        for k in range(4)
    ]
    assert a["map"] == pytest.approx(np.mean(each))
    one = labels[:, :1]
    hidden = torch.where(one == 0, 100 * torch.randn_like(train), train)
    expected, _ = voc07.svm_scores(train, one, test)
    found, _ = voc07.svm_scores(hidden, one, test)
    assert torch.equal(found, expected)
    assert torch.equal(voc07.sgd_scores(hidden, one, test, epochs=2), voc07.sgd_scores(train, one, test, epochs=2))


@pytest.fixture(scope="module")
def run(tmp_path_factory, contrastive_run):
    torch.manual_seed(0)
    return contrastive_run(tmp_path_factory.mktemp("voc-run") / "run", networks.backbone("resnet8")[0], "resnet8")


def test_the_command_resumes_and_keeps_its_record(root, run, monkeypatch, capsys):
    arguments = [str(run), "--data-root", str(root), "--device", "cpu"]
    save = checkpoint.save

    def interrupted(path, state):
        save(path, state)
        if len(state["found"]["costs"]) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", interrupted)
    assert voc07.main(arguments) == 130
    done = []
    monkeypatch.setattr(
        checkpoint, "save", lambda path, state: (save(path, state), done.append(len(state["found"]["costs"])))
    )
    assert voc07.main(arguments) == 0
    assert done == list(range(4, 21))
    found = json.loads((run / "voc07-svm.json").read_text())
    assert found["map_11"] > 95  # each class has its colour
    assert set(found["classes"]) == set(CLASSES)
    assert found["images"] == [80, 40]
    assert not (run / "voc07-svm.pt").exists()
    assert f"{found['map_11']:.1f} %" in capsys.readouterr().out
    assert voc07.main([*arguments, "--classifier", "sgd", "--epochs", "3"]) == 0
    assert 0 < json.loads((run / "voc07-sgd.json").read_text())["map_11"] <= 100


def test_what_the_command_refuses(root, run, tmp_path, capsys):
    for arguments, words in [
        ([run, "--data-root", root, "--classifier", "svn"], "Did you mean 'svm'"),
        ([run, "--data-root", tmp_path], "VOC07 was not found"),
        ([run, "--data-root", root, "--epochs", "0"], "--epochs must be >= 1"),
        ([tmp_path, "--data-root", root], "no recipe.toml"),
    ]:
        assert voc07.main([str(a) for a in arguments]) == 2, words
        assert words in capsys.readouterr().err
    with pytest.raises(InputError, match="class 0 must be present in 3 training images and absent in 3, got 2"):
        voc07.svm_scores(torch.rand(20, 4), torch.tensor([[1]] * 2 + [[-1]] * 18), torch.rand(2, 4))
