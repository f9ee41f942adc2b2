"""Crop, flip and Cutout of a whole batch at once, each sample with its own draw."""

import torch
from torch import Generator, Tensor
from torch.nn import functional

from sparseop.errors import InputError


def random_window(images: Tensor, generator: Generator, pad: int, side: int = 0) -> Tensor:
    """Pad (B, C, H, W) with ``pad`` zeros on each side and cut a window at a uniformly random place, one a sample.

    The window is ``side`` x ``side``, or as large as the image where ``side`` is 0.
    """
    batch, _, height, width = images.shape
    if pad > max(height, width):
        raise InputError(f"pad must be at most the side of the images, {max(height, width)}, got {pad}.")
    tall, wide = (side, side) if side else (height, width)
    _require_room(height + 2 * pad, width + 2 * pad, tall, wide)
    row = torch.randint(height + 2 * pad - tall + 1, (batch,), generator=generator, device=images.device)
    column = torch.randint(width + 2 * pad - wide + 1, (batch,), generator=generator, device=images.device)
    padded = functional.pad(images, (pad, pad, pad, pad))
    windows = padded.unfold(2, tall, 1).unfold(3, wide, 1)  # a view: (B, C, places, places, tall, wide)
    return windows[torch.arange(batch, device=images.device), :, row, column]


def central_window(images: Tensor, side: int) -> Tensor:
    """Cut the central ``side`` x ``side`` pixels."""
    height, width = images.shape[2:]
    _require_room(height, width, side, side)
    top, left = (height - side) // 2, (width - side) // 2
    return images[:, :, top : top + side, left : left + side]


def _require_room(height: int, width: int, tall: int, wide: int) -> None:
    if tall > height or wide > width:
        raise InputError(
            f"crop must be at most the side of the images with their border, {height} x {width}, got {tall}."
        )


def flip(images: Tensor, generator: Generator) -> Tensor:
    """Mirror each image left to right with probability 1/2."""
    return mirror(images, torch.randint(2, (len(images),), generator=generator, device=images.device, dtype=torch.bool))


def mirror(images: Tensor, mirrored: Tensor) -> Tensor:
    """Mirror those images left to right for which ``mirrored``, bool (B,), holds."""
    if images.device.type != "cpu":
        return torch.where(mirrored[:, None, None, None], images.flip(3), images)
    index = mirrored.nonzero()[:, 0]  # a processor moves only those; a device's host must not wait to learn how many
    return images.index_copy(0, index, images.index_select(0, index).flip(3))


def cutout(images: Tensor, generator: Generator, side: int) -> Tensor:
    """Set a ``side`` x ``side`` square around a random pixel to zero, cut off at the border (DeVries & Taylor 2017)."""
    batch, _, height, width = images.shape
    if side // 2 >= max(height, width):
        raise InputError(
            f"hole must be less than twice the side of the images, {2 * max(height, width)}, or nothing of them is"
            f" left, got {side}."
        )
    low = torch.rand((2, batch), generator=generator, device=images.device)
    hole = [_span(low[i], size, side) for i, size in enumerate((height, width))]
    kept = ~(hole[0][:, :, None] & hole[1][:, None, :])[:, None]
    return images * kept.to(images.dtype)


def _span(draw: Tensor, size: int, side: int) -> Tensor:
    """Return (B, size): which rows (or columns) lie in [centre - side // 2, centre + side // 2)."""
    centre = (draw * size).long().clamp(max=size - 1)[:, None]
    place = torch.arange(size, device=draw.device)[None]
    return (place >= centre - side // 2) & (place < centre + side // 2)
