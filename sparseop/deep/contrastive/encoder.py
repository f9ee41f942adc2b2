"""Networks of contrastive learning: backbone and head, the momentum copy, batch normalisation in groups."""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from sparseop.errors import InputError, integer


class Encoder(nn.Module):
    """A backbone and a head; the head's output is normalised to unit length.

    Parameters
    ----------
    backbone : maps images to features (B, D).
    width : D.
    dim : of the head's output.
    layers : linear layers of the head, ReLU between them; 1 is MoCo's CIFAR demo, 2 MoCo v2, 3 SANE's "3-layered MLP".
    hidden : their width; 0: D.
    batch_norm : batch normalisation before each ReLU of the head.
    """

    def __init__(
        self,
        backbone: nn.Module,
        width: int,
        *,
        dim: int = 128,
        layers: int = 2,
        hidden: int = 0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        integer("head.dim", dim, 2)
        integer("head.layers", layers, 1, 100)
        integer("head.hidden", hidden, 0)
        wide = hidden or width
        steps: list[nn.Module] = []
        for number in range(layers):
            last = number == layers - 1
            steps.append(nn.Linear(width if number == 0 else wide, dim if last else wide))
            if not last:
                steps += [nn.BatchNorm1d(wide)] if batch_norm else []
                steps.append(nn.ReLU(inplace=True))
        self.backbone, self.head = backbone, nn.Sequential(*steps)
        self.width, self.dim = width, dim

    def forward(self, images: Tensor) -> Tensor:
        """Return the head's features (B, dim), float32 with unit rows."""
        return self.project(self.backbone(images))

    def project(self, features: Tensor) -> Tensor:
        """Return the head's unit features (B, dim) of the backbone's (B, D)."""
        return functional.normalize(self.head(features).float())


def momentum_copy(network: nn.Module) -> nn.Module:
    """Return a copy that no gradient reaches."""
    copied = copy.deepcopy(network)
    for parameter in copied.parameters():
        parameter.requires_grad_(False)
    return copied


@torch.no_grad()
def follow(slow: nn.Module, fast: nn.Module, momentum: float) -> None:
    """Set xi = m xi + (1 - m) w for the parameters.

    Buffers of batch normalisation come from each network's own batches.
    """
    torch._foreach_lerp_(list(slow.parameters()), list(fast.parameters()), 1 - momentum)


def split_batch_norm(network: nn.Module, groups: int) -> nn.Module:
    """Return the network with batch normalisation over ``groups`` parts of each batch, in training."""
    if groups == 1:
        return network
    for name, child in network.named_children():
        if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
            setattr(network, name, SplitBatchNorm(child, groups))
        else:
            split_batch_norm(child, groups)
    return network


class SplitBatchNorm(_BatchNorm):
    """Batch normalisation of G groups apart, as several devices would do: sample n belongs to group n mod G.

    Without it a query could tell its positive by the statistics of their batch. Running statistics, used in evaluation,
    are the groups' means.
    """

    def __init__(self, other: _BatchNorm, groups: int) -> None:
        super().__init__(other.num_features, other.eps, other.momentum, other.affine, other.track_running_stats)
        self.load_state_dict(other.state_dict())
        for own, given in zip(self.parameters(), other.parameters(), strict=True):
            own.requires_grad_(given.requires_grad)  # a scale that is fixed stays so
        self.train(other.training)
        self.groups = groups

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, C, ...), normalised."""
        if not self.training:
            return super().forward(images)
        batch, channels = images.shape[:2]
        if batch % self.groups:
            raise InputError(
                f"training.splits must divide the number of samples in a batch, {batch}, got {self.groups}."
            )
        assert self.running_mean is not None
        assert self.running_var is not None
        centre, variance = self.running_mean.repeat(self.groups), self.running_var.repeat(self.groups)
        grouped = images.reshape(batch // self.groups, self.groups * channels, *images.shape[2:])
        result = functional.batch_norm(
            grouped,
            centre,
            variance,
            self.weight.repeat(self.groups),
            self.bias.repeat(self.groups),
            True,
            self.momentum if self.momentum is not None else 0.1,
            self.eps,
        )
        with torch.no_grad():
            self.running_mean.copy_(centre.view(self.groups, channels).mean(0))
            self.running_var.copy_(variance.view(self.groups, channels).mean(0))
            assert self.num_batches_tracked is not None
            self.num_batches_tracked += 1
        return result.view(images.shape)

    def _check_input_dim(self, images: Tensor) -> None:
        """Features (B, C) and images (B, C, H, W) are both welcome."""
