"""Every path of a run directory, and how its files reach a directory that lies elsewhere."""

from pathlib import Path

PROBE = ".probe-"
"""How the names of files begin that are written only to see whether and when that succeeds."""


class Place:
    """A run directory on a disk that all who work with it see."""

    url: str | None = None
    """Where it lies, if not here."""

    def shown(self, path: Path) -> str:
        """Where a file of it lies, for a human."""
        return str(path)

    def refresh(self) -> None:
        """Bring up to date here what others have written."""

    def pull(self) -> None:
        """Fetch what a trial needs before it starts."""

    def push(self) -> None:
        """Hand over what a trial has written; the record only after all that it refers to."""

    def push_progress(self) -> None:
        """Hand over what a trial says about itself."""

    def publish(self, *paths: Path, wait: bool = True) -> None:
        """Hand over these files; ``wait`` for a store that is away for a while."""

    def fetch(self, path: Path) -> None:
        """Bring one file up to date here that others may have written."""

    def removed(self, path: Path, *, listed: bool = True) -> None:
        """A file or folder was removed here; ``listed``: it is older than the last refresh."""

    def has(self, path: Path) -> bool | None:
        """Whether a file is there whole that need not be here; none: look at it here."""
        return None

    def newest_checkpoint(self, key: str) -> str | None:
        """Name of a trial's newest checkpoint where it is not here; none: look here."""
        return None


class RunDir(Place):
    """Every path inside a run directory."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self.config = self.root / "config.yaml"
        self.plan = self.root / "plan.json"
        self.environment = self.root / "environment.json"
        self.results = self.root / "results.csv"
        self.records = self.root / "records"
        self.progress_folder = self.root / "progress"
        self.damaged = self.root / "damaged"

    @property
    def where(self) -> str:
        """Where it lies, for whoever is somewhere else: a URL, or a path from ``/``."""
        return self.url or str(self.root.resolve())

    def record(self, key: str) -> Path:
        """The record of a trial."""
        return self.records / f"{key}.json"

    def predictions(self, key: str) -> Path:
        """Per-example predictions of a trial (Parquet)."""
        return self.root / "predictions" / f"{key}.parquet"

    def curves(self, key: str) -> Path:
        """A trial's numbers, an epoch a row (CSV)."""
        return self.root / "curves" / f"{key}.csv"

    def checkpoints(self, key: str) -> Path:
        """Folder of the checkpoints of a trial."""
        return self.root / "checkpoints" / key

    def teacher_logits(self, key: str) -> Path:
        """A teacher's logits on its training set, for its students (Parquet)."""
        return self.root / "teaching" / f"{key}.parquet"

    def weights(self, key: str) -> Path:
        """A trial's final weights, for trials that start from them (safetensors)."""
        return self.root / "weights" / f"{key}.safetensors"

    def model(self, key: str) -> Path:
        """Folder of the final model of a trial."""
        return self.root / "models" / key

    def progress(self, key: str) -> Path:
        """What a running trial said last (JSON)."""
        return self.progress_folder / f"{key}.json"

    def memory_kills(self, key: str) -> Path:
        """How many times the processes of a trial were killed for their memory (a number)."""
        return self.progress_folder / f"{key}.kills"

    def table(self, ending: str) -> Path:
        """The comparison table: ``md``, ``csv``, ``json``, ``html`` or ``tex``."""
        return self.root / f"table.{ending}"

    @property
    def search(self) -> Path:
        """What is searched and how, in the folder of a search's trials."""
        return self.root / "search.json"

    @property
    def ledger(self) -> Path:
        """What a search has proposed, measured and decided, in the folder of its trials."""
        return self.root / "ledger.jsonl"

    @property
    def earlier(self) -> Path:
        """What an earlier search gave to the one in this folder when it began."""
        return self.root / "earlier.json"

    def tuning(self, ending: str) -> Path:
        """The report of a hyperparameter search: ``md``, ``csv``, ``json`` or ``html``."""
        return self.root / f"tuning.{ending}"
