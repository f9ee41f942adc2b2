"""What a user did wrong, told in one sentence, before any work is done.

Every check of an argument in the project goes through this module, so that messages read alike: the argument, the value
it had, what is allowed. Command lines turn an ``InputError`` into one line and exit status 2 (see ``sparseop.cli``); any
other exception is a bug of ours and keeps its traceback.
"""

import difflib
import math
import operator
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class InputError(ValueError):
    """A value from the user that cannot be used; its text is one complete sentence."""


def positive(name: str, value: float) -> float:
    """Return ``value`` as a float, refusing anything but a finite number > 0."""
    number = _number(name, value)
    if not (number > 0 and math.isfinite(number)):
        raise InputError(f"{name} must be a finite number > 0, got {value!r}.")
    return number


def nonnegative(name: str, value: float) -> float:
    """Return ``value`` as a float, refusing anything but a finite number >= 0."""
    number = _number(name, value)
    if not (number >= 0 and math.isfinite(number)):
        raise InputError(f"{name} must be a finite number >= 0, got {value!r}.")
    return number


def between(name: str, value: float, low: float, high: float, *, ends: str = "()") -> float:
    """Return ``value`` as a float inside the interval from ``low`` to ``high``; ``ends`` is one of ``() (] [) []``."""
    number = _number(name, value)
    above = number >= low if ends[0] == "[" else number > low
    below = number <= high if ends[1] == "]" else number < high
    if not (above and below):
        raise InputError(f"{name} must lie in {ends[0]}{low:g}, {high:g}{ends[1]}, got {value!r}.")
    return number


def integer(name: str, value: int, low: int, high: int | None = None, *, why: str = "") -> int:
    """Return ``value`` as an int with ``low <= value <= high``; ``why`` explains the upper end, as in 'min(N, p)'."""
    try:
        number = operator.index(value)
    except TypeError:
        raise InputError(f"{name} must be a whole number, got {value!r}.") from None
    if number < low or (high is not None and number > high):
        upper = "" if high is None else f" and <= {high}" + (f" = {why}" if why else "")
        raise InputError(f"{name} must be >= {low}{upper}, got {number}.")
    return number


def choice(name: str, value: str, allowed: Iterable[str]) -> str:
    """Return ``value`` when it is one of ``allowed``; otherwise name the nearest."""
    options = list(allowed)
    if value in options:
        return value
    folded = {option.casefold(): option for option in options}
    near = difflib.get_close_matches(str(value).casefold(), folded, n=1)
    hint = f" Did you mean {folded[near[0]]!r}?" if near else ""
    raise InputError(f"{name} must be one of {', '.join(map(repr, options))}, got {value!r}.{hint}")


def array(name: str, value: Any, shape: tuple[int | None, ...], *, what: str = "") -> FloatArray:
    """Return ``value`` as a C-contiguous float64 array of the given shape (``None``: any length) with finite entries.

    ``what`` tells where the expected shape comes from, as in 'one entry per row of J'.
    """
    try:
        result = np.ascontiguousarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} must be an array of real numbers, got {type(value).__name__}.") from None
    wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
    note = f" ({what})" if what else ""
    if np.ndim(value) != len(shape) or any(n is not None and n != m for n, m in zip(shape, result.shape, strict=True)):
        raise InputError(f"{name} must have shape {wanted}{note}, got {np.shape(value)}.")
    if 0 in result.shape:
        raise InputError(f"{name} must not be empty, got shape {result.shape}.")
    if not np.isfinite(result).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(result))[0])
        raise InputError(f"{name} must be finite, got {result[where]} at index {where if len(where) > 1 else where[0]}.")
    return result


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool | np.bool_) or (not np.isscalar(value) and np.ndim(value) != 0):
        raise InputError(f"{name} must be a real number, got {value!r}.")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InputError(f"{name} must be a real number, got {value!r}.") from None
