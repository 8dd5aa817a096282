"""How much of a GPU the trials of a plan need: asked where a GPU is to be divided among them."""

from orchestrator.plan import Plan
from orchestrator.resources import Need
from trainables.training.footprint import footprint


def largest(plan: Plan) -> Need:
    """What the largest trial of a plan needs, whatever of the plan is finished.

    Raises:
        EncoderError: an encoder's files are no longer there.
    """
    needs: dict[str, Need] = {}
    for trial in plan.trials:
        config = trial.config
        classes = {name: len(plan.tasks[name].labels) for name in config.tasks}
        # Trials that differ in their seed or task alone take the same.
        kind = repr((config.arm_name, config.model_name, *classes.values(), config.training))
        if kind not in needs:
            gigabytes = footprint(config, classes).total / 1e9
            needs[kind] = Need(f"{config.arm_name} {config.model_name}", gigabytes)
    return max(needs.values(), key=lambda need: need.gigabytes)
