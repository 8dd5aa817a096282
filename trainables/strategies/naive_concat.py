"""Strategy ``naive_concat``: the examples of all tasks pooled, and one classifier for all.

It ignores tasks altogether, as without any multi-task learning: the baseline that a shared encoder
has to beat. Its label space (``trainables/data/label_space.py``) says which of the one
classifier's classes each task's labels are.
"""

from collections.abc import Iterator

import numpy as np
import torch

from trainables.config.arms import NaiveConcatArm
from trainables.config.trial import TrainingConfig
from trainables.data.label_space import label_space
from trainables.strategies.base import Part, Step, Strategy, TrainTask

HEAD = "pooled"


class NaiveConcat(Strategy):
    """One head trained on the pooled examples."""

    def __init__(
        self, tasks: list[TrainTask], training: TrainingConfig, seed: int, arm: NaiveConcatArm
    ) -> None:
        super().__init__(tasks, training, seed)
        self.arm = arm
        names = {task.name: task.labels or tuple(map(str, range(task.classes))) for task in tasks}
        self._space = label_space(names, arm.label_space)
        self._own = [torch.tensor(self._space.classes[task.name]) for task in tasks]
        sizes = [len(task.train) for task in tasks]
        self._task = np.repeat(np.arange(len(tasks)), sizes)
        self._index = np.concatenate([np.arange(size) for size in sizes])
        lengths = np.concatenate([task.train.lengths for task in tasks])
        self._pooled = self.stream(HEAD, lengths, training.batch_size)

    @property
    def heads(self) -> dict[str, int]:
        """The only head."""
        return {HEAD: self._space.size}

    @property
    def steps_per_pass(self) -> int:
        """Batches in one pass over the pooled examples."""
        return self._pooled.per_pass

    def head_of(self, task: int) -> str:
        """The only head."""
        return HEAD

    def steps(self, start: int) -> Iterator[Step]:
        """See ``Strategy.steps``."""
        step = start
        while True:
            chosen = self._pooled.batch(step)
            chosen = chosen[np.argsort(self._task[chosen], kind="stable")]
            tasks = self._task[chosen]
            parts = []
            for task in np.unique(tasks):
                part = self.tasks[task].train.collate(self._index[chosen[tasks == task]])
                part["labels"] = self.head_labels(task, part["labels"])
                # Not every task has it, and the pooled head does not use it.
                part.pop("texts", None)
                parts.append(part)
            yield Step((Part(HEAD, _join(parts, self.tasks[0].train.pad_id), tasks),))
            step += 1

    def head_labels(self, task: int, labels: torch.Tensor) -> torch.Tensor:
        """See ``Strategy.head_labels``."""
        return self._own[task][labels]

    def classes_of(self, task: int) -> tuple[int, ...]:
        """See ``Strategy.classes_of``."""
        return self._space.classes[self.tasks[task].name]

    def own_labels(self, task: int, labels: torch.Tensor) -> torch.Tensor:
        """See ``Strategy.own_labels``."""
        return self._own_number(task, labels)

    def own_logits(self, task: int, logits: torch.Tensor) -> torch.Tensor:
        """See ``Strategy.own_logits``."""
        return logits[:, self._own[task].to(logits.device)]

    def predictions(self, task: int, logits: torch.Tensor) -> torch.Tensor:
        """See ``Strategy.predictions``."""
        if self.arm.mask_other_tasks or self.arm.label_space != "union":
            return self.own_logits(task, logits).argmax(dim=-1)
        return self._own_number(task, logits.argmax(dim=-1))

    def leaked(self, task: int, logits: torch.Tensor) -> torch.Tensor | None:
        """See ``Strategy.leaked``."""
        if self.arm.label_space != "union":
            return None
        return self._own_number(task, logits.argmax(dim=-1)) == self.tasks[task].classes

    def _own_number(self, task: int, classes: torch.Tensor) -> torch.Tensor:
        """The task's own numbers of classes of the head, ``(batch,)``; ``classes`` for others."""
        own = torch.full((self._space.size,), self.tasks[task].classes)
        own[self._own[task]] = torch.arange(self.tasks[task].classes)
        return own.to(classes.device)[classes]


def _join(parts: list[dict[str, torch.Tensor]], pad_id: int) -> dict[str, torch.Tensor]:
    """Concatenate several collated batches, padded to the widest."""
    width = max(part["input_ids"].shape[1] for part in parts)
    joined = {}
    for name in parts[0]:
        if name == "labels":
            joined[name] = torch.cat([part[name] for part in parts])
            continue
        value = pad_id if name == "input_ids" else 0
        joined[name] = torch.cat(
            [
                torch.nn.functional.pad(part[name], (0, width - part[name].shape[1]), value=value)
                for part in parts
            ]
        )
    return joined
