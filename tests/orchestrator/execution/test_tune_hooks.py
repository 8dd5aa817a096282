"""Which trials share processes, and the class in which a trial is started."""

from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.config.runtime import RayConfig
from orchestrator.execution.executor import TrialScheduler
from orchestrator.execution.tune_hooks import SchedulerAdapter, reuses_processes, trainable_name
from orchestrator.planning.plan import PlannedTrial
from tests.helpers import records


@pytest.mark.parametrize(
    ("settings", "shared"),
    [
        ({}, True),
        ({"dashboard": True}, False),
        ({"address": "head:6379"}, False),
        ({"dashboard": True, "reuse": True}, True),
        ({"address": "head:6379", "reuse": True}, True),
        ({"reuse": False}, False),
    ],
)
def test_trials_share_processes_where_nobody_looks(settings: dict[str, Any], shared: bool) -> None:
    ray = RayConfig(**settings)
    assert reuses_processes(ray) is shared
    assert trainable_name("naive_concat", ray) == (
        "TrialTrainable" if shared else "NaiveConcatTrial"
    )


def test_a_trial_is_started_in_the_class_that_its_specification_names() -> None:
    planned = PlannedTrial(records.trial().config, 1, 1.0)
    spec = {"key": planned.key, "process": "SharedEncoderTrial"}
    trial = SimpleNamespace(trainable_name="T", config={"trial_spec": spec})
    errors: list[Exception] = []
    errors: list[Exception] = []
    adapter = SchedulerAdapter(TrialScheduler(), {planned.key: planned}, errors.append)
    adapter.on_trial_add(None, trial)
    assert trial.trainable_name == "SharedEncoderTrial"
    assert not errors
