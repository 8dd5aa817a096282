"""Secrets of the environment and in addresses, kept out of what is written and shown."""

import os
import re
from urllib.parse import parse_qsl, urlsplit

from trainables.errors import RunDirectoryError

_NAMED = re.compile(
    r"(TOKEN|SECRET|PASSWORD|PASSWD|(API|ACCESS|PRIVATE)_?KEY)(_|$)(?!(.*_)?(PATH|FILE|DIR)$)"
)
"""What the name of a variable that holds a secret has in it; one that says where it is does not."""

_IN_ADDRESS = re.compile(r"(?<=://)([^/\s@]+|[^/\s@:\[]+:(?!\d*/)[^\s@]+)(?=@)")
"""User and password in an address, for example of a Hub's mirror or a proxy."""

_OPTION = r"pass|pwd|token|secret|key|sig"
"""What the name of an address's option that is a secret has in it."""

_OPTION_IN_ADDRESS = re.compile(rf"([?&][^=&\s]*({_OPTION})[^=&\s]*=)[^&\s]+", re.IGNORECASE)

NAME_ALONE = ("abfs", "abfss", "sftp", "ssh", "hdfs")
"""Schemes in which a mere name may stand before the host: a container's or a user's."""

SHORTEST = 8
"""Characters; what is shorter is found in ordinary words, and is no secret."""


def redacted(text: str) -> str:
    """``text`` with ``***`` in place of secrets that an error message may repeat.

    Those are the values of environment variables that are called like a secret (``HF_TOKEN``,
    ``WANDB_API_KEY``, ``AWS_SECRET_ACCESS_KEY`` ...), user names and passwords in addresses, and
    options of addresses that are called like a secret.
    """
    secrets = {
        value
        for name, value in os.environ.items()
        if len(value) >= SHORTEST and _NAMED.search(name.upper())
    }
    # The longest first: one secret may be a part of another.
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _OPTION_IN_ADDRESS.sub(r"\1***", _IN_ADDRESS.sub("***", text))


def has_credentials(address: str) -> bool:
    """Whether an address has a user or password before its host, or a secret among its options.

    Options are known by their names: ``client_secret``, ``access_key``, ``sas_token``, ``sig`` ...
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        return "@" in address
    name, at, host = parts.netloc.rpartition("@")
    if at and (":" in name or parts.scheme not in NAME_ALONE):
        return True
    # A password with a slash in it: what stands where a port should is none.
    port = host.rpartition("]")[2].partition(":")[2]
    if "@" in address and re.search(r"\D", port):
        return True
    options = parse_qsl(parts.query, keep_blank_values=True)
    return any(re.search(_OPTION, option, re.IGNORECASE) for option, _ in options)


def check_run_directory(url: str) -> None:
    """Refuse a run directory's URL that holds a secret.

    Raises:
        RunDirectoryError: it does; the message does not repeat it.
    """
    if "://" in url and has_credentials(url):
        scheme = url.partition("://")[0]
        raise RunDirectoryError(
            f"{scheme}://...: keys do not belong into a run directory's URL, which is kept in "
            "files; give them in the environment or the provider's own configuration"
        )
