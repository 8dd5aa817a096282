"""Loads a trial's data as texts, and checks that it is the planned data."""

from functools import lru_cache

from trainables.config.task import TaskConfig
from trainables.config.trial import DropConfig, LimitsConfig, TrialConfig
from trainables.data.profile import Texts, held_out_texts
from trainables.data.sources import load_task, read_task
from trainables.data.task import TaskData
from trainables.errors import DataError


def load_data(config: TrialConfig, glue_dir: str | None) -> dict[str, TaskData]:
    """Load the data of a trial's tasks: task name -> data.

    Raises:
        DataError: the data cannot be read, or has changed since the trial was planned.
    """
    return {name: load_planned(name, config, glue_dir) for name in config.tasks}


def load_planned(name: str, config: TrialConfig, glue_dir: str | None) -> TaskData:
    """Load the data of one of a trial's tasks.

    Raises:
        DataError: see ``load_data``.
    """
    data = _load(
        name,
        config.tasks[name].model_dump_json(),
        config.sources[name],
        glue_dir,
        config.limits.of(name).model_dump_json(),
        config.selection.carved_fraction(config.training),
        config.drop and config.drop.model_dump_json(),
    )
    if data.fingerprint != config.fingerprints[name]:
        raise DataError(
            f"task {name}: its data is not what the trial was planned with (fingerprint "
            f"{data.fingerprint[:12]}, planned {config.fingerprints[name][:12]}); "
            "restore the data, or plan anew in another run directory"
        )
    return data


@lru_cache(maxsize=8)
def _load(
    name: str,
    task: str,
    source: str,
    glue_dir: str | None,
    limits: str,
    fraction: float | None,
    drop: str | None,
) -> TaskData:
    """Load a task, given as JSON, once per process: a Tune actor runs many trials."""
    dropped = None if drop is None else DropConfig.model_validate_json(drop)
    held_out: frozenset[Texts] = frozenset()
    if dropped is not None:
        others = [other for other in dropped.tasks if other != name]
        held_out = held_out.union(
            *(
                _held_out(
                    other, dropped.tasks[other].model_dump_json(), dropped.sources[other], glue_dir
                )
                for other in others
            )
        )
    return load_task(
        name,
        TaskConfig.model_validate_json(task),
        source,
        glue_dir=glue_dir,
        limits=LimitsConfig.model_validate_json(limits),
        selection_fraction=fraction,
        drop_shared=dropped is not None and dropped.own,
        held_out=held_out,
    )


@lru_cache(maxsize=8)
def _held_out(name: str, task: str, source: str, glue_dir: str | None) -> frozenset[Texts]:
    """The texts of a task, given as JSON, that some split but ``train`` holds."""
    return held_out_texts(read_task(name, TaskConfig.model_validate_json(task), source, glue_dir))
