"""Batches for the training loop: small data sets live on the device as uint8, large ones are decoded ahead of time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Generator, Tensor

from sparseop.deep.datasets import Images
from sparseop.errors import InputError

AHEAD = 4  # batches decoded in advance: enough to hide the decoding of one behind the step of another


class Feed:
    """Images by index, on the device.

    Parameters
    ----------
    images : uint8 (N, C, H, W), or lazily decoded. (Any tensor of one row a sample, such as features, will do.)
    device : where the batches go; a tensor moves there whole, once.
    """

    def __init__(self, images: Images, device: torch.device) -> None:
        self.device = device
        self.lazy = None if isinstance(images, Tensor) else images
        self.resident = images.to(device) if isinstance(images, Tensor) else None

    def batches(self, parts: list[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (index, images) for each index tensor of ``parts``, both on the device."""
        # one transfer for the whole epoch: a copy from pageable memory would make every step wait
        indices = torch.split(torch.cat(parts).to(self.device), [len(part) for part in parts])
        if self.resident is not None:
            for index in indices:
                yield index, self.resident.index_select(0, index)
            return
        with ThreadPoolExecutor(AHEAD) as pool:
            waiting = [pool.submit(self._fetch, part) for part in parts[:AHEAD]]
            for number, index in enumerate(indices):
                images = waiting.pop(0).result()
                if number + AHEAD < len(parts):
                    waiting.append(pool.submit(self._fetch, parts[number + AHEAD]))
                yield index, images.to(self.device, non_blocking=True)

    def _fetch(self, part: Tensor) -> Tensor:
        """Return decoded images, for CUDA in pinned memory: a copy from there goes on behind the step."""
        assert self.lazy is not None
        images = self.lazy.fetch(part)
        return images.pin_memory() if self.device.type == "cuda" else images


def epoch_order(
    samples: Tensor, batch_size: int, generator: Generator, *, drop_last: bool, rank: int = 0, world: int = 1
) -> list[Tensor]:
    """Return this rank's share of each batch of an epoch: a random permutation of ``samples``, cut.

    Every rank draws the same permutation and takes each ``world``-th sample of each global batch, so that all ranks
    together process what one process would. With ``world`` > 1 the last batch loses up to world - 1 samples, so that
    shares are equal. A last batch of a single sample a rank is left out: batch normalisation cannot use it.

    Raises
    ------
    InputError : no batch has two samples a rank.
    """
    order = samples[torch.randperm(len(samples), generator=generator)]
    parts: list[Tensor] = []
    for batch in torch.split(order, batch_size):
        if len(batch) < batch_size and drop_last and parts:
            break
        share = batch[: len(batch) // world * world][rank::world]
        if len(share) > 1:
            parts.append(share)
    if not parts:
        raise InputError(
            f"a batch must have two samples for each process, {2 * world}, got {min(batch_size, len(samples))}."
        )
    return parts


def whole_pass(samples: Tensor, batch_size: int, *, rank: int = 0, world: int = 1) -> list[Tensor]:
    """Return this rank's share of a pass over all ``samples`` in order.

    The last share is filled up by wrapping around.
    """
    places = torch.arange(rank, len(samples) + -len(samples) % world, world) % max(len(samples), 1)
    return list(torch.split(samples[places], batch_size))
