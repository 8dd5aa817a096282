"""Measurements that are made by hand, as ``cost.json`` holds them."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.deploy.cost.measure import KINDS
from orchestrator.deploy.cost.results import ArmCost, Cost, Measured, Round, Timing
from orchestrator.report.rows import PlannedTrial


def measured(
    milliseconds: Sequence[float] = (10.0, 11.0),
    peaks: Sequence[float] = (100.0, 101.0),
    inputs: int = 1,
    **changes: Any,
) -> Measured:
    """A deployment whose requests of every kind take these times, a round each.

    Args:
        milliseconds: of the only request of each round.
        peaks: megabytes of each process.
        inputs: texts of a request for all tasks.
        changes: of other fields.
    """
    rounds = [
        Round(scenario=scenario, batch_size=size, process=0, milliseconds=(time,))
        for scenario, size in KINDS
        for time in milliseconds
    ]
    timings = [
        Timing.of(
            [r for r in rounds if (r.scenario, r.batch_size) == kind],
            inputs if kind[0] == "all_tasks" else 1,
        )
        for kind in KINDS
    ]
    content = {
        "trials": ("a",), "saved": True, "models": 1, "passes": 1, "parameters": 1000,
        "megabytes": 0.004, "peak_megabytes": tuple(peaks), "timings": tuple(timings),
        "rounds": tuple(rounds),
    }  # fmt: skip
    return Measured(**(content | changes))


def cost_of(plan: Sequence[PlannedTrial], arms: Mapping[str, Measured], **changes: Any) -> Cost:
    """``cost.json`` of a plan's first seed.

    Args:
        plan: the trials.
        arms: name of an arm -> what was measured of it, whatever its model.
        changes: of other fields.
    """
    seed, tasks = plan[0].config.seed, list(dict.fromkeys(t for p in plan for t in p.config.tasks))
    rows: dict[tuple[str, str, bool], list[PlannedTrial]] = {}
    for trial in plan:
        config = trial.config
        if config.arm_name in arms and config.seed == seed:
            own = rows.setdefault((config.arm_name, config.model_name, config.tuned), [])
            own.append(trial)
    costs = [
        ArmCost(
            arm=arm, label=arm, tuned=tuned, strategy=own[0].config.arm.strategy, model=model,
            seed=seed, tasks=tuple(t for p in own for t in p.config.tasks),
            trials=tuple(p.key for p in own), seeds=1, training_device_seconds=90.0,
            measured=list(arms).index(arm),
        )
        for (arm, model, tuned), own in rows.items()
    ]  # fmt: skip
    content: dict[str, Any] = {
        "finished": "2026-01-01T00:00:00+00:00", "device": "cpu", "threads": 2,
        "load_average": 0.1, "environment": {}, "texts": dict.fromkeys(tasks, 128),
        "texts_of_example": dict.fromkeys(tasks, 1), "tokens": {}, "arms": tuple(costs),
        "deployments": tuple(arms.values()),
    }  # fmt: skip
    return Cost(**(content | changes))
