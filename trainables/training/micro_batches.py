"""Gradient accumulation: micro-batches that are halved when a step runs out of memory.

A step that runs out of memory is repeated with twice as many micro-batches of half the size. Each
example keeps its weight in the loss, so the effective batch, and with it the result, stays as
configured except for rounding and dropout masks. Later steps keep the smaller micro-batches. The
number is part of the checkpoint, so a resumed trial computes what it would have computed anyway.
"""

import math
from collections.abc import Callable
from typing import Any

from trainables.training.memory import Result, attempt, out_of_memory_error


class Accumulation:
    """The current number of micro-batches per batch.

    Args:
        parts: micro-batches per batch, as configured.
        batch_size: examples in the largest batch, and so the most micro-batches there can be.

    Attributes:
        parts: micro-batches of the next batch.
        changes: every change so far, in order: the first step with it, counted from 1, and the
            number of micro-batches.
        kills: how many out-of-memory kills of the trial's process have been applied.
    """

    def __init__(self, parts: int, batch_size: int) -> None:
        self.parts = parts
        self.changes: list[tuple[int, int]] = []
        self.kills = 0
        self._batch_size = batch_size

    def micro_batch_size(self, size: int) -> int:
        """Examples per micro-batch of a batch of ``size`` examples; the last may have fewer."""
        return math.ceil(size / self.parts)

    def double(self, step: int) -> None:
        """Use twice as many micro-batches from ``step`` (counted from 1) on."""
        parts = min(2 * self.parts, self._batch_size)
        if parts > self.parts:
            self.parts = parts
            self.changes = [change for change in self.changes if change[0] != step]
            self.changes.append((step, parts))

    def apply_memory_kills(self, kills: int, step: int) -> None:
        """Double the micro-batches once for each of ``kills`` that has not been applied yet."""
        for _ in range(kills - self.kills):
            self.double(step)
        self.kills = max(self.kills, kills)

    def run_with_backoff(
        self, compute: Callable[[], Result], undo: Callable[[], None], step: int, size: int
    ) -> Result:
        """Compute the gradients of a step; on out-of-memory, retry with smaller micro-batches.

        Args:
            compute: computes the step in micro-batches of ``micro_batch_size(size)`` examples.
            undo: discards what a failed attempt may have added to the gradients.
            step: the step, counted from 1.
            size: examples in its batch.

        Raises:
            TrialError: not even a single example fits into memory.
        """
        while True:
            result = attempt(compute)
            if result is not None:
                return result
            undo()
            if self.micro_batch_size(size) == 1:
                raise out_of_memory_error(f"step {step}")
            self.double(step)

    def state_dict(self) -> dict[str, Any]:
        """See ``Stateful``."""
        changes = [list(change) for change in self.changes]
        return {"parts": self.parts, "changes": changes, "kills": self.kills}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See ``Stateful``."""
        changes = [(int(step), int(parts)) for step, parts in state_dict["changes"]]
        parts, kills = int(state_dict["parts"]), int(state_dict["kills"])
        if parts < 1 or kills < 0:
            raise ValueError(f"{parts} micro-batches after {kills} kills")
        self.parts, self.changes, self.kills = parts, changes, kills
