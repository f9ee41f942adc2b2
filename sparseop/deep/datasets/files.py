"""Images in files of their own, decoded when asked for. Needs pillow, imported where a file is opened."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from sparseop.deep.datasets.decoders import Decoders
from sparseop.deep.datasets.pictures import bytes_of, opened, plain, require_pillow
from sparseop.errors import InputError, integer

THREADS = 8  # decoding leaves Python's lock
LARGEST = 4096  # pixels of a side: one such image takes 48 MiB


class ImageFiles:
    """Images (N, 3, size, size), each read from its file when fetched; a ``LazyImages``.

    Parameters
    ----------
    paths : N files.
    size : side of the square that every image becomes.
    stretch : scale both sides to ``size``; otherwise scale the shorter one and cut the central square.
    workers : processes that decode; 0: threads of this one, which share Python's lock where pillow does not let go of
        it.
    """

    def __init__(self, paths: Sequence[Path | str], size: int, *, stretch: bool = False, workers: int = 0) -> None:
        self.paths = [str(path) for path in paths]
        self.size, self.stretch = integer("size", size, 1, LARGEST), stretch
        self.shape = (len(self.paths), 3, size, size)
        self.dtype = torch.uint8
        self.decoders = Decoders(workers) if integer("workers", workers, 0) else None

    def __len__(self) -> int:
        """Return N."""
        return len(self.paths)

    def fetch(self, index: Tensor) -> Tensor:
        """Return the images of ``index`` (int64, on the CPU), uint8 (B, 3, size, size).

        Raises
        ------
        InputError : a file that is missing or no image.
        """
        wanted = [self.paths[i] for i in index.tolist()]
        read = partial(read_square, size=self.size, stretch=self.stretch)
        if not wanted:
            return torch.empty((0, *self.shape[1:]), dtype=torch.uint8)
        if self.decoders is not None:
            return self.decoders.stack(read, wanted)
        with ThreadPoolExecutor(min(THREADS, len(wanted))) as pool:
            return torch.stack(list(pool.map(read, wanted)))


def read_square(path: str, size: int, *, stretch: bool = False) -> Tensor:
    """Return one image as uint8 (3, size, size); see ``ImageFiles``, and ``pictures`` for what unusual files become."""
    with opened(path) as image:
        image.draft(None, (2 * size, 2 * size))  # a JPEG far too large is decoded at a fraction
        picture = plain(image, path)
        width, height = picture.size
        box = None
        if not stretch:  # the window that the central square of the scaled image shows; a strip scaled whole would
            scale = size / min(width, height)  # take gigabytes
            wide, tall = max(size, round(width * scale)), max(size, round(height * scale))
            left, top = (wide - size) // 2, (tall - size) // 2
            box = (left * width / wide, top * height / tall, (left + size) * width / wide, (top + size) * height / tall)
        picture = bytes_of(picture.resize((size, size), require_pillow().Resampling.BILINEAR, box=box))
        content = bytearray(picture.tobytes())
    return torch.frombuffer(content, dtype=torch.uint8).reshape(size, size, 3).permute(2, 0, 1)


def read_lines(path: Path, what: str) -> list[str]:
    """Return the lines of a list file that are not empty."""
    try:
        return [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except FileNotFoundError:
        raise InputError(f"{what}: the list '{path}' is not there.") from None
    except UnicodeDecodeError:
        raise InputError(f"{what}: '{path}' is not a text file.") from None


def read_list(path: Path, columns: int, what: str) -> list[list[str]]:
    """Return the lines of a list file split at its last blanks into ``columns``, so that names may hold blanks."""
    rows = [line.rsplit(maxsplit=columns - 1) for line in read_lines(path, what)]
    for number, row in enumerate(rows, 1):
        if len(row) != columns:
            raise InputError(f"{what}: entry {number} of '{path}' must have {columns} columns, got {' '.join(row)!r}.")
    return rows


def whole_number(text: str, where: str) -> int:
    """Return a label read from a list."""
    try:
        return int(text)
    except ValueError:
        raise InputError(f"{where} must be a whole number, got {text!r}.") from None
