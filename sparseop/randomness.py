"""The random generators of the studies: one stream for each key, the same on every machine and in every order.

It counts as code of every study's cells (see ``sparseop.code_digest``); the engine ``sparseop.study`` does not.
"""

import json
import zlib

import numpy as np

from sparseop.errors import InputError, integer
from sparseop.files import sha256

MASTER_SEED = 20220713  # the first day of ICML 2022's main conference; any number would do, but it must never change
_POOL = 4  # 32-bit words that numpy.random.SeedSequence takes in at once; it fills fewer up with zeros


def generator(*key: int | str) -> np.random.Generator:
    """Return the random generator that belongs to ``key``, for example ``generator("fig3", rank, sparsity, trial)``.

    Two keys that differ in a part or in their length have two streams.

    Parameters
    ----------
    key : what the draw is for: words and whole numbers from 0 to 2^32 - 1. The caller makes a real parameter a whole
        number, as in ``round(1000 * rho)``: two floats meant as one may differ in their last bit.

    Raises
    ------
    InputError
        for a key that is empty, or a part that is no such word or number (True, 0.5, -1, "").
    """
    if not key:
        raise InputError("a generator's key must have a part that says what the draw is for, got ().")
    words = [MASTER_SEED, *(_word(number, part) for number, part in enumerate(key, 1))]
    if len(words) < _POOL:  # ("a"), ("a", 0) and ("a", 0, 0) would be one stream; longer keys fill the pool themselves
        digest = sha256(json.dumps([part if isinstance(part, str) else int(part) for part in key]).encode())
        words = [MASTER_SEED, *(int(digest[i : i + 8], 16) for i in range(0, len(digest), 8))]
    return np.random.default_rng(np.random.SeedSequence(words))


def _word(number: int, part: int | str) -> int:
    """Return the 32-bit word of one part of a key."""
    name = f"part {number} of a generator's key"
    if isinstance(part, str):
        if not part:
            raise InputError(f"{name} must be a word or a whole number, got ''.")
        return zlib.crc32(part.encode())
    return integer(name, part, 0, 2**32 - 1)
