"""Every path of a run directory, and how its files get to one that lies in an object store."""

from pathlib import Path

PROBE = ".probe-"
"""How the names of files begin that are written only to see whether and when that succeeds."""


KEPT = 2
"""Checkpoints of a trial to keep: the newest, and one to fall back on."""


class RunPaths:
    """The paths inside the run directory that lies at ``root``."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self.config = self.root / "config.yaml"
        self.plan = self.root / "plan.json"
        self.environment = self.root / "environment.json"
        self.resource_choices = self.root / "resources.json"
        self.looks = self.root / "looks.json"
        self.results = self.root / "results.csv"
        self.cost = self.root / "cost.json"
        self.records = self.root / "records"
        self.predictions_cache = self.root / "predictions_cache.parquet"
        self.progress_folder = self.root / "progress"
        self.damaged = self.root / "damaged"

    def record(self, key: str) -> Path:
        """The record of a trial."""
        return self.records / f"{key}.json"

    def predictions(self, key: str) -> Path:
        """Per-example predictions of a trial (Parquet)."""
        return self.root / "predictions" / f"{key}.parquet"

    def test_predictions(self, key: str) -> Path:
        """What a trial predicts for GLUE's test files (Parquet)."""
        return self.root / "predictions" / f"{key}.test.parquet"

    def curves(self, key: str) -> Path:
        """Learning curves of a trial, one row per epoch (CSV)."""
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
        """The last progress report of a running trial (JSON)."""
        return self.progress_folder / f"{key}.json"

    def memory_kills(self, key: str) -> Path:
        """How many processes of a trial were killed for their memory (a number)."""
        return self.progress_folder / f"{key}.kills"

    def table(self, ending: str) -> Path:
        """The comparison table: ``md``, ``csv``, ``json`` or ``tex``."""
        return self.root / f"table.{ending}"

    @property
    def report(self) -> Path:
        """The report of the grid, one HTML page."""
        return self.root / "report.html"

    @property
    def figures(self) -> tuple[Path, ...]:
        """The report's figures as files; those of which there is nothing to draw are not there."""
        names = ("forest", "learning_curves", "quality_cost")
        return tuple(
            self.root / "figures" / f"{name}.{ending}"
            for name in names
            for ending in ("svg", "png")
        )

    @property
    def search(self) -> Path:
        """Description of the search, in the folder of a search's trials."""
        return self.root / "search.json"

    @property
    def ledger(self) -> Path:
        """Suggestions, scores and decisions of the search, in the folder of its trials."""
        return self.root / "ledger.jsonl"

    @property
    def earlier(self) -> Path:
        """What the search was warm-started with, in the folder of its trials."""
        return self.root / "earlier.json"

    def tuning(self, ending: str) -> Path:
        """The report of a hyperparameter search: ``md``, ``csv``, ``json`` or ``html``."""
        return self.root / f"tuning.{ending}"


class RunDir(RunPaths):
    """A run directory as the commands use it.

    This one is a folder that all who work with it see, so no file needs to be transferred. Of one
    in an object store ``root`` is a copy, and the subclass ``RemoteRunDir`` transfers its files.

    Attributes:
        url: the object store's folder; None for a folder.
    """

    url: str | None = None

    @property
    def where(self) -> str:
        """Where it lies, for another process or machine: a URL, or an absolute path."""
        return self.url or str(self.root.resolve())

    def display_path(self, path: Path) -> str:
        """Where a file of it lies, for a human."""
        return str(path)

    def refresh(self) -> None:
        """Fetch what others have written or removed since the last refresh."""

    def fetch(self, path: Path) -> None:
        """Fetch one file that others may have written."""

    def fetch_folder(self, folder: Path) -> None:
        """Fetch all files of a folder that others may have written."""

    def publish(self, *paths: Path, wait: bool = True) -> None:
        """Upload files; ``wait`` for a store that is away for a while."""

    def publish_removal(self, path: Path, *, listed: bool = True) -> None:
        """Remove there a file or folder that was removed here.

        Args:
            path: where it was.
            listed: whether it is older than the last refresh, which then tells whether it is there.
        """

    def exists_remotely(self, path: Path) -> bool | None:
        """Whether a file that need not be here is in the store; None if its place is here."""
        return None

    def newest_checkpoint(self, key: str) -> str | None:
        """Name of a trial's newest checkpoint in the store; None if its place is here."""
        return None
