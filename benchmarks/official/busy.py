"""How busy a GPU is, as ``nvidia-smi`` says it: the share of its last sample period in which a kernel ran."""

import statistics
import subprocess
import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self

import torch

PERIOD = 0.25  #: seconds between two questions
LAG = 1.0  #: the driver's sample period is up to a second: what it says before that is of another's turn


def question(device: torch.device) -> list[str]:
    """Return the command that asks for one CUDA device, by its UUID where this torch knows it."""
    uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    return [
        "nvidia-smi",
        *([f"--id=GPU-{uuid}"] if uuid else []),
        "--query-gpu=utilization.gpu",
        "--format=csv,noheader,nounits",
    ]


class Sampler:
    """Asks again and again, in a thread, from ``with`` to its end.

    Attributes
    ----------
    samples : (time of ``time.perf_counter``, percent).
    missing : why there are no more of them; empty when all is well.
    """

    def __init__(self, command: list[str]) -> None:
        self.command = command
        self.samples: list[tuple[float, float]] = []
        self.missing = ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def median(self, windows: Iterable[tuple[float, float]]) -> float | None:
        """Return the median over all (begin, end); None where nothing was measured."""
        found = [percent for begin, end in windows for at, percent in self.samples if begin + LAG <= at <= end]
        return statistics.median(found) if found else None

    def _ask(self) -> None:
        while not self._over.wait(PERIOD):
            try:
                said = subprocess.run(
                    self.command, capture_output=True, text=True, timeout=10, check=True
                ).stdout.strip()
                self.samples.append((time.perf_counter(), float(said)))
            except (OSError, subprocess.SubprocessError) as error:
                self.missing = f"{self.command[0]} cannot be used: {error}"
                return
            except ValueError:  # "[N/A]", or a line each of several GPUs
                self.missing = f"{self.command[0]} said {said!r}"
                return
