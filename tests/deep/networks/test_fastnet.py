"""The fast network: each piece against a slow reference, its cost against a count by hand."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sparseop.deep import networks
from sparseop.deep.networks.fastnet import EPS, whitening
from sparseop.errors import InputError


def smooth(n=40, side=12, channels=3):
    """Return images (n, channels, side, side) whose neighbouring pixels and channels are correlated."""
    x = torch.randn(n, channels, side + 2, side + 2, generator=torch.Generator().manual_seed(0))
    x = x + x.mean(1, keepdim=True)
    return torch.nn.functional.avg_pool2d(x, 3, 1)


def patches(images):
    """Return all 2 x 2 patches as rows, cut one by one."""
    n, _, height, width = images.shape
    cut = [images[i, :, a : a + 2, b : b + 2] for i in range(n) for a in range(height - 1) for b in range(width - 1)]
    return np.stack([part.reshape(-1).double().numpy() for part in cut])


@pytest.mark.parametrize("channels", [1, 3])
def test_whitened_patches_have_the_identity_as_their_second_moment(channels):
    images = smooth(channels=channels)
    filters = whitening(images)
    half = 4 * channels
    assert filters.shape == (2 * half, channels, 2, 2)
    assert torch.equal(filters[:half], -filters[half:])
    x = patches(images)
    responses = x @ filters[:half].reshape(half, -1).double().numpy().T
    values = np.linalg.eigvalsh(x.T @ x / len(x))
    np.testing.assert_allclose(responses.T @ responses / len(x), np.diag(values / (values + EPS)), atol=2e-6)
    assert values[0] < 0.1 * values[-1]  # there was something to whiten


def test_whitening_does_not_depend_on_how_images_are_grouped():
    images = smooth(n=600, side=6)
    x = patches(images)
    filters = whitening(images)[:12].reshape(12, -1).double().numpy()
    moment = x.T @ x / len(x)
    values = np.linalg.eigvalsh(moment)
    np.testing.assert_allclose(filters @ moment @ filters.T, np.diag(values / (values + EPS)), atol=2e-6)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(0, 3, 8, 8), "2 x 2 pixels and more"),
        (torch.zeros(2, 3, 1, 8), "2 x 2 pixels and more"),
        (torch.zeros(3, 8, 8), "2 x 2 pixels and more"),
        (torch.full((2, 3, 8, 8), torch.nan), "must be finite"),
    ],
)
def test_what_cannot_be_whitened(images, message):
    with pytest.raises(InputError, match=message):
        whitening(images)


def convolutions(network):
    return [module for module in network.body if isinstance(module, torch.nn.Conv2d)]


def test_convolutions_start_as_partial_identities():
    for convolution in convolutions(networks.build("fastnet", 10, width=32)):
        wide_in, wide_out = convolution.in_channels, convolution.out_channels
        x = torch.randn(2, wide_in, 5, 5)
        torch.testing.assert_close(convolution(x)[:, :wide_in], x[:, :wide_out])
        if wide_out > wide_in:
            assert convolution.weight[wide_in:].std() > 0.01  # the others are drawn
    plain = convolutions(networks.build("fastnet", 10, width=32, identity=False))
    assert all(convolution.weight.std() > 0.01 for convolution in plain)


def test_what_learns():
    network = networks.build("fastnet", 10)
    learns = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    norms = [f"body.{i}" for i, module in enumerate(network.body) if isinstance(module, torch.nn.BatchNorm2d)]
    assert len(norms) == 6
    assert "first.weight" not in learns
    assert "first.bias" in learns
    assert all(f"{name}.bias" in learns and f"{name}.weight" not in learns for name in norms)
    scaled = networks.build("fastnet", 10, norm_scale=True, whiten=False)
    assert all(parameter.requires_grad for parameter in scaled.parameters())


@pytest.mark.parametrize(("width", "side"), [(32, 32), (64, 32), (8, 17)])
def test_operations_of_an_image_by_hand(width, side):
    """Two for each weight and place; 66 million at width 32 on 32 x 32."""
    network = networks.build("fastnet", 10, width=width).eval()
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, side, side))
    a = side - 1
    b, c, d = a // 2, a // 4, a // 8
    w = width
    by_hand = a * a * (24 * 12 + 9 * 24 * w) + 9 * b * b * (w * w + w * 4 * w)
    by_hand += 9 * (4 * w) ** 2 * (2 * c * c + d * d) + 4 * w * 10
    assert counter.get_total_flops() == 2 * by_hand
    if (width, side) == (32, 32):
        assert round(2e-6 * by_hand) == 66
        assert sum(parameter.numel() for parameter in network.parameters()) == 498_104


def test_images_that_are_too_small():
    network = networks.build("fastnet", 10, width=2).eval()
    assert network(torch.zeros(1, 3, 9, 9)).shape == (1, 10)
    with pytest.raises(InputError, match=r"'fastnet' takes images of 9 x 9 pixels and more, got 8 x 9"):
        network(torch.zeros(1, 3, 8, 9))
    with pytest.raises(InputError, match="norm_momentum"):
        networks.build("fastnet", 10, norm_momentum=0.0)


def test_logits_start_small_and_the_head_can_be_taken_off():
    network = networks.build("fastnet", 10, width=32).eval()
    images = torch.randn(50, 3, 32, 32)
    network.whiten(images)
    assert network(images).abs().max() < 2
    assert network.head.weight.std().item() == pytest.approx(1 / 128, rel=0.1)
    backbone, width = networks.backbone("fastnet", width=32)
    assert backbone.eval()(images).shape == (50, width) == (50, 128)
