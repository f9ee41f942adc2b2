"""How fast two random views of a batch are made: this project's against kornia's and against image by image.

    python -m benchmarks.views                       one thread, 256 images of CIFAR's size
    python -m benchmarks.views --size 224 --batch 32 with blur, as for ImageNet
    python -m benchmarks.views --device cuda --batch 512

The task is MoCo v2's: random resized crop, mirror, colour jitter (0.4, 0.4, 0.4, 0.1) in 80 %, grey in 20 %, for large
images blur in 50 %, normalise; every image with its own draws.

sparseop, hsv      torchvision's jitter: four operations in random order, each cut off
sparseop, yiq      the jitter as one linear map an image, the hue turned at constant luminance
sparseop, strong   hsv, then five of CLSA's 14 operations: more work, for comparison
kornia             kornia.augmentation, batched, each image with its own draws
pillow             what torchvision's transforms call for each image, on a processor, as MoCo's CIFAR demo does in its
                   workers

kornia and pillow are used here alone. On a processor times are the process's own, not the clock's, so that other
programs count little; on a GPU the clock's, pillow's still on the processor. Functions take turns; the ratio is between
medians.
"""

import argparse
import math
import random
import sys
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from benchmarks import record
from benchmarks.augment import MEAN, STD, measure
from sparseop import cli
from sparseop.deep.augment.views import Views
from sparseop.deep.training import device as devices
from sparseop.errors import InputError, integer

TwoViews = Callable[[Tensor], object]
OURS = {"hsv": {}, "yiq": {"colour_space": "yiq"}, "strong": {"strength": "strong"}}


def kornia_views(size: int, *, blur: bool) -> TwoViews:
    """Return kornia's pipeline from uint8 to normalised float32, called twice."""
    try:
        import kornia.augmentation as ka
    except ImportError:
        raise InputError("this benchmark compares with kornia, which is not installed; pip install kornia.") from None
    steps = [
        ka.RandomResizedCrop((size, size), scale=(0.2, 1.0)),
        ka.RandomHorizontalFlip(p=0.5),
        ka.ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.8),
        ka.RandomGrayscale(p=0.2),
    ]
    steps += [ka.RandomGaussianBlur((13, 13), (0.1, 2.0), p=0.5)] if blur else []
    module = torch.nn.Sequential(*steps, ka.Normalize(MEAN, STD))
    return lambda images: [module(images.float() / 255) for _ in range(2)]


def pillow_views(size: int, *, blur: bool) -> TwoViews:
    """Return the same image by image: pillow's resize, enhancements and HSV, then a normalised tensor."""
    from PIL import Image, ImageEnhance, ImageFilter, ImageOps

    rng = random.Random(0)

    def hue(image: Image.Image, turn: float) -> Image.Image:
        h, s, v = image.convert("HSV").split()
        return Image.merge(
            "HSV", (Image.fromarray(np.array(h, np.uint8) + np.uint8(int(turn * 255) % 256)), s, v)
        ).convert("RGB")

    def view(image: Image.Image) -> Tensor:
        wide, tall = image.size
        for _ in range(10):
            area, ratio = wide * tall * rng.uniform(0.2, 1), math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if w <= wide and h <= tall:
                break
        else:
            w, h = wide, tall
        left, top = rng.randint(0, wide - w), rng.randint(0, tall - h)
        image = image.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + w, top + h))
        if rng.random() < 0.8:
            steps = [
                lambda x: ImageEnhance.Brightness(x).enhance(rng.uniform(0.6, 1.4)),
                lambda x: ImageEnhance.Contrast(x).enhance(rng.uniform(0.6, 1.4)),
                lambda x: ImageEnhance.Color(x).enhance(rng.uniform(0.6, 1.4)),
                lambda x: hue(x, rng.uniform(-0.1, 0.1)),
            ]
            rng.shuffle(steps)
            for step in steps:
                image = step(image)
        if rng.random() < 0.2:
            image = image.convert("L").convert("RGB")
        if blur and rng.random() < 0.5:
            image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.1, 2.0)))
        if rng.random() < 0.5:
            image = ImageOps.mirror(image)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
        return (pixels - mean) / std

    mean, std = (torch.tensor(x).reshape(3, 1, 1) for x in (MEAN, STD))

    def both(images: Tensor) -> object:
        pictures = [Image.fromarray(image.permute(1, 2, 0).cpu().numpy()) for image in images]
        return [torch.stack([view(picture) for picture in pictures]) for _ in range(2)]

    return both


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    parser = record.parser("views", __doc__)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(arguments)
    return cli.run("benchmarks.views", lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    for name in ("batch", "threads", "repeats"):
        integer(f"--{name}", getattr(options, name), 1)
    size, blur = integer("--size", options.size, 8), options.size > 64
    device = devices.choose(options.device)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    generator = torch.Generator(device).manual_seed(0)
    side = size * 8 // 7 if blur else size  # ImageNet's 256 of 224
    images = torch.randint(
        256, (options.batch, 3, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    ).to(device)
    functions: dict[str, TwoViews] = {}
    for name, given in OURS.items():
        make = Views(size, mean=MEAN, std=STD, blur_chance=0.5 if blur else 0.0, **given)  # type: ignore[arg-type]
        functions[f"sparseop, {name}"] = partial(make, generator=generator)
    functions |= {"kornia": kornia_views(size, blur=blur), "pillow": pillow_views(size, blur=blur)}
    found = measure(functions, images, options.repeats)  # type: ignore[arg-type]
    base = found["sparseop, hsv"][1]
    table = pd.DataFrame(
        [
            {
                "method": name,
                "milliseconds": median,
                "images_per_second": 1e3 * options.batch / median,
                "times_hsv": median / base,
            }
            for name, (_, median) in found.items()
        ]
    )
    name = "bench_views" + ("" if size == 32 else f"_{size}") + ("" if device.type == "cpu" else f"_{device.type}")
    accelerator = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    print(
        f"two views of {options.batch} images, {size} x {size}{', blur' if blur else ''}, {options.threads} thread(s), "
        f"{accelerator or 'processor'}"
    )
    record.keep(
        table,
        name,
        options,
        packages=("torch", "kornia", "pillow"),
        batch=options.batch,
        size=size,
        threads=options.threads,
        repeats=options.repeats,
        device=accelerator,
    )


if __name__ == "__main__":
    sys.exit(main())
