"""Shapes, and parameter counts against counts worked out layer by layer (and the published ones)."""

import pytest
import torch

from sparseop.deep.networks import NETWORKS, build, signature
from sparseop.errors import InputError


def conv(wide_in, wide_out, side=3):
    return wide_in * wide_out * side * side


def stages(counts):
    """Widths in and out of every basic block."""
    wide_in = 64
    for stage, count in enumerate(counts):
        for _ in range(count):
            yield wide_in, 64 * 2**stage
            wide_in = 64 * 2**stage


def resnet_count(counts, k):
    total = conv(3, 64) + 2 * 64
    for a, b in stages(counts):
        total += conv(a, b) + conv(b, b) + 4 * b + (conv(a, b, 1) + 2 * b if a != b else 0)
    return total + 512 * k + k


def preact_count(counts, k, released):
    total = conv(3, 64) + 2 * 64 * released
    for a, b in stages(counts):
        total += conv(a, b) + conv(b, b) + 2 * a + 2 * b + (conv(a, b, 1) if a != b else 0)
    return total + 512 * k + k


@pytest.mark.parametrize(
    ("name", "options", "k", "expected", "published"),
    [
        ("resnet18", {}, 10, resnet_count([2, 2, 2, 2], 10), 11_173_962),  # kuangliu/pytorch-cifar: 11,173,962
        ("resnet34", {}, 10, resnet_count([3, 4, 6, 3], 10), 21_282_122),
        ("resnet34", {}, 100, resnet_count([3, 4, 6, 3], 100), 21_328_292),
        ("preact_resnet18", {}, 10, preact_count([2, 2, 2, 2], 10, False), 11_171_146),
        ("preact_resnet18", {"released": True}, 10, preact_count([2, 2, 2, 2], 10, True), 11_171_274),
    ],
)
def test_parameter_counts(name, options, k, expected, published):
    count = sum(p.numel() for p in build(name, k, **options).parameters())
    assert count == expected == published


@pytest.mark.parametrize(
    ("name", "options", "channels", "side"),
    [
        ("convnet", {"width": 4}, 1, 8),
        ("convnet", {"width": 4, "stride": 2}, 3, 32),
        ("resnet18", {"width": 4}, 3, 32),
        ("resnet34", {"width": 2}, 1, 28),
        ("preact_resnet18", {"width": 4}, 3, 32),
        ("preact_resnet18", {"width": 4, "released": True}, 3, 32),
    ],
)
def test_logits_have_one_column_a_class_and_every_parameter_learns(name, options, channels, side):
    torch.manual_seed(0)
    network = build(name, 7, channels, **options)
    logits = network(torch.randn(5, channels, side, side))
    assert logits.shape == (5, 7)
    (logits**2).sum().backward()
    for label, parameter in network.named_parameters():
        assert parameter.grad is not None, label
        assert parameter.grad.abs().sum() > 0, label


def test_the_released_preact_block_adds_the_activated_input():
    torch.manual_seed(0)
    images = torch.randn(2, 3, 32, 32)
    published, released = (build("preact_resnet18", 4, width=4, released=r).body[-1].eval() for r in (False, True))
    released.load_state_dict(published.state_dict())
    x = torch.randn(2, 32, 4, 4) + images.mean()
    activated = torch.relu(published.normalise(x))
    torch.testing.assert_close(released(x) - published(x), activated - x)


@pytest.mark.parametrize(("stride", "least"), [(1, 4), (2, 7)])
def test_the_smallest_images_of_the_convnet(stride, least):
    network = build("convnet", 10, 1, width=2, stride=stride).eval()
    assert network(torch.zeros(2, 1, least, least + 1)).shape == (2, 10)
    with pytest.raises(
        InputError, match=f"takes images of {least} x {least} pixels and more, got {least} x {least - 1}"
    ):
        network(torch.zeros(2, 1, least, least - 1))


def test_what_is_refused():
    with pytest.raises(InputError, match="'resnet34'"):
        build("resnet-34", 10)
    with pytest.raises(InputError, match="width"):
        build("convnet", 10, wdth=3)
    with pytest.raises(InputError, match="width must be >= 1"):
        build("convnet", 10, width=0)
    for width, words in ((10**8, "would take .* GiB"), (10**10, "has more weights than 64 bits")):
        with pytest.raises(InputError, match=f"network 'convnet' with width = {width} {words}"):
            build("convnet", 10, width=width)
    with pytest.raises(InputError, match="n_classes must be >= 2"):
        build("convnet", 1)
    with pytest.raises(InputError, match="3 channels"):
        build("resnet50", 10, 1)
    for name in NETWORKS:
        assert "n_classes" not in signature(name).parameters


@pytest.mark.parametrize(
    ("name", "package", "expected"),
    [
        # torchvision's ResNet-50: 25,557,032 with 1,000 classes, less 2,049,000 for its head, plus 14 classes
        ("resnet50", "torchvision", 25_557_032 - 2_049_000 + 2049 * 14),
        ("inception_resnet_v2", "timm", 55_843_464 - 1537 * 1000 + 1537 * 14),
    ],
)
def test_large_networks_where_their_packages_are(name, package, expected, large_packages):
    if package not in large_packages:
        with pytest.raises(InputError, match=f"needs {package}"):
            build(name, 14)
        return
    assert sum(p.numel() for p in build(name, 14).parameters()) == expected
