"""Run test files in a fork of a process that has imported the heavy packages: a mutant costs its tests, no start-up."""

import contextlib
import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

HEAVY = (
    "numpy",
    "scipy.linalg",
    "scipy.optimize",
    "scipy.sparse",
    "scipy.special",
    "scipy.stats",
    "pandas",
    "numba",
    "cvxpy",
)
HEAVY += (
    "torch",
    "PIL.Image",
    "PIL.ImageEnhance",
    "PIL.ImageOps",
    "hypothesis",
    "sklearn.metrics",
    "pytest",
    "_pytest.assertion",
)


def load() -> None:
    """Import what all tests want and no mutant changes."""
    sys.dont_write_bytecode = True  # a cached file of the same second and size would stand for its mutant
    for name in HEAVY:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    with contextlib.suppress(ImportError):
        importlib.import_module("torch").set_num_threads(1)


def run(tree: Path, tests: Sequence[str], timeout: float, *, compiled: Path | None) -> tuple[int, float]:
    """Run ``tests`` on the sources in ``tree``; return pytest's status (-1: out of time) and the seconds taken.

    Parameters
    ----------
    compiled : numba's cache; None: a new one, as a cached caller holds the old code of what it calls.
    """
    own = compiled or Path(tempfile.mkdtemp(prefix="numba-"))
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        _child(tree, tests, own)
    status = _wait(child, started + timeout)
    if compiled is None:
        shutil.rmtree(own, ignore_errors=True)
    return status, time.monotonic() - started


def _child(tree: Path, tests: Sequence[str], compiled: Path) -> None:
    os.setsid()
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    status = 3
    try:
        here = str(Path.cwd())
        os.chdir(tree)
        sys.path[:] = [str(tree), *(path for path in sys.path if path not in ("", here))]
        os.environ["PYTHONPATH"] = str(tree)
        for name in [
            name for name in sys.modules if name.split(".")[0] in ("sparseop", "tests", "theory", "deep", "benchmarks")
        ]:
            del sys.modules[name]
        import numba
        import pytest

        numba.config.CACHE_DIR = str(compiled)
        words = [
            "-W",
            "ignore:Module already imported",
            "-x",
            "-q",
            "-n",
            "0",
            "-p",
            "no:cacheprovider",
            "--tb=no",
            "--no-header",
            "--no-showlocals",
        ]
        status = int(pytest.main([*words, *tests]))
    finally:
        os._exit(status)


def _wait(child: int, until: float) -> int:
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -1
