"""Keeps what was chosen for all trials of a run directory, so that a continued run keeps to it."""

from collections.abc import Iterable

from orchestrator.planning.resources import ResourceChoices, TrialResources
from trainables.atomic import read_whole, write_text
from trainables.results.record import TrialRecord
from trainables.storage.run_dir import RunDir


def write_choices(run_dir: RunDir, resources: TrialResources) -> None:
    """Write, and upload to an object store, what was chosen."""
    choices = ResourceChoices(precision=resources.precision, sharing=resources.sharing)
    write_text(run_dir.resource_choices, choices.model_dump_json(indent=1) + "\n")
    run_dir.publish(run_dir.resource_choices)


def read_choices(run_dir: RunDir, records: Iterable[TrialRecord] = ()) -> ResourceChoices:
    """What was chosen.

    Without such a file, or if it is damaged, the number format is that of the finished trials among
    ``records``, so that no table compares trials of two formats, and nothing else is known.
    """
    try:
        return ResourceChoices.model_validate_json(read_whole(run_dir.resource_choices))
    except (OSError, ValueError):
        formats = {record.precision for record in records if record.status == "finished"}
        return ResourceChoices.model_validate({"precision": min(formats, default=None)})
