"""Methods against wrong labels, one a file: plain modules that any training loop can use.

``METHODS`` maps a recipe's ``method.name`` to the class. ELR+ and DivideMix are not here; where tables name them, their
values are the published ones.
"""

import inspect

from sparseop.deep.labels.methods.base import Method, Setting
from sparseop.deep.labels.methods.ce import CE
from sparseop.deep.labels.methods.cores2 import CORES2
from sparseop.deep.labels.methods.coteaching import CoTeaching, CoTeachingPlus
from sparseop.deep.labels.methods.elr import ELR
from sparseop.deep.labels.methods.forward import Forward
from sparseop.deep.labels.methods.gce import GCE
from sparseop.deep.labels.methods.mixup import MixUp
from sparseop.deep.labels.methods.sl import SL
from sparseop.deep.labels.methods.sop import SOP
from sparseop.deep.labels.methods.sop_plus import SOPPlus

METHODS: dict[str, type[Method]] = {
    "ce": CE,
    "forward": Forward,
    "gce": GCE,
    "sl": SL,
    "mixup": MixUp,
    "elr": ELR,
    "coteaching": CoTeaching,
    "coteaching+": CoTeachingPlus,
    "cores2": CORES2,
    "sop": SOP,
    "sop+": SOPPlus,
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
    "Forward",
    "Method",
    "MixUp",
    "SOPPlus",
    "Setting",
    "signature",
]


def signature(name: str) -> inspect.Signature:
    """Return the options of a method, with types and defaults: the keyword arguments of its class that a recipe may set."""
    given = ("n_samples", "n_classes", "matrix", "seed")  # by the run
    whole = inspect.signature(METHODS[name])
    return whole.replace(parameters=[p for key, p in whole.parameters.items() if key not in given])
