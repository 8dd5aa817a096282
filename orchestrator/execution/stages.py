"""Runs trials stage by stage: those that others need first."""

from rich.console import Console

from orchestrator.config.experiment import ExperimentConfig
from orchestrator.execution.tune_executor import run_trials
from orchestrator.monitor.live_view import LiveView
from orchestrator.monitor.state import Expected, GridProgress, cell_name
from orchestrator.planning.dependencies import stages
from orchestrator.planning.pending import failed, leaves_of, what_it_lacks
from orchestrator.planning.plan import Plan, PlannedTrial
from orchestrator.planning.resources import TrialResources
from trainables.results.record import read_records, write_record
from trainables.results.status import TrialStatus
from trainables.storage.run_dir import RunDir


def run_stages(
    waiting: list[PlannedTrial],
    experiment: ExperimentConfig,
    plan: Plan,
    layout: RunDir,
    resources: TrialResources,
    console: Console,
) -> None:
    """Run trials after those that they need; one whose forerunner failed fails for that reason."""
    expected = [expected_of(trial) for trial in waiting]
    leaves = leaves_of(plan.trials)
    with LiveView(GridProgress(expected, resources.slots), console) as view:
        for stage in stages(waiting):
            records = read_records(layout, {})
            ready = []
            for trial in stage:
                reason = what_it_lacks(trial, records)
                if reason is None:
                    ready.append(trial)
                    continue
                write_record(layout, failed(trial, reason))
                layout.publish(layout.record(trial.key))
                view.finish(trial.key, TrialStatus.FAILED, reason)
            if ready:
                run_trials(ready, experiment, layout, resources, plan.glue_dir, leaves, view)


def expected_of(trial: PlannedTrial) -> Expected:
    """A planned trial as the live view counts it."""
    config = trial.config
    cell = cell_name(config.arm_name, config.model_name, tuned=config.tuned)
    return Expected(trial.key, config.title, config.model_name, trial.expected_examples, group=cell)
