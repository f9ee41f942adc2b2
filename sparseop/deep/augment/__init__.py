"""Batched image augmentation on the device, with parameters of its own for each sample.

``build(name, mean=..., std=...)`` returns ``augment(images, generator) -> images``: uint8 (B, C, H, W) in, normalised
float32 (B, C, H, W) out, on the device of the images. All randomness comes from ``generator`` (on that device too), a
fixed number of draws a batch, so a run can be resumed bit-exactly; nothing waits for the device and no shape depends on
the data.

========  ===========================================================================================================
name      what                                                                                        used for
========  ===========================================================================================================
none      normalise                                                                                   evaluation, digits
flip      horizontal flip, normalise
weak      zero pad and crop, flip, normalise                                                          SOP, CE, ...
strong    AutoAugment (CIFAR-10 policy), zero pad and crop, flip, normalise, Cutout                   SOP+'s second view
========  ===========================================================================================================

The order within "strong" is that of the released code of SOP: operations see whole pixels 0..255, new pixels are black,
and Cutout comes after normalisation, so that its hole has the mean colour.

Views for contrastive learning, another kind of weak and strong, are made by ``sparseop.deep.augment.views.Views``.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

from sparseop.deep.augment.autoaugment import apply_policy
from sparseop.deep.augment.geometry import central_window, cutout, flip, random_window
from sparseop.errors import InputError, choice, integer, positive

__all__ = ["NAMES", "Augment", "build"]

NAMES = ("none", "flip", "weak", "strong")
Augment = Callable[[Tensor, Generator], Tensor]


def build(
    name: str,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    pad: int = 4,
    hole: int = 16,
    crop: int = 0,
    flips: bool = True,
) -> Augment:
    """Return the augmentation ``name``.

    Parameters
    ----------
    mean, std : of each channel, in [0, 1] units.
    pad : pixels of black border for "weak" and "strong", from which a random window is cut.
    hole : side of Cutout's square, in pixels; at twice the side of the images nothing would be left of them, and it is
        refused.
    crop : side of the window; 0: as large as the image. "none" and "flip" cut the central window.
    flips : mirror at random; False where the caller mirrors (``geometry.mirror``).
    """
    choice("augment", name, NAMES)
    integer("pad", pad, 0)
    integer("hole", hole, 0)
    integer("crop", crop, 0)
    if len(mean) != len(std):
        raise InputError(f"mean and std must have one number for each channel, got {len(mean)} and {len(std)}.")
    for value in std:
        positive("std", value)
    scale = 1 / (255 * torch.tensor(std).reshape(1, -1, 1, 1))
    shift = 255 * torch.tensor(mean).reshape(1, -1, 1, 1) * scale

    def normalise(images: Tensor) -> Tensor:
        nonlocal shift, scale
        if shift.device != images.device:  # once a run: then nothing travels any more
            shift, scale = shift.to(images.device), scale.to(images.device)
        return images.float().mul_(scale).sub_(shift)

    def augment(images: Tensor, generator: Generator) -> Tensor:
        if name == "strong":
            images = apply_policy(images, generator)
        if name in ("weak", "strong"):
            images = random_window(images, generator, pad, crop)
        elif crop:
            images = central_window(images, crop)
        if name != "none" and flips:
            images = flip(images, generator)
        result = normalise(images)
        return cutout(result, generator, hole) if name == "strong" else result

    return augment
