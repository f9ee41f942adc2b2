"""Every operation against pillow, bit for bit; crop, flip and Cutout against loops."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from sparseop.deep import augment
from sparseop.deep.augment import autoaugment, geometry, operations
from sparseop.errors import InputError

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


def pictures():
    """Noise, low contrast, one colour, two colours, black: the cases in which table operations differ."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(256, (14, 3, 32, 32), generator=generator)
    images[:6] = torch.randint(40, 200, (6, 3, 1, 1), generator=generator) + torch.randint(
        -30, 30, (6, 3, 32, 32), generator=generator
    )
    images[6], images[7, :, :16], images[7, :, 16:], images[8, 0] = 7, 9, 200, 0
    return images.to(torch.uint8)


def pillow(kind, image, value):
    def move(*matrix):
        return image.transform(image.size, Image.Transform.AFFINE, matrix)

    return {
        "invert": lambda: ImageOps.invert(image),
        "solarize": lambda: ImageOps.solarize(image, value),
        "posterize": lambda: ImageOps.posterize(image, int(value)),
        "brightness": lambda: ImageEnhance.Brightness(image).enhance(value),
        "contrast": lambda: ImageEnhance.Contrast(image).enhance(value),
        "color": lambda: ImageEnhance.Color(image).enhance(value),
        "sharpness": lambda: ImageEnhance.Sharpness(image).enhance(value),
        "autocontrast": lambda: ImageOps.autocontrast(image),
        "equalize": lambda: ImageOps.equalize(image),
        "shear_x": lambda: move(1, value, 0, 0, 1, 0),
        "shear_y": lambda: move(1, 0, 0, value, 1, 0),
        "translate_x": lambda: move(1, 0, value, 0, 1, 0),
        "translate_y": lambda: move(1, 0, 0, 0, 1, value),
        "rotate": lambda: image.rotate(value),
    }[kind]()


def by_pillow(kind, images, value):
    made = [np.array(pillow(kind, Image.fromarray(x.permute(1, 2, 0).numpy()), value)) for x in images]
    return torch.from_numpy(np.stack(made)).permute(0, 3, 1, 2)


@pytest.mark.parametrize("kind", autoaugment.OPERATIONS[1:])
def test_every_operation_equals_pillow(kind):
    images = pictures()
    for level in range(10):  # at level 10 posterize keeps no bit, which pillow refuses
        value = autoaugment.strength(kind, level)
        for signed in (value, -value) if kind in operations.GEOMETRY else (value,):
            found = operations.apply(kind, images, torch.full((len(images),), signed))
            assert torch.equal(found, by_pillow(kind, images, signed)), (level, signed)


def test_each_sample_has_its_own_operation_and_strength():
    images = pictures()[[0, 1, 9, 10, 11, 12]]
    kinds = ["none", "equalize", "rotate", "color", "sharpness", "brightness"]
    values = [0.0, 0.0, -6.0, 0.64, 1.72, 1.36]
    found = autoaugment.transform(
        images, torch.tensor([autoaugment.OPERATIONS.index(k) for k in kinds]), torch.tensor(values)
    )
    for i, (kind, value) in enumerate(zip(kinds, values, strict=True)):
        expected = images[i : i + 1] if kind == "none" else by_pillow(kind, images[i : i + 1], value)
        assert torch.equal(found[i : i + 1], expected), kind


def test_the_path_of_a_device_equals_the_path_of_a_processor():
    images = pictures().repeat(20, 1, 1, 1)
    generator = torch.Generator().manual_seed(7)
    for _ in range(3):
        kinds, values = autoaugment.draw(len(images), generator, torch.device("cpu"))
        assert torch.equal(
            autoaugment._sorted(images, kinds[:, 0], values[:, 0]),
            autoaugment._masked(images, kinds[:, 0], values[:, 0]),
        )
    grey = images[:, :1]
    assert torch.equal(
        autoaugment._sorted(grey, kinds[:, 1], values[:, 1]), autoaugment._masked(grey, kinds[:, 1], values[:, 1])
    )


@pytest.mark.gpu
def test_a_gpu_gives_what_a_processor_gives():
    """All but the draws, which differ between devices: the operations on the same images with the same strengths."""
    images = pictures()
    for kind in autoaugment.OPERATIONS[1:]:
        values = torch.full((len(images),), autoaugment.strength(kind, 7))
        assert torch.equal(
            operations.apply(kind, images.cuda(), values.cuda()).cpu(), operations.apply(kind, images, values)
        ), kind


def test_strengths_of_the_policy():
    """Level 9 of a translation is 9 pixels, 2 of a rotation 6 degrees, 5 of solarize 128, 7 of posterize 2 bits."""
    assert len(autoaugment.POLICY) == 25
    assert [
        autoaugment.strength(k, m) for k, m in (("translate_y", 9), ("rotate", 2), ("solarize", 5), ("posterize", 7))
    ] == [9, 6, 128, 2]
    assert autoaugment.strength("shear_y", 8) == pytest.approx(0.24)
    assert autoaugment.strength("color", 0) == pytest.approx(0.1)


def test_operations_happen_as_often_as_the_policy_says():
    kinds, values = autoaugment.draw(200_000, torch.Generator().manual_seed(0), torch.device("cpu"))
    for step in range(2):
        for name in autoaugment.OPERATIONS[1:]:
            number = autoaugment.OPERATIONS.index(name)
            chance = sum(pair[step][1] for pair in autoaugment.POLICY if pair[step][0] == name) / 25
            share = (kinds[:, step] == number).double().mean().item()
            assert share == pytest.approx(chance, abs=4 * (chance / 200_000) ** 0.5 + 1e-9), name
    turned = values[kinds == autoaugment.OPERATIONS.index("rotate")]
    assert set(turned.tolist()) == {6.0, -6.0}
    assert (turned > 0).double().mean().item() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("pad", "side"), [(2, 0), (0, 4), (1, 3)])
def test_a_random_window_of_the_zero_padded_image(pad, side):
    images = torch.randint(1, 256, (60, 3, 6, 5), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    found = geometry.random_window(images, torch.Generator().manual_seed(3), pad, side)
    tall, wide = (side, side) if side else (6, 5)
    draws = torch.Generator().manual_seed(3)
    tops, lefts = (
        torch.randint(n + 2 * pad - m + 1, (60,), generator=draws).tolist() for n, m in ((6, tall), (5, wide))
    )
    for i, (top, left) in enumerate(zip(tops, lefts, strict=True)):
        padded = np.pad(images[i].numpy(), ((0, 0), (pad, pad), (pad, pad)))
        assert np.array_equal(found[i].numpy(), padded[:, top : top + tall, left : left + wide])
    assert (min(tops), max(tops)) == (0, 6 + 2 * pad - tall)


def test_no_border_and_no_side_leave_the_images():
    images = pictures()
    assert torch.equal(geometry.random_window(images, torch.Generator(), 0), images)


def test_the_central_window():
    images = torch.arange(42, dtype=torch.uint8).reshape(1, 1, 7, 6)
    assert torch.equal(geometry.central_window(images, 3), images[:, :, 2:5, 1:4])
    with pytest.raises(InputError, match="pad must be at most the side of the images, 5, got 6"):
        geometry.random_window(torch.zeros((2, 1, 5, 4), dtype=torch.uint8), torch.Generator(), 6)
    with pytest.raises(InputError, match="crop must be at most the side of the images with their border, 7 x 6, got 8"):
        geometry.central_window(images, 8)
    make = augment.build("none", mean=(0.0,), std=(1 / 255,), crop=3)
    torch.testing.assert_close(make(images, torch.Generator()), images[:, :, 2:5, 1:4].float())


def test_flip_mirrors_half_of_the_images():
    images = torch.randint(256, (2000, 1, 2, 3), generator=torch.Generator().manual_seed(4), dtype=torch.uint8)
    found = geometry.flip(images, torch.Generator().manual_seed(5))
    mirrored = (found == images.flip(3)).flatten(1).all(1)
    assert ((found == images).flatten(1).all(1) | mirrored).all()
    assert mirrored.double().mean().item() == pytest.approx(0.5, abs=0.05)


def test_cutout_clears_one_square_cut_off_at_the_border():
    found = geometry.cutout(torch.ones(500, 2, 12, 12), torch.Generator().manual_seed(6), 4)
    centres = torch.rand((2, 500), generator=torch.Generator().manual_seed(6))
    for i in range(500):
        y, x = (int(c * 12) for c in centres[:, i].tolist())
        expected = np.ones((12, 12))
        expected[max(0, y - 2) : y + 2, max(0, x - 2) : x + 2] = 0
        assert np.array_equal(found[i, 0].numpy(), expected)
        assert torch.equal(found[i, 0], found[i, 1])


@pytest.mark.parametrize("name", augment.NAMES)
def test_a_pipeline_is_reproducible_and_normalised(name):
    images = pictures()
    make = augment.build(name, mean=MEAN, std=STD)
    first, again, other = (make(images, torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert first.dtype == torch.float32
    assert first.shape == images.shape
    assert torch.equal(first, again)
    assert torch.equal(first, other) == (name == "none")
    if name == "none":
        expected = (images / 255 - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
        torch.testing.assert_close(first, expected)


def test_draws_do_not_depend_on_the_pictures():
    """Resuming needs it: the generator stands at the same place whatever the images were."""
    make = augment.build("strong", mean=MEAN, std=STD)
    states = []
    for images in (pictures(), torch.zeros_like(pictures())):
        generator = torch.Generator().manual_seed(9)
        make(images, generator)
        states.append(generator.get_state())
    assert torch.equal(*states)


def test_one_channel_images_pass_the_strong_pipeline():
    images = pictures()[:, :1]
    assert (
        augment.build("strong", mean=(0.5,), std=(0.5,))(images, torch.Generator().manual_seed(0)).shape == images.shape
    )


def test_what_is_refused():
    with pytest.raises(InputError, match="Did you mean 'strong'"):
        augment.build("stron", mean=MEAN, std=STD)
    with pytest.raises(InputError, match="std must be a finite number > 0"):
        augment.build("weak", mean=(0.5,), std=(0.0,))
    with pytest.raises(InputError, match="got 3 and 1"):
        augment.build("weak", mean=MEAN, std=(1.0,))
