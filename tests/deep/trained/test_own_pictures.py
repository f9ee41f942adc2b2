"""After training on one's own pictures: suspects by file name, labels that train again, predictions, exports."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from sparseop.deep import networks, predict
from sparseop.deep.labels import recipe as recipes
from sparseop.deep.labels import run as engine
from sparseop.deep.labels.data import prepare
from sparseop.deep.trained import export
from sparseop.deep.trained.classifier import load_classifier
from sparseop.errors import InputError

COLOURS = {"blue": (30, 40, 200), "red": (200, 40, 30)}


def picture(path, name, seed):
    """Write a noisy picture of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(-30, 30, (12, 12, 3))
    Image.fromarray(np.clip(np.array(COLOURS[name]) + noise, 0, 255).astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a data folder with three wrong labels, a run on it, and the names of the wrong ones."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("own")
    for number, name in enumerate(COLOURS):
        for i in range(30):
            picture(root / "data" / name / f"{i:02}.png", name, 100 * number + i)
    listed = prepare(recipe(), root / "data").dataset.train_names
    wrong = [name for name in listed if name.startswith("blue")][:3]
    for name in wrong:
        (root / "data" / name).rename(root / "data" / "red" / f"was_{name.replace('/', '_')}")
    engine.train(recipe(), root / "run", data_root=root / "data")
    return root, {f"red/was_{name.replace('/', '_')}" for name in wrong}


def recipe(*changes, method="ce"):
    fixed = [f"method.name={method}", "data.name=folder", "noise.kind=none", "network.width=8", "training.batch_size=8"]
    return recipes.read("digits_sym40_ce", [*fixed, "training.epochs=4", "training.lr=0.02", *changes])


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_suspects_are_ranked_by_file_name(trained):
    root, wrong = trained
    found = rows(root / "run" / "suspects.csv")
    assert list(found[0]) == ["path", "given", "proposed", "suspicion", "predicted", "p_given"]
    there = wrong & {row["path"] for row in found}  # one may be among the held-out pictures
    assert there
    assert {row["path"] for row in found[: len(there)]} == there
    assert all((row["given"], row["proposed"]) == ("red", "blue") for row in found[: len(there)])
    suspicion = [float(row["suspicion"]) for row in found]
    assert suspicion == sorted(suspicion, reverse=True)
    assert len(found) == len((root / "run" / "images.txt").read_text().splitlines()) == 48


def test_labels_train_again_in_both_ways(trained, tmp_path):
    """As a table of paths and labels, and as noise.path of the same folder: the same images with the same labels."""
    root, wrong = trained
    held = rows(root / "run" / "labels.csv")
    assert {row["label"] for row in held if row["path"] in wrong and row["split"] == "train"} == {"blue"}
    table = prepare(recipe("data.name=csv", f"data.file={root / 'run' / 'labels.csv'}"), root / "data")
    again = prepare(recipe("noise.kind=file", f"noise.path={root / 'run' / 'labels.csv'}"), root / "data")
    assert dict(zip(table.dataset.train_names, table.labels.given.tolist(), strict=True)) == dict(
        zip(again.dataset.train_names, again.labels.given.tolist(), strict=True)
    )
    assert table.dataset.test_names == again.dataset.test_names
    summary = engine.train(
        recipe("data.name=csv", f"data.file={root / 'run' / 'labels.csv'}"), tmp_path / "again", data_root=root / "data"
    )
    assert summary["train_given"] == 100


def test_without_files_samples_go_by_index(tmp_path):
    # "auto" would switch neither u nor v on within one epoch; with these one step takes a tenth of the samples there
    rates = ["method.lr_u=1e9", "method.lr_v=1e9"]
    small = ["network.width=4", "training.epochs=1", "training.batch_size=100", *rates]
    engine.train(recipes.read("digits_sym40_sop", small), tmp_path / "run")
    found = rows(tmp_path / "run" / "suspects.csv")
    assert next(iter(found[0])) == "index"
    assert sorted(int(row["index"]) for row in found) == list(range(1347))
    again = recipes.read("digits_sym40_ce", ["noise.kind=file", f"noise.path={tmp_path / 'run/labels.csv'}"])
    given = prepare(again, None).labels.given
    first = np.load(tmp_path / "run" / "labels.npz")["given"]
    flagged = {int(row["index"]) for row in found if float(row["suspicion"]) > 0.5}
    assert 0 < len(flagged) < 1347
    assert all(int(given[i]) == first[i] for i in range(1347) if i not in flagged)


def test_predictions_are_those_of_the_network(trained, tmp_path, capsys):
    root, _ = trained
    new = [picture(tmp_path / "new" / f"{name}.png", name, 7) for name in COLOURS]
    (tmp_path / "new" / "notes.txt").touch()
    found = predict.predict(root / "run", [tmp_path / "new"])
    assert [(row[0], row[1]) for row in found] == [(str(path), path.stem) for path in new]
    assert all(row[2] > 0.9 and row[2] + row[4] == pytest.approx(1) for row in found)
    about = json.loads((root / "run" / "run.json").read_text())
    state = torch.load(root / "run" / "last.pt", weights_only=True)["networks"]
    network = networks.build("convnet", 2, 3, width=8).eval()
    network.load_state_dict({name.removeprefix("0."): value for name, value in state.items()})
    with Image.open(new[0]) as image:
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255
    mean, std = (torch.tensor(about["normalisation"][key])[:, None, None] for key in ("mean", "std"))
    with torch.no_grad():
        expected = network((pixels - mean) / std).softmax(1)[0, 0]
    assert found[0][2] == pytest.approx(float(expected), abs=1e-5)
    assert predict.main([str(root / "run"), str(new[0]), str(new[1]), "--csv", str(tmp_path / "out.csv")]) == 0
    assert [row["predicted"] for row in rows(tmp_path / "out.csv")] == ["blue", "red"]
    assert "2 pictures" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "x.png"], "there is no run in 'nowhere'"),
        (["RUN", "gone.png"], "the image 'gone.png' is not there"),
        (["RUN", "EMPTY"], "there is no picture in"),
        (["RUN", "x.png", "--weights", "chosen"], "chose no epoch: it held out no sample"),
        (["RUN", "x.png", "--weights", "best"], "weights must be one of 'auto', 'last', 'chosen'"),
        (["CONTRASTIVE", "x.png"], "was trained without labels, so it knows no classes"),
    ],
)
def test_what_cannot_be_predicted(arguments, message, trained, tmp_path, capsys, contrastive_run):
    (tmp_path / "empty").mkdir()
    places = {"RUN": trained[0] / "run", "EMPTY": tmp_path / "empty"}
    if "CONTRASTIVE" in arguments:
        places["CONTRASTIVE"] = contrastive_run(tmp_path / "c", networks.backbone("resnet8")[0], "resnet8")
    assert predict.main([str(places.get(part, part)) for part in arguments]) == 2
    assert message in capsys.readouterr().err


def test_the_chosen_weights_are_predicted_with(trained, tmp_path):
    root, _ = trained
    summary = engine.train(recipe("training.validation=12"), tmp_path / "run", data_root=root / "data")
    epochs = {weights: load_classifier(tmp_path / "run", weights).epoch for weights in ("auto", "chosen", "last")}
    chosen = summary["chosen_by_validation"]["epoch"]
    assert epochs == {"auto": chosen, "chosen": chosen, "last": 4}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x.pt2", "x.onnx"])
def test_an_exported_network_is_loaded_by_the_lines_that_it_gives(trained, tmp_path, name):
    """In a fresh process that cannot import this project, in a folder with a picture."""
    if name.endswith("onnx"):
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    root, _ = trained
    assert export.main([str(root / "run"), str(tmp_path / name)]) == 0
    picture(tmp_path / "photo.png", "red", 9)
    record = json.loads((tmp_path / f"{name}.json").read_text())
    assert record["classes"] == ["blue", "red"]
    assert len(record["load"]) == 10
    code = "import sys; sys.modules['sparseop'] = None\n" + "\n".join(record["load"]) + "\nprint(logits.tolist())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    named, logits = done.stdout.splitlines()[-2:]
    assert named == "red"
    expected = predict.predict(root / "run", [tmp_path / "photo.png"])[0][2]
    assert float(torch.tensor(json.loads(logits))[0].softmax(0).max()) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    "name", ["convnet", *(pytest.param(n, marks=pytest.mark.slow) for n in ("fastnet", "resnet8", "preact_resnet18"))]
)
def test_every_small_network_is_exported_with_the_logits_of_its_run(name, tmp_path):
    """Any batch, and the mean over mirror images inside, against the network itself."""
    wide = {"convnet": ["network.width=4"], "fastnet": ["network.width=8"], "resnet8": ["network.width=4"]}
    changes = [
        f"network.name={name}",
        *wide.get(name, []),
        "data.name=shapes",
        "data.train=40",
        "data.test=10",
        "noise.kind=none",
        "training.epochs=1",
        "training.batch_size=20",
        "evaluation.mirror=true",
    ]
    engine.train(recipes.read("digits_sym40_ce", changes), tmp_path / "run")
    export.export(tmp_path / "run", tmp_path / "x.pt2")
    found, images = load_classifier(tmp_path / "run"), torch.rand(5, 3, 16, 16)
    loaded = torch.export.load(tmp_path / "x.pt2").module()
    mean, std = (torch.tensor(values)[:, None, None] for values in (found.mean, found.std))
    seen = (images - mean) / std
    with torch.no_grad():
        expected = (found.network(seen) + found.network(seen.flip(3))) / 2
        torch.testing.assert_close(loaded(images), expected, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(loaded(images[:1]), expected[:1], atol=1e-4, rtol=1e-4)


def test_files_of_another_kind_are_refused(trained, tmp_path):
    root, _ = trained
    with pytest.raises(InputError, match=r"OUT must end in .pt2, .onnx, .pth or .pt"):
        export.export(root / "run", tmp_path / "x.bin")
    with pytest.raises(InputError, match=r"no counterpart of a .*A file that ends in .pt2 or .onnx takes any network"):
        export.export(root / "run", tmp_path / "x.pth")
