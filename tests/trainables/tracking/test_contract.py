"""What every tracker keeps of a trial, whatever happens to the trial or to the tracker."""

import http.server
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import wandb

from tests.helpers.read_trackers import READERS
from tests.helpers.trials import assert_same, finished, runtime, trial_config
from trainables.config.trial import TrialConfig
from trainables.errors import DivergedError, InputError
from trainables.results.record import EpochResult, TrialRecord, read_record
from trainables.tracking import registry
from trainables.tracking.base import values_of
from trainables.trial.trial import Trial

NAMES = tuple(registry.TRACKERS)
SECRET = "hf_PlantedTokenOfTheHub"


@pytest.fixture(scope="module", autouse=True)
def planted() -> Iterator[None]:
    """A secret of the environment; nobody talks to a network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_TOKEN", SECRET)
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("WANDB_API_KEY", f"{SECRET:x<40}")
        wandb.teardown()
        yield
        wandb.teardown()


@pytest.fixture(scope="module")
def config(tiny_bert: Path) -> TrialConfig:
    return trial_config("shared_encoder", tiny_bert, tasks=("acceptability", "sentiment"), epochs=3)


@pytest.fixture(scope="module")
def whole(config: TrialConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The folder and outcome of a trial that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    ended = finished(config, folder, tracking={"trackers": NAMES})
    assert ended[1].progress()["note"] == ""
    wandb.teardown()
    return folder / "run", ended


@pytest.fixture(scope="module")
def continued(config: TrialConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of a trial that was left after its second epoch, not yet saved, and ended.

    Its checkpoint is of the first epoch, so the second one is trained twice.
    """
    folder = tmp_path_factory.mktemp("continued")
    settings = runtime(folder, tracking={"trackers": NAMES}, checkpoint_every=1e-9)
    first = Trial(config, settings)
    for _ in first.run():
        assert first.loop is not None
        epochs = len(first.loop.state.history)
        if epochs == 1:
            first.runtime = settings.model_copy(update={"checkpoint_every": 0.0})
        if epochs == 2:
            break
    deadline = time.monotonic() + 60
    while not all(tracker._queue.empty() for tracker in first._trackers._trackers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    # W&B's service ends as it would with the process.
    wandb.teardown()
    second = Trial(config, settings)
    for _ in second.run():
        pass
    assert second.progress()["note"] == ""
    assert second.loop is not None
    assert second.loop.state.interruptions == 1
    wandb.teardown()
    return folder / "run"


@pytest.fixture(scope="module")
def badly_ended(
    config: TrialConfig, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Path, str]]:
    """Trials that did not finish: status -> run directory and key."""
    folder = tmp_path_factory.mktemp("ended")
    settings = runtime(folder, tracking={"trackers": NAMES})
    bad = trial_config("single_task", folder / "there is no encoder", tasks=("sentiment",))
    trial = Trial(bad, settings)
    with pytest.raises(InputError) as error:
        list(trial.run())
    list(trial.record_failure(error.value))
    keys = {"failed": bad.key}
    for seed, status in enumerate(("diverged", "stopped"), 1):
        trial = Trial(config.model_copy(update={"seed": seed}), settings)
        next(trial.run())
        if status == "stopped":
            trial.stop()
        else:
            list(trial.record_failure(DivergedError("the training loss is nan")))
        keys[status] = trial.config.key
    wandb.teardown()
    return {status: (folder / "run", key) for status, key in keys.items()}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("status", ["failed", "diverged", "stopped"])
def test_how_a_trial_ended_is_told_also_where_it_never_began(
    status: str, name: str, badly_ended: dict[str, tuple[Path, str]]
) -> None:
    logged = READERS[name](*badly_ended[status])
    assert (logged.status, logged.runs) == (status, 1)


def points(record: TrialRecord) -> list[tuple[str, int, Any]]:
    return sorted(
        (name, epoch.step, pytest.approx(value, rel=1e-6))
        for epoch in record.history
        for name, value in values_of(epoch, record.config).items()
    )


@pytest.mark.parametrize("name", READERS)
def test_curves_are_complete_and_the_trial_is_described(
    name: str, whole: tuple[Path, Any], config: TrialConfig
) -> None:
    root, (record, _) = whole
    logged = READERS[name](root, config.key)
    assert len(record.history) == 3
    assert logged.points == points(record)
    assert (logged.status, logged.runs) == ("finished", 1)
    if name != "csv":
        for word in (config.title, "shared_encoder/tiny", "acceptability", "seed-41"):
            assert word in logged.described
        assert "learning_rate" in logged.described


@pytest.mark.parametrize("name", READERS)
def test_a_continued_trial_goes_on_in_the_same_run_and_no_epoch_is_there_twice(
    name: str, whole: tuple[Path, Any], continued: Path, config: TrialConfig
) -> None:
    record = read_record(continued / "records" / f"{config.key}.json")
    logged = READERS[name](continued, config.key)
    assert [(n, step) for n, step, _ in logged.points] == [
        (n, step) for n, step, _ in points(record)
    ]
    timed = {"seconds"}
    before = READERS[name](whole[0], config.key)
    for ours, theirs in zip(logged.points, before.points, strict=True):
        assert ours == theirs or ours[0] in timed
    assert (logged.status, logged.runs) == ("finished", 1)


def test_interrupted_offline_runs_are_two_files_of_one_run(
    continued: Path, config: TrialConfig
) -> None:
    assert len(list(continued.glob(f"wandb/offline-run-*-{config.key}"))) == 2


def test_no_file_holds_a_secret(whole: tuple[Path, Any]) -> None:
    files = [path for path in whole[0].rglob("*") if path.is_file()]
    assert len(files) > 10
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]


def test_trackers_change_no_number(
    whole: tuple[Path, Any], config: TrialConfig, tmp_path: Path
) -> None:
    assert_same(whole[1], finished(config, tmp_path))


@pytest.fixture(scope="module")
def small(tiny_bert: Path) -> TrialConfig:
    return trial_config("single_task", tiny_bert, epochs=1)


class Silent(http.server.BaseHTTPRequestHandler):
    """A server that takes what it is sent and never answers."""

    def do_POST(self) -> None:
        threading.Event().wait()


@pytest.fixture
def silent_server() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("name", READERS)
def test_a_backend_that_cannot_be_used_costs_no_trial(
    name: str,
    small: TrialConfig,
    tmp_path: Path,
    silent_server: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = Path(runtime(tmp_path).output_dir)
    if name == "wandb":
        monkeypatch.setenv("WANDB_MODE", "online")
        monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
        monkeypatch.setenv("WANDB_BASE_URL", silent_server)
        monkeypatch.setattr("trainables.tracking.wandb.SECONDS", 1.0)
        wandb.teardown()
    else:
        target = {"csv": "curves", "tensorboard": "tensorboard", "mlflow": "mlflow.db"}[name]
        (root / target).write_text("not what is expected here")
    tracking = [] if name == "csv" else [name]
    record, trial = finished(small, tmp_path, tracking={"trackers": tracking})
    assert record.status == "finished"
    note = trial.progress()["note"]
    assert note.count("was dropped, the trial goes on: ") == len(tracking)
    assert note.startswith("".join(tracking))


class Broken:
    """A tracker that fails or hangs in one of its three moments."""

    when, hang = "", threading.Event()

    def __init__(self, *_: object) -> None:
        self._at("begin")

    def log(self, epoch: EpochResult) -> None:
        self._at("log")

    def finish(self, status: str) -> None:
        self._at("finish")

    def _at(self, moment: str) -> None:
        if moment == self.when:
            raise OSError(28, f"No space left for {SECRET}")
        if self.when == f"hang in {moment}":
            self.hang.wait()


def broken(patch: pytest.MonkeyPatch, when: str) -> None:
    patch.setattr(Broken, "when", when)
    patch.setattr(Broken, "hang", threading.Event())
    patch.setattr(registry, "FINISH_SECONDS", 0.3)
    kind = replace(registry.TRACKERS["wandb"], track=Broken)
    patch.setitem(registry.TRACKERS, "wandb", kind)


@pytest.mark.parametrize("moment", ["begin", "log", "finish"])
def test_one_that_fails_is_dropped_with_one_note_without_secrets(
    moment: str, small: TrialConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch, moment)
    record, trial = finished(small, tmp_path, tracking={"trackers": ["wandb"]})
    assert record.status == "finished"
    assert trial.progress()["note"] == (
        "wandb was dropped, the trial goes on: OSError: [Errno 28] No space left for ***"
    )


@pytest.mark.parametrize("moment", ["begin", "log", "finish"])
def test_one_that_hangs_is_waited_for_once_and_taken_again_when_it_answers(
    moment: str, small: TrialConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch, f"hang in {moment}")
    before = set(threading.enumerate())
    _, first = finished(small, tmp_path / "1", tracking={"trackers": ["wandb"]})
    assert "no answer within 0 s" in first.progress()["note"]
    monkeypatch.setattr(registry, "FINISH_SECONDS", 1000.0)
    # This one would wait, were it not dropped at once.
    _, second = finished(small, tmp_path / "2", tracking={"trackers": ["wandb"]})
    assert "has not answered since an earlier trial" in second.progress()["note"]
    Broken.hang.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
    _, third = finished(small, tmp_path / "3", tracking={"trackers": ["wandb"]})
    assert third.progress()["note"] == ""


def test_one_that_does_not_keep_up_is_dropped(
    small: TrialConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch, "hang in log")
    monkeypatch.setattr("trainables.tracking.background.LONGEST_QUEUE", 1)
    config = trial_config("single_task", Path(small.model.encoder), epochs=4)
    _, trial = finished(config, tmp_path, tracking={"trackers": ["wandb"]})
    assert "1 epochs wait for it" in trial.progress()["note"]
    Broken.hang.set()


def test_none_makes_a_run_directory_anew(small: TrialConfig, tmp_path: Path) -> None:
    gone = runtime(tmp_path, tracking={"trackers": NAMES}).model_copy(
        update={"output_dir": f"{tmp_path}/gone"}
    )
    trackers = [registry.track(name, small, gone) for name in NAMES]
    registry.finish(trackers, "failed")
    assert all("gone" in tracker.problem for tracker in trackers)
    assert not (tmp_path / "gone").exists()


def test_trials_of_one_process_share_wandbs_service(small: TrialConfig, tmp_path: Path) -> None:
    def services() -> list[int]:
        return [child.pid for child in psutil.Process().children() if "wandb-core" in child.name()]

    finished(small, tmp_path / "1", tracking={"trackers": ["wandb"]})
    before = services()
    finished(small, tmp_path / "2", tracking={"trackers": ["wandb"]})
    assert len(before) == 1
    assert services() == before
