"""What a search and the comparison after it came to, from the files that they left."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.commands.report import Outcome, published, report
from orchestrator.report.equal_terms import Tuning
from orchestrator.report.rows import PlannedTrial, TableRow, table_rows
from orchestrator.report.tuning.gain import Change, changes
from orchestrator.report.tuning.report import write_tuning
from orchestrator.run_dir.directory import read_plan
from orchestrator.run_dir.remote import Where, run_dir_at, search_of
from orchestrator.search.engine import read_search
from orchestrator.search.study import Study
from orchestrator.search.summary import SearchSummary, Spent
from trainables.errors import RunDirectoryError
from trainables.results.record import TrialRecord, read_records


@dataclass(frozen=True)
class TuningOutcome:
    """What a search and the comparison after it came to.

    Attributes:
        summary: the search.
        rows: of the comparison; none yet where there is none.
        changes: how much tuning changes the answer.
        compared: the comparison; none where the best settings were not trained with every seed.
        failed: records of trials of the search that failed.
        damaged: files among the records of the search that are no readable record, and why.
        trained: how many trials of the comparison this call trained.
        warnings: what else is not as it should be.
    """

    summary: SearchSummary
    rows: tuple[TableRow, ...]
    changes: tuple[Change, ...]
    compared: Outcome | None
    failed: tuple[TrialRecord, ...]
    damaged: tuple[str, ...]
    trained: int
    warnings: tuple[str, ...]


def report_tuning(where: Where, *, texts: bool = False) -> TuningOutcome:
    """Make the reports of a search and of its comparison anew from the files that it left.

    Args:
        where: the run directory.
        texts: see ``report``.

    Raises:
        RunDirectoryError: there is no search, or a file of it is damaged.
    """
    run_dir = run_dir_at(where)
    damaged: dict[Path, RunDirectoryError] = {}
    study = read_search(search_of(run_dir), damaged)
    summary = study.summary()
    compared = None
    if run_dir.plan.is_file():
        compared = report(run_dir, _spent(summary), texts=texts)
    rows: tuple[TableRow, ...] = ()
    changed: tuple[Change, ...] = ()
    if compared is not None:
        plan = read_plan(run_dir)
        rows = table_rows(plan, read_records(run_dir, {}), "validation")
        changed = changes(rows, _outdated(plan, study))
    warnings = published(run_dir, *write_tuning(run_dir, summary, changed))
    return TuningOutcome(
        summary=summary,
        rows=rows,
        changes=changed,
        compared=compared,
        failed=study.failed,
        damaged=tuple(map(str, damaged.values())),
        trained=0,
        warnings=tuple(warnings),
    )


def _spent(summary: SearchSummary) -> dict[tuple[str, str], Tuning]:
    """What the search spent on each arm and model."""
    groups: dict[tuple[str, str], list[Spent]] = {}
    for group in summary.groups:
        groups.setdefault((group.arm, group.model), []).append(group.spent)
    return {
        row: Tuning(tuple(s.trials for s in spent), sum(s.examples for s in spent))
        for row, spent in groups.items()
    }


def _outdated(plan: Iterable[PlannedTrial], study: Study) -> set[tuple[str, str]]:
    """Arm and model of the tuned rows that were trained with settings that are not the best now."""
    incumbents = study.incumbents()
    best = {(g.arm, g.model, g.task): incumbents.get(name) for name, g in study.groups.items()}
    outdated = set()
    for config in (trial.config for trial in plan if trial.config.tuned):
        task = next(iter(config.tasks)) if config.arm.strategy == "single_task" else None
        incumbent = best.get((config.arm_name, config.model_name, task))
        if incumbent is None or not incumbent.matches(config):
            outdated.add((config.arm_name, config.model_name))
    return outdated
