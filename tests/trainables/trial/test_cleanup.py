"""Checkpoints go when their trial has ended; what a crash left goes when nobody writes to it."""

import os
import time
from pathlib import Path

import pytest

from tests.helpers.records import Trial, record, trial
from tests.helpers.trials import runtime, trial_config
from trainables.config.trial import Runtime
from trainables.errors import DivergedError
from trainables.storage.run_dir import RunDir
from trainables.training.checkpoint import checkpoints
from trainables.trial.cleanup import ABANDONED_SECONDS, clean_up
from trainables.trial.trial import run_trial


def saving(folder: Path, **settings: object) -> Runtime:
    """A checkpoint after every step."""
    return runtime(folder, checkpoint_every=1e-9, **settings)


@pytest.mark.parametrize("keep", [False, True])
def test_a_finished_trials_checkpoints_go_unless_they_are_to_be_kept(
    tmp_path: Path, tiny_bert: Path, keep: bool
) -> None:
    numbers: list[int] = []

    def look(trial, progress) -> None:
        numbers.append(len(checkpoints(trial.run_dir.checkpoints(trial.config.key))))

    config = trial_config("single_task", tiny_bert)
    ended = run_trial(config, saving(tmp_path, keep_checkpoints=keep), look)
    assert max(numbers) == 2
    assert len(checkpoints(ended.run_dir.checkpoints(config.key))) == (2 if keep else 0)


@pytest.mark.parametrize(("status", "stay"), [("diverged", False), ("failed", True)])
def test_a_trial_that_will_be_continued_keeps_them(
    tmp_path: Path, tiny_bert: Path, status: str, stay: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if status == "failed":
        monkeypatch.setattr("trainables.trial.trial.write_predictions", lambda *_: 1 / 0)
    wild = {"learning_rate": 1e30, "max_grad_norm": 0.0, "epochs": 4}
    config = trial_config("single_task", tiny_bert, **(wild if status == "diverged" else {}))
    folder = RunDir(tmp_path / "run").checkpoints(config.key)
    existed: list[bool] = []
    with pytest.raises((DivergedError, ZeroDivisionError)):
        run_trial(config, saving(tmp_path), lambda *_: existed.append(bool(checkpoints(folder))))
    assert any(existed)
    assert bool(checkpoints(folder)) == stay


@pytest.fixture
def crashed(tmp_path: Path) -> RunDir:
    """A run directory in which two trials ended, one failed and one was killed."""
    run_dir = RunDir(tmp_path)
    for key in ("finished", "diverged", "failed", "killed"):
        for name in ("step-00000001", ".writing-ab"):
            (run_dir.checkpoints(key) / name).mkdir(parents=True)
            (run_dir.checkpoints(key) / name / "model.safetensors").write_text("x")
        run_dir.progress(key).parent.mkdir(exist_ok=True)
        run_dir.progress(key).write_text("{}")
    for name in (
        "records/.killed.json.x1.tmp",
        "predictions/.killed.parquet.x1.tmp",
        "teaching/.killed.parquet.x1.tmp",
        "weights/.killed.safetensors.x1.tmp",
        "progress/.killed.json.77.tmp",
        "models/.killed.x1.tmp/config.json",
        ".plan.json.x1.tmp",
        ".table.md.x1.tmp",
        ".probe-x",
        "records/killed.tmp",
        ".mine.tmp",
        "models/killed/config.json",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    return run_dir


OURS_NO_MORE = {"records/killed.tmp", ".mine.tmp", "models/killed/config.json"}


def clear(run_dir: RunDir, keep: bool = False, age: float = ABANDONED_SECONDS + 1) -> set[str]:
    """What ``clean_up`` leaves of files that were written ``age`` seconds ago."""
    planned = trial()
    records = [
        record(Trial(planned.key, planned.config), status=status).model_copy(update={"key": status})
        for status in ("finished", "diverged", "failed")
    ]
    clean_up(run_dir, records, keep=keep, now=time.time() + age)
    return {
        path.relative_to(run_dir.root).as_posix()
        for path in run_dir.root.rglob("*")
        if path.is_file()
    }


def test_what_a_crash_left_is_cleared_and_nothing_else(crashed: RunDir) -> None:
    assert clear(crashed) == OURS_NO_MORE | {
        "progress/failed.json",
        "progress/killed.json",
        "checkpoints/failed/step-00000001/model.safetensors",
        "checkpoints/killed/step-00000001/model.safetensors",
    }


def test_checkpoints_that_are_to_be_kept_stay_and_half_ones_do_not(crashed: RunDir) -> None:
    remaining = {path for path in clear(crashed, keep=True) if path.startswith("checkpoints")}
    assert remaining == {
        f"checkpoints/{key}/step-00000001/model.safetensors"
        for key in ("finished", "diverged", "failed", "killed")
    }


def test_what_somebody_may_still_be_writing_stays(crashed: RunDir) -> None:
    long_ago = time.time() - 3600
    os.utime(crashed.checkpoints("killed") / ".writing-ab", (long_ago, long_ago))
    remaining = clear(crashed, age=ABANDONED_SECONDS - 10)
    assert "records/.killed.json.x1.tmp" in remaining
    assert "checkpoints/killed/.writing-ab/model.safetensors" in remaining
    assert not any("finished" in path for path in remaining)
