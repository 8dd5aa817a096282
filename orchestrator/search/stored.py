"""A search as the files of its folder tell of it."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from orchestrator.config.search import TuneConfig, TunedExperimentConfig
from orchestrator.search.ledger import Ledger
from orchestrator.search.pbt.state import Population
from orchestrator.search.plan import Group
from orchestrator.search.study import Description, SearchState
from trainables.config.base import used_settings
from trainables.errors import ConfigError, RunDirectoryError
from trainables.results.record import TrialRecord, read_checksummed, read_records, write_checksummed
from trainables.storage.run_dir import RunDir


def describe_search(
    layout: RunDir, experiment: TunedExperimentConfig, groups: Iterable[Group]
) -> Description:
    """Write the description of a search, atomically."""
    description = Description(space=experiment.space, tune=experiment.tune, groups=tuple(groups))
    write_checksummed(layout.search, description.model_dump(mode="json"))
    layout.publish(layout.search)
    return description


def read_search(
    layout: RunDir, damaged: dict[Path, RunDirectoryError] | None = None
) -> SearchState:
    """The search of a folder, as its files tell.

    Args:
        layout: the folder of the search's trials.
        damaged: takes the files that are no readable record, and why; their trials have not ended.

    Raises:
        RunDirectoryError: there is no search, or a file of it is damaged.
    """
    try:
        content = read_checksummed(layout.search)
        content["tune"] = used_settings(TuneConfig, content["tune"])
        description = Description.model_validate_json(json.dumps(content))
    # Pydantic's errors are values' errors; those of the space are the project's own.
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        ConfigError,
    ) as error:
        raise RunDirectoryError(
            f"{layout.search}: missing or damaged; delete it and run the same command again, which "
            "goes on where the search stood"
        ) from error
    records = read_records(layout, {} if damaged is None else damaged)
    return state_of(description, Ledger(layout.ledger), records)


def state_of(
    description: Description, ledger: Ledger, records: Mapping[str, TrialRecord]
) -> SearchState:
    """The state of a search of this kind; see ``SearchState``."""
    kind = Population if description.tune.scheduler == "pbt" else SearchState
    return kind(description, ledger, records)
