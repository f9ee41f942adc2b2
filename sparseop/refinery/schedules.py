"""The refinery's weights alpha_t, one number for each step: how much of a label is the network's own (SANE paper, eq. 5).

The theory wants alpha_0 = 0 (its first residual is f(W_0) - y) and a small total change of alpha_t (Assumption 2).
"""

from typing import Any

import numpy as np

from sparseop.errors import FloatArray, InputError, array, between, integer


def constant(steps: int, alpha: float) -> FloatArray:
    """Return alpha_t = alpha."""
    return np.full(integer("steps", steps, 1), between("alpha", alpha, 0, 1, ends="[]"))


def ramp(steps: int, alpha: float, over: int) -> FloatArray:
    """Return a straight line from 0 to ``alpha`` over the first ``over`` steps, then ``alpha``."""
    alpha = between("alpha", alpha, 0, 1, ends="[]")
    return np.asarray(alpha * np.minimum(np.arange(integer("steps", steps, 1)) / integer("over", over, 1), 1))


def cosine(steps: int, alpha: float, over: int) -> FloatArray:
    """Return half a cosine from 0 to ``alpha`` over the first ``over`` steps, then ``alpha``."""
    t = ramp(steps, 1.0, over)
    return np.asarray(between("alpha", alpha, 0, 1, ends="[]") * (1 - np.cos(np.pi * t)) / 2)


def schedule(alpha: Any, steps: int) -> FloatArray:
    """Return ``alpha`` as one weight in [0, 1] for each of the steps; a number means a constant."""
    if np.ndim(alpha) == 0:
        return constant(steps, alpha)
    values = array("alpha", alpha, (steps,), what="one weight a step")
    if values.min() < 0 or values.max() > 1:
        raise InputError(f"alpha must lie in [0, 1] at every step, got {values.min():g} to {values.max():g}.")
    return values


def variation(alpha: FloatArray) -> float:
    """Return sum |alpha_t - alpha_{t+1}|, the quantity that Assumption 2 bounds."""
    return float(np.abs(np.diff(alpha)).sum())


def discounted_variation(alpha: FloatArray, rate: float) -> float:
    """Return max over t of sum_{i<t} (1 - rate)^(t-i) |alpha_i - alpha_{i+1}|, the memory term of Theorem 6."""
    largest = memory = 0.0
    for change in np.abs(np.diff(alpha)):
        memory = (1 - rate) * (memory + float(change))
        largest = max(largest, memory)
    return largest
