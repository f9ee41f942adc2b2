"""Which of my labels are wrong? ``inspect_labels(features, labels)``, or ``python -m sparseop.inspect INPUT``."""

from sparseop.inspect.result import Inspection
from sparseop.inspect.work import inspect_labels

__all__ = ["Inspection", "inspect_labels"]
