"""Views for contrastive learning: every operation against pillow, a slow reference or a formula.

Every draw against its law.
"""

import colorsys
import importlib
import inspect
import math
import sys

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance

from sparseop.deep.augment import clsa, colour, crops, operations
from sparseop.deep.augment.autoaugment import OPERATIONS
from sparseop.deep.augment.views import Views
from sparseop.errors import InputError
from tests.deep.fake_cuda import CUDA, fake_cuda

PLAIN = {"mean": (0.0,) * 3, "std": (1.0,) * 3}
STILL = {"flip": 0.0, "jitter_chance": 0.0, "grey_chance": 0.0}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(n, height=32, width=32, channels=3, seed=1):
    return torch.randint(256, (n, channels, height, width), generator=generator(seed), dtype=torch.uint8)


def smooth(n, side=32):
    small = torch.rand((n, 3, 4, 4), generator=generator(2))
    return torch.nn.functional.interpolate(small, (side, side), mode="bilinear")


def to_pillow(image):
    return Image.fromarray((image * 255).round().to(torch.uint8).permute(1, 2, 0).numpy())


def from_pillow(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255


# ---- crops -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("height", "width", "side", "area"),
    [(32, 32, 32, (0.2, 1.0)), (64, 48, 20, (0.3, 1.0)), (40, 40, 40, (0.01, 0.05)), (50, 70, 16, (0.9, 1.0))],
)
def test_a_crop_is_pillows_bilinear_resize(height, width, side, area):
    """Enlarged or shrunk (pillow antialiases). Pillow rounds to bytes between its two passes: two levels at most."""
    images = noise(20, height, width)
    windows = crops.draw_windows(20, height, width, area, (3 / 4, 4 / 3), generator(3), images.device)
    flipped = torch.arange(20) % 2 == 0
    found = crops.resize(images, windows, flipped, side)
    for i, (left, top, wide, tall) in enumerate(windows.T.int().tolist()):
        part = Image.fromarray(images[i].permute(1, 2, 0).numpy()).crop((left, top, left + wide, top + tall))
        expected = (
            torch.from_numpy(np.array(part.resize((side, side), Image.Resampling.BILINEAR))).permute(2, 0, 1).float()
        )
        assert (found[i] - (expected.flip(2) if flipped[i] else expected)).abs().max() <= 1.1


def test_the_whole_window_is_the_image():
    images = noise(5)
    whole = torch.tensor([[0.0], [0.0], [32.0], [32.0]]).expand(4, 5)
    torch.testing.assert_close(crops.resize(images, whole, torch.zeros(5, dtype=torch.bool), 32), images.float())
    torch.testing.assert_close(
        crops.turn(images, whole, torch.ones(5, dtype=torch.bool), torch.zeros(5), 32),
        images.flip(3).float(),
        atol=2e-3,
        rtol=0,
    )


def test_windows_follow_their_law():
    n, height, width = 40_000, 200, 160
    left, top, wide, tall = crops.draw_windows(
        n, height, width, (0.2, 0.6), (3 / 4, 4 / 3), generator(4), torch.device("cpu")
    )
    assert (left >= 0).all()
    assert (top >= 0).all()
    assert (left + wide <= width).all()
    assert (top + tall <= height).all()
    share, aspect = wide * tall / (height * width), wide / tall
    assert (share.min().item(), share.max().item()) == pytest.approx((0.2, 0.6), abs=0.01)
    assert (aspect.min().item(), aspect.max().item()) == pytest.approx((3 / 4, 4 / 3), rel=0.02)
    # area <= 0.6: nearly every draw fits here, so the mean is that of the uniform law; the ratio's logarithm is centred
    assert share.mean().item() == pytest.approx(0.4, abs=0.005)
    assert aspect.log().mean().item() == pytest.approx(0, abs=0.01)
    for start, part, full in ((left, wide, width), (top, tall, height)):
        room = full - part
        assert (start / room)[room > 10].mean().item() == pytest.approx(0.5, abs=0.01)
        assert (start == 0).any()
        assert (start == room).any()


def test_where_no_draw_fits_the_central_window_is_taken():
    """A 10 x 90 image: an area of 0.9 and a ratio of 4/3 at most never fit.

    The window is 10 high and 13 wide, centred.
    """
    found = crops.draw_windows(6, 10, 90, (0.9, 1.0), (3 / 4, 4 / 3), generator(), torch.device("cpu"))
    assert found.T.tolist() == [[38, 0, 13, 10]] * 6
    assert (
        crops.draw_windows(2, 90, 10, (0.9, 1.0), (3 / 4, 4 / 3), generator(), torch.device("cpu")).T.tolist()
        == [[0, 38, 10, 13]] * 2
    )


def test_a_turned_window_shows_the_turned_scene():
    """A linear ramp stays one: the result at (u, v) is the ramp at c + R (w u / 2, h v / 2), flips included."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    images = (x + 2 * y)[None, None].expand(3, 3, 64, 64)
    windows = torch.tensor([[20.0, 24, 20], [22, 18, 22], [20, 16, 20], [20, 24, 20]])
    angle, flipped = torch.tensor([0.3, -0.5, 0.3]), torch.tensor([False, False, True])
    found = crops.turn(images, windows, flipped, angle, 8)
    places = (2 * torch.arange(8) + 1) / 8 - 1
    for i, (left, top, wide, tall) in enumerate(windows.T.tolist()):
        c, s = math.cos(angle[i]), math.sin(angle[i])
        u, v = places[None, :] * wide / 2 * (-1 if flipped[i] else 1), places[:, None] * tall / 2
        expected = (left + wide / 2 + c * u - s * v - 0.5) + 2 * (top + tall / 2 + s * u + c * v - 0.5)
        torch.testing.assert_close(found[i, 0], expected, atol=1e-3, rtol=0)


# ---- colours ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("row", "kind"), [(0, "Brightness"), (1, "Contrast"), (2, "Color")])
def test_a_factor_is_pillows_enhancement(row, kind):
    images = smooth(8)
    factors = torch.linspace(0.5, 1.5, 8)
    drawn = torch.tensor([1.0, 1, 1, 0])[:, None].repeat(1, 8)
    drawn[row] = factors
    found = colour.jitter(images, drawn, torch.arange(4)[:, None].expand(4, 8))
    for i in range(8):
        expected = from_pillow(getattr(ImageEnhance, kind)(to_pillow(images[i])).enhance(factors[i].item()))
        assert (found[i] - expected).abs().max() < 2.5 / 255  # pillow works on bytes


def test_hue_turns_as_in_colorsys():
    images = torch.cat([smooth(4, 8), torch.rand((4, 3, 8, 8), generator=generator(5))])
    images[0] = images[0, :1]  # grey has no hue
    turns = torch.tensor([0.1, -0.1, 0.5, -0.5, 0.3, 0.05, 0.0, 1 / 3])
    found = colour.turn_hue(images, turns)
    for i in range(8):
        for y, x in np.ndindex(8, 8):
            h, s, v = colorsys.rgb_to_hsv(*images[i, :, y, x].tolist())
            assert found[i, :, y, x].tolist() == pytest.approx(
                colorsys.hsv_to_rgb((h + turns[i].item()) % 1, s, v), abs=1e-5
            )


def test_jitter_keeps_each_samples_own_order():
    """Against the four operations one after the other, each by its formula and cut off, in all 24 orders."""
    n = 96
    images = torch.rand((n, 3, 6, 6), generator=generator(6))
    drawn = colour.draw_jitter(n, (0.4, 0.4, 0.4, 0.1), 1.0, generator(7), images.device)
    order = colour.draw_order(n, generator(8), images.device)
    assert len({tuple(o) for o in order.T.tolist()}) == 24
    found = colour.jitter(images, drawn, order)
    for i in range(n):
        x = images[i : i + 1]
        b, c, s = drawn[:3, i].tolist()
        for operation in order[:, i].argsort().tolist():
            grey = (0.299 * x[:, 0] + 0.587 * x[:, 1] + 0.114 * x[:, 2])[:, None]
            made = [
                x * b,
                x * c + (1 - c) * grey.mean(),
                x * s + (1 - s) * grey,
                colour.turn_hue(x, drawn[3, i : i + 1]),
            ]
            x = made[operation].clamp(0, 1)
        torch.testing.assert_close(found[i : i + 1], x, atol=1e-5, rtol=0)


def test_linear_jitter_is_the_sequence_without_cutting_off():
    """Mid-grey scenes of small contrast.

    Nothing is cut off, so brightness, contrast and saturation equal torchvision's.
    """
    images = 0.4 + 0.1 * smooth(30)
    drawn = colour.draw_jitter(30, (0.4, 0.4, 0.4, 0.0), 1.0, generator(9), images.device)
    order = colour.draw_order(30, generator(10), images.device)
    never = torch.zeros(30, dtype=torch.bool)
    torch.testing.assert_close(
        colour.linear_jitter(images, drawn, never), colour.jitter(images, drawn, order), atol=1e-5, rtol=0
    )
    grey = colour.linear_jitter(images, drawn, ~never)
    torch.testing.assert_close(
        grey, colour.luminance(colour.linear_jitter(images, drawn, never)).expand_as(grey), atol=1e-5, rtol=0
    )


def test_linear_hue_is_a_turn_at_constant_luminance():
    images = 0.4 + 0.1 * smooth(12)
    neutral = torch.tensor([1.0, 1, 1, 0])[:, None].repeat(1, 12)
    never = torch.zeros(12, dtype=torch.bool)

    def turned(x, turns):
        drawn = neutral.clone()
        drawn[3] = turns
        return colour.linear_jitter(x, drawn, never)

    third = turned(images, 1 / 3)
    torch.testing.assert_close(colour.luminance(third), colour.luminance(images), atol=1e-5, rtol=0)
    torch.testing.assert_close(turned(turned(third, 1 / 3), 1 / 3), images, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        turned(images, 0.25) + turned(images, -0.25), 2 * colour.luminance(images).expand_as(images), atol=1e-5, rtol=0
    )
    grey = torch.full((12, 3, 4, 4), 0.3)
    torch.testing.assert_close(turned(grey, 0.2), grey, atol=1e-6, rtol=0)


def test_factors_follow_their_law():
    drawn = colour.draw_jitter(100_000, (0.4, 1.5, 0.0, 0.1), 0.8, generator(11), torch.device("cpu"))
    changed = (drawn != torch.tensor([1.0, 1, 1, 0])[:, None]).any(0)
    assert changed.double().mean().item() == pytest.approx(0.8, abs=0.01)
    kept = drawn[:, changed]
    for row, (low, high) in enumerate(((0.6, 1.4), (0.0, 2.5), (1.0, 1.0), (-0.1, 0.1))):
        assert (kept[row].min().item(), kept[row].max().item(), kept[row].mean().item()) == pytest.approx(
            (low, high, (low + high) / 2), abs=0.02
        )


def test_blur_is_a_gaussian():
    """A point becomes the normal density; a constant stays; the reflected border loses nothing.

    Sigma 0 leaves the image.
    """
    point = torch.zeros(3, 1, 33, 33)
    point[:, :, 16, 16] = 1
    found = colour.blur(point, torch.tensor([0.0, 1.0, 2.0]), 2.0)
    assert torch.equal(found[0], point[0])
    steps = np.arange(-6, 7)
    for i, sigma in ((1, 1.0), (2, 2.0)):
        line = np.exp(-0.5 * (steps / sigma) ** 2)
        expected = np.outer(line, line) / line.sum() ** 2
        assert found[i, 0, 10:23, 10:23].numpy() == pytest.approx(expected, abs=1e-6)
    flat = torch.full((1, 3, 9, 9), 0.7)
    torch.testing.assert_close(colour.blur(flat, torch.tensor([1.7]), 2.0), flat)
    assert colour.blur(torch.rand(2, 3, 4, 4), torch.tensor([1.0, 2.0]), 2.0).shape == (
        2,
        3,
        4,
        4,
    )  # smaller than the kernel


def test_colours_blur_and_windows_are_torchvisions(large_packages):
    """Its operations on floats to rounding, but for luminance, which it weighs with 0.2989 instead of 0.299.

    Its windows in law.
    """
    if "torchvision" not in large_packages:
        pytest.skip("torchvision is not installed")
    transforms = importlib.import_module("torchvision.transforms")
    theirs = transforms.functional
    images = torch.rand((6, 3, 16, 16), generator=generator(14))
    turns = torch.tensor([-0.5, -0.1, 0.05, 0.1, 0.3, 0.5])
    expected = torch.cat([theirs.adjust_hue(images[i : i + 1], turns[i].item()) for i in range(6)])
    torch.testing.assert_close(colour.turn_hue(images, turns), expected, atol=1e-5, rtol=0)
    factors = torch.linspace(0.4, 1.6, 6)
    for row, kind in enumerate((theirs.adjust_brightness, theirs.adjust_contrast, theirs.adjust_saturation)):
        drawn = torch.tensor([1.0, 1, 1, 0])[:, None].repeat(1, 6)
        drawn[row] = factors
        expected = torch.cat([kind(images[i : i + 1], factors[i].item()) for i in range(6)])
        torch.testing.assert_close(
            colour.jitter(images, drawn, torch.arange(4)[:, None].expand(4, 6)), expected, atol=2e-4, rtol=0
        )
    expected = theirs.gaussian_blur(images, [13, 13], [1.3, 1.3])
    torch.testing.assert_close(colour.blur(images, torch.full((6,), 1.3), 2.0), expected, atol=1e-5, rtol=0)
    n = 3000
    torch.manual_seed(0)
    draw = transforms.RandomResizedCrop.get_params
    found = (
        torch.tensor([draw(torch.empty(3, 40, 32), (0.08, 1.0), (3 / 4, 4 / 3)) for _ in range(n)])
        .double()
        .T[[1, 0, 3, 2]]
    )
    ours = crops.draw_windows(n, 40, 32, (0.08, 1.0), (3 / 4, 4 / 3), generator(15), images.device).double()
    error = (found.var(1) / n + ours.var(1) / n).sqrt()
    assert ((found.mean(1) - ours.mean(1)).abs() < 4 * error).all()
    torch.testing.assert_close(ours.std(1), found.std(1), rtol=0.06, atol=0)


# ---- the stronger operations -----------------------------------------------------------------------------------------
def test_strong_levels():
    """Level 9: enhancement 0.86, 7 bits, 27 degrees, shear 0.27, solarize from 26 on, int(0.27 x 96) = 25 pixels."""
    names = ("color", "posterize", "rotate", "shear_x", "solarize", "translate_y")
    assert [clsa.strength(k, 9, 96) for k in names] == pytest.approx([0.86, 7, 27, 0.27, 26, 25])
    assert [clsa.strength(k, 1, 96) for k in names] == pytest.approx([0.14, 4, 3, 0.03, 231, 2])
    assert len(clsa.NAMES) == len(set(clsa.NAMES)) == 14


def test_strong_operations_follow_their_law():
    """Each of the 14 has chance 1/14 x 1/2 a draw; the identity and what does not happen count together: 1/2 + 1/28."""
    kinds, values = clsa.draw(60_000, 32, generator(12), torch.device("cpu"))
    assert kinds.shape == (60_000, 5)
    share = torch.bincount(kinds.flatten(), minlength=len(OPERATIONS)).double() / kinds.numel()
    for number, name in enumerate(OPERATIONS):
        expected = 1 / 2 + 1 / 28 if name == "none" else 1 / 28 if name in clsa.NAMES else 0.0
        assert share[number].item() == pytest.approx(expected, abs=0.003), name
    turned = values[kinds == OPERATIONS.index("rotate")]
    assert sorted(set(turned.tolist())) == sorted({s * 3.0 * m for m in range(1, 10) for s in (-1, 1)})
    assert (turned > 0).double().mean().item() == pytest.approx(0.5, abs=0.02)
    assert (values[kinds == OPERATIONS.index("solarize")] > 0).all()


def test_strong_views_apply_the_drawn_operations_in_turn():
    images = noise(40)
    found = clsa.apply_operations(images, generator(13))
    kinds, values = clsa.draw(40, 32, generator(13), images.device)
    for i in range(40):
        x = images[i : i + 1]
        for kind, value in zip(kinds[i].tolist(), values[i : i + 1].T, strict=True):
            x = operations.apply(OPERATIONS[kind], x, value) if kind else x
        assert torch.equal(found[i : i + 1], x)


# ---- the whole -------------------------------------------------------------------------------------------------------
EVERY = [
    {},
    {"strength": "strong"},
    {"colour_space": "yiq"},
    {"rotation": 20.0},
    {"blur_chance": 0.5},
    {"crops": (24, 16, 16), "crop_strength": "strong", "count": 1},
]


@pytest.mark.parametrize("options", EVERY)
def test_views_have_their_shapes_and_repeat(options):
    images = noise(16)
    make = Views(28, mean=(0.49, 0.48, 0.45), std=(0.2, 0.2, 0.2), **options)
    first, again, other = (make(images, generator(s)) for s in (0, 0, 1))
    sides = [28] * options.get("count", 2) + list(options.get("crops", ()))
    assert [v.shape for v in first] == [(16, 3, s, s) for s in sides]
    for a, b, c in zip(first, again, other, strict=True):
        assert a.dtype == torch.float32
        assert torch.isfinite(a).all()
        assert torch.equal(a, b)
        assert not torch.equal(a, c)
    if len(first) > 1 and first[0].shape == first[1].shape:
        assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize("options", EVERY)
def test_samples_are_independent(options):
    """What stands elsewhere in the batch changes nothing; equal images get different views."""
    images = noise(12)
    changed = images.clone()
    changed[3:] = noise(9, seed=8)
    make = Views(32, **PLAIN, **options)
    for a, b in zip(make(images, generator()), make(changed, generator()), strict=True):
        torch.testing.assert_close(a[:3], b[:3], atol=1e-5, rtol=0)
    same = images[:1].repeat(12, 1, 1, 1)
    for view in make(same, generator()):
        assert len({x.numpy().tobytes() for x in view}) == 12


@pytest.mark.parametrize("options", EVERY)
def test_only_the_given_generator_is_used_and_its_course_ignores_the_images(options):
    make = Views(32, **PLAIN, **options)
    before = torch.get_rng_state()
    states = []
    for images in (noise(8), torch.zeros_like(noise(8))):
        own = generator(9)
        make(images, own)
        states.append(own.get_state())
    assert torch.equal(*states)
    assert torch.equal(before, torch.get_rng_state())


def test_without_chance_a_view_is_the_normalised_image():
    images = noise(6)
    make = Views(32, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4), crop_area=(1.0, 1.0), crop_ratio=(1.0, 1.0), **STILL)
    expected = (images / 255 - torch.tensor([0.4, 0.5, 0.6])[:, None, None]) / torch.tensor([0.2, 0.3, 0.4])[
        :, None, None
    ]
    for view in make(images, generator()):
        torch.testing.assert_close(view, expected)


def test_small_crops_cover_less():
    """An image whose pixel is its column.

    The range that a crop of 96 of 224 shows is at most sqrt(0.429 x 4/3) of it.
    """
    ramp = torch.arange(224, dtype=torch.uint8)[None, None, None].expand(50, 3, 224, 224)
    full, small = Views(224, count=1, crops=(96,), **PLAIN, **STILL)(ramp, generator(3))
    spread = [(v.amax((1, 2, 3)) - v.amin((1, 2, 3))) * 255 / 224 for v in (full, small)]
    assert spread[1].max() <= math.sqrt(0.4286 * 4 / 3) + 0.01 < spread[0].max()
    assert spread[1].min() < 0.4


def test_one_channel():
    images = noise(5, channels=1)
    for options in EVERY:
        for view in Views(32, mean=(0.5,), std=(0.5,), **options)(images, generator()):
            assert torch.isfinite(view).all()


@pytest.mark.parametrize("rotation", [0.0, 30.0])
def test_autocast_does_not_coarsen_the_pixels(rotation):
    images = noise(4)
    make = Views(32, **PLAIN, colour_space="yiq", blur_chance=1.0, rotation=rotation)
    expected = make(images, generator())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = make(images, generator())
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


@pytest.mark.skipif(sys.platform != "linux", reason="reaches into Linux's libraries")
@pytest.mark.parametrize("options", EVERY)
def test_nothing_waits_for_the_device(options, monkeypatch):
    """Once the first batch has brought the constants there."""
    with fake_cuda(monkeypatch) as stream:
        images, draws, views = (
            torch.zeros((8, 3, 16, 16), dtype=torch.uint8, device=CUDA),
            torch.Generator(CUDA),
            Views(32, **PLAIN, **options),
        )
        views(images, draws)
        stream.watching = True
        found = views(images, draws)
    assert all(view.device == CUDA and view.shape[0] == 8 for view in found)
    assert not stream.faults


@pytest.mark.gpu
@pytest.mark.parametrize("colour_space", ["hsv", "yiq"])
def test_a_gpu_computes_what_a_processor_computes(colour_space):
    """All but the draws, which differ between devices."""
    images = noise(64)
    windows = crops.draw_windows(64, 32, 32, (0.2, 1.0), (0.75, 4 / 3), generator(1), images.device)
    flipped = torch.arange(64) % 2 == 0
    drawn, order = (
        colour.draw_jitter(64, (0.4, 0.4, 0.4, 0.1), 0.8, generator(2), images.device),
        colour.draw_order(64, generator(3), images.device),
    )

    def made(device):
        x = crops.resize(images.to(device), windows.to(device), flipped.to(device), 32) / 255
        args = (drawn.to(device), (flipped if colour_space == "yiq" else order).to(device))
        x = (colour.linear_jitter if colour_space == "yiq" else colour.jitter)(x, *args)
        return colour.blur(x, windows[0].to(device) / 20, 2.0).cpu()

    torch.testing.assert_close(made("cuda"), made("cpu"), atol=2e-3, rtol=0)
    own = torch.Generator("cuda").manual_seed(0)
    assert all(v.is_cuda for v in Views(32, **PLAIN, strength="strong", colour_space=colour_space)(images.cuda(), own))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 1}, "size must be >= 2 and <= 4096, got 1"),
        ({"size": 10**20}, "size must be >= 2 and <= 4096, got 1"),
        ({"strength": "string"}, "Did you mean 'strong'"),
        ({"count": 0}, "at least one view"),
        ({"crops": (40,)}, "crops must be >= 2 and <= 32 = size, got 40"),
        ({"crop_area": (0.5, 0.2)}, r"crop_area must be two numbers a <= b in \(0, 1\], got \(0.5, 0.2\)"),
        ({"crop_area": (0.0, 1.0)}, "crop_area must be two"),
        ({"crop_ratio": (1.0,)}, "crop_ratio must be two"),
        ({"blur_sigma": (math.nan, 1.0)}, "blur_sigma must be two"),
        ({"rotation": -1.0}, r"rotation must lie in \[0, 180\]"),
        ({"jitter": (0.4, 0.4, 0.4)}, "jitter must be four numbers"),
        ({"jitter": (0.4, -0.4, 0.4, 0.1)}, "jitter's contrast must be"),
        ({"jitter": (0.4, 0.4, 0.4, 0.6)}, r"jitter's hue must lie in \[0, 0.5\]"),
        ({"flip": 1.5}, r"flip must lie in \[0, 1\]"),
        ({"mean": (0.5,)}, "got 1 and 3"),
        ({"std": (0.5, 0.0, 0.5)}, "std must be a finite number > 0"),
        ({"colour_space": "hsl"}, "colour_space must be one of"),
    ],
)
def test_what_is_refused(options, words):
    with pytest.raises(InputError, match=words):
        Views(**{"size": 32, **PLAIN, **options})


def test_other_images_are_refused():
    make = Views(32, **PLAIN)
    with pytest.raises(InputError, match=r"images must be uint8 \(B, 3, H, W\), got torch.float32"):
        make(noise(2).float(), generator())
    with pytest.raises(InputError, match=r"got torch.uint8 \(2, 1, 32, 32\)"):
        make(noise(2, channels=1), generator())


def test_every_option_is_documented():
    for name in inspect.signature(Views).parameters:
        assert name in Views.__doc__
