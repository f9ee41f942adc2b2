"""AutoAugment's operations over all their values, against pillow and pillow's own arithmetic."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from sparseop.deep.augment import operations
from tests.deep.augment.test_augment import by_pillow

FACTORS = [
    *np.arange(0, 2.001, 0.05).tolist(),
    *(0.1 + 0.18 * m for m in range(11)),
    *(0.05 + 0.09 * m for m in range(10)),
]


def same(kind, images, value):
    """Whether an operation gives every image what pillow gives it."""
    found = operations.apply(kind, images, torch.full((len(images),), value))
    return torch.equal(found, by_pillow(kind, images, value))


def ramp():
    """Every value of a byte, each channel in another order."""
    values = torch.arange(256).reshape(1, 16, 16)
    return torch.stack([values, values.flip(1), values.flip(2)], 1).to(torch.uint8)


def test_autocontrast_of_every_range():
    """All 32,640 (low, high) by pillow's arithmetic: int(value * scale - low * scale), scale = 255.0 / (high - low)."""
    low, high = np.triu_indices(256, 1)
    pixels = torch.from_numpy(np.stack([low, high], 1).astype(np.uint8)).reshape(-1, 1, 1, 2)
    tables = operations.TABLES["autocontrast"](pixels, torch.zeros(len(pixels))).squeeze(1).numpy()
    scale = 255.0 / (high - low)[:, None]
    expected = np.clip(np.trunc(np.arange(256) * scale + -low[:, None] * scale), 0, 255)
    assert len(tables) == 32_640
    assert np.array_equal(tables, expected)


def test_autocontrast_of_ranges_by_pillow_itself():
    low, high = np.triu_indices(256, 1)
    for a, b in zip(low[::37].tolist(), high[::37].tolist(), strict=True):
        row = np.arange(a, b + 1, dtype=np.uint8)[None]
        found = operations.apply("autocontrast", torch.from_numpy(row.copy())[None, None], torch.zeros(1))
        assert np.array_equal(found[0, 0].numpy(), np.array(ImageOps.autocontrast(Image.fromarray(row)))), (a, b)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("invert", [0]),
        ("solarize", range(257)),
        ("posterize", range(1, 9)),
        ("brightness", FACTORS),
    ],
)
def test_tables_of_every_value(kind, values):
    images = ramp()
    for value in values:
        assert same(kind, images, float(value)), value


def test_contrast_of_every_mean():
    """256 images, each with every value and so many pixels of one that the means reach from 1 to 254."""
    generator = np.random.default_rng(0)
    filled = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 60 * 256, 1)
    pixels = np.concatenate([np.tile(np.arange(256, dtype=np.uint8), (256, 1)), filled], 1).reshape(256, 1, 61, 256)
    images = torch.from_numpy(pixels).expand(-1, 3, -1, -1)
    for value in generator.choice(FACTORS, 3, replace=False):
        assert same("contrast", images, float(value)), value


@pytest.mark.parametrize("kind", ["color", "sharpness", "contrast"])
def test_colours_and_neighbours_at_every_strength(kind):
    generator = torch.Generator().manual_seed(2)
    colours = torch.cartesian_prod(*(torch.arange(0, 256, 17),) * 3).T.reshape(1, 3, 64, 64)
    noise = torch.randint(256, (1, 3, 64, 64), generator=generator)
    images = torch.cat([colours, noise]).to(torch.uint8)
    for value in FACTORS:
        assert same(kind, images, value), value


def test_equalize_of_many_histograms():
    generator = np.random.default_rng(3)
    for side in (4, 15, 16, 17, 23, 32, 50):
        steep = generator.beta(0.3, 2, (12, 3, side, side)) * generator.integers(1, 256, (12, 3, 1, 1))
        images = torch.from_numpy(steep.astype(np.uint8))
        assert same("equalize", images, 0.0), side


@pytest.mark.parametrize("size", [(8, 8), (31, 32), (32, 32), (48, 20)])
@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("rotate", range(-45, 46)),
        ("rotate", (90, 180, 270)),
        ("shear_x", [0.03 * m for m in range(-10, 11)]),
        ("shear_y", [0.03 * m for m in range(-10, 11)]),
        ("translate_x", range(-20, 21)),
        ("translate_y", range(-20, 21)),
    ],
)
def test_moves_of_every_strength(kind, values, size):
    images = torch.randint(256, (1, 3, *size), generator=torch.Generator().manual_seed(4), dtype=torch.uint8)
    for value in values:
        assert same(kind, images, float(value)), value
