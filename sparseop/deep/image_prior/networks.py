"""Networks whose structure alone prefers natural images: a fixed noise tensor goes in, an image in [0, 1] comes out.

``skip``     the hourglass with skip connections of the deep image prior (Ulyanov, Vedaldi and Lempitsky, IJCV 2020,
             doi:10.1007/s11263-020-01303-4), in the form that robust image recovery uses it.
``decoder``  a plain convolutional decoder: a small noise tensor, doubled in side ``scales`` times. Simpler, and less of
a prior.

Batch normalisation works on the one image there is, and always in training mode, as in the original.
"""

import inspect
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparseop.deep.networks.size import require_memory
from sparseop.errors import InputError, choice, fits, integer

SLOPE = 0.2  # of LeakyReLU
MOST_SCALES = 14  # an image of 2**15 pixels a side


class Prior(nn.Module):
    """What both have: ``least``, the pixels of one of the coarsest cells, and ``noise_shape``, that of their input."""

    least: int
    noise_shape: tuple[int, ...]


class Skip(Prior):
    """Hourglass with skip connections: images (1, C, H, W) from noise (1, depth, H, W); any H and W above 2^scales."""

    def __init__(self, channels: int, size: Sequence[int], *, depth: int, width: int, scales: int, skip: int) -> None:
        super().__init__()
        self.least, self.noise_shape = 2**scales, (1, depth, *size)
        into = [depth] + [width] * (scales - 1)
        self.side = nn.ModuleList(_block(n, skip, 1) for n in into)
        self.down = nn.ModuleList(nn.Sequential(_block(n, width, 3, stride=2), _block(width, width, 3)) for n in into)
        self.merge = nn.ModuleList(nn.BatchNorm2d(skip + width) for _ in into)
        self.up = nn.ModuleList(nn.Sequential(_block(skip + width, width, 3), _block(width, width, 1)) for _ in into)
        self.last = nn.Conv2d(width, channels, 1)

    def forward(self, z: Tensor) -> Tensor:
        """Return the image of a noise tensor."""
        return torch.sigmoid(self.last(self._scale(z, 0)))

    def _scale(self, x: Tensor, k: int) -> Tensor:
        deep = self.down[k](x)
        if k + 1 < len(self.down):
            deep = self._scale(deep, k + 1)
        # to the size of the skip branch, so that sides need not be multiples of 2^scales
        deep = functional.interpolate(deep, size=x.shape[-2:], mode="bilinear", align_corners=False)
        joined: Tensor = self.up[k](self.merge[k](torch.cat([self.side[k](x), deep], 1)))
        return joined


class Decoder(Prior):
    """Convolutional decoder: images (1, C, H, W) from noise (1, width, H/2^scales, W/2^scales)."""

    def __init__(self, channels: int, size: Sequence[int], *, width: int, scales: int, extra: int) -> None:
        super().__init__()
        self.size, self.least = (size[0], size[1]), 2**scales
        self.noise_shape = (1, width, -(-size[0] // self.least), -(-size[1] // self.least))
        self.grow = nn.ModuleList(_block(width, width, 3) for _ in range(scales))
        self.rest = nn.Sequential(*(_block(width, width, 3) for _ in range(extra)))
        self.last = nn.Conv2d(width, channels, 1)

    def forward(self, z: Tensor) -> Tensor:
        """Return the image of a noise tensor."""
        for k, block in enumerate(self.grow):
            z = block(z)
            # doubled, but for the last time: sides need not be multiples of 2^scales
            size = self.size if k + 1 == len(self.grow) else (2 * z.shape[-2], 2 * z.shape[-1])
            z = functional.interpolate(z, size=size, mode="bilinear", align_corners=False)
        return torch.sigmoid(self.last(self.rest(z)))


def skip(
    channels: int, size: Sequence[int], *, width: int = 32, scales: int = 4, depth: int = 16, skip: int = 4
) -> Prior:
    """Return the hourglass; the released settings are width = 128, scales = 5, depth = 32, skip = 4.

    Parameters
    ----------
    channels, size : of the image, (C, H, W).
    width : feature maps of every layer, down and up.
    scales : times the side is halved.
    depth : channels of the noise.
    skip : channels of each skip connection.
    """
    for name, value in (("width", width), ("depth", depth), ("skip", skip)):
        integer(f"network.{name}", value, 1)
    integer("network.scales", scales, 1, MOST_SCALES)
    return Skip(channels, size, depth=depth, width=width, scales=scales, skip=skip)


def decoder(channels: int, size: Sequence[int], *, width: int = 64, scales: int = 3, extra: int = 2) -> Prior:
    """Return the decoder.

    Parameters
    ----------
    channels, size : of the image, (C, H, W).
    width : feature maps of every layer, and channels of the noise.
    scales : times the side is doubled.
    extra : further 3 x 3 convolutions at full size.
    """
    integer("network.width", width, 1)
    integer("network.scales", scales, 1, MOST_SCALES)
    integer("network.extra", extra, 0, 100)
    return Decoder(channels, size, width=width, scales=scales, extra=extra)


_BUILDERS: dict[str, Callable[..., Prior]] = {"skip": skip, "decoder": decoder}
NAMES = tuple(_BUILDERS)


def signature(name: str) -> inspect.Signature:
    """Return the options of a network: names, types and defaults."""
    whole = inspect.signature(_BUILDERS[choice("network.name", name, NAMES)])
    return whole.replace(parameters=[p for p in whole.parameters.values() if p.kind is p.KEYWORD_ONLY])


def build(name: str, channels: int, size: Sequence[int], **options: int) -> Prior:
    """Return a freshly initialised network for images (channels, *size).

    Raises
    ------
    InputError : an unknown name, an option out of range, a size that memory cannot hold, an image smaller than the
        network's coarsest cell.
    """
    builder = _BUILDERS[choice("network.name", name, NAMES)]
    require_memory(name, options, lambda: builder(channels, size, **options))
    network = builder(channels, size, **options)
    fits(
        f"the {network.noise_shape[1]} channels of noise that network {name!r} starts from",
        math.prod(network.noise_shape),
        itemsize=4,
    )
    if min(size) < 2 * network.least:
        raise InputError(
            f"network {name!r} halves the side {network.least.bit_length() - 1} times and needs an image of at least "
            f"{2 * network.least} pixels, got {size[0]} x {size[1]}; a smaller network.scales needs less."
        )
    return network


def _block(into: int, out: int, side: int, *, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(into, out, side, stride, padding=side // 2, padding_mode="reflect" if side > 1 else "zeros")
    return nn.Sequential(convolution, nn.BatchNorm2d(out), nn.LeakyReLU(SLOPE))
