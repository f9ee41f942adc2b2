"""Random views of a batch for contrastive learning: on the device, every sample with its own draws.

A weak view is that of MoCo v2 and SimCLR: random resized crop, mirror, colour jitter, loss of colour, blur. A strong
view is a weak one followed by five of CLSA's 14 operations (``clsa.py``). The order is that of the released codes;
mirroring, which commutes with all that follows, happens in the crop. All randomness comes from the generator given, a
fixed number of draws a batch whatever the images show, so a run can be resumed bit-exactly.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Generator, Tensor

from sparseop.deep.augment import clsa, colour, crops
from sparseop.errors import InputError, between, choice, integer, nonnegative, positive

STRENGTHS = ("weak", "strong")
LARGEST = 4096  # pixels of a side: one such image takes 200 MB


class Views:
    """Make views: ``views(images, generator)`` takes uint8 (B, C, H, W) and returns normalised float32 tensors.

    First ``count`` full views (B, C, size, size), then one small crop for each entry of ``crops``.

    Parameters
    ----------
    size : side of the full views, in pixels.
    mean, std : of each channel, in [0, 1] units: one or three.
    strength : of the full views, "weak" or "strong".
    count : number of full views.
    crops : sides of the small crops, as (96,) of SANE-Single and (224, 192, 160, 128, 96) of SANE-Multi; an entry may
        be repeated.
    crop_strength : of the small crops; "": that of the full views.
    crop_area : share of the image that the window of a full view covers, uniform in these bounds; a small crop of side
        s has both bounds times s / size, as in CLSA, whose bounds for 96 of 224 pixels are 0.086 and 0.429.
    crop_ratio : bounds of width / height, uniform in the logarithm.
    rotation : a window is turned by up to so many degrees either way. Turned windows are not antialiased.
    flip : chance to mirror left to right.
    jitter : strengths of brightness, contrast, saturation (factors in 1 +- s) and hue (turns, at most 0.5).
    jitter_chance, grey_chance, blur_chance : how often colours are jittered, taken away, and the image blurred.
    blur_sigma : bounds of the Gaussian's standard deviation, in pixels.
    colour_space : "hsv": torchvision's jitter, four operations in random order, each cut off to [0, 1]; "yiq": the same
        factors as one linear map an image, hue turning at constant luminance (see ``colour.py``), at a fraction of the
        cost (``python -m benchmarks.views``).

    The defaults are MoCo's for CIFAR-10 with the crop of the paper (0.2 to 1; its notebook leaves torchvision's 0.08)
    and no blur, which is for large images: chance 0.5.

    Raises
    ------
    InputError : a value out of its range, or images of other channels.
    """

    def __init__(
        self,
        size: int,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        strength: str = "weak",
        count: int = 2,
        crops: Sequence[int] = (),
        crop_strength: str = "",
        crop_area: tuple[float, float] = (0.2, 1.0),
        crop_ratio: tuple[float, float] = (3 / 4, 4 / 3),
        rotation: float = 0.0,
        flip: float = 0.5,
        jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.4, 0.1),
        jitter_chance: float = 0.8,
        grey_chance: float = 0.2,
        blur_chance: float = 0.0,
        blur_sigma: tuple[float, float] = (0.1, 2.0),
        colour_space: Literal["hsv", "yiq"] = "hsv",
    ) -> None:
        self.size, self.count = integer("size", size, 2, LARGEST), integer("count", count, 0)
        self.crops = tuple(integer("crops", side, 2, size, why="size") for side in crops)
        if not self.count and not self.crops:
            raise InputError("there must be at least one view: count is 0 and crops is empty.")
        self.strength = choice("strength", strength, STRENGTHS)
        self.crop_strength = choice("crop_strength", crop_strength or strength, STRENGTHS)
        _require_range("crop_area", crop_area, 0, 1)
        _require_range("crop_ratio", crop_ratio, 0, 1e3)
        _require_range("blur_sigma", blur_sigma, 0, 1e3)
        self.area, self.ratio, self.sigma = crop_area, crop_ratio, blur_sigma
        self.rotation = between("rotation", rotation, 0, 180, ends="[]")
        if len(tuple(jitter)) != 4:
            raise InputError(f"jitter must be four numbers: brightness, contrast, saturation, hue, got {jitter!r}.")
        for part, value in zip(("brightness", "contrast", "saturation"), jitter, strict=False):
            nonnegative(f"jitter's {part}", value)
        between("jitter's hue", jitter[3], 0, 0.5, ends="[]")
        self.jitter: colour.Strengths = (jitter[0], jitter[1], jitter[2], jitter[3])
        for name, chance in (
            ("flip", flip),
            ("jitter_chance", jitter_chance),
            ("grey_chance", grey_chance),
            ("blur_chance", blur_chance),
        ):
            between(name, chance, 0, 1, ends="[]")
        self.flip, self.jitter_chance, self.grey_chance, self.blur_chance = (
            flip,
            jitter_chance,
            grey_chance,
            blur_chance,
        )
        self.colour_space = choice("colour_space", colour_space, ("hsv", "yiq"))
        if len(mean) != len(std) or len(mean) not in (1, 3):
            raise InputError(
                f"mean and std must have one number for each channel, one or three, got {len(mean)} and {len(std)}."
            )
        for value in std:
            positive("std", value)
        self._scale = 1 / torch.tensor(std, dtype=torch.float32).reshape(1, -1, 1, 1)
        self._shift = torch.tensor(mean, dtype=torch.float32).reshape(1, -1, 1, 1) * self._scale

    def __call__(self, images: Tensor, generator: Generator) -> list[Tensor]:
        """Return the views of ``images``; ``generator`` lies on their device."""
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != self._scale.shape[1]:
            raise InputError(
                f"images must be uint8 (B, {self._scale.shape[1]}, H, W), got {images.dtype} {tuple(images.shape)}."
            )
        if self._scale.device != images.device:  # once a run: then nothing travels any more
            self._scale, self._shift = self._scale.to(images.device), self._shift.to(images.device)
        full = [self._view(images, self.size, self.area, self.strength, generator) for _ in range(self.count)]
        low, high = self.area
        small = [
            self._view(images, side, (low * side / self.size, high * side / self.size), self.crop_strength, generator)
            for side in self.crops
        ]
        return full + small

    def _view(
        self, images: Tensor, side: int, area: tuple[float, float], strength: str, generator: Generator
    ) -> Tensor:
        batch, device = len(images), images.device

        def chance(probability: float) -> Tensor:
            return torch.rand(batch, generator=generator, device=device) < probability

        # 1. the crop, mirrored
        windows = crops.draw_windows(batch, images.shape[2], images.shape[3], area, self.ratio, generator, device)
        flipped = chance(self.flip)
        if self.rotation:
            angle = torch.deg2rad(self.rotation * (2 * torch.rand(batch, generator=generator, device=device) - 1))
            view = crops.turn(images, windows, flipped, angle, side).div_(255)
        else:
            view = crops.resize(images, windows, flipped, side).div_(255)
        # 2. colours
        drawn = colour.draw_jitter(batch, self.jitter, self.jitter_chance, generator, device)
        greyed = chance(self.grey_chance)
        if self.colour_space == "yiq":
            view = colour.linear_jitter(view, drawn, greyed)
        else:
            view = colour.drop_colour(colour.jitter(view, drawn, colour.draw_order(batch, generator, device)), greyed)
        # 3. blur
        if self.blur_chance:
            low, high = self.sigma
            sigma = low + (high - low) * torch.rand(batch, generator=generator, device=device)
            view = colour.blur(view, torch.where(chance(self.blur_chance), sigma, 0.0), high)
        # 4. the stronger operations, on bytes
        if strength == "strong":
            view = clsa.apply_operations(view.mul_(255).round_().to(torch.uint8), generator).float().div_(255)
        return view.mul_(self._scale).sub_(self._shift)


def _require_range(name: str, value: Sequence[float], low: float, high: float) -> None:
    """Refuse a pair that is no interval within (low, high]."""
    if len(value) != 2 or not low < value[0] <= value[1] <= high:
        raise InputError(f"{name} must be two numbers a <= b in ({low:g}, {high:g}], got {value!r}.")
