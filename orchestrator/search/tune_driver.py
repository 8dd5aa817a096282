"""Runs a search with Ray Tune: proposals one by one, a scheduler per group, nothing but records."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from orchestrator.execution.tune_executor import TuneCallback, cells, fit
from orchestrator.execution.tune_hooks import TrialQueue
from orchestrator.monitor.live_view import LiveView
from orchestrator.monitor.state import Expected, GridProgress
from orchestrator.planning.pending import leaves_of
from orchestrator.planning.plan import PlannedTrial
from orchestrator.planning.resources import TrialResources
from orchestrator.search.ledger import TrialSuggested
from orchestrator.search.pbt.driver import PbtDriver, PendingSegment
from orchestrator.search.pbt.state import Population
from orchestrator.search.plan import SearchPlan
from orchestrator.search.schedulers import PerGroup, ToTheEnd
from orchestrator.search.study import SearchState
from orchestrator.search.suggest import Suggester
from orchestrator.search.time_budget import TimeBudget
from trainables.storage.run_dir import RunDir


def run_search(
    plan: SearchPlan,
    state: SearchState,
    proposing: Suggester,
    ending: TimeBudget,
    layout: RunDir,
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

        follow = TuneCallback(view, trials, layout)
        fit(
            follow,
            plan.experiment,
            resources,
            search_alg=TrialQueue(next_cell),
            scheduler=PerGroup(state, layout, view, ending),
        )
        follow.write_pending_records()


def run_evolution(
    plan: SearchPlan,
    state: Population,
    evolution: PbtDriver,
    at_once: int,
    ending: TimeBudget,
    layout: RunDir,
    resources: TrialResources,
    console: Any,
) -> None:
    """Run what is left of a search by population based training; see ``run_search``.

    Args:
        at_once: how many groups are trained side by side.
    """
    with LiveView(GridProgress([], resources.slots), console) as view:
        cell = cells(plan.experiment, layout, resources, plan.glue_dir, leaves_of(plan.forerunners))
        forecast = ForecastOfParts(state, view)
        for due in evolution.rounds(at_once):
            forecast.known(due)
            waiting = iter(due)

            def next_cell(waiting: Iterator[PendingSegment] = waiting) -> dict[str, Any] | None:
                one = None if ending.now else next(waiting, None)
                return None if one is None else {"cell": cell(one.trial)}

            fit(
                TuneCallback(view, {one.trial.key: one.trial for one in due}, layout),
                plan.experiment,
                resources,
                search_alg=TrialQueue(next_cell),
                scheduler=ToTheEnd(evolution.ended, ending),
            )
        forecast.clear()


class ForecastOfParts:
    """Segments that are still to be trained, as the live view counts them."""

    def __init__(self, state: Population, view: LiveView) -> None:
        self._state = state
        self._view = view
        self._placeholders: dict[tuple[str, int, int], Expected] = {}

    def known(self, due: list[PendingSegment]) -> None:
        """These come next; more of their members follow."""
        if not self._placeholders:
            self._expect_all()
        known, instead = [], []
        for one in due:
            part, group = one.segment, self._state.groups[one.segment.group]
            title = f"{part.group} #{part.member}, part {part.generation + 1}"
            known.append(
                Expected(part.key, title, group.model, one.examples, one.before, group.name)
            )
        there = {(one.segment.group, one.segment.generation) for one in due}
        for place in [p for p in self._placeholders if (p[0], p[2]) in there]:
            instead.append(self._placeholders.pop(place).key)
        self._view.expect(known, instead)

    def clear(self) -> None:
        """No more will be trained."""
        self._view.expect([], [one.key for one in self._placeholders.values()])
        self._placeholders = {}

    def _expect_all(self) -> None:
        parts = self._state.generations
        for event in self._state.proposed.values():
            group, last = self._state.groups[event.group], self._state.line(event)[-1]
            for generation in range(last.generation + 1, parts):
                key = f"{event.key}/{generation}"
                examples = max(1, event.examples // parts)
                one = Expected(key, group.name, group.model, examples, group=group.name)
                self._placeholders[event.group, event.number, generation] = one
        self._view.expect(self._placeholders.values())


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
            Expected(
                f"{group.name}#{number}", group.name, group.model, group.budget, group=group.name
            )
            for group, number in budgets
        ]
        view.expect(self._placeholders)

    def proposed(self, event: TrialSuggested, trial: PlannedTrial) -> None:
        """A trial has become known."""
        placeholder = f"{event.group}#{event.number}"
        title = f"{event.group} #{event.number}"
        known = Expected(
            event.key, title, trial.config.model_name, trial.expected_examples, group=event.group
        )
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
            replace(one, examples=max(1, round(share * one.examples))) for one in self._placeholders
        ]
        self._view.expect(scaled, [one.key for one in self._placeholders])
