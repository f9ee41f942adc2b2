"""The dictionary of keys: first in, first out (He et al. 2020)."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from sparseop.errors import InputError, fits, integer


class Queue(nn.Module):
    """The last ``size`` keys and the samples they belong to, in buffers: so they are in every checkpoint.

    Before it is full it holds random directions, which belong to no sample (index -1).
    """

    keys: Tensor
    index: Tensor
    position: Tensor

    def __init__(self, size: int, dim: int, *, seed: int = 0) -> None:
        super().__init__()
        integer("queue", size, 1)
        fits(f"the queue of {size} keys with {dim} numbers each", 2 * size * dim, itemsize=4)  # drawn, and normalised
        generator = torch.Generator().manual_seed(seed)
        self.register_buffer("keys", normalize(torch.randn(size, dim, generator=generator)))
        self.register_buffer("index", torch.full((size,), -1))
        self.register_buffer("position", torch.zeros((), dtype=torch.int64))

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self.keys)

    @torch.no_grad()
    def push(self, keys: Tensor, index: Tensor) -> None:
        """Replace the oldest keys by ``keys`` (B, D) of the samples ``index`` (B,)."""
        if len(keys) > len(self):
            raise InputError(f"queue must hold at least one step's keys, {len(keys)}, got {len(self)}.")
        # the position stays on the device: reading it would make every step wait
        places = (self.position + torch.arange(len(keys), device=keys.device)) % len(self)
        self.keys.index_copy_(0, places, keys.to(self.keys.dtype))
        self.index.index_copy_(0, places, index)
        self.position.add_(len(keys)).remainder_(len(self))
