"""Trials that need others: who needs whom, in which order, and circles."""

from pathlib import Path

import pytest

from orchestrator.config.experiment import load_experiment
from orchestrator.planning.dependencies import stages
from orchestrator.planning.plan import Plan, make_plan
from tests.helpers.command import small_grid
from trainables.errors import ConfigError

BORN_AGAIN = "define.arms.again={strategy: single_task, distillation: {teachers: single_task}}"
TO_MULTI = "define.arms.bam={strategy: shared_encoder, distillation: {teachers: single_task}}"
MULTI_TO_MULTI = "define.arms.twice={strategy: shared_encoder, distillation: {teachers: bam}}"
FINE_TUNED = "define.arms.tuned={strategy: single_task, start_from: shared_encoder}"
DEFINED = [BORN_AGAIN, TO_MULTI, MULTI_TO_MULTI, FINE_TUNED]


def planned(encoder: Path, *overrides: str) -> Plan:
    return make_plan(load_experiment("demo", small_grid(encoder, *DEFINED, *overrides)[1:]))


def titles(plan: Plan) -> list[set[str]]:
    return [{t.config.title for t in stage} for stage in stages(plan.trials)]


def test_teachers_join_the_plan_before_their_students(tiny_bert: Path) -> None:
    assert titles(planned(tiny_bert, "arms=[twice]")) == [
        {"single_task tiny sentiment seed 1", "single_task tiny acceptability seed 1"},
        {"bam tiny seed 1"},
        {"twice tiny seed 1"},
    ]


def test_each_task_has_the_teacher_of_its_seed(tiny_bert: Path) -> None:
    plan = planned(tiny_bert, "arms=[single_task,again,bam]", "seeds=[1,2]")
    by_title = {trial.config.title: trial for trial in plan.trials}
    for seed in (1, 2):
        for task in ("sentiment", "acceptability"):
            teacher = by_title[f"single_task tiny {task} seed {seed}"].key
            student = by_title[f"again tiny {task} seed {seed}"].config
            assert student.teachers == {task: (teacher,)}
            assert by_title[f"bam tiny seed {seed}"].config.teachers[task] == (teacher,)


def test_all_seeds_teach_together_where_asked(tiny_bert: Path) -> None:
    plan = planned(
        tiny_bert, "arms=[bam]", "seeds=[1,2,3]", "define.arms.bam.distillation.seeds=all"
    )
    students = [t.config for t in plan.trials if t.config.arm_name == "bam"]
    assert len(students) == 3
    for student in students:
        assert [len(keys) for keys in student.teachers.values()] == [3, 3]
        assert student.needs == {t.key for t in plan.trials if t.config.arm_name != "bam"}


def test_fine_tuning_starts_from_the_trial_of_its_seed(tiny_bert: Path) -> None:
    plan = planned(tiny_bert, "arms=[tuned]", "seeds=[1,2]")
    first = {t.config.seed: t.key for t in plan.trials if t.config.arm_name == "shared_encoder"}
    tuned = [t.config for t in plan.trials if t.config.arm_name == "tuned"]
    assert len(tuned) == 4
    assert all(config.start_from == first[config.seed] for config in tuned)


def test_fine_tuning_may_start_from_a_model_of_other_tasks(tiny_bert: Path) -> None:
    plan = planned(
        tiny_bert,
        "arms=[tuned]",
        "define.arms.shared_encoder.tasks=[sentiment]",
        "define.arms.tuned.tasks=[acceptability]",
        "define.arms.tuned.train_fraction=0.25",
    )
    before, after = plan.trials
    assert list(before.config.tasks) == ["sentiment"]
    assert list(after.config.tasks) == ["acceptability"]
    assert after.config.start_from == before.key
    assert (before.expected_examples, after.expected_examples) == (16, 4)


def test_another_teacher_makes_another_student(tiny_bert: Path) -> None:
    def student(*overrides: str) -> str:
        plan = planned(tiny_bert, "arms=[bam]", *overrides)
        return next(t.key for t in plan.trials if t.config.arm_name == "bam")

    assert student() == student()
    changed = "define.arms.single_task.distillation={teachers: shared_encoder}"
    assert student(changed) != student()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "define.arms.bam.distillation.teachers=singel_task",
            r"define\.arms\.bam\.distillation\.teachers=singel_task: unknown arm; did you mean "
            r"single_task\?",
        ),
        (
            "define.arms.bam.distillation.teachers=naive_concat",
            r"define\.arms\.bam\.distillation\.teachers=naive_concat: a naive_concat arm has no",
        ),
        (
            "define.arms.bam.distillation.teachers=twice",
            r"define\.arms\.bam: bam needs twice needs bam; end the circle",
        ),
        ("define.arms.tuned.start_from=tuned", r"define\.arms\.tuned: tuned needs tuned"),
        (
            "define.arms.single_task.tasks=[sentiment]",
            r"define\.arms\.bam\.distillation\.teachers=single_task: it has no teacher of task acc",
        ),
        (
            "define.arms.bam.train_fraction=0.5",
            r"teachers=single_task: teacher and student need the same train_fraction",
        ),
    ],
)
def test_what_cannot_teach_is_refused(override: str, message: str, tiny_bert: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        planned(tiny_bert, "arms=[bam,tuned]", override)
