"""The trials of a search as a live view counts them: the known ones, and those still to come."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from orchestrator.monitor.live_view import LiveView
from orchestrator.monitor.state import Expected

Slot = tuple[str, int, int]
"""Group, number of the trial in it, and number of the segment of its training, from 0."""


@dataclass(frozen=True)
class SearchedGroup:
    """A group of a search.

    Attributes:
        name, model: of the group.
        budget: training examples that a trial sees if it is not stopped.
    """

    name: str
    model: str
    budget: int


class SearchForecast:
    """Keeps a live view informed of the trials of a search; placeholders stand for those to come.

    Args:
        view: shows the trials.

    Attributes:
        keys: of all trials and placeholders in the view.
    """

    def __init__(self, view: LiveView) -> None:
        self.keys: set[str] = set()
        self._view = view
        self._groups: dict[str, SearchedGroup] = {}
        self._segments = 1
        self._taken: set[Slot] = set()
        self._placeholders: dict[Slot, Expected] = {}
        self._used: float | None = None

    def describe(
        self,
        groups: Iterable[SearchedGroup],
        trials: int,
        max_trials: int | None = None,
        segments: int = 1,
        started: Collection[Slot] = (),
    ) -> None:
        """Take what is searched; may be called again when it has changed.

        Args:
            groups: in the order in which they get their trials.
            trials: of each group.
            max_trials: of all groups together; None for no limit.
            segments: that each trial is trained in, one after another.
            started: slots of trials that an earlier command began; they are no longer to come.
        """
        self._groups = {group.name: group for group in groups}
        self._segments = segments
        self._taken |= set(started)
        numbers = [(name, number) for number in range(trials) for name in self._groups]
        new: dict[Slot, Expected] = {}
        for name, number in numbers[:max_trials]:
            for segment in range(segments):
                slot = name, number, segment
                if slot not in self._taken and slot not in self._placeholders:
                    key = f"{name}#{number}/{segment}"
                    new[slot] = self._expected(key, slot, self._groups[name].budget)
        self._placeholders |= new
        self._expect(new.values())

    def add(self, key: str, slot: Slot, examples: int) -> None:
        """A trial has become known.

        Args:
            key: of the trial.
            slot: the placeholder that it replaces, if there is one.
            examples: training examples of the whole training, all its segments together.
        """
        group, _, segment = slot
        self._taken.add(slot)
        past: list[Slot] = []
        if segment > 1:
            # A group goes on generation by generation: a segment of an earlier one, whose member
            # had nothing to go on from, comes no more.
            past = [s for s in self._placeholders if s[0] == group and 0 < s[2] < segment]
        replaced = [s for s in (slot, *past) if s in self._placeholders]
        keys = [self._placeholders.pop(s).key for s in replaced]
        self._expect([self._expected(key, slot, examples)], keys)

    def add_rerun(self, key: str, group: str, number: int, seed: int, examples: int) -> None:
        """A trial has become known with which settings are ranked again; the search is over."""
        self.clear()
        title, model = f"{group} #{number}, seed {seed}", self._groups[group].model
        self._expect([Expected(key, title, model, examples, group=group)])

    def rescale(self) -> None:
        """Assume that trials to come take the share of their budget that the ended ones took."""
        placeholders = {trial.key for trial in self._placeholders.values()}
        used = self._view.progress.used_share(self.keys - placeholders)
        if used is None or used == self._used:
            return
        self._used = used
        scaled = [
            replace(trial, examples=max(1, round(used * trial.examples)))
            for trial in self._placeholders.values()
        ]
        self._view.expect(scaled, placeholders)

    def clear(self) -> None:
        """No more trials will come."""
        self._expect([], [trial.key for trial in self._placeholders.values()])
        self._placeholders = {}

    def _expected(self, key: str, slot: Slot, examples: int) -> Expected:
        group, number, segment = slot
        return Expected.of_search(
            key=key,
            group=group,
            model=self._groups[group].model,
            examples=examples // self._segments,
            number=number,
            segment=segment if self._segments > 1 else None,
        )

    def _expect(self, expected: Iterable[Expected], instead_of: Iterable[str] = ()) -> None:
        expected, instead_of = list(expected), list(instead_of)
        self._view.expect(expected, instead_of)
        self.keys = (self.keys - set(instead_of)) | {trial.key for trial in expected}
