"""The comparisons in sentences: can one model replace several, and what would settle it."""

from collections.abc import Sequence

from orchestrator.analysis.advice import MOST_SEEDS, PROMISED, SEEDS_WITH_EXAMPLES, margin_needs
from orchestrator.analysis.verdicts import (
    Verdict,
    Word,
    best_of_half_width,
    collapse_rate,
)
from orchestrator.report.comparisons import Compared
from orchestrator.report.verdict import REFERENCE
from orchestrator.text import count, plain, rounded, signed
from trainables.results.record import MACRO


def answered(comparisons: Sequence[Compared]) -> bool:
    """Whether some arm is compared with ``single_task``."""
    return any(c.primary and c.reference.strategy == REFERENCE for c in comparisons)


def answer(comparisons: Sequence[Compared]) -> tuple[str, ...]:
    """The answer for one model, at the preset's settings or tuned, and a line per other comparison.

    Args:
        comparisons: all of that model, and of rows that are all tuned or all not; see ``answered``.
    """
    primary = [c for c in comparisons if c.primary and c.reference.strategy == REFERENCE]
    rest = [c for c in comparisons if c.primary and c.reference.strategy != REFERENCE]
    best = max(primary, key=lambda c: c.verdict.comparison.difference.value)
    tuned = "with tuned settings, " if best.row.tuned else ""
    parts = [
        f"{best.model}: {tuned}{_recommendation(best, comparisons)}",
        sentence(best, len(primary)),
    ]
    if (worst := _worst_task(best, comparisons)) is not None:
        parts.append(f"Its worst task: {sentence(worst)}")
    if best.verdict.word is Word.UNDECIDED and (step := next_step(best)):
        parts.append(step)
    others = [c for c in [*primary, *rest] if c is not best]
    return tuple(map(plain, [" ".join(parts), *map(sentence, others)]))


def _recommendation(best: Compared, comparisons: Sequence[Compared]) -> str:
    """What to do, as far as the numbers say it."""
    verdict, kept = best.verdict, best.reference.models
    models = f"the {kept} models of {best.reference.name}" if kept > 1 else best.reference.name
    if verdict.word in (Word.BETTER, Word.EQUIVALENT):
        losing = [
            c.scope
            for c in comparisons
            if not c.primary
            and c.row is best.row
            and c.reference is best.reference
            and c.verdict.word is Word.WORSE
        ]
        but = f", but it is worse on {' and '.join(losing)}" if losing else ""
        return f"one model, {best.row.name}, can replace {models}{but}{_saved(best)}."
    if verdict.word is Word.WORSE:
        return f"keep {models}: no single model comes near on the macro average."
    if verdict.word is Word.UNSTABLE:
        return (
            "no answer yet, since runs predict one class. First train with more passes over the "
            "data, another learning rate or more examples."
        )
    return f"not decided yet whether one model can replace {models}{_saved(best)}."


def _saved(best: Compared) -> str:
    own, replaced = best.row.parameters, best.reference.parameters
    if own is None or replaced is None:
        return ""
    return f" ({count(own)} parameters in place of {count(replaced)})"


def _worst_task(best: Compared, comparisons: Sequence[Compared]) -> Compared | None:
    tasks = [
        c
        for c in comparisons
        if not c.primary and c.row is best.row and c.reference is best.reference
    ]
    return min(tasks, key=lambda c: c.verdict.comparison.difference.value, default=None)


def sentence(compared: Compared, best_of: int = 1) -> str:
    """One comparison in words, with its difference, interval, seeds and examples.

    Args:
        compared: the comparison.
        best_of: among how many arms its row was picked by this difference; the interval is widened.
    """
    verdict, scope = compared.verdict, _place(compared)
    a, b = compared.row.name, compared.reference.name
    margin = _points(verdict.comparison.margin)
    wording = {
        Word.BETTER: f"{a} is better than {b} on {scope}",
        Word.WORSE: f"{a} is worse than {b} on {scope}",
        Word.EQUIVALENT: f"{a} is equivalent to {b} within {margin} points on {scope}",
        Word.UNDECIDED: f"{a} against {b} on {scope} is undecided",
        Word.UNSTABLE: f"{a} against {b} on {scope} is unstable",
    }[verdict.word]
    if verdict.below_margin:
        wording += f", but by less than the margin of {margin}"
    if verdict.word is Word.UNSTABLE:
        return f"{wording}: {_collapses(compared)}; {_among_healthy(verdict)}."
    if verdict.one_seed:
        return f"{wording}: {_of_these_models(verdict)}."
    text = f"{wording}: {_numbers(verdict, best_of)}"
    remarks = [
        *(["from two seeds, provisional"] if verdict.provisional else []),
        *([f"best of {best_of} arms, interval widened for that"] if best_of > 1 else []),
        *([f"no worse than -{margin}"] if verdict.no_worse else []),
        *([_lost(verdict)] if verdict.lost_to_correction else []),
        *([_collapses(compared)] if any(verdict.comparison.collapsed) else []),
    ]
    return "; ".join([text, *remarks]) + "."


def _numbers(verdict: Verdict, best_of: int = 1) -> str:
    """Difference, interval, level, seeds and examples."""
    made = verdict.comparison.difference
    equivalent = verdict.word is Word.EQUIVALENT
    level = 2 * verdict.level if equivalent else verdict.level
    width = best_of_half_width(made, best_of, level)
    seeds = dict.fromkeys(made.seeds)
    examples = f"{made.examples:,} examples"
    return (
        f"{signed(made.value, 'percent')} [{signed(made.value - width, 'percent')}, "
        f"{signed(made.value + width, 'percent')}] ({100 * (1 - level):g} %, "
        f"{' against '.join(map(str, seeds))} seeds, {examples})"
    )


def _of_these_models(verdict: Verdict) -> str:
    made = verdict.comparison.difference
    low, high = (signed(value, "percent") for value in verdict.interval)
    reason = "one seed says nothing about retraining"
    if min(made.seeds) > 1:
        reason = "all seeds of an arm predict the same, so that the seed had no effect"
    return f"{reason}; these models differ by {signed(made.value, 'percent')} [{low}, {high}]"


def _lost(verdict: Verdict) -> str:
    side = "above" if verdict.comparison.difference.value > 0 else "below"
    if verdict.family == 1:
        return f"interval {side} 0, but not by the stricter rule for fewer than 5 seeds"
    return f"interval {side} 0, not after correction for {verdict.family} comparisons"


def _collapses(compared: Compared) -> str:
    """How many runs predict one class, and how often that may be."""
    comparison = compared.verdict.comparison
    counts = list(
        zip(
            (compared.row.name, compared.reference.name),
            comparison.collapsed,
            comparison.difference.seeds,
            strict=True,
        )
    )
    if all(hit == runs for _, hit, runs in counts):
        who = "all runs of both"
    else:
        who = " and ".join(_collapsed_runs(*part) for part in counts if part[1])
    return f"{who} predicted one class on {' or '.join(compared.collapsed_on)}"


def _collapsed_runs(name: str, hit: int, runs: int) -> str:
    if hit == runs:
        return f"all runs of {name}"
    low, high = collapse_rate(hit, runs)
    return f"{hit} of {runs} runs of {name} (true rate {100 * low:.1f} to {100 * high:.0f} %)"


def _among_healthy(verdict: Verdict) -> str:
    healthy = verdict.among_healthy
    if healthy is None:
        return "nothing is left to compare"
    if healthy.one_seed:
        return f"among the runs that trained: {_of_these_models(healthy)}"
    return f"among the runs that trained: {healthy.word}, {_numbers(healthy)}"


def next_step(compared: Compared) -> str:
    """What would settle an undecided comparison, to be pasted; empty if that is not known."""
    verdict = compared.verdict
    used = sorted({run.seed for row in (compared.row, compared.reference) for run in row.runs})
    if verdict.one_seed:
        return f"To learn more run it with {_seeds(used, max(5, len(used)) - len(used) or 5)}."
    advice = compared.advice
    if advice is None:
        return ""
    if advice.seeds is not None:
        return (
            f"About {advice.seeds} more seeds would settle it with a chance of "
            f"{100 * advice.chance:.0f} %: {_seeds(used, advice.seeds)}."
        )
    chance = f"(chance with {MOST_SEEDS} seeds: {100 * advice.chance:.0f} %)"
    if advice.examples is not None:
        return (
            f"Seeds alone are unlikely to settle it {chance}: about {advice.examples:,} more test "
            f"examples, with {SEEDS_WITH_EXAMPLES} seeds, probably would."
        )
    least = margin_needs(verdict.comparison.difference)
    wider = ""
    if verdict.comparison.margin < least:
        wider = (
            f"; its examples allow no margin under {_points(least)}: "
            f"margins.{compared.scope}={_points(least)} or wider, or more test examples"
        )
    if advice.chance >= 0.5:
        likely = f"with a chance of {100 * advice.chance:.0f} %"
        return f"{MOST_SEEDS} seeds would settle it {likely}{wider}."
    return (
        "The difference lies near 0 or the margin: no realistic number of seeds or examples is "
        f"{100 * PROMISED:.0f} % sure to settle it {chance}{wider}."
    )


def _seeds(used: Sequence[int], more: int) -> str:
    """An override with so many seeds more."""
    seeds, following = list(used), max(used) + 1
    seeds += range(following, following + more)
    return f"seeds=[{','.join(map(str, seeds))}]"


def _place(compared: Compared) -> str:
    return "the macro average" if compared.scope == MACRO else compared.scope


def _points(fraction: float) -> str:
    return f"{rounded(100 * fraction, 2):g}"
