"""A run directory in an object store, as a trial works with it: a folder of its own machine.

When the trial starts it fetches its own checkpoints and what earlier trials left for it. Whatever
it keeps is first whole in that folder and then handed over: checkpoints with their manifest last,
predictions and weights, and the record after all that it speaks of. What it removes here is removed
there after that. A trial that goes on elsewhere finds in the store all that it needs.
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
from trainables.storage.run_dir import RunDir

PROGRESS_SECONDS, AFTER_FAILURE = 10.0, 60.0
"""Between two handovers of what a trial says about itself, and after one that failed."""

OLD_SECONDS = 24 * 3600.0
"""What was fetched or written so long ago is fetched again, should somebody still need it."""

MANIFEST = "manifest.json"


def copy_of(url: str, who: str, cache_dir: str | None = None) -> Path:
    """This machine's folder for the run directory ``url``; each of those who use it has its own."""
    name = hashlib.sha256(url.encode()).hexdigest()[:16]
    return (Path(cache_dir) if cache_dir else default_cache_dir()) / "runs" / name / who


def at_hand(runtime: Runtime) -> Runtime:
    """The same with a run directory of the machine that this process runs on."""
    if runtime.store is None:
        return runtime
    folder = copy_of(runtime.store, "trials", runtime.cache_dir)
    return runtime.model_copy(update={"output_dir": str(folder)})


def layout_of(config: TrialConfig, runtime: Runtime) -> RunDir:
    """The run directory of a trial."""
    if runtime.store is None:
        return RunDir(runtime.output_dir)
    return TrialRemoteRunDir(runtime.store, Path(runtime.output_dir), config)


class TrialRemoteRunDir(RunDir):
    """A run directory in an object store, with what one trial needs of it and leaves there.

    Args:
        url: the object store's folder.
        root: the folder on this machine, which all its trials share; it is made.
        config: the trial.
    """

    def __init__(self, url: str, root: Path, config: TrialConfig) -> None:
        super().__init__(root)
        self.url = url
        self._config = config
        self._opened: Store | None = None
        self._there: set[str] = set()
        self._sent: dict[str, tuple[int, int]] = {}
        self._progress_due = 0.0
        root.mkdir(parents=True, exist_ok=True)

    def pull(self) -> None:
        """See ``Place.pull``.

        Raises:
            OSError: the store cannot be reached.
        """
        config = self._config
        self._forget_old()
        self._there = self._pull_checkpoints(config.key)
        if config.earlier is not None:
            self._pull_checkpoints(config.earlier.key)
        for key in {key for keys in config.teachers.values() for key in keys}:
            self._pull_once(self.teacher_logits(key))
        if config.start_from is not None:
            self._pull_once(self.weights(config.start_from))
        kills = self.memory_kills(config.key)
        seen = self._store.seen(self._name(kills))
        if seen is None:
            kills.unlink(missing_ok=True)
        else:
            self._store.download(self._name(kills), kills, seen)
            self._there.add(self._name(kills))

    def push(self) -> None:
        """See ``Place.push``; what was handed over before is not handed over again.

        Raises:
            OSError: the store cannot be reached or refuses.
        """
        key = self._config.key
        record = self.record(key)
        saved = [p for p in self._whole(self.checkpoints(key)) if not _half(p)]
        left = [
            self.predictions(key),
            self.teacher_logits(key),
            self.weights(key),
            self.curves(key),
        ]
        left = [path for path in left if path.is_file()] + self._whole(self.model(key))
        for path in sorted(saved, key=lambda p: (p.parent, p.name == MANIFEST)) + left:
            self._send(path)
        if record.is_file():
            self._send(record)
        here = {self._name(path) for path in saved}
        if self.memory_kills(key).exists():
            here.add(self._name(self.memory_kills(key)))
        self._remove(self._there - here)
        if record.is_file():
            # What comes after it are other trials, perhaps on other machines.
            for path in (record, self.predictions(key), self.curves(key), self.progress(key)):
                path.unlink(missing_ok=True)
            shutil.rmtree(self.model(key), ignore_errors=True)

    def push_progress(self) -> None:
        """See ``Place.push_progress``; now and then, and not where the store is away."""
        now = time.monotonic()
        if now < self._progress_due:
            return
        self._progress_due = now + AFTER_FAILURE
        path = self.progress(self._config.key)
        with suppress(OSError):
            self._store.upload(path, self._name(path))
            self._progress_due = now + PROGRESS_SECONDS

    @property
    def _store(self) -> Store:
        if self._opened is None:
            self._opened = Store(self.url or "")
        return self._opened

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _send(self, path: Path) -> None:
        stat, name = path.stat(), self._name(path)
        state = (stat.st_size, stat.st_mtime_ns)
        if self._sent.get(name) == state:
            return
        self._store.upload(path, name)
        self._sent[name] = state
        if path.is_relative_to(self.checkpoints(self._config.key)):
            self._there.add(name)

    def _remove(self, gone: set[str]) -> None:
        """Remove objects; a checkpoint's manifest first, so that what is left is none."""
        for name in sorted(gone, key=lambda name: not name.endswith(MANIFEST)):
            self._store.remove(name)
            self._there.discard(name)
        for folder in {name.rpartition("/")[0] for name in gone if "/step-" in name}:
            if not any(name.startswith(f"{folder}/") for name in self._there):
                self._store.remove_folder(folder)
        folder = self._name(self.checkpoints(self._config.key))
        if gone and not any(name.startswith(f"{folder}/") for name in self._there):
            self._store.remove_folder(folder)

    def _whole(self, folder: Path) -> list[Path]:
        return sorted(path for path in folder.rglob("*") if path.is_file())

    def _pull_checkpoints(self, key: str) -> set[str]:
        """Make the folder of a trial's checkpoints what it is in the store; gives what is there.

        Several trials of this machine may go on from the same ones.
        """
        folder = self.checkpoints(key)
        with _alone(folder):
            return self._pull_steps(folder)

    def _pull_steps(self, folder: Path) -> set[str]:
        there = self._store.files(self._name(folder))
        steps: dict[str, dict[str, ObjectInfo]] = {}
        for name, seen in there.items():
            steps.setdefault(name.rpartition("/")[0], {})[name] = seen
        for path in folder.glob("*"):
            if self._name(path) not in steps:
                shutil.rmtree(path, ignore_errors=True)
        for step, files in steps.items():
            if not self._is_the_same(step, files):
                shutil.rmtree(self.root / step, ignore_errors=True)
                for name, seen in files.items():
                    self._store.download(name, self.root / name, seen)
        for path in (self.root / name for name in there):
            self._sent[self._name(path)] = (path.stat().st_size, path.stat().st_mtime_ns)
        return set(there)

    def _is_the_same(self, step: str, files: dict[str, ObjectInfo]) -> bool:
        """Whether a checkpoint in the store is here already: it has the same manifest."""
        try:
            sizes = {name: (self.root / name).stat().st_size for name in files}
            manifest = (self.root / step / MANIFEST).read_bytes()
        except OSError:
            return False
        whole = all(sizes[name] == seen.size for name, seen in files.items())
        if not whole or f"{step}/{MANIFEST}" not in files:
            return False
        return self._store.read(f"{step}/{MANIFEST}") == manifest

    def _pull_once(self, path: Path) -> None:
        """Fetch a file that several trials of this machine need, once for all of them.

        What is missing in the store is left to whoever reads it to tell.
        """
        with _alone(path):
            seen = self._store.seen(self._name(path))
            if seen is None:
                path.unlink(missing_ok=True)
            elif not is_copy(path, seen):
                self._store.download(self._name(path), path, seen)

    def _forget_old(self) -> None:
        """Remove what trials that ended long ago, or elsewhere, left on this machine."""
        old = time.time() - OLD_SECONDS
        for folder in ("checkpoints", "teaching", "weights"):
            for path in (self.root / folder).glob("*"):
                with suppress(OSError):
                    if max(p.stat().st_ctime for p in (path, *path.rglob("*"))) < old:
                        shutil.rmtree(path) if path.is_dir() else path.unlink()


def is_copy(path: Path, seen: ObjectInfo) -> bool:
    """Whether a file is what was fetched of an object that has not changed since.

    A copy has the object's time, in whole seconds; what was written here has hardly ever.
    """
    try:
        stat = path.stat()
    except OSError:
        return False
    return (stat.st_size, stat.st_mtime_ns) == (seen.size, seen.seconds * 10**9)


def _alone(path: Path) -> FileLock:
    """Whoever fetches ``path`` to this machine holds this."""
    path.parent.mkdir(exist_ok=True)
    return FileLock(path.with_name(f".{path.name}.lock"))


def _half(path: Path) -> bool:
    return any(part.startswith(".writing-") for part in path.parts)
