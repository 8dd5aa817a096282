"""What a trial tells Ray's metrics endpoint, for Prometheus and Grafana (docs/dashboard.md)."""

import math
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any

import ray
import torch
from ray.util.metrics import Gauge

from trainables.config.trial import TrialConfig

PREFIX = "one_or_many_"

TAGS = ("trial", "arm", "strategy", "model", "task", "seed")
"""Labels of every gauge; ``task`` joins the names of several tasks with ``+``."""

GAUGES = {
    "epoch": "Passes over the training data so far",
    "epochs": "Passes over the training data that the trial will make",
    "loss": "Training loss of the latest step; absent where it is not finite",
    "headline": "Latest evaluation: the task's headline metric, or their mean; a fraction",
    "examples_per_second": "Training examples per second of training time",
    "gpu_memory_bytes": "GPU memory that the trial's process has reserved; 0 without a GPU",
}
"""Name -> description. The endpoint puts ``ray_`` before ``PREFIX``."""

SECONDS = 1.0
"""Least time between two updates; Ray exports them every ten seconds."""


class TrialMetrics:
    """The gauges of one trial. Ray drops those that have not been set for about 20 seconds, so a
    trial that has ended, or whose process died, disappears from the endpoint by itself.

    Attributes:
        tags: label -> value, for all its gauges.
    """

    def __init__(self, config: TrialConfig) -> None:
        self.tags = {
            "trial": config.key,
            "arm": config.arm_name,
            "strategy": config.arm.strategy,
            "model": config.model_name,
            "task": "+".join(config.tasks),
            "seed": str(config.seed),
        }
        self._shown = -math.inf

    def show(self, result: Mapping[str, Any]) -> None:
        """Set the gauges from a ``Progress``; at most once a second but for the last result.

        Outside a Ray process nothing happens, and no fault of Ray's metrics reaches the trial.
        """
        now = time.monotonic()
        if not ray.is_initialized() or (now - self._shown < SECONDS and not result["done"]):
            return
        self._shown = now
        with suppress(Exception):
            for name, value in _values(result).items():
                _gauge(name).set(value, tags=self.tags)


def _values(result: Mapping[str, Any]) -> dict[str, float]:
    """The gauges that have a value."""
    values = {name: result.get(name) for name in GAUGES}
    # Asking a GPU that this process does not use would make it use memory there.
    used = torch.cuda.is_initialized()
    values["gpu_memory_bytes"] = torch.cuda.memory_reserved() if used else 0
    return {name: float(value) for name, value in values.items() if value is not None}


@cache
def _gauge(name: str) -> Gauge:
    """One per process, whatever trials it runs."""
    return Gauge(PREFIX + name, description=GAUGES[name], tag_keys=TAGS)
