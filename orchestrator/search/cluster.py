"""Ray, connected when the first trials are to run and only then."""

from collections.abc import Callable
from contextlib import ExitStack

from rich.console import Console

from orchestrator.plan import Plan
from orchestrator.resources import Need, Node, TrialResources, feasible
from orchestrator.search.config import TunedExperimentConfig
from orchestrator.shared import check_nodes
from trainables.layout import RunLayout


class Cluster:
    """Ray, connected when the first trials are to run and only then."""

    def __init__(
        self,
        experiment: TunedExperimentConfig,
        run_dir: str,
        stack: ExitStack,
        console: Console,
    ) -> None:
        self._experiment = experiment
        self._run_dir = run_dir
        self._stack = stack
        self._console = console
        self._nodes: list[Node] | None = None

    def resources(self, trials: int, need: Callable[[], Need]) -> TrialResources:
        """What each of so many trials gets, of which the largest needs that much of a GPU."""
        from orchestrator.connection import connected, dashboard

        if self._nodes is None:
            self._nodes = self._stack.enter_context(connected(self._experiment, self._run_dir))
            if self._experiment.ray.dashboard:
                self._console.print(dashboard(), markup=False, soft_wrap=True)
        return feasible(self._experiment, self._nodes, trials, need)

    def check(self, layout: RunLayout, plan: Plan) -> None:
        """Ask the nodes of a joined cluster for what the trials of ``plan`` need.

        Raises:
            InputError: one of them lacks it; see ``check_nodes``.
        """
        from orchestrator.nodes import on_every_node

        if self._experiment.ray.address is not None:
            check_nodes(on_every_node, layout, plan.trials, plan.glue_dir)
