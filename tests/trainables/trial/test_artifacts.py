"""Trials that come after others: students, and such as start from another trial's weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.helpers.trials import runtime, trial_config
from trainables.config.trial import TrialConfig
from trainables.errors import TrialError
from trainables.results.record import TrialRecord, read_record
from trainables.training.checkpoint import save_checkpoint
from trainables.trial.artifacts import (
    has_artifacts,
    load_teacher_distributions,
    write_teacher_logits,
)
from trainables.trial.trial import Trial, run_trial

TASK = "acceptability"


def finished(config: TrialConfig, folder: Path, **settings: Any) -> tuple[Trial, TrialRecord]:
    trial = run_trial(config, runtime(folder, **settings))
    return trial, read_record(trial.run_dir.record(config.key))


def student_of(teachers: list[TrialConfig], **distillation: Any) -> TrialConfig:
    base = teachers[0]
    settings = {"teachers": "single_task", **distillation}
    arm = base.arm.model_copy(update={"distillation": None}).model_dump() | {
        "distillation": settings
    }
    content = base.model_dump() | {"arm_name": "student", "arm": arm, "seed": 7}
    return TrialConfig.model_validate(
        content | {"teachers": {TASK: tuple(t.key for t in teachers)}}
    )


def logits(trial: Trial) -> np.ndarray:
    frame = pd.read_parquet(trial.run_dir.predictions(trial.config.key))
    return np.stack(frame["logits"].tolist())


@pytest.fixture
def teachers(tiny_bert: Path, tmp_path: Path) -> list[TrialConfig]:
    """Two trained teachers of one task, which differ in their seed."""
    configs = [trial_config("single_task", tiny_bert, seed=seed) for seed in (1, 2)]
    for config in configs:
        finished(config, tmp_path, artifacts=("teacher_logits",))
    return configs


def test_a_teacher_leaves_what_its_final_model_says_of_train(
    teachers: list[TrialConfig], tmp_path: Path
) -> None:
    trial, _ = finished(teachers[0], tmp_path, artifacts=("teacher_logits",))
    assert has_artifacts(trial.run_dir, teachers[0].key, ("teacher_logits",))
    assert trial.loop is not None
    said = trial.loop.teacher_logits()[TASK]
    shares = np.exp(said) / np.exp(said).sum(axis=1, keepdims=True)
    student = student_of(teachers[:1])
    loaded = load_teacher_distributions(trial.run_dir, student, {TASK: (40, 2)})[TASK]
    np.testing.assert_allclose(loaded, shares, rtol=1e-5)


def test_an_ensemble_is_the_mean_of_its_distributions(
    teachers: list[TrialConfig], tmp_path: Path
) -> None:
    run_dir = Trial(teachers[0], runtime(tmp_path)).run_dir
    size = {TASK: (40, 2)}
    first, second = (
        load_teacher_distributions(run_dir, student_of([t]), size)[TASK] for t in teachers
    )
    both = load_teacher_distributions(run_dir, student_of(teachers), size)[TASK]
    np.testing.assert_allclose(both, (first + second) / 2, rtol=1e-6)
    assert np.abs(first - second).max() > 1e-3


@pytest.mark.parametrize("said", [0, 1])
def test_a_student_that_only_imitates_says_what_its_teacher_says(
    said: int, teachers: list[TrialConfig], tmp_path: Path
) -> None:
    run_dir = Trial(teachers[0], runtime(tmp_path)).run_dir
    constant = np.full((40, 2), -9.0, dtype=np.float32)
    constant[:, said] = 9.0
    write_teacher_logits(run_dir.teacher_logits(teachers[0].key), {TASK: constant})
    student, _ = finished(student_of(teachers[:1], gold_weight=0.0), tmp_path)
    assert set(logits(student).argmax(axis=1)) == {said}


def test_with_gold_labels_alone_the_teacher_changes_nothing(
    teachers: list[TrialConfig], tmp_path: Path
) -> None:
    student = student_of(teachers, gold_weight=1.0)
    plain = TrialConfig.model_validate(
        student.model_dump() | {"arm": teachers[0].arm.model_dump(), "teachers": {}}
    )
    taught, alone = (logits(finished(config, tmp_path)[0]) for config in (student, plain))
    np.testing.assert_allclose(taught, alone, atol=1e-4)


def test_a_student_resumed_after_any_step_ends_bit_for_bit_the_same(
    teachers: list[TrialConfig], tmp_path: Path
) -> None:
    student = student_of(teachers)
    whole, record = finished(student, tmp_path)
    expected = logits(whole)
    for stop in (1, record.steps // 2, record.steps - 1):
        first = Trial(student, runtime(tmp_path, checkpoint_every=1e9))
        for progress in first.run():
            if progress["step"] == stop:
                break
        assert first.loop is not None
        save_checkpoint(first.run_dir.checkpoints(student.key), student.key, first.loop)
        again, _ = finished(student, tmp_path, checkpoint_every=1e9)
        assert logits(again).tobytes() == expected.tobytes()


@pytest.mark.parametrize("damage", ["missing", "truncated", "of other data"])
def test_a_teacher_whose_predictions_cannot_be_used(
    damage: str, teachers: list[TrialConfig], tmp_path: Path
) -> None:
    run_dir = Trial(teachers[0], runtime(tmp_path)).run_dir
    path = run_dir.teacher_logits(teachers[0].key)
    examples = 40
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:-20])
    else:
        examples = 41
    assert has_artifacts(run_dir, teachers[0].key, ("teacher_logits",)) == (
        damage == "of other data"
    )
    with pytest.raises(TrialError, match=f"{path.name}: .*delete it and run") as caught:
        load_teacher_distributions(run_dir, student_of(teachers), {TASK: (examples, 2)})
    assert "\n" not in str(caught.value)


def test_it_starts_from_the_other_trials_weights(tiny_bert: Path, tmp_path: Path) -> None:
    shared = trial_config("shared_encoder", tiny_bert)
    before, _ = finished(shared, tmp_path, artifacts=("weights",))
    single = trial_config("single_task", tiny_bert, learning_rate=1e-12)
    tuned = single.model_copy(update={"start_from": shared.key})
    after, _ = finished(tuned, tmp_path)
    rows = pd.read_parquet(before.run_dir.predictions(shared.key)).query("task == @TASK")
    np.testing.assert_allclose(logits(after), np.stack(rows["logits"].tolist()), atol=1e-5)


def test_weights_that_are_missing_or_of_another_encoder(tiny_bert: Path, tmp_path: Path) -> None:
    single = trial_config("single_task", tiny_bert)
    tuned = single.model_copy(update={"start_from": "0" * 12})
    with pytest.raises(TrialError, match=r"0{12}\.safetensors: the weights to start from cannot"):
        run_trial(tuned, runtime(tmp_path))
    small = trial_config("single_task", tiny_bert, model={"num_layers": 1})
    finished(small, tmp_path, artifacts=("weights",))
    tuned = single.model_copy(update={"start_from": small.key})
    with pytest.raises(TrialError, match="the weights to start from lack encoder"):
        run_trial(tuned, runtime(tmp_path))
