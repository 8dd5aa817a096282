"""Which trials need others: teachers before students, multi-task training before fine-tuning."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from orchestrator.config.experiment import ExperimentConfig
from trainables.config.arms import ArmConfig, NaiveConcatArm, SingleTaskArm
from trainables.config.explain import nearest
from trainables.config.trial import TrialConfig
from trainables.errors import ConfigError

TrialsOf = Callable[[str, int], list[TrialConfig]]
"""Returns the trials of an arm and a seed, for one model."""


class Planned(Protocol):
    """A planned trial."""

    @property
    def key(self) -> str: ...

    @property
    def config(self) -> TrialConfig: ...


T = TypeVar("T", bound=Planned)
Artifacts = Mapping[str, tuple[str, ...]]
"""Key of a trial -> the artifacts that others need of it (see ``Runtime.artifacts``)."""


def with_upstream_arms(experiment: ExperimentConfig) -> list[str]:
    """The arms of the grid, each after those whose trials its own need.

    Raises:
        ConfigError: an arm that is needed is not defined, cannot give what is asked of it, or needs
            itself.
    """
    ordered: list[str] = []

    def add(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            circle = " needs ".join([*path[path.index(name) :], name])
            raise ConfigError(f"define.arms.{name}: {circle}; end the circle")
        for key, upstream in upstream_arms(experiment.define.arms[name]):
            where = f"define.arms.{name}.{key}"
            if upstream not in experiment.define.arms:
                arms = sorted(experiment.define.arms)
                raise ConfigError(f"{where}={upstream}: unknown arm{nearest(upstream, arms)}")
            if experiment.define.arms[upstream].strategy == "naive_concat":
                raise ConfigError(
                    f"{where}={upstream}: a naive_concat arm has no classifier of a task's own; "
                    "name a single_task or shared_encoder arm"
                )
            _check_pair(experiment, name, key, upstream)
            add(upstream, (*path, name))
        if name not in ordered:
            ordered.append(name)

    for name in experiment.arms:
        add(name, ())
    return ordered


def _check_pair(experiment: ExperimentConfig, name: str, key: str, upstream: str) -> None:
    """Whether the trials of ``upstream`` have what those of arm ``name`` need."""
    arm, before = experiment.define.arms[name], experiment.define.arms[upstream]
    where = f"define.arms.{name}.{key}={upstream}"
    lacking = set(arm.tasks or experiment.tasks) - set(before.tasks or experiment.tasks)
    if key == "start_from":
        if lacking and before.strategy == "single_task":
            raise ConfigError(f"{where}: it has no trial of task {min(lacking)} to start from")
    elif lacking:
        raise ConfigError(f"{where}: it has no teacher of task {min(lacking)}")
    elif arm.train_fraction != before.train_fraction:
        raise ConfigError(
            f"{where}: teacher and student need the same train_fraction, since the teacher "
            "predicts the examples that the student learns from"
        )


def upstream_arms(arm: ArmConfig) -> list[tuple[str, str]]:
    """The arms whose trials must have finished before those of ``arm`` start, with their keys."""
    needed = []
    if not isinstance(arm, NaiveConcatArm) and arm.distillation is not None:
        needed.append(("distillation.teachers", arm.distillation.teachers))
    if isinstance(arm, SingleTaskArm) and arm.start_from is not None:
        needed.append(("start_from", arm.start_from))
    return needed


def arms_of_all_seeds(experiment: ExperimentConfig) -> list[str]:
    """The arms whose trials learn from teachers of all seeds, so that they are others with more.

    Raises:
        ConfigError: see ``with_upstream_arms``.
    """
    arms = {name: experiment.define.arms[name] for name in with_upstream_arms(experiment)}
    return [
        name
        for name, arm in arms.items()
        if not isinstance(arm, NaiveConcatArm)
        and arm.distillation is not None
        and arm.distillation.seeds == "all"
    ]


def stages(trials: Iterable[T]) -> list[list[T]]:
    """The trials in stages: each needs only trials of stages before its own.

    Trials that are needed but not among ``trials`` are taken to have finished.
    """
    waiting = {trial.key: trial for trial in trials}
    result = []
    while waiting:
        stage = [t for t in waiting.values() if not t.config.needs & waiting.keys()]
        result.append(stage)
        for trial in stage:
            del waiting[trial.key]
    return result


def artifacts_of(trials: Iterable[Planned]) -> dict[str, tuple[str, ...]]:
    """The artifacts that the trials of a plan need of each other."""
    needed: dict[str, set[str]] = {}
    for config in (trial.config for trial in trials):
        for key in (key for keys in config.teachers.values() for key in keys):
            needed.setdefault(key, set()).add("teacher_logits")
        if config.start_from is not None:
            needed.setdefault(config.start_from, set()).add("weights")
    return {key: tuple(sorted(names)) for key, names in needed.items()}


def teachers_of(
    arm: ArmConfig, tasks: list[str], seed: int, seeds: Sequence[int], trials_of: TrialsOf
) -> dict[str, tuple[str, ...]]:
    """Task -> keys of the trials that teach it to a trial of ``arm`` and ``seed``.

    Args:
        arm: the student's.
        tasks: those of the student.
        seed: the student's.
        seeds: all of the grid, which teach together where the arm says so.
        trials_of: gives the teachers' trials.
    """
    if isinstance(arm, NaiveConcatArm) or arm.distillation is None:
        return {}
    teacher_seeds = seeds if arm.distillation.seeds == "all" else (seed,)
    teachers = [t for s in teacher_seeds for t in trials_of(arm.distillation.teachers, s)]
    return {name: tuple(t.key for t in teachers if name in t.tasks) for name in tasks}


def start_of(arm: ArmConfig, tasks: list[str], seed: int, trials_of: TrialsOf) -> str | None:
    """The key of the trial whose weights a trial of ``arm`` and ``seed`` starts from."""
    if not isinstance(arm, SingleTaskArm) or arm.start_from is None:
        return None
    trials = trials_of(arm.start_from, seed)
    # Its own task's trial; else the one trial of an arm that was trained on other tasks.
    return next((t.key for t in trials if set(tasks) <= set(t.tasks)), trials[0].key)
