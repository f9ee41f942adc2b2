"""The one reader of pictures: whatever a file holds becomes brightness as a viewer shows it, or is refused by name.

================  =====================================================================================================
file              becomes
================  =====================================================================================================
grey, 8 bits      brightness / 255
grey, 16 bits     brightness / 65535, the range of the type; / a TIFF's own largest value (12-bit cameras)
grey, floating    brightness / 1, 255 or 65535, the smallest that no value exceeds
colours           RGB, 8 bits a channel; palettes are looked up, CMYK, YCbCr and HSV converted
transparency      laid over white, so that colours hidden under it do not appear
orientation       a camera's EXIF mark is obeyed
animation, pages  the first picture
================  =====================================================================================================

Needs pillow, imported where a file is opened.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sparseop.errors import InputError, brief

BACKGROUND = 255  #: what transparency is laid over: white
RANGES = (1.0, 255.0, 65535.0)  #: of floating-point brightness
_MAX_SAMPLE_VALUE = 281  # a TIFF's tag: the largest value its maker meant


@contextlib.contextmanager
def opened(path: Path | str) -> Iterator[Any]:
    """Open a picture with pillow; one sentence for whatever keeps it from being read, while it is decoded too.

    Raises
    ------
    InputError : no such file, a folder, no image, a damaged or truncated one, one too large to be decoded safely.
    """
    image_module = require_pillow()
    try:
        with image_module.open(path) as image:
            yield image
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"the image '{path}' is not there.") from None
    except IsADirectoryError:
        raise InputError(f"the image '{path}' is a folder.") from None
    except PermissionError:
        raise InputError(f"the image '{path}' may not be read.") from None
    except image_module.DecompressionBombError:
        raise InputError(
            f"the image '{path}' has more than {2 * image_module.MAX_IMAGE_PIXELS:,} pixels and is not decoded."
        ) from None
    except image_module.UnidentifiedImageError:
        raise InputError(f"the image '{path}' cannot be read; it is truncated, damaged or no image.") from None
    except Exception as error:  # noqa: BLE001 - damaged files make pillow's decoders raise whatever they stumble over
        raise InputError(
            f"the image '{path}' cannot be read; it is truncated, damaged or no image ({brief(error)})."
        ) from None


def require_pillow() -> Any:
    """Return pillow's Image module."""
    try:
        from PIL import Image
    except ImportError:
        raise InputError("image files need pillow; pip install pillow.") from None
    return Image


def plain(image: Any, path: Path | str) -> Any:
    """Return an opened picture in mode RGB, L (8 bits) or F (0 to 1), by the table of this module.

    Raises
    ------
    InputError : brightness that has no known range, colours that pillow does not convert.
    """
    from PIL import ImageOps

    grey = image.mode in ("1", "L", "LA", "La")
    stated = getattr(image, "tag_v2", {}).get(_MAX_SAMPLE_VALUE, 0)
    hidden = image.info.get("transparency")
    try:
        picture = ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 - a damaged mark says nothing of how the camera was held
        picture = image
    if picture.mode == "F" or picture.mode.startswith("I"):  # 16 or 32 bits a channel, or floating point
        return _brightness(picture, path, stated[0] if isinstance(stated, tuple) else stated, hidden)
    if picture.has_transparency_data:
        picture = picture.convert({"La": "LA", "RGBa": "RGBA"}.get(picture.mode, picture.mode)).convert("RGBA")
        below = require_pillow().new("RGBA", picture.size, (BACKGROUND, BACKGROUND, BACKGROUND, 255))
        picture = require_pillow().alpha_composite(below, picture)
    try:
        return picture.convert("L" if grey else "RGB")
    except ValueError:
        raise InputError(
            f"the image '{path}' holds colours of mode {picture.mode}, which are not read; save it as RGB."
        ) from None


def bytes_of(picture: Any) -> Any:
    """Return what ``plain`` gave as RGB of 8 bits a channel; brightness is rounded."""
    if picture.mode == "F":
        levels = np.asarray(picture, dtype=np.float32).clip(0, 1) * 255
        picture = require_pillow().fromarray(levels.round().astype(np.uint8))
    return picture.convert("RGB")


def _brightness(picture: Any, path: Path | str, stated: float, hidden: Any) -> Any:
    """Return brightness of more than 8 bits as mode F, 0 to 1."""
    values = np.asarray(picture, dtype=np.float64)
    if not np.isfinite(values).all() or values.min() < 0:
        raise InputError(
            f"the image '{path}' holds negative values or ones that are not finite, which are no brightness."
        )
    largest = float(values.max())
    top = float(stated) if stated >= max(largest, 1) else 0.0
    if not top:
        top = next((r for r in RANGES[0 if picture.mode == "F" else 2 :] if largest <= r), 0.0)
    if not top:
        raise InputError(
            f"the image '{path}' holds values up to {largest:g}, and brightness is read up to {RANGES[-1]:g}; "
            "save it in 8 or 16 bits."
        )
    shown = values / top
    if isinstance(hidden, int):  # a PNG of 16 bits names one value that is transparent
        shown[values == hidden] = BACKGROUND / 255
    return require_pillow().fromarray(shown.astype(np.float32))
