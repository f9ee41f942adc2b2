"""Linear evaluation of a run.

The numbers against the probes on features computed here, resuming, and what is refused.
"""

import json
from dataclasses import replace

import pytest
import torch

from sparseop.deep import augment, networks
from sparseop.deep.datasets import Dataset
from sparseop.deep.datasets.shapes import shapes
from sparseop.deep.trained import linear
from sparseop.deep.trained.load import load
from sparseop.deep.training import checkpoint, probe

SMALL = ["--set", "data.train=200", "data.test=100", "--device", "cpu"]


@pytest.fixture(scope="module")
def run(tmp_path_factory, contrastive_run):
    torch.manual_seed(0)
    return contrastive_run(tmp_path_factory.mktemp("linear") / "run", networks.backbone("resnet8")[0], "resnet8")


def record(run, name):
    return json.loads((run / f"linear-{name}.json").read_text())


def test_the_command_is_the_probes_on_frozen_features(run, capsys):
    assert linear.main([str(run), *SMALL]) == 0
    data, found = shapes(200, 100), load(run)
    plain = augment.build("none", mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.3))
    with torch.no_grad():
        train, test = (
            found.network(plain(images, torch.Generator())) for images in (data.train_images, data.test_images)
        )
    whole = (train, data.train_labels, test, data.test_labels, 10)
    got = record(run, "ridge-shapes")
    assert got["linear"] == pytest.approx(
        100 * probe.linear_probe(*whole), abs=1.01
    )  # one test image, by rounding of batches
    assert got["knn"] == pytest.approx(100 * probe.knn(*whole, k=200), abs=1.01)
    assert got["knn_50"] == pytest.approx(100 * probe.knn(*whole, k=50, temperature=0.05), abs=1.01)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("shapes, 100 test images")
    assert lines[3].split() == ["linear", "classifier", "(ridge)", f"{got['linear']:.1f}", "%"]
    assert got["neighbours"] == [200, 50]
    assert got["data"] == {"train": 200, "test": 100, "size": 16, "classes": 10, "seed": 0}


def test_fewer_images_than_neighbours_are_said(run, capsys):
    assert linear.main([str(run), "--set", "data.train=80", "data.test=40", "--device", "cpu"]) == 0
    assert record(run, "ridge-shapes")["neighbours"] == [80, 50]
    assert "kNN, k = 80 (all there are; 200 asked), T = 0.1" in capsys.readouterr().out


@pytest.mark.parametrize(
    "protocol",
    [
        replace(linear.PROTOCOLS["sane"], epochs=3),
        replace(linear.PROTOCOLS["sane"], epochs=3, crops=False),
        replace(linear.PROTOCOLS["moco"], epochs=5, lr=3.0),
        replace(linear.PROTOCOLS["sane-imagenet"], epochs=5, lr=3.0),
        linear.PROTOCOLS["ridge"],
    ],
)
def test_protocols_learn_what_is_easy(run, protocol):
    """Two colours, on features of a random network: every protocol is right on all, with the same bits each time."""
    labels = torch.arange(60) % 2
    noise = torch.randint(60, (60, 3, 16, 16), generator=torch.Generator().manual_seed(0))
    images = (noise + torch.tensor([[180, 0, 0], [0, 0, 180]])[labels][:, :, None, None]).to(torch.uint8)
    data = Dataset("colours", images, labels, images[:20], labels[:20], ("red", "blue"), (0.5,) * 3, (0.2,) * 3)
    found = load(run)
    first, again = (linear.evaluate(found, data, protocol, device=torch.device("cpu")) for _ in range(2))
    assert first == again
    assert first["linear"] == first["knn_50"] == 100


def test_a_protocol_and_its_changes_are_on_record(run):
    assert linear.main([str(run), "--protocol", "sane", "--epochs", "1", "--batch", "50", "--no-crops", *SMALL]) == 0
    assert record(run, "sane-shapes")["protocol"] == {
        "name": "sane",
        "solver": "adam",
        "lr": 0.01,
        "epochs": 1,
        "schedule": "constant",
        "batch": 50,
        "crops": False,
    }
    assert not list(run.glob("linear-*.pt"))


def test_features_of_the_head(run):
    """As the encoder projects them; a run with labels has none."""
    assert linear.main([str(run), "--features", "head", "--network", "momentum", *SMALL]) == 0
    got = record(run, "ridge-shapes-momentum-head")
    assert (got["features"], got["network"]) == ("head", "momentum")
    found, plain = load(run, part="head"), load(run)
    images = shapes(20, 10).train_images
    features = found.features(images, torch.device("cpu"))
    assert features.shape == (20, found.width) == (20, 128)
    state = checkpoint.load(run / "last.pt")["online"]
    hidden = torch.relu(plain.features(images, torch.device("cpu")) @ state["head.0.weight"].T + state["head.0.bias"])
    expected = torch.nn.functional.normalize(hidden @ state["head.2.weight"].T + state["head.2.bias"])
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-4)


def test_an_interrupted_evaluation_goes_on(run, monkeypatch, capsys):
    arguments = [str(run), "--protocol", "sane", "--epochs", "3", "--no-crops", "--seed", "5", *SMALL]
    assert linear.main(arguments) == 0
    whole = record(run, "sane-shapes")["linear"]
    save = checkpoint.save

    def interrupted(path, state):
        save(path, state)
        if state["state"]["epoch"] == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", interrupted)
    assert linear.main(arguments) == 130
    assert "give the same command again to go on" in capsys.readouterr().err
    begun = (run / "linear-sane-shapes.pt").read_bytes()
    seen = []
    monkeypatch.setattr(
        checkpoint, "save", lambda path, state: (save(path, state), seen.append(state["state"]["epoch"]))
    )
    assert linear.main(arguments) == 0
    assert seen == [3]
    assert record(run, "sane-shapes")["linear"] == whole
    (run / "linear-sane-shapes.pt").write_bytes(begun)  # of the same kind of data, but others: they begin anew
    assert linear.main([*arguments, "--set", "data.seed=1"]) == 0
    assert seen == [3, 1, 2, 3]


def test_several_processes_are_refused(run, monkeypatch, capsys):
    """None of them joins a group, and each would write the record."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert linear.main([str(run), *SMALL]) == 2
    assert "a run is judged in one process, got 2" in capsys.readouterr().err


def test_what_is_refused(run, tmp_path, capsys):
    for arguments, words in [
        ([tmp_path], "it has no recipe.toml"),
        ([run, "--protocol", "simclr"], "--protocol must be one of 'ridge'"),
        ([run, "--epochs", "3"], "the protocol 'ridge' takes no --epochs"),
        ([run, "--protocol", "sane", "--epochs", "0"], "--epochs must be >= 1"),
        ([run, "--protocol", "sane", "--batch", "1"], "--batch must be >= 2"),
        ([run, "--protocol", "sane", "--lr", "-1"], r"--lr must lie in [0, 1e+37]"),
        ([run, "--set", "training.epochs=3"], "--set changes the data alone"),
        ([run, "--set", "data.name=cifar11"], "Did you mean 'cifar10'"),
        ([run, "--set", "data.name=digits"], "takes images of 3 channels, these have 1"),
        ([run, "--seed", "-1"], "--seed must be >= 0"),
        ([run, "--features", "heads"], "--features must be one of 'backbone', 'head'"),
        ([run, "--network", "slow"], "--network must be one of 'online', 'momentum'"),
        ([run, "--protocol", "sane", "--epochs", 10**9], "--epochs must be >= 1 and <= 10000000"),
        ([run, "--device", "cuda:99"], "cannot be used"),
    ]:
        assert linear.main([str(a) for a in arguments]) == 2, words
        assert words in capsys.readouterr().err
