"""Checkpoints: one file of tensors and plain Python, replaced atomically, loaded without running code of its own."""

import io
import os
from pathlib import Path
from typing import Any

import torch

from sparseop.errors import InputError

FORMAT = 1


def save(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` so that a kill at any moment leaves either the old file or the new one.

    Raises
    ------
    InputError : the disk refuses it; the old file is still there.
    """
    # through memory: torch.save turns a full disk into a RuntimeError without a reason
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **state}, buffer)
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        kept = "the one of the epoch before is kept" if path.exists() else "there is none yet"
        raise InputError(
            f"the checkpoint '{path}' ({buffer.tell() / 2**20:.1f} MiB) cannot be written: {error.strerror}; {kept}."
        ) from None


def load(path: Path) -> dict[str, Any]:
    """Return the state that ``save`` wrote; tensors on the CPU.

    Raises
    ------
    InputError : no such file, or not a whole checkpoint of this project.
    """
    if not path.is_file():
        raise InputError(f"there is no checkpoint '{path}'; a run writes it after its first epoch.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - torch raises many types for a damaged file
        reason = str(error).split("\n", 1)[0][:120]
        raise InputError(f"'{path}' is not a whole checkpoint ({type(error).__name__}: {reason}).") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise InputError(f"'{path}' is not a checkpoint of this version of sparseop.deep.")
    return state
