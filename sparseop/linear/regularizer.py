"""What gradient descent on s = u*u - v*v minimises: the matching rule (23) and the hyperbolic entropy behind it."""

import math
from typing import Any

import numpy as np

from sparseop.errors import FloatArray, array, between, positive
from sparseop.linear._hyperbolic import multiplier


def matching_alpha(lam: float, gamma: float) -> float:
    """Return alpha = -log(gamma) / (2 lam), eq. (23).

    Descent at this alpha approaches the convex program (26) at ``lam``.

    Raises
    ------
    InputError
        unless lam > 0 and 0 < gamma < 1.
    """
    return -math.log(between("gamma", gamma, 0, 1)) / (2 * positive("lam", lam))


def matching_lam(alpha: float, gamma: float) -> float:
    """Return lam = -log(gamma) / (2 alpha), the inverse of ``matching_alpha``.

    Raises
    ------
    InputError
        unless alpha > 0 and 0 < gamma < 1.
    """
    return -math.log(between("gamma", gamma, 0, 1)) / (2 * positive("alpha", alpha))


def implicit_regularizer(s: Any, gamma: float) -> FloatArray:
    """Return, entry by entry, the function h_gamma that the limit of the gradient flow minimises exactly.

    At any gamma the limit of (17) solves ``min 1/2 |theta|^2 + lam sum_i h_gamma(s_i)  s.t.  y = J theta + s`` with
    lam = -log(gamma) / (2 alpha) and the hyperbolic entropy

        h_gamma(s) = [ s asinh(s / (2 gamma^2)) - sqrt(s^2 + 4 gamma^4) + 2 gamma^2 ] / (2 log(1/gamma)),

    because its derivative, asinh(s / (2 gamma^2)) / (2 log(1/gamma)), is nu/lam along the closed form (20). As gamma ->
    0, h_gamma(s) -> |s|: the l1 norm of (26). Near 0 it is the parabola s^2 / (8 gamma^2 log(1/gamma)).

    Parameters
    ----------
    s : any shape, finite.
    gamma : initial scale, 0 < gamma < 1.

    Returns
    -------
    Array of the shape of ``s``.

    Raises
    ------
    InputError
        for a value of s that is not finite, or gamma outside (0, 1).
    """
    log_gamma = math.log(between("gamma", gamma, 0, 1))
    values = array("s", s, None)
    return entropy(values, log_gamma).reshape(np.shape(s))


def entropy(s: FloatArray, log_gamma: float) -> FloatArray:
    """Return h_gamma(s) from log(gamma), so that gamma^2 may underflow."""
    size, c = np.abs(s), 2 * math.exp(2 * log_gamma)
    whole = size + c
    # sqrt(s^2 + c^2) - c, without cancelling for small s or overflowing for large
    excess = size * np.divide(size, np.hypot(size, c) + c, out=np.zeros_like(size), where=whole > 0)
    value: FloatArray = (size * multiplier(size, 2 * log_gamma) - excess) / (-2 * log_gamma)
    return value
