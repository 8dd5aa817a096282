"""Ranks the best settings of each group again, with seeds that nothing else uses.

The best of many trials was partly lucky with its seed. So before settings are chosen, the best few
of a group are trained as a whole with further seeds and scored on ``selection`` as before; the
highest mean is chosen (``Study.incumbents``). What that is worth: ``benchmarks/winners_curse.py``.
Which settings these are follows from the search, and is in the ledger before anything is trained.
"""

from rich.console import Console

from orchestrator.execution.executor import Executor
from orchestrator.execution.stages import run_stages
from orchestrator.planning.disk import check_room, disk_use
from orchestrator.planning.pending import has_ended, trials_to_run
from orchestrator.planning.plan import PlannedTrial, largest
from orchestrator.run_dir.resource_choices import read_choices, write_choices
from orchestrator.search.ledger import RerunStarted
from orchestrator.search.plan import SearchPlan
from orchestrator.search.study import Study
from trainables.results.record import read_records
from trainables.storage.run_dir import RunDir


def rerank(
    study: Study, plan: SearchPlan, run_dir: RunDir, executor: Executor, console: Console
) -> None:
    """Train what is missing for the re-ranking of each group; resumes after an interruption.

    Args:
        study: the search, which has ended or whose time is up.
        plan: what is searched.
        run_dir: the folder of the search's trials.
        executor: asked for resources only if trials remain.
        console: where to report.

    Raises:
        InputError: nodes, data or the disk do not suffice.
        KeyboardInterrupt: interrupted; finished trials are kept.
    """
    reruns = _decide(study, plan)
    whole = plan.plan_of((*_needed(plan, reruns), *reruns))
    records = read_records(run_dir, {})
    if all(has_ended(records.get(trial.key)) for trial in reruns):
        return
    # Also upstream trials that have finished but lost what others need of them.
    waiting = trials_to_run(run_dir, whole.longest_first(), records)
    choices = read_choices(run_dir, records.values())
    resources = executor.resources(len(whole.trials), lambda: largest(whole), choices, measure=True)
    executor.check(run_dir, waiting, whole.glue_dir)
    check_room(run_dir, disk_use(plan.experiment, whole, waiting, resources.slots))
    write_choices(run_dir, resources)
    console.print(f"re-ranking the best settings: {len(waiting)} trials", markup=False)
    run_stages(waiting, whole, run_dir, executor, resources, console)
    study.records = read_records(run_dir, {})
    study.catch_up()


def _decide(study: Study, plan: SearchPlan) -> list[PlannedTrial]:
    """The trials that rank settings again; new ones are in the ledger when this returns."""
    trials = []
    for group in plan.groups:
        for number in study.to_rerank(group.name):
            for seed in plan.rerank_seeds:
                trial = plan.rerun(group, study.incumbent(group.name, number), seed)
                trials.append(trial)
                if trial.key not in study.reruns:
                    study.add(
                        RerunStarted(
                            group=group.name,
                            number=number,
                            key=trial.key,
                            seed=seed,
                            examples=trial.expected_examples,
                        )
                    )
    return trials


def _needed(plan: SearchPlan, reruns: list[PlannedTrial]) -> list[PlannedTrial]:
    """The upstream trials that these need, directly or not."""
    upstream = {trial.key: trial for trial in plan.rerank_upstream}
    needed: set[str] = set()
    new = {key for trial in reruns for key in trial.config.needs}
    while new:
        needed |= new
        new = {key for name in new for key in upstream[name].config.needs} - needed
    return [trial for trial in upstream.values() if trial.key in needed]
