"""Runs a search with Ray Tune: proposals one by one, a scheduler per group, nothing but records."""

from pathlib import Path
from typing import Any

from ray.tune.search import Searcher

from orchestrator.live import LiveView
from orchestrator.plan import PlannedTrial
from orchestrator.progress import Expected, GridProgress
from orchestrator.resources import TrialResources
from orchestrator.runner import Follow, cells, fit
from orchestrator.schedule import leaves_of
from orchestrator.search.ending import Ending
from orchestrator.search.groups import SearchPlan
from orchestrator.search.ledger import Proposed
from orchestrator.search.proposing import Proposing
from orchestrator.search.schedulers import PerGroup
from orchestrator.search.state import SearchState
from trainables.record import RunLayout


def run_search(
    plan: SearchPlan,
    state: SearchState,
    proposing: Proposing,
    ending: Ending,
    layout: RunLayout,
    resources: TrialResources,
    console: Any,
) -> None:
    """Run what is left of a search; needs a connected Ray.

    Every trial leaves a record or, if it was stopped, its end in the ledger. What a trial needs
    of others must be in ``layout`` already.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM; the same search goes on where it stood.
    """
    trials: dict[str, PlannedTrial] = {}
    progress = GridProgress([], resources.slots)
    with LiveView(progress, console) as view:
        forecast = Forecast(state, view)
        cell = cells(plan.experiment, layout, resources, plan.glue_dir, leaves_of(plan.forerunners))

        def next_cell() -> dict[str, Any] | None:
            found = proposing.next()
            if found is None:
                forecast.clear()
                return None
            event, trial = found
            trials[trial.key] = trial
            forecast.proposed(event, trial)
            return {"cell": cell(trial)}

        follow = Follow(view, trials, layout)
        fit(
            follow,
            plan.experiment,
            resources,
            search_alg=Proposals(next_cell),
            scheduler=PerGroup(state, layout, view, ending),
            num_samples=2**31,
        )
        follow.write_waiting()


class Proposals(Searcher):
    """What Tune asks for the next trial."""

    def __init__(self, next_cell: Any) -> None:
        super().__init__()
        self._next_cell = next_cell

    def set_search_properties(self, *properties: Any, **spec: Any) -> bool:
        """Nothing of Tune's own notion of metric and space is used."""
        return True

    def suggest(self, trial_id: str) -> Any:
        """The next trial's configuration."""
        return self._next_cell() or self.FINISHED

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """The scheduler and the records tell how trials end."""

    def save(self, checkpoint_path: str) -> None:
        """The ledger keeps all; Tune wants a file."""
        Path(checkpoint_path).touch()

    def restore(self, checkpoint_path: str) -> None:
        """Nothing is restored from Tune's files."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class Forecast:
    """Trials that are still to be proposed, as the live view counts them.

    What they will cost is guessed from the share of their budget that earlier ones took.
    """

    def __init__(self, state: SearchState, view: LiveView) -> None:
        self._state = state
        self._view = view
        tune = state.description.tune
        budgets = [
            (group, number)
            for number in range(tune.trials)
            for group in state.groups.values()
            if number >= len(state.trials_of(group.name))
        ]
        if tune.max_trials is not None:
            budgets = budgets[: max(0, tune.max_trials - len(state.proposed))]
        self._placeholders = [
            Expected(f"{group.name}#{number}", group.name, group.model, group.budget)
            for group, number in budgets
        ]
        view.expect(self._placeholders)

    def proposed(self, event: Proposed, trial: PlannedTrial) -> None:
        """A trial has become known."""
        placeholder = f"{event.group}#{event.number}"
        title = f"{event.group} #{event.number}"
        known = Expected(event.key, title, trial.config.model_name, trial.expected_examples)
        self._view.expect([known], [placeholder])
        self._placeholders = [one for one in self._placeholders if one.key != placeholder]
        self._rescale()

    def clear(self) -> None:
        """No more trials will be proposed."""
        self._view.expect([], [one.key for one in self._placeholders])
        self._placeholders = []

    def _rescale(self) -> None:
        ended = [
            self._state.tried(event)
            for event in self._state.proposed.values()
            if self._state.status(event.key) in ("finished", "stopped")
        ]
        if not ended:
            return
        share = sum(one.examples for one in ended) / sum(one.full for one in ended)
        scaled = [
            Expected(one.key, one.title, one.model, max(1, round(share * one.examples)))
            for one in self._placeholders
        ]
        self._view.expect(scaled, [one.key for one in self._placeholders])
