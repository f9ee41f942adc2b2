"""Contrastive learning without labels: MoCo v2 and SANE, with everything SANE's paper leaves open as a named option.

``python -m sparseop.deep.train sane`` compares them on a set of shapes in about four minutes. The parts work in any
loop: ``moco``, ``sane`` (the losses), ``labels`` (self-labeling refinery), ``mixing`` (momentum and vanilla mixup),
``queue``, ``encoder`` (head, momentum copy, batch normalisation in groups), ``quality`` (what refined labels are
worth).
"""

from sparseop.deep.contrastive.moco import Batch, MoCo
from sparseop.deep.contrastive.sane import SANE

METHODS: dict[str, type[MoCo]] = {"moco": MoCo, "sane": SANE}

__all__ = ["METHODS", "SANE", "Batch", "MoCo"]
