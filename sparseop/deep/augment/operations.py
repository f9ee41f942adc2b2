"""AutoAugment's operations on a batch, each sample with its own strength, equal to pillow's to the last bit.

Every function takes uint8 images (B, C, H, W) with one or three channels and values (B,), and returns new uint8 images.
The seven operations that map pixel values (invert, solarize, ...) share one table of 256 entries a channel; the four
that move pixels share one affine map in pillow's 16.16 fixed point, sampled at the nearest pixel, with black where no
pixel is.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Tables = Callable[[Tensor, Tensor], Tensor]


def histogram(images: Tensor) -> Tensor:
    """Count each channel's values: int64 (B, C, 256)."""
    batch, channels = images.shape[:2]
    pixels = images.reshape(batch, channels, -1).long()
    counts = torch.zeros(batch, channels, 256, dtype=torch.long, device=images.device)
    return counts.scatter_add_(2, pixels, torch.ones_like(pixels))


def grey(images: Tensor) -> Tensor:
    """Return luminance (B, 1, H, W) in ITU-R 601's weights and pillow's 16-bit fixed point.

    One channel stays as it is.
    """
    if images.shape[1] == 1:
        return images
    red, green, blue = images.int().unbind(1)
    return ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16).to(torch.uint8)[:, None]


def _blend(base: Tensor, images: Tensor, factor: Tensor) -> Tensor:
    """Return base + factor (images - base), cut off to a byte: pillow's enhancement in single precision."""
    start = base.float()
    return (start + factor.float() * (images.float() - start)).clamp(0, 255).to(torch.uint8)


def _ramp(images: Tensor) -> Tensor:
    return torch.arange(256, device=images.device)


# ---- tables: (images, values) -> uint8 (B, C or 1, 256) --------------------------------------------------------------
def _invert(images: Tensor, values: Tensor) -> Tensor:
    return (255 - _ramp(images)).to(torch.uint8).expand(len(values), 1, 256)


def _solarize(images: Tensor, values: Tensor) -> Tensor:
    """Invert all values from the threshold on."""
    ramp = _ramp(images)
    return torch.where(ramp < values[:, None, None], ramp, 255 - ramp).to(torch.uint8)


def _posterize(images: Tensor, values: Tensor) -> Tensor:
    """Keep the highest ``value`` bits."""
    # a device computes this for images with other operations' values too: they must not make it divide by 0
    step = 2 ** (8 - values.long().clamp(0, 8))[:, None, None]
    return (_ramp(images) // step * step).to(torch.uint8)


def _brightness(images: Tensor, values: Tensor) -> Tensor:
    ramp = _ramp(images)
    return _blend(torch.zeros_like(ramp), ramp, values[:, None, None])


def _contrast(images: Tensor, values: Tensor) -> Tensor:
    """Blend with the mean luminance of the image, rounded."""
    luminance = grey(images).flatten(1)
    # sum / n + 1/2, cut off, in whole numbers
    mean = (2 * luminance.sum(1, dtype=torch.long) + luminance.shape[1]) // (2 * luminance.shape[1])
    return _blend(mean[:, None, None], _ramp(images), values[:, None, None])


def _autocontrast(images: Tensor, values: Tensor) -> Tensor:
    """Stretch each channel's range to 0..255; a channel of one value stays."""
    del values
    pixels = images.flatten(2)
    low, high = pixels.amin(2, keepdim=True).double(), pixels.amax(2, keepdim=True).double()
    ramp = _ramp(images).double()
    # as pillow rounds; 255 / tensor takes the reciprocal first, and a ninth of the tables would be a level off
    scale = torch.full_like(low, 255) / (high - low).clamp(min=1)
    stretched = (ramp * scale - low * scale).clamp(0, 255)
    return torch.where(high > low, stretched, ramp).to(torch.uint8)


def _equalize(images: Tensor, values: Tensor) -> Tensor:
    """Make each channel's values as equally frequent as they can be; a channel with too few pixels to do so stays."""
    del values
    counts = histogram(images)
    ramp = _ramp(images)
    last = torch.where(counts > 0, ramp, -1).amax(2, keepdim=True)
    step = (counts.sum(2, keepdim=True) - counts.gather(2, last)) // 255
    below = counts.cumsum(2) - counts
    flat = ((step // 2 + below) // step.clamp(min=1)).clamp(max=255)
    return torch.where(step > 0, flat, ramp).to(torch.uint8)


TABLES: dict[str, Tables] = {
    "invert": _invert,
    "solarize": _solarize,
    "posterize": _posterize,
    "brightness": _brightness,
    "contrast": _contrast,
    "autocontrast": _autocontrast,
    "equalize": _equalize,
}


def apply_table(images: Tensor, table: Tensor) -> Tensor:
    """Look every pixel up in its channel's table, uint8 (B, C or 1, 256)."""
    batch, channels = images.shape[:2]
    pixels = images.reshape(batch, channels, -1).long()
    return table.expand(batch, channels, 256).gather(2, pixels).reshape(images.shape)


# ---- neighbours and colours ------------------------------------------------------------------------------------------
def color(images: Tensor, values: Tensor) -> Tensor:
    """Blend with the grey image: 0 is grey, 1 the image itself."""
    return _blend(grey(images), images, values[:, None, None, None])


def sharpness(images: Tensor, values: Tensor) -> Tensor:
    """Blend with the smoothed image (3 x 3 weights 1, centre 5, over 13); the outermost pixels keep their values."""
    wide = images.to(torch.int16)
    rows = wide[:, :, :-2] + wide[:, :, 1:-1] + wide[:, :, 2:]
    sums = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * wide[:, :, 1:-1, 1:-1]
    smooth = images.clone()
    smooth[:, :, 1:-1, 1:-1] = torch.div(2 * sums + 13, 26, rounding_mode="floor")  # sums / 13, rounded
    return _blend(smooth, images, values[:, None, None, None])


# ---- geometry: pixel (x, y) of the result shows pixel (a x + b y + c, d x + e y + f) of the image --------------------
def affine_matrix(kind: str, values: Tensor, height: int, width: int) -> Tensor:
    """Return (B, 6), the coefficients a..f in float64.

    Values: shear as a ratio, translation in pixels, rotation in degrees, counter-clockwise about the centre.
    """
    value = values.double()
    one, zero = torch.ones_like(value), torch.zeros_like(value)
    if kind == "rotate":
        angle = -torch.deg2rad(value)
        # pillow rounds to 15 decimals, so that right angles are exact
        cos, sin = angle.cos().round(decimals=15), angle.sin().round(decimals=15)
        x, y = width / 2, height / 2
        return torch.stack([cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y], 1)
    rows = {
        "shear_x": [one, value, zero, zero, one, zero],
        "shear_y": [one, zero, zero, value, one, zero],
        "translate_x": [one, zero, value, zero, one, zero],
        "translate_y": [one, zero, zero, zero, one, value],
    }
    return torch.stack(rows[kind], 1)


GEOMETRY = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")


def affine(images: Tensor, matrix: Tensor) -> Tensor:
    """Move the pixels of each image by its own matrix (B, 6)."""
    batch, channels, height, width = images.shape
    a, b, c, d, e, f = matrix.double().unbind(1)
    centred = torch.stack([a, b, c + 0.5 * a + 0.5 * b, d, e, f + 0.5 * d + 0.5 * e], 1)
    a, b, c, d, e, f = (centred * 65536 + 0.5).floor().int()[:, :, None, None].unbind(1)
    x = torch.arange(width, device=images.device, dtype=torch.int32)[None, None, :]
    y = torch.arange(height, device=images.device, dtype=torch.int32)[None, :, None]
    column = ((c + x * a) + y * b) >> 16
    row = ((f + y * e) + x * d) >> 16
    nearest = row.clamp(0, height - 1), column.clamp(0, width - 1)
    inside = (nearest[0] == row) & (nearest[1] == column)
    place = (nearest[0] * width + nearest[1]).long().reshape(batch, 1, -1)
    moved = images.reshape(batch, channels, -1).gather(2, place.expand(batch, channels, -1)).reshape(images.shape)
    return moved * inside[:, None]


def apply(kind: str, images: Tensor, values: Tensor) -> Tensor:
    """Apply one operation to every image, with one value each."""
    if kind in TABLES:
        return apply_table(images, TABLES[kind](images, values))
    if kind in GEOMETRY:
        return affine(images, affine_matrix(kind, values, *images.shape[2:]))
    return {"color": color, "sharpness": sharpness}[kind](images, values)
