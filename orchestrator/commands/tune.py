"""The search from end to end: what the command ``tune`` does, as a function."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from orchestrator.commands.tune_report import TuningOutcome, report_tuning
from orchestrator.config.search import TunedExperimentConfig, load_tuned_experiment
from orchestrator.execution.stages import run_stages
from orchestrator.execution.tracking import publish_report, tracked
from orchestrator.planning.disk import check_room, disk_use
from orchestrator.planning.pending import clear_leaves, unfinished
from orchestrator.planning.plan import Plan, largest
from orchestrator.planning.resources import Node, TrialResources, feasible, this_machine
from orchestrator.run_dir.directory import describe, read_plan, taken, write_config
from orchestrator.run_dir.remote import opened, search_of
from orchestrator.search.best_trial import Incumbent
from orchestrator.search.cluster import Cluster
from orchestrator.search.engine import search_groups
from orchestrator.search.plan import SearchPlan
from orchestrator.search.study import SearchState
from orchestrator.search.suggest import check_proposals
from orchestrator.search.warm_start import earlier_of, keep_earlier, read_earlier
from search_spaces.space import Space
from trainables.data.token_cache import check_cache_dir
from trainables.errors import ConfigError, TrialError
from trainables.results.record import TrialRecord, read_records
from trainables.storage.run_dir import RunDir


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
    read_earlier(experiment.tune.warm_start)
    if experiment.ray.address is None:
        return SearchPreview(experiment, plan, _resources(plan, [this_machine()]))
    from orchestrator.execution.ray.cluster import connected

    with connected(experiment) as nodes:
        return SearchPreview(experiment, plan, _resources(plan, nodes))


def _resources(plan: SearchPlan, nodes: list[Node]) -> TrialResources:
    trials = len(plan.groups) * plan.experiment.tune.trials
    return feasible(plan.experiment, nodes, trials, lambda: largest(plan.largest))


def _checked(experiment: TunedExperimentConfig) -> SearchPlan:
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
    run_dir: Path | str | None = None,
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
    console = console or Console()
    experiment = load_tuned_experiment(preset, space, overrides)
    where, patience = run_dir or default_run_dir(experiment), experiment.checkpoint.patience
    with (
        opened(where, patience) as layout,
        tracked(experiment, layout.root, console) as experiment,
    ):
        return _run(_checked(experiment), layout, console)


def _run(plan: SearchPlan, layout: RunDir, console: Console) -> TuningOutcome:
    experiment, search = plan.experiment, search_of(layout)
    earlier = earlier_of(search, experiment.tune.warm_start)
    if experiment.ray.address is None:
        # Before Ray starts, which takes seconds.
        _resources(plan, [this_machine()])
        check_cache_dir(experiment.data.cache_dir)
    with taken(layout, experiment, None, console) as records, ExitStack() as stack:
        write_config(layout, experiment)
        cluster = Cluster(experiment, layout.where, stack, console)
        search.root.mkdir(exist_ok=True)
        keep_earlier(search, earlier)
        state = search_groups(plan, search, earlier, cluster, console)
        chosen = state.chosen()
        trained = 0
        if experiment.tune.refit:
            _check_chosen(state, chosen)
            trained = _compare(plan.refit(chosen), experiment, layout, records, cluster, console)
        outcome = report_tuning(layout)
        publish_report(experiment, layout, console)
        return replace(outcome, trained=trained)


def _compare(
    plan: Plan,
    experiment: TunedExperimentConfig,
    layout: RunDir,
    records: Mapping[str, TrialRecord],
    cluster: Cluster,
    console: Console,
) -> int:
    """Run what is left of the comparison; gives how many trials that were."""
    waiting = unfinished(layout, plan.longest_first(), records)
    keys = {trial.key for trial in plan.trials}
    if waiting or not layout.plan.exists() or {t.key for t in read_plan(layout)} != keys:
        resources = cluster.resources(len(plan.trials), lambda: largest(plan))
        cluster.check(layout, plan)
        check_room(layout, disk_use(experiment, plan, waiting, resources.slots))
        describe(layout, experiment, plan, resources)
        if waiting:
            console.print(f"comparison: {len(waiting)} trials", markup=False)
            run_stages(waiting, experiment, plan, layout, resources, console)
    if not experiment.checkpoint.keep:
        clear_leaves(layout, plan.trials, read_records(layout, {}))
    return len(waiting)


def _check_chosen(state: SearchState, chosen: Mapping[str, Incumbent]) -> None:
    for name in state.groups:
        if name not in chosen:
            raise TrialError(
                f"{name}: none of its trials has a score yet, so there is nothing to choose; "
                "run the command again, with more time or another space"
            )


def default_run_dir(experiment: TunedExperimentConfig) -> Path:
    """``runs/NAME-SPACE`` in the working directory."""
    return Path("runs") / f"{experiment.name}-{experiment.space.name}"
