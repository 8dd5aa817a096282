"""Notes when a training with Hugging Face's Trainer begins and ends."""

import time
from typing import Any

import torch
from transformers import TrainerCallback


class TrainerClock(TrainerCallback):
    """Readings of ``time.perf_counter``, after the device has finished.

    Attributes:
        began: when training began.
        ended: when it ended, with the evaluations within it.
    """

    began = 0.0
    ended = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """See transformers."""
        self.began = time.perf_counter()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """See transformers."""
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        self.ended = time.perf_counter()
