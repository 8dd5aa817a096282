"""Remembers at which numbers of seeds a run directory's verdict was looked at."""

import json
from collections.abc import Collection, Container, Iterable
from typing import Any

from omegaconf import OmegaConf
from pydantic_core import from_json

from orchestrator.analysis.looks import Look
from orchestrator.planning.plan import PlannedTrial
from search_spaces.yaml_files import read_yaml
from trainables.atomic import read_whole, write_text
from trainables.errors import ConfigError, RunDirectoryError
from trainables.storage.run_dir import RunDir


def look_at(run_dir: RunDir, trials: Iterable[PlannedTrial], planned: Collection[int]) -> Look:
    """The look at planned trials: its number of seeds, and those of all other looks.

    Args:
        run_dir: the run directory, which remembers earlier looks.
        trials: what is looked at.
        planned: the looks of the configuration.

    Raises:
        RunDirectoryError: what is remembered is damaged.
    """
    return Look(len({trial.config.seed for trial in trials}), planned, _earlier(run_dir))


def planned_looks(run_dir: RunDir) -> tuple[int, ...]:
    """The looks of the stored configuration; none where it has no seeds.

    Raises:
        RunDirectoryError: it is damaged.
    """
    if not run_dir.config.is_file():
        return ()
    try:
        seeds: Any = read_yaml(run_dir.config).get("seeds")
        if seeds is None:
            return ()
        return (len(seeds),) if OmegaConf.is_list(seeds) else tuple(map(int, seeds["looks"]))
    except (ConfigError, OSError, AttributeError, TypeError, ValueError) as error:
        raise RunDirectoryError(
            f"{run_dir.config}: damaged; run the experiment again, which writes it anew"
        ) from error


def note_look(
    run_dir: RunDir, look: Look, trials: Iterable[PlannedTrial], records: Container[str]
) -> None:
    """Remember a look, and those that were planned with it, if all its trials have ended.

    A configuration that is changed afterwards was changed after a verdict.

    Raises:
        OSError: it cannot be written.
    """
    if look.seeds < 2 or any(trial.key not in records for trial in trials):
        return
    if set(look.all) != set(look.earlier):
        write_text(run_dir.looks, json.dumps({"looks": list(look.all)}) + "\n")


def describe(look: Look) -> str:
    """Which look it is, for example ``look 1 of 3 (3 seeds)``."""
    return f"look {look.number} of {len(look.all)} ({look.seeds} seeds)"


def _earlier(run_dir: RunDir) -> tuple[int, ...]:
    try:
        looks = from_json(read_whole(run_dir.looks))["looks"]
        if not looks or not all(type(look) is int and look > 1 for look in looks):
            raise ValueError("no numbers of seeds")
        return tuple(looks)
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunDirectoryError(
            f"{run_dir.looks}: damaged; write into it at which numbers of seeds there was a "
            'verdict, for example {"looks": [3, 5]}'
        ) from error
