"""Checks whether a server answers."""

import urllib.error
import urllib.request
from http.client import HTTPException
from urllib.parse import urlsplit

SECONDS = 5.0
"""Longest wait for an answer."""


def unreachable(url: str) -> str:
    """Why no server answers at ``url``; empty if one does, with whatever HTTP status.

    The request leaves out a user and password in the address.
    """
    try:
        parts = urlsplit(url)
        url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        with urllib.request.urlopen(url, timeout=SECONDS):
            return ""
    except urllib.error.HTTPError:
        return ""
    except urllib.error.URLError as error:
        reason = error.reason
        return f"no answer ({getattr(reason, 'strerror', None) or reason})"
    except (OSError, ValueError, OverflowError, HTTPException) as error:
        return f"no answer ({' '.join(str(error).split())})"
