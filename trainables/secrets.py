"""Keeps secrets (environment variables, passwords in URLs) out of output and files."""

import os
import re
from urllib.parse import parse_qsl, urlsplit

from trainables.errors import RunDirectoryError

_NAMED = re.compile(
    r"(TOKEN|SECRET|PASSWORD|PASSWD|(API|ACCESS|PRIVATE)_?KEY)(_|$)(?!(.*_)?(PATH|FILE|DIR)$)"
)
"""Pattern of names of variables that hold a secret, but not the path of one."""

_IN_ADDRESS = re.compile(r"(?<=://)([^/\s@]+|[^/\s@:\[]+:(?!\d*/)[^\s@]+)(?=@)")
"""Pattern of a user and password in a URL, for example of a proxy or a mirror of the Hub."""

_OPTION = r"pass|pwd|token|secret|key|sig"
"""Pattern of names of URL parameters that hold a secret."""

_OPTION_IN_ADDRESS = re.compile(rf"([?&][^=&\s]*({_OPTION})[^=&\s]*=)[^&\s]+", re.IGNORECASE)

NAME_ALONE = ("abfs", "abfss", "sftp", "ssh", "hdfs")
"""Schemes in which a name without a password (a container or user) may precede the host."""

SHORTEST = 8
"""Fewest characters of a secret; shorter values would also match parts of ordinary words."""


def redacted(text: str) -> str:
    """``text`` with secrets replaced by ``***``.

    Secrets are the values of environment variables with such a name (``HF_TOKEN``,
    ``WANDB_API_KEY``, ``AWS_SECRET_ACCESS_KEY`` ...), users and passwords in URLs, and URL
    parameters with such a name.
    """
    secrets = {
        value
        for name, value in os.environ.items()
        if len(value) >= SHORTEST and _NAMED.search(name.upper())
    }
    # Longest first: a secret may be part of another.
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _OPTION_IN_ADDRESS.sub(r"\1***", _IN_ADDRESS.sub("***", text))


def has_credentials(address: str) -> bool:
    """Whether a URL has a user or password before its host, or a secret in its parameters.

    Parameters are recognised by name: ``client_secret``, ``access_key``, ``sas_token``, ``sig`` ...
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        return "@" in address
    name, at, host = parts.netloc.rpartition("@")
    if at and (":" in name or parts.scheme not in NAME_ALONE):
        return True
    # A password with a slash in it: what looks like the port is not a number.
    port = host.rpartition("]")[2].partition(":")[2]
    if "@" in address and re.search(r"\D", port):
        return True
    options = parse_qsl(parts.query, keep_blank_values=True)
    return any(re.search(_OPTION, option, re.IGNORECASE) for option, _ in options)


def check_run_directory(url: str) -> None:
    """Check that a run directory's URL contains no secret.

    Raises:
        RunDirectoryError: it contains one; the message does not repeat it.
    """
    if "://" in url and has_credentials(url):
        scheme = url.partition("://")[0]
        raise RunDirectoryError(
            f"{scheme}://...: keys do not belong into a run directory's URL, which is kept in "
            "files; give them in the environment or the provider's own configuration"
        )
