"""A small grid, run by the real command line in a process of its own, and what Ray leaves of it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import PROJECT
from tests.helpers.forks import ForkedCommand
from trainables.results.record import TrialRecord
from trainables.storage.run_dir import RunDir

Process = ForkedCommand | subprocess.Popen[str]


@dataclass
class Grid:
    """A small grid in its own folder, run by the real command line."""

    folder: Path
    encoder: Path
    settings: tuple[str, ...] = ()
    url: str | None = None
    sessions: list[int] = field(default_factory=list)
    command: tuple[str, ...] = ("run", "demo")

    @property
    def run_dir(self) -> RunDir:
        return RunDir(self.folder / "run")

    def overrides(self) -> list[str]:
        return [
            f"define.models.tiny={{encoder: {self.encoder}, max_length: 64}}",
            "models=[tiny]",
            "tasks=[acceptability,sentiment]",
            "seeds=[41]",
            "limits={max_train_examples: 400, max_validation_examples: 32}",
            "training.epochs=6",
            "resources.cpu=1",
            "resources.max_concurrent=2",
            "checkpoint.every=0.5",
            *self.settings,
        ]

    def start(
        self,
        *more: str,
        cache: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> ForkedCommand:
        """The command, in a process group of its own as a terminal would make it."""
        process = ForkedCommand(
            [*self._arguments(), *more], PROJECT, self._environment(cache, environment)
        )
        self.sessions.append(process.pid)
        return process

    def start_interpreter(
        self, *more: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """The same, seconds slower: for a test of what the process is before it runs our code."""
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator", *self._arguments(), *more],
            cwd=PROJECT,
            env=self._environment(None, environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.sessions.append(process.pid)
        return process

    def _environment(self, cache: Path | None, more: Mapping[str, str] | None) -> dict[str, str]:
        cache = cache or self.folder / "cache"
        own = {"ONE_OR_MANY_CACHE": str(cache), "RAY_ADDRESS": "127.0.0.1:1"}
        return os.environ | own | dict(more or {})

    def _arguments(self) -> list[str]:
        where = ["--run-dir", self.url or str(self.run_dir.root)]
        return [*self.command, *self.overrides(), *where]

    def end(self) -> None:
        """Leave nothing behind of runs that a failed test did not wait for."""
        for session in self.sessions:
            signal_all(session_processes(session), signal.SIGKILL)

    def finished(self) -> set[str]:
        """Keys of trials that have a record."""
        return {path.stem for path in self.run_dir.records.glob("*.json")}

    def training(self, since: float = 0.0) -> set[str]:
        """Keys of trials without a record that have reported progress since a time (Unix)."""
        files = self.run_dir.progress_folder.glob("*.json")
        reported = {path.stem for path in files if path.stat().st_mtime > since}
        return reported - self.finished()

    def checkpointed(self) -> bool:
        """Whether a trial that has a checkpoint goes on training."""
        before = self.run_dir.root / "progress"
        return any(
            any(self.run_dir.checkpoints(key).glob("*"))
            and time.time() - (before / f"{key}.json").stat().st_mtime < 1
            for key in self.training()
        )


@dataclass
class Ended:
    """What a run of the command line came to."""

    code: int
    out: str
    err: str
    seconds: float


def ended(process: Process, seconds: float = 300) -> Ended:
    began = time.monotonic()
    out, err = process.communicate(timeout=seconds)
    assert process.returncode is not None
    return Ended(process.returncode, out, err, time.monotonic() - began)


def until(happens: Callable[[], object], process: Process, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, "nothing happened"
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def session_processes(session: int) -> dict[int, str]:
    """Processes of a session that the test started (Ray leaves its children in it): pid -> name."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            name = (folder / "cmdline").read_text().replace("\0", " ").strip()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found[int(folder.name)] = name
    return found


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def assert_nothing_left(session: int, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while left := session_processes(session):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def workers(session: int) -> list[int]:
    """Processes that run trials, whether one each or many."""
    return [p for p, name in session_processes(session).items() if re.match(r"ray::\w*Trial", name)]


def measured(record: TrialRecord) -> dict:
    """All of a record but time, place and what was in the way."""
    timed = {"train_seconds", "eval_seconds", "started", "finished", "history", "host"}
    timed |= {"interruptions", "checkpoints_failed"}
    history = [epoch.model_dump(exclude={"seconds"}) for epoch in record.history]
    return record.model_dump(exclude=timed) | {"history": history}


def measured_all(records: dict[str, TrialRecord]) -> dict[str, dict]:
    return {key: measured(record) for key, record in records.items()}
