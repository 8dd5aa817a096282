"""Follows an experiment from another terminal or machine, from its run directory's files alone.

Nothing is written there, so that a read-only mount does. Who runs the experiment is told by the
lock's file, how its trials stand by records, progress files and, of a search, its ledger.
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

LOOK_SECONDS = 1.0
"""Between two looks."""

RENEWED_WITHIN = 2 * BEAT_SECONDS + 2 * LOOK_SECONDS
"""A lock that seems to be old and is watched is renewed within so many seconds, or never."""


class StorageClock:
    """Unix seconds by the clock that gives the files their times, known without writing one.

    It is taken to be this machine's until a file tells better: one from the future, or one that
    was written while it was watched.
    """

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def __call__(self) -> float:
        return time.monotonic() + self._offset

    def seen(self, written: float, *, just_now: bool = False) -> None:
        """A file with this time has been seen, which may have been written just now."""
        if just_now or written > self():
            self._offset = written - time.monotonic()


class Runner:
    """Who runs the experiment of a run directory."""

    def __init__(self, root: Path, now: StorageClock) -> None:
        self._path = root / LOCK
        self._now = now
        self._renewed: float | None = None
        self._watched_since = time.monotonic()
        self.holder: LockOwner | None = None

    def lives(self) -> bool | None:
        """Whether somebody runs it; none: that can be said only after a while.

        Raises:
            OSError: the storage is away.
        """
        try:
            self.holder, renewed = read_lock(self._path)
        except (FileNotFoundError, NotADirectoryError):
            self._renewed = None
            return False
        if renewed != self._renewed:
            self._now.seen(renewed, just_now=self._renewed is not None)
            self._renewed, self._watched_since = renewed, time.monotonic()
        known = self.holder.is_alive() if self.holder is not None else None
        if known is not None:
            return known
        if self._now() - renewed < STALE_SECONDS:
            return True
        return None if time.monotonic() - self._watched_since < RENEWED_WITHIN else False


class Watch:
    """The state of an experiment, look by look.

    Args:
        root: the run directory, or the copy of one in an object store.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now = StorageClock()
        self.runner = Runner(root, self.now)
        self._search: SearchReader | None = None
        self._planned = RunReader(RunDir(root))

    def look(self, view: LiveView) -> None:
        """Tell ``view`` what is new.

        Raises:
            OSError: the storage is away.
        """
        layout = RunDir(self.root)
        layout.config.stat()
        folder = RunDir(self.root / "search")
        if self._search is None and folder.search.exists():
            self._search = SearchReader(folder)
        for observed in self._folders:
            observed.look(view)
            self.now.seen(observed.newest)
        if self._search is not None:
            self._planned.changed(layout.tuning("json"))
            if self._planned.newest > self._search.newest:
                self._search.end(view)
        progress = view.progress
        progress.slots = max(progress.slots, progress.counts()[TrialStatus.RUNNING])

    @property
    def _folders(self) -> list[RunReader]:
        return [one for one in (self._search, self._planned) if one is not None]

    @property
    def began(self) -> float | None:
        """When the command began that runs it or ran it last, by the storage's clock."""
        return max(one.began for one in self._folders) or None

    def remark(self, lives: bool | None) -> str:
        """What is to be known besides the trials, in one line; empty: nothing.

        Args:
            lives: whether somebody runs it.
        """
        damaged = {path: what for one in self._folders for path, what in one.damaged.items()}
        if damaged:
            path, what = next(iter(damaged.items()))
            more = f" (and {len(damaged) - 1} more files)" if len(damaged) > 1 else ""
            return f"damaged: {path}: {what}{more}"
        if lives and self.now() - max(one.newest for one in self._folders) > SILENT_SECONDS:
            return f"silent for more than {SILENT_SECONDS:.0f} s; run by {self.runner.holder}"
        return ""

    def ended(self, view: LiveView) -> bool:
        """Whether all trials that are known have ended."""
        counts = view.progress.counts()
        open_ = counts[TrialStatus.PENDING] + counts[TrialStatus.RUNNING]
        return bool(view.progress.trials) and not open_

    def failed(self, view: LiveView) -> bool:
        """Whether a trial has no result."""
        return any(one.failed(view) for one in self._folders)

    def abandoned(self) -> str:
        """That nobody runs it, and how to go on."""
        holder = self.runner.holder
        died = f"; {holder} has died" if holder is not None else ""
        return f"nobody runs this experiment{died}; continue with: {self._command()}"

    def _command(self) -> str:
        holder = self.runner.holder
        if holder is not None and len(holder.command) < COMMAND:
            return holder.command
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
    """Show how the trials of a run directory stand until all have ended or nobody runs them.

    Args:
        run_dir: a folder of this machine; it may be mounted read-only.
        console: where to show it: a live view on a terminal, else plain lines.
        once: show how they stand now, and return.
        fetch: called before each look; brings a copy of what lies elsewhere up to date.
        where: what that is called; none: ``run_dir``.

    Returns:
        The exit code: 0, or 1 if a trial has failed or nobody runs what has not ended.

    Raises:
        RunDirectoryError: it is no run directory of an experiment.
    """
    where = where or str(run_dir)
    fetch()
    _check(RunDir(run_dir).config, where)
    watch = Watch(run_dir)
    view = LiveView(GridProgress([]), console, now=watch.now)
    # What has happened before is not told line by line.
    watch.look(view)
    view.began = watch.began
    if once:
        while (lives := watch.runner.lives()) is None:
            time.sleep(LOOK_SECONDS)
            fetch()
        if not lives:
            view.interrupt()
        view.remark(watch.remark(lives))
        for line in view.noted():
            console.print(Text(plain(redacted(line))), soft_wrap=True)
        console.print(view)
    else:
        with view:
            lives = _until_the_end(watch, view, where, fetch)
    if not lives and not watch.ended(view):
        console.print(Text(plain(redacted(watch.abandoned()))), soft_wrap=True)
        return 1
    return int(watch.failed(view))


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


def _until_the_end(watch: Watch, view: LiveView, where: str, fetch: Callable[[], None]) -> bool:
    """Show what happens until nobody runs the experiment."""
    looks = 0
    while looks < 2:
        try:
            fetch()
            lives = watch.runner.lives()
            # After that: whoever was there may have left a record before leaving.
            watch.look(view)
            # Twice: between two commands the lock may be away for a moment.
            looks = looks + 1 if lives is False else 0
            view.remark(watch.remark(lives))
        except OSError as error:
            view.remark(f"{where}: cannot be read ({error.strerror or error}); waiting for it")
        view.tick()
        time.sleep(LOOK_SECONDS)
    view.interrupt()
    return False
