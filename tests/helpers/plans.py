"""Plans of presets, as the commands make them."""

from orchestrator.commands.experiment import Experiment
from orchestrator.config.experiment import ExperimentConfig
from orchestrator.planning.plan import Plan
from orchestrator.planning.resources import TrialResources


def plan_of(preset: str, overrides: list[str]) -> tuple[ExperimentConfig, Plan, TrialResources]:
    """The configuration, its trials, and what each of them gets of this machine."""
    experiment = Experiment.load(preset, overrides)
    return experiment.config, experiment.plan(), experiment.resources()
