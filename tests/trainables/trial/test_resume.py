"""A trial that goes on from any of its steps ends bit for bit as one that ran through."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.helpers.tiny_encoders import build_encoder
from tests.helpers.trials import (
    ARMS,
    assert_same,
    finished,
    runtime,
    trial_config,
    with_regression,
)
from trainables.config.schedules import SettingChange
from trainables.config.trial import LimitsConfig, SelectionConfig, TrialConfig
from trainables.results.record import read_record
from trainables.training import checkpoint, loop
from trainables.training.checkpoint import save_checkpoint
from trainables.trial import trial as trial_module
from trainables.trial.trial import Trial

SMALL: dict[str, Any] = {
    "epochs": 3,
    "limits": LimitsConfig(max_train_examples=16, max_validation_examples=8),
    "model": {"num_layers": 1},
    "eval_batch_size": 8,
}
SELECTING: dict[str, Any] = {
    "early_stopping": {"patience": 1},
    "keep": "best",
    "selection": SelectionConfig(fraction=0.3),
}


def saved_at_every_step(config: TrialConfig, folder: Path) -> tuple[Any, Trial, list[Path]]:
    """A whole trial and its checkpoints, one a step."""
    trial = Trial(config, runtime(folder))
    saved = []
    for _ in trial.run():
        assert trial.loop is not None
        saved.append(save_checkpoint(folder / "saved" / config.key, config.key, trial.loop))
    return read_record(trial.run_dir.record(config.key)), trial, saved


@pytest.fixture
def keep_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "KEPT", 1000)


def resumes_alike(config: TrialConfig, folder: Path) -> tuple[Any, Trial]:
    """Check every step; gives the trial that ran through."""
    record, trial, saved = saved_at_every_step(config, folder)
    assert len(saved) == record.steps > 2
    for step, path in enumerate(saved, start=1):
        # The process has another past.
        torch.manual_seed(step)
        np.random.seed(step)
        torch.rand(step)
        other = finished(config, folder / f"from-{step}", resume_from=str(path))
        assert other[0].interruptions == 1
        assert_same((record, trial), other)
    return record, trial


@pytest.mark.usefixtures("keep_all")
@pytest.mark.parametrize("arm", ARMS)
def test_from_every_step_of_every_arm(arm: str, tiny_bert: Path, tmp_path: Path) -> None:
    tasks = ("acceptability",) if arm == "single_task" else ("acceptability", "sentiment")
    resumes_alike(trial_config(arm, tiny_bert, tasks=tasks, **SMALL), tmp_path)


@pytest.mark.usefixtures("keep_all")
@pytest.mark.parametrize(("specimen", "arm"), [("t5", "shared_encoder"), ("qwen3", "lora_shared")])
def test_from_every_step_with_another_kind_of_encoder(
    specimen: str, arm: str, tmp_path: Path
) -> None:
    """T5's word embeddings have two names; a decoder's frozen matrices are in bfloat16."""
    folder = build_encoder(specimen, tmp_path / "encoder")
    settings: dict[str, Any] = SMALL | SELECTING | {"epochs": 2, "ema_decay": 0.5}
    resumes_alike(trial_config(arm, folder, tasks=("paraphrase",), **settings), tmp_path)


@pytest.mark.usefixtures("keep_all")
def test_from_every_step_of_a_regression_beside_a_classification(
    tiny_bert: Path, tmp_path: Path
) -> None:
    settings: dict[str, Any] = SMALL | SELECTING | {"epochs": 2}
    config = trial_config("shared_encoder", tiny_bert, tasks=("sentiment",), **settings)
    resumes_alike(with_regression(config, tmp_path), tmp_path)


@pytest.mark.usefixtures("keep_all")
def test_from_every_step_with_a_best_epoch_and_early_stopping(
    tiny_bert: Path, tmp_path: Path
) -> None:
    settings: dict[str, Any] = SMALL | SELECTING | {"epochs": 6}
    config = trial_config("single_task", tiny_bert, **settings)
    record, trial = resumes_alike(config, tmp_path)
    assert record.stop_reason == "early_stopping"
    assert record.reported_epoch is not None
    assert record.reported_epoch < len(record.history)
    assert trial.loop is not None
    assert trial.loop.best_weights is not None


@pytest.mark.usefixtures("keep_all")
def test_from_every_step_with_settings_that_change(tiny_bert: Path, tmp_path: Path) -> None:
    changes = (
        SettingChange(at=0.3, training={"learning_rate": 3e-4, "layer_decay": 0.7}),
        SettingChange(at=0.6, training={"weight_decay": 0.3, "label_smoothing": 0.2}),
    )
    config = trial_config("single_task", tiny_bert, **SMALL).model_copy(update={"changes": changes})
    resumes_alike(config, tmp_path)


@pytest.mark.usefixtures("keep_all")
def test_from_every_step_with_a_loss_scale_that_moves(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU that computes in fp16: steps that overflow are left out, the scale follows."""
    monkeypatch.setattr(trial_module, "resolve_precision", lambda *_: "fp16")
    scaler = torch.amp.GradScaler
    settings = {"init_scale": 2.0**40, "growth_interval": 2, "enabled": True}
    monkeypatch.setattr(
        loop.torch.amp, "GradScaler", lambda device, **_: scaler(device, **settings)
    )
    config = trial_config("single_task", tiny_bert, **SMALL)
    _, trial = resumes_alike(config, tmp_path)
    assert trial.loop is not None
    assert 0 < trial.loop.scaler.get_scale() < 2.0**40
    assert trial.loop.optimizer.state, "every step was left out"


def test_a_clock_that_jumps_changes_nothing_but_stamps(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = trial_config("shared_encoder", tiny_bert, **SMALL)
    calm = finished(config, tmp_path / "calm", checkpoint_every=1e-9)
    jumps = [0]

    def wild() -> float:
        jumps[0] += 1
        return 1.8e9 + (-1) ** jumps[0] * jumps[0] * 1e7

    class Stamps(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.fromtimestamp(wild(), UTC)

    monkeypatch.setattr(time, "time", wild)
    monkeypatch.setattr(trial_module, "datetime", Stamps)
    record, trial = finished(config, tmp_path / "wild", checkpoint_every=1e-9)
    assert jumps[0] > record.steps
    assert_same(calm, (record, trial))
    assert record.started != calm[0].started
    durations = [record.train_seconds, record.eval_seconds, *(e.seconds for e in record.history)]
    assert all(0 < seconds < 3600 for seconds in durations)
    assert durations[2:] == sorted(durations[2:])
