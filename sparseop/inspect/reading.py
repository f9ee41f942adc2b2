"""What people have: class folders, tables, features with labels, in the files that they keep them in.

=====================================  ================================================================================
input                                  is read as
=====================================  ================================================================================
folder of class folders                pictures without features: a network makes them (needs torch)
folder of .parquet files               one table, the parts one after another
.csv, .tsv, .parquet                   a table with a column of labels. A column of picture files gives names and
                                       thumbnails; with nothing beside it, pictures without features. A column of lists
                                       holds features
.npy (N, d)                            features, mapped, not read; labels by ``--labels``
.npy (N, H, W) or (N, H, W, 3)         pictures; labels by ``--labels``
.npz                                   'features' (or 'X', 'embeddings') and 'labels' (or 'y'); 'paths' and 'images'
                                       where they are there
=====================================  ================================================================================
"""

import io
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparseop.errors import InputError, brief
from sparseop.files import read_csv
from sparseop.inspect.thumbnails import ArrayPictures, FilePictures, Pictures

FEATURES, LABELS = (
    ("features", "X", "x", "embeddings", "embedding"),
    ("labels", "label", "y", "given", "target", "targets", "class"),
)
NAMES = ("paths", "path", "file", "filename", "image", "images", "name", "names")
PICTURE = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


@dataclass(frozen=True)
class Source:
    """What an input holds.

    Attributes
    ----------
    labels : N labels, as found.
    features : array (N, d) or frame; None: pictures alone.
    names : a name for each sample, or None.
    pictures : where thumbnails come from, or None.
    frame : the table to show where there are no pictures, or None.
    notes : what was left out, one sentence each.
    title : what to call it.
    """

    labels: Any
    features: Any = None
    names: Sequence[str] | None = None
    pictures: Pictures | None = None
    frame: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()
    title: str = ""


def read(
    path: Path, *, labels: Path | None = None, label_column: str | None = None, drop: Sequence[str] = ()
) -> Source:
    """Read an input; see the table of this module.

    Raises
    ------
    InputError : nothing there, a file of another kind, damaged, without labels, or lengths that differ.
    """
    if not path.exists():
        raise InputError(f"the input '{path}' is not there.")
    own = None if labels is None else read_labels_file(labels, label_column)
    suffix = path.suffix.lower()
    if path.is_dir():
        parts_ = sorted(path.glob("*.parquet"))
        if parts_:
            frame = pd.concat([_parquet(part) for part in parts_], ignore_index=True)
            return _of_table(frame, path, path, own, label_column, drop)
        return _of_folders(path, own)
    if suffix in (".csv", ".tsv", ".txt", ".parquet", ".pq"):
        frame = _parquet(path) if suffix in (".parquet", ".pq") else _text_table(path)
        return _of_table(frame, path, path.parent, own, label_column, drop)
    if suffix == ".npy":
        array = _numpy(path)
        if own is None:
            raise InputError(f"'{path}' holds features without labels; name their file by --labels.")
        return _of_arrays(path, array, own, None, None)
    if suffix == ".npz":
        members = _archive(path)
        array = _first(members, FEATURES)
        own = _first(members, LABELS) if own is None else own
        images = members.get("images")
        if own is None or (array is None and images is None):
            raise InputError(f"'{path}' must hold 'features' (or 'images') and 'labels', got {_listed(members)}.")
        return _of_arrays(path, np.asarray(images) if array is None else array, own, members.get("paths"), images)
    raise InputError(
        f"the input '{path}' must be a folder, .csv, .tsv, .parquet, .npy or .npz, got {suffix or 'no suffix'!r}."
    )


def read_labels_file(path: Path, column: str | None = None) -> Any:
    """Return the labels of a file: .npy, .npz, .csv, .parquet, or text with one label a line."""
    if not path.is_file():
        raise InputError(f"the file of labels '{path}' is not there.")
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return _numpy(path)
    if suffix == ".npz":
        members = _archive(path)
        found = next(iter(members.values())) if len(members) == 1 else _first(members, LABELS)
        if found is None:
            raise InputError(f"the file of labels '{path}' must hold 'labels', got {', '.join(map(repr, members))}.")
        return found
    if suffix in (".csv", ".tsv", ".parquet", ".pq"):
        frame = _parquet(path) if suffix in (".parquet", ".pq") else _text_table(path)
        return frame.iloc[:, 0] if frame.shape[1] == 1 and column is None else frame[_label_column(frame, path, column)]
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the file of labels '{path}' cannot be read ({brief(error)}).") from None


def _of_folders(path: Path, own: Any) -> Source:
    tree = _tree()
    classes = tree.class_names(path)
    if len(classes) < 2:
        raise InputError(
            f"'{path}' must hold at least two class folders, or .parquet files, got {len(classes)} folders."
        )
    files, codes, skipped = tree.class_folders(path, classes)
    if not files:
        raise InputError(f"the class folders of '{path}' hold no picture.")
    if own is not None and len(own) != len(files):
        raise InputError(f"--labels must hold {len(files)} labels, one for each picture, got {len(own)}.")
    given = [classes[code] for code in codes] if own is None else own
    names = [file.relative_to(path).as_posix() for file in files]
    notes = tuple(f"{sentence[0].upper()}{sentence[1:]}." for sentence in skipped.notes(path))
    return Source(given, None, names, FilePictures(tuple(files)), None, notes, path.name)


def _of_table(
    frame: pd.DataFrame, path: Path, base: Path, own: Any, label_column: str | None, drop: Sequence[str]
) -> Source:
    if own is None or label_column is not None:
        column = _label_column(frame, path, label_column)
        own, frame = frame[column], frame.drop(columns=[column])
    elif len(own) != len(frame):
        raise InputError(f"--labels must hold {len(frame)} labels, one for each row of '{path}', got {len(own)}.")
    for name in drop:
        if name not in frame:
            raise InputError(f"--drop must name a column of '{path}', got {name!r}; it has {_listed(frame.columns)}.")
    frame = frame.drop(columns=list(drop))
    files = next((c for c in frame if _holds_pictures(frame[c])), None)
    names, pictures = None, None
    if files is not None:
        names = [str(name) for name in frame[files]]
        pictures = FilePictures(tuple(base / name for name in names))
        frame = frame.drop(columns=[files])
        if frame.shape[1] == 0:
            return Source(own, None, names, pictures, None, (), path.name)
    lists = [c for c in frame if len(frame) and isinstance(frame[c].iloc[0], np.ndarray | list)]
    if lists:
        features = _stacked(frame[lists[0]], str(lists[0]))
        rest = frame.drop(columns=lists)
        left = (
            () if rest.empty else (f"The features are column {lists[0]!r}; the other columns are shown, not judged.",)
        )
        return Source(own, features, names, pictures, rest if rest.shape[1] else None, left, path.name)
    leaks = [str(c) for c in frame if frame[c].nunique() < len(frame) / 2 and _one_to_one(frame[c], own)]
    notes = tuple(
        f"Column {c!r} tells the label one to one: if it is a copy, every label will look right; --drop leaves it out."
        for c in leaks
    )
    return Source(own, frame, names, pictures, frame, notes, path.name)


def _of_arrays(path: Path, array: NDArray[Any], own: Any, paths: Any, images: Any) -> Source:
    if len(own) != len(array):
        raise InputError(f"the labels must have {len(array)} entries, one for each row of '{path}', got {len(own)}.")
    names = None if paths is None else [str(name) for name in paths]
    if array.ndim in (3, 4):
        return Source(own, None, names, ArrayPictures(array), None, (), path.name)
    pictures: Pictures | None = None if images is None else ArrayPictures(images)
    if pictures is None and names is not None and all(name.lower().endswith(PICTURE) for name in names[:20]):
        pictures = FilePictures(tuple(path.parent / name for name in names))
    return Source(own, array, names, pictures, None, (), path.name)


def _label_column(frame: pd.DataFrame, path: Path, wanted: str | None) -> str:
    if wanted is not None:
        if wanted not in frame:
            raise InputError(
                f"--label-column must be a column of '{path}', got {wanted!r}; it has {_listed(frame.columns)}."
            )
        return wanted
    for name in LABELS:
        for column in frame:
            if str(column).strip().casefold() == name.casefold():
                return str(column)
    shown = ", ".join(map(repr, list(frame.columns)[:12]))
    raise InputError(f"'{path}' has no column named {', '.join(LABELS)}; name it by --label-column ({shown}).")


def _holds_pictures(column: "pd.Series[Any]") -> bool:
    first = column.dropna().head(20)
    return len(first) > 0 and all(isinstance(value, str) and value.lower().endswith(PICTURE) for value in first)


def _one_to_one(column: "pd.Series[Any]", labels: Any) -> bool:
    pairs = pd.DataFrame(
        {"a": column.astype(str).to_numpy(), "b": np.asarray(labels, dtype=object).astype(str)}
    ).drop_duplicates()
    return bool(len(pairs) > 1 and pairs["a"].is_unique and pairs["b"].is_unique)


def _stacked(column: "pd.Series[Any]", name: str) -> NDArray[Any]:
    lengths = {len(value) for value in column}
    if len(lengths) != 1:
        raise InputError(f"column {name!r} must hold lists of one length, got lengths {sorted(lengths)[:5]}.")
    return np.stack([np.asarray(value) for value in column])


def _text_table(path: Path) -> pd.DataFrame:
    try:
        text = path.read_bytes().decode("utf-8-sig")
        first = next((line for line in text.splitlines() if line.strip()), "")
        frame = read_csv(io.StringIO(text), sep=max(",;\t", key=first.count))
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, ValueError, OSError) as error:
        raise InputError(f"the table '{path}' cannot be read ({brief(error)}).") from None
    if frame.empty:
        raise InputError(f"the table '{path}' has no row.")
    return frame


def _parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except ImportError:
        raise InputError(f"'{path}' is a Parquet file; reading it needs pyarrow: pip install pyarrow.") from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"the Parquet file '{path}' cannot be read; it is truncated or damaged ({brief(error)})."
        ) from None


def _numpy(path: Path) -> Any:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"'{path}' cannot be read; it is truncated, damaged or no array ({brief(error)}).") from None


def _archive(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            return {name: held[name] for name in held.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, AttributeError) as error:
        raise InputError(f"'{path}' cannot be read; it is damaged or no archive of arrays ({brief(error)}).") from None


def _first(members: dict[str, NDArray[Any]], names: Sequence[str]) -> Any:
    return next((members[name] for name in names if name in members), None)


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(map(repr, list(names)[:12])) or "nothing"


def _tree() -> Any:
    try:
        from sparseop.deep.datasets import tree
    except ImportError:
        raise InputError("pictures without features need torch; pip install 'sparseop[deep]'.") from None
    return tree
