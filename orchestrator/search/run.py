"""The search from end to end: what the command ``tune`` does, as a function."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from orchestrator.disk import check_room, disk_use
from orchestrator.experiment import Outcome, report, run_stages
from orchestrator.plan import Plan, PlannedTrial
from orchestrator.report.cells import CellGroup, cell_groups
from orchestrator.report.tuning import write_tuning
from orchestrator.resources import Node, TrialResources, feasible, this_machine
from orchestrator.run_directory import describe, read_plan, sound_records, taken, write_config
from orchestrator.schedule import clear_leaves, leaves_of, unfinished
from orchestrator.search.config import TunedExperimentConfig, load_tuned_experiment
from orchestrator.search.ending import Ending
from orchestrator.search.groups import SearchPlan
from orchestrator.search.ledger import Ledger
from orchestrator.search.proposing import Proposing, check_proposals
from orchestrator.search.state import SearchState, describe_search, read_search
from orchestrator.search.summary import GroupSummary, SearchSummary
from search_spaces.space import Space
from trainables.data.token_cache import check_cache_dir
from trainables.errors import ConfigError, RunDirectoryError, TrialError
from trainables.record import RunLayout, TrialRecord, read_records
from trainables.retention import discard
from trainables.tracking import check_trackers


@dataclass(frozen=True)
class TuningOutcome:
    """What a search and the comparison after it came to.

    Attributes:
        summary: the search.
        rows: of the comparison; none yet where there is none.
        compared: the comparison; none where the best settings were not trained with every seed.
        failed: records of trials of the search that failed.
        trained: how many trials of the comparison this call trained.
    """

    summary: SearchSummary
    rows: tuple[CellGroup, ...]
    compared: Outcome | None
    failed: tuple[TrialRecord, ...]
    trained: int


@dataclass(frozen=True)
class SearchPreview:
    """A search before it runs.

    Attributes:
        experiment: what was asked for.
        plan: its groups.
        resources: what each trial gets.
    """

    experiment: TunedExperimentConfig
    plan: SearchPlan
    resources: TrialResources


def plan_search(preset: str, space: str | Space, overrides: list[str]) -> SearchPreview:
    """Look at all that a search needs; nothing runs.

    Raises:
        InputError: anything that would keep it from running.
    """
    plan = _checked(load_tuned_experiment(preset, space, overrides))
    experiment = plan.experiment
    warm_start(experiment.tune.warm_start)
    number = len(plan.groups) * experiment.tune.trials
    if experiment.ray.address is None:
        return SearchPreview(experiment, plan, feasible(experiment, [this_machine()], number))
    from orchestrator.connection import connected

    with connected(experiment) as nodes:
        return SearchPreview(experiment, plan, feasible(experiment, nodes, number))


def _checked(experiment: TunedExperimentConfig) -> SearchPlan:
    check_trackers(experiment.tracking)
    plan = SearchPlan(experiment)
    check_proposals(plan)
    tune, groups = experiment.tune, len(plan.groups)
    if tune.refit and tune.max_trials is not None and tune.max_trials < groups:
        raise ConfigError(
            f"tune.max_trials={tune.max_trials}: there are {groups} groups, each of which needs a "
            f"trial to choose; give at least {groups}, or set tune.refit=false"
        )
    return plan


def run_tuning(
    preset: str,
    space: str | Space,
    overrides: list[str],
    run_dir: Path | None = None,
    console: Console | None = None,
) -> TuningOutcome:
    """Search good settings for every group, then compare the arms with them.

    What is finished of it in the run directory is not done again: neither trials of the search,
    which goes on where it stood, nor trials of the comparison.

    Raises:
        InputError: bad input; nothing has been trained.
        TrialError: no trial of a group has a score, so there is nothing to choose.
        KeyboardInterrupt: interrupted; the same command goes on.
    """
    plan = _checked(load_tuned_experiment(preset, space, overrides))
    experiment = plan.experiment
    earlier = warm_start(experiment.tune.warm_start)
    layout = RunLayout(run_dir or default_run_dir(experiment))
    if experiment.ray.address is None:
        # Before Ray starts, which takes seconds.
        feasible(experiment, [this_machine()], len(plan.groups) * experiment.tune.trials)
        check_cache_dir(experiment.data.cache_dir)
    console = console or Console()
    with taken(layout, experiment, None, console) as records, ExitStack() as stack:
        write_config(layout, experiment)
        cluster = _Cluster(experiment, stack, console)
        search = RunLayout(layout.root / "search")
        search.root.mkdir(exist_ok=True)
        state = _search(plan, search, earlier, cluster, console)
        chosen = {name: event.settings for name, event in state.chosen().items()}
        trained = 0
        if experiment.tune.refit:
            _check_chosen(state, chosen)
            trained = _compare(plan.refit(chosen), experiment, layout, records, cluster, console)
        return replace(report_tuning(layout.root), trained=trained)


def report_tuning(run_dir: Path) -> TuningOutcome:
    """Make the reports of a search and of its comparison anew from the files that it left.

    Raises:
        RunDirectoryError: there is no search, or a file of it is damaged.
    """
    layout = RunLayout(run_dir)
    state = read_search(RunLayout(run_dir / "search"))
    summary = state.summary()
    compared = report(run_dir) if layout.plan.is_file() else None
    rows: tuple[CellGroup, ...] = ()
    if compared is not None:
        rows = cell_groups(read_plan(layout), read_records(layout, {}), "validation")
    write_tuning(layout, summary, rows)
    proposed = state.proposed.values()
    return TuningOutcome(
        summary=summary,
        rows=rows,
        compared=compared,
        failed=tuple(state.records[e.key] for e in proposed if state.status(e.key) == "failed"),
        trained=0,
    )


def has_search(run_dir: Path) -> bool:
    """Whether a run directory is one of the command ``tune``."""
    return RunLayout(run_dir / "search").search.is_file()


def _compare(
    plan: Plan,
    experiment: TunedExperimentConfig,
    layout: RunLayout,
    records: Mapping[str, TrialRecord],
    cluster: "_Cluster",
    console: Console,
) -> int:
    """Run what is left of the comparison; gives how many trials that were."""
    waiting = unfinished(layout, plan.longest_first(), records)
    keys = {trial.key for trial in plan.trials}
    if waiting or not layout.plan.exists() or {t.key for t in read_plan(layout)} != keys:
        resources = cluster.resources(len(plan.trials))
        check_room(layout, disk_use(experiment, plan, waiting, resources.slots))
        describe(layout, experiment, plan, resources)
        if waiting:
            console.print(f"comparison: {len(waiting)} trials", markup=False)
            run_stages(waiting, experiment, plan, layout, resources, console)
    if not experiment.checkpoint.keep:
        clear_leaves(layout, plan.trials, read_records(layout, {}))
    return len(waiting)


class _Cluster:
    """Ray, connected when the first trials are to run and only then."""

    def __init__(
        self, experiment: TunedExperimentConfig, stack: ExitStack, console: Console
    ) -> None:
        self._experiment = experiment
        self._stack = stack
        self._console = console
        self._nodes: list[Node] | None = None

    def resources(self, trials: int) -> TrialResources:
        """What each of so many trials gets."""
        from orchestrator.connection import connected, dashboard

        if self._nodes is None:
            self._nodes = self._stack.enter_context(connected(self._experiment))
            if self._experiment.ray.dashboard:
                self._console.print(dashboard(), markup=False, soft_wrap=True)
        return feasible(self._experiment, self._nodes, trials)


def _search(
    plan: SearchPlan,
    layout: RunLayout,
    earlier: Mapping[str, GroupSummary],
    cluster: _Cluster,
    console: Console,
) -> SearchState:
    """Run what is left of the search."""
    experiment = plan.experiment
    keep = experiment.checkpoint.keep
    records = sound_records(layout, console, keep=keep)
    ledger = Ledger(layout.ledger, experiment.checkpoint.patience)
    ledger.mend()
    # First what is there is looked at; only then is the new description written.
    there = read_search(layout) if layout.search.exists() else None
    if there is not None and there.groups != {group.name: group for group in plan.groups}:
        raise _changed(layout)
    description = describe_search(layout, experiment, plan.groups)
    state = SearchState(description, ledger, records)
    if not _same_trials(state, plan):
        raise _changed(layout)
    for key in state.proposed:
        if state.status(key) == "stopped" and not keep:
            discard(layout, key)
    ending = Ending(experiment.tune.max_hours)
    proposing = Proposing(state, plan, earlier, lambda: ending.now)
    if not proposing.more():
        return state
    number = len(plan.groups) * experiment.tune.trials
    resources = cluster.resources(number)
    known = {trial.key for trial in plan.forerunners}
    some = [plan.trial(group, {}) for group in plan.groups]
    whole = plan.plan_of((*plan.forerunners, *some * experiment.tune.trials))
    # Also those of whose work trials of the search need what is no longer there.
    ended = {key: record for key, record in records.items() if key in known}
    waiting = unfinished(layout, whole.trials, ended)
    needed = [trial for trial in waiting if trial.key in known]
    check_room(layout, disk_use(experiment, whole, whole.trials, resources.slots))
    if needed:
        console.print(f"search: {len(needed)} trials that others need", markup=False)
        run_stages(needed, experiment, whole, layout, resources, console)
        _check_forerunners(plan.forerunners, layout)
    from orchestrator.search.tuner import run_search

    console.print(_announced(plan), markup=False, soft_wrap=True)
    run_search(plan, state, proposing, ending, layout, resources, console)
    if not keep and not proposing.more():
        _clear(whole, layout)
    # Of trials whose process died, only the records say so.
    return SearchState(description, ledger, read_records(layout, {}))


def _same_trials(state: SearchState, plan: SearchPlan) -> bool:
    """Whether settings stand for the trials that they stood for; asked of one of each group."""
    first = [trials[0] for name in state.groups if (trials := state.trials_of(name))]
    return all(plan.trial(state.groups[e.group], e.settings).key == e.key for e in first)


def _changed(layout: RunLayout) -> RunDirectoryError:
    return RunDirectoryError(
        f"{layout.root}: its trials are not this search's although the configuration is the "
        "same: the data, an encoder's folder or the code has changed since; choose another "
        "directory with --run-dir"
    )


def _announced(plan: SearchPlan) -> str:
    tune = plan.experiment.tune
    groups = len(plan.groups)
    return (
        f"search: {tune.trials} trials for each of {groups} group{'s' * (groups > 1)}, "
        f"{tune.search} search in the space {plan.experiment.space.name}, "
        f"scheduler {tune.scheduler}"
    )


def _check_forerunners(forerunners: tuple[PlannedTrial, ...], layout: RunLayout) -> None:
    records = read_records(layout, {})
    for trial in forerunners:
        record = records.get(trial.key)
        if record is None or record.status != "finished":
            reason = "has no record" if record is None else f"{record.status}: {record.error}"
            raise TrialError(f"{trial.config.title}: trials of the search need it, and it {reason}")


def _check_chosen(state: SearchState, chosen: Mapping[str, object]) -> None:
    for name in state.groups:
        if name not in chosen:
            raise TrialError(
                f"{name}: none of its trials has a score yet, so there is nothing to choose; "
                "run the command again, with more time or another space"
            )


def _clear(whole: Plan, layout: RunLayout) -> None:
    """Remove what trials of a search that has ended needed of others."""
    for key in leaves_of(whole.trials):
        for path in (layout.teaching(key), layout.weights(key)):
            path.unlink(missing_ok=True)


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


def default_run_dir(experiment: TunedExperimentConfig) -> Path:
    """``runs/NAME-SPACE`` in the working directory."""
    return Path("runs") / f"{experiment.name}-{experiment.space.name}"
