"""Choosing the device of a run and the kind of kernels it uses."""

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from sparseop.deep.training import distributed
from sparseop.errors import InputError


def choose(name: str) -> torch.device:
    """Return the device ``name``; "auto" is CUDA where there is one, each rank its own.

    Raises
    ------
    InputError : torch cannot use it.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        if name == "cuda":
            name = f"cuda:{distributed.local_rank()}"
        device = torch.device(name)
        if device.type == "cuda":
            if not torch.cuda.is_available():
                raise RuntimeError("torch sees no CUDA device")
            torch.cuda.set_device(device)
        torch.zeros((), device=device).item()  # what cannot be read cannot be trained on, as on "meta"
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        raise InputError(f"device {name!r} cannot be used: {reason}") from None
    return device


def require_room(device: torch.device, n_bytes: int, what: str) -> None:
    """Refuse an allocation on a CUDA device that its free memory cannot hold, before it is tried."""
    if device.type != "cuda":
        return
    free, _ = torch.cuda.mem_get_info(device)
    if n_bytes > free:
        raise InputError(
            f"{what} take {n_bytes / 2**30:.1f} GiB, and {torch.cuda.get_device_name(device)} has {free / 2**30:.1f}"
            " GiB free."
        )


def prepare(device: torch.device, *, deterministic: bool, threads: int = 0) -> None:
    """Choose between the fastest kernels and those that give the same bits every time, and the number of CPU threads.

    Either way, convolutions of float32 on CUDA multiply with ten bits of mantissa (TF32), as torch does unless told
    otherwise.
    """
    if threads > 0:
        torch.set_num_threads(threads)
    if device.type == "cuda":
        if deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = not deterministic  # static shapes: the fastest kernels are found once
    elif device.type == "cpu":
        keep_freed_memory()
    if (
        torch.are_deterministic_algorithms_enabled() != deterministic
    ):  # to ask costs nothing; to set, seconds of imports
        torch.use_deterministic_algorithms(deterministic)


@contextmanager
def as_before() -> Iterator[None]:
    """Give back at the end what ``prepare`` set for a run: the number of threads, and the kind of kernels."""
    threads, benchmark = torch.get_num_threads(), torch.backends.cudnn.benchmark
    deterministic = torch.are_deterministic_algorithms_enabled()
    try:
        yield
    finally:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        torch.backends.cudnn.benchmark = benchmark
        if torch.are_deterministic_algorithms_enabled() != deterministic:
            torch.use_deterministic_algorithms(deterministic)


def keep_freed_memory() -> bool:
    """Let memory that is freed stay with this process for its next step, and return whether it does; glibc only.

    By itself glibc gives every block above 32 MiB back when it is freed, and gets it again page by page, cleared by the
    kernel, in every step whose activations are that large. Here nothing is mapped by itself (M_MMAP_MAX = 0) and
    nothing given back (M_TRIM_THRESHOLD = -1); the process keeps what it had at its peak. The first steps may still
    take fresh pages, until glibc's small leftovers of aligned blocks have all found their places.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, -1))


_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h
