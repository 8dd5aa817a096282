"""Named random streams that do not depend on earlier draws.

Every source of randomness in a trial (data order, sampler, head initialisation, dropout) has a
stream of its own, derived from the trial's seed and the stream's name. So a trial resumed at step
700 draws what it would have drawn there without the interruption, and two strategies with the same
seed see a task's batches in the same order.
"""

import hashlib

import numpy as np


def derive_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream called ``names`` of a trial with ``seed``."""
    text = "\x1f".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """NumPy's generator for the stream called ``names`` of a trial with ``seed``."""
    return np.random.default_rng(derive_seed(seed, *names))
