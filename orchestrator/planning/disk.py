"""Estimates how much of the disk a grid takes, and checks that there is room."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.config.experiment import ExperimentConfig
from orchestrator.planning.dependencies import artifacts_of
from orchestrator.planning.grid import Config
from orchestrator.planning.plan import Plan, PlannedTrial
from orchestrator.text import size
from trainables.config.trial import TrialConfig
from trainables.errors import RunDirectoryError
from trainables.storage.run_dir import KEPT, RunDir

BYTES_PER_TENSOR = 2000
"""Names and alignment of one parameter's weights and moments in a checkpoint."""

BYTES_PER_TRIAL = 48 * 1024
"""Configuration in record and plan, progress, curves, and what a Parquet file takes at least."""

BYTES_PER_TABLE = 1 << 20
"""All tables together."""

BYTES_PER_TOKENIZER = 4 << 20


@dataclass(frozen=True)
class DiskUse:
    """Upper bounds in bytes, without the files of trackers and of trials that fail.

    Attributes:
        running: while the grid runs, checkpoints included.
        after: when it has ended.
    """

    running: int
    after: int

    def describe(self, slots: int) -> str:
        """For a plan, for example ``at most 1.2 GB while it runs (...), 85.0 MB after``."""
        trials = f"{slots} trials" if slots > 1 else "a trial"
        return (
            f"at most {size(self.running)} while it runs (checkpoints of {trials} at once), "
            f"{size(self.after)} after"
        )


def disk_use(
    config: Config, plan: Plan, trials: Sequence[PlannedTrial], slots: int, waiting: int = 0
) -> DiskUse:
    """The disk use of ``trials`` of the plan, ``slots`` of them running at once.

    A running trial has ``KEPT`` checkpoints and writes one more. They are removed when it has
    ended, and so are its artifacts when the trials that need them have ended, unless
    ``checkpoint.keep`` is set. ``waiting`` ended trials keep one checkpoint each for others that
    continue from them.
    """
    single = {t.key: _checkpoint(t.config, plan) if config.checkpoint.every else 0 for t in trials}
    largest = sorted(single.values(), reverse=True)[:slots]
    after = BYTES_PER_TABLE + sum(_results(t.config, plan) for t in trials)
    if config.save_models if isinstance(config, ExperimentConfig) else config.save_model:
        after += sum(BYTES_PER_TOKENIZER + _weights(t.config, plan) for t in trials)
    stay = waiting * max((_checkpoint(t.config, plan) for t in trials), default=0)
    artifacts = sum(
        _artifacts(plan, key, names) for key, names in artifacts_of(plan.trials).items()
    )
    if config.checkpoint.keep:
        after += KEPT * sum(single.values()) + artifacts + stay
        return DiskUse(after + sum(largest), after)
    return DiskUse(after + artifacts + stay + (KEPT + 1) * sum(largest), after)


def check_room(run_dir: RunDir, use: DiskUse) -> None:
    """Check that the disk has room; existing checkpoints count towards the estimate.

    An object store always has room.

    Raises:
        RunDirectoryError: the disk has too little room.
    """
    if run_dir.url is not None:
        return
    folder = run_dir.root / "checkpoints"
    existing = sum(_size(path) for path in folder.rglob("*"))
    free, room = shutil.disk_usage(run_dir.root).free, max(0, use.running - existing)
    if free < room:
        raise RunDirectoryError(
            f"{run_dir.root}: its disk has {size(free)} left, the experiment needs about "
            f"{size(room)}; make room or choose another directory with --run-dir"
        )


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0  # A worker of a killed driver may still remove files.


def _artifacts(plan: Plan, key: str, names: tuple[str, ...]) -> int:
    """Bytes of the artifacts that a trial leaves for those that need them."""
    [config] = [trial.config for trial in plan.trials if trial.key == key]
    logits = sum(
        len(plan.tasks[task].splits["train"]) * (16 + 8 * _classes(task, plan))
        for task in config.tasks
    )
    return ("weights" in names) * _weights(config, plan) + ("teacher_logits" in names) * logits


def _weights(config: TrialConfig, plan: Plan) -> int:
    """Bytes of a model: encoder, and heads at their largest, in single precision."""
    encoder = plan.encoders[config.model_name]
    hidden = encoder.hidden_size
    heads = sum((hidden + 1) * (hidden + _classes(task, plan)) for task in config.tasks)
    return 4 * (encoder.parameters + heads)


def _checkpoint(config: TrialConfig, plan: Plan) -> int:
    """Bytes of a checkpoint: weights, two moments, the best and averaged weights where kept."""
    training = config.training
    copies = 3 + (training.keep == "best") + (training.ema_decay is not None)
    tensors = 16 * plan.encoders[config.model_name].num_layers + 16 + 4 * len(config.tasks)
    return copies * _weights(config, plan) + BYTES_PER_TENSOR * tensors + _history(config, plan)


def _history(config: TrialConfig, plan: Plan) -> int:
    """Bytes of the confusion matrices of every epoch, one number a line."""
    splits = sum(
        (len(plan.tasks[task].splits) + 1) * (400 + 20 * (classes := _classes(task, plan)) ** 2)
        + 40 * classes
        for task in config.tasks
    )
    return (config.training.epochs + 1) * (splits + 400) + _cosines(config, plan)


def _cosines(config: TrialConfig, plan: Plan) -> int:
    """Bytes of the cosines between gradients, one number a line."""
    training, every = config.training, config.training.gradient_cosines
    if every is None:
        return 0
    sizes = [len(plan.tasks[task].splits["train"]) for task in config.tasks]
    steps = training.epochs * sum(-(-size // training.batch_size) for size in sizes)
    pairs = len(sizes) * (len(sizes) - 1) // 2
    return (steps // every + training.epochs) * (80 + 30 * pairs)


def _curves(config: TrialConfig, plan: Plan) -> int:
    """Bytes of a trial's numbers as CSV: a row for each epoch, about two more for the names."""
    metric_groups = sum(len(plan.tasks[task].splits) + 1 for task in config.tasks)
    return (config.training.epochs + 3) * 25 * (6 + 5 * (metric_groups + 2))


def _results(config: TrialConfig, plan: Plan) -> int:
    """Bytes of a trial's record, curves, predictions and rows of the tables."""
    total_classes = sum(_classes(task, plan) for task in config.tasks)
    evaluated = sum(
        len(examples)
        for task in config.tasks
        for split, examples in plan.tasks[task].splits.items()
        if split != "train"
    )
    fixed_bytes = BYTES_PER_TRIAL * (1 + len(config.tasks)) + 100 * total_classes
    predictions = evaluated * (40 + 8 * total_classes)
    return fixed_bytes + predictions + _history(config, plan) + _curves(config, plan)


def _classes(task: str, plan: Plan) -> int:
    return plan.tasks[task].outputs
