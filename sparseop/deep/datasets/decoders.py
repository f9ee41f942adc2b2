"""Processes that decode images side by side."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import TypeVar

import torch
import torch.multiprocessing as processes
from torch import Tensor

from sparseop.errors import InputError, brief

S = TypeVar("S")
T = TypeVar("T")
SHARE = 64  # files a process takes at a time where their order of coming matters little
Read = Callable[[str], Tensor]


class Decoders:
    """A pool of processes, started with the first batch; images come back in shared memory.

    The processes are forked from a clean one (or started anew where the system cannot), since this one has threads and
    maybe a GPU. They ignore Ctrl-C, which is this process's to answer, and end with it.

    Parameters
    ----------
    workers : number of processes.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None
        self._lock = threading.Lock()  # several threads ask for batches ahead

    def stack(self, read: Read, paths: Sequence[str]) -> Tensor:
        """Return torch.stack([read(path) for path in paths]); ``read`` can be pickled.

        Raises
        ------
        InputError : what ``read`` raises; no room in shared memory; a process that was killed, as for want of memory.
        """
        return torch.cat(list(self._shares(partial(_stack, read), paths, -(-len(paths) // self.workers))))

    def map(self, function: Callable[[str], T], paths: Sequence[str]) -> Iterator[T]:
        """Yield function(path) for each of ``paths``, in order; ``function`` can be pickled and returns no tensor.

        Raises
        ------
        InputError : as ``stack``.
        """
        for share in self._shares(partial(_each, function), paths, SHARE):
            yield from share

    def _shares(self, work: Callable[[Sequence[str]], S], paths: Sequence[str], share: int) -> Iterator[S]:
        """Yield ``work`` on each ``share`` of paths."""
        waiting: list[Future[S]] = []
        try:
            pool = self._started()
            waiting = [pool.submit(work, paths[start : start + share]) for start in range(0, len(paths), share)]
            for part in waiting:
                yield part.result()
        except BrokenProcessPool:
            self.close()
            raise InputError(
                "a process that decodes images was killed, for want of memory or of shared memory perhaps; fewer "
                f"workers than {self.workers} need less."
            ) from None
        finally:
            for part in waiting:
                part.cancel()

    def close(self) -> None:
        """End the processes; the next batch starts others."""
        with self._lock:
            if self._pool is not None:
                self._pool.shutdown(wait=False, cancel_futures=True)
                self._pool = None

    def _started(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                method = "forkserver" if "forkserver" in processes.get_all_start_methods() else "spawn"
                self._pool = ProcessPoolExecutor(
                    self.workers, mp_context=processes.get_context(method), initializer=_begin
                )
            return self._pool


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)


def _each(function: Callable[[str], T], paths: Sequence[str]) -> list[T]:
    return [function(path) for path in paths]


def _stack(read: Read, paths: Sequence[str]) -> Tensor:
    whole = torch.stack([read(path) for path in paths])
    try:
        whole.share_memory_()  # type: ignore[no-untyped-call]
        return whole
    except RuntimeError as error:
        raise InputError(
            f"there is no room for a batch in shared memory ({brief(error)}); give more of it, or workers = 0."
        ) from None
