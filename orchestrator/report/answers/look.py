"""At which look a table's verdict was made, and what is left to be decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.analysis.looks import LEVEL, Look
from orchestrator.analysis.verdicts import Word
from orchestrator.report.comparisons import Compared, Pair, Predicted
from orchestrator.report.rows import PlannedTrial
from orchestrator.text import plain
from trainables.results.record import TrialRecord
from trainables.results.status import TrialStatus


@dataclass(frozen=True)
class LookTaken:
    """A look at the verdict.

    Attributes:
        number, of: which look it is, counted from 1, and how many there are.
        seeds: number of seeds of each arm, as planned.
        looks: numbers of seeds at which there is or was a verdict.
        added: those of them that a former plan had: it was changed after a verdict.
        level: chance of an error of each word.
        missing: trials that have not ended, or whose predictions are not there; failed ones have.
        undecided: primary comparisons that are undecided or unstable, in words.
        impossible: those that cannot be made: an arm has no run, or not on the same examples.
    """

    number: int
    of: int
    seeds: int
    looks: tuple[int, ...]
    added: tuple[int, ...]
    level: float
    missing: int
    undecided: tuple[str, ...]
    impossible: tuple[str, ...]

    @property
    def goes_on(self) -> bool:
        """Whether more seeds may decide what is left: all trials of this look have ended."""
        return bool(self.undecided) and not self.missing and not self.impossible

    @property
    def left(self) -> str:
        """What is not decided, in a clause."""
        if self.missing:
            trials = f"{self.missing} trial{'s' * (self.missing > 1)}"
            return f"{trials} not ended, or without predictions"
        if self.impossible:
            return f"{', '.join(self.impossible)}: cannot be compared"
        if self.undecided:
            return f"not decided: {', '.join(self.undecided)}"
        return "decided"

    @property
    def header(self) -> str:
        """The table's header line."""
        of = "" if self.of == 1 else f" (verdicts at {_listed(self.looks)} seeds)"
        parts = [
            f"{self.number} of {self.of}{of}, {_seeds(self.seeds)}",
            f"level {100 * self.level:g} %{' each' * (self.of > 1)}",
        ]
        if self.added:
            parts.append(f"the plan was changed after a verdict at {_listed(self.added)} seeds")
        if self.missing:
            parts.append(f"not complete ({self.left})")
        return "; ".join(parts)

    @property
    def sentence(self) -> str:
        """What must be said beside the verdict, where there is more than one look; else empty."""
        if self.of == 1:
            return ""
        why = f"look {self.number} of {self.of}, with verdicts at {_listed(self.looks)} seeds"
        if self.added:
            why += f" (planned anew after a verdict at {_listed(self.added)})"
        text = (
            f"Each word above has a chance of error of {100 * self.level:g} %, in place of "
            f"{100 * LEVEL:g}, since one looks more than once: this is {why}."
        )
        if self.missing:
            text += f" This look is not complete, and its words may change: {self.left}."
        return text


def look_taken(
    look: Look,
    plan: Sequence[PlannedTrial],
    records: Mapping[str, TrialRecord],
    predictions: Predicted,
    pairs: Sequence[Pair],
    judged: Sequence[Compared],
) -> LookTaken:
    """The look at which these comparisons were made.

    Args:
        look: number of seeds, and the other looks.
        plan: every planned trial.
        records: key -> record.
        predictions: of the finished trials.
        pairs: the primary comparisons that the plan fixes.
        judged: those that could be made.
    """
    primary = [c for c in judged if c.primary]
    made = {(id(c.row), id(c.reference)) for c in primary}
    ended = [records[trial.key] for trial in plan if trial.key in records]
    unread = [r for r in ended if r.status is TrialStatus.FINISHED and r.key not in predictions]
    return LookTaken(
        number=look.number,
        of=len(look.all),
        seeds=look.seeds,
        looks=look.all,
        added=look.added,
        level=look.level,
        missing=len(plan) - len(ended) + len(unread),
        undecided=tuple(
            _named((c.row, c.reference))
            for c in primary
            if c.verdict.word in (Word.UNDECIDED, Word.UNSTABLE)
        ),
        impossible=tuple(_named(pair) for pair in pairs if tuple(map(id, pair)) not in made),
    )


def _named(pair: Pair) -> str:
    row, reference = pair
    return plain(f"{row.label} against {reference.label} ({row.model})")


def _seeds(number: int) -> str:
    return f"{number} seed{'s' * (number > 1)}"


def _listed(numbers: Sequence[int]) -> str:
    """For example ``3, 5 and 10``."""
    *others, last = map(str, numbers)
    return f"{', '.join(others)} and {last}" if others else last
