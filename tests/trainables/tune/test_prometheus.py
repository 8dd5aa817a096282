"""Gauges that a trial sets; test_dashboard.py checks what Ray exports."""

from pathlib import Path
from typing import Any

import pytest

from tests.helpers.trials import trial_config
from trainables.tune import prometheus
from trainables.tune.prometheus import TrialMetrics

RESULT = {"epoch": 0.5, "epochs": 2, "loss": 0.25, "headline": 0.75, "examples_per_second": 9.0}


class Gauges:
    """What was set of Ray's gauges, in place of them, and the clock."""

    def __init__(self) -> None:
        self.set_to: list[tuple[str, float]] = []
        self.now = 100.0
        self.broken = False

    def __call__(self, name: str) -> Any:
        def set_(value: float, tags: dict[str, str]) -> None:
            if self.broken:
                raise RuntimeError("metrics are broken")
            self.set_to.append((name, value))

        return type("Gauge", (), {"set": staticmethod(set_)})

    def values(self) -> dict[str, float]:
        values, self.set_to = dict(self.set_to), []
        return values


@pytest.fixture
def gauges(monkeypatch: pytest.MonkeyPatch) -> Gauges:
    gauges = Gauges()
    monkeypatch.setattr(prometheus, "_gauge", gauges)
    monkeypatch.setattr(prometheus.ray, "is_initialized", lambda: True)
    monkeypatch.setattr(prometheus.time, "monotonic", lambda: gauges.now)
    return gauges


@pytest.fixture
def trial(tiny_bert: Path) -> TrialMetrics:
    return TrialMetrics(trial_config("single_task", tiny_bert))


def test_gauges_are_set_at_most_once_a_second_and_at_the_end(
    gauges: Gauges, trial: TrialMetrics
) -> None:
    shown = []
    for now, done in ((100.0, False), (100.9, False), (101.0, False), (101.1, True)):
        gauges.now = now
        trial.show({**RESULT, "done": done})
        shown.append(gauges.values())
    assert shown[0] == {**RESULT, "gpu_memory_bytes": 0.0}
    assert [bool(values) for values in shown] == [True, False, True, True]


def test_what_has_no_value_is_not_set(gauges: Gauges, trial: TrialMetrics) -> None:
    trial.show({"done": True, "status": "failed", "error": "no data"})
    assert gauges.values() == {"gpu_memory_bytes": 0.0}
    trial.show({**RESULT, "loss": None, "done": True})
    assert "loss" not in gauges.values()


def test_a_fault_of_the_metrics_reaches_no_trial(gauges: Gauges, trial: TrialMetrics) -> None:
    gauges.broken = True
    trial.show({**RESULT, "done": False})
    assert gauges.values() == {}


def test_without_ray_nothing_is_set(
    gauges: Gauges, trial: TrialMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prometheus.ray, "is_initialized", lambda: False)
    trial.show({**RESULT, "done": False})
    assert gauges.values() == {}
