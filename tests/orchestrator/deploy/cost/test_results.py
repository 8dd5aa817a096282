"""What is said of measurements, and a file that is whole and of this plan, or is not used."""

import json
from pathlib import Path

import pytest

from orchestrator.deploy.cost.results import Round, Spread, Timing, read_cost, write_cost
from tests.helpers.costs import cost_of, measured
from tests.helpers.records import trial
from trainables.errors import RunDirectoryError
from trainables.results.record import write_checksummed
from trainables.storage.run_dir import RunDir

PLAN = [trial("single_task", tasks=[t]) for t in ("cola", "sst2")] + [
    trial("shared_encoder", tasks=["cola", "sst2"])
]
KEYS = [planned.key for planned in PLAN]


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    """It has ``cost.json``."""
    made = RunDir(tmp_path)
    write_cost(made, cost_of(PLAN, {"single_task": measured(), "shared_encoder": measured()}))
    return made


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        ([1, 2, 3], [4, 5, 6], False),
        ([4, 5, 6], [1, 2, 3], False),
        ([1, 2, 3], [3, 5], True),
        ([1, 9], [4, 5], True),
        ([4, 5], [1, 9], True),
    ],
)
def test_ranges_overlap_where_they_have_a_value_in_common(
    first: list[float], second: list[float], overlap: bool
) -> None:
    assert Spread.of(first).overlaps(Spread.of(second)) is overlap


def test_a_timing_follows_from_the_requests_of_its_rounds() -> None:
    rounds = [
        Round(scenario="all_tasks", batch_size=32, process=0, milliseconds=(100.0, 300.0)),
        Round(scenario="all_tasks", batch_size=32, process=1, milliseconds=(200.0,)),
        Round(scenario="all_tasks", batch_size=32, process=2, milliseconds=(400.0, 400.0)),
    ]
    timing = Timing.of(rounds, inputs=2)
    assert timing.requests == 5
    assert timing.p50_ms == 300
    assert timing.p95_ms == pytest.approx(400)
    # 64 texts a request, of 200, 200 and 400 ms.
    assert timing.texts_per_second == Spread(median=320, low=160, high=320)


def test_what_is_read_is_what_was_written(run_dir: RunDir) -> None:
    cost = read_cost(run_dir, KEYS)
    assert cost == cost_of(PLAN, {"single_task": measured(), "shared_encoder": measured()})
    assert cost is not None
    assert [cost.of(arm).models for arm in cost.arms] == [1, 1]


def test_without_a_file_nothing_was_measured(tmp_path: Path) -> None:
    assert read_cost(RunDir(tmp_path), KEYS) is None


@pytest.mark.parametrize("damage", ["cut", "edited", "version", "arm"])
def test_a_damaged_file_is_refused(damage: str, run_dir: RunDir) -> None:
    text = run_dir.cost.read_text()
    if damage == "cut":
        run_dir.cost.write_text(text[: len(text) // 2])
    elif damage == "edited":
        run_dir.cost.write_text(text.replace('"parameters": 1000', '"parameters": 10'))
    else:
        content = json.loads(text)
        changes = {"version": {"schema_version": 2}, "arm": {"deployments": []}}[damage]
        content.pop("sha256")
        write_checksummed(run_dir.cost, content | changes)
    with pytest.raises(RunDirectoryError, match=r"cost\.json: damaged, or of another version"):
        read_cost(run_dir, KEYS)


def test_a_file_of_other_trials_is_refused(run_dir: RunDir) -> None:
    with pytest.raises(RunDirectoryError, match=rf"not in the plan \({KEYS[-1]}\); delete it, or"):
        read_cost(run_dir, KEYS[:-1])


def test_more_trials_in_the_plan_do_not_matter(run_dir: RunDir) -> None:
    assert read_cost(run_dir, [*KEYS, "more"]) is not None
