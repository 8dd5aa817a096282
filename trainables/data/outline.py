"""What a plan needs to know of the tasks' data, without the texts.

Kept in the token cache while the files of a task stay the same, so that a second plan reads none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import NonNegativeInt

from trainables.config.base import Settings
from trainables.config.task import TaskConfig
from trainables.config.trial import LimitsConfig
from trainables.data.fact_cache import code_identity, files_identity, remembered
from trainables.data.profile import (
    TaskProfile,
    Texts,
    held_out_texts,
    profile,
    shared_with,
    without,
)
from trainables.data.sources import prepare_task, read_task
from trainables.data.splits import RawTask, fingerprint, in_both_orders

_CODE = (Path(__file__).parent, Path(__file__).parent.parent / "config")


class SplitOutline(Settings):
    """The size of a split.

    Attributes:
        examples: their number.
        mean_length: mean number of characters of each.
        class_sizes: examples of each class, in the order of the labels; none of a regression.
        distinct: different labels or targets.
    """

    examples: NonNegativeInt
    mean_length: float
    class_sizes: tuple[NonNegativeInt, ...]
    distinct: NonNegativeInt

    def __len__(self) -> int:
        return self.examples


class TaskOutline(Settings):
    """A :class:`TaskData` without its texts; the attributes are the same."""

    name: str
    labels: tuple[str, ...]
    splits: dict[str, SplitOutline]
    fingerprint: str
    origin: str
    pair: bool

    @property
    def outputs(self) -> int:
        """See ``TaskData``."""
        return len(self.labels) or 1


@dataclass(frozen=True)
class TaskSource:
    """Where a task's data is, whether it has been read yet or not.

    Attributes:
        name: the task's name.
        task: its configuration.
        source: a key of ``LOADERS``.
        glue_dir: the GLUE folder; None without one.
        root: folder of the token cache.
    """

    name: str
    task: TaskConfig
    source: str
    glue_dir: str | None
    root: Path

    @cached_property
    def raw(self) -> RawTask:
        """The whole splits.

        Raises:
            DataError: anything wrong with the data.
        """
        return read_task(self.name, self.task, self.source, self.glue_dir)

    @cached_property
    def held_out(self) -> frozenset[Texts]:
        """The texts of all whole splits but ``train``."""
        return held_out_texts(self.raw)

    @cached_property
    def identity(self) -> list[Any] | None:
        """What changes when the data does; None if that cannot be told without reading it."""
        if self.source == "files":
            assert self.task.files is not None
            named = self.task.files.model_dump().values()
            files = files_identity(
                Path(path).expanduser() for path in named if isinstance(path, str)
            )
        elif self.source == "glue_dir":
            folder = Path(self.glue_dir or "").expanduser() / (self.task.glue_dir or "")
            files = files_identity(folder.glob("*"))
        else:
            # The demo follows from the code alone. A cached data set of the Hub has many files.
            files = [] if self.source == "demo" else None
        if files is None:
            return None
        settings = self.task.model_dump(mode="json", exclude={"headline"})
        return [code_identity(*_CODE), self.name, self.source, settings, files]

    @cached_property
    def content(self) -> list[Any]:
        """What changes when the data does, found out by reading it where need be."""
        if self.identity is not None:
            return self.identity
        return [code_identity(*_CODE), fingerprint(self.raw.labels, self.raw.splits)]

    @property
    def profile(self) -> TaskProfile:
        """What the whole splits hold.

        Raises:
            DataError: anything wrong with the data.
        """
        about = self.identity and ["profile", self.identity]
        fact = remembered(self.root, about, self._profile)
        return TaskProfile.model_validate(fact)

    def _profile(self) -> dict[str, Any]:
        return profile(self.raw, self.task.both_orders).model_dump(mode="json")

    def shared_with(self, other: "TaskSource") -> dict[str, int]:
        """Count the examples of each split but ``train`` that stand in another task's ``train``."""
        known = self.identity and other.identity
        about = known and ["shared", self.identity, other.identity]

        def count() -> dict[str, int]:
            train = other.raw.splits["train"]
            read = in_both_orders(train) if other.task.both_orders else train
            return shared_with(self.raw, read.texts)

        return remembered(self.root, about, count)

    def dropped(self, drop_shared: bool, others: Sequence["TaskSource"]) -> int:
        """Count the examples of ``train`` that are left out, see :meth:`outline`."""
        identities = [self.identity, *(other.identity for other in others)]
        about = None if None in identities else ["dropped", identities, drop_shared]

        def count() -> int:
            held_out = _united([*others, *([self] if drop_shared else [])])
            train = self.raw.splits["train"]
            return len(train) - len(without(train, held_out, both_orders=self.task.both_orders))

        return remembered(self.root, about, count)

    def outline(
        self,
        limits: LimitsConfig,
        selection_fraction: float | None,
        drop_shared: bool = False,
        others: Sequence["TaskSource"] = (),
    ) -> TaskOutline:
        """Outline what a trial reads.

        Args:
            limits, selection_fraction, drop_shared: as of :func:`prepare_task`.
            others: tasks whose held-out texts are left out of ``train``.

        Raises:
            DataError: anything wrong with the data.
        """
        identities = [self.identity, *(other.identity for other in others)]
        about = None
        if None not in identities:
            settings = [limits.model_dump(mode="json"), selection_fraction, drop_shared]
            about = ["outline", identities, settings]

        def load() -> dict[str, Any]:
            data = prepare_task(
                self.name,
                self.task,
                self.raw,
                limits=limits,
                selection_fraction=selection_fraction,
                drop_shared=drop_shared,
                held_out=_united(others),
            )
            outline = TaskOutline(
                name=data.name,
                labels=data.labels,
                splits={
                    name: SplitOutline(
                        examples=len(split),
                        mean_length=split.mean_length,
                        class_sizes=tuple(split.class_sizes(len(data.labels))),
                        distinct=len(np.unique(split.labels)),
                    )
                    for name, split in data.splits.items()
                },
                fingerprint=data.fingerprint,
                origin=data.origin,
                pair=data.pair,
            )
            return outline.model_dump(mode="json")

        return TaskOutline.model_validate(remembered(self.root, about, load))


def _united(tasks: Sequence[TaskSource]) -> frozenset[Texts]:
    """The held-out texts of all these tasks."""
    return frozenset().union(*(task.held_out for task in tasks))
