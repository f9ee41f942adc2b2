"""Images to recover: photographs that other packages bring, or your own file, as tensors (C, H, W) in [0, 1].

What becomes of unusual files: a grey image keeps its one channel, and 16 bits as fractions of the largest, of which
colours keep 8; an alpha channel is laid over white; of an animation the first picture counts; a camera's orientation
mark is obeyed.
"""

import importlib.util
import io
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sparseop.deep.datasets.pictures import opened, plain, require_pillow
from sparseop.errors import InputError, integer

#: photographs by name: the package that brings them and their place in it
BUNDLED = {
    **{name: ("sklearn", f"datasets/images/{name}.jpg") for name in ("flower", "china")},
    **{
        name: ("skimage", f"data/{name}.{suffix}")
        for name, suffix in (
            ("astronaut", "png"),
            ("camera", "png"),
            ("cat", "png"),
            ("coffee", "png"),
            ("rocket", "jpg"),
        )
    },
}
PACKAGES = {"sklearn": "scikit-learn", "skimage": "scikit-image"}
LARGEST = 2**22  # pixels of an image that is fitted: beyond, a step takes many seconds even on a GPU


def load_image(source: str, size: int = 0, root: Path | str | None = None) -> Tensor:
    """Return an image, float32 (3, H, W), or (1, H, W) where the file is grey, with values in [0, 1].

    Parameters
    ----------
    source : a name of ``BUNDLED``, or the path of an image file.
    size : cut the central square and reduce it to this side (Lanczos); an image smaller than that is not enlarged. 0:
        all of the image, as it is.
    root : folder in which a path is looked for first.

    Raises
    ------
    InputError : a missing, unreadable or too large file; a bundled photograph whose package is not installed.
    """
    integer("size", size, 0)
    path = _find(source, None if root is None else Path(root))
    image_module = require_pillow()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", image_module.DecompressionBombWarning)  # twice as large is refused
        with opened(path) as image:
            if size == 0:
                _require_moderate(path, image.size)
            elif image.format == "JPEG":
                image.draft(None, (4 * size, 4 * size))  # far too large: decoded at a fraction
            picture = plain(image, path)
    if size:
        width, height = picture.size
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        picture = picture.crop((left, top, left + side, top + side))
        if side > size:
            picture = picture.resize((size, size), image_module.Resampling.LANCZOS)
        _require_moderate(path, picture.size)
    values = np.asarray(picture, dtype=np.float32)
    values = values / (1.0 if picture.mode == "F" else 255.0)
    values = values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(values.clip(0, 1)))


def png(image: Tensor) -> bytes:
    """Return an image (C, H, W) in [0, 1] as a PNG file of 8 bits a channel."""
    levels = (image.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    buffer = io.BytesIO()
    require_pillow().fromarray(levels[..., 0] if levels.shape[2] == 1 else levels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _find(source: str, root: Path | None) -> Path:
    given = Path(source).expanduser() if source.startswith("~") else Path(source)
    for path in ([root / source] if root is not None else []) + [given]:
        if path.is_file():
            return path
    if source in BUNDLED:
        package, place = BUNDLED[source]
        found = importlib.util.find_spec(package)  # not imported: the package itself is not needed
        for folder in (found.submodule_search_locations or []) if found is not None else []:
            if (Path(folder) / place).is_file():
                return Path(folder) / place
        others = " or ".join(name for name, (other, _) in BUNDLED.items() if other != package)
        raise InputError(
            f"the photograph {source!r} comes with {PACKAGES[package]}, where it was not found; pip install "
            f"{PACKAGES[package]}, or set image to {others} or to the path of a file."
        )
    if given.is_dir():
        raise InputError(f"the image '{source}' is a folder.")
    where = "" if root is None else f" (nor in '{root}')"
    raise InputError(
        f"the image '{source}' is not there{where}; give the path of a file, or one of {', '.join(BUNDLED)}."
    )


def _require_moderate(path: Path, size: tuple[int, int]) -> None:
    if size[0] * size[1] > LARGEST:
        raise InputError(
            f"the image '{path}' is {size[0]} x {size[1]} pixels, and at most {LARGEST:,} are fitted; "
            "set size, the side of a smaller square, such as size=256."
        )
