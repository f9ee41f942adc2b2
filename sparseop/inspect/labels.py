"""Labels as people keep them: mixed types, blanks, two spellings of one class; all is said, nothing changed unasked."""

import difflib
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparseop.errors import InputError

Codes = NDArray[np.int64]
FEWEST = 10  #: labelled samples below which there is nothing to compare a label with
_BLANK = {"", "nan", "none", "null", "na", "n/a", "<na>", "?"}


@dataclass(frozen=True)
class Labels:
    """Labels as numbers.

    Attributes
    ----------
    codes : int64 (n,), the class of each labelled sample.
    classes : the K class names; whole numbers in their order, else in alphabetical order.
    kept : int64 (n,), the rows of the input that have a label.
    total : number of rows of the input.
    notes : what was found, one sentence each.
    spellings : groups of names that look like one class, each with the one it would be merged into first.
    """

    codes: Codes
    classes: tuple[str, ...]
    kept: Codes
    total: int
    notes: tuple[str, ...] = ()
    spellings: tuple[tuple[str, ...], ...] = ()

    @property
    def counts(self) -> Codes:
        """Samples of each class, int64 (K,)."""
        return np.bincount(self.codes, minlength=len(self.classes))


def read_labels(values: Any, *, merge: bool = False, name: str = "labels") -> Labels:
    """Return the labels of a list, array or column of any type.

    Rows without a label (None, NaN, blank, 'nan', 'NA', '?') are left out, and counted in a note. Names that differ
    by spaces, case, hyphens or accents, and rare ones that look like a slip of a frequent one, are told in notes.

    Parameters
    ----------
    merge : treat such names as one class, under the most frequent spelling.

    Raises
    ------
    InputError
        if there are fewer than ten labels, one class only, or as many classes as samples.
    """
    column = pd.Series(_one_dimensional(name, values), dtype=object)
    text = column.map(_text)
    present = text.map(lambda word: word.strip().casefold() not in _BLANK).to_numpy(bool)
    kept = np.flatnonzero(present)
    notes = []
    if len(kept) < len(column):
        rows = np.flatnonzero(~present)
        notes.append(
            f"{_times(len(rows), 'row has', 'rows have')} no label (the first is row {rows[0]}); they are left out."
        )
    if len(kept) < FEWEST:
        raise InputError(f"{name} must hold at least {FEWEST} labels to compare, got {len(kept)}.")
    kinds = Counter(_kind(value) for value in column[present])
    if len(kinds) > 1:
        shown = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        notes.append(f"The labels are of mixed types ({shown}); they are compared as text, 1.0 as '1'.")
    words = text[present].to_numpy(object)
    groups = _spellings(Counter(words))
    for group in groups:
        counts = Counter(words)
        listed = ", ".join(f"{word!r} ({counts[word]})" for word in group)
        done = (
            f"merged into {group[0]!r}" if merge else "kept apart; merge_spellings (--merge-spellings) makes them one"
        )
        notes.append(f"{listed} look like one class: {done}.")
    if merge:
        into = {word: group[0] for group in groups for word in group}
        words = np.array([into.get(word, word) for word in words], dtype=object)
    classes = tuple(sorted(set(words), key=_order))
    if len(classes) == 1:
        raise InputError(f"{name} must hold at least two classes, and all {len(words)} are {classes[0]!r}.")
    if len(classes) == len(words):
        raise InputError(
            f"{name} must hold classes that repeat, and each of the {len(words)} labels occurs once; are they names?"
        )
    lookup = {word: code for code, word in enumerate(classes)}
    codes = np.array([lookup[word] for word in words], dtype=np.int64)
    single = int((np.bincount(codes) == 1).sum())
    if single:
        notes.append(
            f"{_times(single, 'class has', 'classes have')} one sample only: nothing else tells what it looks like, "
            "so a low suspicion there says little."
        )
    return Labels(codes, classes, kept, len(column), tuple(notes), groups)


def _one_dimensional(name: str, values: Any) -> Sequence[Any]:
    if isinstance(values, pd.DataFrame) and values.shape[1] == 1:
        values = values.iloc[:, 0]
    array = np.asarray(values, dtype=object) if not isinstance(values, np.ndarray | pd.Series) else values
    if array.ndim == 2 and 1 in array.shape:
        array = np.asarray(array).reshape(-1)
    if array.ndim != 1:
        raise InputError(f"{name} must be one label a sample, got an array of shape {array.shape}.")
    found: Sequence[Any] = array.tolist()
    return found


def _text(value: Any) -> str:
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def _kind(value: Any) -> str:
    for kind, name in ((bool, "true or false"), (int, "whole numbers"), (float, "decimals"), (str, "text")):
        if isinstance(value, kind):
            return "whole numbers" if isinstance(value, float) and value.is_integer() else name
    return type(value).__name__


def _order(word: str) -> tuple[int, float, str]:
    return (0, float(word), word) if re.fullmatch(r"-?\d{1,15}", word) else (1, 0.0, word)


def _folded(word: str) -> str:
    plain = "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))
    return re.sub(r"[\s_\-]+", " ", plain).strip().casefold()


def _spellings(counts: Counter[str]) -> tuple[tuple[str, ...], ...]:
    """Return groups of names that look like one class, each with the most frequent first."""
    groups: dict[str, list[str]] = {}
    for word in sorted(counts, key=lambda word: (-counts[word], word)):
        groups.setdefault(_folded(word), []).append(word)
    # a slip of the pen: rare beside a frequent name, alike in four fifths of the letters, not a matter of digits
    if len(groups) <= 2000:
        total = {key: sum(counts[word] for word in words) for key, words in groups.items()}
        for key in sorted(groups, key=lambda key: (total[key], key)):
            frequent = [
                other
                for other in groups
                if len(key) >= 5 and total[other] >= 20 * total[key] and not _digits(key, other)
            ]
            near = difflib.get_close_matches(key, frequent, n=1, cutoff=0.8)
            if near:
                groups[near[0]] += groups.pop(key)
    return tuple(tuple(words) for words in groups.values() if len(words) > 1)


def _digits(a: str, b: str) -> bool:
    return re.findall(r"\d+", a) != re.findall(r"\d+", b)


def _times(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
