"""Finished pieces of work in a folder, so that a run that was stopped goes on where it was."""

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparseop.files import sha256, write_atomic

Arrays = dict[str, NDArray[Any]]


class Store:
    """Arrays by key; a key is everything the piece depends on, as JSON. Without a folder nothing is kept."""

    def __init__(self, folder: Path | None, common: Mapping[str, Any]) -> None:
        self.folder, self.common = folder, dict(common)
        self.reused = 0

    def get(self, stage: str, depends: Mapping[str, Any], compute: Callable[[], Arrays]) -> Arrays:
        """Return the arrays of a stage: read, where they are there and whole, else computed and written."""
        if self.folder is None:
            return compute()
        key = sha256(json.dumps([stage, self.common, dict(depends)], sort_keys=True).encode())[:24]
        path = self.folder / f"{stage}-{key}.npz"
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
                found = {name: held[name] for name in held.files}
            self.reused += 1
            return found
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            pass  # not there, or what a full disk left of it: computed anew
        found = compute()
        content = io.BytesIO()
        np.savez(content, **found)  # type: ignore[arg-type] # numpy's stub takes the names for its own option
        write_atomic(path, content.getvalue())
        return found
