"""The lines above the comparison table: the protocol, budget, data and machine of its numbers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from orchestrator.planning.data_facts import DataFacts
from orchestrator.planning.scoring import EQUAL_TARGETS, caveats, headline
from orchestrator.report.data import data_lines
from orchestrator.report.rows import TUNED, PlannedTrial
from orchestrator.text import listed, number, plain, share
from trainables.config.metrics import REGRESSION, Positive, f1_name, f1_of, undefined
from trainables.config.trial import ModelConfig, TrainingConfig, TrialConfig
from trainables.results.metrics import correlation
from trainables.results.record import Moments, TaskResult, TrialRecord
from trainables.results.status import TrialStatus


@dataclass(frozen=True)
class TaskFacts:
    """What the table says about a task's data.

    Attributes:
        name, headline: of the task and of its headline metric.
        origins: where its data came from, as the trials recorded it.
        fingerprints: of its data, in full.
        sizes: split -> number of examples; of train, the most that a trial saw.
        majority: number and name of the most frequent class of the table's split; None before
            the first result.
        majority_share: its share of the examples, a fraction.
        class_sizes: examples of each class on the table's split.
        f1: whose F1 it is; None before the first record.
        positive: the same as the results say it.
        caveats: metrics that the split's labels leave undefined, or out of a mean, each with a
            sentence about it.
        undefined: those of them that are undefined.
        targets: of a regression, how many there are, their mean and the sum of their squared
            deviations from it.
    """

    name: str
    headline: str
    origins: tuple[str, ...]
    fingerprints: tuple[str, ...]
    sizes: dict[str, int]
    majority: tuple[int, str] | None
    majority_share: float | None
    class_sizes: tuple[int, ...]
    f1: str | None = None
    positive: Positive | None = None
    caveats: dict[str, str] = field(default_factory=dict)
    undefined: tuple[str, ...] = ()
    targets: tuple[int, float, float] | None = None

    @property
    def line(self) -> str:
        """One line of the table's header."""
        parts = [", ".join(self.origins) or "no trial has read it yet"]
        parts += [f"{n} {split}" for split, n in self.sizes.items()]
        if self.majority is not None and self.majority_share is not None:
            share = number(self.majority_share, "percent")
            parts.append(f"majority class {self.majority[1]} {share} %")
        if self.targets is not None:
            count, mean, squares = self.targets
            parts.append(f"targets {mean:.4g} ± {(squares / count) ** 0.5:.4g}")
        parts.append(headline(self.headline, self.f1))
        parts += dict.fromkeys(self.caveats.values())
        parts.append(f"fingerprint {', '.join(print_[:12] for print_ in self.fingerprints)}")
        return "; ".join(parts)


def task_facts(
    plan: Sequence[PlannedTrial], records: Mapping[str, TrialRecord], split: str
) -> tuple[TaskFacts, ...]:
    """Collect the facts of every task of the plan, in its order."""
    tasks = {name: task.headline for trial in plan for name, task in trial.config.tasks.items()}
    ended = [records[trial.key] for trial in plan if trial.key in records]
    return tuple(_facts(task, headline, plan, ended, split) for task, headline in tasks.items())


def _facts(
    task: str,
    headline: str,
    plan: Sequence[PlannedTrial],
    ended: Sequence[TrialRecord],
    split: str,
) -> TaskFacts:
    prints = [t.config.fingerprints[task] for t in plan if task in t.config.fingerprints]
    recorded = [r.examples_per_split[task] for r in ended if task in r.examples_per_split]
    origins = dict.fromkeys(r.origins[task] for r in ended if task in r.origins)
    # Arms may see shares of the training examples.
    sizes = max(recorded, key=lambda split_sizes: split_sizes.get("train", 0), default={})
    names = next((r.labels[task] for r in ended if task in r.labels), ())
    result = next((r.results[split][task] for r in ended if task in r.results.get(split, {})), None)
    classes = () if result is None else tuple(sum(row) for row in result.confusion)
    majority = classes.index(max(classes)) if classes else None
    positive = next(t.config.tasks[task].positive for t in plan if task in t.config.tasks)
    known = len(names) == len(classes) > 0
    numbers = None if result is None else result.numbers
    equal: dict[str, str] = {}
    if numbers is not None and correlation(numbers.values) is None:
        equal |= dict.fromkeys(REGRESSION, EQUAL_TARGETS.format(split=split))
    return TaskFacts(
        name=plain(task),
        headline=headline,
        origins=tuple(dict.fromkeys(map(plain, origins))),
        fingerprints=tuple(dict.fromkeys(prints)),
        sizes=dict(sizes),
        majority=None if majority is None else (majority, _class_name(names, majority)),
        majority_share=None if majority is None else classes[majority] / sum(classes),
        class_sizes=classes,
        f1=plain(f1_name(names, positive)) if names else None,
        positive=None if result is None else result.positive,
        caveats=caveats(names, positive, split, classes) if known else equal,
        undefined=tuple(sorted(undefined(classes, f1_of(names, positive)) if known else equal)),
        targets=None
        if numbers is None
        else (numbers.examples, numbers.mean_target, numbers.target_squares),
    )


def _class_name(names: Sequence[str], index: int) -> str:
    return plain(names[index]) if index < len(names) else f"class {index}"


def majority_result(facts: TaskFacts) -> TaskResult:
    """The result of always predicting the task's most frequent class, or its mean target."""
    if facts.targets is not None:
        count, mean, squares = facts.targets
        constant = Moments.of(np.array([count, mean, mean, squares, 0.0, 0.0]))
        return TaskResult(numbers=constant, ranks=constant)
    index = facts.majority[0] if facts.majority else 0
    width = len(facts.class_sizes)
    rows = tuple(tuple(n if j == index else 0 for j in range(width)) for n in facts.class_sizes)
    return TaskResult(confusion=rows, positive=facts.positive, loss=None, leak=None)


def header(
    plan: Sequence[PlannedTrial],
    records: Mapping[str, TrialRecord],
    split: str,
    facts: Sequence[TaskFacts],
    data: DataFacts | None = None,
) -> tuple[tuple[str, str], ...]:
    """Name and text of every line above the table."""
    configs = [trial.config for trial in plan]
    ended = [records[trial.key] for trial in plan if trial.key in records]
    machines = [
        f"{r.device} {r.precision} ({r.threads} CPU thread{'s' * (r.threads > 1)})" for r in ended
    ]
    lines = (
        ("protocol", _by_arm(configs, lambda config: protocol(config, split))),
        ("budget", _by_arm(configs, budget)),
        *((f"task {task.name}", task.line) for task in facts),
        *(() if data is None else data_lines(data)),
        ("models", listed([_model(c.model_name, c.model) for c in configs])),
        ("seeds", listed([str(c.seed) for c in sorted(configs, key=lambda c: c.seed)])),
        ("trials", _trials(len(plan), ended)),
        ("machine", listed(machines)),
        (
            "numbers",
            _numbers([task.headline for task in facts]),
        ),
    )
    return tuple((plain(name), plain(text)) for name, text in lines if text)


def _numbers(headlines: Sequence[str]) -> str:
    """How the table's numbers are written and what they are."""
    regressions = [metric for metric in headlines if metric in REGRESSION]
    others = ", Pearson and Spearman correlation too" if regressions else ""
    pooled = "all examples of tasks with classes" if regressions else "all tasks' examples"
    return (
        f"accuracy and F1 in percent, Matthews correlation (MCC) as a fraction{others}; mean ± "
        "sample standard deviation over seeds; macro: mean of the headline metrics; pooled: "
        f"{pooled} together; train time: all models of a row, evaluation left out"
    )


def _by_arm(configs: Sequence[TrialConfig], describe: Callable[[TrialConfig], str]) -> str:
    """The text that describes all trials; where texts differ, each after its arms."""
    described: dict[tuple[str, bool], list[str]] = {}
    for config in configs:
        name = config.arm.label or config.arm_name
        described.setdefault((describe(config), config.tuned), []).append(name)
    if len(described) < 2:
        return "".join(text for text, _ in described)
    return " / ".join(
        f"{listed(arms)}{TUNED * tuned}: {text}" for (text, tuned), arms in described.items()
    )


def protocol(config: TrialConfig, split: str) -> str:
    """Which split is reported and what was selected on what."""
    carved = f"a selection split of {100 * config.selection.fraction:g} % carved from train"
    if config.training.keep == "best":
        how = f"best epoch chosen on {carved}"
    elif config.training.early_stopping is not None:
        how = f"stopped early on {carved}; last epoch before the stop reported"
    elif config.selection.carved_fraction(config.training) is not None:
        how = f"last epoch reported; {carved} is held out, nothing selected on it"
    else:
        how = "last epoch reported; nothing selected on it"
    chosen = config.training.keep == "best" or config.training.early_stopping is not None
    if config.tuned:
        how += (
            "; the settings of tuned rows were chosen by search on a selection split carved from "
            "train, never on validation"
        )
    chosen = chosen or config.tuned
    warning = "; optimistic: it was selected on" if split == "selection" and chosen else ""
    return f"{split} split; {how}{warning}"


def budget(config: TrialConfig) -> str:
    """How much training each trial got; tuned ones differ, trial by trial."""
    if config.tuned:
        return "settings found by search on the selection split, see tuning.md"
    training = config.training
    if config.total_steps is not None:
        amount = f"{config.total_steps} optimiser steps in every trial"
    else:
        amount = f"{training.epochs} pass{'es' * (training.epochs > 1)} over the data"
    parts = [
        f"matched in {training.budget}: {amount}",
        f"batch size {training.batch_size}",
        f"learning rate {training.learning_rate:g}, {training.schedule} schedule",
        f"weight decay {training.weight_decay:g}",
    ]
    parts += [text for text, is_used in _unusual(training) if is_used]
    limits = config.limits
    most = limits.max_train_examples
    if isinstance(most, dict):
        each = ", ".join(f"{number} of {name}" for name, number in most.items())
        parts.append(f"at most {each} train examples")
    elif most is not None:
        parts.append(f"at most {most} train examples per task")
    if limits.max_validation_examples is not None:
        parts.append(f"at most {limits.max_validation_examples} validation examples per task")
    if limits.train_fraction is not None and config.arm.train_fraction is None:
        parts.append(f"{share(limits.train_fraction)} of the train examples")
    return ", ".join(parts)


def _unusual(training: TrainingConfig) -> tuple[tuple[str, bool], ...]:
    """Settings that are not the default's, each with whether it is used."""
    return (
        (training.optimizer, training.optimizer != "adamw"),
        (f"warm-up {training.warmup}", training.warmup != 0),
        (f"layer decay {training.layer_decay:g}", training.layer_decay != 1),
        (f"{training.class_weights} class weights", training.class_weights != "none"),
        (f"averaged weights ({training.ema_decay})", training.ema_decay is not None),
        ("not deterministic", not training.deterministic),
    )


def _model(name: str, model: ModelConfig) -> str:
    layers = "" if model.num_layers is None else f", first {model.num_layers} layers"
    random = ", random weights" if model.weights == "random" else ""
    return f"{name} ({model.encoder}{layers}{random}, {model.max_length} tokens)"


def _trials(planned: int, ended: Sequence[TrialRecord]) -> str:
    statuses = [record.status for record in ended]
    order = (TrialStatus.FINISHED, TrialStatus.FAILED, TrialStatus.DIVERGED)
    parts = [f"{statuses.count(status)} {status}" for status in order if status in statuses]
    not_run = planned - len(ended)
    return ", ".join([f"{planned} planned", *parts, *([f"{not_run} not run"] if not_run else [])])
