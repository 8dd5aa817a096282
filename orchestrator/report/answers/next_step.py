"""What would settle an undecided comparison, as overrides that can be pasted, with its chance."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.analysis.advice import MOST_SEEDS, SEEDS_WITH_EXAMPLES, Advice
from orchestrator.report.answers.sentences import points
from orchestrator.report.comparisons import Compared
from orchestrator.report.verdict import REFERENCE
from trainables.results.record import MACRO

FIRST_SEEDS = 5
"""With how many seeds to begin."""
CHANCE_WITH_EXAMPLES = 2 / 3
"""How often advice about examples came true where it was computed to be 80 % sure."""


@dataclass(frozen=True)
class NextStep:
    """What to do next.

    Attributes:
        text: a sentence, without the overrides.
        overrides: of the command that made the table; none where no setting does it.
        chance: that the comparison is decided then; None where that is not known.
    """

    text: str
    overrides: tuple[str, ...] = ()
    chance: float | None = None


def next_step(compared: Compared) -> NextStep | None:
    """What would settle an undecided comparison; None if that is not known."""
    used = _used(compared)
    made = compared.verdict.comparison.difference
    if any(made.no_seed_effect):
        return NextStep("check why the seed changes nothing: more seeds would not help")
    if compared.verdict.one_seed:
        more = max(FIRST_SEEDS - len(used), 0) or FIRST_SEEDS
        return NextStep(f"train with {len(used) + more} seeds", (_seeds(used, more),))
    return None if compared.advice is None else _advised(compared, compared.advice, used)


def fresh_seeds(compared: Compared) -> NextStep:
    """A look at seeds by which no arm was chosen, where the best of several nearly decides."""
    used = _used(compared)
    fresh = _seeds(range(max(used) + 1, max(used) + 1 + max(FIRST_SEEDS, len(used))), 0)
    arms = f"arms=[{REFERENCE},{compared.row.arm}]"
    if compared.reference.arm != REFERENCE:
        arms = f"arms=[{compared.reference.arm},{compared.row.arm}]"
    return NextStep(
        "compare this arm alone with seeds that had no part in its choice", (arms, fresh)
    )


def _advised(compared: Compared, advice: Advice, used: Sequence[int]) -> NextStep:
    percent = f"{100 * advice.chance:.0f} %"
    unlikely = f"seeds alone are unlikely to settle it (chance with {MOST_SEEDS} seeds: {percent})"
    ten = _seeds(used, max(0, SEEDS_WITH_EXAMPLES - len(used)))
    if advice.seeds is not None:
        return NextStep(
            f"about {advice.seeds} more seeds would settle it with a chance of {percent}",
            (_seeds(used, advice.seeds),),
            advice.chance,
        )
    if advice.examples is not None:
        return NextStep(
            f"{unlikely}; {_more_examples(compared, advice.examples)}, with "
            f"{max(len(used), SEEDS_WITH_EXAMPLES)} seeds, probably would (2 chances in 3)",
            (ten, *_validation_limit(compared, advice.examples)),
            CHANCE_WITH_EXAMPLES,
        )
    if advice.margin is not None:
        return NextStep(
            "the difference lies near 0 or the margin, and no realistic number of seeds or "
            f"examples is sure to settle it (chance with {MOST_SEEDS} seeds: {percent}); if "
            f"{points(advice.margin)} points are of no consequence to you, a new run with that "
            f"margin probably would (chance {100 * (advice.margin_chance or 0):.0f} %)",
            (f"margins.{compared.scope}={points(advice.margin)}", ten),
            advice.margin_chance,
        )
    return NextStep(
        f"{MOST_SEEDS} seeds would settle it with a chance of {percent}",
        (_seeds(used, MOST_SEEDS - len(used)),) if len(used) < MOST_SEEDS else (),
        advice.chance,
    )


def _more_examples(compared: Compared, more: int) -> str:
    if compared.scope != MACRO:
        grouped = any(groups is not None for _, groups in compared.sizes.values())
        return f"about {more:,} more {'groups of test examples' if grouped else 'test examples'}"
    return f"about {_times(compared, more)} times as many test examples of every task"


def _times(compared: Compared, more: int) -> int:
    """How many times the examples at hand are advised."""
    return 1 + more // compared.verdict.comparison.difference.examples


def _validation_limit(compared: Compared, more: int) -> tuple[str, ...]:
    """The override that evaluates more of the examples that there are, where a limit keeps some."""
    limit = compared.row.runs[0].trials[0].config.limits.max_validation_examples
    if limit is None or all(size < limit for size, _ in compared.sizes.values()):
        return ()
    return (f"limits.max_validation_examples={limit * _times(compared, more)}",)


def _used(compared: Compared) -> list[int]:
    return sorted({run.seed for row in (compared.row, compared.reference) for run in row.runs})


def _seeds(used: Sequence[int], more: int) -> str:
    """An override with so many seeds more."""
    following = range(max(used) + 1, max(used) + 1 + more)
    return f"seeds=[{','.join(map(str, [*used, *following]))}]"
