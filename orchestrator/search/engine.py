"""Run a search: upstream trials, the trials that the search's engine decides on, re-ranking.

An engine is a way to search. Which one a scheduler needs stands in ``ENGINES``; nothing outside of
the engines asks for the kind of a search.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar, Protocol

from rich.console import Console

from orchestrator.config.search import TuneConfig
from orchestrator.execution.executor import Executor
from orchestrator.execution.stages import run_stages
from orchestrator.planning.dependencies import artifacts_of
from orchestrator.planning.disk import check_room, disk_use
from orchestrator.planning.pending import remove_artifacts, trials_to_run
from orchestrator.planning.plan import PlannedTrial, largest
from orchestrator.planning.resources import TrialResources
from orchestrator.run_dir.directory import other_numbers, sound_records
from orchestrator.run_dir.resource_choices import read_choices, write_choices
from orchestrator.search.best_trial import Incumbent
from orchestrator.search.ledger import Ledger
from orchestrator.search.pbt.driver import PbtDriver
from orchestrator.search.plan import Group, SearchPlan
from orchestrator.search.rerank import rerank
from orchestrator.search.study import Description, Study, describe_search, read_description
from orchestrator.search.suggest import Suggester, check_suggestions
from orchestrator.search.summary import GroupSummary
from orchestrator.search.time_budget import TimeBudget
from orchestrator.search.trial_search import TrialSearch
from trainables.config.trial import CODE_SCHEMA
from trainables.errors import RunDirectoryError, TrialError
from trainables.results.record import TrialRecord, read_records
from trainables.results.status import TrialStatus
from trainables.storage.run_dir import RunDir
from trainables.trial.cleanup import discard


class SearchEngine(Protocol):
    """A way to search: decides which trials are trained, and lets an executor train them.

    Every decision follows from the ledger of the study and is in it before anything acts on it, so
    an engine that is made anew over the same folder goes on where the one before was interrupted.

    Attributes:
        study_class: what keeps account of such a search.
    """

    study_class: ClassVar[type[Study]]

    def __init__(
        self,
        study: Study,
        plan: SearchPlan,
        suggester: Suggester,
        run_dir: RunDir,
        time_budget: TimeBudget,
    ) -> None: ...

    @classmethod
    def check(cls, plan: SearchPlan) -> None:
        """Check that the groups of a plan can be searched in this way.

        Raises:
            ConfigError: a group cannot; names it.
        """
        ...

    def more(self) -> bool:
        """Whether trials of the search remain, unless the time budget is exhausted."""
        ...

    def run(self, executor: Executor, resources: TrialResources, console: Console) -> None:
        """Train the trials that remain. What they need of upstream trials must be there.

        Raises:
            KeyboardInterrupt: Ctrl-C or SIGTERM; the same search goes on where it stood.
        """
        ...

    def clear(self) -> None:
        """Remove the checkpoints from which no trial of the search goes on."""
        ...

    def kept_checkpoints(self, slots: int) -> int:
        """The most checkpoints of ended trials that the disk must hold at a time.

        Args:
            slots: number of trials that run at once.
        """
        ...


ENGINES: dict[str, type[SearchEngine]] = {
    "asha": TrialSearch,
    "hyperband": TrialSearch,
    "median": TrialSearch,
    "none": TrialSearch,
    "pbt": PbtDriver,
}
"""Scheduler -> engine: a way to search is added here."""


def check_search(plan: SearchPlan) -> None:
    """Check all that would keep a search from running to its end.

    Raises:
        ConfigError: settings of the space cannot be used, or the scheduler does not fit a group.
    """
    _engine_class(plan.experiment.tune).check(plan)
    check_suggestions(plan)


def read_search(run_dir: RunDir, damaged: dict[Path, RunDirectoryError] | None = None) -> Study:
    """The search of a folder by its files, which are only read.

    Args:
        run_dir: the folder of the search's trials.
        damaged: takes the files that are no readable record, and why; their trials have not ended.

    Raises:
        RunDirectoryError: there is no search, or a file of it is damaged.
    """
    description = read_description(run_dir)
    records = read_records(run_dir, {} if damaged is None else damaged)
    study = open_study(description, Ledger(run_dir.ledger), records)
    study.catch_up(write=False)
    return study


def open_study(
    description: Description, ledger: Ledger, records: Mapping[str, TrialRecord]
) -> Study:
    """The study of a search, of the class that its engine needs; see ``Study``."""
    return _engine_class(description.tune).study_class(description, ledger, records)


def search_groups(
    plan: SearchPlan,
    run_dir: RunDir,
    warm_start: Mapping[str, GroupSummary],
    executor: Executor,
    console: Console,
) -> Study:
    """Resume a search: run missing upstream trials, then its remaining trials, then re-rank.

    Args:
        plan: what is searched.
        run_dir: the folder of the search's trials, with the lock of its run directory held.
        warm_start: see ``Suggester``.
        executor: asked for resources only if trials remain.
        console: where to report.

    Raises:
        RunDirectoryError: the folder has another search.
        TrialError: an upstream trial did not finish.
        KeyboardInterrupt: interrupted; the same command goes on.
    """
    experiment, keep = plan.experiment, plan.experiment.checkpoint.keep
    records = sound_records(run_dir, console, keep=keep)
    study = _open(plan, run_dir, records)
    for key in study.suggested:
        if study.status(key) is TrialStatus.STOPPED and not keep:
            discard(run_dir, key)
    time_budget = TimeBudget(experiment.tune.max_hours)
    suggester = Suggester(study, plan, warm_start, time_budget)
    engine = _engine_class(experiment.tune)(study, plan, suggester, run_dir, time_budget)
    if engine.more():
        resources = _resources(plan, engine, run_dir, records, executor, console)
        _check_upstream(plan.upstream, run_dir)
        time_budget.begin()
        console.print(_announcement(plan), markup=False, soft_wrap=True)
        engine.run(executor, resources, console)
        # Of trials whose process died, only the records tell the end.
        study.records = read_records(run_dir, {})
        study.catch_up()
    rerank(study, plan, run_dir, executor, console)
    if not engine.more():
        # Also after a command that was killed at its very end.
        _clear(plan, engine, run_dir)
    return study


def _engine_class(tune: TuneConfig) -> type[SearchEngine]:
    return ENGINES[tune.scheduler]


def _open(plan: SearchPlan, run_dir: RunDir, records: Mapping[str, TrialRecord]) -> Study:
    """The study in a folder, begun or gone on with; its description and ledger are written."""
    ledger = Ledger(
        run_dir.ledger,
        plan.experiment.checkpoint.storage_timeout,
        lambda: run_dir.publish(run_dir.ledger, wait=False),
    )
    ledger.mend()
    # The old description is compared before the new one is written.
    if run_dir.search.exists() and _by_name(read_description(run_dir).groups) != _by_name(
        plan.groups
    ):
        raise _changed(run_dir)
    description = describe_search(run_dir, plan.experiment, plan.groups)
    study = open_study(description, ledger, records)
    if any(record.config.code_schema != CODE_SCHEMA for record in records.values()):
        raise other_numbers(run_dir)
    if not _same_trials(study, plan):
        raise _changed(run_dir)
    study.catch_up()
    return study


def _by_name(groups: Iterable[Group]) -> dict[str, Group]:
    """Name -> group without its facts, which repeat the configuration in this version's form."""
    return {group.name: group.model_copy(update={"facts": {}}) for group in groups}


def _same_trials(study: Study, plan: SearchPlan) -> bool:
    """Whether settings still give the trials that they gave; checks the first of each group."""
    first = [trials[0] for name in study.groups if (trials := study.trials_of(name))]
    return all(plan.trial(study.groups[e.group], e.settings).key == e.key for e in first)


def _changed(run_dir: RunDir) -> RunDirectoryError:
    return RunDirectoryError(
        f"{run_dir.root}: its trials are not this search's although the configuration is the "
        "same: the data, an encoder's folder or the code has changed since; choose another "
        "directory with --run-dir"
    )


def _resources(
    plan: SearchPlan,
    engine: SearchEngine,
    run_dir: RunDir,
    records: Mapping[str, TrialRecord],
    executor: Executor,
    console: Console,
) -> TrialResources:
    """Check that nodes and disk suffice for the search, and run missing upstream trials."""
    experiment = plan.experiment
    trials = len(plan.groups) * experiment.tune.trials
    choices = read_choices(run_dir, records.values())
    resources = executor.resources(trials, lambda: largest(plan.largest), choices, measure=True)
    one_per_group = [plan.trial(group, {}) for group in plan.groups]
    searched = one_per_group * experiment.tune.trials * experiment.tune.parts
    whole = plan.plan_of((*plan.upstream, *searched))
    executor.check(run_dir, whole.trials, whole.glue_dir)
    # Also those that have finished but lost what trials of the search need of them.
    upstream = {trial.key for trial in plan.upstream}
    ended = {key: record for key, record in records.items() if key in upstream}
    needed = [t for t in trials_to_run(run_dir, whole.trials, ended) if t.key in upstream]
    kept = engine.kept_checkpoints(resources.slots)
    check_room(run_dir, disk_use(experiment, whole, whole.trials, resources.slots, kept))
    write_choices(run_dir, resources)
    if needed:
        console.print(f"search: {len(needed)} trials that others need", markup=False)
        run_stages(needed, whole, run_dir, executor, resources, console)
    return resources


def _announcement(plan: SearchPlan) -> str:
    tune = plan.experiment.tune
    groups = len(plan.groups)
    return (
        f"search: {tune.trials} trials for each of {groups} group{'s' * (groups > 1)}, "
        f"{tune.search} search in the space {plan.experiment.space.name}, "
        f"scheduler {tune.scheduler}"
    )


def _check_upstream(upstream: tuple[PlannedTrial, ...], run_dir: RunDir) -> None:
    records = read_records(run_dir, {})
    for trial in upstream:
        record = records.get(trial.key)
        if record is None or record.status != TrialStatus.FINISHED:
            reason = "has no record" if record is None else f"{record.status}: {record.error}"
            raise TrialError(f"{trial.config.title}: trials of the search need it, and it {reason}")


def _clear(plan: SearchPlan, engine: SearchEngine, run_dir: RunDir) -> None:
    """Remove what trials of a search that is complete needed of others and of each other."""
    if plan.experiment.checkpoint.keep:
        return
    one_per_group = [
        *(plan.trial(group, {}) for group in plan.groups),
        *(plan.rerun(g, Incumbent({}), seed) for g in plan.groups for seed in plan.rerank_seeds),
    ]
    upstream = (*plan.upstream, *plan.rerank_upstream)
    remove_artifacts(run_dir, artifacts_of((*upstream, *one_per_group)))
    engine.clear()
