"""What is made of the times of trials, and every measurement run for real in this process."""

from pathlib import Path

import pytest

from benchmarks import trial_overhead
from benchmarks.trial_overhead import durations, gaps, measure


def line(time: float, done: bool = False, trained: float = 0.0) -> dict[str, float | bool]:
    return {"time": time, "done": done, "trained": trained}


LINES = [
    line(1, trained=0.5),
    line(3, done=True),
    line(5, trained=1.5),
    line(6),
    line(9, done=True),
]


def test_a_trial_takes_from_one_end_to_the_next() -> None:
    assert durations(LINES) == [6]


def test_a_gap_ends_where_the_first_step_begins() -> None:
    assert gaps(LINES) == [0.5]


def test_every_measurement_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLUE_DIR", raising=False)
    own = trial_overhead.run

    def run(
        settings: list[str], root: Path, *, ray: bool, seconds: float
    ) -> list[dict[str, float]]:
        # Ray's part has the same settings.
        return own(settings, root, ray=False, seconds=seconds)

    monkeypatch.setattr(trial_overhead, "run", run)
    result = measure(3, ["data.source=demo", f"data.cache_dir={tmp_path / 'cache'}"], tmp_path)
    assert all(value > 0 for row in result.values() for value in row.values())
    assert {name: row.keys() for name, row in result.items()} == {
        "no-op": {"local", "ray"},
        "first step": {"local", "ray"},
    }
