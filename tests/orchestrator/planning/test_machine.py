"""What a process may use, from the files of a container's control group."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from orchestrator.commands.train import single_trial
from orchestrator.config.experiment import load_single_trial
from orchestrator.execution.local_executor import LocalExecutor
from orchestrator.execution.trial_runtime import trial_runtime
from orchestrator.planning import resources as machine
from orchestrator.planning.plan import largest
from orchestrator.planning.resources import this_machine
from tests.helpers.command import SMALL, tiny
from trainables.storage.run_dir import RunDir

Limit = Callable[..., None]


@pytest.fixture(autouse=True)
def sixteen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of which the process may run on 16 cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)))


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Limit:
    """Write files of the control group, which has none else."""
    monkeypatch.setattr(machine, "CONTROL_GROUP", tmp_path)

    def limit(**files: str) -> None:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"{text}\n")

    return limit


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 16),
        ({"cpu.max": "max 100000"}, 16),
        ({"cpu.max": "200000 100000"}, 2),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "10000 100000"}, 1),
        ({"cpu.max": "6400000 100000"}, 16),
        ({"cpu.max": "who knows"}, 16),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 16),
        ({"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"}, 4),
        ({"cpu/cpu.cfs_quota_us": "400000"}, 16),
    ],
)
def test_cores_are_those_that_a_container_s_share_of_time_fills(
    limit: Limit, files: dict[str, str], expected: int
) -> None:
    limit(**files)
    assert machine.cores() == expected
    assert this_machine().cpus == expected


def test_memory_is_what_the_container_has(limit: Limit) -> None:
    whole = machine.memory()
    for name, text, expected in (
        ("memory.max", "max", whole),
        ("memory.max", "1000000", 1_000_000),
        ("memory/memory.limit_in_bytes", "500000", 500_000),
    ):
        limit(**{name: text})
        assert machine.memory() == expected
    assert this_machine().memory == 0.0005


def test_a_single_trial_has_a_thread_for_each_core(limit: Limit, tiny_bert: Path) -> None:
    limit(**{"cpu.max": "300000 100000"})
    overrides = [tiny(tiny_bert), "model=tiny", "tasks=[sentiment]", *SMALL]
    for given, threads in (([], 3), (["threads=7"], 7)):
        single = load_single_trial("single_task", [*overrides, *given])
        plan = single_trial("single_task", single)
        resources = LocalExecutor(single).resources(1, partial(largest, plan))
        assert trial_runtime(single, RunDir("runs/x"), resources).threads == threads
