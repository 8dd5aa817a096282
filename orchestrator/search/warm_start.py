"""What an earlier search gives to one that is started from it (``tune.warm_start``).

It is read when the new search begins, and kept in the new one's folder: what becomes of the earlier
run directory later changes nothing any more.
"""

from pydantic import TypeAdapter

from orchestrator.run_dir.remote import layout_at, search_of
from orchestrator.search.stored import read_search
from orchestrator.search.summary import GroupSummary
from trainables.errors import ConfigError, RunDirectoryError
from trainables.results.record import read_checksummed, write_checksummed
from trainables.storage.run_dir import RunDir

Earlier = dict[str, GroupSummary]
"""Name of a group -> what was found of it."""

_EARLIER = TypeAdapter(Earlier)


def read_earlier(run_dir: str | None) -> Earlier:
    """What the search of a run directory has found so far; nothing where none is named.

    Raises:
        ConfigError: there is no search in ``run_dir``, or it cannot be read.
    """
    if run_dir is None:
        return {}
    try:
        state = read_search(search_of(layout_at(run_dir)))
    except RunDirectoryError as error:
        # What it says behind that is for whoever goes on with that search.
        finding = str(error).rpartition("; ")[0] or str(error)
        raise ConfigError(
            f"tune.warm_start={run_dir}: {finding}; name the run directory of a whole search"
        ) from error
    return dict(zip(state.groups, state.summary().groups, strict=True))


def earlier_of(layout: RunDir, run_dir: str | None) -> Earlier:
    """The same for the search in ``layout``; if it has begun, what it began with.

    Raises:
        ConfigError: see ``read_earlier``.
        RunDirectoryError: what it began with is damaged.
    """
    if run_dir is None or not layout.earlier.exists():
        return read_earlier(run_dir)
    try:
        return _EARLIER.validate_python(read_checksummed(layout.earlier)["groups"])
    except (OSError, ValueError, KeyError, RecursionError) as error:
        raise RunDirectoryError(
            f"{layout.earlier}: damaged; delete it to start from {run_dir} as it is now, or choose "
            "another directory with --run-dir"
        ) from error


def keep_earlier(layout: RunDir, earlier: Earlier) -> None:
    """Write down what the search in ``layout`` begins with, unless that was done before."""
    if earlier and not layout.earlier.exists():
        write_checksummed(layout.earlier, {"groups": _EARLIER.dump_python(earlier, mode="json")})
        layout.publish(layout.earlier)
