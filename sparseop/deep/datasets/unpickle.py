"""Reading other people's pickles without running them.

A pickle is a program: loading one with ``pickle.load`` runs whatever its author wrote. The published files need very
little of that power, plain containers and numpy arrays of numbers, so that little is all this module has. Python
objects named in a file are looked up in a table of six, which maps to the inert classes below; everything else is
refused by name. Not even numpy's own array constructor sees the file: shapes, types and lengths are checked here first.

Reads protocols 0 to 5, Python 2's strings included (the official CIFAR archives were written by Python 2).
"""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparseop.deep.datasets.base import refuse_page
from sparseop.errors import InputError, brief

_TYPES = {"b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"}


class _Type:
    """Stands for ``numpy.dtype``; keeps the name and the byte order."""

    def __init__(self, name: Any, *_: Any) -> None:
        self.name = _text(name)
        self.order = "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = _text(state[1])

    def numpy(self) -> np.dtype[Any]:
        if self.name not in _TYPES or self.order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError(f"arrays of type {self.order}{self.name} are not read")
        return np.dtype(self.name).newbyteorder(self.order)  # type: ignore[arg-type]  # checked above


class _Array:
    """Stands for ``numpy.ndarray`` while a file is read."""

    def __init__(self, *_: Any) -> None:
        self.value: NDArray[Any] = np.empty(0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, content = state
        self.value = _array(content, kind, shape, bool(fortran))


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _frombuffer(content: Any, kind: Any, shape: Any, order: Any) -> _Array:
    made = _Array()
    made.value = _array(content, kind, shape, order == "F")
    return made


def _encode(text: Any, _encoding: Any = "latin1") -> bytes:
    return str(text).encode("latin1")


def _array(content: Any, kind: Any, shape: Any, fortran: bool) -> NDArray[Any]:
    if not isinstance(kind, _Type) or not isinstance(content, bytes | bytearray):
        raise pickle.UnpicklingError("an array whose content is not plain numbers is not read")
    dtype = kind.numpy()
    sizes = tuple(int(n) for n in shape)
    count = 1
    for size in sizes:
        count *= size
    if min(sizes, default=0) < 0 or count * dtype.itemsize != len(content):
        raise pickle.UnpicklingError(f"an array of shape {sizes} does not match its {len(content)} bytes")
    return np.frombuffer(content, dtype).reshape(sizes, order="F" if fortran else "C")


def _text(value: Any) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


_ALLOWED: dict[tuple[str, str], Any] = {
    ("_codecs", "encode"): _encode,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _frombuffer for core in ("core", "_core")},
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it names {module}.{name}, which is not on the list of what is read"
            ) from None


def read_pickle(content: bytes, where: str) -> dict[str, Any]:
    """Return the dictionary in a pickle; keys and strings as str, arrays as numpy arrays.

    Raises
    ------
    InputError : truncated or damaged content, anything but containers and arrays of numbers, not a dictionary.
    """
    try:
        plain = _plain(_Unpickler(io.BytesIO(content), encoding="bytes").load())
    except (
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        UnicodeError,
        MemoryError,
        OverflowError,
        RecursionError,
    ) as error:
        raise InputError(
            f"'{where}' cannot be read; it is truncated, damaged or not a plain pickle ({brief(error)})."
        ) from None
    if not isinstance(plain, dict):
        raise InputError(f"'{where}' must hold a dictionary, got {type(plain).__name__}.")
    return plain


def read_torch_zip(path: Path) -> dict[str, Any]:
    """Return the dictionary of numpy arrays that ``torch.save`` wrote to ``path``, without torch's unpickler.

    ``torch.load(weights_only=True)`` refuses these files: the numpy functions they name have moved since.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if n.endswith("/data.pkl")]
            if len(names) != 1:
                raise InputError(
                    f"'{path}' is not a file of torch.save: it holds {len(names)} data.pkl instead of one."
                )
            content = archive.read(names[0])
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        if path.is_file():
            refuse_page(path)
        raise InputError(
            f"'{path}' cannot be read; it is truncated, damaged or not a file of torch.save ({brief(error)})."
        ) from None
    return read_pickle(content, str(path))


def _plain(value: Any) -> Any:
    if isinstance(value, _Array):
        return value.value
    if isinstance(value, bytes):
        return value.decode("latin1")
    if isinstance(value, dict):
        return {_plain(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value
