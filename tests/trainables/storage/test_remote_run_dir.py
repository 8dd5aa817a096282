"""A trial whose run directory is an object store: what it hands over when, and what it fetches."""

import errno
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.object_store import fetch_all
from tests.helpers.trials import assert_same, finished, trial_config
from tests.trainables.trial.test_segments import PARTS, config_of
from trainables.config.schedules import SettingChange
from trainables.config.trial import Runtime, TrialConfig
from trainables.results.record import read_record
from trainables.storage import remote_run_dir
from trainables.storage.object_store import Store
from trainables.storage.remote_run_dir import StoreTransfer, on_this_machine, transfer_of
from trainables.storage.run_dir import RunDir
from trainables.training.checkpoint import verify
from trainables.trial import trial
from trainables.trial.trial import Trial, run_trial


class Journal:
    """All that is done to any store: ``+name`` written, ``-name`` removed, ``<name`` fetched."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lines: list[str] = []
        self.failing: list[OSError] = []
        for method, mark, argument in (
            ("upload", "+", 1),
            ("remove", "-", 0),
            ("remove_folder", "-", 0),
            ("download", "<", 0),
        ):
            monkeypatch.setattr(Store, method, self._noting(method, mark, argument))

    def _noting(self, method: str, mark: str, argument: int) -> Any:
        real = getattr(Store, method)

        def noting(store: Store, *arguments: Any) -> Any:
            if self.failing and mark == "+" and "progress" not in arguments[argument]:
                raise self.failing.pop()
            result = real(store, *arguments)
            self.lines.append(mark + arguments[argument])
            return result

        return noting


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    return Journal(monkeypatch)


@pytest.fixture
def config(tiny_bert: Path) -> TrialConfig:
    return trial_config("single_task", tiny_bert)


def away(number: int = errno.EHOSTDOWN) -> OSError:
    return OSError(number, "s3://bucket/x: cannot be reached")


def runtime(tmp_path: Path, node: str = "node", **settings: Any) -> Runtime:
    """A trial on machine ``node`` whose run directory is the folder ``there``."""
    values = {
        "output_dir": "/nowhere",
        "store": f"{tmp_path.as_uri()}/there",
        "cache_dir": str(tmp_path / node),
        "device": "cpu",
        "checkpoint_every": 1e-9,
    }
    return Runtime.model_validate(values | settings)


def steps_of(there: Path, key: str) -> list[str]:
    return sorted(path.name for path in RunDir(there).checkpoints(key).glob("*"))


def test_a_record_comes_after_all_that_it_refers_to(
    config: TrialConfig, journal: Journal, tmp_path: Path
) -> None:
    leaving = runtime(tmp_path, save_model=True, artifacts=("teacher_logits", "weights"))
    run_trial(config, leaving)
    key = config.key
    written = [line[1:] for line in journal.lines if line.startswith("+")]
    record = written.index(f"records/{key}.json")
    names = [f"predictions/{key}.parquet", f"teaching/{key}.parquet", f"weights/{key}.safetensors"]
    assert all(written.index(name) < record for name in names)
    assert f"models/{key}/model.safetensors" in written[:record]
    assert not [name for name in written[record:] if name.startswith(("models", "checkpoints"))]
    for step in {name.rpartition("/")[0] for name in written if "/step-" in name}:
        files = [name.rpartition("/")[2] for name in written if name.startswith(f"{step}/")]
        assert sorted(files[:-1]) == ["model.safetensors", "parts.pt", "state.json"]
        assert files[-1] == "manifest.json"
    # Handed over once each, and the last checkpoints are removed only after the record.
    once = [name for name in written if not name.startswith(("progress/", "curves/"))]
    assert len(set(once)) == len(once)
    assert f"curves/{key}.csv" in written[:record]
    ending = journal.lines[journal.lines.index(f"+records/{key}.json") :]
    assert f"-checkpoints/{key}" in ending
    there = tmp_path / "there"
    assert steps_of(there, key) == []
    assert read_record(RunDir(there).record(key)).status == "finished"
    # What nobody on this machine needs any more is gone from it, but for locks, which are empty.
    here = Path(on_this_machine(leaving).output_dir)
    assert {p.name for p in here.rglob("*") if p.is_file() and p.stat().st_size} == {
        f"{key}.parquet",
        f"{key}.safetensors",
    }


def test_a_trial_goes_on_on_another_machine(
    config: TrialConfig, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From one to a second and back to the first, where older checkpoints lie."""
    whole = finished(config, tmp_path / "whole")
    there, key = tmp_path / "there", config.key
    before: list[str] = []
    for node, until in (("one", 3), ("two", 6), ("one", 8)):
        begun = Trial(config, runtime(tmp_path, node))
        steps = begun.run()
        for progress in steps:
            if progress["step"] > 0 and before:
                assert progress["step"] > int(before[-1][-8:]), "began anew"
                before = []
            if progress["step"] >= until:
                break
        before = steps_of(there, key)
        assert len(before) == 2
        for step in before:
            verify(RunDir(there).checkpoints(key) / step, key)
    last = run_trial(config, runtime(tmp_path, "three"))
    copy = RunDir(fetch_all(runtime(tmp_path).store or "", tmp_path / "copy"))
    record = read_record(copy.record(key))
    assert record.interruptions == 3
    last.run_dir = copy
    assert_same(whole, (record, last))


def test_what_is_here_already_is_not_fetched_again(
    config: TrialConfig, journal: Journal, tmp_path: Path
) -> None:
    for _ in range(2):
        steps = Trial(config, runtime(tmp_path)).run()
        while next(steps)["step"] < 3:
            pass
        assert not [line for line in journal.lines if line.startswith("<")]


@pytest.mark.parametrize("damage", ["truncated", "no manifest", "gone"])
def test_a_checkpoint_that_is_no_whole_one_there_costs_the_work_since_the_one_before(
    damage: str, config: TrialConfig, tmp_path: Path
) -> None:
    whole = finished(config, tmp_path / "whole")
    steps = Trial(config, runtime(tmp_path, "one")).run()
    while next(steps)["step"] < 4:
        pass
    older, newest = (
        tmp_path / "there" / "checkpoints" / config.key / name
        for name in steps_of(tmp_path / "there", config.key)
    )
    if damage == "truncated":
        os.truncate(newest / "parts.pt", 100)
    elif damage == "no manifest":
        (newest / "manifest.json").unlink()
    else:
        (newest / "model.safetensors").unlink()
    again = Trial(config, runtime(tmp_path, "two"))
    events = again.run()
    assert next(e for e in events if e["step"] > 0)["step"] == int(older.name[-8:]) + 1
    for _ in events:
        pass
    copy = RunDir(fetch_all(runtime(tmp_path).store or "", tmp_path / "copy"))
    again.run_dir = copy
    assert_same(whole, (read_record(copy.record(config.key)), again))


@pytest.mark.parametrize("failures", [1, 4])
def test_a_store_that_is_away_is_waited_for(
    failures: int,
    config: TrialConfig,
    journal: Journal,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("trainables.storage.retry.FIRST_PAUSE", 0.01)
    monkeypatch.setattr("trainables.storage.waiting.NOTE_SECONDS", 0.01)
    one = Trial(config, runtime(tmp_path, checkpoint_every=0.0))
    notes: set[str] = set()
    begun = False
    for progress in one.run():
        notes.add(progress["note"])
        if progress["step"] and not begun:
            begun = True
            journal.failing = [away() for _ in range(failures)]
    assert notes == {"", "waiting for storage: s3://bucket/x: cannot be reached"}
    assert not journal.failing
    assert read_record(RunDir(tmp_path / "there").record(config.key)).status == "finished"


def test_a_checkpoint_that_cannot_be_handed_over_does_not_end_the_trial(
    config: TrialConfig, journal: Journal, tmp_path: Path
) -> None:
    one = Trial(config, runtime(tmp_path))
    for progress in one.run():
        if progress["step"] == 2:
            journal.failing = [away()]
        elif progress["step"] == 3:
            assert "s3://bucket/x: cannot be reached" in one.note
    record = read_record(RunDir(tmp_path / "there").record(config.key))
    assert (record.status, record.checkpoints_failed) == ("finished", 1)


def test_what_never_passes_is_a_failed_trial(
    config: TrialConfig, journal: Journal, tmp_path: Path
) -> None:
    one = Trial(config, runtime(tmp_path, checkpoint_every=0.0, storage_timeout=0.0))
    journal.failing = [away()]
    with pytest.raises(trial.StorageError, match="s3://bucket/x: cannot be reached"):
        for _ in one.run():
            pass


def test_several_trials_of_a_machine_fetch_weights_once(
    config: TrialConfig, journal: Journal, tmp_path: Path
) -> None:
    there = RunDir(tmp_path / "there")
    values = runtime(tmp_path, artifacts=("teacher_logits", "weights"), checkpoint_every=0.0)
    run_trial(config, values)
    needing = config.model_copy(
        update={"start_from": config.key, "teachers": {"acceptability": (config.key,)}}
    )
    nodes = [on_this_machine(runtime(tmp_path, f"node-{number % 2}")) for number in range(8)]

    def pull(node: Runtime) -> None:
        transfer_of(needing, node).pull()

    threads = [threading.Thread(target=pull, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fetched = sorted(line for line in journal.lines if line.startswith("<"))
    names = (f"<teaching/{config.key}.parquet", f"<weights/{config.key}.safetensors")
    assert fetched == sorted(names * 2), "once for each of the two machines"
    ours = RunDir(nodes[0].output_dir).weights(config.key)
    assert ours.read_bytes() == there.weights(config.key).read_bytes()
    # Trained again, they are fetched again; gone there, they are gone here.
    there.weights(config.key).write_bytes(b"other weights")
    pull(nodes[0])
    assert ours.read_bytes() == b"other weights"
    there.weights(config.key).unlink()
    pull(nodes[0])
    assert not ours.exists()


def test_trials_that_go_on_from_one_segment_fetch_its_checkpoints_once(
    tiny_bert: Path, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And none takes them away from under another that has just fetched them."""
    first = config_of(tiny_bert, 1)
    run_trial(first, runtime(tmp_path, "one"))
    rates = (1e-4, 2e-4, 3e-4, 4e-4)
    changes = [SettingChange(at=1 / PARTS, training={"learning_rate": rate}) for rate in rates]
    later = [config_of(tiny_bert, 2, [change]) for change in changes]
    steps = steps_of(tmp_path / "there", first.key)
    assert steps
    noted = Store.download

    def slow(store: Store, *arguments: Any) -> None:
        time.sleep(0.05)
        noted(store, *arguments)

    monkeypatch.setattr(Store, "download", slow)
    journal.lines.clear()

    def pull(config: TrialConfig) -> None:
        node = on_this_machine(runtime(tmp_path, "two"))
        transfer_of(config, node).pull()
        for step in steps:
            verify(RunDir(node.output_dir).checkpoints(first.key) / step, first.key)

    with ThreadPoolExecutor() as pool:
        list(pool.map(pull, later))
    fetched = [line for line in journal.lines if line.startswith("<")]
    assert fetched
    assert len(fetched) == len(set(fetched))


def test_what_nobody_has_touched_for_a_day_is_removed_from_a_machine(
    config: TrialConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transfer = transfer_of(config, on_this_machine(runtime(tmp_path)))
    assert isinstance(transfer, StoreTransfer)
    paths = transfer.paths
    old, new = paths.weights("a" * 12), paths.checkpoints("b" * 12) / "step-00000001"
    old.parent.mkdir()
    old.write_bytes(b"")
    monkeypatch.setattr(remote_run_dir, "OLD_SECONDS", 0.0)
    transfer.pull()
    assert not old.exists()
    monkeypatch.setattr(remote_run_dir, "OLD_SECONDS", 3600.0)
    new.mkdir(parents=True)
    transfer.pull()
    assert new.exists()
