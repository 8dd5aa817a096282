"""Checkpoints: what is in their place, and what is left half-written, never counts."""

import copy
import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.helpers.trials import assert_same, finished, runtime, trial_config
from trainables.errors import CheckpointError
from trainables.results.record import read_record
from trainables.training import checkpoint
from trainables.training.checkpoint import checkpoints, save_checkpoint
from trainables.training.loop import TrainingLoop
from trainables.training.restore import load_checkpoint, load_newest
from trainables.trial import trial as trial_module
from trainables.trial.trial import Trial

Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def stopped(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """A trial stopped after its sixth step, with a best epoch and checkpoints of two steps."""
    config = trial_config("shared_encoder", tiny_bert, epochs=9, keep="best")
    trial = Trial(config, runtime(tmp_path_factory.mktemp("stopped")))
    for progress in trial.run():
        assert trial.loop is not None
        if progress["step"] >= 14:
            save_checkpoint(trial.run_dir.checkpoints(config.key), config.key, trial.loop)
        if progress["step"] == 16:
            break
    assert trial.loop is not None
    assert trial.loop.best_weights is not None
    return trial


@pytest.fixture
def folder(stopped: Trial, tmp_path: Path) -> Path:
    """A copy of its checkpoints."""
    return shutil.copytree(stopped.run_dir.checkpoints(stopped.config.key), tmp_path / "copy")


def loop_of(trial: Trial) -> TrainingLoop:
    assert trial.loop is not None
    return trial.loop


def content_of(loop: TrainingLoop) -> dict[str, Any]:
    """A copy of all that a checkpoint could change in a loop."""
    parts = {name: part.state_dict() for name, part in loop.stateful.items()}
    content = {"model": loop.model.state_dict(), "parts": parts, "state": vars(loop.state)}
    return copy.deepcopy(content | {"best": loop.best_weights})


def same(first: Any, other: Any) -> bool:
    if isinstance(first, torch.Tensor):
        return torch.equal(first, other)
    if isinstance(first, dict):
        return first.keys() == other.keys() and all(same(first[key], other[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(other) and all(map(same, first, other))
    return bool((first == other).all()) if hasattr(first, "all") else first == other


def seal(path: Path) -> None:
    """Make the manifest agree with whatever the files hold now."""
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["sha256"] = {name: checkpoint._sha256(path / name) for name in manifest["sha256"]}
    (path / "manifest.json").write_text(json.dumps(manifest))


def json_with(name: str, change: Callable[[Any], Any]) -> Damage:
    def damage(path: Path) -> None:
        content = json.loads((path / name).read_text())
        changed = change(content)
        (path / name).write_text(json.dumps(content if changed is None else changed))

    return damage


def state_with(**changes: Any) -> Damage:
    return json_with("state.json", lambda state: state.update(changes))


def parts_with(change: Callable[[dict[str, Any]], Any]) -> Damage:
    def damage(path: Path) -> None:
        parts = torch.load(path / "parts.pt", weights_only=True)
        change(parts)
        torch.save(parts, path / "parts.pt")

    return damage


def first_moment(parts: dict[str, Any]) -> dict[str, Any]:
    return parts["optimizer"]["state"][0]


def weights_with(name: str, change: Callable[[dict[str, torch.Tensor]], Any]) -> Damage:
    def damage(path: Path) -> None:
        weights = load_file(path / name)
        change(weights)
        save_file(weights, path / name)

    return damage


def matrix_name(weights: dict[str, torch.Tensor]) -> str:
    return next(name for name in weights if weights[name].ndim == 2)


FOREIGN: dict[str, Damage] = {
    "no state": lambda path: (path / "state.json").write_text("[]"),
    "state of another schema": json_with("state.json", lambda s: s.pop("loss_sum") and None),
    "state with more": state_with(momentum=3),
    "step is no number": state_with(step="16"),
    "step is true": state_with(step=True),
    "step beyond the end": state_with(step=10**9),
    "negative step": state_with(step=-1),
    "history of no epochs": state_with(history=[{"epoch": 1}]),
    "history is a number": state_with(history=3),
    "counts of other tasks": state_with(running=[[[0, 0, 0], [0, 0, 0]]]),
    "counts without shape": state_with(running=[[1, [2]]]),
    "deep state": lambda path: (path / "state.json").write_text("[" * 10**5),
    "state is not text": lambda path: (path / "state.json").write_bytes(b"\xff\xfe\x00"),
    "no safetensors": lambda path: (path / "model.safetensors").write_bytes(b"x" * 99),
    "a weight is missing": weights_with("model.safetensors", lambda w: w.pop(matrix_name(w))),
    "a weight has another size": weights_with(
        "model.safetensors", lambda w: w.update({matrix_name(w): torch.zeros(3, 5)})
    ),
    "best weights of another model": weights_with(
        "best.safetensors", lambda w: w.pop(matrix_name(w))
    ),
    "parts are no pickle": lambda path: (path / "parts.pt").write_bytes(b"nothing"),
    "parts are a list": lambda path: torch.save([1, 2], path / "parts.pt"),
    "a part is missing": parts_with(lambda p: p.pop("accumulation")),
    "a part more": parts_with(lambda p: p.update(ema={})),
    "a part of another kind": parts_with(lambda p: p.update(accumulation=[1])),
    "no micro-batch": parts_with(lambda p: p["accumulation"].update(parts=0)),
    "no optimizer state": parts_with(lambda p: p.update(optimizer={})),
    "another optimizer": parts_with(lambda p: p["optimizer"]["param_groups"][0].pop("betas")),
    "fewer parameters": parts_with(lambda p: p["optimizer"]["param_groups"].pop()),
    "moments of another model": parts_with(
        lambda p: first_moment(p).update(exp_avg=torch.zeros(2, 2))
    ),
    "moments are text": parts_with(lambda p: first_moment(p).update(exp_avg="zero")),
}


@pytest.mark.parametrize("damage", FOREIGN.values(), ids=FOREIGN)
def test_what_passes_its_checksum_but_is_of_another_schema_leaves_the_loop_untouched(
    stopped: Trial, folder: Path, damage: Damage
) -> None:
    loop = loop_of(stopped)
    newest, before = checkpoints(folder)
    damage(newest)
    seal(newest)
    content = content_of(loop)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(newest, stopped.config.key, loop)
    assert "\n" not in str(caught.value)
    assert str(newest) in str(caught.value)
    assert same(content_of(loop), content)
    assert load_newest(folder, stopped.config.key, loop) == before
    assert loop.state.step == 15


def link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def folder_in_place(path: Path) -> None:
    path.unlink()
    (path / "inside").mkdir(parents=True)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def manifest_with(change: Callable[[dict[str, Any]], Any]) -> Damage:
    return json_with("manifest.json", change)


BROKEN: dict[str, Damage] = {
    "manifest is a list": manifest_with(lambda m: [m]),
    "manifest is a number": manifest_with(lambda m: 3),
    "manifest without sums": manifest_with(lambda m: m.pop("sha256") and None),
    "sums are a text": manifest_with(lambda m: m.update(sha256="abc")),
    "no file is listed": manifest_with(lambda m: m.update(sha256={})),
    "a required file is not listed": manifest_with(lambda m: m["sha256"].pop("parts.pt") and None),
    "best weights are not listed": manifest_with(
        lambda m: m["sha256"].pop("best.safetensors") and None
    ),
    "a file outside is listed": manifest_with(lambda m: m["sha256"].update({"../x": "0"})),
    "a sum is no text": manifest_with(lambda m: m["sha256"].update({"state.json": {"a": 1}})),
    "a deep manifest": lambda path: (path / "manifest.json").write_text("[" * 60_000),
    "a huge manifest": lambda path: (path / "manifest.json").write_bytes(b" " * (1 << 20)),
    "manifest is not text": lambda path: (path / "manifest.json").write_bytes(b"\xff\x00"),
    **{
        f"{name}: {kind.__name__}": (lambda path, name=name, kind=kind: kind(path / name))
        for name in ("manifest.json", "model.safetensors", "state.json")
        for kind in (link_to_itself, folder_in_place, pipe)
    },
    "no folder": lambda path: (shutil.rmtree(path), path.write_text("a file")),
    "a link to nowhere": lambda path: (shutil.rmtree(path), path.symlink_to("nowhere")),
}


@pytest.mark.parametrize("damage", BROKEN.values(), ids=BROKEN)
def test_whatever_stands_in_a_checkpoints_place_is_passed_over_and_later_replaced(
    stopped: Trial, folder: Path, damage: Damage
) -> None:
    loop = loop_of(stopped)
    newest, before = checkpoints(folder)
    damage(newest)
    assert load_newest(folder, stopped.config.key, loop) == before
    loop.state.step = 16
    try:
        assert save_checkpoint(folder, stopped.config.key, loop) == newest
    finally:
        loop.state.step = 15
    assert checkpoints(folder) == [newest, before]
    assert load_newest(folder, stopped.config.key, loop) == newest


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ESTALE])
def test_what_cannot_be_read_counts_as_damaged(
    stopped: Trial, folder: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest, before = checkpoints(folder)
    whole = checkpoint._sha256

    def unreadable(path: Path) -> str:
        if path.parent == newest:
            raise OSError(number, os.strerror(number))
        return whole(path)

    monkeypatch.setattr(checkpoint, "_sha256", unreadable)
    assert load_newest(folder, stopped.config.key, loop_of(stopped)) == before


def test_too_little_memory_is_no_damage(
    stopped: Trial, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scarce(*arguments: Any, **settings: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch, "load", scarce)
    with pytest.raises(torch.OutOfMemoryError):
        load_newest(folder, stopped.config.key, loop_of(stopped))


def test_what_a_killed_process_left_never_counts_and_is_cleaned_by_the_next_save(
    stopped: Trial, folder: Path
) -> None:
    newest = checkpoints(folder)[0]
    shutil.copytree(newest, folder / ".writing-abc")
    (folder / ".writing-def").mkdir()
    (folder / ".writing-def" / "model.safetensors").write_bytes(b"half")
    (folder / "step-99999999").mkdir()
    (folder / "step-x").mkdir()
    loop = loop_of(stopped)
    assert load_newest(folder, stopped.config.key, loop) == newest
    save_checkpoint(folder, stopped.config.key, loop)
    assert {path.name for path in folder.iterdir()} == {"step-00000015", newest.name, "step-x"}


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("PytorchStreamWriter failed")],
)
def test_training_goes_on_where_no_checkpoint_can_be_written(
    error: Exception, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = trial_config("single_task", tiny_bert)
    whole = finished(config, tmp_path / "whole")

    def failing(*arguments: Any, **settings: Any) -> Any:
        raise error

    with monkeypatch.context() as full:
        full.setattr(torch, "save", failing)
        trial = Trial(config, runtime(tmp_path, checkpoint_every=1e-9))
        notes = [progress["note"] for progress in trial.run()]
    folder = trial.run_dir.checkpoints(config.key)
    assert not folder.exists()
    assert all(str(error) in note and "trying again in 1e-09 s" in note for note in notes[:-1])
    record = read_record(trial.run_dir.record(config.key))
    assert record.checkpoints_failed == whole[0].steps - 1
    assert_same(whole, (record.model_copy(update={"checkpoints_failed": 0}), trial))


def test_a_checkpoint_that_is_written_after_a_failed_one_ends_the_note(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = trial_config("single_task", tiny_bert)
    save = trial_module.save_checkpoint
    errors = [CheckpointError("no room")]

    def once(*arguments: Any) -> Path:
        if errors:
            raise errors.pop()
        return save(*arguments)

    monkeypatch.setattr(trial_module, "save_checkpoint", once)
    trial = Trial(config, runtime(tmp_path, checkpoint_every=1e-9))
    notes = [progress["note"] for progress in trial.run()]
    assert "no room" in notes[0]
    assert set(notes[1:]) == {""}
    assert read_record(trial.run_dir.record(config.key)).checkpoints_failed == 1
