"""The refinery's weights alpha_t, one number for each step.

How much of a label is the network's own (SANE paper, eq. 5).

The theory wants alpha_0 = 0 (its first residual is f(W_0) - y) and a small total change of alpha_t (Assumption 2).
"""

from typing import Any

import numpy as np

from sparseop.errors import FloatArray, InputError, array, between, fits, integer


def constant(steps: int, alpha: float) -> FloatArray:
    """Return alpha_t = alpha."""
    return np.full(_steps(steps), between("alpha", alpha, 0, 1, ends="[]"))


def _steps(steps: int) -> int:
    count = integer("steps", steps, 1)
    fits(f"a schedule of {count} steps", 3 * count)
    return count


def ramp(steps: int, alpha: float, over: int) -> FloatArray:
    """Return a straight line from 0 to ``alpha`` over the first ``over`` steps, then ``alpha``."""
    alpha = between("alpha", alpha, 0, 1, ends="[]")
    return np.asarray(alpha * np.minimum(np.arange(_steps(steps)) / integer("over", over, 1), 1))


def cosine(steps: int, alpha: float, over: int) -> FloatArray:
    """Return half a cosine from 0 to ``alpha`` over the first ``over`` steps, then ``alpha``."""
    t = ramp(steps, 1.0, over)
    return np.asarray(between("alpha", alpha, 0, 1, ends="[]") * (1 - np.cos(np.pi * t)) / 2)


def schedule(alpha: Any, steps: int) -> FloatArray:
    """Return ``alpha`` as one weight in [0, 1] for each of the steps; a number means a constant."""
    if isinstance(alpha, float | int) or getattr(alpha, "shape", None) == ():
        return constant(steps, alpha)
    values = array("alpha", alpha, (integer("steps", steps, 1),), what="one weight a step")
    if values.min() < 0 or values.max() > 1:
        raise InputError(f"alpha must lie in [0, 1] at every step, got {values.min():g} to {values.max():g}.")
    return values


def variation(alpha: FloatArray) -> float:
    """Return sum |alpha_t - alpha_{t+1}|, the quantity that Assumption 2 bounds."""
    return float(np.abs(np.diff(array("alpha", alpha, (None,)))).sum())


def discounted_variation(alpha: FloatArray, rate: float) -> float:
    """Return max over t of sum_{i<t} (1 - rate)^(t-i) |alpha_i - alpha_{i+1}|, the memory term of Theorem 6."""
    rate = between("rate", rate, 0, 1, ends="[]")
    largest = memory = 0.0
    for change in np.abs(np.diff(array("alpha", alpha, (None,)))):
        memory = (1 - rate) * (memory + float(change))
        largest = max(largest, memory)
    return largest
