"""What a plan, a table and a report say of the tasks' data, and what is wrong with it.

Counted on whole splits, before limits and the selection split (see ``trainables/data/profile.py``).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from pydantic import NonNegativeInt, PositiveInt

from orchestrator.planning.encoders import cut_texts
from orchestrator.planning.grid import Grid
from trainables.config.base import Settings
from trainables.data.label_space import letters
from trainables.data.outline import TaskOutline
from trainables.data.profile import TaskProfile
from trainables.errors import DataError

SMALL_STEP = 0.005
"""Part of the macro average that one validation example should move less."""

_SHOWN = 5
"""Class names that a finding lists at most."""


class Finding(Settings):
    """Something about the data that its owner should know.

    Attributes:
        check: the key of ``checks`` that decides what is done about it.
        task: the task that it is about.
        text: one line.
    """

    check: str
    task: str
    text: str

    @property
    def line(self) -> str:
        """The line, with the key."""
        return f"{self.text} (checks.{self.check})"


class CutTexts(Settings):
    """The examples that are longer than a model reads: task -> split -> examples."""

    max_length: PositiveInt
    tasks: dict[str, dict[str, NonNegativeInt]]


class PooledClasses(Settings):
    """The classes of a ``naive_concat`` arm's one classifier.

    Attributes:
        by: what pools labels of several tasks: their name or their position; union: nothing.
        classes: of each class, task -> label.
    """

    by: Literal["name", "position", "union"]
    classes: tuple[dict[str, str], ...]


class DataFacts(Settings):
    """What is known of the tasks' data.

    Attributes:
        tasks: task -> what its whole splits hold.
        across: task -> another task -> split -> examples that stand in the other task's train.
        cut: model -> texts that it cuts; empty with ``checks.truncation=off``.
        dropped: task -> training examples that are left out, where any are to be.
        pooled: ``naive_concat`` arm -> its classes.
        findings: what is worth a warning.
    """

    tasks: dict[str, TaskProfile]
    across: dict[str, dict[str, dict[str, NonNegativeInt]]]
    cut: dict[str, CutTexts]
    dropped: dict[str, NonNegativeInt]
    pooled: dict[str, PooledClasses]
    findings: tuple[Finding, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """The findings as lines."""
        return tuple(finding.line for finding in self.findings)


def data_facts(grid: Grid, arms: Iterable[str], models: Iterable[str]) -> DataFacts:
    """Find out what the data of a grid holds.

    Raises:
        InputError: data or a tokenizer that cannot be used, or a finding that is to be an error.
    """
    checks = grid.config.checks
    sources = grid.sources
    facts = DataFacts(
        tasks={name: source.profile for name, source in sources.items()},
        across={
            name: {other: source.shared_with(sources[other]) for other in sources if other != name}
            for name, source in sources.items()
        },
        cut={
            name: CutTexts(
                max_length=grid.config.model_config_of(name).max_length,
                tasks=cut_texts(grid.config.model_config_of(name), sources),
            )
            for name in models
            if checks.truncation != "off"
        },
        dropped={
            name: source.dropped(*grid.left_out(name))
            for name, source in sources.items()
            if "drop" in (checks.shared_texts, checks.shared_across_tasks)
        },
        pooled=dict(_pooled(grid, arms)),
        findings=(),
    )
    findings = [
        finding
        for finding in _findings(facts, grid.tasks)
        if getattr(checks, finding.check) not in ("off", "drop")
    ]
    for finding in findings:
        if getattr(checks, finding.check) == "error":
            raise DataError(f"{finding.text} (checks.{finding.check}=error)")
    return facts.model_copy(update={"findings": tuple(findings)})


def _pooled(grid: Grid, arms: Iterable[str]) -> Iterator[tuple[str, PooledClasses]]:
    for arm in arms:
        tasks = grid.tasks_of(arm)
        space = grid.label_space_of(arm, tasks)
        if space is not None:
            classes: list[dict[str, str]] = [{} for _ in range(space.size)]
            for task, data in tasks.items():
                for label, index in zip(data.labels, space.classes[task], strict=True):
                    classes[index][task] = label
            yield arm, PooledClasses(by=space.by, classes=tuple(classes))


def _findings(facts: DataFacts, outlines: Mapping[str, TaskOutline]) -> Iterator[Finding]:
    """Everything that is worth a warning.

    Args:
        facts: of all tasks.
        outlines: task -> the data that trials see.
    """
    for task, profile in facts.tasks.items():
        for check, text in (
            *_class_findings(profile, outlines[task]),
            *_text_findings(profile),
            *_across_findings(profile, facts.across[task]),
            *_cut_findings(task, profile, facts.cut),
            *_size_findings(len(outlines[task].splits["validation"]), len(facts.tasks)),
        ):
            yield Finding(check=check, task=task, text=f"{task}: {text}")


Found = Iterator[tuple[str, str]]
"""Keys of ``checks``, each with what is said of a task."""


def _class_findings(profile: TaskProfile, outline: TaskOutline) -> Found:
    if not profile.labels:
        return
    train = dict(zip(profile.labels, profile.classes["train"], strict=True))
    for number, how_many in ((0, "no example"), (1, "one example")):
        if names := [name for name, count in train.items() if count == number]:
            yield "rare_classes", f"train has {how_many} of {_listed(names)}"
    left = outline.splits["train"].class_sizes
    if gone := [
        name for name, n in zip(profile.labels, left, strict=True) if train[name] and not n
    ]:
        text = f"no train example of {_listed(gone)} is left by the limits or checks that drop"
        yield "rare_classes", text
    for split, counts in profile.classes.items():
        if split == "train":
            continue
        there = [name for name, count in zip(profile.labels, counts, strict=True) if count]
        if len(there) == 1:
            yield "missing_classes", f"all {sum(counts)} {split} examples are {there[0]!r}"
        elif missing := [name for name in profile.labels if name not in there and train[name]]:
            yield "missing_classes", f"{split} has no example of {_listed(missing)}"
    for names in similar_names(profile.labels):
        listed = " and ".join(map(repr, names))
        yield "similar_names", f"classes {listed} differ in case, spaces or punctuation alone"


def similar_names(names: Sequence[str]) -> list[list[str]]:
    """Names that are equal but for case, spaces, punctuation and the form of Unicode."""
    alike = defaultdict(list)
    for name in names:
        alike[letters(name)].append(name)
    return [group for group in alike.values() if len(group) > 1]


def _text_findings(profile: TaskProfile) -> Found:
    if profile.repeated:
        copies = f"{profile.copies} cop{'ies' if profile.copies > 1 else 'y'}"
        yield "duplicates", f"{_texts(profile.repeated)} more than once in train ({copies})"
    if profile.contradictions:
        yield "contradictions", f"{_texts(profile.contradictions)} in train with different labels"
    for split, overlap in profile.in_train.items():
        if overlap.examples:
            text = f"{overlap.examples} of {profile.sizes[split]} {split} examples also stand in"
            other = f", {overlap.other_label} of them only with another label"
            yield "shared_texts", f"{text} train" + other * bool(overlap.other_label)


def _texts(number: int) -> str:
    return f"{number} texts stand" if number > 1 else "1 text stands"


def _across_findings(profile: TaskProfile, across: dict[str, dict[str, int]]) -> Found:
    for other, shared in across.items():
        for split, number in shared.items():
            if number:
                text = (
                    f"{number} of {profile.sizes[split]} {split} examples stand in the train split "
                    f"of {other}, which multi-task arms read and single_task does not"
                )
                yield "shared_across_tasks", text


def _cut_findings(task: str, profile: TaskProfile, cut: dict[str, CutTexts]) -> Found:
    for model, texts in cut.items():
        counts = [
            f"{number} of {profile.sizes[split]} {split}"
            for split, number in texts.tasks[task].items()
            if number
        ]
        if counts:
            text = (
                f"{', '.join(counts)} examples are longer than the {texts.max_length} tokens that "
                f"{model} reads, and are cut; the key is define.models.{model}.max_length"
            )
            yield "truncation", text


def _size_findings(examples: int, tasks: int) -> Found:
    step = 1 / (examples * tasks)
    if step >= SMALL_STEP:
        points = f"{100 * step:.2g} points of the macro average"
        yield "small_validation", f"one of its {examples} validation examples is {points}"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:_SHOWN]))
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
