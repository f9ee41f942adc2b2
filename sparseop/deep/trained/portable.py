"""The whole network of a run in one file that needs nothing of this project: torch's own program, or ONNX.

Normalisation, the central crop and the mean over image and mirror image are inside: the file maps images (B, C, H, W)
in [0, 1], any B, to logits (B, K). Beside it, FILE.json names the classes, in the order of the logits, and shows how to
load it.
"""

import contextlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sparseop.deep.trained.classifier import Classifier
from sparseop.errors import InputError

SUFFIXES = {".pt2": "torch.export", ".onnx": "onnx"}  #: of the file -> its format


class Whole(nn.Module):
    """From images in [0, 1] to logits, as the run was judged."""

    mean: Tensor
    std: Tensor

    def __init__(self, found: Classifier) -> None:
        super().__init__()
        self.network, self.crop, self.mirror, self.size = found.network, found.crop, found.mirror, found.shape[1]
        self.register_buffer("mean", torch.tensor(found.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(found.std)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K) of images (B, C, H, W) in [0, 1]."""
        if self.crop:
            start = (self.size - self.crop) // 2
            images = images[:, :, start : start + self.crop, start : start + self.crop]
        seen = (images - self.mean) / self.std
        logits: Tensor = self.network(seen)
        return (logits + self.network(seen.flip(3))) / 2 if self.mirror else logits


def portable(found: Classifier, kind: str) -> bytes:
    """Return the file of a network, ``kind`` "torch.export" or "onnx".

    Raises
    ------
    InputError : ONNX without the packages onnx and onnxscript.
    """
    whole, example = Whole(found).cpu().eval(), torch.zeros(2, *found.shape)
    batch = ({0: torch.export.Dim("batch", min=1)},)
    buffer = io.BytesIO()
    with _quiet():
        program = torch.export.export(whole, (example,), dynamic_shapes=batch)
        if kind == "torch.export":
            torch.export.save(program, buffer)
            return buffer.getvalue()
        missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
        if missing:
            raise InputError(f"ONNX files need {' and '.join(missing)}; pip install 'sparseop[onnx]'.")
        made: Any = torch.onnx.export(
            program, input_names=["images"], output_names=["logits"], dynamo=True, verbose=False
        )
    made.save(buffer)
    return buffer.getvalue()


def example(found: Classifier, kind: str, name: str) -> list[str]:
    """Return the lines of Python that load the file called ``name`` and name the class of the picture ``photo.png``."""
    channels, size, _ = found.shape
    mode, axes = ("L", "[None, None]") if channels == 1 else ("RGB", ".transpose(2, 0, 1)[None]")
    fit = "image.resize" if found.stretch else "ImageOps.fit"
    first = "" if found.stretch else "image, "
    lines = [
        "import json",
        "import numpy as np",
        "from PIL import Image, ImageOps",
        f'classes = json.load(open("{name}.json"))["classes"]',
        f'image = ImageOps.exif_transpose(Image.open("photo.png")).convert("{mode}")',
        f"image = {fit}({first}({size}, {size}), Image.Resampling.BILINEAR)",
        f"images = np.asarray(image, dtype=np.float32){axes} / 255",
    ]
    if kind == "onnx":
        return [
            "import onnxruntime",
            *lines,
            f'logits = onnxruntime.InferenceSession("{name}").run(None, {{"images": images}})[0]',
            "print(classes[int(logits[0].argmax())])",
        ]
    return [
        "import torch",
        *lines,
        f'logits = torch.export.load("{name}").module()(torch.from_numpy(images))',
        "print(classes[int(logits[0].argmax())])",
    ]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporters tell of their own parts from the user."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def kind_of(out: Path) -> str | None:
    """Return the portable format that a file's name asks for, or None."""
    return SUFFIXES.get(out.suffix.lower())
