"""Labels from a file of somebody else's, in whichever of the usual forms it comes.

==================  ====================================================================================================
file                holds
==================  ====================================================================================================
.npy                one label for each sample: whole numbers (also as floats), or class names
.npz                the same as 'given', or as its only array
.csv .tsv .txt      one label a line, or the columns index,label or path,label, with a header or (index) without; a
                    column split may mark test images, which are passed over
.json               a list of labels, an object of index or path -> label, or one with one list, or one named 'given'
.pt .pth            a tensor, list or array of ``torch.save``, or a dictionary with one of them, or one named 'given'
==================  ====================================================================================================

A label is a number from 0 or a class name; where all entries of a text are class names they are taken for that, even if
the names are numbers. An index counts from 0.
"""

import json
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparseop.deep.datasets.base import check_labels, refuse_page
from sparseop.deep.datasets.tables import read_rows
from sparseop.deep.datasets.unpickle import read_torch_zip
from sparseop.errors import InputError, brief

TAKEN = ".npy, .npz, .csv, .tsv, .txt, .json, .pt or .pth"
GIVEN = "given"  #: the name of the labels among several arrays
_LABELS = ("label", "labels", "class", "given", "target", "noisy_label")
_INDICES = ("index", "id", "idx")
_PATHS = ("path", "file", "filename", "image", "name")
_TESTS = ("test", "val", "valid", "validation")


@dataclass(frozen=True)
class Samples:
    """What the labels are for: n samples of these classes, perhaps with paths; ``tests`` are paths of test images."""

    n: int
    classes: Sequence[str]
    paths: Sequence[str] = ()
    tests: Sequence[str] = ()


def read_labels(path: Path | str | None, samples: Samples) -> Tensor:
    """Return the labels (N,) int64 that a file gives the samples.

    Raises
    ------
    InputError : no file, one of another kind (all that are taken are named), damaged, or its labels are not one class
        for each sample.
    """
    if not path:
        raise InputError(f"noise kind 'file' needs noise.path, a file of labels: {TAKEN}.")
    path = Path(path).expanduser()
    if not path.is_file():
        raise InputError(f"the label file '{path}' is not there.")
    if path.suffix.lower() not in _READERS:
        raise InputError(f"the label file '{path}' must be {TAKEN}, got {path.suffix or 'no suffix'!r}.")
    try:
        held = _READERS[path.suffix.lower()](path)
    except InputError:
        raise
    except (OSError, ValueError, EOFError, KeyError, RecursionError, zipfile.BadZipFile, zlib.error) as error:
        refuse_page(path)
        raise InputError(
            f"the label file '{path}' cannot be read; it is truncated, damaged or no list of labels ({brief(error)})."
        ) from None
    what = f"the label file '{path}'"
    if isinstance(held, Mapping):
        lists = any(isinstance(value, list | tuple | np.ndarray | Tensor) for value in held.values())
        held = _chosen(held, what) if lists or not held else _by_key(held, samples, what)
    return check_labels(_numbers(held, samples.classes, what), samples.n, len(samples.classes), what)


def _npy(path: Path) -> Any:
    return np.load(path, allow_pickle=False)


def _npz(path: Path) -> Any:
    with np.load(path, allow_pickle=False) as held:
        return {name: held[name] for name in held.files}


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8-sig"))


def _pt(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # noqa: BLE001 - torch raises many types for arrays of an older numpy, too
        return read_torch_zip(path)


def _text(path: Path) -> Any:
    """Return a list of labels, or index or path -> label, of a table."""
    rows = read_rows(path, "labels")
    what = f"the label file '{path}'"
    if not rows:
        raise InputError(f"{what} is empty.")
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        raise InputError(
            f"{what} must have as many columns in each line, got {' and '.join(map(str, sorted(widths)))}."
        )
    header = [name.lower() for name in rows[0]]
    label = next((header.index(name) for name in _LABELS if name in header), None)
    if widths == {1}:
        entries = [row[0] for row in (rows if label is None else rows[1:])]
        parts = [part for entry in entries for part in entry.split()]
        return parts if all(map(_is_whole, parts)) else entries  # numbers may stand side by side
    if label is None:
        if widths == {2} and all(_is_whole(row[0]) for row in rows):
            return _table([(int(float(row[0])), row[1]) for row in rows], what)
        raise InputError(
            f"{what} must have the columns index,label or path,label in its header, got {','.join(header)}."
        )
    key = next((header.index(name) for name in (*_INDICES, *_PATHS) if name in header), None)
    split = header.index("split") if "split" in header else None
    kept = [row for row in rows[1:] if split is None or row[split].lower() not in _TESTS]
    if key is None:
        return [row[label] for row in kept]
    if header[key] in _PATHS:
        return _table([(row[key], row[label]) for row in kept], what)
    strange = next((row[key] for row in kept if not _is_whole(row[key])), None)
    if strange is not None:
        raise InputError(f"{what} must have whole numbers in its column {header[key]!r}, got {strange!r}.")
    return _table([(int(float(row[key])), row[label]) for row in kept], what)


def _table(pairs: list[tuple[Any, Any]], what: str) -> dict[Any, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for number, (key, _) in enumerate(pairs) if any(key == other for other, _ in pairs[:number]))
        raise InputError(f"{what} has two labels for {twice!r}.")
    return found


_READERS: dict[str, Callable[[Path], Any]] = {
    **dict.fromkeys((".csv", ".tsv", ".txt"), _text),
    **dict.fromkeys((".pt", ".pth"), _pt),
    ".npy": _npy,
    ".npz": _npz,
    ".json": _json,
}


def _chosen(held: Mapping[Any, Any], what: str) -> Any:
    if GIVEN in held:
        return held[GIVEN]
    if len(held) == 1:
        return next(iter(held.values()))
    listed = ", ".join(map(repr, list(held)[:10])) or "nothing"
    raise InputError(f"{what} must hold one list of labels, or one named {GIVEN!r}, and it holds {listed}.")


def _by_key(held: Mapping[Any, Any], samples: Samples, what: str) -> list[Any]:
    """Return the labels in the order of the samples."""
    if all(_is_whole(key) for key in held):
        numbers = {int(float(key)): label for key, label in held.items()}
        if sorted(numbers) != list(range(samples.n)):
            raise InputError(
                f"{what} must have an index from 0 to {samples.n - 1} for each sample, once, got {len(held)} from "
                f"{min(numbers)} to {max(numbers)}."
            )
        return [numbers[i] for i in range(samples.n)]
    if not samples.paths:
        raise InputError(f"{what} goes by paths, and these images have none; give index,label.")
    strangers = set(held) - set(samples.paths) - set(samples.tests)
    missing = [name for name in samples.paths if name not in held]
    if strangers or missing:
        kind, name, n = ("lacks", missing[0], len(missing)) if missing else ("has", min(strangers), len(strangers))
        noun = "training images" if missing else "images that are not among the data"
        raise InputError(f"{what} {kind} {n:,} {noun}, such as {name!r}.")
    return [held[name] for name in samples.paths]


def _numbers(held: Any, classes: Sequence[str], what: str) -> Tensor:
    """Return labels as whole numbers, class names looked up."""
    if isinstance(held, Tensor):
        held = held.detach().double().numpy() if held.is_floating_point() else held.detach().numpy()
    try:
        values = np.asarray(held)
    except ValueError:
        values = np.empty((0, 0))
    if values.ndim == 2 and 1 in values.shape:
        values = values.reshape(-1)
    if values.ndim != 1 or values.dtype.kind not in "iufUSO":
        raise InputError(f"{what} must hold a list of labels, got an array {values.dtype} of shape {values.shape}.")
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "replace")
    if values.dtype.kind in "UO":
        return _named([str(value).strip() for value in values.tolist()], classes, what)
    if values.dtype.kind == "f":
        wrong = ~np.isfinite(values) | (values != np.round(values)) | (np.abs(values) > 2**53)
        if wrong.any():
            where = int(wrong.argmax())
            raise InputError(f"{what} must hold whole numbers, got {values[where]} at index {where}.")
    return torch.from_numpy(values.astype(np.int64))


def _named(values: list[str], classes: Sequence[str], what: str) -> Tensor:
    known = {name: label for label, name in enumerate(classes)}
    if all(value in known for value in values):
        return torch.tensor([known[value] for value in values], dtype=torch.int64)
    for where, value in enumerate(values):
        if not _is_whole(value):
            shown = ", ".join(map(repr, classes[:5])) + (", ..." if len(classes) > 5 else "")
            kind = "class names or whole numbers"
            raise InputError(f"{what} must hold {kind}, got {value[:60]!r} at index {where}; the classes are {shown}.")
    return torch.tensor([int(float(value)) for value in values], dtype=torch.int64)


def _is_whole(value: Any) -> bool:
    """Whether a key or entry is a whole number of a size that labels and indices have."""
    if isinstance(value, bool):
        return False
    try:
        return float(value).is_integer() and abs(float(value)) < 2**53
    except (TypeError, ValueError):
        return False
