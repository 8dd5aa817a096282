"""What an answer's quality is bought with: its arm's cost to deploy, against the other's."""

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.deploy.cost.results import ArmCost, Cost, Measured, Spread, Timing
from orchestrator.report.answers.answer import Answer
from orchestrator.report.answers.sentences import change
from orchestrator.report.rows import TUNED
from orchestrator.text import plain

FRACTIONS = {2: "half", 3: "a third of", 4: "a quarter of"}
FRACTION_TOLERANCE = 0.05
"""By how much of itself a ratio may differ from the fraction that is named."""


@dataclass(frozen=True)
class Ratio:
    """One arm's measurement divided by another's.

    Attributes:
        value: of the medians.
        clear: whether no measurement of the one is among those of the other; if not, no difference
            was measured.
    """

    value: float
    clear: bool

    @classmethod
    def of(cls, arm: Spread, reference: Spread) -> "Ratio":
        """The ratio of two spreads, the second one above 0."""
        return cls(arm.median / reference.median, not arm.overlaps(reference))


@dataclass(frozen=True)
class CostAgainst:
    """The cost of one row against another of its model, where both answer the same tasks.

    Attributes:
        label, reference: of the two rows.
        model: of both.
        throughput: texts a second, of requests for all tasks about single texts.
        peak_memory: the most memory while that is done.
        weights: megabytes of the stored weights, a ratio of exact numbers.
    """

    label: str
    reference: str
    model: str
    throughput: Ratio
    peak_memory: Ratio
    weights: float


@dataclass(frozen=True)
class Costs:
    """What was measured of a table's rows, and what follows for its comparisons.

    Attributes:
        measured: the content of ``cost.json``.
        against: of the table's primary comparisons whose rows were both measured.
    """

    measured: Cost
    against: tuple[CostAgainst, ...]

    def row(self, label: str, model: str) -> tuple[ArmCost, Measured] | None:
        """What was measured of a row of the table; None if nothing was."""
        return _row(self.measured, label, model)

    def sentence(self, answer: Answer) -> str | None:
        """Quality and cost of an answer in one sentence; None if its rows were not measured."""
        arm, reference = (self.row(name, answer.model) for name in (answer.arm, answer.reference))
        made = against(self.measured, answer.arm, answer.reference, answer.model)
        if arm is None or reference is None or made is None:
            return None
        pair = (arm[1], reference[1])
        speeds = (short(all_tasks(cost).texts_per_second.median) for cost in pair)
        peaks = (short(cost.peak.median) for cost in pair)
        weights = (short(cost.megabytes) for cost in pair)
        return (
            f"{change(answer.change, answer.interval)} points for {in_words(made)}: "
            f"{request(self.measured, arm[0])}, {' against '.join(speeds)} texts a second; peak "
            f"memory {' against '.join(peaks)} MB; weights {' against '.join(weights)} MB."
        )


def join(measured: Cost, pairs: Iterable[tuple[str, str, str]]) -> Costs:
    """What was measured beside a table.

    Args:
        measured: the content of ``cost.json``.
        pairs: label, label of the reference and model of comparisons of the table.
    """
    made = [against(measured, *pair) for pair in pairs]
    return Costs(measured, tuple(own for own in made if own is not None))


def against(measured: Cost, label: str, reference: str, model: str) -> CostAgainst | None:
    """The cost of one row against another; None unless both were measured on the same tasks."""
    own, other = _row(measured, label, model), _row(measured, reference, model)
    if own is None or other is None:
        return None
    (first, a), (second, b) = own, other
    if set(first.tasks) != set(second.tasks):
        return None
    return CostAgainst(
        label=label,
        reference=reference,
        model=model,
        throughput=Ratio.of(all_tasks(a).texts_per_second, all_tasks(b).texts_per_second),
        peak_memory=Ratio.of(a.peak, b.peak),
        weights=a.megabytes / b.megabytes,
    )


def all_tasks(measured: Measured) -> Timing:
    """The requests for all tasks about single texts."""
    return measured.timing("all_tasks", 1)


def _row(measured: Cost, label: str, model: str) -> tuple[ArmCost, Measured] | None:
    for arm in measured.arms:
        own = plain(arm.label + (TUNED if arm.tuned else ""))
        if (own, plain(arm.model)) == (label, model):
            return arm, measured.of(arm)
    return None


def in_words(made: CostAgainst) -> str:
    """Such as ``2.9x the throughput and a third of the memory``."""
    throughput = "no measurable difference in throughput"
    if made.throughput.clear:
        throughput = f"{times(made.throughput.value)} the throughput"
    memory = "no measurable difference in memory"
    if made.peak_memory.clear:
        memory = f"{_fraction(made.peak_memory.value)} the memory"
    return f"{throughput} and {memory}"


def times(ratio: float) -> str:
    """A ratio to two digits: 0.34x, 2.9x, 12x."""
    return (
        f"{ratio:.2f}x" if ratio < 0.995 else f"{ratio:.1f}x" if ratio < 9.95 else f"{ratio:.0f}x"
    )


def _fraction(ratio: float) -> str:
    """The same, in words where it is near a half, a third or a quarter."""
    for number, words in FRACTIONS.items():
        if abs(ratio * number - 1) <= FRACTION_TOLERANCE:
            return words
    return times(ratio)


def request(measured: Cost, arm: ArmCost) -> str:
    """What is asked for all tasks: ``one text, all tasks``."""
    kinds = {measured.texts_of_example[task] for task in arm.tasks}
    names = [name for number, name in ((1, "one text"), (2, "one pair")) if number in kinds]
    return f"{' and '.join(names)}, all tasks"


def short(value: float) -> str:
    """A rate or a size: 9.5, 95.5, 955."""
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"
