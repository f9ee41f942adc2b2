"""Which labels cleanlab would flag (confident learning: Northcutt, Jiang, Chuang, JAIR 2021), where it is installed."""

import contextlib
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparseop.inspect.labels import Codes

MOST = 50_000_000  #: numbers in the table of probabilities up to which it is asked: it copies the table


def flagged(labels: Codes, probabilities: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Return which labels cleanlab's ``find_label_issues`` flags, given our leave-one-out probabilities (n, K).

    None where it isn't installed, or has no say: fewer than two samples in a class, tables beyond ``MOST`` numbers.
    """
    try:
        from cleanlab.filter import find_label_issues
    except ImportError:
        return None
    if probabilities.size > MOST or probabilities.size == 0 or np.bincount(labels).min() < 2:
        return None
    shares = probabilities.astype(np.float64)
    shares /= shares.sum(1, keepdims=True)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints advice
        found: NDArray[np.bool_] = np.asarray(find_label_issues(labels, shares, n_jobs=1), dtype=bool)
    return found
