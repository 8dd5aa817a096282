"""A search with two trials at a time that is killed at random moments: decisions are replayed."""

import time
from pathlib import Path
from random import Random

import pytest

from orchestrator.config.search import load_tuned_experiment
from orchestrator.search.engine import read_search
from orchestrator.search.ledger import TrialSuggested
from orchestrator.search.plan import SearchPlan
from tests.helpers.check_decisions import check_decisions
from tests.helpers.forks import forked
from tests.helpers.instant_trial import InstantTrial
from tests.helpers.local_search import Killed, LocalSearches, overrides, reported, space_file
from tests.helpers.shared_ray import search_in_session
from trainables.storage.run_dir import RunDir

KILLS = 20
TRIALS = 14

LEARNS = ("tune.search=optuna", "tune.scheduler=asha", "tune.reduction=2", "tune.grace=0.2")
COPIES = ("tune.scheduler=pbt", "tune.generations=3")


@pytest.mark.parametrize("settings", [LEARNS, COPIES], ids=["optuna and asha", "pbt"])
def test_every_decision_before_a_kill_is_kept_and_follows_from_the_reports(
    settings: tuple[str, ...], searches: LocalSearches, tiny_bert: Path, tmp_path: Path
) -> None:
    space = space_file(
        tmp_path,
        training__learning_rate="{log_uniform: [1.0e-4, 3.0e-2]}",
        training__weight_decay="{uniform: [0.0, 0.1]}",
    )
    asked = overrides(
        tiny_bert,
        *("tasks=[sentiment]", "arms=[single_task]", "limits.max_train_examples=40"),
        *("resources.max_concurrent=2", "checkpoint.every=0.000001"),
        *(f"tune.trials={TRIALS}", "tune.refit=false", *settings),
    )
    run, cache = tmp_path / "run", f"data.cache_dir={tmp_path / 'cache'}"
    plan = SearchPlan(load_tuned_experiment("demo", space, [*asked, cache]))
    search = RunDir(run / "search")
    random = Random(13)
    lines: list[bytes] = []
    for kill in range(KILLS):
        try:
            searches.tune(run, space, asked, kill_at=random.randint(1, 10))
        except Killed:
            pass
        else:
            assert kill > KILLS // 2, "it ends before it is killed"
            break
        before, lines = lines, search.ledger.read_bytes().splitlines(keepends=True)
        assert lines[: len(before)] == before
        check_decisions(search.root, plan)
        with search.ledger.open("ab") as file:
            file.write(b'{"event": "measured", "key": "7')
    searches.tune(run, space, asked)
    assert search.ledger.read_bytes().splitlines(keepends=True)[: len(lines)] == lines
    events = check_decisions(search.root, plan)
    assert sum(isinstance(event, TrialSuggested) for event in events) == TRIALS
    assert {row["status"] for row in reported(run)} <= {"finished", "stopped"}
    study = read_search(search)
    assert set(study.ended) | {r.key for r in study.history if r.decision == "stop"} == set(
        study.trial_keys()
    )


@pytest.mark.ray
@pytest.mark.slow
def test_with_ray_every_decision_before_a_kill_is_kept_and_follows_from_the_reports(
    shared_ray: str, tiny_bert: Path, tmp_path: Path
) -> None:
    space = space_file(tmp_path, training__learning_rate="{log_uniform: [1.0e-4, 3.0e-2]}")
    asked = overrides(
        tiny_bert,
        *("tasks=[sentiment]", "arms=[single_task]", "limits.max_train_examples=40"),
        *("tune.refit=false", f"data.cache_dir={tmp_path / 'cache'}", *LEARNS),
    )
    run = tmp_path / "run"
    search = RunDir(run / "search")
    random = Random(13)
    lines: list[bytes] = []
    for _ in range(KILLS):
        settings = [*asked, "tune.trials=200"]
        driver = forked(search_in_session, run, space, settings, shared_ray, InstantTrial)
        while len(complete_lines(search)) == len(lines):
            assert driver.is_alive(), "it ended before it was killed"
            time.sleep(0.01)
        time.sleep(random.uniform(0.0, 0.5))
        driver.kill()
        driver.join()
        before, lines = lines, complete_lines(search)
        assert lines[: len(before)] == before
    trials = sum(b'"event": "proposed"' in line for line in lines)
    settings = [*asked, f"tune.trials={trials}"]
    driver = forked(search_in_session, run, space, settings, shared_ray, InstantTrial)
    driver.join()
    assert driver.exitcode == 0
    plan = SearchPlan(load_tuned_experiment("demo", space, settings))
    events = check_decisions(search.root, plan)
    assert trials > 2 * 10, "too few for the search method to learn from"
    assert sum(isinstance(event, TrialSuggested) for event in events) == trials
    assert {row["status"] for row in reported(run)} <= {"finished", "stopped"}


def complete_lines(search: RunDir) -> list[bytes]:
    """The complete lines of a search's ledger."""
    if not search.ledger.exists():
        return []
    lines = search.ledger.read_bytes().splitlines(keepends=True)
    return [line for line in lines if line.endswith(b"\n")]
