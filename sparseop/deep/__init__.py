"""Trainers for deep networks with wrong labels, SOP and SOP+ beside the methods they are compared with.

And without labels.

``python -m sparseop.deep.train`` shows the effect in about a minute; ``--list`` names the recipes. Needs torch, numpy
and tqdm, nothing else. What is public stands in ``docs/your-own.md``, and loads torch when it is used:

- the losses and methods: ``SOP``, ``SOPPlus``, ``CE``, ``GCE``, ``SL``, ``ELR``, ``CORES2``, ``Forward``, ``MixUp``,
  ``CoTeaching``, ``CoTeachingPlus``;
- ``load`` (a data set by name) and ``Dataset``, ``build`` (a network by name);
- ``train``, ``resume`` and ``predict``; the first and the last are also the commands of these names.

The rooms behind them: ``labels``, ``contrastive``, ``image_prior``, ``trained``, ``training``, ``datasets``,
``augment``, ``networks``.
"""

import importlib
import importlib.util
import sys
from typing import Any

_METHODS = "SOP SOPPlus CE GCE SL ELR CORES2 Forward MixUp CoTeaching CoTeachingPlus"
#: public name -> the module that has it
_PUBLIC = dict.fromkeys(_METHODS.split(), "sparseop.deep.labels.methods") | {
    "Dataset": "sparseop.deep.datasets",
    "build": "sparseop.deep.networks",
    "load": "sparseop.deep.datasets",
    "resume": "sparseop.deep.tasks",
}
__all__ = [*_PUBLIC, "predict", "train"]  # noqa: PLE0604 - strings all the same

NEEDS = "sparseop.deep needs PyTorch, which is not installed: pip install 'sparseop[deep]', or see https://pytorch.org."
if importlib.util.find_spec("torch") is None:
    if sys.argv[:1] == ["-m"]:  # so it is while ``python -m`` looks for the command: a sentence, no traceback
        sys.stderr.write(f"{NEEDS}\n")
        raise SystemExit(2)
    raise ModuleNotFoundError(NEEDS, name="torch")


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'sparseop.deep' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
