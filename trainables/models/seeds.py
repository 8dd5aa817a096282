"""Seeds for new parameters that depend on what is initialised and on nothing else."""

import hashlib


def derived_seed(seed: int, name: str) -> int:
    """A 63-bit seed for ``name`` under the trial's ``seed``.

    Different names get unrelated seeds, and no name's seed depends on which other names exist.
    """
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
