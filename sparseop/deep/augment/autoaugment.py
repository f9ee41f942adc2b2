"""AutoAugment's policy for CIFAR-10 (Cubuk et al., CVPR 2019, table 7; arXiv:1805.09501), batched.

Each image draws one of 25 sub-policies; each of its two operations happens with its own probability and, where it has a
direction, in either direction with equal chance. A level m of 0..10 means: shear 0.03 m, translation m pixels, rotation
3 m degrees, solarize from 256 - 25.6 m on, 4 - 0.4 m bits, and 0.1 + 0.18 m for the four enhancements, as in the code
of UDA, which SOP's follows. (Where the two disagree, 'Color' after 'Brightness', the paper's level 8 is taken, not 6.)
"""

from functools import lru_cache

import torch
from torch import Generator, Tensor

from sparseop.deep.augment import operations as ops

POLICY = (
    (("invert", 0.1, 7), ("contrast", 0.2, 6)),
    (("rotate", 0.7, 2), ("translate_x", 0.3, 9)),
    (("sharpness", 0.8, 1), ("sharpness", 0.9, 3)),
    (("shear_y", 0.5, 8), ("translate_y", 0.7, 9)),
    (("autocontrast", 0.5, 8), ("equalize", 0.9, 2)),
    (("shear_y", 0.2, 7), ("posterize", 0.3, 7)),
    (("color", 0.4, 3), ("brightness", 0.6, 7)),
    (("sharpness", 0.3, 9), ("brightness", 0.7, 9)),
    (("equalize", 0.6, 5), ("equalize", 0.5, 1)),
    (("contrast", 0.6, 7), ("sharpness", 0.6, 5)),
    (("color", 0.7, 7), ("translate_x", 0.5, 8)),
    (("equalize", 0.3, 7), ("autocontrast", 0.4, 8)),
    (("translate_y", 0.4, 3), ("sharpness", 0.2, 6)),
    (("brightness", 0.9, 6), ("color", 0.2, 8)),
    (("solarize", 0.5, 2), ("invert", 0.0, 3)),
    (("equalize", 0.2, 0), ("autocontrast", 0.6, 0)),
    (("equalize", 0.2, 8), ("equalize", 0.6, 4)),
    (("color", 0.9, 9), ("equalize", 0.6, 6)),
    (("autocontrast", 0.8, 4), ("solarize", 0.2, 8)),
    (("brightness", 0.1, 3), ("color", 0.7, 0)),
    (("solarize", 0.4, 5), ("autocontrast", 0.9, 3)),
    (("translate_y", 0.9, 9), ("translate_y", 0.7, 9)),
    (("autocontrast", 0.9, 2), ("solarize", 0.8, 3)),
    (("equalize", 0.8, 8), ("invert", 0.1, 3)),
    (("translate_y", 0.7, 9), ("autocontrast", 0.9, 1)),
)
#: operation numbers; 0 is 'leave it'. Tables first, then geometry: two ranges that are handled together
OPERATIONS = ("none", *ops.TABLES, *ops.GEOMETRY, "color", "sharpness")
_FIRST_MOVE = 1 + len(ops.TABLES)
_COLOR, _SHARPNESS = OPERATIONS.index("color"), OPERATIONS.index("sharpness")


def strength(kind: str, level: float) -> float:
    """Return what ``level`` (0..10) means for an operation."""
    if kind.startswith("shear"):
        return 0.3 * level / 10
    if kind.startswith("translate"):
        return float(level)
    if kind == "rotate":
        return float(int(30 * level / 10))
    if kind == "solarize":
        return 256.0 - int(256 * level / 10)
    if kind == "posterize":
        return 4.0 - int(4 * level / 10)
    return 1.8 * level / 10 + 0.1  # the enhancements; without meaning for invert, equalize and autocontrast


@lru_cache(maxsize=8)
def _policy(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return operation numbers, probabilities and strengths, each (25, 2)."""
    kinds = torch.tensor([[OPERATIONS.index(kind) for kind, _, _ in pair] for pair in POLICY])
    chances = torch.tensor([[chance for _, chance, _ in pair] for pair in POLICY])
    values = torch.tensor([[strength(kind, level) for kind, _, level in pair] for pair in POLICY])
    return kinds.to(device), chances.to(device), values.to(device)


def draw(batch: int, generator: Generator, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return what happens to each image: operation numbers (B, 2), 0 for none, and signed strengths (B, 2)."""
    kinds, chances, values = _policy(device)
    chosen = torch.randint(len(POLICY), (batch,), generator=generator, device=device)
    happens = torch.rand((batch, 2), generator=generator, device=device) < chances[chosen]
    mirrored = torch.randint(2, (batch, 2), generator=generator, device=device, dtype=torch.bool)
    kind, value = kinds[chosen] * happens, values[chosen]
    directed = (kind >= _FIRST_MOVE) & (kind < _COLOR)
    return kind, torch.where(directed & mirrored, -value, value)


def apply_policy(images: Tensor, generator: Generator) -> Tensor:
    """Apply the policy to uint8 images (B, C, H, W)."""
    kinds, values = draw(len(images), generator, images.device)
    for step in range(2):
        images = transform(images, kinds[:, step], values[:, step])
    return images


def transform(images: Tensor, kind: Tensor, value: Tensor) -> Tensor:
    """Apply operation ``kind`` (B,) of strength ``value`` (B,) to each image.

    A processor sorts the images by operation and computes what is asked for; a device, whose host must not wait to
    learn how many there are of each, computes all of it for all images and takes what is asked for. The results are the
    same.
    """
    return _sorted(images, kind, value) if images.device.type == "cpu" else _masked(images, kind, value)


def _sorted(images: Tensor, kind: Tensor, value: Tensor) -> Tensor:
    counts: list[int] = torch.bincount(kind, minlength=len(OPERATIONS)).tolist()
    order = kind.argsort(stable=True)[counts[0] :]
    found, values = images.index_select(0, order), value[order]
    made: list[Tensor] = []
    start = 0
    for family in (
        range(1, _FIRST_MOVE),
        range(_FIRST_MOVE, _COLOR),
        range(_COLOR, _COLOR + 1),
        range(_SHARPNESS, _SHARPNESS + 1),
    ):
        parts: list[Tensor] = []
        first = start
        for number in family:
            chosen = slice(start, start := start + counts[number])
            if counts[number]:
                parts.append(_prepared(OPERATIONS[number], found[chosen], values[chosen]))
        if parts:  # one look-up for all tables, one move for all maps
            whole = torch.cat(parts)
            name = OPERATIONS[family[0]]
            made.append(
                ops.apply_table(found[first:start], whole)
                if name in ops.TABLES
                else ops.affine(found[first:start], whole)
                if name in ops.GEOMETRY
                else whole
            )
    return images.index_copy(0, order, torch.cat(made)) if made else images


def _prepared(name: str, images: Tensor, values: Tensor) -> Tensor:
    """Return tables, or matrices, or, for what is neither, the images themselves after the operation."""
    if name in ops.TABLES:
        return ops.TABLES[name](images, values).expand(-1, images.shape[1], -1)
    if name in ops.GEOMETRY:
        return ops.affine_matrix(name, values, *images.shape[2:])
    return ops.apply(name, images, values)


def _masked(images: Tensor, kind: Tensor, value: Tensor) -> Tensor:
    def chosen(first: int, last: int) -> Tensor:
        return ((kind >= first) & (kind <= last))[:, None, None, None]

    # one look-up for all tables, one move for all maps
    batch, channels = images.shape[:2]
    table = torch.zeros(batch, channels, 256, dtype=torch.uint8, device=images.device)
    for name, make in ops.TABLES.items():
        table = torch.where((kind == OPERATIONS.index(name))[:, None, None], make(images, value), table)
    matrix = torch.zeros(batch, 6, dtype=torch.float64, device=images.device)
    for name in ops.GEOMETRY:
        made = ops.affine_matrix(name, value, *images.shape[2:])
        matrix = torch.where((kind == OPERATIONS.index(name))[:, None], made, matrix)
    result = torch.where(chosen(1, _FIRST_MOVE - 1), ops.apply_table(images, table), images)
    result = torch.where(chosen(_FIRST_MOVE, _COLOR - 1), ops.affine(images, matrix), result)
    result = torch.where(chosen(_COLOR, _COLOR), ops.color(images, value), result)
    return torch.where(chosen(_SHARPNESS, _SHARPNESS), ops.sharpness(images, value), result)
