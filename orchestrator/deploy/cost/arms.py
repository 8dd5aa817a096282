"""The arms of a run directory as they are deployed: one finished seed of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from orchestrator.deploy.cost.serving import Deployment, Input, Pass, ServedModel, TaskHead
from orchestrator.planning.plan import PlannedTrial
from trainables.config.arms import NaiveConcatArm
from trainables.config.trial import TrialConfig
from trainables.data.label_space import label_space
from trainables.results.record import TrialRecord
from trainables.results.status import TrialStatus
from trainables.storage.run_dir import RunDir

POOLED = "pooled"
"""The head of ``naive_concat``."""


@dataclass(frozen=True)
class DeployedArm:
    """An arm and model, at the preset's settings or tuned.

    Attributes:
        name: of the arm.
        label: what a row of the table is called, without a mark of tuned settings.
        tuned: whether a search found its settings.
        strategy, model: names.
        seed: the first one whose trials have all finished.
        tasks: that it answers, in the order of the plan.
        trials: keys of the seed's trials.
        seeds: how many have finished.
        device_seconds: to train one seed, the mean over those.
        parameters: of the models, as the records have them; None where they do not say it.
        deployment: its models.
    """

    name: str
    label: str
    tuned: bool
    strategy: str
    model: str
    seed: int
    tasks: tuple[str, ...]
    trials: tuple[str, ...]
    seeds: int
    device_seconds: float
    parameters: int | None
    deployment: Deployment

    @property
    def title(self) -> str:
        """For humans, such as ``shared_encoder tuned minilm-l6``."""
        return f"{self.name}{' tuned' * self.tuned} {self.model}"


def deployed_arms(
    run_dir: RunDir, plan: Sequence[PlannedTrial], records: Mapping[str, TrialRecord]
) -> tuple[list[DeployedArm], list[str]]:
    """The arms of a plan in its order, and the titles of those without a finished seed.

    Saved models are fetched from an object store.

    Args:
        run_dir: where saved models are.
        plan: its trials.
        records: key -> record.

    Raises:
        OSError: an object store cannot be reached.
    """
    order = tuple(dict.fromkeys(task for trial in plan for task in trial.config.tasks))
    rows: dict[tuple[str, bool, str], dict[int, list[PlannedTrial]]] = {}
    for trial in plan:
        config = trial.config
        seeds = rows.setdefault((config.arm_name, config.tuned, config.model_name), {})
        seeds.setdefault(config.seed, []).append(trial)
    arms, unfinished = [], []
    for (name, tuned, model), seeds in rows.items():
        finished = {
            seed: own
            for seed, trials in seeds.items()
            if (own := _finished(trials, records)) is not None
        }
        if finished:
            arms.append(_deployed(run_dir, order, finished))
        else:
            unfinished.append(f"{name}{' tuned' * tuned} {model}")
    return arms, unfinished


def _finished(
    trials: Sequence[PlannedTrial], records: Mapping[str, TrialRecord]
) -> list[TrialRecord] | None:
    """The records of trials; None if one has not finished."""
    own = [records[trial.key] for trial in trials if trial.key in records]
    ended = [record for record in own if record.status is TrialStatus.FINISHED]
    return ended if len(ended) == len(trials) else None


def _deployed(
    run_dir: RunDir, order: Sequence[str], finished: Mapping[int, Sequence[TrialRecord]]
) -> DeployedArm:
    seed, records = next(iter(finished.items()))
    config = records[0].config
    asked = {task for record in records for task in record.config.tasks}
    parameters = [record.parameters for record in records if record.parameters is not None]
    # A saved model has its adapter merged.
    counted = len(parameters) == len(records) and config.arm.adapter is None
    return DeployedArm(
        name=config.arm_name,
        label=config.arm.label or config.arm_name,
        tuned=config.tuned,
        strategy=config.arm.strategy,
        model=config.model_name,
        seed=seed,
        tasks=tuple(task for task in order if task in asked),
        trials=tuple(record.key for record in records),
        seeds=len(finished),
        device_seconds=fmean(
            sum(record.device_seconds for record in own) for own in finished.values()
        ),
        parameters=sum(parameters) if counted else None,
        deployment=_deployment([_served(run_dir, record) for record in records], config, records),
    )


def _deployment(
    models: Sequence[ServedModel], config: TrialConfig, records: Sequence[TrialRecord]
) -> Deployment:
    """How the inputs of all tasks go through the models."""
    prefixed = isinstance(config.arm, NaiveConcatArm) and config.arm.task_prefix
    passes: dict[tuple[int, str | None], dict[int, list[str]]] = {}
    for index, record in enumerate(records):
        for name, task in record.config.tasks.items():
            given = passes.setdefault((len(task.text), name if prefixed else None), {})
            given.setdefault(index, []).append(name)
    inputs = tuple(
        Input(
            texts=2 if texts == 2 else 1,
            prefix=prefix,
            passes=tuple(Pass(model=index, tasks=tuple(own)) for index, own in given.items()),
        )
        for (texts, prefix), given in passes.items()
    )
    return Deployment(models=tuple(models), inputs=inputs)


def _served(run_dir: RunDir, record: TrialRecord) -> ServedModel:
    """The model of one trial, its saved weights where there are any."""
    config = record.config
    labels = {name: record.labels[name] for name in config.tasks}
    if isinstance(config.arm, NaiveConcatArm):
        space = label_space(labels, config.arm.label_space)
        heads = {POOLED: space.size}
        tasks = {name: TaskHead(head=POOLED, classes=space.classes[name]) for name in labels}
    else:
        # A regression has no labels, and one output.
        heads = {name: len(names) or 1 for name, names in labels.items()}
        tasks = {
            name: TaskHead(head=name, classes=tuple(range(size))) for name, size in heads.items()
        }
    folder = run_dir.model(record.key)
    run_dir.fetch_folder(folder)
    return ServedModel(
        config=config.model,
        heads=heads,
        kinds={name: config.arm.task_heads.get(name, config.arm.head) for name in heads},
        tasks=tasks,
        folder=str(folder.resolve()) if folder.is_dir() else None,
    )
