"""The results of an earlier search that a new one starts from (``tune.warm_start``).

They are read when the new search begins and kept in its folder, so later changes of the earlier run
directory have no effect.
"""

from pydantic import TypeAdapter

from orchestrator.run_dir.remote import run_dir_at, search_of
from orchestrator.search.engine import read_search
from orchestrator.search.summary import GroupSummary
from trainables.errors import ConfigError, RunDirectoryError
from trainables.results.record import read_checksummed, write_checksummed
from trainables.storage.run_dir import RunDir

WarmStart = dict[str, GroupSummary]
"""Name of a group -> its trials in the earlier search."""

_WARM_START = TypeAdapter(WarmStart)


def read_warm_start(where: str | None) -> WarmStart:
    """The results so far of the search in a run directory; empty if none is named.

    Raises:
        ConfigError: there is no search in ``where``, or it cannot be read.
    """
    if where is None:
        return {}
    try:
        study = read_search(search_of(run_dir_at(where)))
    except RunDirectoryError as error:
        # The advice behind the finding is for whoever goes on with that search.
        finding = str(error).rpartition("; ")[0] or str(error)
        raise ConfigError(
            f"tune.warm_start={where}: {finding}; name the run directory of a whole search"
        ) from error
    return dict(zip(study.groups, study.summary().groups, strict=True))


def warm_start_of(search_dir: RunDir, where: str | None) -> WarmStart:
    """What the search in ``search_dir`` starts from; once it has begun, what it has kept.

    Raises:
        ConfigError: see ``read_warm_start``.
        RunDirectoryError: what it has kept is damaged.
    """
    if where is None or not search_dir.earlier.exists():
        return read_warm_start(where)
    try:
        return _WARM_START.validate_python(read_checksummed(search_dir.earlier)["groups"])
    except (OSError, ValueError, KeyError, RecursionError) as error:
        raise RunDirectoryError(
            f"{search_dir.earlier}: damaged; delete it to start from {where} as it is now, or "
            "choose another directory with --run-dir"
        ) from error


def keep_warm_start(search_dir: RunDir, warm_start: WarmStart) -> None:
    """Write down what the search in ``search_dir`` starts from, unless that was done before."""
    if warm_start and not search_dir.earlier.exists():
        groups = _WARM_START.dump_python(warm_start, mode="json")
        write_checksummed(search_dir.earlier, {"groups": groups})
        search_dir.publish(search_dir.earlier)
