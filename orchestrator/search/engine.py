"""Runs what is left of a search, after the trials that its own need."""

from collections.abc import Mapping

from rich.console import Console

from orchestrator.execution.executor import Executor
from orchestrator.execution.stages import run_stages
from orchestrator.planning.disk import check_room, disk_use
from orchestrator.planning.pending import leaves_of, remove_leaves, unfinished
from orchestrator.planning.plan import PlannedTrial, largest
from orchestrator.run_dir.directory import sound_records
from orchestrator.search.ledger import Ledger
from orchestrator.search.pbt.driver import PbtDriver, groups_at_once, waiting_checkpoints
from orchestrator.search.pbt.state import Population
from orchestrator.search.plan import SearchPlan
from orchestrator.search.stored import describe_search, read_search, state_of
from orchestrator.search.study import SearchState
from orchestrator.search.suggest import Suggester
from orchestrator.search.summary import GroupSummary
from orchestrator.search.time_budget import TimeBudget
from trainables.errors import RunDirectoryError, TrialError
from trainables.results.record import read_records
from trainables.storage.run_dir import RunDir
from trainables.trial.cleanup import discard


def search_groups(
    plan: SearchPlan,
    layout: RunDir,
    earlier: Mapping[str, GroupSummary],
    executor: Executor,
    console: Console,
) -> SearchState:
    """Run what is left of the search."""
    experiment = plan.experiment
    keep = experiment.checkpoint.keep
    records = sound_records(layout, console, keep=keep)
    ledger = Ledger(
        layout.ledger,
        experiment.checkpoint.storage_timeout,
        lambda: layout.publish(layout.ledger, wait=False),
    )
    ledger.mend()
    # First what is there is looked at; only then is the new description written.
    there = read_search(layout) if layout.search.exists() else None
    if there is not None and there.groups != {group.name: group for group in plan.groups}:
        raise _changed(layout)
    description = describe_search(layout, experiment, plan.groups)
    state = state_of(description, ledger, records)
    if not _same_trials(state, plan):
        raise _changed(layout)
    for key in state.proposed:
        if state.status(key) == "stopped" and not keep:
            discard(layout, key)
    ending = TimeBudget(experiment.tune.max_hours)
    proposing = Suggester(state, plan, earlier, lambda: ending.now)
    evolution = None
    if isinstance(state, Population):
        evolution = PbtDriver(state, plan, proposing, layout, ending, keep=keep)
    if not (evolution or proposing).more():
        # A command that was killed at its very end has not.
        _clear(plan, evolution, layout)
        return state
    tune, groups = experiment.tune, len(plan.groups)
    resources = executor.resources(groups * tune.trials, lambda: largest(plan.largest))
    known = {trial.key for trial in plan.forerunners}
    some = [plan.trial(group, {}) for group in plan.groups]
    parts = 1 if evolution is None else tune.generations
    whole = plan.plan_of((*plan.forerunners, *some * tune.trials * parts))
    # Also those of whose work trials of the search need what is no longer there.
    ended = {key: record for key, record in records.items() if key in known}
    waiting = unfinished(layout, whole.trials, ended)
    needed = [trial for trial in waiting if trial.key in known]
    executor.check(layout, whole.trials, whole.glue_dir)
    staying = 0
    if evolution is not None:
        staying = waiting_checkpoints(tune, groups, resources.slots, keep=keep)
    check_room(layout, disk_use(experiment, whole, whole.trials, resources.slots, staying))
    if needed:
        console.print(f"search: {len(needed)} trials that others need", markup=False)
        run_stages(needed, whole, layout, executor, resources, console)
    _check_forerunners(plan.forerunners, layout)
    from orchestrator.search.tune_driver import run_evolution, run_search

    ending.begin()
    console.print(_announced(plan), markup=False, soft_wrap=True)
    if isinstance(state, Population) and evolution is not None:
        at_once = groups_at_once(tune, groups, resources.slots)
        run_evolution(plan, state, evolution, at_once, ending, layout, resources, console)
    else:
        run_search(plan, state, proposing, ending, layout, resources, console)
    if not (evolution or proposing).more():
        _clear(plan, evolution, layout)
    # Of trials whose process died, only the records say so.
    return state_of(description, ledger, read_records(layout, {}))


def _same_trials(state: SearchState, plan: SearchPlan) -> bool:
    """Whether settings stand for the trials that they stood for; asked of one of each group."""
    first = [trials[0] for name in state.groups if (trials := state.trials_of(name))]
    return all(plan.trial(state.groups[e.group], e.settings).key == e.key for e in first)


def _changed(layout: RunDir) -> RunDirectoryError:
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


def _check_forerunners(forerunners: tuple[PlannedTrial, ...], layout: RunDir) -> None:
    records = read_records(layout, {})
    for trial in forerunners:
        record = records.get(trial.key)
        if record is None or record.status != "finished":
            reason = "has no record" if record is None else f"{record.status}: {record.error}"
            raise TrialError(f"{trial.config.title}: trials of the search need it, and it {reason}")


def _clear(plan: SearchPlan, evolution: PbtDriver | None, layout: RunDir) -> None:
    """Remove what trials of a search that has ended needed of others and of each other."""
    if plan.experiment.checkpoint.keep:
        return
    some = [plan.trial(group, {}) for group in plan.groups]
    remove_leaves(layout, leaves_of((*plan.forerunners, *some)))
    if evolution is not None:
        evolution.clear()
