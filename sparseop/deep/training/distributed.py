"""The few collective operations that training on several processes needs; with one process each is the identity.

Started by ``torchrun --nproc-per-node W -m sparseop.deep.train RECIPE``. Each rank takes an equal share of every global
batch, so the mean over the global batch is the mean of the ranks' means, and a step is what one process would do with
the whole batch: gradients are averaged (DistributedDataParallel), batch normalisation sees the global batch, and the
rows of per-sample variables that any rank touched are gathered, so that every rank holds the same state.
"""

import os

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.modules.batchnorm import _BatchNorm


def announced() -> int:
    """Return the number of processes that torchrun has started, whether they have met or not."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def start(device: torch.device) -> None:
    """Join the process group that torchrun announces in the environment; nothing to do without one."""
    if announced() > 1 and not dist.is_initialized():
        if device.type == "cuda":
            dist.init_process_group("nccl", device_id=device)
        else:
            dist.init_process_group("gloo")


def stop() -> None:
    """Leave the process group."""
    if world() > 1:
        dist.destroy_process_group()


def world() -> int:
    """Return the number of processes W."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return this process's number, 0..W-1; rank 0 writes the files."""
    return dist.get_rank() if world() > 1 else 0


def speaks() -> bool:
    """Whether this is the process that prints; the process group may be gone by now."""
    return rank() == 0 and os.environ.get("RANK", "0") == "0"


def local_rank() -> int:
    """Return this process's number on its own machine: the index of its CUDA device."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def barrier() -> None:
    """Wait for all ranks."""
    if world() > 1:
        dist.barrier()


def gather(tensor: Tensor) -> Tensor:
    """Return the ranks' equally shaped tensors concatenated along the first dimension; no gradient flows."""
    if world() == 1:
        return tensor
    parts = [torch.empty_like(tensor) for _ in range(world())]
    dist.all_gather(parts, tensor.contiguous())
    return torch.cat(parts)


def gather_batch(tensor: Tensor) -> Tensor:
    """Return the ranks' shares of a batch in the order of the global batch; no gradient flows.

    Sample i of rank r is sample i W + r of the global batch, as ``feed.epoch_order`` deals them.
    """
    if world() == 1:
        return tensor
    return gather(tensor).view(world(), *tensor.shape).transpose(0, 1).flatten(0, 1)


def mean(tensor: Tensor) -> Tensor:
    """Return the mean over ranks of equally shaped tensors; differentiable."""
    if world() == 1:
        return tensor
    total: Tensor = all_reduce(tensor)  # type: ignore[no-untyped-call]
    return total / world()


def total(tensor: Tensor) -> Tensor:
    """Return the sum over ranks of equally shaped tensors; no gradient flows."""
    if world() == 1:
        return tensor
    result = tensor.detach().clone()
    dist.all_reduce(result)
    return result


def synchronise_batch_norm(network: nn.Module) -> nn.Module:
    """Return the network with batch normalisation over the global batch."""
    if world() == 1:
        return network
    if dist.get_backend() == "nccl":  # the network may still be on its way to the device
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return converted
    for name, child in network.named_children():
        if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
            setattr(network, name, _GlobalBatchNorm(child))
        else:
            synchronise_batch_norm(child)
    return network


class _GlobalBatchNorm(_BatchNorm):
    """Batch normalisation over all ranks; torch's own SyncBatchNorm refuses CPU tensors."""

    def __init__(self, other: _BatchNorm) -> None:
        super().__init__(other.num_features, other.eps, other.momentum, other.affine, other.track_running_stats)
        self.load_state_dict(other.state_dict())
        self.train(other.training)

    def forward(self, images: Tensor) -> Tensor:
        if not self.training:
            return super().forward(images)
        over = [d for d in range(images.ndim) if d != 1]
        exact = images.float()  # under autocast they come with eight bits
        moments = mean(torch.stack([exact.mean(over), exact.square().mean(over)]))
        centre, variance = moments[0], moments[1] - moments[0].square()
        with torch.no_grad():
            count = images.numel() / images.shape[1] * world()
            momentum = self.momentum if self.momentum is not None else 0.1
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            self.running_mean.lerp_(centre, momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), momentum)
            self.num_batches_tracked += 1
        scale = self.weight * torch.rsqrt(variance + self.eps)
        shape = (-1, *(1 for _ in over[1:]))
        return (exact * scale.view(shape) + (self.bias - centre * scale).view(shape)).to(images.dtype)

    def _check_input_dim(self, images: Tensor) -> None:
        """Features (B, C) and images (B, C, H, W) are both welcome."""
