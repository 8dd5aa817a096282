"""Ray, connected when the first trials are to run and only then."""

from collections.abc import Callable
from contextlib import ExitStack

from rich.console import Console

from orchestrator.config.search import TunedExperimentConfig
from orchestrator.execution.ray.preflight import check_nodes
from orchestrator.planning.plan import Plan
from orchestrator.planning.resources import GpuNeed, Node, TrialResources, feasible
from trainables.storage.run_dir import RunDir


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

    def resources(self, trials: int, need: Callable[[], GpuNeed]) -> TrialResources:
        """What each of so many trials gets, of which the largest needs that much of a GPU."""
        from orchestrator.execution.ray.cluster import connected, dashboard

        if self._nodes is None:
            self._nodes = self._stack.enter_context(connected(self._experiment, self._run_dir))
            if self._experiment.ray.dashboard:
                self._console.print(dashboard(), markup=False, soft_wrap=True)
        return feasible(self._experiment, self._nodes, trials, need)

    def check(self, layout: RunDir, plan: Plan) -> None:
        """Ask the nodes of a joined cluster for what the trials of ``plan`` need.

        Raises:
            InputError: one of them lacks it; see ``check_nodes``.
        """
        from orchestrator.execution.ray.nodes import on_every_node

        if self._experiment.ray.address is not None:
            check_nodes(on_every_node, layout, plan.trials, plan.glue_dir)
