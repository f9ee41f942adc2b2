"""What several processes share, as far as one can tell; two of them train in test_engine."""

import pytest
import torch
from torch import nn

from sparseop.deep.training import distributed


@pytest.fixture
def several(monkeypatch):
    """Pretend that there are two processes, which hold the same batch."""
    monkeypatch.setattr(distributed, "world", lambda: 2)
    monkeypatch.setattr(distributed, "mean", lambda tensor: tensor)
    monkeypatch.setattr(distributed.dist, "get_backend", lambda: "gloo")


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())


def test_global_batch_norm_is_batch_norm(several):
    images = torch.randn(8, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    ours, theirs = distributed.synchronise_batch_norm(network()), network()
    torch.testing.assert_close(ours(images), theirs(images))
    torch.testing.assert_close(ours[1].running_mean, theirs[1].running_mean)
    n = 8 * 4 * 4  # unbiased by the number of pixels of all processes
    torch.testing.assert_close(
        (ours[1].running_var - 0.9) / (theirs[1].running_var - 0.9),
        torch.full((4,), (2 * n / (2 * n - 1)) / (n / (n - 1))),
    )


def test_global_batch_norm_under_autocast(several):
    images = torch.randn(8, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    ours, theirs = distributed.synchronise_batch_norm(network()), network()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, wanted = ours(images), theirs(images)
    assert found.dtype == wanted.dtype == torch.bfloat16
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(ours[1].running_mean, theirs[1].running_mean)


def test_on_cuda_it_is_torch_s_own_wherever_the_network_still_is(several, monkeypatch):
    monkeypatch.setattr(distributed.dist, "get_backend", lambda: "nccl")
    assert isinstance(distributed.synchronise_batch_norm(network())[1], nn.SyncBatchNorm)
