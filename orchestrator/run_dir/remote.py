"""A run directory in an object store, as the commands work with it: a folder of this machine.

What the commands read is fetched first: configuration, plan, records, and a search's description
and ledger. What they write is handed over as soon as it is whole. What only trials read (weights,
checkpoints) or nobody here (predictions) is not fetched.
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
from trainables.storage.remote_run_dir import copy_of, is_copy
from trainables.storage.run_dir import PROBE, RunDir

Where = RunDir | Path | str
"""A run directory: opened, as a path, or as a URL."""

OF_TRIALS = re.compile(r"(records|progress)/[^/]+")
OF_COMMANDS = re.compile(
    r"config\.yaml|plan\.json|environment\.json|(search/)?(search\.json|earlier\.json|ledger\.jsonl)"
)
AT_ONCE = 8
"""Objects that are fetched at the same time."""

RETRY_SECONDS = 2.0

WATCHED = re.compile(
    rf"{re.escape(LOCK)}|tuning\.json|{OF_COMMANDS.pattern}|(search/)?{OF_TRIALS.pattern}"
)
"""What tells how an experiment stands."""

LOOK_SECONDS = 5.0
"""Between two looks of somebody who watches."""


class RemoteRunDir(RunDir):
    """The copy on this machine of a run directory that is an object store.

    Args:
        store: the run directory.
        root: the copy; it is made.
        alone: whether this process holds its lock, so that only trials write there besides.
        of_trials: names of what is fetched at every refresh.

    Attributes:
        patience: seconds to wait for a store that is away.
        there: what was in the store when it was looked at last.
    """

    def __init__(
        self, store: Store, root: Path, alone: bool = False, of_trials: re.Pattern[str] = OF_TRIALS
    ) -> None:
        super().__init__(root)
        root.mkdir(parents=True, exist_ok=True)
        self.url = store.url
        self.patience = 0.0
        self.there: dict[str, ObjectInfo] = {}
        self._store = store
        self._alone = alone
        self._of_trials = of_trials
        self._fetched = False

    def search_folder(self) -> "RemoteRunDir":
        """The part of it that ``tune`` searches in."""
        inner = RemoteRunDir(
            Store(below(self.url or "", "search")), self.root / "search", self._alone
        )
        inner.patience = self.patience
        return inner

    def shown(self, path: Path) -> str:
        """See ``Place.shown``."""
        return below(self.url or "", self._name(path))

    def refresh(self) -> None:
        """See ``Place.refresh``.

        Raises:
            OSError: the store cannot be reached.
        """
        self._patiently(self._refresh)

    def publish(self, *paths: Path, wait: bool = True) -> None:
        """See ``Place.publish``.

        Raises:
            OSError: the store cannot be reached or refuses.
        """
        for path in paths:
            if wait:
                self._patiently(lambda path=path: self._store.upload(path, self._name(path)))
            else:
                self._store.upload(path, self._name(path))

    def fetch(self, path: Path) -> None:
        """See ``Place.fetch``.

        Raises:
            OSError: the store cannot be reached.
        """
        self._patiently(lambda: self._fetch(path, self._name(path)))

    def removed(self, path: Path, *, listed: bool = True) -> None:
        """See ``Place.removed``.

        Raises:
            OSError: the store cannot be reached or refuses.
        """
        name = self._name(path)
        known = {n for n in self.there if n == name or n.startswith(f"{name}/")}
        if known or not listed:
            # Files have endings, folders have none.
            remove = self._store.remove if path.suffix else self._store.remove_folder
            remove(name)
        for gone in known:
            del self.there[gone]

    def has(self, path: Path) -> bool | None:
        """See ``Place.has``."""
        seen = self.there.get(self._name(path))
        return seen is not None and seen.size > 0

    def newest_checkpoint(self, key: str) -> str | None:
        """See ``Place.newest_checkpoint``.

        Raises:
            OSError: the store cannot be reached.
        """
        return max(self._store.folders(self._name(self.checkpoints(key))), default="")

    def _refresh(self) -> None:
        self.there = self._store.files()
        # What commands write only this one writes, once it has begun.
        begins = not (self._alone and self._fetched)
        wanted = {
            name: seen
            for name, seen in self.there.items()
            if self._of_trials.fullmatch(name) or (begins and OF_COMMANDS.fullmatch(name))
        }
        for path in self.root.rglob("*"):
            name = self._name(path)
            theirs = self._of_trials.fullmatch(name) or (begins and OF_COMMANDS.fullmatch(name))
            left = begins and self._alone and not name.startswith("search/")
            theirs = theirs or (left and name not in (LOCK, GUARD))
            if path.is_file() and theirs and name not in wanted:
                path.unlink(missing_ok=True)
        stale = [name for name, seen in wanted.items() if not is_copy(self.root / name, seen)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda n: self._store.download(n, self.root / n, wanted[n]), stale))
        self._fetched = True

    def _fetch(self, path: Path, name: str) -> None:
        seen = self._store.seen(name)
        if seen is not None and not is_copy(path, seen):
            self._store.download(name, path, seen)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _patiently(self, ask: Callable[[], None]) -> None:
        end = time.monotonic() + self.patience
        while True:
            try:
                return ask()
            except OSError:
                if time.monotonic() >= end:
                    raise
            time.sleep(min(RETRY_SECONDS, self.patience))


@contextmanager
def opened(where: Where, patience: float) -> Iterator[RunDir]:
    """A run directory to write in; one in an object store is locked and fetched.

    Args:
        where: the run directory; a path's own lock is not this function's.
        patience: seconds to wait for an object store that goes away meanwhile.

    Raises:
        RunDirectoryError: the object store cannot be used, or another command uses it.
    """
    if not is_url(where):
        yield layout_at(where)
        return
    store = Store(str(where))
    layout = RemoteRunDir(store, copy_of(store.url, "command"), alone=True)
    with ExitStack() as stack:
        with _told_at_once(store.url):
            # Written and not only looked at: a bucket that is missing looks empty.
            store.write(f"{PROBE}room", bytes(1))
            store.remove(f"{PROBE}room")
            stack.enter_context(holding(lock_of(store)))
            layout.refresh()
        foreign = [n for n in layout.there if n not in (LOCK, GUARD) and not n.startswith(PROBE)]
        if foreign and layout.config.name not in layout.there:
            raise RunDirectoryError(
                f"{store.url}: not empty and no run directory (config.yaml is missing); "
                "choose another with --run-dir"
            )
        layout.patience = patience
        yield layout


def layout_at(where: Where) -> RunDir:
    """A run directory to look at; of one in an object store, a copy that is up to date.

    Raises:
        RunDirectoryError: the object store cannot be used.
    """
    if isinstance(where, RunDir):
        return where
    if not is_url(where):
        return RunDir(where)
    store = Store(str(where))
    layout = RemoteRunDir(store, copy_of(store.url, "reader"))
    with _told_at_once(store.url):
        layout.refresh()
    return layout


def search_of(layout: RunDir) -> RunDir:
    """The folder of a search's trials in a run directory of the command ``tune``."""
    return (
        layout.search_folder()
        if isinstance(layout, RemoteRunDir)
        else RunDir(layout.root / "search")
    )


def followed(where: Path | str) -> tuple[Path, Callable[[], None]]:
    """A run directory to watch: a folder of this machine, and what brings it up to date.

    A path is given back as it is. The copy of an object store is brought up to date at most every
    ``LOOK_SECONDS``; that raises ``OSError`` while the store is away.

    Raises:
        RunDirectoryError: the object store cannot be used.
    """
    if not is_url(where):
        return Path(where), lambda: None
    store = Store(str(where))
    layout = RemoteRunDir(store, copy_of(store.url, "watch"), of_trials=WATCHED)
    with _told_at_once(store.url):
        layout.refresh()
    looked = time.monotonic()

    def fetch() -> None:
        nonlocal looked
        if time.monotonic() - looked >= LOOK_SECONDS:
            layout.refresh()
            looked = time.monotonic()

    return layout.root, fetch


@contextmanager
def _told_at_once(url: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        known = reason if reason.startswith(url) else f"{url}: {reason}"
        raise RunDirectoryError(
            f"{known}; check the bucket, the network and this machine's credentials, or choose "
            "another run directory with --run-dir"
        ) from error
