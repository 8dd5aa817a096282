"""Secrets of this process's environment, kept out of what is written and shown."""

import os
import re

_NAMED = re.compile(
    r"(TOKEN|SECRET|PASSWORD|PASSWD|(API|ACCESS|PRIVATE)_?KEY)(_|$)(?!(.*_)?(PATH|FILE|DIR)$)"
)
"""What the name of a variable that holds a secret has in it; one that says where it is does not."""

_IN_ADDRESS = re.compile(r"(?<=://)[^/\s@]+(?=@)")
"""User and password in an address, for example of a Hub's mirror or a proxy."""

SHORTEST = 8
"""Characters; what is shorter is found in ordinary words, and is no secret."""


def redacted(text: str) -> str:
    """``text`` with ``***`` in place of secrets that an error message may repeat.

    Those are the values of environment variables that are called like a secret (``HF_TOKEN``,
    ``WANDB_API_KEY``, ``AWS_SECRET_ACCESS_KEY`` ...), and user names and passwords in addresses.
    """
    secrets = {
        value
        for name, value in os.environ.items()
        if len(value) >= SHORTEST and _NAMED.search(name.upper())
    }
    # The longest first: one secret may be a part of another.
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _IN_ADDRESS.sub("***", text)
