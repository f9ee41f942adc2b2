"""What the commands that take a finished run share.

Their arguments, the run's frozen network on a device, the record beside the run.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparseop import provenance
from sparseop.deep.trained.load import NETWORKS, PARTS, WEIGHTS, Trained, load
from sparseop.deep.training import device as devices
from sparseop.deep.training import distributed
from sparseop.errors import InputError, choice
from sparseop.files import require_writable, write_atomic

KEPT = "give the same command again to go on"  #: what an interrupted evaluation says


def parser(module: str, about: str | None, *, data: str = "") -> argparse.ArgumentParser:
    """Return the arguments of ``python -m sparseop.deep.trained.MODULE RUN``.

    With ``data``, what --data-root holds, those of ``open_run`` too.
    """
    found = argparse.ArgumentParser(
        f"python -m sparseop.deep.trained.{module}",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("run", type=Path, metavar="RUN", help="folder of a run")
    found.add_argument(
        "--network",
        default="online",
        metavar="online|momentum",
        help="which network of a contrastive run (default: online)",
    )
    found.add_argument(
        "--weights",
        default="auto",
        metavar="|".join(WEIGHTS),
        help="of the last epoch, or of the one that held-out samples chose (auto: that one where there is one)",
    )
    if data:
        found.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
        found.add_argument(
            "--data-root", type=Path, metavar="DIR", help=f"folder that holds {data} (default: $SPARSEOP_DATA)"
        )
    return found


def open_run(
    run: Path, network: str, device: str, part: str = "backbone", weights: str = "last"
) -> tuple[Trained, torch.device]:
    """Return the frozen network of a run's folder, and the device to judge it on.

    Raises
    ------
    InputError : as ``load.load``; a device that cannot be used; several processes.
    OSError : a folder that cannot be written.
    """
    choice("--network", network, NETWORKS)
    choice("--features", part, PARTS)
    found = load(run, network, part, weights=weights)
    if distributed.announced() > 1:
        raise InputError(f"a run is judged in one process, got {distributed.announced()}.")
    target = devices.choose(device)
    devices.prepare(target, deterministic=False, threads=found.recipe.engine.threads)
    require_writable(run)
    return found, target


def mark(*features: Tensor) -> str:
    """Return a text that tells features (N, D) apart: an evaluation goes on only with those that it began with."""
    return " ".join(f"{len(part)} {float(part.sum(dtype=torch.float64)):.9e}" for part in features)


def write(path: Path, found: Trained, entries: dict[str, Any], started: float, *packages: str) -> Path:
    """Write ``entries`` and where they come from to ``path`` and return it; ``started`` is of ``time.perf_counter``."""
    record = {
        "run": found.recipe.name,
        "epoch": found.epoch,
        **entries,
        "seconds": round(time.perf_counter() - started, 1),
        **provenance.stamp("sparseop", "torch", *packages),
    }
    write_atomic(path, (json.dumps(record, indent=1) + "\n").encode())
    return path
