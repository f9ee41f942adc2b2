"""Says so when a first call compiles: that takes tens of seconds, once, and would look like a solver that hangs."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 1.5  # seconds: loading compiled code from numba's cache takes less
_ready: set[str] = set()


@contextmanager
def compiling(what: str) -> Iterator[None]:
    """Write one line to the standard error where the first call of ``what`` takes longer than loading does."""
    if what in _ready:
        yield
        return
    line = f"sparseop: compiling {what} for this processor, once after installation; this takes up to a minute ...\n"
    timer = threading.Timer(PATIENCE, lambda: (sys.stderr.write(line), sys.stderr.flush()))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        _ready.add(what)
