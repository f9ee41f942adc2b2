"""How much memory this process may still take. Standard library only.

Sizes that can't be held are refused before the work begins: Linux grants almost any allocation and ends the process, or
another one, when it is filled.
"""

import contextlib
import os
from pathlib import Path


def free() -> int | None:
    """Return the bytes that the machine, its control group and the process's own limit leave.

    None where none of them is known.
    """
    return min((left for left in (_machine(), _group(), _limit()) if left is not None), default=None)


def _machine() -> int | None:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    return None


def _group() -> int | None:
    """Return what a container may still take: its limit less what it uses, less the cache that it would give back."""
    folder = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError, ValueError):  # no control groups, or no limit ("max")
        held = int((folder / "memory.max").read_text()) - int((folder / "memory.current").read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return max(held + int(stat.get("inactive_file", 0)), 0)
    return None


def _limit() -> int | None:
    """Return what ``ulimit -v`` leaves."""
    try:
        import resource  # not on Windows
    except ModuleNotFoundError:
        return None
    allowed = resource.getrlimit(resource.RLIMIT_AS)[0]
    if allowed == resource.RLIM_INFINITY:
        return None
    with contextlib.suppress(OSError):
        return max(allowed - int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE"), 0)
    return int(allowed)
