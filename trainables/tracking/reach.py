"""Whether a server answers."""

import urllib.error
import urllib.request

SECONDS = 5.0
"""Longest wait for an answer."""


def unreachable(url: str) -> str:
    """Why nothing answers at an address; empty: something does, whatever it says."""
    try:
        with urllib.request.urlopen(url, timeout=SECONDS):
            return ""
    except urllib.error.HTTPError:
        return ""
    except urllib.error.URLError as error:
        reason = error.reason
        return f"no answer ({getattr(reason, 'strerror', None) or reason})"
    except (OSError, ValueError) as error:
        return f"no answer ({error})"
