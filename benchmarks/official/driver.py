"""The released code's own training epochs, in a process of its own, which must do nothing else.

Its ``train.main`` sets all up (data, network, loss, optimisers), from its own configuration with changes of values.
What is not as released:

- ``Trainer.train`` hands the trainer over, and ``_train_epoch`` is called from here; validation and test are switched
  off;
- torchvision's ``CIFAR10`` expects the checksums of the files that it is given;
- ``comet_ml`` is a stand-in, so that nothing is reported to anyone; so is what is imported, never called, and not
  installed;
- two configurations in one process: its one instance of ``ConfigParser`` is forgotten between them;
- on a CPU ``Tensor.cuda`` returns the tensor.
"""

import contextlib
import importlib
import importlib.util
import json
import multiprocessing
import os
import random
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import torch

from benchmarks.deep_epochs import Stopwatch, Turn
from benchmarks.official import large
from benchmarks.official.checkout import CONFIG
from sparseop.errors import InputError

#: SOP and SOP+ in its configuration (SOP's table A.1, CIFAR-10)
METHODS = {
    "sop": {"ratio_consistency": 0, "ratio_balance": 0},
    "sop+": {"ratio_consistency": 0.9, "ratio_balance": 0.1},
}
UNUSED = ("requests", "sklearn", "sklearn.metrics", "sklearn.metrics.pairwise")


@dataclass(frozen=True)
class Job:
    """What to drive, and with what.

    Attributes
    ----------
    checkout : the released code.
    scratch : a folder for what it writes.
    data, files : the folder with CIFAR-10, and what ``cifar.write`` said of it.
    arch : its name of the network.
    device : "cuda" or "cpu".
    batch, workers, threads : samples a step, processes that load data, threads of a process.
    """

    checkout: Path
    scratch: Path
    data: Path
    files: dict[str, Any]
    arch: str
    device: str
    batch: int
    workers: int
    threads: int


class _Here:
    """What this process holds between two calls."""

    job: Job
    trainers: dict[str, Any]
    watches: dict[str, Stopwatch]


def begin(log: Path) -> None:
    """Make this process what ``python train.py`` would be, but that it prints to a file."""
    multiprocessing.set_start_method(
        None, force=True
    )  # it was spawned, and would spawn the loader's processes every epoch
    stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(stream, number)


def start(job: Job) -> dict[str, int]:
    """Set up all of ``METHODS``; return the number of the network's parameters and of the training samples.

    Raises
    ------
    InputError : torchvision is missing; the code does not run.
    """
    device = torch.device(job.device)
    _Here.job, _Here.trainers, _Here.watches = job, {}, {}
    torch.set_num_threads(job.threads)
    sys.dont_write_bytecode = True  # the checkout stays as it is
    sys.path.insert(0, str(job.checkout))
    os.chdir(job.checkout)  # its logger looks for a file of settings there
    if device.type == "cpu":
        torch.Tensor.cuda = lambda tensor, *_, **__: tensor  # type: ignore[method-assign,assignment]
    try:
        torchvision = large.load("torchvision")
    except (ImportError, RuntimeError) as error:
        raise InputError(
            f"the released code needs torchvision, which cannot be imported here ({str(error).splitlines()[0]}); "
            "pip install 'sparseop[large]'."
        ) from None
    for name, value in job.files.items():
        setattr(torchvision.datasets.CIFAR10, name, value)
    for name in ("comet_ml", *(name for name in UNUSED if not _installed(name))):
        sys.modules[name] = _StandIn(name)
    with _blamed():
        for method, ratios in METHODS.items():
            _Here.watches[method] = Stopwatch(device)
            _Here.trainers[method], _ = _Here.watches[method](
                lambda method=method, ratios=ratios: _set_up(job, method, ratios)
            )
        trainer = _Here.trainers["sop"]
        return {
            "parameters": sum(p.numel() for p in trainer.model.parameters()),
            "samples": len(trainer.data_loader.dataset),
        }


def epoch(method: str, number: int) -> Turn:
    """Train an epoch, from 0, by the released ``Trainer._train_epoch``."""
    with _blamed():
        return _Here.watches[method](lambda: _Here.trainers[method]._train_epoch(number + 1))[1]


def _set_up(job: Job, method: str, ratios: dict[str, float]) -> Any:
    """Return the trainer that the released ``train.main`` makes."""
    path = job.scratch / f"{method.replace('+', 'plus')}.json"
    path.write_text(json.dumps(_configuration(job, path.stem, ratios)), encoding="utf-8")
    main, parser, trainers = (importlib.import_module(name) for name in ("train", "parse_config", "trainer"))
    made: list[Any] = []
    trainers.Trainer.train = lambda trainer: made.append(trainer)  # not the builtin itself, which would not be bound
    parser.ConfigParser._ConfigParser__instance = None
    options = SimpleNamespace(config=str(path), resume=None, device=None)
    arguments = SimpleNamespace(add_argument=lambda *_, **__: None, parse_args=lambda: options)
    random.seed(0)
    torch.manual_seed(0)
    main.main(parser.ConfigParser.get_instance(arguments, []))
    (trainer,) = made
    trainer.do_validation = trainer.do_test = False
    return trainer


def _configuration(job: Job, name: str, ratios: dict[str, float]) -> dict[str, Any]:
    """Return the released configuration with the values of this job."""
    source = job.checkout / CONFIG
    try:
        config: dict[str, Any] = json.loads(source.read_text(encoding="utf-8"))
        config |= {
            "name": name,
            "n_gpu": int(job.device == "cuda"),
            "num_classes": 10,
            "arch": {"type": job.arch, "args": {"num_classes": 10}},
        }
        config["comet"]["api"] = None
        config["reparam_arch"]["args"]["num_classes"] = 10
        config["data_loader"]["type"] = "CIFAR10DataLoader"
        config["data_loader"]["args"] |= {
            "data_dir": f"{job.data}/",
            "batch_size": job.batch,
            "num_workers": job.workers,
            "pin_memory": job.device == "cuda",
        }
        config["train_loss"]["args"] |= {"num_classes": 10, **ratios}
        config["trainer"] |= {"save_dir": str(job.scratch), "percent": 0.4}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"'{source}' is not the released configuration: {type(error).__name__}: {error}.") from None
    return config


@contextlib.contextmanager
def _blamed() -> Iterator[None]:
    """Turn an error in the checkout's code into one sentence that says where; ours keep their traceback."""
    checkout = _Here.job.checkout
    try:
        yield
    except InputError:
        raise
    except torch.OutOfMemoryError:
        raise InputError("the released code ran out of memory on the device; a smaller --network needs less.") from None
    except (Exception, SystemExit) as error:
        places = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if Path(frame.filename).is_relative_to(checkout)
        ]
        if not places:
            raise
        where = f"{Path(places[-1].filename).relative_to(checkout)} line {places[-1].lineno}"
        raise InputError(
            f"the code in '{checkout}' does not run here: {where}: {type(error).__name__}:"
            f" {(str(error) or '-').splitlines()[0]}"
        ) from None


def _installed(name: str) -> bool:
    return name.split(".")[0] in sys.modules or importlib.util.find_spec(name.split(".")[0]) is not None


class _StandIn(ModuleType):
    """A package in name only: whoever calls something of it is told."""

    __path__: ClassVar[list[str]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def absent(*_: object, **__: object) -> None:
            raise RuntimeError(f"{self.__name__}.{name} is a stand-in")

        return absent
