"""What tests of training runs share.

Changed recipes as arguments, runs that are stopped, killed or made by two processes, their states.
"""

import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]


class StopError(Exception):
    """Raised in the middle of a run to stop it."""


def stop_in(epoch):
    """Return a ``watch`` that stops a run at step 3 of an epoch, from 0."""

    def watch(now, step, row):
        del row
        if (now, step) == (epoch, 3):
            raise StopError

    return watch


def sets(changes):
    """Return changes of a recipe as arguments of the command."""
    return [part for item in changes for part in ("--set", item)]


def state_of(folder):
    """Return the checkpoint of a run."""
    return torch.load(folder / "last.pt", weights_only=True)


def assert_same_state(a, b):
    """Assert that two checkpoints hold the same tensors, to the last bit."""
    flat_a, flat_b = dict(_flatten(a)), dict(_flatten(b))
    assert flat_a.keys() == flat_b.keys()
    for key, value in flat_a.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, flat_b[key]), key


def _flatten(value, key=""):
    if isinstance(value, dict):
        for name, entry in value.items():
            yield from _flatten(entry, f"{key}/{name}")
    elif isinstance(value, list):
        for i, entry in enumerate(value):
            yield from _flatten(entry, f"{key}/{i}")
    else:
        yield key, value


def assert_nothing_left(engine, train):
    """Assert that a run's memory is free once it is over, without a search for cycles."""
    gc.collect()
    gc.disable()
    try:
        train()
        assert not [run for run in gc.get_objects() if type(run) is engine._Run]
    finally:
        gc.enable()


def kill_in_epoch_3(recipe, changes, folder):
    """Start the command in a process of its own, and kill it (signal 9) once two epochs are recorded."""
    with subprocess.Popen(
        [sys.executable, "-m", "sparseop.deep.train", recipe, *sets(changes), "--out", str(folder)],
        cwd=ROOT,
        env=_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        metrics = folder / "metrics.csv"
        deadline = time.monotonic() + 60
        while not (metrics.exists() and len(metrics.read_text().splitlines()) > 2):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)


def train_on_two_processes(recipe, changes, folder):
    """Run the command under torchrun with two gloo processes.

    On one thread each they need some ten seconds, but every step waits for both again and again: a machine that is busy
    with other work takes ten times as long. The limit only ends what hangs.
    """
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node",
            "2",
            "-m",
            "sparseop.deep.train",
            recipe,
            *sets(changes),
            "--out",
            str(folder),
        ],
        cwd=ROOT,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def _environment():
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
