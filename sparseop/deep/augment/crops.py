"""Random resized crops of a batch, one window a sample.

Drawn as torchvision draws them, scaled as pillow scales them.
"""

import math
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Generator, Tensor
from torch.nn import functional

TRIES = 10


def draw_windows(
    batch: int,
    height: int,
    width: int,
    area: tuple[float, float],
    ratio: tuple[float, float],
    generator: Generator,
    device: torch.device,
) -> Tensor:
    """Return (4, B) float: left, top, width and height of a window in whole pixels.

    The window's area is uniform in ``area`` times the image's, the logarithm of width / height uniform in log
    ``ratio``; of ``TRIES`` such draws the first that fits is taken, at a uniform place. Where none fits: the largest
    central window of a ratio within the bounds. (torchvision's RandomResizedCrop, a fixed number of draws a batch.)
    """
    draws = torch.rand((4, TRIES, batch), generator=generator, device=device)
    size = height * width * (area[0] + (area[1] - area[0]) * draws[0])
    low, high = math.log(ratio[0]), math.log(ratio[1])
    aspect = torch.exp(low + (high - low) * draws[1])
    wide, tall = (size * aspect).sqrt().round(), (size / aspect).sqrt().round()
    fits = (wide >= 1) & (wide <= width) & (tall >= 1) & (tall <= height)
    first = fits.to(torch.uint8).argmax(0, keepdim=True)
    fallback = _largest(height, width, ratio)
    found = [torch.where(fits.any(0), x.gather(0, first)[0], y) for x, y in ((wide, fallback[0]), (tall, fallback[1]))]
    room = [(width - found[0] + 1) * draws[2, 0], (height - found[1] + 1) * draws[3, 0]]
    # single precision can round a draw below 1 up to the end
    left, top = (
        torch.minimum(x.floor(), limit - part) for x, part, limit in zip(room, found, (width, height), strict=True)
    )
    centred = ~fits.any(0)
    left = torch.where(centred, ((width - found[0]) / 2).floor(), left)
    top = torch.where(centred, ((height - found[1]) / 2).floor(), top)
    return torch.stack([left, top, *found])


def _largest(height: int, width: int, ratio: tuple[float, float]) -> tuple[int, int]:
    if width / height < ratio[0]:
        return width, round(width / ratio[0])
    if width / height > ratio[1]:
        return round(height * ratio[1]), height
    return width, height


def resize(images: Tensor, windows: Tensor, flipped: Tensor, side: int) -> Tensor:
    """Cut each window out of images (B, C, H, W), scale it to side x side, mirror it where ``flipped`` (B,); float32.

    Pillow's bilinear resampling, antialiased where a window shrinks: a row of the result is a weighted mean of rows of
    the window, with weights that fall linearly with the distance, so the whole is two matrix products.
    """
    left, top, wide, tall = windows
    rows = _weights(top, tall, images.shape[2], side, torch.zeros_like(flipped))
    columns = _weights(left, wide, images.shape[3], side, flipped)
    with single_precision(images.device):
        return rows[:, None] @ images.float() @ columns.transpose(1, 2)[:, None]


def _weights(start: Tensor, length: Tensor, full: int, side: int, mirrored: Tensor) -> Tensor:
    """Return (B, side, full): how much each pixel of a line counts in each pixel of the result; rows sum to 1."""
    place = torch.arange(full, device=start.device) + 0.5 - start[:, None]
    place = torch.where((place > 0) & (place < length[:, None]), place, torch.inf)  # what lies outside counts nothing
    scale = (length / side)[:, None]
    centre = (torch.arange(side, device=start.device) + 0.5) * scale
    centre = torch.where(mirrored[:, None], length[:, None] - centre, centre)
    weights = (place[:, None] - centre[:, :, None]).abs_()
    weights.div_(-scale.clamp(min=1)[:, :, None]).add_(1).clamp_(min=0)
    return weights.div_(weights.sum(2, keepdim=True))


def turn(images: Tensor, windows: Tensor, flipped: Tensor, angle: Tensor, side: int) -> Tensor:
    """As ``resize``, the window turned by ``angle`` (B,), radians, about its centre.

    Sampled between pixels without antialiasing; beyond the border the image is reflected.
    """
    left, top, wide, tall = windows
    height, width = images.shape[2:]
    mirror = 1 - 2 * flipped.float()
    c, s = angle.cos(), angle.sin()
    row_x = torch.stack([c * wide * mirror, -s * tall, 2 * left + wide - width], 1) / width
    row_y = torch.stack([s * wide * mirror, c * tall, 2 * top + tall - height], 1) / height
    with single_precision(images.device):
        grid = functional.affine_grid(
            torch.stack([row_x, row_y], 1), [len(images), images.shape[1], side, side], align_corners=False
        )
        return functional.grid_sample(images.float(), grid, padding_mode="reflection", align_corners=False)


def single_precision(device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which products of matrices stay float32.

    A surrounding autocast would leave pixels eight bits.
    """
    if torch.is_autocast_enabled(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()
