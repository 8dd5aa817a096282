"""Which trials are stopped: known values, and the same decisions after any interruption."""

from pathlib import Path
from random import Random

import numpy as np
import pytest

from orchestrator.config.search import TuneConfig
from orchestrator.search.ledger import ScoreReported
from orchestrator.search.rungs import rungs
from tests.helpers.fake_search import BUDGET, MadeUp, group, trial

SCHEDULERS = ("asha", "hyperband", "median", "none")


def test_asha_stops_below_the_best_quarter_of_those_that_reached_the_rung(tmp_path: Path) -> None:
    search = MadeUp(tmp_path)
    # Where the best quarter of those before begins at the first rung: at 0.5, 0.475, 0.55 (of 0.4,
    # 0.5, 0.6), 0.525 (of 0.4, 0.5, 0.5, 0.6) and 0.52.
    reached = [
        search.train("a", number, (first, 0.7))
        for number, first in enumerate((0.5, 0.4, 0.6, 0.5, 0.52, 0.59))
    ]
    assert reached == [3, 1, 3, 1, 1, 3]
    assert [decision for *_, decision in search.decisions][:5] == [
        "continue",
        "continue",
        "stop",
        "continue",
        "continue",
    ]


def test_asha_compares_again_at_the_next_rung(tmp_path: Path) -> None:
    search = MadeUp(tmp_path, reduction=2)
    seconds = (0.6, 0.5, 0.7)
    reached = [search.train("a", number, (0.5, second)) for number, second in enumerate(seconds)]
    assert reached == [3, 2, 3]


def test_the_first_trial_of_a_group_and_one_as_good_as_the_cutoff_go_on(tmp_path: Path) -> None:
    search = MadeUp(tmp_path)
    assert [search.train("a", number, (0.0, 0.0)) for number in range(3)] == [3, 3, 3]


def test_of_equal_scores_the_lower_loss_is_better(tmp_path: Path) -> None:
    search = MadeUp(tmp_path)
    reached = [search.train("a", n, (0.5, 0.5), loss) for n, loss in enumerate((0.6, 0.7, 0.5))]
    assert reached == [3, 1, 3]
    # Whatever the loss, the better score is better.
    assert search.train("a", 3, (0.51, 0.51), loss=99.0) == 3


@pytest.mark.parametrize("scheduler", ["asha", "hyperband", "median"])
def test_groups_do_not_see_each_others_measurements(scheduler: str, tmp_path: Path) -> None:
    strong, weak = group("strong"), group("weak")
    together = MadeUp(tmp_path / "both", strong, weak, scheduler=scheduler)
    alone = MadeUp(tmp_path / "alone", weak, scheduler=scheduler)
    for number in range(12):
        together.train("strong", number, (0.9 + number / 1000, 0.95))
        # Every one better than the one before: nothing is to be stopped.
        scores = (0.1 + number / 1000, 0.2 + number / 1000)
        assert together.train("weak", number, scores) == 3
        assert alone.train("weak", number, scores) == 3


@pytest.mark.parametrize(
    ("batch", "examples"), [(32, 254), (16, 256), (7, 259)], ids=["short last batch", "16", "7"]
)
def test_a_rung_counts_at_the_first_step_that_reaches_it(
    batch: int, examples: int, tmp_path: Path
) -> None:
    # 1,016 examples: rungs at 64 and 254, where a power of the reduction would say 256.
    search = MadeUp(tmp_path, group(budget=1016, rungs=(64, 254)))
    for number, score in enumerate((0.5, 0.4)):
        search.suggest("a", number)
        result = {
            "rungs": [[64, 0.5, 0.5], [examples, score, 0.5]],
            "step": 1,
            "total_steps": 9,
            "examples_per_second": 1.0,
        }
        stopped = search.scheduler.on_trial_result(trial(f"a{number}"), result) == "stop"
        assert stopped == (number == 1), batch


def test_trials_at_the_same_rung_came_equally_far(tmp_path: Path) -> None:
    search = MadeUp(tmp_path, group(budget=1016, rungs=(64, 254)))
    for number, (seen, score) in enumerate(((254, 0.6), (256, 0.5))):
        search.suggest("a", number)
        for examples, decision in ((64, "continue"), (seen, "stop")):
            search.study.add(
                ScoreReported.model_validate(
                    {
                        "key": f"a{number}",
                        "examples": examples,
                        "score": score,
                        "loss": 0.5,
                        "seconds": 1.0,
                        "decision": decision,
                    }
                )
            )
    assert search.study.summary().groups[0].chosen == 0
    one, other = search.study.observations("a")
    assert (one.rungs, other.rungs) == ([(1, 0.6), (2, 0.6)], [(1, 0.5), (2, 0.5)])


def test_median_stops_what_was_never_as_good_as_the_others_on_average(tmp_path: Path) -> None:
    search = MadeUp(tmp_path, scheduler="median")
    # Means up to the second rung: 0.5, 0.4, 0.6. Their median is 0.5, at the first rung 0.4.
    for number, scores in enumerate(((0.4, 0.6), (0.3, 0.5), (0.5, 0.7))):
        assert search.train("a", number, scores) == 3, "three are needed for a median"
    assert search.train("a", 3, (0.39, 0.9)) == 1
    assert search.train("a", 4, (0.41, 0.49)) == 2
    assert search.train("a", 5, (0.41, 0.5)) == 3


def test_hyperband_has_brackets_that_begin_to_stop_later(tmp_path: Path) -> None:
    search = MadeUp(tmp_path, scheduler="hyperband", reduction=2)
    # Each is worse than the one before, so every one is stopped at its bracket's first rung.
    reached = [
        search.train("a", number, (0.9 - number / 100, 0.8 - number / 100)) for number in range(40)
    ]
    early, late = reached.count(1), reached.count(2)
    assert early + late == 38, "the first of either bracket goes on"
    # e to 1, as the sizes of the brackets.
    assert 0.55 < early / 38 < 0.9
    again = MadeUp(tmp_path / "again", scheduler="hyperband", reduction=2)
    assert reached == [
        again.train("a", number, (0.9 - number / 100, 0.8 - number / 100)) for number in range(40)
    ]


def test_none_stops_nothing(tmp_path: Path) -> None:
    search = MadeUp(tmp_path, scheduler="none")
    assert [search.train("a", n, (0.9 - n / 10, 0.5)) for n in range(6)] == [3] * 6


def test_a_trial_that_has_seen_everything_is_not_stopped(tmp_path: Path) -> None:
    search = MadeUp(tmp_path)
    search.train("a", 0, (0.9, 0.9))
    search.suggest("a", 1)
    assert search.report("a1", (0.1,), step=100) == "continue"
    assert search.study.status("a1") == "unfinished"


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("slots", [1, 3])
def test_after_any_interruption_the_decisions_are_those_of_the_run_without_one(
    scheduler: str, slots: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What takes nearly all the time of so many ledgers.
    monkeypatch.setattr("os.fsync", lambda file: None)
    reduction, rungs = 2.0, (100, 200, 400, 800)
    for case in range(8):
        random = Random(f"{scheduler} {slots} {case}")
        groups = (group("a", rungs), group("b", rungs))
        tables = {
            f"{g.name}{n}": [round(random.random(), 1) for _ in rungs]
            for g in groups
            for n in range(10)
        }
        halving = scheduler in ("asha", "hyperband")
        settings = {"scheduler": scheduler} | ({"reduction": reduction} if halving else {})
        whole = MadeUp(tmp_path / f"{case}", *groups, **settings)
        _run(whole, tables, Random(case), slots)
        lines = whole.run_dir.ledger.read_bytes().splitlines(keepends=True)
        for _ in range(4):
            cut = random.randrange(len(lines))
            folder = tmp_path / f"{case}-{cut}"
            folder.mkdir(exist_ok=True)
            torn = lines[cut][: random.randrange(len(lines[cut]))]
            (folder / "ledger.jsonl").write_bytes(b"".join(lines[:cut]) + torn)
            continued = MadeUp(folder, *groups, **settings)
            assert continued.decisions == whole.decisions[: len(continued.decisions)]
            _run(continued, tables, Random(case), slots)
            assert continued.decisions == whole.decisions
            assert continued.run_dir.ledger.read_bytes() == whole.run_dir.ledger.read_bytes()


def _run(search: MadeUp, tables: dict[str, list[float]], random: Random, slots: int) -> None:
    """Trials of made-up scores, ``slots`` at once, which speak in a random order."""
    waiting = list(tables)
    running: dict[str, int] = {}
    while waiting or running:
        while waiting and len(running) < slots:
            key = waiting.pop(0)
            running[key] = 0
            search.suggest(key[0], int(key[1:]))
        key = random.choice(list(running))
        running[key] += 1
        reports = search.study.reports.get(key, [])
        if len(reports) >= running[key]:
            # Before the interruption.
            stopped = reports[running[key] - 1].decision == "stop"
        else:
            stopped = search.report(key, tables[key][: running[key]]) == "stop"
        if stopped or running[key] == len(tables[key]):
            del running[key]


def test_numpys_generator_is_left_as_it_was(tmp_path: Path) -> None:
    np.random.seed(3)
    expected = np.random.random(2)
    np.random.seed(3)
    first = np.random.random()
    MadeUp(tmp_path, scheduler="hyperband").train("a", 0, (0.5, 0.5))
    assert [first, np.random.random()] == expected.tolist()


@pytest.mark.parametrize(
    ("tune", "expected"),
    [
        ({}, (100, 400)),
        ({"grace": 0.1, "reduction": 3}, (160, 480, 1440)),
        ({"scheduler": "hyperband", "grace": 0.25, "reduction": 2}, (400, 800)),
        ({"scheduler": "median", "measurements": 4, "grace": 0.1}, (160, 400, 800, 1200)),
        ({"scheduler": "median", "measurements": 2, "grace": 0.6}, (960,)),
        ({"scheduler": "none"}, ()),
    ],
)
def test_rungs(tune: dict, expected: tuple[int, ...]) -> None:
    assert rungs(TuneConfig.model_validate(tune), BUDGET) == expected


def test_rungs_of_the_smallest_budgets_are_examples_that_there_are() -> None:
    assert rungs(TuneConfig(), 1) == (1,)
    assert rungs(TuneConfig(), 10) == (1, 2)
