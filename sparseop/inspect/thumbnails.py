"""Small pictures for the report, as data that an HTML page can hold."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sparseop.errors import InputError

SIDE = 72  #: pixels


class Pictures(Protocol):
    """Where pictures come from."""

    def __len__(self) -> int:
        """Return their number."""

    def thumbnail(self, row: int) -> str | None:
        """Return a ``data:`` address of one, or None where it can't be read."""


@dataclass(frozen=True)
class FilePictures:
    """Pictures in files; read as the trainers read them, which needs torch."""

    paths: tuple[Path, ...]

    def __len__(self) -> int:
        """Return their number."""
        return len(self.paths)

    def thumbnail(self, row: int) -> str | None:
        """Return a ``data:`` address of one, or None where it can't be read."""
        try:
            from sparseop.deep.datasets.pictures import bytes_of, opened, plain
        except ImportError:
            return None
        try:
            with opened(self.paths[row]) as image:
                image.draft(None, (2 * SIDE, 2 * SIDE))
                picture = bytes_of(plain(image, self.paths[row]))
        except InputError:
            return None
        picture.thumbnail((SIDE, SIDE))
        return _address(picture, "JPEG")


@dataclass(frozen=True)
class ArrayPictures:
    """Pictures (N, H, W), (N, H, W, C) or (N, C, H, W); whole numbers up to 255, or decimals up to their largest.

    Raises
    ------
    InputError : an array of another shape or kind.
    """

    array: NDArray[Any]

    def __post_init__(self) -> None:
        """Refuse what is no picture."""
        shape = self.array.shape
        channels = {shape[1], shape[3]} if len(shape) == 4 else {1}
        if len(shape) not in (3, 4) or not channels & {1, 3, 4}:
            raise InputError(f"images must have shape (N, H, W), (N, H, W, 3) or (N, 3, H, W), got {shape}.")
        if self.array.dtype.kind not in "uif":
            raise InputError(f"images must hold numbers, got {self.array.dtype}.")

    def __len__(self) -> int:
        """Return their number."""
        return len(self.array)

    def pixels(self, row: int) -> NDArray[np.uint8]:
        """Return one as bytes, (H, W) or (H, W, 3)."""
        picture = np.asarray(self.array[row])
        if picture.ndim == 3 and picture.shape[0] in (1, 3, 4) and picture.shape[2] not in (1, 3, 4):
            picture = np.moveaxis(picture, 0, 2)
        if picture.ndim == 3:
            picture = picture[..., 0] if picture.shape[2] == 1 else picture[..., :3]
        if self.array.dtype != np.uint8:
            top = float(np.nanmax(picture)) or 1.0
            picture = np.nan_to_num(picture).clip(0, top) * (
                255 / (255 if self.array.dtype.kind in "ui" and top > 16 else top)
            )
        return picture.clip(0, 255).astype(np.uint8)

    def thumbnail(self, row: int) -> str | None:
        """Return a ``data:`` address of one."""
        from PIL import Image

        picture = Image.fromarray(self.pixels(row))
        if max(picture.size) < SIDE:  # a few pixels: shown as squares
            factor = SIDE // max(picture.size)
            picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
        picture.thumbnail((SIDE, SIDE))
        return _address(picture, "PNG" if picture.mode == "L" else "JPEG")


def _address(picture: Any, kind: str) -> str:
    content = io.BytesIO()
    picture.save(content, kind, **({"quality": 82} if kind == "JPEG" else {"optimize": True}))
    return f"data:image/{kind.lower()};base64,{base64.b64encode(content.getvalue()).decode()}"
