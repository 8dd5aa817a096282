"""Trials that learn numbers: alone, beside classes, with every weighting, and from teachers."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import pearsonr, spearmanr

from tests.helpers.methods import method
from tests.helpers.trials import finished, trial_config, with_regression
from trainables.config.methods import variants
from trainables.config.trial import TrialConfig
from trainables.models.saved import load_classifier
from trainables.training.weighting.gradnorm import GradNorm
from trainables.trial.artifacts import load_teacher_distributions

BRIEF: dict[str, Any] = {"tasks": ("sentiment",), "epochs": 1}


def config_of(arm: str, encoder: Path, folder: Path, **settings: Any) -> TrialConfig:
    return with_regression(trial_config(arm, encoder, **BRIEF | settings), folder)


@pytest.mark.parametrize("arm", ["single_task", "shared_encoder"])
def test_the_record_follows_from_the_predictions(arm: str, tiny_bert: Path, tmp_path: Path) -> None:
    config = config_of(arm, tiny_bert, tmp_path)
    record, trial = finished(config, tmp_path)
    frame = pd.read_parquet(trial.run_dir.predictions(config.key))
    rows = frame[frame["task"] == "scores"]
    assert rows["label"].tolist() == [i % 4 + 0.25 * (i % 3) for i in range(10)]
    assert rows["prediction"].tolist() == [logits[0] for logits in rows["logits"]]
    result = record.results["validation"]["scores"]
    expected = {
        "pearson": pearsonr(rows["label"], rows["prediction"])[0],
        "spearman": spearmanr(rows["label"], rows["prediction"])[0],
    }
    assert result.scores() == pytest.approx(expected, abs=1e-9)
    assert result.loss == pytest.approx(((rows["label"] - rows["prediction"]) ** 2).mean())
    if arm == "shared_encoder":
        classes = frame[frame["task"] == "sentiment"]
        assert set(classes["label"]) == {0.0, 1.0}
        assert np.sum(record.results["validation"]["sentiment"].confusion) == len(classes)


def test_the_loss_is_the_squared_error(tiny_bert: Path, tmp_path: Path) -> None:
    record, _ = finished(config_of("single_task", tiny_bert, tmp_path), tmp_path)
    (epoch,) = record.history
    numbers = epoch.splits["train"]["scores"].numbers
    assert numbers is not None
    spread = numbers.target_squares + numbers.prediction_squares - 2 * numbers.products
    bias = numbers.mean_target - numbers.mean_prediction
    assert numbers.examples == 16
    assert epoch.train_loss == pytest.approx(spread / 16 + bias**2, rel=1e-5)
    assert list(epoch.splits["train"]["scores"].scores()) == ["pearson"]


@pytest.mark.parametrize("name", variants("weighting"))
def test_every_weighting_weighs_squared_errors_beside_cross_entropies(
    name: str, tiny_bert: Path, tmp_path: Path
) -> None:
    config = config_of("shared_encoder_famo", tiny_bert, tmp_path)
    settings = {"weights": {"scores": 2.0}} if name == "fixed" else {}
    weighting = method("weighting", name=name, **settings)
    arm = config.arm.model_copy(update={"weighting": weighting})
    record, trial = finished(config.model_copy(update={"arm": arm}), tmp_path)
    assert trial.loop is not None
    weights = trial.loop.gradients.weighting.weights(3, np.array([0.7, 2.0]))
    assert weights.shape == (2,)
    assert (np.isfinite(weights) & (weights >= 0)).all()
    assert record.results["validation"]["scores"].loss is not None


def test_the_variance_of_its_targets_stands_for_a_regressions_first_loss(
    tiny_bert: Path, tmp_path: Path
) -> None:
    _, trial = finished(config_of("shared_encoder_gradnorm", tiny_bert, tmp_path), tmp_path)
    assert trial.loop is not None
    targets = [i % 4 + 0.25 * (i % 3) for i in range(16)]
    weighting = trial.loop.gradients.weighting
    assert isinstance(weighting, GradNorm)
    assert weighting.first_losses == pytest.approx([np.log(2), np.var(targets)])


def test_a_saved_model_predicts_the_number(tiny_bert: Path, tmp_path: Path) -> None:
    config = config_of("shared_encoder", tiny_bert, tmp_path)
    _, trial = finished(config, tmp_path, save_model=True)
    model, tokenizer, metadata = load_classifier(trial.run_dir.model(config.key))
    assert metadata["tasks"]["scores"] == []
    inputs = tokenizer("a cat validation 0", return_tensors="pt")
    with torch.inference_mode():
        number = model(inputs, "scores")
    frame = pd.read_parquet(trial.run_dir.predictions(config.key))
    expected = frame[frame["task"] == "scores"]["prediction"].tolist()[0]
    assert number.tolist() == [[pytest.approx(expected, abs=1e-5)]]


@pytest.mark.parametrize("gold_weight", [0.0, 1.0])
def test_a_student_learns_from_the_teachers_numbers(
    gold_weight: float, tiny_bert: Path, tmp_path: Path
) -> None:
    """With teachers alone the loss is the distance to them, which differs from that to gold."""
    teacher = config_of("single_task", tiny_bert, tmp_path)
    finished(teacher, tmp_path, artifacts=("teacher_logits",))
    distillation = {"teachers": "single_task", "gold_weight": gold_weight}
    arm = {"strategy": "single_task", "distillation": distillation}
    content = teacher.model_dump() | {"arm_name": "student", "arm": arm, "seed": 7}
    student = TrialConfig.model_validate(content | {"teachers": {"scores": (teacher.key,)}})
    record, trial = finished(student, tmp_path)
    said = load_teacher_distributions(trial.run_dir, student, {"scores": (16, 1)})["scores"][:, 0]
    targets = np.array([i % 4 + 0.25 * (i % 3) for i in range(16)])
    (epoch,) = record.history
    mean = epoch.splits["train"]["scores"].numbers
    assert mean is not None
    around = said if gold_weight == 0 else targets
    # The student's predictions hardly differ from each other before it has learned.
    expected = np.mean((around - mean.mean_prediction) ** 2)
    assert epoch.train_loss == pytest.approx(expected, rel=0.2, abs=0.02)
