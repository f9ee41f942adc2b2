"""Independent random streams from one seed.

A data set, a network and a run are often given the same small seed. Were each to start numpy's generator from it, the
first Gaussian numbers of all three would be the same, and W_0 would hold the centres.
"""

import zlib

import numpy as np

Seed = int | np.random.SeedSequence | np.random.Generator


def stream(seed: Seed, purpose: str) -> np.random.Generator:
    """Return the generator of ``purpose`` for ``seed``; a generator is used as it is."""
    if isinstance(seed, np.random.Generator):
        return seed
    if isinstance(seed, np.random.SeedSequence):
        entropy, key = seed.entropy, seed.spawn_key
    else:
        entropy, key = seed, ()
    return np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=(*key, zlib.crc32(purpose.encode()))))
