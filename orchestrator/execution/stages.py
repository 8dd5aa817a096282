"""Runs trials stage by stage: those that others need first."""

from rich.console import Console

from orchestrator.execution.executor import Executor, each
from orchestrator.monitor.live_view import LiveView
from orchestrator.monitor.state import Expected, GridProgress
from orchestrator.planning.dependencies import artifacts_of, stages
from orchestrator.planning.pending import failed, missing_upstream
from orchestrator.planning.plan import Plan, PlannedTrial
from orchestrator.planning.resources import TrialResources
from trainables.results.record import read_records, write_record
from trainables.results.status import TrialStatus
from trainables.storage.run_dir import RunDir


def run_stages(
    waiting: list[PlannedTrial],
    plan: Plan,
    run_dir: RunDir,
    executor: Executor,
    resources: TrialResources,
    console: Console,
    title: str = "",
) -> None:
    """Run trials after those that they need; if one of those failed, the trial fails too.

    Args:
        waiting: the trials to run, in the order of their start.
        plan: all trials, finished ones included.
        run_dir: where they leave their records.
        executor: runs them.
        resources: what each trial gets.
        console: where the live view is drawn.
        title: of the live view; empty for none.
    """
    expected = [expected_of(trial) for trial in waiting]
    with LiveView(GridProgress(expected, resources.slots), console, title=title) as view:
        for stage in stages(waiting):
            records = read_records(run_dir, {})
            ready = []
            for trial in stage:
                reason = missing_upstream(trial, records)
                if reason is None:
                    ready.append(trial)
                    continue
                write_record(run_dir, failed(trial, reason))
                run_dir.publish(run_dir.record(trial.key))
                view.finish(trial.key, TrialStatus.FAILED, reason)
            if ready:
                executor.run(
                    each(ready),
                    run_dir,
                    view,
                    resources=resources,
                    glue_dir=plan.glue_dir,
                    artifacts=artifacts_of(plan.trials),
                )


def expected_of(trial: PlannedTrial) -> Expected:
    """A planned trial as the live view counts it."""
    config = trial.config
    return Expected.of_plan(
        key=trial.key,
        title=config.title,
        arm=config.arm_name,
        model=config.model_name,
        examples=trial.expected_examples,
        tuned=config.tuned,
    )
