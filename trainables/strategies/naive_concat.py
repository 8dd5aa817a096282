"""Strategy ``naive_concat``: the examples of all tasks pooled, and one classifier for all.

It ignores tasks altogether, as without any multi-task learning: the baseline that a shared encoder
has to beat. With the label space ``shared``, label ``k`` of every task is class ``k``; with
``union``, every task has classes of its own in the one classifier.
"""

from collections.abc import Iterator

import numpy as np
import torch

from trainables.config.arms import NaiveConcatArm
from trainables.config.trial import TrainingConfig
from trainables.strategies.base import Part, Step, Strategy, TrainTask

HEAD = "pooled"


class NaiveConcat(Strategy):
    """One head trained on the pooled examples."""

    def __init__(
        self, tasks: list[TrainTask], training: TrainingConfig, seed: int, arm: NaiveConcatArm
    ) -> None:
        super().__init__(tasks, training, seed)
        self.arm = arm
        classes = [task.classes for task in tasks]
        if arm.label_space == "shared":
            if len(set(classes)) != 1:
                raise ValueError(
                    f"label space shared needs equal numbers of classes, not {classes}"
                )
            self._offsets = [0] * len(tasks)
            self._classes = classes[0]
        else:
            self._offsets = [sum(classes[:i]) for i in range(len(tasks))]
            self._classes = sum(classes)
        sizes = [len(task.train) for task in tasks]
        self._task = np.repeat(np.arange(len(tasks)), sizes)
        self._index = np.concatenate([np.arange(size) for size in sizes])
        lengths = np.concatenate([task.train.lengths for task in tasks])
        self._pooled = self._stream(HEAD, lengths, training.batch_size)

    @property
    def heads(self) -> dict[str, int]:
        """The only head."""
        return {HEAD: self._classes}

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
        return labels + self._offsets[task]

    def own_labels(self, task: int, labels: torch.Tensor) -> torch.Tensor:
        """See ``Strategy.own_labels``."""
        return labels - self._offsets[task]

    def own_logits(self, task: int, logits: torch.Tensor) -> torch.Tensor:
        """See ``Strategy.own_logits``."""
        start = self._offsets[task]
        return logits[:, start : start + self.tasks[task].classes]

    def predictions(self, task: int, logits: torch.Tensor) -> torch.Tensor:
        """See ``Strategy.predictions``."""
        if self.arm.mask_other_tasks or self.arm.label_space == "shared":
            return self.own_logits(task, logits).argmax(dim=-1)
        chosen = logits.argmax(dim=-1) - self._offsets[task]
        classes = self.tasks[task].classes
        return torch.where((chosen >= 0) & (chosen < classes), chosen, classes)

    def leaked(self, task: int, logits: torch.Tensor) -> torch.Tensor | None:
        """See ``Strategy.leaked``."""
        if self.arm.label_space == "shared":
            return None
        chosen = logits.argmax(dim=-1) - self._offsets[task]
        return (chosen < 0) | (chosen >= self.tasks[task].classes)


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
