"""One comparison in words, and the numbers that belong to them."""

from orchestrator.analysis.intervals import Difference
from orchestrator.analysis.verdicts import (
    Verdict,
    Word,
    best_of_half_width,
    collapse_p,
    collapse_rate,
)
from orchestrator.report.comparisons import Compared
from orchestrator.text import rounded, signed
from trainables.results.record import MACRO

NEW_DRAWS = "new seeds and new examples of the same kind"
"""What an interval speaks of."""


def sentence(compared: Compared, best_of: int = 1) -> str:
    """One comparison in words, with its difference, interval, seeds and examples.

    Args:
        compared: the comparison.
        best_of: among how many arms its row was chosen by their differences; the interval is
            widened.
    """
    verdict, scope = compared.verdict, place(compared)
    a, b = compared.row.name, compared.reference.name
    margin = points(verdict.comparison.margin)
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
        return f"{wording}: {'; '.join(_unstable(compared))}."
    if verdict.one_seed:
        return f"{wording}: {_of_these_models(verdict)}."
    text = f"{wording}: {_numbers(compared, verdict, best_of)}"
    remarks = [
        *(["from two seeds, provisional"] if verdict.provisional else []),
        *([f"chosen as best of {best_of} arms; interval widened for that"] if best_of > 1 else []),
        *([f"no worse than -{margin}"] if no_worse(verdict, best_of) else []),
        *([_lost(verdict)] if verdict.lost_to_correction else []),
        *([_collapses(compared)] if any(verdict.comparison.collapsed) else []),
    ]
    return "; ".join([text, *remarks]) + "."


def no_worse(verdict: Verdict, best_of: int = 1) -> bool:
    """Whether an undecided comparison shows at least that A does not lose the margin to B."""
    low, _ = interval(verdict, 2 * verdict.level, best_of)
    return verdict.no_worse and low > -verdict.comparison.margin


def interval(verdict: Verdict, level: float, best_of: int = 1) -> tuple[float, float]:
    """The interval at ``1 - level`` of the difference of an arm that is the best of several.

    With one seed, of these trained models alone.
    """
    return around(verdict.comparison.difference, verdict, level, best_of)


def around(
    made: Difference, verdict: Verdict, level: float, best_of: int = 1
) -> tuple[float, float]:
    """``interval`` of a difference that ``verdict`` is not itself of."""
    width = (
        made.examples_only_half_width(level)
        if verdict.one_seed
        else best_of_half_width(made, best_of, level)
    )
    return made.value - width, made.value + width


def change(value: float, around: tuple[float, float]) -> str:
    """A difference in points, with its interval."""
    return f"{signed(value, 'percent')} {brackets(around)}"


def brackets(around: tuple[float, float]) -> str:
    """An interval in points."""
    return f"[{', '.join(signed(value, 'percent') for value in around)}]"


def points(fraction: float) -> str:
    """A margin in points."""
    return f"{rounded(100 * fraction, 2):g}"


def place(compared: Compared) -> str:
    """What a comparison is made on."""
    return "the macro average" if compared.scope == MACRO else compared.scope


def examples(compared: Compared) -> str:
    """How many examples a comparison rests on, and in how many groups they are."""
    total = sum(size for size, _ in compared.sizes.values())
    grouped = {task: groups for task, (_, groups) in compared.sizes.items() if groups is not None}
    if len(compared.sizes) == 1:
        within = "".join(f" in {groups:,} groups" for groups in grouped.values())
        return f"{total:,} examples{within}"
    within = ", ".join(f"{task} in {groups:,} groups" for task, groups in grouped.items())
    return f"{total:,} examples of {len(compared.sizes)} tasks{f', {within}' if within else ''}"


def _numbers(compared: Compared, verdict: Verdict, best_of: int = 1) -> str:
    """Difference, interval, level, seeds and examples."""
    made = verdict.comparison.difference
    level = 2 * verdict.level if verdict.word is Word.EQUIVALENT else verdict.level
    return (
        f"{change(made.value, interval(verdict, level, best_of))} ({100 * (1 - level):g} %, "
        f"{_seeds(made)} seeds, {examples(compared)})"
    )


def _seeds(made: Difference) -> str:
    if made.seed_df is not None:
        return f"{made.seeds[0]} paired"
    return " against ".join(map(str, dict.fromkeys(made.seeds)))


def _of_these_models(verdict: Verdict) -> str:
    made = verdict.comparison.difference
    reason = "one seed says nothing about retraining"
    if min(made.seeds) > 1:
        reason = "all seeds of an arm predict the same, so that the seed had no effect"
    return f"{reason}; these models differ by {change(made.value, verdict.interval)}"


def _lost(verdict: Verdict) -> str:
    side = "above" if verdict.comparison.difference.value > 0 else "below"
    if verdict.family == 1:
        return f"interval {side} 0, but not by the stricter rule for fewer than 5 seeds"
    return f"interval {side} 0, not after correction for {verdict.family} comparisons"


def _unstable(compared: Compared) -> list[str]:
    """How many runs predict one class, what the others show, and what all of them do."""
    verdict = compared.verdict
    healthy = verdict.among_healthy
    if healthy is None:
        return [_collapses(compared), "nothing is left to compare"]
    among = (
        _of_these_models(healthy)
        if healthy.one_seed
        else f"{healthy.word}, {_numbers(compared, healthy)}"
    )
    whole = verdict.comparison.difference
    return [
        _collapses(compared),
        f"among the runs that trained: {among}",
        f"with all runs: {change(whole.value, verdict.interval)}",
    ]


def _collapses(compared: Compared) -> str:
    """How many runs predict one class, and how often that may be."""
    comparison = compared.verdict.comparison
    runs = comparison.difference.seeds
    hits = comparison.collapsed
    names = (compared.row.name, compared.reference.name)
    if hits == runs:
        who = "all runs of both"
    else:
        parts = zip(names, hits, runs, strict=True)
        who = " and ".join(_collapsed_runs(*part) for part in parts if part[1])
    text = f"{who} predicted one class on {' or '.join(compared.collapsed_on)}"
    if hits[0] * runs[1] == hits[1] * runs[0]:
        return text
    p = collapse_p(hits, runs)
    differ = (
        "no sign that the arms collapse at different rates" if p >= 0.05 else "the rates differ"
    )
    return f"{text}; {differ} (Fisher's exact test, p = {p:.2g})"


def _collapsed_runs(name: str, hit: int, runs: int) -> str:
    if hit == runs:
        return f"all {runs} runs of {name}" if runs > 1 else f"the run of {name}"
    low, high = collapse_rate(hit, runs)
    return f"{hit} of {runs} runs of {name} (true rate {100 * low:.1f} to {100 * high:.0f} %)"
