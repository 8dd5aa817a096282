"""What a search and the comparison after it came to, from the files that they left."""

from dataclasses import dataclass
from pathlib import Path

from orchestrator.experiment import Outcome, report
from orchestrator.report.cells import CellGroup, cell_groups
from orchestrator.report.tuning import write_tuning
from orchestrator.run_directory import read_plan
from orchestrator.search.stored import read_search
from orchestrator.search.summary import GroupSummary, SearchSummary
from trainables.errors import ConfigError, RunDirectoryError
from trainables.record import RunLayout, TrialRecord, read_records


@dataclass(frozen=True)
class TuningOutcome:
    """What a search and the comparison after it came to.

    Attributes:
        summary: the search.
        rows: of the comparison; none yet where there is none.
        compared: the comparison; none where the best settings were not trained with every seed.
        failed: records of trials of the search that failed.
        damaged: files among the records of the search that are no readable record, and why.
        trained: how many trials of the comparison this call trained.
    """

    summary: SearchSummary
    rows: tuple[CellGroup, ...]
    compared: Outcome | None
    failed: tuple[TrialRecord, ...]
    damaged: tuple[str, ...]
    trained: int


def report_tuning(run_dir: Path) -> TuningOutcome:
    """Make the reports of a search and of its comparison anew from the files that it left.

    Raises:
        RunDirectoryError: there is no search, or a file of it is damaged.
    """
    layout = RunLayout(run_dir)
    damaged: dict[Path, RunDirectoryError] = {}
    state = read_search(RunLayout(run_dir / "search"), damaged)
    summary = state.summary()
    compared = report(run_dir) if layout.plan.is_file() else None
    rows: tuple[CellGroup, ...] = ()
    if compared is not None:
        rows = cell_groups(read_plan(layout), read_records(layout, {}), "validation")
    write_tuning(layout, summary, rows)
    return TuningOutcome(
        summary=summary,
        rows=rows,
        compared=compared,
        failed=state.failed,
        damaged=tuple(map(str, damaged.values())),
        trained=0,
    )


def has_search(run_dir: Path) -> bool:
    """Whether a run directory is one of the command ``tune``."""
    return RunLayout(run_dir / "search").search.is_file()


def warm_start(run_dir: str | None) -> dict[str, GroupSummary]:
    """What an earlier search found: name of a group -> its summary.

    Raises:
        ConfigError: there is no search in ``run_dir``, or it cannot be read.
    """
    if run_dir is None:
        return {}
    try:
        state = read_search(RunLayout(Path(run_dir) / "search"))
    except RunDirectoryError as error:
        raise ConfigError(f"tune.warm_start={run_dir}: {error}") from error
    return dict(zip(state.groups, state.summary().groups, strict=True))
