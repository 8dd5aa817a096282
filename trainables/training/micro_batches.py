"""Into how many micro-batches a step's batch is cut, and cut further where it does not fit.

A step that does not fit into memory is repeated with twice as many micro-batches of half the
size: each example keeps its weight in the loss, so the effective batch, and with it what is
learned, stays as configured but for rounding and dropout's masks. Later steps stay with the finer
cut. It is part of a checkpoint, so a trial that goes on computes what it would have computed.
"""

import math
from collections.abc import Callable
from typing import Any

from trainables.training.memory import Result, attempt, out_of_memory_error


class Accumulation:
    """The number of micro-batches in force.

    Args:
        parts: micro-batches of one batch, as configured.
        batch_size: examples of the largest batch, beyond which no cut is finer.

    Attributes:
        parts: micro-batches of the next batch.
        changes: (first step, counted from 1, that was cut so; parts), in order.
        kills: how many times the trial's process was killed for its memory, as far as heeded.
    """

    def __init__(self, parts: int, batch_size: int) -> None:
        self.parts = parts
        self.changes: list[tuple[int, int]] = []
        self.kills = 0
        self._batch_size = batch_size

    def micro(self, size: int) -> int:
        """Examples of one micro-batch of a batch of ``size`` examples."""
        return math.ceil(size / self.parts)

    def double(self, step: int) -> None:
        """Cut twice as finely from ``step`` (counted from 1) on."""
        parts = min(2 * self.parts, self._batch_size)
        if parts > self.parts:
            self.parts = parts
            self.changes = [change for change in self.changes if change[0] != step]
            self.changes.append((step, parts))

    def apply_memory_kills(self, kills: int, step: int) -> None:
        """Double once for each kill that is not heeded yet, of ``kills`` in all."""
        for _ in range(kills - self.kills):
            self.double(step)
        self.kills = max(self.kills, kills)

    def run_with_backoff(
        self, compute: Callable[[], Result], undo: Callable[[], None], step: int, size: int
    ) -> Result:
        """``compute`` the gradients of a step, with ever smaller micro-batches.

        Args:
            compute: the step, in micro-batches of ``micro(size)`` examples.
            undo: takes back all that a failed attempt may have left.
            step: counted from 1.
            size: examples of its batch.

        Raises:
            TrialError: not even one example at a time fits.
        """
        while True:
            computed = attempt(compute)
            if computed is not None:
                return computed
            undo()
            if self.micro(size) == 1:
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
