"""Crop, flip and Cutout of a whole batch at once, each sample with its own draw."""

import torch
from torch import Generator, Tensor
from torch.nn import functional


def crop(images: Tensor, generator: Generator, pad: int) -> Tensor:
    """Pad (B, C, H, W) with ``pad`` zeros on each side and cut H x W at a uniformly random place, one a sample."""
    batch, _, height, width = images.shape
    row, column = torch.randint(2 * pad + 1, (2, batch), generator=generator, device=images.device).unbind()
    padded = functional.pad(images, (pad, pad, pad, pad))
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # a view: (B, C, 2 pad + 1, 2 pad + 1, H, W)
    return windows[torch.arange(batch, device=images.device), :, row, column]


def flip(images: Tensor, generator: Generator) -> Tensor:
    """Mirror each image left to right with probability 1/2."""
    mirrored = torch.randint(2, (len(images), 1, 1, 1), generator=generator, device=images.device, dtype=torch.bool)
    return torch.where(mirrored, images.flip(3), images)


def cutout(images: Tensor, generator: Generator, side: int) -> Tensor:
    """Set a ``side`` x ``side`` square around a random pixel to zero, cut off at the border (DeVries & Taylor 2017)."""
    batch, _, height, width = images.shape
    low = torch.rand((2, batch), generator=generator, device=images.device)
    hole = [_span(low[i], size, side) for i, size in enumerate((height, width))]
    return images.masked_fill((hole[0][:, :, None] & hole[1][:, None, :])[:, None], 0)


def _span(draw: Tensor, size: int, side: int) -> Tensor:
    """Return (B, size): which rows (or columns) lie in [centre - side // 2, centre + side // 2)."""
    centre = (draw * size).long().clamp(max=size - 1)[:, None]
    place = torch.arange(size, device=draw.device)[None]
    return (place >= centre - side // 2) & (place < centre + side // 2)
