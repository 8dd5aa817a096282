"""The comparison after a search, trials that need others, and a search that ends early."""

from pathlib import Path

import pytest

from orchestrator.commands.tune_report import report_tuning
from orchestrator.run_dir.directory import read_plan
from orchestrator.search import study
from orchestrator.search.time_budget import TimeBudget
from tests.helpers.command import Command
from tests.helpers.local_search import LocalSearches, overrides, reported, space_file, trained
from trainables.errors import ConfigError, TrialError
from trainables.results.record import read_records
from trainables.storage.run_dir import RunDir

STUDENT = "define.arms.student={strategy: shared_encoder, distillation: {teachers: single_task}}"
SECOND = "define.arms.second={strategy: single_task, start_from: shared_encoder}"
RATES = "{choice: [1.0e-4, 1.0e-3, 1.0e-2]}"


def test_tuned_rows_have_the_chosen_settings_of_their_groups(
    searches: LocalSearches, tiny_bert: Path, tmp_path: Path
) -> None:
    space = space_file(tmp_path, training__learning_rate=RATES, training__epochs="{choice: [1, 2]}")
    settings = overrides(tiny_bert, "seeds=[1,2]", "tune.trials=3", "tune.scheduler=none")
    outcome = searches.tune(tmp_path / "run", space, settings)
    chosen = {(g.arm, g.task): g.choice.settings for g in outcome.summary.groups if g.choice}
    assert len(chosen) == 3
    trials = [trial.config for trial in read_plan(RunDir(tmp_path / "run"))]
    tuned = [config for config in trials if config.tuned]
    assert len(tuned) == len(trials) / 2 == 6
    for config in tuned:
        task = next(iter(config.tasks)) if config.arm.strategy == "single_task" else None
        expected = chosen[config.arm_name, task]
        assert config.training.learning_rate == expected["training.learning_rate"]
        assert config.training.epochs == expected["training.epochs"]
        assert config.search is None
    assert {config.seed for config in tuned} == {1, 2}
    assert all(config.training.epochs == 2 for config in trials if not config.tuned)
    # Without the preset's settings; what is trained already is not trained again.
    before = len(searches.started)
    searches.tune(tmp_path / "run", space, [*settings, "tune.defaults=false"])
    assert len(searches.started) == before
    plan = read_plan(RunDir(tmp_path / "run"))
    assert [trial.config for trial in plan] == tuned


def test_the_comparison_takes_seeds_in_rounds(
    searches: LocalSearches, tiny_bert: Path, tmp_path: Path
) -> None:
    space = space_file(tmp_path, training__learning_rate=RATES)
    seeds = "seeds={until: decided, looks: [2, 3], first: 1}"
    more = ("tasks=[sentiment]", "tune.trials=1", "tune.scheduler=none", seeds)
    outcome = searches.tune(tmp_path / "run", space, overrides(tiny_bert, *more))
    assert outcome.compared is not None
    table = outcome.compared.table
    assert table.look is not None
    # A dozen examples decide nothing.
    assert (table.look.number, table.look.seeds, table.look.level) == (2, 3, 0.025)
    assert len(table.look.undecided) == 2, "of the tuned arm, and at the preset's settings"
    assert outcome.trained == 2 * 2 * 3
    trials = [trial.config for trial in read_plan(RunDir(tmp_path / "run"))]
    assert {(c.tuned, c.seed) for c in trials} == {(t, s) for t in (True, False) for s in (1, 2, 3)}


def test_tuned_rows_are_not_reported_as_of_a_choice_that_they_were_not_trained_with(
    searches: LocalSearches, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each trial of the grid is better than the one before.
    monkeypatch.setattr(study, "final_score", lambda record: record.config.training.learning_rate)
    space = space_file(tmp_path, training__learning_rate=RATES)
    more = ("tasks=[sentiment]", "arms=[single_task]", "tune.search=grid", "tune.scheduler=none")
    settings = overrides(tiny_bert, *more)
    [first] = searches.tune(tmp_path / "run", space, [*settings, "tune.trials=1"]).changes
    assert first.gain is not None
    assert first.notes == ()
    searches.tune(tmp_path / "run", space, [*settings, "tune.trials=2", "tune.refit=false"])
    outcome = report_tuning(tmp_path / "run")
    [group], [change] = outcome.summary.groups, outcome.changes
    assert group.chosen == 1
    assert (change.gain, change.tuned) == (None, None)
    assert "compared with nothing" in RunDir(tmp_path / "run").tuning("md").read_text()
    [last] = searches.tune(tmp_path / "run", space, [*settings, "tune.trials=2"]).changes
    assert last.gain is not None
    assert last.notes == ()


def test_students_and_second_phases_are_searched_on_upstream_trials_that_are_trained_once(
    searches: LocalSearches, tiny_bert: Path, tmp_path: Path
) -> None:
    space = space_file(tmp_path, training__learning_rate=RATES)
    arms = (STUDENT, SECOND, "arms=[student,second]", "tune.search=grid")
    settings = overrides(tiny_bert, *arms, "tune.scheduler=none")
    run, search = tmp_path / "run", RunDir(tmp_path / "run" / "search")
    outcome = searches.tune(run, space, [*settings, "tune.trials=2", "tune.refit=false"])
    assert not outcome.failed
    assert {row["status"] for row in reported(run)} == {"finished"}
    # Two teachers and a first phase for three groups of two trials.
    assert len(searches.started) == len(set(searches.started)) == 3 + 6
    records = read_records(search, {})
    needs = {key for row in reported(run) for key in records[row["key"]].config.needs}
    assert needs == set(searches.started[:3])
    assert all(set(record.results) == {"train", "selection"} for record in records.values())
    left = [path for folder in ("teaching", "weights") for path in search.root.glob(f"{folder}/*")]
    assert left == []
    # More trials need them again.
    outcome = searches.tune(run, space, [*settings, "tune.trials=3"])
    assert {row["status"] for row in reported(run)} == {"finished"}
    assert outcome.compared is not None
    assert not outcome.compared.failed
    assert not outcome.compared.missing
    tuned = [trial.config for trial in read_plan(RunDir(run)) if trial.config.tuned]
    assert {config.arm_name for config in tuned} == {"student", "second"}


def test_what_a_command_left_that_was_killed_at_its_very_end_is_removed(
    searches: LocalSearches, tiny_bert: Path, tmp_path: Path
) -> None:
    arms = (STUDENT, "arms=[student]", "tune.trials=1", "tune.refit=false")
    settings = overrides(tiny_bert, *arms)
    searches.tune(tmp_path / "run", "quick", settings)
    teacher, search = searches.started[0], RunDir(tmp_path / "run" / "search")
    left = search.teacher_logits(teacher)
    assert not left.exists()
    left.write_bytes(b"logits")
    searches.tune(tmp_path / "run", "quick", settings)
    assert not left.exists()
    # What cannot be removed keeps nobody from their report.
    left.mkdir()
    assert searches.tune(tmp_path / "run", "quick", settings).summary.groups[0].choice


def test_the_time_of_a_search_begins_when_the_trials_that_it_needs_have_ended(
    searches: LocalSearches, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before: list[int] = []
    begin = TimeBudget.begin

    def begins(budget: TimeBudget) -> None:
        assert not budget.exhausted
        begin(budget)
        assert budget.exhausted
        before.append(len(searches.started))

    monkeypatch.setattr(TimeBudget, "begin", begins)
    arms = (STUDENT, "arms=[student]", "tune.max_hours=1e-12", "tune.refit=false")
    searches.tune(tmp_path / "run", "quick", overrides(tiny_bert, *arms))
    assert before == [len(searches.started)] == [2]


def test_a_setting_of_the_model_cannot_be_searched_where_trials_need_others(
    searches: LocalSearches, tiny_bert: Path, tmp_path: Path
) -> None:
    space = space_file(tmp_path, model__dropout="{choice: [0.0, 0.1]}")
    arms = (STUDENT, "arms=[single_task,student]")
    with pytest.raises(ConfigError) as caught:
        searches.tune(tmp_path / "run", space, overrides(tiny_bert, *arms))
    assert str(caught.value) == (
        "space s: model.dropout: trials of arm student need others of the same model, which are "
        "not searched; add a condition: when: {arm: [...]} without student"
    )
    assert not searches.started


def test_an_upstream_trial_that_fails_ends_the_search_with_its_reason(
    command: Command, tiny_bert: Path, tmp_path: Path
) -> None:
    more = (STUDENT, "arms=[student]", "tasks=[sentiment]", "training.learning_rate=1e30")
    settings = overrides(tiny_bert, *more)
    for _ in range(2):
        ended = command("tune", "--local", "demo", "quick", *settings, "--run-dir", "run")
        assert ended.code == 1
        assert ended.err.startswith(
            "error: single_task tiny sentiment seed 1: trials of the search"
        )
        assert "it diverged: the training loss became" in ended.err
        assert ended.err.count("\n") == 1
        records = trained(tmp_path / "run")
        assert len(records) == 1
    assert trained(tmp_path / "run") == records


def test_a_search_whose_time_is_up_gives_the_best_so_far_and_goes_on_later(
    searches: LocalSearches, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = space_file(tmp_path, training__learning_rate=RATES)
    more = ("tasks=[sentiment]", "arms=[single_task]", "tune.search=grid", "tune.scheduler=none")
    settings = overrides(tiny_bert, *more)
    searches.tune(tmp_path / "whole", space, settings)
    whole = reported(tmp_path / "whole")
    asked = [0]

    def up(budget: TimeBudget) -> bool:
        asked[0] += 1
        # Steps of the second trial.
        return asked[0] > 22

    with monkeypatch.context() as patch:
        patch.setattr(TimeBudget, "exhausted", property(up))
        outcome = searches.tune(tmp_path / "run", space, [*settings, "tune.max_hours=1"])
    assert [row["status"] for row in reported(tmp_path / "run")] == ["finished", "unfinished"]
    assert outcome.compared is not None
    assert outcome.summary.groups[0].chosen == 0
    outcome = searches.tune(tmp_path / "run", space, settings)
    assert reported(tmp_path / "run") == whole
    assert outcome.compared is not None
    assert not outcome.compared.missing


def test_without_a_single_score_there_is_nothing_to_choose(
    searches: LocalSearches, tiny_bert: Path, tmp_path: Path
) -> None:
    more = ("tasks=[sentiment]", "arms=[single_task]", "tune.max_hours=1e-9")
    with pytest.raises(TrialError, match="none of its trials has a score yet"):
        searches.tune(tmp_path / "run", "quick", overrides(tiny_bert, *more))
    assert not searches.started
