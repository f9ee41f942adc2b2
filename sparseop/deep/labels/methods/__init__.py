"""Methods against wrong labels, one a file: losses that any training loop can use.

A loss is a plain ``nn.Module``, built as ``cls(n_samples, n_classes, **options)`` and called with (logits, labels,
index) where cross-entropy is called with (logits, labels)::

    loss = SOP(n_samples, n_classes)
    for index, images, labels in batches:              # index: which samples, (B,) int64, distinct
        loss(network(images), labels, index).backward()     # state of the samples moves here, in training mode

What some of them want beside that are the protocols of ``hooks``. State lies in buffers, and so in every checkpoint.

``METHODS`` maps a recipe's ``method.name`` to the class.
"""

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from sparseop.deep.labels.methods.ce import CE
from sparseop.deep.labels.methods.cores2 import CORES2
from sparseop.deep.labels.methods.coteaching import CoTeaching, CoTeachingPlus
from sparseop.deep.labels.methods.dividemix import DivideMix
from sparseop.deep.labels.methods.elr import ELR
from sparseop.deep.labels.methods.elr_plus import ELRPlus
from sparseop.deep.labels.methods.forward import Forward
from sparseop.deep.labels.methods.gce import GCE
from sparseop.deep.labels.methods.hooks import require_whole
from sparseop.deep.labels.methods.mixup import MixUp
from sparseop.deep.labels.methods.setting import Setting
from sparseop.deep.labels.methods.sl import SL
from sparseop.deep.labels.methods.sop import SOP
from sparseop.deep.labels.methods.sop_plus import SOPPlus
from sparseop.deep.labels.methods.sop_rows import SOPRows

METHODS: dict[str, type[nn.Module]] = {
    "ce": CE,
    "forward": Forward,
    "gce": GCE,
    "sl": SL,
    "mixup": MixUp,
    "elr": ELR,
    "elr+": ELRPlus,
    "dividemix": DivideMix,
    "coteaching": CoTeaching,
    "coteaching+": CoTeachingPlus,
    "cores2": CORES2,
    "sop": SOP,
    "sop+": SOPPlus,
    "sop-rows": SOPRows,
}

__all__ = [
    "CE",
    "CORES2",
    "ELR",
    "GCE",
    "METHODS",
    "SL",
    "SOP",
    "CoTeaching",
    "CoTeachingPlus",
    "DivideMix",
    "ELRPlus",
    "Forward",
    "MixUp",
    "SOPPlus",
    "SOPRows",
    "Setting",
    "build",
    "resolve",
    "signature",
]


def signature(name: str) -> inspect.Signature:
    """Return the options of a method, with types and defaults.

    The keyword arguments of its class that a recipe may set.
    """
    given = ("n_samples", "n_classes", "matrix", "seed")  # by the run
    whole = inspect.signature(METHODS[name])
    return whole.replace(parameters=[p for key, p in whole.parameters.items() if key not in given])


def resolve(name: str, options: Mapping[str, Any], setting: Setting) -> dict[str, Any]:
    """Return a method's options with what depends on the run filled in, such as learning rates given as "auto"."""
    cls: Any = METHODS[name]
    return dict(cls.resolve(options, setting) if hasattr(cls, "resolve") else options)


def build(name: str, options: Mapping[str, Any], setting: Setting, *, seed: int) -> nn.Module:
    """Return the loss of a run; ``options`` are resolved, ``seed`` draws the start of its state.

    Raises
    ------
    InputError : an option out of range, or a loss that has a hook by half (``hooks.require_whole``).
    """
    cls: Any = METHODS[name]
    if hasattr(cls, "build"):
        loss = cls.build(options, setting)
    else:
        seeded = {"seed": seed} if "seed" in inspect.signature(cls).parameters else {}
        loss = cls(setting.n_samples, setting.n_classes, **options, **seeded)
    require_whole(loss)
    built: nn.Module = loss
    return built
