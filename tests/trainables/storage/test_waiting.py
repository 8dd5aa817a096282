"""A run directory that vanishes, comes back, fills up or takes nothing more."""

import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors import SafetensorError

from tests.helpers.trials import assert_same, finished, runtime, trial_config
from trainables.errors import StorageError
from trainables.results.record import read_record
from trainables.storage import retry, waiting
from trainables.storage.remote_run_dir import TrialTransfer
from trainables.storage.run_dir import RunDir, RunPaths
from trainables.storage.waiting import Storage
from trainables.trial import trial
from trainables.trial.trial import Trial
from trainables.tune.trainable import TrialTrainable


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(waiting, "NOTE_SECONDS", 0.01)


def storage_at(root: Path, timeout: float) -> Storage:
    """A run directory that is a folder."""
    return Storage(RunPaths(root), TrialTransfer(), timeout)


def full(number: int = errno.ENOSPC) -> OSError:
    return OSError(number, "no matter how it is called")


@pytest.mark.parametrize(
    "error",
    [
        *map(full, sorted(waiting.PASSING)),
        SafetensorError("Error while serializing: I/O error: No space left (os error 28)"),
    ],
)
def test_what_passes_is_waited_for_and_nothing_is_lost(error: Exception, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    failures = [error, error]
    kept: list[str] = []

    def write() -> None:
        if failures:
            raise failures.pop()
        kept.append("content")

    said = list(storage_at(tmp_path / "run", 60).write_with_retry("content", write))
    assert kept == ["content"]
    assert len(said) >= 2
    assert all(line.startswith("waiting for storage: ") for line in said)


@pytest.mark.parametrize("error", [full(errno.EISDIR), full(errno.EACCES), ValueError("a bug")])
def test_what_does_not_pass_is_raised_at_once(error: Exception, tmp_path: Path) -> None:
    def write() -> None:
        raise error

    with pytest.raises(type(error)):
        list(storage_at(tmp_path, 60).write_with_retry("content", write))


def test_waiting_ends_with_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    root = tmp_path / "run"
    with pytest.raises(StorageError) as caught:
        list(storage_at(root, 0.1).write_with_retry("its record", lambda: None))
    message = str(caught.value)
    assert message.startswith(f"{root}: its record cannot be kept, waited 0.1 s for it (")
    assert "checkpoint.storage_timeout" in message
    assert "\n" not in message


def test_an_empty_mount_point_is_not_the_run_directory(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path / "run")
    run_dir.root.mkdir()
    run_dir.config.write_text("name: mine\n")
    store = storage_at(run_dir.root, 0.0)
    store.check()
    shutil.move(run_dir.root, tmp_path / "elsewhere")
    run_dir.root.mkdir()
    with pytest.raises(StorageError):
        store.check()
    with pytest.raises(StorageError):
        list(
            store.write_with_retry(
                "content", lambda: pytest.fail("was written beneath the mount point")
            )
        )


def vanish(root: Path, aside: Path, *, mount_point: bool) -> None:
    """Take a run directory away; an unmounted one leaves its empty mount point."""
    root.rename(aside)
    if mount_point:
        root.mkdir()


def come_back(root: Path, aside: Path, *, mount_point: bool) -> None:
    """Bring it back; nothing was written in its place meanwhile."""
    if mount_point:
        assert not list(root.iterdir()), "was written beneath the mount point"
        root.rmdir()
    assert not root.exists()
    aside.rename(root)


@pytest.mark.parametrize("mount_point", [False, True])
@pytest.mark.parametrize("at", ["start", "a step", "the end"])
def test_a_trial_waits_for_its_run_directory_and_loses_nothing(
    mount_point: bool, at: str, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory is away at the given time, and back after the trial has waited a little."""
    monkeypatch.setattr("trainables.trial.progress.PROGRESS_SECONDS", 0.0)
    config = trial_config("single_task", tiny_bert)
    whole = finished(config, tmp_path / "whole")
    values = runtime(tmp_path, checkpoint_every=1e-9)
    run_dir, aside = RunDir(values.output_dir), tmp_path / "aside"
    run_dir.config.write_text("name: mine\n")
    one = Trial(config, values)

    when = {"start": -1, "a step": 4, "the end": whole[0].steps}[at]
    waited = 0
    if when < 0:
        vanish(run_dir.root, aside, mount_point=mount_point)
    for progress in one.run():
        if progress["note"].startswith("waiting for storage: "):
            waited += 1
            if waited == 3:
                come_back(run_dir.root, aside, mount_point=mount_point)
        elif progress["step"] == when and not aside.exists():
            vanish(run_dir.root, aside, mount_point=mount_point)
        elif progress["step"] == when + 2 and aside.exists() and at == "a step":
            assert "cannot be written" in progress["note"] or "is gone" in progress["note"]
            come_back(run_dir.root, aside, mount_point=mount_point)
    record = read_record(run_dir.record(config.key))
    assert (record.checkpoints_failed > 0) == (at == "a step")
    assert (waited >= 3) == (at != "a step")
    assert_same(whole, (record.model_copy(update={"checkpoints_failed": 0}), one))


@pytest.mark.parametrize("what", ["write_predictions", "save_classifier", "write_record"])
def test_a_full_disk_delays_a_trials_end(
    what: str, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = trial_config("single_task", tiny_bert)
    monkeypatch.setattr(trial, what, failing_twice(getattr(trial, what)))
    one = Trial(config, runtime(tmp_path, save_model=True))
    notes = {progress["note"] for progress in one.run()}
    assert any(note == "waiting for storage: No space left on device" for note in notes)
    assert one.note == ""
    assert one.run_dir.predictions(config.key).is_file()
    assert (one.run_dir.model(config.key) / "model.safetensors").is_file()
    assert read_record(one.run_dir.record(config.key)).status == "finished"


def failing_twice(write: Callable[..., Any]) -> Callable[..., Any]:
    left = [full(), full()]

    def writing(*arguments: Any, **settings: Any) -> Any:
        if left:
            raise left.pop()
        return write(*arguments, **settings)

    return writing


@pytest.mark.parametrize("diverging", [True, False])
def test_tune_is_answered_while_a_trial_waits_and_told_when_its_time_is_over(
    diverging: bool, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrialTrainable, "slice_seconds", 0.0)
    settings: dict[str, Any] = {"learning_rate": 1e30} if diverging else {}
    config = trial_config("single_task", tiny_bert, **settings)
    values = runtime(tmp_path, storage_timeout=0.3)
    trainable = TrialTrainable(
        {
            "trial_spec": {
                "trial": config.model_dump(mode="json"),
                "runtime": values.model_dump(mode="json"),
            }
        }
    )
    run_dir = RunDir(values.output_dir)
    result = trainable.step()
    shutil.rmtree(run_dir.root)
    notes = set()
    while not result["done"]:
        result = trainable.step()
        notes.add(result.get("note", ""))
    assert any(note.startswith("waiting for storage: ") for note in notes)
    assert result["status"] == ("diverged" if diverging else "failed")
    assert "\n" not in result["error"]
    assert str(run_dir.root) in result["error"]
    assert not run_dir.root.exists(), "a trial made its run directory again"
