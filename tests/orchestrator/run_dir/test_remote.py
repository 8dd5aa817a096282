"""Run directories in object stores, as the commands see them."""

import json
import shutil
import time
from pathlib import Path

import pytest

from orchestrator.commands.report import report
from orchestrator.config.experiment import load_experiment
from orchestrator.run_dir import remote
from orchestrator.run_dir.directory import take, write_metadata
from orchestrator.run_dir.lock import LOCK
from orchestrator.run_dir.lock_owner import this_process
from orchestrator.run_dir.remote import (
    RemoteRunDir,
    followed,
    has_search,
    opened,
    run_dir_at,
    search_of,
)
from tests.helpers.command import SMALL, Command, small_grid, tiny
from tests.helpers.object_store import NewBucket
from tests.helpers.plans import plan_of
from tests.helpers.records import write_predictions_of
from tests.helpers.run_folders import finished_grid
from trainables.results.record import read_record
from trainables.storage.object_store import Store
from trainables.storage.remote_run_dir import local_copy
from trainables.storage.run_dir import RunDir
from trainables.trial.cleanup import discard


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ONE_OR_MANY_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def there(tmp_path: Path, tiny_bert: Path) -> RunDir:
    """A run directory, at ``url``, of the small grid in which every trial has finished."""
    run_dir = finished_grid(tmp_path / "there", tiny_bert)
    for key in keys(run_dir):
        write_predictions_of(run_dir, read_record(run_dir.record(key)))
    return run_dir


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"{tmp_path.as_uri()}/there"


def keys(there: RunDir) -> list[str]:
    return sorted(path.stem for path in there.records.glob("*.json"))


def test_only_what_a_command_reads_is_fetched_and_nothing_else_stays_here(
    there: RunDir, url: str
) -> None:
    key = keys(there)[0]
    for path in (there.checkpoints(key) / "step-00000001" / "manifest.json", there.weights(key)):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"large")
    with opened(url, 0.0) as run_dir:
        assert isinstance(run_dir, RemoteRunDir)
        here = {str(p.relative_to(run_dir.root)) for p in run_dir.root.rglob("*") if p.is_file()}
        records = {f"records/{key}.json" for key in keys(there)}
        assert here == {"config.yaml", "plan.json", "environment.json", "resources.json"} | records
        assert run_dir.exists_remotely(run_dir.weights(key)) is True
        assert run_dir.exists_remotely(run_dir.teacher_logits(key)) is False
        assert run_dir.newest_checkpoint(key) == "step-00000001"
        assert run_dir.newest_checkpoint("0" * 12) == ""
        # A trial ends elsewhere; another is no more.
        there.record(key).unlink()
        there.progress_folder.mkdir()
        there.progress(key).write_text("{}")
        run_dir.refresh()
        assert not run_dir.record(key).exists()
        assert run_dir.progress(key).read_text() == "{}"
        discard(run_dir, key)
        assert not there.checkpoints(key).exists()
        assert not there.progress(key).exists()
    shutil.rmtree(there.root)
    with opened(url, 0.0) as run_dir:
        assert not [p for p in run_dir.root.rglob("*") if p.is_file()]


def test_a_finished_grid_is_not_run_again_and_its_tables_are_there(
    there: RunDir, url: str, command: Command, tiny_bert: Path
) -> None:
    run = command("run", *small_grid(tiny_bert), "--run-dir", url)
    assert (run.code, run.err) == (0, "")
    assert run.out.splitlines()[-1] == f"run directory: {url}"
    assert {path.name for path in there.root.glob("table.*")} == {
        f"table.{ending}" for ending in ("md", "csv", "json", "tex")
    }
    assert there.report.is_file()
    assert {path.name for path in there.figures if path.is_file()} >= {"forest.svg"}
    assert not (there.root / LOCK).exists()
    before = there.table("json").read_bytes()
    for path in there.root.glob("table.*"):
        path.unlink()
    shown = command("report", url)
    assert (shown.code, shown.err) == (0, "")
    assert shown.out == run.out
    assert there.table("json").read_bytes() == before


def test_a_damaged_record_is_set_aside_there(
    there: RunDir, url: str, command: Command, tiny_bert: Path
) -> None:
    key = keys(there)[0]
    there.record(key).write_text("{")
    shown = command("report", url)
    assert shown.code == 1
    assert shown.err.startswith("no result: ")
    assert "damaged: " in shown.err
    run = command("run", "--local", *small_grid(tiny_bert), "--run-dir", url)
    assert run.code == 0, run.err
    assert "its trial is trained again" in run.out
    assert f"started {read_record(there.record(key)).title}" in run.out
    assert (there.damaged / f"{key}.json").read_text() == "{"


def test_missing_predictions_are_told(there: RunDir, url: str) -> None:
    key = keys(there)[0]
    there.predictions(key).unlink()
    outcome = report(url)
    assert len(outcome.warnings) == 1
    assert f"predictions/{key}.parquet: missing or damaged" in outcome.warnings[0]


def test_a_store_that_goes_away_is_told_once_and_scores_are_shown_all_the_same(
    there: RunDir, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def refuse(run_dir: RemoteRunDir, path: Path) -> None:
        asked.append(path)
        raise OSError(110, "Connection timed out")

    monkeypatch.setattr(RemoteRunDir, "fetch", refuse)
    outcome = report(url)
    assert outcome.warnings == (
        "predictions cannot be fetched (Connection timed out), so that intervals and verdicts "
        "leave runs out; report again later",
    )
    assert len(asked) == 1
    assert "no claim of significance" in outcome.table.verdict[0]


def test_a_report_that_may_not_be_written_there_is_shown_all_the_same(
    there: RunDir, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(store: Store, path: Path, name: str) -> None:
        raise OSError(112, f"{store.url}: ACCESS_DENIED")

    monkeypatch.setattr(Store, "upload", refuse)
    outcome = report(url)
    assert outcome.warnings == (
        f"the reports are in {local_copy(url, 'reader')} alone: {url}: ACCESS_DENIED",
    )
    assert (local_copy(url, "reader") / "table.md").is_file()


def test_a_trial_in_this_process(
    url: str, command: Command, tiny_bert: Path, tmp_path: Path
) -> None:
    settings = [tiny(tiny_bert), "model=tiny", "threads=1", "task=sentiment", *SMALL]
    ended = command("train", "single_task", *settings, "--run-dir", url)
    assert (ended.code, ended.err) == (0, "")
    there = RunDir(tmp_path / "there")
    [key] = keys(there)
    assert ended.out.splitlines()[-2:] == [
        f"record {url}/records/{key}.json",
        f"model  {url}/models/{key}",
    ]
    assert read_record(there.record(key)).status == "finished"
    assert (there.model(key) / "model.safetensors").is_file()


def test_a_search_lies_in_a_folder_of_its_own(there: RunDir, url: str) -> None:
    assert not has_search(run_dir_at(url))
    (there.root / "search" / "records").mkdir(parents=True)
    (there.root / "search" / "search.json").write_text("{}")
    (there.root / "search" / "records" / "a.json").write_text("{}")
    with opened(url, 0.0) as run_dir:
        assert has_search(run_dir)
        search = search_of(run_dir)
        search.refresh()
        assert search.record("a").read_text() == "{}"
        search.ledger.write_text("line\n")
        search.publish(search.ledger)
        run_dir.refresh()
        search.refresh()
        assert search.ledger.read_text() == "line\n"
    assert (there.root / "search" / "ledger.jsonl").read_text() == "line\n"


def test_what_cannot_be_used_is_one_line_within_seconds(
    command: Command, tiny_bert: Path, s3: NewBucket, there: RunDir, url: str, tmp_path: Path
) -> None:
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.tex").touch()
    in_use = f"{tmp_path.as_uri()}/in-use"
    Store(in_use).write(LOCK, this_process().model_dump_json().encode())
    bucket = s3()
    told = {
        bucket.replace("s3://bucket", "s3://missing"): "NO_SUCH_BUCKET The specified bucket does "
        "not exist; check the bucket, the network and this machine's credentials, or choose "
        "another run directory with --run-dir",
        "s3://bucket/x?endpoint_override=127.0.0.1:9&scheme=http": "NETWORK_CONNECTION",
        f"{tmp_path.as_uri()}/foreign": "not empty and no run directory (config.yaml is missing)",
        in_use: "in use by process ",
        "nosuch://host/x": "not to be used as a run directory",
        "file:///proc/x": "/proc/x",
    }
    for place, reason in told.items():
        began = time.monotonic()
        ended = command("run", *small_grid(tiny_bert), "--run-dir", place)
        assert time.monotonic() - began < 10, place
        assert ended.code == 2, ended
        assert ended.err.count("\n") == 1, ended
        assert ended.err.startswith("error: ")
        assert place in ended.err
        assert reason in ended.err
    # Another configuration's is refused too, by what it was made with.
    ended = command("run", *small_grid(tiny_bert, "training.epochs=2"), "--run-dir", url)
    assert (ended.code, "training.epochs=1, this is training.epochs=2" in ended.err) == (2, True)
    missing = command("report", f"{tmp_path.as_uri()}/nothing")
    assert (missing.code, "no run directory (plan.json is missing)" in missing.err) == (2, True)


def test_a_store_that_goes_away_meanwhile_is_waited_for(
    there: RunDir, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainables.storage.retry.FIRST_PAUSE", 0.01)
    real, left = Store.files, [OSError(112, "away")] * 3

    def files(store: Store, folder: str = "") -> dict:
        if left:
            raise left.pop()
        return real(store, folder)

    with opened(url, 60.0) as run_dir:
        monkeypatch.setattr(Store, "files", files)
        run_dir.refresh()
        assert not left
        assert isinstance(run_dir, RemoteRunDir)
        run_dir.storage_timeout = 0.0
        left.append(OSError(112, "away"))
        with pytest.raises(OSError, match="away"):
            run_dir.refresh()


def test_no_secret_of_the_environment_is_written_there(
    s3: NewBucket, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-very-secret-key")
    bucket = s3()
    preset, *overrides = small_grid(tiny_bert)
    experiment, plan, resources = plan_of(preset, overrides)
    with opened(bucket, 0.0) as run_dir:
        take(run_dir, load_experiment(preset, overrides), plan)
        write_metadata(run_dir, experiment, plan, resources)
        store = Store(bucket)
        names = store.files()
        written = {"config.yaml", "plan.json", "environment.json", "resources.json"}
        assert written | {LOCK} == set(names)
        assert all(b"a-very-secret-key" not in store.read(name) for name in names)
        assert json.loads(store.read("plan.json"))["trials"]


def test_somebody_who_watches_is_brought_what_tells_how_it_stands(
    there: RunDir, url: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = command("watch", url, "--once")
    assert (ended.code, ended.err) == (0, "")
    assert "3 of 3 done" in ended.out

    folder, fetch = followed(url)
    (there.root / LOCK).write_text(this_process().model_dump_json())
    monkeypatch.setattr(remote, "LOOK_SECONDS", 1000.0)
    fetch()
    assert not (folder / LOCK).exists(), "not so soon after the last look"
    monkeypatch.setattr(remote, "LOOK_SECONDS", 0.0)
    fetch()
    assert (folder / LOCK).exists()
    (there.root / LOCK).unlink()
    there.record(keys(there)[0]).unlink()
    fetch()
    assert not (folder / LOCK).exists()
    assert len(list((folder / "records").iterdir())) == 2
    assert not (folder / "predictions").exists()


def test_a_path_is_watched_where_it_is(tmp_path: Path) -> None:
    folder, fetch = followed(tmp_path)
    fetch()
    assert folder == tmp_path
