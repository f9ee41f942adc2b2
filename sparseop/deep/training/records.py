"""The files of a run beside its checkpoint: recipe, provenance, metrics, summary, samples."""

import csv
import importlib.util
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparseop import provenance
from sparseop.deep.training import distributed
from sparseop.deep.training.samples import Samples
from sparseop.errors import InputError, brief
from sparseop.files import sha256, write_atomic

Row = dict[str, Any]
IMAGES = (
    "images.txt"  #: the paths of the training images within the data folder, a line each, in the order of all arrays
)
_PATHS = "utf-8", "surrogateescape"  # file names are bytes
_LATER = frozenset({"images_sha256"})  # keys that the first runs did not write


class Record:
    """What a run writes; on ranks above 0 nothing is written."""

    def __init__(self, folder: Path, rows: list[Row]) -> None:
        self.folder, self.rows = folder, rows
        self._board = _tensorboard(folder) if distributed.rank() == 0 else None

    @classmethod
    def create(cls, folder: Path, recipe: str, samples: Samples, device: torch.device, **more: Any) -> "Record":
        """Start the record of a new run; ``more`` goes into run.json too."""
        dataset = samples.dataset
        record = cls.begin(
            folder,
            recipe,
            device,
            {
                "processes": distributed.world(),
                "dataset": dataset.name,
                "samples": len(samples.train),
                "validation": len(samples.validation),
                "noise_rate": samples.labels.realised_rate if dataset.truth_known else None,
                **{key: digest for key, (_, digest) in _identity(samples).items()},
                "classes": list(dataset.classes),
                "notes": list(dataset.notes),
                "normalisation": {
                    "mean": list(dataset.mean),
                    "std": list(dataset.std),
                },  # whoever takes the network needs it
                "input": {
                    "shape": list(dataset.train_images.shape[1:]),
                    "stretch": bool(getattr(dataset.train_images, "stretch", False)),
                },
                **more,
            },
        )
        if distributed.rank() == 0:
            samples.labels.save(folder / "labels.npz")
            if dataset.train_names:
                write_atomic(folder / IMAGES, "".join(f"{name}\n" for name in dataset.train_names).encode(*_PATHS))
        return record

    @classmethod
    def begin(cls, folder: Path, recipe: str, device: torch.device, about: dict[str, Any]) -> "Record":
        """Start the record of a new run on whatever data.

        ``about`` goes into run.json, behind versions and hardware.
        """
        if distributed.rank() == 0:
            general = provenance.stamp("sparseop", "torch", "numpy")
            general["hardware"] |= _accelerator(device)
            folder.mkdir(parents=True, exist_ok=True)
            _claim(folder / "recipe.toml", recipe)
            _write_json(folder / "run.json", general | {"threads": torch.get_num_threads()} | about)
        return cls(folder, [])

    @classmethod
    def reopen(cls, folder: Path, samples: Samples, rows: list[Row]) -> "Record":
        """Take up the record of a run that goes on, after checking that its labels and images are the same."""
        return cls.go_on(folder, rows, _identity(samples))

    @staticmethod
    def require_same(folder: Path, samples: Samples) -> None:
        """Refuse samples whose labels or images differ from those that the run in ``folder`` began with."""
        _same(folder, _identity(samples))

    @classmethod
    def go_on(cls, folder: Path, rows: list[Row], same: Mapping[str, tuple[str, Any]]) -> "Record":
        """Take up the record of a run if ``same`` still holds: key of its run.json -> (what it is about, value)."""
        about = _same(folder, same)
        if distributed.rank() == 0:
            about.setdefault("resumed", []).append(
                {"when": provenance.now(), "epoch": len(rows), **provenance.commit()}
            )
            _write_json(folder / "run.json", about)
        return cls(folder, list(rows))

    def write(self) -> None:
        """Write metrics.csv anew: a killed run leaves no half row, a resumed one no row twice."""
        text = io.StringIO()
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _shown(value) for name, value in row.items()} for row in self.rows)
        write_atomic(self.folder / "metrics.csv", text.getvalue().encode())
        if self._board is not None:
            for name, value in self.rows[-1].items():
                if name != "epoch" and isinstance(value, int | float):
                    self._board.add_scalar(name, value, self.rows[-1].get("epoch", len(self.rows)))

    def finish(self, summary: dict[str, Any], samples: dict[str, Tensor] | None) -> None:
        """Write summary.json and, where there are any, the arrays of one entry a sample: samples.npz."""
        if samples is not None:
            packed = io.BytesIO()
            np.savez_compressed(packed, **{name: value.numpy() for name, value in samples.items()})  # type: ignore[arg-type]
            write_atomic(self.folder / "samples.npz", packed.getvalue())
        _write_json(self.folder / "summary.json", _finite(summary))

    def close(self) -> None:
        """Flush what is open."""
        if self._board is not None:
            self._board.close()


def _identity(samples: Samples) -> dict[str, tuple[str, str]]:
    """Return what must be the same when a run goes on: key of run.json -> (what it is about, digest)."""
    return {
        "labels_sha256": ("the training labels", sha256(samples.labels.given.numpy().tobytes())),
        "images_sha256": (
            "the images (paths and sizes of their files, or their pixels)",
            samples.dataset.images_sha256,
        ),
    }


def _same(folder: Path, same: Mapping[str, tuple[str, Any]]) -> dict[str, Any]:
    """Return a run's run.json after checking that ``same`` holds in it."""
    try:
        about = json.loads((folder / "run.json").read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"'{folder / 'run.json'}' cannot be read: {brief(error)}.") from None
    for key, (what, value) in same.items():
        if not isinstance(about, dict) or about.get(key, None if key not in _LATER else value) != value:
            raise InputError(f"{what} differ from those that the run in '{folder}' began with.")
    return dict(about)


def _claim(path: Path, recipe: str) -> None:
    """Write the file that makes a folder a run's: of two that begin there at the same moment one is refused."""
    try:
        with path.open("x", encoding="utf-8", newline="") as file:
            file.write(recipe)
    except FileExistsError:
        raise InputError(f"another run has begun in '{path.parent}' meanwhile; choose another folder.") from None


def _shown(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


def _write_json(path: Path, content: Any) -> None:
    write_atomic(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def _finite(value: Any) -> Any:
    """Return ``value`` with null for what is not finite, for which JSON has no number."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _accelerator(device: torch.device) -> dict[str, Any]:
    return {"device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type}


def _tensorboard(folder: Path) -> Any:
    if importlib.util.find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder / "tensorboard"))
