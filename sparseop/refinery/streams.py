"""Independent random streams from one seed.

A data set, a network and a run are often given the same small seed. Were each to start numpy's generator from it, the
first Gaussian numbers of all three would be the same, and W_0 would hold the centres.
"""

import zlib

import numpy as np

from sparseop.errors import Seed, random_generator


def stream(seed: Seed, purpose: str) -> np.random.Generator:
    """Return the generator of ``purpose`` for ``seed``; a generator is used as it is.

    Raises
    ------
    InputError
        for anything else than a whole number >= 0, a ``SeedSequence`` or a ``Generator``.
    """
    if isinstance(seed, np.random.Generator):
        return seed
    if isinstance(seed, np.random.SeedSequence):
        entropy, key = seed.entropy, seed.spawn_key
    else:
        entropy, key = seed, ()
    return random_generator("seed", entropy, spawn_key=(*key, zlib.crc32(purpose.encode())))
