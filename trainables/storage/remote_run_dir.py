"""A run directory in an object store, as a trial works with it: a folder of its own machine.

When the trial starts it fetches its own checkpoints and the artifacts of earlier trials that it
needs. What it writes is first complete in that folder and then uploaded: checkpoints with their
manifest last, predictions and weights, and the record after all that it refers to. What it removes
here is removed there after that. So a trial that is resumed on another machine finds all it needs.
"""

import hashlib
import shutil
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from trainables.config.trial import Runtime, TrialConfig
from trainables.data.token_cache import default_cache_dir
from trainables.storage.object_store import ObjectInfo, Store
from trainables.storage.run_dir import RunPaths

PROGRESS_SECONDS, AFTER_FAILURE = 10.0, 60.0
"""Between two uploads of a trial's progress, and after one that failed."""

OLD_SECONDS = 24 * 3600.0
"""Files of this age are removed from this machine; whoever still needs one fetches it again."""

MANIFEST = "manifest.json"


def local_copy(url: str, user: str, cache_dir: str | None = None) -> Path:
    """This machine's folder for the run directory ``url``; each kind of user has its own."""
    name = hashlib.sha256(url.encode()).hexdigest()[:16]
    return (Path(cache_dir) if cache_dir else default_cache_dir()) / "runs" / name / user


def on_this_machine(runtime: Runtime) -> Runtime:
    """The same runtime settings, with a run directory on the machine of this process."""
    if runtime.store is None:
        return runtime
    folder = local_copy(runtime.store, "trials", runtime.cache_dir)
    return runtime.model_copy(update={"output_dir": str(folder)})


def transfer_of(config: TrialConfig, runtime: Runtime) -> "TrialTransfer":
    """The transfers of a trial."""
    if runtime.store is None:
        return TrialTransfer()
    return StoreTransfer(runtime.store, RunPaths(runtime.output_dir), config)


class TrialTransfer:
    """What a trial fetches and uploads; nothing, if its run directory is a folder."""

    def pull(self) -> None:
        """Fetch what the trial needs before it starts."""

    def push(self) -> None:
        """Upload what the trial has written; the record only after all that it refers to."""

    def push_progress(self) -> None:
        """Upload the trial's progress."""


class StoreTransfer(TrialTransfer):
    """Fetches and uploads the files of one trial.

    Args:
        url: the object store's folder.
        paths: the folder on this machine, which all its trials share; it is created.
        config: the trial.
    """

    def __init__(self, url: str, paths: RunPaths, config: TrialConfig) -> None:
        self.paths = paths
        self._url = url
        self._config = config
        self._opened: Store | None = None
        self._in_store: set[str] = set()
        self._uploaded: dict[str, tuple[int, int]] = {}
        self._progress_due = 0.0
        paths.root.mkdir(parents=True, exist_ok=True)

    def pull(self) -> None:
        """See ``TrialTransfer.pull``.

        Raises:
            OSError: the store cannot be reached.
        """
        config, paths = self._config, self.paths
        self._remove_old_files()
        self._in_store = self._pull_checkpoints(config.key)
        if config.earlier is not None:
            self._pull_checkpoints(config.earlier.key)
        for key in {key for keys in config.teachers.values() for key in keys}:
            self._pull_once(paths.teacher_logits(key))
        if config.start_from is not None:
            self._pull_once(paths.weights(config.start_from))
        kills = paths.memory_kills(config.key)
        info = self._store.info(self._name(kills))
        if info is None:
            kills.unlink(missing_ok=True)
        else:
            self._store.download(self._name(kills), kills, info)
            self._in_store.add(self._name(kills))

    def push(self) -> None:
        """See ``TrialTransfer.push``; a file is uploaded again only if it has changed.

        Raises:
            OSError: the store cannot be reached or refuses.
        """
        key, paths = self._config.key, self.paths
        record = paths.record(key)
        saved = [p for p in files_in(paths.checkpoints(key)) if not is_unfinished(p)]
        results = [
            paths.predictions(key),
            paths.test_predictions(key),
            paths.teacher_logits(key),
            paths.weights(key),
            paths.curves(key),
        ]
        results = [path for path in results if path.is_file()] + files_in(paths.model(key))
        for path in sorted(saved, key=lambda p: (p.parent, p.name == MANIFEST)) + results:
            self._upload(path)
        if record.is_file():
            self._upload(record)
        here = {self._name(path) for path in saved}
        if paths.memory_kills(key).exists():
            here.add(self._name(paths.memory_kills(key)))
        self._remove(self._in_store - here)
        if record.is_file():
            # The next trials may run on other machines: nobody here needs these files.
            for path in (
                record,
                paths.predictions(key),
                paths.test_predictions(key),
                paths.curves(key),
                paths.progress(key),
            ):
                path.unlink(missing_ok=True)
            shutil.rmtree(paths.model(key), ignore_errors=True)

    def push_progress(self) -> None:
        """See ``TrialTransfer.push_progress``; every few seconds, and not if the store is away."""
        now = time.monotonic()
        if now < self._progress_due:
            return
        self._progress_due = now + AFTER_FAILURE
        path = self.paths.progress(self._config.key)
        with suppress(OSError):
            self._store.upload(path, self._name(path))
            self._progress_due = now + PROGRESS_SECONDS

    @property
    def _store(self) -> Store:
        if self._opened is None:
            self._opened = Store(self._url)
        return self._opened

    def _name(self, path: Path) -> str:
        return path.relative_to(self.paths.root).as_posix()

    def _upload(self, path: Path) -> None:
        stat, name = path.stat(), self._name(path)
        state = (stat.st_size, stat.st_mtime_ns)
        if self._uploaded.get(name) == state:
            return
        self._store.upload(path, name)
        self._uploaded[name] = state
        if path.is_relative_to(self.paths.checkpoints(self._config.key)):
            self._in_store.add(name)

    def _remove(self, gone: set[str]) -> None:
        """Remove objects; a checkpoint's manifest first, without which it is not taken for one."""
        for name in sorted(gone, key=lambda name: not name.endswith(MANIFEST)):
            self._store.remove(name)
            self._in_store.discard(name)
        for folder in {name.rpartition("/")[0] for name in gone if "/step-" in name}:
            if not any(name.startswith(f"{folder}/") for name in self._in_store):
                self._store.remove_folder(folder)
        folder = self._name(self.paths.checkpoints(self._config.key))
        if gone and not any(name.startswith(f"{folder}/") for name in self._in_store):
            self._store.remove_folder(folder)

    def _pull_checkpoints(self, key: str) -> set[str]:
        """Make the folder of a trial's checkpoints what it is in the store.

        Several trials of this machine may resume from the same checkpoints.

        Returns:
            Names of the objects.
        """
        folder = self.paths.checkpoints(key)
        with fetching(folder):
            return self._pull_steps(folder)

    def _pull_steps(self, folder: Path) -> set[str]:
        objects = self._store.files(self._name(folder))
        steps: dict[str, dict[str, ObjectInfo]] = {}
        for name, info in objects.items():
            steps.setdefault(name.rpartition("/")[0], {})[name] = info
        for path in folder.glob("*"):
            if self._name(path) not in steps:
                shutil.rmtree(path, ignore_errors=True)
        root = self.paths.root
        for step, files in steps.items():
            if not self._is_here(step, files):
                shutil.rmtree(root / step, ignore_errors=True)
                for name, info in files.items():
                    self._store.download(name, root / name, info)
        for name in objects:
            stat = (root / name).stat()
            self._uploaded[name] = (stat.st_size, stat.st_mtime_ns)
        return set(objects)

    def _is_here(self, step: str, files: dict[str, ObjectInfo]) -> bool:
        """Whether a checkpoint in the store is here already: it has the same manifest."""
        root = self.paths.root
        try:
            sizes = {name: (root / name).stat().st_size for name in files}
            manifest = (root / step / MANIFEST).read_bytes()
        except OSError:
            return False
        complete = all(sizes[name] == info.size for name, info in files.items())
        if not complete or f"{step}/{MANIFEST}" not in files:
            return False
        return self._store.read(f"{step}/{MANIFEST}") == manifest

    def _pull_once(self, path: Path) -> None:
        """Fetch a file that several trials of this machine need, once for all of them.

        If it is missing in the store it is missing here, and whoever reads it says so.
        """
        with fetching(path):
            info = self._store.info(self._name(path))
            if info is None:
                path.unlink(missing_ok=True)
            elif not is_copy(path, info):
                self._store.download(self._name(path), path, info)

    def _remove_old_files(self) -> None:
        """Remove the files of trials that ended long ago, or were resumed on another machine."""
        limit = time.time() - OLD_SECONDS
        for folder in ("checkpoints", "teaching", "weights"):
            for path in (self.paths.root / folder).glob("*"):
                with suppress(OSError):
                    if max(p.stat().st_ctime for p in (path, *path.rglob("*"))) < limit:
                        shutil.rmtree(path) if path.is_dir() else path.unlink()


def is_copy(path: Path, info: ObjectInfo) -> bool:
    """Whether a file is a copy of an object that has not changed since it was fetched.

    A copy has the object's time, in whole seconds; a file that was written here hardly ever has.
    """
    try:
        stat = path.stat()
    except OSError:
        return False
    return (stat.st_size, stat.st_mtime_ns) == (info.size, info.seconds * 10**9)


def fetching(path: Path) -> FileLock:
    """The lock to hold while ``path`` is fetched to this machine."""
    path.parent.mkdir(exist_ok=True)
    return FileLock(path.with_name(f".{path.name}.lock"))


def files_in(folder: Path) -> list[Path]:
    """All files below ``folder``."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def is_unfinished(path: Path) -> bool:
    """Whether a checkpoint's file still lies in the folder in which it is written."""
    return any(part.startswith(".writing-") for part in path.parts)
