"""What an arm's own tasks, data and settings make of its trials."""

from pathlib import Path

import pytest

from orchestrator.config.experiment import load_experiment
from orchestrator.planning.plan import Plan, make_plan
from tests.helpers.command import small_grid
from trainables.errors import ConfigError


def planned(encoder: Path, *overrides: str) -> Plan:
    return make_plan(load_experiment("demo", small_grid(encoder, *overrides)[1:]))


def test_an_arms_own_tasks(tiny_bert: Path) -> None:
    plan = planned(tiny_bert, "define.arms.single_task.tasks=[sentiment]")
    assert [list(t.config.tasks) for t in plan.trials] == [
        ["sentiment"],
        ["sentiment", "acceptability"],
    ]


def test_an_arms_own_settings_lie_over_the_grids(tiny_bert: Path) -> None:
    plan = planned(
        tiny_bert,
        "training.learning_rate=1e-4",
        "define.arms.shared_encoder.training={learning_rate: 1e-3}",
    )
    rates = {t.config.arm_name: t.config.training.learning_rate for t in plan.trials}
    assert rates == {"single_task": 1e-4, "shared_encoder": 1e-3}
    assert {t.config.training.batch_size for t in plan.trials} == {8}


def test_fractions_of_the_training_data_are_rounded_up(tiny_bert: Path) -> None:
    for fraction, expected in ((0.1, 2), (0.5, 8), (0.51, 9), (1.0, 16)):
        plan = planned(
            tiny_bert, "arms=[single_task]", f"define.arms.single_task.train_fraction={fraction}"
        )
        assert {t.expected_examples for t in plan.trials} == {expected}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "define.arms.shared_encoder.tasks=[sentimant]",
            r"define\.arms\.shared_encoder\.tasks: sentimant is not among the grid's tasks; "
            r"did you mean sentiment\?",
        ),
        (
            "define.arms.shared_encoder.training.learning_rte=1",
            r"define\.arms\.shared_encoder\.training\.learning_rte: unknown key; did you mean "
            r"learning_rate\?",
        ),
        (
            "define.arms.shared_encoder.training.keep=best",
            r"define\.arms\.shared_encoder\.training\.keep: must be the same for all arms",
        ),
        (
            "define.arms.shared_encoder.head.name=san",
            r"define\.arms\.shared_encoder: the head san reads two texts and task sentiment",
        ),
        (
            "define.arms.shared_encoder.task_heads={sentimant: {name: mlp}}",
            r"define\.arms\.shared_encoder\.task_heads: sentimant is not among the arm's tasks",
        ),
        (
            "define.arms.shared_encoder.train_fraction=0",
            r"define\.arms\.shared_encoder\.train_fraction: input should be greater than 0",
        ),
        (
            "define.arms.shared_encoder.weighting={name: fixed, weights: {sentimnt: 2}}",
            r"define\.arms\.shared_encoder\.weighting\.weights: sentimnt is not among the arm's "
            r"tasks; did you mean sentiment\?",
        ),
        (
            "define.arms.shared_encoder={sampling: {batch: joint}, training: {batch_size: 3}}",
            r"define\.arms\.shared_encoder\.sampling\.batch=joint: 2 tasks share a batch, so "
            r"training\.batch_size must be at least 4, not 3",
        ),
    ],
)
def test_settings_that_no_arm_can_have(override: str, message: str, tiny_bert: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        planned(tiny_bert, override)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["arms=[naive_concat]"],
            r"naive_concat is one classifier for the classes of all tasks, and scores is a "
            r"regression, which has none; leave it out with define\.arms\.naive_concat\.tasks",
        ),
        (
            ["define.arms.shared_encoder.head.name=san"],
            r"the head san gives probabilities of classes, and scores is a regression",
        ),
        (
            ["arms=[single_task]", "tasks=[scores]", "training.label_smoothing=0.1"],
            r"training\.label_smoothing=0\.1 is about classes, and all tasks of the arm are",
        ),
        (
            ["arms=[single_task]", "tasks=[scores]", "training.class_weights=balanced"],
            r"training\.class_weights=balanced is about classes",
        ),
    ],
)
def test_what_regressions_cannot_have(
    overrides: list[str], message: str, tiny_bert: Path, tmp_path: Path
) -> None:
    (tmp_path / "train.csv").write_text("s,label\n" + "".join(f"a {i},{i / 2}\n" for i in range(9)))
    files = f"{{train: {tmp_path}/train.csv, validation: {{fraction: 0.4}}}}"
    scores = f"define.tasks.scores={{text: [s], kind: regression, files: {files}}}"
    both = [scores, "tasks=[sentiment,scores]"]
    assert planned(tiny_bert, *both, "training.label_smoothing=0.1").trials
    alone = ["arms=[naive_concat]", "define.arms.naive_concat.tasks=[sentiment]"]
    assert planned(tiny_bert, *both, *alone).trials
    with pytest.raises(ConfigError, match=message):
        planned(tiny_bert, *both, *overrides)


def test_what_methods_ask_is_asked_of_an_arms_own_tasks_and_settings(tiny_bert: Path) -> None:
    joint = "define.arms.shared_encoder.sampling.batch=joint"
    assert planned(tiny_bert, joint, "training.batch_size=4").trials
    with pytest.raises(ConfigError, match="3 tasks share a batch"):
        planned(
            tiny_bert, joint, "training.batch_size=4", "tasks=[sentiment,acceptability,paraphrase]"
        )
    own = "define.arms.shared_encoder.training.batch_size=4"
    assert planned(tiny_bert, joint, "training.batch_size=2", own).trials
    alone = "define.arms.shared_encoder.tasks=[sentiment]"
    assert planned(tiny_bert, joint, "training.batch_size=1", alone).trials
