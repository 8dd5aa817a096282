"""The ``plan`` command: what would run, on which data; nothing does."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from orchestrator.analysis.looks import Look
from orchestrator.config.experiment import ExperimentConfig
from orchestrator.planning.dependencies import stages
from orchestrator.planning.disk import DiskUse, disk_use
from orchestrator.planning.plan import Plan, largest, make_plan
from orchestrator.planning.resources import TrialResources, local_resources
from orchestrator.planning.scoring import scoring
from orchestrator.report.terminal import print_facts, print_findings, print_scoring
from orchestrator.run_dir.resource_choices import read_choices
from trainables.storage.run_dir import RunDir


@dataclass(frozen=True)
class _Preview:
    plan: Plan
    resources: TrialResources
    trials: list[dict[str, Any]]
    stages: int
    disk: DiskUse
    scoring: dict[str, str]
    looks: list[dict[str, Any]]


def _preview(config: ExperimentConfig) -> _Preview:
    planned = make_plan(config)
    resources = _resources(config, planned)
    staged = stages(planned.longest_first())
    described = [
        {**trial.describe(resources), "stage": number}
        for number, stage in enumerate(staged, start=1)
        for trial in stage
    ]
    disk = disk_use(config, planned, planned.trials, resources.slots)
    tasks = config.task_configs()
    scored = {name: scoring(tasks[name], data) for name, data in planned.tasks.items()}
    looks = planned_rounds(config, planned)
    return _Preview(planned, resources, described, len(staged), disk, scored, looks)


def planned_rounds(config: ExperimentConfig, planned: Plan) -> list[dict[str, Any]]:
    """What is trained until each look at the verdict, as plain values."""
    parts = [(seeds, planned.of_seeds(seeds).trials) for seeds in config.rounds]
    return [
        {
            "seeds": len(seeds),
            "trials": len(trials),
            "expected_examples": sum(trial.expected_examples for trial in trials),
            "cost": sum(trial.cost for trial in trials),
            "level": Look(len(seeds), config.looks).level,
        }
        for seeds, trials in parts
    ]


def describe_rounds(looks: list[dict[str, Any]]) -> str:
    """Lines about ``planned_rounds``; empty for a list of seeds."""
    if len(looks) == 1:
        return ""
    lines = [
        f"look {number} of {len(looks)}: {look['seeds']} seeds, {look['trials']} trials, "
        f"{look['expected_examples']:,} examples, "
        f"{100 * look['cost'] / looks[-1]['cost']:.0f} % of the work"
        for number, look in enumerate(looks, start=1)
    ]
    level = f"{100 * looks[0]['level']:g} %"
    lines.append(f"it stops at the first that decides every comparison; level {level} at each")
    return "\n".join(lines) + "\n"


def _resources(config: ExperimentConfig, planned: Plan) -> TrialResources:
    trials, choices = len(planned.trials), read_choices(RunDir(Path("runs") / config.name))
    if config.ray.address is None:
        return local_resources(config, trials, lambda: largest(planned), choices)
    from orchestrator.commands.session import preview_resources

    return preview_resources(config, planned, trials, choices=choices)


def plan_json(config: ExperimentConfig) -> str:
    """The trials of a grid and what is known of its data, for machines.

    Raises:
        InputError: data, an encoder or a combination of settings that cannot be used.
    """
    preview = _preview(config)
    facts = preview.plan.facts
    content = {
        "trials": preview.trials,
        "looks": preview.looks,
        "disk": asdict(preview.disk),
        "gpu": preview.resources.why,
        "scoring": preview.scoring,
        "data": None if facts is None else facts.model_dump(mode="json"),
    }
    return json.dumps(content, indent=1)


def print_plan(config: ExperimentConfig, console: Console) -> None:
    """Print what is known of a grid's data, its trials, and what to be warned of.

    Raises:
        InputError: data, an encoder or a combination of settings that cannot be used.
    """
    preview = _preview(config)
    planned, resources, described = preview.plan, preview.resources, preview.trials
    table = Table(
        title=f"tasks: {', '.join(planned.tasks)}",
        caption=f"{len(described)} trials, the longest first, {resources.slots} at once\n"
        + describe_rounds(preview.looks)
        + ("a stage starts when those before it have ended\n" if preview.stages > 1 else "")
        + f"disk: {preview.disk.describe(resources.slots)}"
        + (f"\n{resources.why}" if resources.why else ""),
        box=SIMPLE_HEAD,
    )
    for column in ("key", "arm", "model", "task", "seed", "each gets"):
        table.add_column(column, overflow="fold")
    table.add_column("examples", justify="right")
    if preview.stages > 1:
        table.add_column("stage", justify="right")
    for trial in described:
        table.add_row(
            trial["key"],
            trial["arm"],
            trial["model"],
            "all" if trial["tasks"] == list(planned.tasks) else ", ".join(trial["tasks"]),
            str(trial["seed"]),
            resources.describe(),
            f"{trial['expected_examples']:,}",
            *([str(trial["stage"])] if preview.stages > 1 else []),
        )
    if planned.facts is not None:
        print_facts(console, planned.facts)
    console.print(table, markup=False)
    print_scoring(console, preview.scoring)
    print_findings(console, planned.facts)
    if config.tracking.trackers:
        from orchestrator.execution.tracking import warn_of_trackers

        warn_of_trackers(config, Path("runs") / config.name, console)
