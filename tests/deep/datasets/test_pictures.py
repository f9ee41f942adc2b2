"""One reader of pictures: what a viewer shows is what a network sees, or one sentence names the file."""

import struct

import numpy as np
import pytest
import torch
from PIL import Image, TiffImagePlugin

from sparseop.deep.datasets.files import read_square
from sparseop.deep.image_prior.images import load_image
from sparseop.errors import InputError

SIDE = 8
RAMP = np.linspace(0, 1, SIDE * SIDE).reshape(SIDE, SIDE)  # brightness from black to white


def both(path):
    """Return the picture as both readers give it, in [0, 1]: (3, S, S) of data sets, and what image recovery fits."""
    return read_square(str(path), SIDE).double() / 255, load_image(str(path)).double()


def assert_shows(path, expected, atol=1 / 255):
    """Assert that both readers show ``expected``, (S, S) or (3, S, S)."""
    expected = torch.as_tensor(np.array(expected, dtype=np.float64)).expand(3, SIDE, SIDE)
    for found in both(path):
        torch.testing.assert_close(found.expand(3, SIDE, SIDE), expected, atol=atol, rtol=0)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_go_by_the_range_of_their_type(tmp_path, suffix):
    path = tmp_path / f"deep.{suffix}"
    Image.fromarray((RAMP * 65535).astype(np.uint16)).save(path)
    assert_shows(path, RAMP)


@pytest.mark.parametrize("top", [1.0, 255.0, 65535.0])
def test_floats_go_by_the_smallest_range_that_holds_them(tmp_path, top):
    Image.fromarray((RAMP * top).astype(np.float32)).save(tmp_path / "f.tif")
    assert_shows(tmp_path / "f.tif", RAMP)
    Image.fromarray((0.5 * RAMP * top).astype(np.float32)).save(tmp_path / "dark.tif")
    assert_shows(tmp_path / "dark.tif", 0.5 * RAMP)


def test_whole_numbers_of_32_bits_are_those_of_16(tmp_path):
    Image.fromarray((RAMP * 65535).astype(np.int32)).save(tmp_path / "i.tif")
    assert_shows(tmp_path / "i.tif", RAMP)


def test_a_camera_of_twelve_bits_that_says_so(tmp_path):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[281] = 4095
    Image.fromarray((RAMP * 4095).astype(np.uint16)).save(tmp_path / "twelve.tif", tiffinfo=tags)
    assert_shows(tmp_path / "twelve.tif", RAMP)


def hidden_colours():
    """Return red that is opaque above and transparent, with a hidden green, below, and what a viewer shows on white."""
    rgba = np.zeros((SIDE, SIDE, 4), np.uint8)
    rgba[:4], rgba[4:] = (255, 0, 0, 255), (0, 255, 0, 0)
    shown = np.ones((3, SIDE, SIDE))
    shown[1:, :4] = 0
    return rgba, shown


def test_transparency_is_laid_over_white(tmp_path):
    rgba, shown = hidden_colours()
    Image.fromarray(rgba).save(tmp_path / "rgba.png")
    assert_shows(tmp_path / "rgba.png", shown)
    palette = Image.fromarray(np.repeat([[1], [0]], 4, 0).repeat(SIDE, 1).astype(np.uint8), "P")
    palette.putpalette([0, 255, 0, 255, 0, 0])
    palette.save(tmp_path / "palette.png", transparency=0)
    assert_shows(tmp_path / "palette.png", shown)
    Image.fromarray(rgba).convert("RGB").save(tmp_path / "key.png", transparency=(0, 255, 0))
    assert_shows(tmp_path / "key.png", shown)
    Image.fromarray(np.dstack([np.zeros((SIDE, SIDE)), 255 * (1 - RAMP)]).astype(np.uint8)).save(tmp_path / "la.png")
    assert_shows(tmp_path / "la.png", RAMP, atol=1.5 / 255)


def test_a_transparent_level_of_sixteen_bits(tmp_path):
    levels = np.where(np.arange(SIDE)[:, None] < 4, 20000, 100) * np.ones((1, SIDE))
    Image.fromarray(levels.astype(np.uint16)).save(tmp_path / "t.png", transparency=100)
    assert_shows(tmp_path / "t.png", np.where(levels == 100, 1, 20000 / 65535))


def test_orientation_palettes_print_colours_and_animations(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    channels = colours.transpose(2, 0, 1) / 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: turn clockwise to see it upright
    Image.fromarray(colours).save(tmp_path / "turned.png", exif=exif)
    assert_shows(tmp_path / "turned.png", np.rot90(channels, -1, (1, 2)))
    few = (colours // 128) * 255
    Image.fromarray(few).convert("P", palette=Image.Palette.ADAPTIVE, colors=8).save(tmp_path / "palette.png")
    assert_shows(tmp_path / "palette.png", few.transpose(2, 0, 1) / 255)
    Image.fromarray(few).convert("CMYK").save(tmp_path / "print.tif")
    assert_shows(tmp_path / "print.tif", few.transpose(2, 0, 1) / 255)
    black, white = Image.new("RGB", (SIDE, SIDE)), Image.new("RGB", (SIDE, SIDE), "white")
    for name in ("moving.gif", "moving.webp", "moving.png", "pages.tif"):
        black.save(tmp_path / name, save_all=True, append_images=[white, white])
        assert_shows(tmp_path / name, np.zeros((SIDE, SIDE)))
    Image.fromarray(colours[..., 0] > 128).save(tmp_path / "bits.png")
    assert_shows(tmp_path / "bits.png", (colours[..., 0] > 128).astype(float))


def test_a_damaged_mark_of_orientation_turns_nothing(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 9
    Image.fromarray((RAMP * 255).astype(np.uint8)).save(tmp_path / "x.png", exif=exif)
    assert_shows(tmp_path / "x.png", RAMP)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((SIDE, SIDE), -1, np.float32), "negative values"),
        (np.full((SIDE, SIDE), np.nan, np.float32), "not finite"),
        (np.full((SIDE, SIDE), 1e6, np.float32), r"values up to 1e\+06"),
        (np.full((SIDE, SIDE), 2**20, np.int32), "values up to 1.04858e"),
    ],
)
def test_brightness_of_no_known_range_is_refused_by_name(tmp_path, array, message):
    Image.fromarray(array).save(tmp_path / "odd.tif")
    for read in (lambda p: read_square(p, SIDE), load_image):
        with pytest.raises(InputError, match=rf"odd.tif' holds .*{message}"):
            read(str(tmp_path / "odd.tif"))


def test_colours_that_are_not_converted_are_refused_by_name(tmp_path, monkeypatch):
    Image.new("LAB", (SIDE, SIDE)).save(tmp_path / "lab.tif")

    def convert(*_, **__):
        raise ValueError("conversion from LAB to RGB not supported")  # as older versions of pillow do

    monkeypatch.setattr(Image.Image, "convert", convert)
    with pytest.raises(InputError, match=r"lab.tif' holds colours of mode LAB"):
        read_square(str(tmp_path / "lab.tif"), SIDE)


def test_whatever_a_decoder_raises_is_one_short_sentence(tmp_path, monkeypatch):
    path = tmp_path / "x.png"
    Image.new("RGB", (SIDE, SIDE)).save(path)
    for error in (struct.error("unpack"), KeyError(7), AssertionError(), RuntimeError("page\n" + "<html>" * 100)):
        monkeypatch.setattr(Image.Image, "resize", lambda *_, _error=error, **__: (_ for _ in ()).throw(_error))
        with pytest.raises(InputError, match=r"x.png' cannot be read") as caught:
            read_square(str(path), SIDE)
        assert "html" not in str(caught.value)
