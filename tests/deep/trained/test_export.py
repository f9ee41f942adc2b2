"""Backbones for other libraries.

Torchvision's layout against a network built by torchvision's names, detectron2's against its rule.
"""

import importlib
import json
import re

import pytest
import torch
from torch import nn
from torch.nn import functional

from sparseop.deep import networks
from sparseop.deep.labels import recipe
from sparseop.deep.labels import run as engine
from sparseop.deep.trained import export
from sparseop.deep.trained.load import load
from sparseop.deep.training import checkpoint
from sparseop.errors import InputError


class Block(nn.Module):
    """A residual block under torchvision's names."""

    def __init__(self, wide_in, wide, stride, deep):
        super().__init__()
        sizes = (
            [(wide_in, wide, 1, 1), (wide, wide, 3, stride), (wide, 4 * wide, 1, 1)]
            if deep
            else [(wide_in, wide, 3, stride), (wide, wide, 3, 1)]
        )
        for i, (a, b, k, s) in enumerate(sizes, 1):
            setattr(self, f"conv{i}", nn.Conv2d(a, b, k, s, padding=k // 2, bias=False))
            setattr(self, f"bn{i}", nn.BatchNorm2d(b))
        self.count, out = len(sizes), sizes[-1][1]
        self.downsample = (
            nn.Sequential(nn.Conv2d(wide_in, out, 1, stride, bias=False), nn.BatchNorm2d(out))
            if stride > 1 or wide_in != out
            else nn.Identity()
        )

    def forward(self, x):
        y = x
        for i in range(1, self.count + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            y = functional.relu(y) if i < self.count else y
        return functional.relu(y + self.downsample(x))


class Reference(nn.Module):
    """ResNet with the attributes of torchvision's: conv1, bn1, layer1 to layer4, fc."""

    def __init__(self, blocks, *, deep=False, small=True, classes=0):
        super().__init__()
        self.small = small
        self.conv1 = (
            nn.Conv2d(3, 64, 3, padding=1, bias=False) if small else nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        )
        self.bn1 = nn.BatchNorm2d(64)
        wide_in = 64
        for i, n in enumerate(blocks):
            stage = []
            for j in range(n):
                stage.append(Block(wide_in, 64 * 2**i, 2 if i and not j else 1, deep))
                wide_in = 64 * 2**i * (4 if deep else 1)
            setattr(self, f"layer{i + 1}", nn.Sequential(*stage))
        self.fc = nn.Linear(wide_in, classes) if classes else nn.Identity()

    def forward(self, x):
        x = functional.relu(self.bn1(self.conv1(x)))
        x = x if self.small else functional.max_pool2d(x, 3, 2, 1)
        for i in range(1, 5):
            x = getattr(self, f"layer{i}")(x)
        return self.fc(x.mean((2, 3)))


CASES = {
    "resnet18": ({}, {"blocks": [2, 2, 2, 2]}, 120),
    "resnet34": ({}, {"blocks": [3, 4, 6, 3]}, 216),
    "bottleneck_resnet50": ({"stem": "large"}, {"blocks": [3, 4, 6, 3], "deep": True, "small": False}, 318),
}


def stirred(network):
    """Give running statistics and offsets values of their own, so that a mix-up shows."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.ndim == 1:
                value.copy_(0.5 + torch.rand(value.shape, generator=generator))
    return network.eval()


@pytest.fixture(scope="module")
def resnet18():
    torch.manual_seed(0)
    return stirred(networks.backbone("resnet18")[0])


@pytest.mark.parametrize("name", CASES)
def test_torchvisions_layout_computes_the_same(name):
    """Every entry has its place: torchvision's published count, strict loading, equal features, and back again."""
    options, shape, count = CASES[name]
    torch.manual_seed(1)
    network = stirred(networks.backbone(name, **options)[0])
    state = export.to_torchvision(network)
    assert len(state) == count  # torchvision's 122, 218 and 320, less fc.weight and fc.bias
    other = Reference(**shape).eval()
    other.load_state_dict(state)
    images = torch.randn(2, 3, 40, 40)
    with torch.no_grad():
        torch.testing.assert_close(other(images), network(images), atol=1e-4, rtol=1e-4)
    fresh = networks.backbone(name, **options)[0].eval()
    export.from_torchvision(fresh, {**state, "fc.weight": torch.zeros(1000, 512)})
    assert all(
        torch.equal(a, b) for a, b in zip(fresh.state_dict().values(), network.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("name", CASES)
def test_torchvision_itself_computes_the_same(name, large_packages):
    if "torchvision" not in large_packages:
        pytest.skip("torchvision is not installed")
    options, shape, _ = CASES[name]
    network = stirred(networks.backbone(name, **options)[0])
    other = getattr(importlib.import_module("torchvision.models"), name.removeprefix("bottleneck_"))()
    if shape.get("small", True):  # as the command tells
        other.conv1, other.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    other.fc = nn.Identity()
    other.load_state_dict(export.to_torchvision(network))
    images = torch.randn(2, 3, 40, 40)
    with torch.no_grad():
        torch.testing.assert_close(other.eval()(images), network(images), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_detectron2s_names_follow_the_rule_of_its_converter(name):
    """The rule as MoCo's and detectron2's converters spell it, by replacement in the whole name."""
    state = export.to_torchvision(networks.backbone(name, **CASES[name][0])[0])
    found = export.to_detectron2({**state, "fc.bias": torch.zeros(1)})
    expected = []
    for key in state:
        new = key if key.startswith("layer") else f"stem.{key}"
        new = re.sub(r"^layer(\d)", lambda m: f"res{int(m[1]) + 1}", new)
        new = re.sub(r"bn(\d)", r"conv\1.norm", new)
        expected.append(new.replace("downsample.0", "shortcut").replace("downsample.1", "shortcut.norm"))
    assert list(found["model"]) == expected
    assert {"stem.conv1.norm.running_mean", "res2.0.conv1.weight", "res3.0.shortcut.norm.bias"} <= set(expected)
    assert found["matching_heuristics"] is True


@pytest.mark.parametrize("which", ["online", "momentum"])
def test_the_command_exports_a_contrastive_run(tmp_path, capsys, resnet18, contrastive_run, which):
    run, out = contrastive_run(tmp_path / "run", resnet18), tmp_path / "out" / "backbone.pth"
    assert export.main([str(run), str(out), "--network", which]) == 0
    lines = capsys.readouterr().out.splitlines()
    state = torch.load(out, weights_only=True)
    other = Reference([2, 2, 2, 2]).eval()
    other.load_state_dict(state)
    if which == "online":
        with torch.no_grad():
            images = torch.randint(256, (3, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
            normal = (images / 255 - torch.tensor([0.4, 0.5, 0.6])[:, None, None]) / torch.tensor([0.2, 0.2, 0.3])[
                :, None, None
            ]
            expected = load(run).features(images, torch.device("cpu"), batch=2)
            torch.testing.assert_close(other(normal), expected, atol=1e-4, rtol=1e-4)
    else:
        assert torch.equal(state["conv1.weight"], resnet18.state_dict()["body.0.weight"] + 1)
    about = json.loads(out.with_name("backbone.pth.json").read_text())
    assert about["epoch"] == 7
    assert about["network"] == "ResNet-18"
    assert about["input"]["mean"] == [0.4, 0.5, 0.6]
    assert [line.strip() for line in lines[1:]] == about["load"]
    assert "model.maxpool = torch.nn.Identity()" in about["load"]


def test_the_command_exports_to_detectron2(tmp_path, resnet18, contrastive_run):
    out = tmp_path / "backbone.pth"
    assert export.main([str(contrastive_run(tmp_path / "run", resnet18)), str(out), "--format", "detectron2"]) == 0
    found = torch.load(out, weights_only=True)
    assert torch.equal(found["model"]["res5.0.shortcut.weight"], resnet18.state_dict()["body.9.shortcut.0.weight"])
    lines = json.loads((tmp_path / "backbone.pth.json").read_text())["load"]
    assert {"MODEL.PIXEL_MEAN: [102.0, 127.5, 153.0]", "MODEL.RESNETS.RES2_OUT_CHANNELS: 64"} <= set(lines)


def test_a_run_with_labels_keeps_its_classifier(tmp_path):
    """Trained for real, two steps on sixteen-pixel shapes; logits of the exported network equal those of the run."""
    text = '[data]\nname="shapes"\ntrain=30\ntest=20\n[network]\nname="resnet18"\n'
    text += '[training]\nepochs=1\nbatch_size=16\naugment="none"\n'
    engine.train(recipe.parse(text, name="labels"), tmp_path / "run", device="cpu")
    found = load(tmp_path / "run")
    assert (found.epoch, found.width, found.size) == (1, 512, 0)
    assert found.last["weight"].shape == (10, 512)
    out = export.export(tmp_path / "run", tmp_path / "a.pth")
    other = Reference([2, 2, 2, 2], classes=10).eval()
    other.load_state_dict(torch.load(out, weights_only=True))
    network = networks.build("resnet18", 10).eval()
    state = checkpoint.load(tmp_path / "run" / "last.pt")["networks"]
    network.load_state_dict({key.removeprefix("0."): value for key, value in state.items()})
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(other(images), network(images), atol=1e-4, rtol=1e-4)


def test_what_the_command_refuses(tmp_path, capsys, resnet18, contrastive_run):
    run = contrastive_run(tmp_path / "run", resnet18)
    (tmp_path / "there.pth").touch()
    small = contrastive_run(tmp_path / "small", networks.backbone("resnet8")[0], "resnet8")
    narrow = contrastive_run(tmp_path / "narrow", networks.backbone("resnet18", width=8)[0], width=8)
    other = contrastive_run(tmp_path / "convnet", networks.backbone("convnet")[0], "convnet")
    wrong = contrastive_run(tmp_path / "wrong", networks.backbone("resnet18", width=8)[0])
    bare = contrastive_run(tmp_path / "bare", resnet18)
    (bare / "run.json").write_text("{}")
    cut = contrastive_run(tmp_path / "cut", resnet18)
    (cut / "last.pt").write_bytes((cut / "last.pt").read_bytes()[:5000])
    for arguments, words in [
        ([run, tmp_path / "a.pkl"], "OUT must end in .pt2, .onnx, .pth or .pt"),
        ([run, tmp_path / "there.pth"], "there.pth' is there already"),
        ([tmp_path, tmp_path / "a.pth"], "it has no recipe.toml"),
        ([run, tmp_path / "a.pth", "--format", "torchvison"], "Did you mean 'torchvision'"),
        ([run, tmp_path / "a.pth", "--network", "slow"], "which must be one of 'online', 'momentum'"),
        ([small, tmp_path / "a.pth"], "not one of 1 + 1 + 1 blocks and width 16"),
        ([narrow, tmp_path / "a.pth"], "2 + 2 + 2 + 2 blocks and width 8"),
        ([other, tmp_path / "a.pth"], "no counterpart of a _ConvNet"),
        ([wrong, tmp_path / "a.pth"], "does not fit the network of its recipe"),
        ([bare, tmp_path / "a.pth"], "does not say how images were normalised"),
        ([cut, tmp_path / "a.pth"], "is not a whole checkpoint"),
    ]:
        assert export.main([str(a) for a in arguments]) == 2, words
        assert words in capsys.readouterr().err
        assert not (tmp_path / "a.pth").exists()


def test_states_that_do_not_fit(resnet18):
    state = export.to_torchvision(resnet18)
    for change, words in [
        (
            {"conv1.weight": torch.zeros(64, 3, 7, 7)},
            r"conv1.weight must have shape \(64, 3, 3, 3\), got \(64, 3, 7, 7\)",
        ),
        ({"layer5.0.conv1.weight": torch.zeros(1)}, "holds 'layer5.0.conv1.weight', which the network does not have"),
    ]:
        with pytest.raises(InputError, match=words):
            export.from_torchvision(networks.backbone("resnet18")[0], {**state, **change})
    del state["bn1.bias"]
    with pytest.raises(InputError, match=r"lacks .bn1\.bias., which the network has"):
        export.from_torchvision(networks.backbone("resnet18")[0], state)


def test_images_of_other_channels_are_refused(tmp_path, resnet18, contrastive_run):
    found = load(contrastive_run(tmp_path / "run", resnet18))
    with pytest.raises(InputError, match="takes images of 3 channels, these have 1"):
        found.features(torch.zeros(2, 1, 16, 16, dtype=torch.uint8), torch.device("cpu"))
