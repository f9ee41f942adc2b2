"""Writing files that others rely on, and reading tables as they were written. Standard library, but for the tables."""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file so that no reader, and no kill, ever meets half of it; an equal file is left untouched."""
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)


def require_writable(folder: Path) -> None:
    """Raise the OSError that writing into ``folder`` would raise, before any work is spent on its content."""
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f"writable-{os.getpid()}.part"
    probe.touch()
    probe.unlink()


def sha256(content: bytes) -> str:
    """Return the hexadecimal SHA-256 digest."""
    return hashlib.sha256(content).hexdigest()


def read_csv(source: Any, **options: Any) -> "pd.DataFrame":
    """Return a CSV as a data frame whose floats are those that were written, to the last bit.

    pandas before 3.1 reads them to a unit in the last place unless told otherwise; from then on it warns of being told.
    ``source`` and ``options`` are those of ``pandas.read_csv``.
    """
    import pandas as pd

    if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1):
        options["float_precision"] = "round_trip"
    frame: pd.DataFrame = pd.read_csv(source, **options)
    return frame
