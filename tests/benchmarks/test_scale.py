"""The simulated cluster: what is made of its slots' times, and a small one run for real."""

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks import stub
from benchmarks.scale import Samples, measure, slots
from tests.conftest import PROJECT
from trainables.results.record import read_records
from trainables.storage.run_dir import RunDir


def line(slot: int, began: float, ended: float) -> str:
    return json.dumps({"slot": slot, "key": "k", "began": began, "ended": ended})


def test_slots_are_busy_from_when_all_are_filled_to_the_last_start() -> None:
    # Slot 1 waits for 1 s at 11, slot 2 begins at 2; the last start is at 22.
    found = slots([line(1, 0, 11), line(2, 2, 22), line(1, 12, 30), line(2, 22, 40)])
    assert (found.first, found.full, found.last) == (0, 2, 22)
    assert found.busy == pytest.approx((9 + 10 + 20) / 40)
    assert sorted(found.gaps) == [0, 1]


def test_without_a_second_trial_nothing_can_be_said_of_slots() -> None:
    with pytest.raises(ValueError, match="more trials than GPUs"):
        slots([line(1, 0, 1), line(2, 0, 1)])


def test_memory_is_told_as_growth_after_the_first_tenth() -> None:
    ended = list(range(101))
    samples = Samples(ended, [900.0 if n < 10 else 500 + 0.25 * n for n in ended])
    assert samples.kilobytes_per_trial == pytest.approx(250)


def test_durations_are_drawn_by_key_and_half_are_longer_than_the_median() -> None:
    drawn = np.array([stub.duration(str(key), 10.0) for key in range(2000)])
    assert stub.duration("7", 10.0) == drawn[7]
    assert np.median(drawn) == pytest.approx(10.0, rel=0.05)
    assert np.log(drawn).std() == pytest.approx(stub.SPREAD, rel=0.05)


def test_the_stub_takes_no_memory_for_what_it_does_not_do() -> None:
    heavy = "sorted({'torch', 'transformers'} & sys.modules.keys())"
    code = f"import sys, benchmarks.stub; print({heavy})"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"


@pytest.mark.ray
@pytest.mark.slow
def test_a_small_cluster_runs_every_trial_once_and_one_at_a_time_in_a_slot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(stub.MEDIAN, "")
    # Other work on the machine must not keep all slots but one from starting.
    monkeypatch.setenv("RAY_worker_niceness", "0")
    run_dir = RunDir(tmp_path / "run")
    table = measure(30, 6, 1.0, run_dir)
    assert "| trials, simulated GPUs | 30, 6 |" in table
    records = read_records(run_dir)
    assert {record.status for record in records.values()} == {"finished"}
    lines = [json.loads(text) for text in stub.slots_file(run_dir.root).read_text().splitlines()]
    assert sorted(one["key"] for one in lines) == sorted(records)
    assert len(records) == 30
    by_slot: dict[int, list[tuple[float, float]]] = {}
    for one in lines:
        by_slot.setdefault(one["slot"], []).append((one["began"], one["ended"]))
    # A machine that is slow to start processes may be done before the last one is there.
    assert 1 < len(by_slot) <= 6
    assert os.getpid() not in by_slot
    for spans in by_slot.values():
        spans.sort()
        assert all(a[1] <= b[0] for a, b in pairwise(spans))
