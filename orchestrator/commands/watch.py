"""Follows an experiment from another terminal or machine, from its run directory's files alone.

Nothing is written there, so that a read-only mount does. The lock's file names the command that
runs the experiment; records, progress files and, of a search, its ledger tell how its trials stand.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.text import Text

from orchestrator.monitor.live_view import LiveView
from orchestrator.monitor.run_reader import RunReader
from orchestrator.monitor.screen import SILENT_SECONDS
from orchestrator.monitor.state import GridProgress
from orchestrator.run_dir.lock import BEAT_SECONDS, LOCK, STALE_SECONDS, read_lock
from orchestrator.run_dir.lock_owner import COMMAND, LockOwner
from orchestrator.search.ledger_reader import SearchReader
from orchestrator.text import plain
from search_spaces.yaml_files import read_yaml
from trainables.errors import ConfigError, RunDirectoryError
from trainables.results.status import TrialStatus
from trainables.secrets import redacted
from trainables.storage.run_dir import RunDir

POLL_SECONDS = 1.0
"""Between two polls."""

RENEWED_WITHIN = 2 * BEAT_SECONDS + 2 * POLL_SECONDS
"""Whoever holds a lock renews it within so many seconds, however old it looks at first."""


class StorageClock:
    """Unix seconds by the clock that gives the files their times, known without writing one.

    It is assumed to be this machine's until a file shows otherwise: one from the future, or one
    that was written between two polls.
    """

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def __call__(self) -> float:
        return time.monotonic() + self._offset

    def adjust(self, written: float, *, just_now: bool = False) -> None:
        """Take the time of a file, which was perhaps written ``just_now``."""
        if just_now or written > self():
            self._offset = written - time.monotonic()


class LockReader:
    """Finds out by the lock's file whether a command runs an experiment.

    Attributes:
        owner: of the lock when it was read last; None if it names none.
    """

    def __init__(self, root: Path, clock: StorageClock) -> None:
        self.owner: LockOwner | None = None
        self._path = root / LOCK
        self._clock = clock
        self._renewed: float | None = None
        self._unchanged_since = time.monotonic()

    def is_running(self) -> bool | None:
        """Whether a command runs the experiment; None while only time can tell.

        Raises:
            OSError: the storage is away.
        """
        try:
            self.owner, renewed = read_lock(self._path)
        except (FileNotFoundError, NotADirectoryError):
            self._renewed = None
            return False
        if renewed != self._renewed:
            self._clock.adjust(renewed, just_now=self._renewed is not None)
            self._renewed, self._unchanged_since = renewed, time.monotonic()
        is_alive = self.owner.is_alive() if self.owner is not None else None
        if is_alive is not None:
            return is_alive
        if self._clock() - renewed < STALE_SECONDS:
            return True
        return None if time.monotonic() - self._unchanged_since < RENEWED_WITHIN else False


class Watch:
    """Follows an experiment, poll by poll.

    Args:
        root: the run directory, or the copy of one in an object store.
        console: where the live view is shown.

    Attributes:
        view: the live view.
        lock: who runs the experiment.
    """

    def __init__(self, root: Path, console: Console) -> None:
        self._clock = StorageClock()
        self._run_dir = RunDir(root)
        self.view = LiveView(GridProgress([]), console, now=self._clock)
        self.lock = LockReader(root, self._clock)
        self._plan = RunReader(self._run_dir, self.view)
        self._search: SearchReader | None = None

    def poll(self) -> None:
        """Inform the view of what is new.

        Raises:
            OSError: the storage is away.
        """
        self._run_dir.config.stat()
        search_dir = RunDir(self._run_dir.root / "search")
        if self._search is None and search_dir.search.exists():
            self._search = SearchReader(search_dir, self.view)
        for reader in self._readers:
            reader.poll()
            self._clock.adjust(reader.newest)
        if self._search is not None:
            self._plan.note_change(self._run_dir.tuning("json"))
            if self._plan.newest > self._search.newest:
                self._search.end()
        if self.view.began is None:
            self.view.began = max(reader.began for reader in self._readers) or None
        progress = self.view.progress
        progress.slots = max(progress.slots, progress.counts()[TrialStatus.RUNNING])

    @property
    def _readers(self) -> list[RunReader]:
        return [self._plan] if self._search is None else [self._search, self._plan]

    def status_line(self, is_running: bool | None) -> str:
        """What a user must know besides the trials, in one line; empty if nothing.

        Args:
            is_running: see ``LockReader``.
        """
        damaged = {path: what for reader in self._readers for path, what in reader.damaged.items()}
        if damaged:
            path, what = next(iter(damaged.items()))
            more = f" (and {len(damaged) - 1} more files)" if len(damaged) > 1 else ""
            return f"damaged: {path}: {what}{more}"
        newest = max(reader.newest for reader in self._readers)
        if is_running and self._clock() - newest > SILENT_SECONDS:
            return f"silent for more than {SILENT_SECONDS:.0f} s; run by {self.lock.owner}"
        return ""

    def all_ended(self) -> bool:
        """Whether all trials that are known have ended."""
        counts = self.view.progress.counts()
        unfinished = counts[TrialStatus.PENDING] + counts[TrialStatus.RUNNING]
        return bool(self.view.progress.trials) and not unfinished

    def any_failed(self) -> bool:
        """Whether a trial has ended without a result."""
        return any(reader.failed() for reader in self._readers)

    def abandoned(self) -> str:
        """A line for an experiment that no command runs: how to continue it."""
        owner = self.lock.owner
        died = f"; {owner} has died" if owner is not None else ""
        return f"nobody runs this experiment{died}; continue with: {self._command()}"

    def _command(self) -> str:
        owner = self.lock.owner
        if owner is not None and len(owner.command) < COMMAND:
            return owner.command
        command = "tune PRESET SPACE" if self._search is not None else "run PRESET"
        return f"the same command as before (python -m orchestrator {command} ...)"


def follow(
    run_dir: Path,
    console: Console,
    *,
    once: bool = False,
    fetch: Callable[[], None] = lambda: None,
    where: str | None = None,
) -> int:
    """Show the trials of a run directory until all have ended or no command runs them.

    Args:
        run_dir: a folder of this machine; it may be mounted read-only.
        console: where to show it: a live view on a terminal, else plain lines.
        once: show the trials as they are now, and return.
        fetch: called before each poll; updates the copy of a run directory that is elsewhere.
        where: name of the run directory for messages; None for ``run_dir``.

    Returns:
        The exit code: 0, or 1 if a trial has failed or no command runs what has not ended.

    Raises:
        RunDirectoryError: it is no run directory of an experiment.
    """
    where = where or str(run_dir)
    fetch()
    _check(RunDir(run_dir).config, where)
    watch = Watch(run_dir, console)
    # Before the view is entered, so that what happened in the past is not shown line by line.
    watch.poll()
    if once:
        is_running = _show_once(watch, console, fetch)
    else:
        with watch.view:
            _follow_to_the_end(watch, where, fetch)
        is_running = False
    if not is_running and not watch.all_ended():
        _print(console, watch.abandoned())
        return 1
    return int(watch.any_failed())


def _check(config: Path, where: str) -> None:
    if not config.exists():
        raise RunDirectoryError(f"{where}: no run directory (config.yaml is missing)")
    single = False
    with suppress(ConfigError):
        single = "seed" in read_yaml(config)
    if single:
        raise RunDirectoryError(
            f"{where}: one trial of `train`, which shows itself how it stands; "
            "watch follows what `run` and `tune` do"
        )


def _show_once(watch: Watch, console: Console, fetch: Callable[[], None]) -> bool:
    """Print the trials as they are now; gives whether a command runs them."""
    while (is_running := watch.lock.is_running()) is None:
        time.sleep(POLL_SECONDS)
        fetch()
    if not is_running:
        watch.view.interrupt()
    watch.view.status_line(watch.status_line(is_running))
    for line in watch.view.notes():
        _print(console, line)
    console.print(watch.view)
    return is_running


def _follow_to_the_end(watch: Watch, where: str, fetch: Callable[[], None]) -> None:
    """Show what happens until no command runs the experiment."""
    polls_without_owner = 0
    # Twice: between two commands the lock may be away for a moment.
    while polls_without_owner < 2:
        try:
            fetch()
            is_running = watch.lock.is_running()
            # After that: a command may have left a record just before it ended.
            watch.poll()
            polls_without_owner = polls_without_owner + 1 if is_running is False else 0
            watch.view.status_line(watch.status_line(is_running))
        except OSError as error:
            reason = error.strerror or error
            watch.view.status_line(f"{where}: cannot be read ({reason}); waiting for it")
        watch.view.tick()
        time.sleep(POLL_SECONDS)
    watch.view.interrupt()


def _print(console: Console, line: str) -> None:
    console.print(Text(plain(redacted(line))), soft_wrap=True)
