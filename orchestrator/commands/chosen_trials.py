"""Choosing one seed of an arm in a run directory, for what is made of its trials afterwards."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from orchestrator.commands.report import shown
from orchestrator.planning.grid import glue_folder
from orchestrator.planning.plan import PlannedTrial
from search_spaces.yaml_files import read_yaml
from trainables.config.explain import nearest
from trainables.errors import ConfigError, RunDirectoryError
from trainables.results.record import TrialRecord
from trainables.results.status import TrialStatus
from trainables.storage.object_store import is_url
from trainables.storage.run_dir import RunDir


def chosen_trials(
    trials: Sequence[PlannedTrial], arm: str, model: str | None, seed: int | None, tuned: bool
) -> list[PlannedTrial]:
    """The trials of one arm, model and seed.

    Args:
        trials: of the plan.
        arm: the arm.
        model: the model; None where there is only one.
        seed: the seed; None for the first.
        tuned: whether the arm's settings are those that a search found.

    Raises:
        ConfigError: there is no such arm, model or seed, or several models to choose from.
    """
    arms = list(dict.fromkeys(t.config.arm_name for t in trials if t.config.tuned == tuned))
    if arm not in arms:
        raise ConfigError(
            f"--arm {arm}: is not among the{' tuned' * tuned} arms{nearest(arm, arms)}"
        )
    own = [t for t in trials if (t.config.arm_name, t.config.tuned) == (arm, tuned)]
    models = list(dict.fromkeys(trial.config.model_name for trial in own))
    if model is None and len(models) > 1:
        raise ConfigError(f"--model: {arm} was trained with {', '.join(models)}; choose one")
    if model is not None and model not in models:
        raise ConfigError(f"--model {model}: {arm} was not trained with it{nearest(model, models)}")
    own = [trial for trial in own if trial.config.model_name == (model or models[0])]
    seeds = list(dict.fromkeys(trial.config.seed for trial in own))
    if seed is not None and seed not in seeds:
        raise ConfigError(f"--seed {seed}: is none of {', '.join(map(str, seeds))}")
    return [t for t in own if t.config.seed == (seeds[0] if seed is None else seed)]


def finished_record(record: TrialRecord | None, trial: PlannedTrial, name: str) -> TrialRecord:
    """The record of a trial, if it has finished.

    Raises:
        RunDirectoryError: it has not, or failed; ``name`` is the run directory's.
    """
    if record is not None and record.status is TrialStatus.FINISHED:
        return record
    state = "has not finished" if record is None else f"{record.status}: {record.error}"
    raise RunDirectoryError(f"{name}: {trial.config.title} ({trial.key}) {state}; run it first")


def train_again(run_dir: RunDir, name: str, trial: PlannedTrial, override: str, suffix: str) -> str:
    """The command that trains an arm's trials of one seed again.

    Args:
        run_dir: where the trial was trained.
        name: the run directory, as the user gave it.
        trial: one of the trials.
        override: what was missing, such as ``save_models=true``.
        suffix: of the new run directory's name.
    """
    config = trial.config
    if config.tuned or is_url(name):
        return f"the same command with {override} and another --run-dir"
    words = [
        f"arms=[{config.arm_name}]",
        f"models=[{config.model_name}]",
        f"seeds=[{config.seed}]",
        override,
    ]
    command = ["python", "-m", "orchestrator", "run", shown(run_dir.config), *words]
    return shlex.join([*command, "--run-dir", f"{name.rstrip('/')}-{suffix}"])


def glue_dir_of(run_dir: RunDir) -> str | None:
    """The GLUE folder of the experiment, else of the environment."""
    configured = (read_yaml(run_dir.config).get("data") or {}).get("glue_dir")
    return glue_folder(configured)


def empty_folder(out: Path | str) -> Path:
    """The folder to write.

    Raises:
        ConfigError: it is a URL, or has content.
    """
    if is_url(out):
        raise ConfigError(f"--out {out}: must be a folder of this machine")
    folder = Path(out)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ConfigError(f"--out {out}: is there and not an empty folder; choose another one")
    return folder
