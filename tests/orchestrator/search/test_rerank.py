"""Re-ranking: a group's best settings are trained with new seeds before one of them is chosen."""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.commands.tune_report import report_tuning
from orchestrator.config.search import load_tuned_experiment
from orchestrator.run_dir.directory import read_plan
from orchestrator.search import study
from orchestrator.search.engine import read_search
from orchestrator.search.plan import SearchPlan
from tests.helpers.command import Command
from tests.helpers.local_search import Killed, LocalSearches, overrides, reported, space_file
from trainables.results.record import TrialRecord, read_records
from trainables.storage.run_dir import RunDir

RATES = "{choice: [1.0e-5, 2.0e-5, 3.0e-5, 4.0e-5]}"
ON = "tune.rerank={top: 2, seeds: 2}"
ONE_GROUP = ("tasks=[sentiment]", "arms=[single_task]", "tune.search=grid", "tune.scheduler=none")


def settings_of(encoder: Path, *more: str) -> list[str]:
    return overrides(encoder, *ONE_GROUP, "training.epochs=1", "tune.trials=4", ON, *more)


@pytest.fixture
def lucky(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the search's seed, 1, a larger rate scores higher; with any other, a smaller one."""

    def score(record: TrialRecord) -> float:
        rate = record.config.training.learning_rate * 1e4
        return rate if record.config.seed == 1 else 0.5 - rate

    monkeypatch.setattr(study, "final_score", score)


def scores(outcome: Any) -> dict[int, tuple[float, ...]]:
    [group] = outcome.summary.groups
    return {t.index: group.rerank_scores(t.index) for t in group.reruns}


@pytest.mark.usefixtures("lucky")
def test_the_best_of_the_search_is_not_chosen_if_it_is_not_with_new_seeds(
    searches: LocalSearches, tiny_bert: Path, tmp_path: Path
) -> None:
    space = space_file(tmp_path, training__learning_rate=RATES)
    run, settings = tmp_path / "run", settings_of(tiny_bert)
    outcome = searches.tune(run, space, settings)
    [group] = outcome.summary.groups
    assert [trial.index for trial in group.tried if trial.value is not None] == [0, 1, 2, 3]
    assert group.reranked
    assert group.chosen == 2
    assert scores(outcome) == {3: (pytest.approx(0.1),) * 2, 2: (pytest.approx(0.2),) * 2}
    # They count as trials of the search and in its budget.
    assert group.spent.trials == 4 + 2 * 2
    assert group.spent.examples == sum(trial.examples for trial in (*group.tried, *group.reruns))
    lines = reported(run)
    assert [line["rerank_seed"] for line in lines[:4]] == [""] * 4
    assert len({line["rerank_seed"] for line in lines[4:]}) == 2
    text = RunDir(run).tuning("md").read_text()
    assert "ranked again" in text
    assert "trial 3 scored best in the search, with new seeds trial 2" in text
    table = json.loads(RunDir(run).table("json").read_text())
    assert table["rows"][-1]["tuning"]["trials"] == [8]
    # The comparison has the settings that were chosen, and other seeds than the ranking.
    tuned = [trial.config for trial in read_plan(RunDir(run)) if trial.config.tuned]
    assert {config.training.learning_rate for config in tuned} == {3.0e-5}
    records = read_records(RunDir(run / "search"), {})
    new = [records[trial.key] for trial in group.reruns]
    seeds = {record.config.seed for record in new}
    assert len(seeds) == 2
    assert not seeds & {1, 0}
    assert all(set(record.results) == {"train", "selection"} for record in new)
    # Nothing is trained again, and the report is the same.
    before = len(searches.started)
    searches.tune(run, space, settings)
    assert len(searches.started) == before
    assert report_tuning(run).summary.groups[0].chosen == 2


@pytest.mark.usefixtures("lucky")
def test_a_ranking_that_was_interrupted_goes_on_where_it_was(
    searches: LocalSearches, tiny_bert: Path, tmp_path: Path
) -> None:
    space = space_file(tmp_path, training__learning_rate=RATES)
    settings = settings_of(tiny_bert, "tune.refit=false")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    searches.tune(whole, space, settings)
    steps, trials = searches.steps, len(searches.started)
    searches.started.clear()
    with pytest.raises(Killed):
        searches.tune(killed, space, settings, kill_at=int(steps * 0.7))
    part = read_search(RunDir(killed / "search")).summary().groups[0]
    assert not part.reranked
    assert part.chosen == 3
    assert "not ranked again yet" in "".join(_notes(killed))
    before = set(searches.started)
    searches.tune(killed, space, settings)
    assert len(set(searches.started)) == trials
    assert len(searches.started) <= trials + 1
    assert before < set(searches.started)
    assert reported(killed) == reported(whole)


def _notes(run: Path) -> list[str]:
    report_tuning(run)
    return json.loads(RunDir(run).tuning("json").read_text())["notes"]


def test_settings_that_diverge_with_a_new_seed_are_left_out(
    searches: LocalSearches, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score, end = study.final_score, study.end_of

    def diverges(record: TrialRecord) -> Any:
        if record.config.seed != 1 and record.config.training.learning_rate == 4.0e-5:
            record = record.model_copy(update={"status": "diverged"})
        return end(record)

    def higher(record: TrialRecord) -> float:
        return score(record) + record.config.training.learning_rate * 1e6

    monkeypatch.setattr(study, "end_of", diverges)
    monkeypatch.setattr(study, "final_score", higher)
    space = space_file(tmp_path, training__learning_rate=RATES)
    outcome = searches.tune(tmp_path / "run", space, settings_of(tiny_bert, "tune.refit=false"))
    [group] = outcome.summary.groups
    assert group.reranked
    assert group.chosen == 2
    assert "trial 3 was left out, as it diverged with seed" in "".join(_notes(tmp_path / "run"))


def test_more_trials_later_may_bring_other_settings_into_the_ranking(
    searches: LocalSearches, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "final_score", lambda r: r.config.training.learning_rate)
    space = space_file(tmp_path, training__learning_rate=RATES)
    settings = settings_of(tiny_bert, "tune.refit=false")
    outcome = searches.tune(tmp_path / "run", space, [*settings, "tune.trials=2"])
    assert set(scores(outcome)) == {0, 1}
    outcome = searches.tune(tmp_path / "run", space, settings)
    assert set(scores(outcome)) == {0, 1, 2, 3}
    [group] = outcome.summary.groups
    assert group.chosen == 3
    assert group.spent.trials == 4 + 4 * 2
    # Without re-ranking, later: the search's choice, whatever was ranked before.
    outcome = searches.tune(tmp_path / "run", space, [*settings, "tune.rerank=null"])
    assert not outcome.summary.groups[0].reranked


def test_students_are_ranked_with_teachers_of_the_same_new_seeds(
    searches: LocalSearches, tiny_bert: Path, tmp_path: Path
) -> None:
    student = (
        "define.arms.student={strategy: single_task, distillation: {teachers: single_task}}",
        "arms=[student]",
    )
    space = space_file(tmp_path, training__learning_rate=RATES)
    more = (*student, "tune.refit=false", "tune.trials=2", "tune.rerank={top: 2, seeds: 1}")
    outcome = searches.tune(tmp_path / "run", space, settings_of(tiny_bert, *more))
    [group] = outcome.summary.groups
    assert group.reranked
    records = read_records(RunDir(tmp_path / "run" / "search"), {})
    again = [records[trial.key].config for trial in group.reruns]
    teachers = {records[key].config.seed for config in again for key in config.needs}
    assert teachers == {config.seed for config in again}
    # A teacher for the search, one for the ranking, two trials each.
    assert len(records) == 1 + 1 + 2 + 2
    assert not list((tmp_path / "run" / "search").glob("teaching/*"))


def test_members_of_a_population_are_ranked_with_their_whole_schedules(
    searches: LocalSearches, tiny_bert: Path, tmp_path: Path
) -> None:
    space = space_file(tmp_path, training__learning_rate="{log_uniform: [1.0e-5, 1.0e-2]}")
    more = ("tune.search=random", "tune.scheduler=pbt", "tune.generations=2", "tune.refit=false")
    settings = settings_of(tiny_bert, *more, "training.epochs=2", "checkpoint.every=100")
    outcome = searches.tune(tmp_path / "run", space, settings)
    [group] = outcome.summary.groups
    assert group.reranked
    records = read_records(RunDir(tmp_path / "run" / "search"), {})
    for rerun in group.reruns:
        config = records[rerun.key].config
        assert config.search is not None
        assert config.search.segment is None
        assert len(config.changes) == max(0, len(group.tried[rerun.index].schedule) - 1)


def test_new_seeds_are_always_the_same_and_none_that_is_used(tiny_bert: Path) -> None:
    def seeds(*more: str) -> tuple[int, ...]:
        settings = settings_of(tiny_bert, "tune.rerank={top: 2, seeds: 3}", *more)
        return SearchPlan(load_tuned_experiment("demo", "quick", settings)).rerank_seeds

    first = seeds()
    assert first == seeds()
    assert len(set(first)) == 3
    assert not set(first) & set(seeds("tune.seed=5"))
    # The first one is taken by the grid: the others stay, and another one follows.
    taken = seeds(f"seeds=[{first[0]}, 1]")
    assert taken[:2] == first[1:]
    assert first[0] not in taken
    rounds = f"seeds={{until: decided, looks: [2], first: {first[0]}}}"
    assert seeds(rounds, "arms=[single_task,shared_encoder]") == taken


def test_a_plan_shows_what_is_ranked_again(command: Command, tiny_bert: Path) -> None:
    line = ("tune", "--local", "demo", "quick", *overrides(tiny_bert, ON), "--plan")
    ended = command(*line)
    assert ended.code == 0
    assert "ranked again with the seeds" in ended.out
    assert "at most 12 trials more" in " ".join(ended.out.split())
    assert "ranked again" not in command(*line, "tune.rerank=null").out
    refused = command(*line, "tune.rerank.top=1")
    assert refused.code == 2
    assert "tune.rerank.top" in refused.err
