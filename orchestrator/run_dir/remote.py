"""A run directory in an object store, as the commands work with it: a folder of this machine.

Files that the commands read are fetched first: configuration, plan, records, and a search's
description and ledger. Files that they write are uploaded as soon as they are complete. Predictions
are fetched for reports alone; weights and checkpoints, which only trials read, never.
"""

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from orchestrator.run_dir.lock import GUARD, LOCK, holding
from orchestrator.run_dir.store_lock import lock_of
from trainables.errors import RunDirectoryError
from trainables.storage.object_store import ObjectInfo, Store, below, is_url
from trainables.storage.remote_run_dir import is_copy, local_copy
from trainables.storage.retry import Backoff, retry
from trainables.storage.run_dir import PROBE, RunDir

Where = RunDir | Path | str
"""A run directory: opened, as a path, or as a URL."""

OF_TRIALS = re.compile(r"(records|progress)/[^/]+")
OF_COMMANDS = re.compile(
    r"config\.yaml|plan\.json|environment\.json|looks\.json|cost\.json"
    r"|(search/)?(resources\.json|search\.json|earlier\.json|ledger\.jsonl)"
)
AT_ONCE = 8
"""Objects that are fetched at the same time."""

WATCHED = re.compile(
    rf"{re.escape(LOCK)}|tuning\.json|{OF_COMMANDS.pattern}|(search/)?{OF_TRIALS.pattern}"
)
"""Files that tell how far an experiment is."""

LOOK_SECONDS = 5.0
"""Between two refreshes of a copy that is watched."""


class RemoteRunDir(RunDir):
    """The copy on this machine of a run directory that is an object store.

    Args:
        store: the run directory.
        root: the copy; it is created.
        locked: whether this process holds its lock, so that only trials write there besides.
        of_trials: names of the files that are fetched at every refresh.

    Attributes:
        storage_timeout: seconds to wait for a store that is away.
        objects: all objects of the store at the last refresh.
    """

    def __init__(
        self, store: Store, root: Path, locked: bool = False, of_trials: re.Pattern[str] = OF_TRIALS
    ) -> None:
        super().__init__(root)
        root.mkdir(parents=True, exist_ok=True)
        self.url = store.url
        self.storage_timeout = 0.0
        self.objects: dict[str, ObjectInfo] = {}
        self._store = store
        self._locked = locked
        self._of_trials = of_trials
        self._fetched = False

    def search_folder(self) -> "RemoteRunDir":
        """The part of it that ``tune`` searches in."""
        inner = RemoteRunDir(
            Store(below(self.url or "", "search")), self.root / "search", self._locked
        )
        inner.storage_timeout = self.storage_timeout
        return inner

    def display_path(self, path: Path) -> str:
        """See ``RunDir.display_path``."""
        return below(self.url or "", self._name(path))

    def refresh(self) -> None:
        """See ``RunDir.refresh``.

        Raises:
            OSError: the store cannot be reached.
        """
        self._with_retry(self._refresh)

    def publish(self, *paths: Path, wait: bool = True) -> None:
        """See ``RunDir.publish``.

        Raises:
            OSError: the store cannot be reached or refuses.
        """
        for path in paths:
            timeout = self.storage_timeout if wait else 0.0
            retry(lambda path=path: self._store.upload(path, self._name(path)), Backoff(timeout))

    def fetch(self, path: Path) -> None:
        """See ``RunDir.fetch``.

        Raises:
            OSError: the store cannot be reached.
        """
        self._with_retry(lambda: self._fetch(path, self._name(path)))

    def fetch_folder(self, folder: Path) -> None:
        """See ``RunDir.fetch_folder``; the files are those of the last refresh.

        Raises:
            OSError: the store cannot be reached.
        """
        for name in self.objects:
            if name.startswith(f"{self._name(folder)}/"):
                self.fetch(self.root / name)

    def publish_removal(self, path: Path, *, listed: bool = True) -> None:
        """See ``RunDir.publish_removal``.

        Raises:
            OSError: the store cannot be reached or refuses.
        """
        name = self._name(path)
        removed = {n for n in self.objects if n == name or n.startswith(f"{name}/")}
        if removed or not listed:
            # Files have endings, folders have none.
            remove = self._store.remove if path.suffix else self._store.remove_folder
            remove(name)
        for name in removed:
            del self.objects[name]

    def exists_remotely(self, path: Path) -> bool | None:
        """See ``RunDir.exists_remotely``."""
        info = self.objects.get(self._name(path))
        return info is not None and info.size > 0

    def newest_checkpoint(self, key: str) -> str | None:
        """See ``RunDir.newest_checkpoint``; empty if there is none.

        Raises:
            OSError: the store cannot be reached.
        """
        return max(self._store.folders(self._name(self.checkpoints(key))), default="")

    def _refresh(self) -> None:
        self.objects = self._store.files()
        # Once fetched, the files of commands are written by this process alone.
        first = not (self._locked and self._fetched)
        wanted = {
            name: info for name, info in self.objects.items() if self._is_fetched(name, first)
        }
        for path in self.root.rglob("*"):
            name = self._name(path)
            # The first refresh of a locked copy also removes files that another command left here.
            leftover = first and self._locked and not name.startswith("search/")
            leftover = leftover and name not in (LOCK, GUARD)
            outdated = name not in wanted and (leftover or self._is_fetched(name, first))
            if outdated and path.is_file():
                path.unlink(missing_ok=True)
        stale = [name for name, info in wanted.items() if not is_copy(self.root / name, info)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda n: self._store.download(n, self.root / n, wanted[n]), stale))
        self._fetched = True

    def _is_fetched(self, name: str, first: bool) -> bool:
        """Whether a refresh fetches this file; the ``first`` one fetches those of commands too."""
        of_commands = first and OF_COMMANDS.fullmatch(name)
        return bool(self._of_trials.fullmatch(name) or of_commands)

    def _fetch(self, path: Path, name: str) -> None:
        info = self._store.info(name)
        if info is not None and not is_copy(path, info):
            self._store.download(name, path, info)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _with_retry(self, action: Callable[[], None]) -> None:
        retry(action, Backoff(self.storage_timeout))


@contextmanager
def opened(where: Where, storage_timeout: float) -> Iterator[RunDir]:
    """A run directory to write in; one in an object store is locked and fetched.

    Args:
        where: the run directory; a folder is not locked here (see ``lock.hold_lock``).
        storage_timeout: seconds to wait for an object store that goes away meanwhile.

    Raises:
        RunDirectoryError: the object store cannot be used, or another command uses it.
    """
    if not is_url(where):
        yield run_dir_at(where)
        return
    store = Store(str(where))
    run_dir = RemoteRunDir(store, local_copy(store.url, "command"), locked=True)
    with ExitStack() as stack:
        with _failing_at_once(store.url):
            # A listing does not tell: a bucket that is missing looks empty.
            store.write(f"{PROBE}room", bytes(1))
            store.remove(f"{PROBE}room")
            stack.enter_context(holding(lock_of(store)))
            run_dir.refresh()
        foreign = [n for n in run_dir.objects if n not in (LOCK, GUARD) and not n.startswith(PROBE)]
        if foreign and run_dir.config.name not in run_dir.objects:
            raise RunDirectoryError(
                f"{store.url}: not empty and no run directory (config.yaml is missing); "
                "choose another with --run-dir"
            )
        run_dir.storage_timeout = storage_timeout
        yield run_dir


def run_dir_at(where: Where) -> RunDir:
    """A run directory to look at; of one in an object store, a copy that is up to date.

    Raises:
        RunDirectoryError: the object store cannot be used.
    """
    if isinstance(where, RunDir):
        return where
    if not is_url(where):
        return RunDir(where)
    store = Store(str(where))
    run_dir = RemoteRunDir(store, local_copy(store.url, "reader"))
    with _failing_at_once(store.url):
        run_dir.refresh()
    return run_dir


def search_of(run_dir: RunDir) -> RunDir:
    """The folder of a search's trials in a run directory of the command ``tune``."""
    return (
        run_dir.search_folder()
        if isinstance(run_dir, RemoteRunDir)
        else RunDir(run_dir.root / "search")
    )


def has_search(run_dir: RunDir) -> bool:
    """Whether a run directory is one of the command ``tune``."""
    return search_of(run_dir).search.is_file()


def followed(where: Path | str) -> tuple[Path, Callable[[], None]]:
    """A run directory to watch: a folder of this machine, and a function that refreshes it.

    A path is returned as it is. The copy of an object store is refreshed at most every
    ``LOOK_SECONDS``; the function raises ``OSError`` while the store is away.

    Raises:
        RunDirectoryError: the object store cannot be used.
    """
    if not is_url(where):
        return Path(where), lambda: None
    store = Store(str(where))
    run_dir = RemoteRunDir(store, local_copy(store.url, "watch"), of_trials=WATCHED)
    with _failing_at_once(store.url):
        run_dir.refresh()
    refreshed = time.monotonic()

    def fetch() -> None:
        nonlocal refreshed
        if time.monotonic() - refreshed >= LOOK_SECONDS:
            run_dir.refresh()
            refreshed = time.monotonic()

    return run_dir.root, fetch


@contextmanager
def _failing_at_once(url: str) -> Iterator[None]:
    """Turn a failure of the store into one line for the user."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        message = reason if reason.startswith(url) else f"{url}: {reason}"
        raise RunDirectoryError(
            f"{message}; check the bucket, the network and this machine's credentials, or choose "
            "another run directory with --run-dir"
        ) from error
