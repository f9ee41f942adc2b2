"""The stronger augmentations of CLSA (Wang & Qi 2021, arXiv:2104.07713), which SANE uses.

Five of 14 operations, batched.

Each image draws, five times and with replacement, one operation, a level m of 1 to 9, and happens to get it with
probability 1/2, as in the released code. A level means: 0.05 + 0.09 m for the four enhancements (which so only ever
weaken: 0.14 to 0.86), 4 + int(0.4 m) bits, rotation by 3 m degrees, shear 0.03 m, translation by int(0.03 m side)
pixels, solarize from 256 - int(25.6 m) on; what has a direction goes either way with equal chance. The fourteenth is
the identity.
"""

from functools import lru_cache

import torch
from torch import Generator, Tensor

from sparseop.deep.augment import operations as ops
from sparseop.deep.augment.autoaugment import OPERATIONS, transform

NAMES = (
    "autocontrast",
    "brightness",
    "color",
    "contrast",
    "equalize",
    "none",
    "posterize",
    "rotate",
    "sharpness",
    "shear_x",
    "shear_y",
    "solarize",
    "translate_x",
    "translate_y",
)
TIMES = 5
LEVELS = 10


def strength(kind: str, level: int, side: int) -> float:
    """Return what ``level`` (1..9) means for an operation on images of ``side`` pixels."""
    if kind.startswith("shear"):
        return 0.3 * level / LEVELS
    if kind.startswith("translate"):
        return float(int(0.3 * level / LEVELS * side))
    if kind == "rotate":
        return float(int(30 * level / LEVELS))
    if kind == "solarize":
        return 256.0 - int(256 * level / LEVELS)
    if kind == "posterize":
        return float(int(4 * level / LEVELS) + 4)
    return 0.9 * level / LEVELS + 0.05  # without meaning for none, equalize and autocontrast


@lru_cache(maxsize=16)
def _tables(side: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return the operations' numbers (14,), strengths (14, 10) and whether they have a direction (14,)."""
    kinds = torch.tensor([OPERATIONS.index(kind) for kind in NAMES])
    values = torch.tensor([[strength(kind, level, side) for level in range(LEVELS)] for kind in NAMES])
    directed = torch.tensor([kind in ops.GEOMETRY for kind in NAMES])
    return kinds.to(device), values.to(device), directed.to(device)


def draw(batch: int, side: int, generator: Generator, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return what happens to each image: operation numbers (B, 5), 0 for none, and signed strengths (B, 5)."""
    kinds, values, directed = _tables(side, device)
    shape = (batch, TIMES)
    chosen = torch.randint(len(NAMES), shape, generator=generator, device=device)
    level = torch.randint(1, LEVELS, shape, generator=generator, device=device)
    happens = torch.rand(shape, generator=generator, device=device) < 0.5
    mirrored = torch.randint(2, shape, generator=generator, device=device, dtype=torch.bool)
    value = values[chosen, level]
    return kinds[chosen] * happens, torch.where(directed[chosen] & mirrored, -value, value)


def apply_operations(images: Tensor, generator: Generator) -> Tensor:
    """Apply the drawn operations to uint8 images (B, C, S, S)."""
    kinds, values = draw(len(images), images.shape[3], generator, images.device)
    for step in range(TIMES):
        images = transform(images, kinds[:, step], values[:, step])
    return images
