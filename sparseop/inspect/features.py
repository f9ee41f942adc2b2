"""Features in blocks, wherever they lie: checked once, put on one scale, never copied whole.

A ``Features`` wraps an array in memory, a memory-mapped ``.npy`` or a dask array. One pass over its blocks finds
what can't be used (NaN, infinity), what says nothing (constant or repeated columns), each column's mean and spread,
and a digest of the content, by which finished work is recognised.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparseop.errors import InputError, fits

BLOCK = 2**24  #: numbers in a block: 128 MiB as float64
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Features:
    """What one pass over the features found.

    Attributes
    ----------
    data : the array as given, (N, d).
    rows : int64 (n,), the rows in use.
    columns : int64, the columns in use.
    mean, scale : of each column in use; features are (x - mean) / scale.
    digest : SHA-256 of the content in use.
    twins : int64 (n,), a hash of each row: equal where rows are equal.
    notes : what was found, one sentence each.
    """

    data: Any
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    mean: Array
    scale: Array
    digest: str
    twins: NDArray[np.uint64]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        """Return n."""
        return len(self.rows)

    def block(self, rows: NDArray[np.int64]) -> Array:
        """Return the scaled features of some of the n rows, float64."""
        return self.scaled(_fetch(self.data, self.rows[rows]))

    def scaled(self, raw: Any) -> Array:
        """Return raw rows on the common scale."""
        scaled: Array = (np.asarray(raw, dtype=np.float64)[:, self.columns] - self.mean) / self.scale
        return scaled

    def mapped(self, function: Callable[[Array], NDArray[Any]], width: int, dtype: Any = np.float64) -> NDArray[Any]:
        """Return ``function`` of every row, (n, width), computed in blocks; those of a dask array on its workers."""
        if _is_dask(self.data):
            whole = self.data.rechunk({1: -1}).map_blocks(
                lambda block: function(self.scaled(block)).astype(dtype),
                chunks=(self.data.chunks[0], (width,)),
                dtype=dtype,
            )
            found: NDArray[Any] = np.asarray(whole.compute())[self.rows]
            return found
        out = np.empty((len(self), width), dtype)
        for part in parts(len(self), len(self.columns)):
            out[part] = function(self.block(part))
        return out


def parts(n: int, width: int) -> Iterator[NDArray[np.int64]]:
    """Yield the indices 0..n-1 in blocks of about ``BLOCK`` numbers of rows of this width."""
    step = max(1, BLOCK // max(width, 1))
    for start in range(0, n, step):
        yield np.arange(start, min(start + step, n))


def examine(
    data: Any, rows: NDArray[np.int64] | None = None, *, each: bool | None = None, name: str = "features"
) -> Features:
    """Check features and return them with their scale.

    Parameters
    ----------
    data : (N, d) numbers; an array, a memory-mapped one, or a dask array.
    rows : those in use; None: all.
    each : whether each column gets unit variance by itself, as columns in different units need; otherwise all are
        divided by one number, as pixels and embeddings want it. None: each where the largest spread is more than
        thirty times the middle one.

    Raises
    ------
    InputError
        for a wrong shape or kind, NaN or infinity (with the first place), or if every column is constant.
    """
    shape = getattr(data, "shape", None)
    if shape is None or len(shape) != 2:
        raise InputError(
            f"{name} must be a table of numbers (N, d), got {'shape ' + str(shape) if shape else type(data).__name__}."
        )
    if np.dtype(data.dtype).kind not in "fiub":
        raise InputError(f"{name} must hold real numbers, got {data.dtype}.")
    n, d = int(shape[0]), int(shape[1])
    if d == 0:
        raise InputError(f"{name} must have at least one column, got shape ({n}, 0).")
    rows = np.arange(n) if rows is None else rows
    fits(f"{name}: one block of {d} columns", 2 * max(BLOCK, d))
    digest = hashlib.sha256(f"{shape} {rows.tobytes()!r}".encode())
    twins, total, square, offset = [], np.zeros(d), np.zeros(d), np.zeros(d)
    low, high = np.full(d, np.inf), np.full(d, -np.inf)
    weights = _odd_weights(d)
    for part in parts(len(rows), d):
        raw = np.ascontiguousarray(_fetch(data, rows[part]))
        digest.update(raw.tobytes())
        block = raw.astype(np.float64)
        if not np.isfinite(block).all():
            bad = ~np.isfinite(block)
            row, column = (int(i) for i in np.argwhere(bad)[0])
            raise InputError(
                f"{name} must be finite, got {block[row, column]} in row {rows[part][row]}, column {column} "
                f"({int(bad.any(1).sum())} of {len(part)} rows have such entries); leave them out or fill them in."
            )
        twins.append(_row_hash(block, weights))
        if not total.any():
            offset = block[0].copy()  # squares of differences from it keep their digits
        low, high = np.minimum(low, block.min(0)), np.maximum(high, block.max(0))
        block -= offset
        total += block.sum(0)
        square += (block**2).sum(0)
    mean = total / len(rows)
    spread = np.sqrt(np.maximum(square / len(rows) - mean**2, 0))
    mean += offset
    notes = []
    constant = (high == low) | (spread <= 1e-12 * np.maximum(np.abs(mean), 1e-300))
    if constant.all():
        raise InputError(f"{name} must tell samples apart, and all {d} columns are constant.")
    columns = np.flatnonzero(~constant)
    if len(columns) < d:
        notes.append(f"{d - len(columns)} of {d} columns are constant and say nothing; they are left out.")
    repeated = _repeated(data, rows, columns)
    if len(repeated):
        notes.append(
            f"{len(repeated)} columns repeat another one (the first is column {repeated[0]}); they are left out."
        )
        columns = np.setdiff1d(columns, repeated)
    own = spread[columns]
    each = bool(own.max() > 30 * np.median(own)) if each is None else each
    scale = own if each else np.full(len(columns), float(np.sqrt(np.mean(own**2))))
    notes.append(
        "Each column is divided by its own standard deviation." if each else "All columns are divided by one number."
    )
    return Features(data, rows, columns, mean[columns], scale, digest.hexdigest(), np.concatenate(twins), tuple(notes))


def _fetch(data: Any, rows: NDArray[np.int64]) -> NDArray[Any]:
    if (
        len(rows) and rows[-1] - rows[0] == len(rows) - 1 and np.all(np.diff(rows) == 1)
    ):  # a slice reads a file in one go
        found = data[int(rows[0]) : int(rows[-1]) + 1]
    else:
        found = data[rows]
    return np.asarray(found.compute() if _is_dask(found) else found)


def _is_dask(data: Any) -> bool:
    return hasattr(data, "map_blocks") and hasattr(data, "compute")


def _odd_weights(d: int) -> NDArray[np.uint64]:
    return np.random.default_rng(20220713).integers(0, 2**63, d, dtype=np.uint64) * np.uint64(2) + np.uint64(1)


def _row_hash(block: Array, weights: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return one 64-bit number a row: the bits of its entries, mixed, times odd numbers, summed modulo 2^64."""
    bits = (block + 0.0).view(np.uint64)  # adding zero turns -0.0 into 0.0
    bits = (bits ^ (bits >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15)
    mixed: NDArray[np.uint64] = ((bits ^ (bits >> np.uint64(32))) * weights).sum(1, dtype=np.uint64)
    return mixed


def _repeated(data: Any, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the columns that equal an earlier one: candidates by a few rows, then every row."""
    few = _fetch(data, rows[:: max(1, len(rows) // 256)]).astype(np.float64)[:, columns]
    _, first, inverse = np.unique(few, axis=1, return_index=True, return_inverse=True)
    twin_of = first[inverse.reshape(-1)]
    later = np.flatnonzero(twin_of != np.arange(len(columns)))
    same = np.ones(len(later), bool)
    for part in parts(len(rows), data.shape[1]) if len(later) else ():
        block = _fetch(data, rows[part])[:, columns]
        same &= (block[:, later] == block[:, twin_of[later]]).all(0)
    return columns[later[same]]


def encode_table(frame: pd.DataFrame) -> tuple[Array, tuple[str, ...]]:
    """Return a table of numbers, categories, truth values and dates as numbers (N, d), and what was done in sentences.

    Missing numbers become the column's median, with a column that says where; categories become one column each,
    those beyond the 30 most frequent one together; columns of text in which nearly every entry is different (names,
    addresses) are left out. Each source column weighs as one: its columns are scaled to a total variance of one.

    Raises
    ------
    InputError : if no column is left, or numbers are infinite.
    """
    blocks: list[Array] = []
    notes: list[str] = []
    dropped: list[str] = []
    for name in frame.columns:
        column = frame[name]
        missing = column.isna().to_numpy(bool)
        if missing.all():
            dropped.append(str(name))
            continue
        if pd.api.types.is_datetime64_any_dtype(column):
            column = (column - column.min()).dt.total_seconds()
        if pd.api.types.is_numeric_dtype(column):
            values = column.astype("float64").to_numpy(copy=True)
            if np.isinf(values).any():
                row = int(np.flatnonzero(np.isinf(values))[0])
                raise InputError(f"column {name!r} must be finite, got {values[row]} in row {row}.")
            parts_: list[Any] = [values[:, None]]
            if missing.any():
                values[missing] = np.median(values[~missing])
                parts_.append(missing[:, None].astype(float))
                notes.append(
                    f"Column {name!r} lacks {int(missing.sum())} numbers; its median stands there, marked by a column."
                )
        else:
            words = column.astype(object).where(~missing, "(missing)").map(str)
            counts = words.value_counts()
            if len(counts) > max(30, len(words) // 3):
                dropped.append(str(name))
                continue
            frequent = list(counts.index[:30])
            parts_ = [(words == word).to_numpy(float)[:, None] for word in frequent]
            if len(counts) > 30:
                parts_.append((~words.isin(frequent)).to_numpy(float)[:, None])
                notes.append(
                    f"Column {name!r} has {len(counts)} categories; all but the 30 most frequent are taken together."
                )
        block = np.hstack(parts_)
        spread = float(np.sqrt(block.var(0).sum()))
        blocks.append((block - block.mean(0)) / (spread or 1.0))
    if dropped:
        notes.append(
            f"Left out, because nearly every entry is different or none is there: {', '.join(map(repr, dropped[:8]))}"
            f"{f' and {len(dropped) - 8} more' if len(dropped) > 8 else ''}."
        )
    if not blocks:
        raise InputError("the table must have a column of numbers or categories beside the labels, and none is left.")
    return np.hstack(blocks), tuple(notes)
