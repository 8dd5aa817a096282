"""Exports a trial's metrics to Ray's endpoint for Prometheus and Grafana (docs/dashboard.md)."""

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
"""Labels of every gauge; ``task`` joins the names of a trial's tasks with ``+``."""

GAUGES = {
    "epoch": "Passes over the training data so far",
    "epochs": "Passes over the training data that the trial will make",
    "loss": "Training loss of the latest step; absent where it is not finite",
    "headline": "Latest evaluation: the task's headline metric, or their mean; a fraction",
    "examples_per_second": "Training examples per second of training time",
    "gpu_memory_bytes": "GPU memory that the trial's process has reserved; 0 without a GPU",
}
"""Gauge name -> description. The endpoint adds ``ray_`` before ``PREFIX``."""

SECONDS = 1.0
"""Shortest time between two updates; Ray exports them every ten seconds."""


class TrialMetrics:
    """The gauges of one trial.

    Ray drops gauges that have not been set for about 20 seconds, so a trial that has ended, or
    whose process died, disappears from the endpoint by itself.

    Attributes:
        tags: the labels of all gauges, label -> value.
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
        self._last_update = -math.inf

    def show(self, result: Mapping[str, Any]) -> None:
        """Set the gauges from a ``Progress``, at most once a second except for the last result.

        Does nothing outside a Ray process; errors of Ray's metrics are ignored.
        """
        now = time.monotonic()
        if not ray.is_initialized() or (now - self._last_update < SECONDS and not result["done"]):
            return
        self._last_update = now
        with suppress(Exception):
            for name, value in _values(result).items():
                _gauge(name).set(value, tags=self.tags)


def _values(result: Mapping[str, Any]) -> dict[str, float]:
    """Gauge name -> value, for the gauges that have a value."""
    values = {name: result.get(name) for name in GAUGES}
    # Asking for a GPU that this process does not use would allocate memory on it.
    uses_gpu = torch.cuda.is_initialized()
    values["gpu_memory_bytes"] = torch.cuda.memory_reserved() if uses_gpu else 0
    return {name: float(value) for name, value in values.items() if value is not None}


@cache
def _gauge(name: str) -> Gauge:
    """The process's gauge ``name``, shared by all its trials."""
    return Gauge(PREFIX + name, description=GAUGES[name], tag_keys=TAGS)
