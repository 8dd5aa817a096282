"""The list of trials: what is in it, in which order, and what each will see."""

from collections import Counter
from pathlib import Path

import pytest

from orchestrator.config.experiment import load_experiment
from orchestrator.planning.plan import Plan, make_plan
from tests.helpers.command import small_grid


def planned(encoder: Path, *overrides: str) -> Plan:
    preset, *others = small_grid(encoder, *overrides)
    return make_plan(load_experiment(preset, others))


def test_the_demo_has_20_trials() -> None:
    overrides = ["limits.max_train_examples=50", "training.epochs=4"]
    plan = make_plan(load_experiment("demo", overrides))
    assert len({trial.key for trial in plan.trials}) == 20
    cells = Counter((t.config.arm_name, t.config.model_name) for t in plan.trials)
    assert cells == {
        (arm, model): 2 * (3 if arm == "single_task" else 1)
        for arm in ("single_task", "naive_concat", "shared_encoder")
        for model in ("minilm-l6", "minilm-l3")
    }
    # 50 training examples of each of three tasks, four times.
    expected = {len(t.config.tasks): t.expected_examples for t in plan.trials}
    assert expected == {1: 200, 3: 600}
    assert [e.num_layers for e in plan.encoders.values()] == [6, 3]


def test_limits_of_tasks_that_are_left_out_change_nothing(tiny_bert: Path) -> None:
    both = "limits.max_train_examples={sentiment: 20, paraphrase: 10}"

    def plan(tasks: str, limits: str) -> dict[str, int]:
        trials = planned(tiny_bert, "arms=[single_task]", f"tasks=[{tasks}]", limits).trials
        return {trial.key: trial.expected_examples for trial in trials}

    assert set(plan("sentiment,paraphrase", both).values()) == {20, 10}
    alone = plan("sentiment", both)
    assert set(alone.values()) == {20}
    assert alone == plan("sentiment", "limits.max_train_examples={sentiment: 20}")
    assert plan("acceptability", both) == plan("acceptability", "limits.max_train_examples=null")


def test_what_takes_longest_starts_first() -> None:
    started = make_plan(load_experiment("demo", [])).longest_first()
    costs = [trial.cost for trial in started]
    assert costs == sorted(costs, reverse=True)
    assert len(started[0].config.tasks) == 3
    assert started[0].config.model_name == "minilm-l6"
    assert started[-1].config.model_name == "minilm-l3"
    # Six layers cost twice as much as three, three passes three times as much as one.
    by_title = {trial.config.title: trial.cost for trial in started}
    assert by_title["naive_concat minilm-l6 seed 41"] == pytest.approx(
        2 * by_title["naive_concat minilm-l3 seed 41"]
    )


def test_a_budget_in_steps_is_the_same_for_every_trial(tiny_bert: Path) -> None:
    overrides = ["limits.max_train_examples=20", "training.batch_size=8", "training.epochs=3"]
    plan = planned(tiny_bert, *overrides, "training.budget=steps")
    # Three passes of ceil(20 / 8) steps over each of two tasks.
    assert {trial.config.total_steps for trial in plan.trials} == {18}
    # A single task then sees its 20 examples six times, two tasks see their 40 three times.
    assert {trial.expected_examples for trial in plan.trials} == {120}
    in_passes = planned(tiny_bert, *overrides)
    assert {trial.config.total_steps for trial in in_passes.trials} == {None}
    assert {t.expected_examples for t in in_passes.trials} == {60, 120}


def test_selection_is_carved_from_train_in_every_trial(tiny_bert: Path) -> None:
    plan = planned(tiny_bert, "training.keep=best", "limits.max_train_examples=20")
    sizes = {n: {s: len(x) for s, x in t.splits.items()} for n, t in plan.tasks.items()}
    assert sizes["sentiment"] == {"train": 18, "selection": 2, "validation": 12}
    assert {t.expected_examples for t in plan.trials} == {18, 36}


@pytest.mark.parametrize(
    ("override", "same"),
    [
        ("resources.max_concurrent=1", True),
        ("checkpoint.every=1", True),
        ("define.arms.single_task.label=alone", True),
        ("training.epochs=2", False),
        ("seeds=[2]", False),
        ("define.models.tiny.dropout=0.3", False),
        ("limits.max_train_examples=10", False),
    ],
)
def test_keys_follow_what_decides_the_numbers(tiny_bert: Path, override: str, same: bool) -> None:
    before = {trial.key for trial in planned(tiny_bert).trials}
    after = {trial.key for trial in planned(tiny_bert, override).trials}
    assert len(before) == len(after) == 3
    assert (before == after) if same else not before & after


def test_relative_paths_become_absolute(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.csv").write_text("s,label\ngood,1\nbad,0\n")
    (tmp_path / "dev.csv").write_text("s,label\nfine,1\ndull,0\n")
    (tmp_path / "tiny").symlink_to(tiny_bert)
    monkeypatch.chdir(tmp_path)
    plan = planned(
        Path("tiny"),
        "tasks=[mine]",
        "define.tasks.mine={text: [s], files: {train: mine.csv, validation: dev.csv}}",
    )
    for trial in plan.trials:
        files = trial.config.tasks["mine"].files
        assert files is not None
        assert Path(files.train) == tmp_path / "mine.csv"
        assert Path(trial.config.model.encoder) == tiny_bert
