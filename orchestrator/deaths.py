"""Why a trial's process ended, from what Ray Tune was told."""

from pathlib import Path
from typing import Any

from trainables.secrets import redacted

LOW_MEMORY = "due to the node running low on memory"
"""What Ray says of a process that its memory monitor killed."""


def took_too_much_memory(trial: Any) -> bool:
    """Whether Ray killed a trial's process because its machine was running out of memory."""
    return LOW_MEMORY in _told(trial)


def why(trial: Any) -> str:
    """One line about why Tune gave a trial up."""
    told = _told(trial)
    if not told:
        return "its process died"
    if LOW_MEMORY in told:
        return (
            "its machine ran out of memory and Ray killed its process: lower training.batch_size, "
            "model.max_length or resources.max_concurrent, or set resources.memory"
        )
    if told.startswith("ray::"):
        # A traceback; its last line is the error.
        return redacted(" ".join(told.splitlines()[-1].split()))[:500]
    # Ray says a page about it; what differs stands after this and before general advice.
    reason = redacted(" ".join(told.split()))
    detail = reason.rpartition("exit detail: ")[2].partition(" Some common causes")[0]
    return f"its process was killed or crashed: {detail}"[:300]


def _told(trial: Any) -> str:
    """What Tune was told of the trial's last end; empty where that is not to be found."""
    # Not the error itself, which Tune pickles into a folder that others may write: reading it would
    # run what they put there.
    try:
        told = Path(trial.error_file).read_text(encoding="utf-8", errors="replace")
    except (OSError, TypeError):
        return ""
    # One file has all the attempts; each begins with a line of Tune's own.
    return told.rpartition("Failure # ")[2].partition("\n")[2].strip()
