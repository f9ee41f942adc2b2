"""Where a result comes from: versions, hardware, commit. Standard library only: trainers use it anywhere."""

import datetime
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def home() -> Path:
    """Return the folder for what studies write: this checkout, or for an installed package the current folder."""
    return ROOT if (ROOT / "pyproject.toml").is_file() else Path.cwd()


def versions(*packages: str) -> dict[str, str]:
    """Return the installed version of Python, sparseop and each named package ('not installed' where it isn't)."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def hardware() -> dict[str, Any]:
    """Return processor, cores this process may use, and operating system; no host or user name."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def commit(root: Path = ROOT) -> dict[str, Any]:
    """Return the git commit of this checkout, or of that in ``root``, and whether tracked files differed from it.

    'unknown' outside one: an installed package may lie in somebody's repository, whose commit says nothing of it.
    """
    top, head = _git(root, "rev-parse", "--show-toplevel"), _git(root, "rev-parse", "HEAD")
    if head is None or top is None or Path(top).resolve() != root.resolve():
        return {"commit": "unknown", "dirty": None}
    # figures and records are outputs: a study that rewrites them must not call its own code dirty
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!figures", ":!deep/results")
    return {"commit": head, "dirty": bool(changed)}


def now() -> str:
    """Return the UTC time to the second, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def stamp(*packages: str) -> dict[str, Any]:
    """Return what a record says of where it comes from: time, commit, versions, hardware."""
    return {"when": now(), **commit(), "versions": versions(*packages), "hardware": hardware()}


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
