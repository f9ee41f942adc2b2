"""The one number that robust recovery asks for: alpha, the learning rate of g and h over the network's.

Start and ratio act through ``lam = log(1/gamma) / (2 alpha)`` (SOP paper, eq. 23), up to log(s)/(4 alpha): an entry of
s leaves zero once the integral of its residual has reached lam. Too large a lam, and the network has memorised the
corruption before s wakes up; too small, and s takes what is hard to learn of the image itself. No value serves all
corruption levels.
"""

import math

from torch import Tensor

from sparseop.deep.image_prior.corruption import median_filter
from sparseop.errors import InputError, between, positive

JUMP = 0.2  # an entry further than this from its median counts as corrupted
#: the rule lam = LAM exp(-DECAY level), fitted by hand to the best of four ratios each on two photographs (flower,
#: china; 64 x 64, salt and pepper at 10, 30 and 50 %, one seed). ``deep/image_recovery.py`` measures what it costs,
#: also from one to the other
LAM, DECAY = 0.15, 5.6


def matching(value: float, gamma: float) -> float:
    """Return log(1/gamma) / (2 value): the lam that belongs to a ratio alpha, and the alpha that belongs to a lam.

    Raises
    ------
    InputError : unless value > 0 and 0 < gamma < 1.
    """
    return -math.log(between("gamma", gamma, 0, 1)) / (2 * positive("value", value))


def estimated_level(y: Tensor) -> float:
    """Return the share of y (C, H, W) whose entries differ by more than ``JUMP`` from the median of their 5 x 5 window.

    It estimates, without knowing the kind of noise, the share of entries that are off by more than 0.1.
    """
    return float(((y - median_filter(y, 5)).abs() > JUMP).float().mean())


def ratio_for(level: float, gamma: float) -> float:
    """Return the ratio alpha for a share of visibly corrupted entries.

    The more there are, the earlier s must wake up.
    """
    return matching(LAM * math.exp(-DECAY * between("level", level, 0, 1, ends="[]")), gamma)


def resolve(y: Tensor, gamma: float, *, lr: float, momentum: float) -> tuple[float, float]:
    """Return ratio and gamma for a corrupted image y (C, H, W).

    The rule's ratio and the gamma asked for, made stable.
    """
    return stable(ratio_for(estimated_level(y), gamma), gamma, entries=y.numel(), lr=lr, momentum=momentum)


def stable(ratio: float, gamma: float, *, entries: int, lr: float, momentum: float) -> tuple[float, float]:
    """Return a ratio that descent can stand on an image of so many entries, and the gamma with which lam stays.

    The curvature of a mean loss over m entries along g is at most 8 |s| / m, and gradient descent with momentum b is
    stable up to 2 (1 + b) over it, so ratio * lr < (1 + b) m / 4; on the way residuals are larger than at the end, and
    less than half of that is taken. A larger ratio gives way to that one with a larger gamma.

    Raises
    ------
    InputError : lr so large that no gamma below 1 is left.
    """
    largest = 0.1 * (1 + momentum) * entries / lr
    if ratio <= largest:
        return ratio, gamma
    raised = math.exp(-2 * largest * matching(ratio, gamma))
    if raised == 1:
        raise InputError(
            f"training.lr must be lower for g and h to be stable on an image of {entries:,} entries, got {lr:g}."
        )
    return largest, raised
