"""Colour jitter, loss of colour and blur of a batch of float images (B, C, H, W) in [0, 1], one draw a sample.

``jitter`` is torchvision's ColorJitter: brightness, contrast and saturation by a factor, hue by a turn of the HSV
circle, in an order of its own for each sample, cut off to [0, 1] after each step. ``linear_jitter`` is its cheap
relative: hue turns in the plane of constant luminance (YIQ), and nothing is cut off before the end; then the four
operations commute and are one 3 x 3 matrix and one offset an image.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Generator, Tensor
from torch.nn import functional

from sparseop.deep.augment.crops import single_precision

LUMINANCE = (0.299, 0.587, 0.114)
Strengths = tuple[float, float, float, float]


def draw_jitter(batch: int, strengths: Strengths, chance: float, generator: Generator, device: torch.device) -> Tensor:
    """Return (4, B): factors of brightness, contrast and saturation, and the turn of hue.

    A factor is uniform in [max(0, 1 - s), 1 + s], hue in [-h, h] turns, for ``strengths`` (s, s, s, h); all are neutral
    (1, 1, 1, 0) with probability 1 - ``chance``.
    """
    low, high, neutral = _bounds(strengths, device)
    drawn = low + (high - low) * torch.rand((4, batch), generator=generator, device=device)
    return torch.where(torch.rand(batch, generator=generator, device=device) < chance, drawn, neutral)


@lru_cache(maxsize=16)
def _bounds(strengths: Strengths, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return (4, 1) each: lower and upper bounds, and what changes nothing; on the device once and for all."""
    low = [max(0.0, 1 - s) for s in strengths[:3]] + [-strengths[3]]
    high = [1 + s for s in strengths[:3]] + [strengths[3]]
    found = torch.tensor([low, high, [1.0, 1.0, 1.0, 0.0]], device=device)[:, :, None]
    return found[0], found[1], found[2]


def draw_order(batch: int, generator: Generator, device: torch.device) -> Tensor:
    """Return (4, B): at which step, 0 to 3, each operation comes; all 24 orders are equally likely."""
    return torch.rand((4, batch), generator=generator, device=device).argsort(0)


def luminance(images: Tensor) -> Tensor:
    """Return (B, 1, H, W) in ITU-R 601's weights; one channel stays as it is."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images[:, 0:1], images[:, 1:2], images[:, 2:3]
    return (LUMINANCE[0] * red).add_(green, alpha=LUMINANCE[1]).add_(blue, alpha=LUMINANCE[2])


def jitter(images: Tensor, drawn: Tensor, order: Tensor) -> Tensor:
    """Apply ``draw_jitter``'s factors in ``draw_order``'s order."""
    brightness, contrast, saturation, hue = drawn
    for step in range(4):
        turned = order[3] == step
        images = _where(turned, turn_hue, images, hue)
        f = torch.where(
            order[0] == step,
            brightness,
            torch.where(order[1] == step, contrast, torch.where(order[2] == step, saturation, 1.0)),
        )
        grey = luminance(images)
        # each of the three blends the image with black, its mean luminance, or its luminance
        mean = grey.mean((1, 2, 3)).mul_((1 - f) * (order[1] == step))[:, None, None, None]
        part = ((1 - f) * (order[2] == step))[:, None, None, None]
        images = (images * f[:, None, None, None]).add_(grey * part).add_(mean).clamp_(0, 1)
    return images


def turn_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue of HSV by ``turns`` (B,) of the full circle; images of one channel have none."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.unbind(1)
    value = images.amax(1)
    chroma = value - images.amin(1)
    is_red, is_green = value == red, value == green
    sector = torch.where(is_red, green - blue, torch.where(is_green, blue - red, red - green))
    sector.div_(torch.where(chroma > 0, chroma, 1.0))
    sector.add_(torch.where(is_red, 0.0, torch.where(is_green, 2.0, 4.0))).add_(6 * turns[:, None, None])
    # channel n of (5, 3, 1) is V - C clamp(min(k, 4 - k), 0, 1) with k = (n + sector) mod 6
    k = sector[:, None] + torch.arange(5, 0, -2, device=images.device)[None, :, None, None]
    k.sub_((k / 6).floor_().mul_(6))
    return torch.minimum(k, 4 - k).clamp_(0, 1).mul_(chroma[:, None]).neg_().add_(value[:, None])


def linear_jitter(images: Tensor, drawn: Tensor, greyed: Tensor) -> Tensor:
    r"""Apply the factors as one linear map an image, and take away the colour where ``greyed`` (B,).

    With luminance y = w.x, brightness b, contrast c, saturation s and hue phi:
    x -> b c (y 1 + s R_phi (x - y 1)) + b (1 - c) mean(y) 1, cut off to [0, 1], R_phi the turn in the YIQ plane.
    """
    brightness, contrast, saturation, hue = drawn
    scale = brightness * contrast
    offset = (brightness * (1 - contrast) * luminance(images).mean((1, 2, 3)))[:, None, None, None]
    if images.shape[1] == 1:
        return torch.addcmul(offset, images, scale[:, None, None, None]).clamp_(0, 1)
    to_grey, cosine, sine = _hue_basis(images.device)
    kept = torch.where(greyed, 0.0, saturation)
    angle = 2 * math.pi * hue
    matrix = to_grey + (kept * angle.cos())[:, None, None] * cosine + (kept * angle.sin())[:, None, None] * sine
    with single_precision(images.device):
        mixed = torch.bmm(scale[:, None, None] * matrix, images.flatten(2)).reshape(images.shape)
    return mixed.add_(offset).clamp_(0, 1)


@lru_cache(maxsize=8)
def _hue_basis(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return G, P, Q (3, 3) with R_phi (x - G x) = (cos phi P + sin phi Q) x.

    G = 1 w^T, P = I - G, Q a quarter turn.
    """
    w = torch.tensor(LUMINANCE, dtype=torch.float64)
    to_yiq = torch.stack(
        [
            w,
            torch.tensor([0.596, -0.274, -0.322], dtype=torch.float64),
            torch.tensor([0.211, -0.523, 0.312], dtype=torch.float64),
        ]
    )
    # rows that sum to exactly 0 keep grey grey; from rounded digits they need not
    to_yiq[1:] -= to_yiq[1:].mean(1, keepdim=True)
    quarter = torch.tensor([[0, 0, 0], [0, 0, -1], [0, 1, 0]], dtype=torch.float64)
    to_grey = w.expand(3, 3)
    turned = torch.linalg.inv(to_yiq) @ quarter @ to_yiq
    return tuple(m.float().to(device) for m in (to_grey, torch.eye(3, dtype=torch.float64) - to_grey, turned))  # type: ignore[return-value]


def drop_colour(images: Tensor, greyed: Tensor) -> Tensor:
    """Replace images by their luminance where ``greyed`` (B,)."""
    return torch.where(greyed[:, None, None, None], luminance(images), images)


def blur(images: Tensor, sigma: Tensor, largest: float) -> Tensor:
    """Convolve with a Gaussian of ``sigma`` (B,) pixels, at most ``largest``; 0: leave. The border is reflected.

    The Gaussian is cut off at 3 ``largest`` and scaled to sum 1.
    """
    reach = min(math.ceil(3 * largest), min(images.shape[2:]) - 1)
    steps = torch.arange(-reach, reach + 1, device=images.device)
    kernel = torch.exp(-0.5 * (steps / sigma.clamp(min=1e-3)[:, None]) ** 2)  # sigma 0: all weight in the centre
    kernel = kernel / kernel.sum(1, keepdim=True)
    batch, channels, height, width = images.shape
    weights = kernel.repeat_interleave(channels, 0)[:, None]
    flat = functional.pad(images, (reach, reach, reach, reach), mode="reflect").reshape(
        1, batch * channels, height + 2 * reach, -1
    )
    with single_precision(images.device):
        flat = functional.conv2d(flat, weights[:, :, None, :], groups=batch * channels)
        flat = functional.conv2d(flat, weights[:, :, :, None], groups=batch * channels)
    return flat.reshape(batch, channels, height, width)


def _where(chosen: Tensor, function: Callable[[Tensor, Tensor], Tensor], images: Tensor, values: Tensor) -> Tensor:
    """Return function(images, values) where ``chosen`` (B,).

    A processor computes only those; a device, whose host must not wait to learn how many there are, all.
    """
    if images.device.type != "cpu":
        return torch.where(chosen[:, None, None, None], function(images, values), images)
    index = chosen.nonzero()[:, 0]
    if not len(index):
        return images
    return images.index_copy(0, index, function(images.index_select(0, index), values[index]))
