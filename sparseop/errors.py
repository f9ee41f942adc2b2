"""What a user did wrong, told in one sentence, before any work is done.

Every check of an argument in the project goes through this module, so that messages read alike: the argument, the value
it had, what is allowed. Command lines turn an ``InputError`` into one line and exit status 2 (see ``sparseop.cli``);
any other exception is a bug of ours and keeps its traceback.
"""

import difflib
import math
import operator
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparseop import memory

FloatArray = NDArray[np.float64]
Seed = int | np.random.SeedSequence | np.random.Generator

#: sizes of data and weights whose squares and products fit into float64: beyond, a certificate could be 0/0 and say
#: "optimal"
SMALLEST, LARGEST = 1e-50, 1e50


class InputError(ValueError):
    """A value from the user that cannot be used; its text is one complete sentence."""


def positive(name: str, value: float) -> float:
    """Return ``value`` as a float, refusing anything but a finite number > 0."""
    number = _number(name, value)
    if not (number > 0 and math.isfinite(number)):
        raise InputError(f"{name} must be a finite number > 0, got {_shown(value)}.")
    return number


def moderate(name: str, value: float) -> float:
    """Return ``value`` as a float > 0 whose products with moderate data (``array``) stay in float64's range."""
    number = positive(name, value)
    if not SMALLEST <= number <= LARGEST:
        raise InputError(
            f"{name} must lie in [{SMALLEST:g}, {LARGEST:g}], where squares fit into float64, got {_shown(value)}."
        )
    return number


def nonnegative(name: str, value: float, *, infinite: bool = False) -> float:
    """Return ``value`` as a float, refusing anything but a number >= 0, finite unless infinity means something too."""
    number = _number(name, value)
    if not (number >= 0 and (infinite or math.isfinite(number))):
        raise InputError(f"{name} must be a {'' if infinite else 'finite '}number >= 0, got {_shown(value)}.")
    return number


def between(name: str, value: float, low: float, high: float, *, ends: str = "()") -> float:
    """Return ``value`` as a float inside the interval from ``low`` to ``high``; ``ends`` is one of ``() (] [) []``."""
    number = _number(name, value)
    above = number >= low if ends[0] == "[" else number > low
    below = number <= high if ends[1] == "]" else number < high
    if not (above and below):
        raise InputError(f"{name} must lie in {ends[0]}{low:g}, {high:g}{ends[1]}, got {_shown(value)}.")
    return number


def integer(name: str, value: int, low: int, high: int | None = None, *, why: str = "") -> int:
    """Return ``value`` as an int with ``low <= value <= high``; ``why`` explains the upper end, as in 'min(N, p)'.

    Without an upper end, a number still has to fit into 64 bits, as sizes and counters do.
    """
    if isinstance(value, bool | np.bool_):
        raise InputError(f"{name} must be a whole number, got {value!r}.")
    try:
        number = operator.index(value)
    except TypeError:
        raise InputError(f"{name} must be a whole number, got {_shown(value)}.") from None
    if number < low or (high is not None and number > high):
        upper = "" if high is None else f" and <= {high}" + (f" = {why}" if why else "")
        raise InputError(f"{name} must be >= {low}{upper}, got {_shown(number)}.")
    if high is None and number >= 2**63:
        raise InputError(f"{name} must be >= {low} and < 2^63, got {_shown(number)}.")
    return number


def random_generator(name: str, seed: Any, *, spawn_key: tuple[int, ...] = ()) -> np.random.Generator:
    """Return the generator of ``seed``, anything ``numpy.random.default_rng`` takes.

    Or of the stream ``spawn_key`` of a seed.
    """
    try:
        return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=spawn_key) if spawn_key else seed)
    except (TypeError, ValueError):
        known = "a whole number >= 0, or another seed that numpy.random.default_rng takes"
        raise InputError(f"{name} must be {known}, got {_shown(seed)}.") from None


def instance(name: str, value: Any, kind: type) -> None:
    """Refuse a ``value`` that is no ``kind``: an array in the place of a problem is a likely mistake."""
    if not isinstance(value, kind):
        raise InputError(f"{name} must be a {kind.__name__}, got {_shown(value)}.")


def fits(what: str, entries: int, *, itemsize: int = 8, instead: str = "") -> None:
    """Refuse, before it is tried, an allocation of ``entries`` numbers of ``itemsize`` bytes that memory can't hold."""
    size = itemsize * entries
    if size <= 2**20:
        return
    free = memory.free()
    if size > (2**40 if free is None else free):
        known = "" if free is None else f", and {free / 2**30:.1f} GiB are free"
        raise InputError(
            f"{what} would take {size / 2**30:.4g} GiB of memory{known}{'; ' + instead if instead else ''}."
        )


def choice(name: str, value: Any, allowed: Iterable[str]) -> str:
    """Return ``value`` when it is one of ``allowed``; otherwise name the nearest."""
    options = list(allowed)
    if isinstance(value, str) and value in options:
        return value
    folded = {option.casefold(): option for option in options}
    near = difflib.get_close_matches(value.casefold(), folded, n=1) if isinstance(value, str) else []
    hint = f" Did you mean {folded[near[0]]!r}?" if near else ""
    raise InputError(f"{name} must be one of {', '.join(map(repr, options))}, got {_shown(value)}.{hint}")


def array(
    name: str, value: Any, shape: tuple[int | None, ...] | None, *, what: str = "", moderate: bool = False
) -> FloatArray:
    """Return ``value`` as a C-contiguous float64 array of the given shape with finite entries.

    In ``shape``, None stands for any length, and in its place for any shape; a single number is then an array of one.
    ``what`` tells where the expected shape comes from, as in 'one entry per row of J'; ``moderate`` asks for a largest
    entry of a size (or 0) whose squares and products stay in float64's range.
    """
    given, result = _converted(name, value)
    if shape is not None and (
        given != len(shape) or any(n not in (None, m) for n, m in zip(shape, result.shape, strict=True))
    ):
        wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
        note = f" ({what})" if what else ""
        got = result.shape if given else ()
        raise InputError(f"{name} must have shape {wanted}{note}, got {got}.")
    if 0 in result.shape:
        raise InputError(f"{name} must not be empty, got shape {result.shape}.")
    if not np.isfinite(result).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(result))[0])
        raise InputError(
            f"{name} must be finite, got {result[where]} at index {where if len(where) > 1 else where[0]}."
        )
    if moderate:
        largest = max(float(result.max()), -float(result.min()))
        if largest and not SMALLEST <= largest <= LARGEST:
            raise InputError(
                f"{name} must have its largest entry in [{SMALLEST:g}, {LARGEST:g}], where squares fit into float64,"
                f" got {largest:g}; measure it in other units."
            )
    return result


def brief(error: BaseException, limit: int = 100) -> str:
    """Return the first line of what another library says, cut to ``limit`` characters; its type where it says nothing.

    Such a text never passes through whole: it may hold a page of HTML, a dump of a tensor, or the same path once more.
    """
    text = " ".join(str(error).strip().split("\n", 1)[0].split()).rstrip(".: ")
    text = "".join(c if c.isprintable() else "?" for c in text)
    return (text if len(text) <= limit else f"{text[: limit - 4]} ...") or type(error).__name__


def same_labels(name: str, value: Any, other_name: str, other: Any, *, columns: bool = False) -> None:
    """Refuse a ``value`` whose index is not that of ``other`` (of its columns), since entries match by position.

    Arrays without labels pass, as does anything but pandas objects.
    """
    labels: Any = getattr(value, "index", None)
    wanted: Any = getattr(other, "columns" if columns else "index", None)
    if not (hasattr(labels, "equals") and hasattr(wanted, "equals")) or labels.equals(wanted):
        return
    of = f"{other_name}'s {'columns' if columns else 'index'}"
    if len(labels) == len(wanted) and set(labels) == set(wanted):
        known = f"the labels of {of} in the same order, got them in another one; give {name}.loc[{other_name}."
        raise InputError(f"{name}'s index must hold {known}{'columns' if columns else 'index'}].")
    first = next((label for label in labels if label not in wanted), labels[0] if len(labels) else None)
    raise InputError(
        f"{name}'s index must be {of}, got {_shown(first)}, ...; where only the order counts, give {name}.to_numpy()."
    )


def _converted(name: str, value: Any) -> tuple[int, FloatArray]:
    """Return the number of dimensions of ``value``, and the value as a C-contiguous float64 array of at least one."""
    if np.ma.is_masked(value):
        raise InputError(f"{name} must not have masked entries; what they hide would be used.")
    _refuse_containers(name, value)
    try:
        given = np.asarray(value)
        if given.dtype.kind in "SUT" or (
            given.dtype.kind == "O" and any(isinstance(entry, str | bytes) for entry in given.flat)
        ):
            raise InputError(f"{name} must be an array of real numbers, got text{_first_text(given)}.")
        if given.dtype.kind in "cmMV" or (
            given.dtype.kind == "O" and any(isinstance(entry, complex) for entry in given.flat)
        ):
            raise TypeError  # a cast would drop imaginary parts, and count days
        if given.dtype != np.float64 or not given.flags.c_contiguous:
            fits(f"{name} of shape {given.shape} as float64", given.size)
        with np.errstate(over="ignore"):  # a wider float that does not fit is infinite here, and told as such
            return given.ndim, np.ascontiguousarray(given, dtype=np.float64)
    except OverflowError:
        raise InputError(f"{name} must be finite, and one of its entries is too large for float64.") from None
    except (TypeError, ValueError, RuntimeError) as error:  # RuntimeError: what torch raises inside a list
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name} must be an array of real numbers, got {type(value).__name__}.") from None


def _refuse_containers(name: str, value: Any) -> None:
    """Refuse the containers of other libraries that hold no plain numbers, by what would make them plain."""
    origin = type(value).__module__.partition(".")[0]
    if origin == "scipy" and hasattr(value, "toarray"):
        raise InputError(f"{name} must be a dense array, got a scipy sparse matrix; give {name}.toarray().")
    if origin == "torch" and hasattr(value, "requires_grad"):
        for wrong, called, instead in (
            (value.requires_grad, "that requires grad", "detach()"),
            (str(value.layout) != "torch.strided", "that is sparse", "to_dense()"),
            (str(value.device) != "cpu", f"on {value.device}", "cpu()"),
            (str(value.dtype) == "torch.bfloat16", "of bfloat16, which numpy lacks", "float()"),
        ):
            if wrong:
                raise InputError(f"{name} is a torch tensor {called}; give {name}.{instead}.")
    if hasattr(value, "columns") and hasattr(value, "dtypes") and hasattr(value, "iloc"):
        for position, column in enumerate(value.columns):
            entries = value.iloc[:, position]
            kind = getattr(entries.dtype, "kind", "O")
            if kind not in "iufb" and not _real(entries):
                what = (
                    "dates or times" if kind in "mM" else f"{_shown(entries.iloc[0])}" if len(entries) else "no numbers"
                )
                raise InputError(
                    f"{name} must hold real numbers only, but its column {_shown(column)} (dtype {entries.dtype}) holds"
                    f" {what}; leave it out, or encode it as numbers."
                )


def _real(entries: Any) -> bool:
    """Return whether every entry of a column is a real number, as in one of dtype object that holds numbers."""
    return all(
        entry is None or (isinstance(entry, int | float | np.number) and not isinstance(entry, np.complexfloating))
        for entry in entries
    )


def _first_text(given: np.ndarray[Any, Any]) -> str:
    """Return where the first text stands, and what it is."""
    for where in np.ndindex(given.shape):
        if isinstance(given[where], str | bytes):
            index = f" at index {where if len(where) > 1 else where[0]}" if where else ""
            return f" {_shown(given[where])}{index}; convert it to numbers first"
    return ""


def _number(name: str, value: Any) -> float:
    if getattr(value, "requires_grad", False):
        raise InputError(f"{name} is a torch tensor that requires grad; give {name}.item().")
    if (
        isinstance(value, bool | np.bool_ | str | bytes)
        or np.ma.is_masked(value)
        or not (np.isscalar(value) or _dimensions(value) == 0)
    ):
        raise InputError(f"{name} must be a real number, got {_shown(value)}.")
    try:
        if np.asarray(value).dtype.kind in "cmMSU":  # float() would drop an imaginary part, or read a text
            raise TypeError
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf  # a whole number beyond float64's range
    except (TypeError, ValueError):
        raise InputError(f"{name} must be a real number, got {_shown(value)}.") from None


def _dimensions(value: Any) -> int:
    try:
        return np.ndim(value)
    except ValueError:  # rows of different lengths
        return 2


def _shown(value: Any) -> str:
    """Return ``repr(value)``, on one line, of a length that a sentence bears."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python refuses to print so many digits
        return f"a {type(value).__name__} of more than 4000 digits"
    return text if len(text) <= 100 else f"{text[:96]} ..."
