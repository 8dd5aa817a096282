"""The answer for each model: can one model replace several, why, and what would settle it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.analysis.advice import margin_needs
from orchestrator.analysis.verdicts import Word, collapse_rate
from orchestrator.report.answers.next_step import NextStep, fresh_seeds, next_step
from orchestrator.report.answers.sentences import (
    NEW_DRAWS,
    around,
    brackets,
    interval,
    place,
    points,
    sentence,
)
from orchestrator.report.comparisons import Compared
from orchestrator.report.verdict import REFERENCE
from orchestrator.text import count, plain, signed


class Recommendation(StrEnum):
    """What to do, from the most that one model may be trusted with to the least."""

    REPLACE = "replace"
    REPLACE_BUT = "replace_but"
    """It is worse on some tasks."""
    NO_WORSE = "no_worse"
    """It does not lose the margin; more than that is undecided."""
    UNDECIDED = "undecided"
    UNSTABLE = "unstable"
    KEEP = "keep"


@dataclass(frozen=True)
class TaskChange:
    """One task of an answer: its difference, interval (see ``ComparedRows``) and word."""

    task: str
    change: float
    interval: tuple[float, float]
    word: str


@dataclass(frozen=True)
class Deciding:
    """The task on which an answer depends most.

    Attributes:
        task: its name.
        examples: how many it has.
        change: its difference.
        why: ``uncertainty``: the largest part of the variance, ``gain`` or ``loss``: the largest
            one, or ``collapse``: the most runs that predict one class.
        share: of the variances of all tasks' differences, where that is why.
    """

    task: str
    examples: int
    change: float
    why: str
    share: float | None = None


@dataclass(frozen=True)
class RelativeChange:
    """Delta-m, a fraction, with its interval; None where a score of the reference is not positive.

    See ``orchestrator.analysis.relative``.
    """

    value: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Line:
    """What explains an answer: a name, a text, and what can be pasted into a command."""

    name: str
    text: str
    code: str = ""

    @property
    def plain(self) -> str:
        """Text and code."""
        return f"{self.text}{': ' if self.code else ''}{self.code}"


@dataclass(frozen=True)
class Passage:
    """What a report says first of one model: a sentence, and what explains it."""

    sentence: str
    lines: tuple[Line, ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        """All of it in plain text."""
        return (self.sentence, *(f"{line.name}: {line.plain}" for line in self.lines))


@dataclass(frozen=True)
class Answer:
    """What the comparisons of one model come to, for its most promising multi-task arm.

    Changes, intervals and margins are fractions.

    Attributes:
        model, tuned: whose rows are compared.
        arm, reference: labels of the two rows.
        word: better, worse, equivalent, undecided or unstable.
        recommendation: what to do, see ``Recommendation``.
        reason: the same in a sentence, with why.
        scope: ``macro``, or the one task of the table.
        change: of the macro average.
        interval: at ``1 - level``, widened where the arm is the best of several.
        level: chance of an error.
        margin: a change up to this is of no consequence.
        best_of: among how many arms it was chosen.
        worst: the task with the lowest change; None of one task alone.
        deciding: the task on which the answer depends most; None where that is not known.
        models, models_replaced: to deploy.
        parameters, parameters_replaced: of them; None until known.
        next_step: overrides of the command that would settle it.
        chance: that they do.
        delta_m: the relative change.
        passage: all this in words.
    """

    model: str
    tuned: bool
    arm: str
    reference: str
    word: str
    recommendation: Recommendation
    reason: str
    scope: str
    change: float
    interval: tuple[float, float]
    level: float
    margin: float
    best_of: int
    worst: TaskChange | None
    deciding: Deciding | None
    models: int
    models_replaced: int
    parameters: int | None
    parameters_replaced: int | None
    next_step: tuple[str, ...]
    chance: float | None
    delta_m: RelativeChange
    passage: Passage


def answered(comparisons: Sequence[Compared]) -> bool:
    """Whether some arm is compared with ``single_task``."""
    return any(c.primary and c.reference.strategy == REFERENCE for c in comparisons)


def answer(comparisons: Sequence[Compared]) -> Answer:
    """The answer for one model, at the preset's settings or tuned.

    Args:
        comparisons: all of that model, and of rows that are all tuned or all not; see ``answered``.
    """
    primary = [c for c in comparisons if c.primary and c.reference.strategy == REFERENCE]
    order = list(Recommendation)
    best = min(
        (_Choice(c, comparisons, len(primary)) for c in primary),
        key=lambda choice: (order.index(choice.recommendation), -choice.value),
    )
    step = best.step
    compared, verdict = best.compared, best.compared.verdict
    others = [c for c in comparisons if c.primary and c is not compared]
    texts = {
        "recommendation": best.reason,
        "evidence": best.evidence,
        "worst task": None if best.worst is None else sentence(best.worst),
        "decides": best.decides,
        "stability": best.stability,
        "margin": best.margin,
        "delta-m": best.relative,
    }
    lines = [Line(name, plain(text)) for name, text in texts.items() if text]
    if step is not None:
        lines.append(Line("next step", plain(step.text), plain(" ".join(step.overrides))))
    lines += [Line("also", plain(sentence(c))) for c in others]
    return Answer(
        model=plain(compared.model),
        tuned=compared.row.tuned,
        arm=plain(compared.row.label),
        reference=plain(compared.reference.label),
        word=verdict.word,
        recommendation=best.recommendation,
        reason=plain(best.reason),
        scope=plain(compared.scope),
        change=best.value,
        interval=best.interval,
        level=verdict.level,
        margin=verdict.comparison.margin,
        best_of=best.best_of,
        worst=None if best.worst is None else _task_change(best.worst),
        deciding=best.deciding,
        models=compared.row.models,
        models_replaced=compared.reference.models,
        parameters=compared.row.parameters,
        parameters_replaced=compared.reference.parameters,
        next_step=() if step is None else tuple(map(plain, step.overrides)),
        chance=None if step is None else step.chance,
        delta_m=best.delta_m,
        passage=Passage(plain(best.sentence), tuple(lines)),
    )


def relative_change(compared: Compared, best_of: int = 1) -> RelativeChange:
    """The relative change of a comparison, of an arm that is the best of several."""
    made, verdict = compared.relative, compared.verdict
    if made is None:
        return RelativeChange(None, None)
    return RelativeChange(made.value, around(made, verdict, verdict.level, best_of))


def _task_change(compared: Compared) -> TaskChange:
    verdict = compared.verdict
    value = verdict.comparison.difference.value
    return TaskChange(plain(compared.scope), value, verdict.interval, verdict.word)


class _Choice:
    """An arm against ``single_task``, chosen among several.

    Args:
        compared: on the macro average.
        comparisons: all of its model.
        best_of: number of arms to choose from.
    """

    def __init__(self, compared: Compared, comparisons: Sequence[Compared], best_of: int) -> None:
        self.compared = compared
        self.best_of = best_of
        self.verdict = compared.verdict
        self.difference = self.verdict.comparison.difference
        self.value = self.difference.value
        self.tasks = [
            c
            for c in comparisons
            if not c.primary and c.row is compared.row and c.reference is compared.reference
        ]

    @property
    def interval(self) -> tuple[float, float]:
        """At ``1 - level``, widened for the choice."""
        return interval(self.verdict, self.verdict.level, self.best_of)

    @property
    def keeps_margin(self) -> bool:
        """Whether it surely loses less than the margin, also as the best of several."""
        low, _ = interval(self.verdict, 2 * self.verdict.level, self.best_of)
        return low > -self.verdict.comparison.margin

    @property
    def losing(self) -> list[str]:
        """The tasks on which it is worse, unless by less than their margins."""
        return [
            c.scope
            for c in self.tasks
            if c.verdict.word is Word.WORSE and not c.verdict.below_margin
        ]

    @property
    def recommendation(self) -> Recommendation:
        """What to do, as far as the numbers say it."""
        word = self.verdict.word
        if word is Word.UNSTABLE:
            return Recommendation.UNSTABLE
        if word is Word.UNDECIDED:
            enough = self.keeps_margin and not self.verdict.one_seed
            return Recommendation.NO_WORSE if enough else Recommendation.UNDECIDED
        if word is Word.WORSE and not self.verdict.below_margin:
            return Recommendation.KEEP
        if word is not Word.BETTER and not self.keeps_margin:
            return Recommendation.UNDECIDED
        return Recommendation.REPLACE_BUT if self.losing else Recommendation.REPLACE

    @property
    def worst(self) -> Compared | None:
        """The task with the lowest change."""
        return min(self.tasks, key=_value, default=None)

    @property
    def sentence(self) -> str:
        """The answer with its numbers."""
        row, reference = self.compared.row, self.compared.reference
        tuned = "with tuned settings, " if row.tuned else ""
        own, replaced = (
            "" if rows.parameters is None else f" ({count(rows.parameters)} parameters)"
            for rows in (row, reference)
        )
        several = reference.models > 1
        instead = f"the {reference.models} of {reference.name}" if several else reference.name
        worst = "" if self.worst is None else f"; worst task: {_worst(self.worst)}"
        by = f"{signed(self.value, 'percent')} points {brackets(self.interval)}"
        return (
            f"{self.compared.model}: {tuned}{self._short}. {'One model, ' if several else ''}"
            f"{row.name}{own}{',' if several else ''} in place of {instead}{replaced} changes "
            f"{place(self.compared)} by {by}{worst}."
        )

    @property
    def _short(self) -> str:
        losing, kept = " and ".join(self.losing), self._kept
        margin = points(self.verdict.comparison.margin)
        return {
            Recommendation.REPLACE: f"{self._one} can replace {kept}",
            Recommendation.REPLACE_BUT: f"{self._one} can replace {kept}, but not on {losing}",
            Recommendation.NO_WORSE: f"{self._one} loses less than {margin} points to {kept}",
            Recommendation.UNDECIDED: "not decided yet",
            Recommendation.UNSTABLE: "no answer yet, since runs predict one class",
            Recommendation.KEEP: f"keep {kept}",
        }[self.recommendation]

    @property
    def _one(self) -> str:
        return "one model" if self.compared.reference.models > 1 else self.compared.row.name

    @property
    def _kept(self) -> str:
        reference = self.compared.reference
        many = reference.models > 1
        return f"the {reference.models} models of {reference.name}" if many else reference.name

    @property
    def reason(self) -> str:
        """What to do and why."""
        verdict, name = self.verdict, self.compared.row.name
        margin = f"the margin of {points(verdict.comparison.margin)} points"
        scope = place(self.compared)
        small = f", but by less than {margin}" if verdict.below_margin else ""
        why = {
            Word.BETTER: f"on {scope} it is better{small}",
            Word.EQUIVALENT: f"on {scope} the two differ by less than {margin}",
            Word.WORSE: f"on {scope} it is worse{small}",
            Word.UNDECIDED: f"on {scope} it surely loses less",
        }.get(verdict.word, "")
        losing = " and ".join(self.losing)
        match self.recommendation:
            case Recommendation.REPLACE:
                shown = ", and no task is shown to lose more than its margin" if self.tasks else ""
                text = f"replace {self._kept} by {name}: {why}{shown}"
            case Recommendation.REPLACE_BUT:
                text = (
                    f"replace {self._kept} by {name} only if a loss on {losing} is acceptable, or "
                    f"keep a model of its own for it: {why}"
                )
            case Recommendation.NO_WORSE:
                but = f", though it is worse on {losing}" if losing else ""
                text = (
                    f"replace {self._kept} by {name} if a loss below {margin} is acceptable: "
                    f"{why}{but}; whether it is better, or no different, is not decided"
                )
            case Recommendation.UNDECIDED:
                text = f"keep {self._kept} for now: {self._doubt}"
            case Recommendation.UNSTABLE:
                text = (
                    "train stably first, with more passes over the data, another learning rate or "
                    "more examples; a mean over runs that failed to learn says little"
                )
            case Recommendation.KEEP:
                arms = name if self.best_of == 1 else f"each of {self.best_of} multi-task arms"
                text = f"keep {self._kept}: {arms} is worse on {scope}"
        return f"{text}{' (provisional: two seeds)' if verdict.provisional else ''}."

    @property
    def _doubt(self) -> str:
        margin = points(self.verdict.comparison.margin)
        if any(self.difference.no_seed_effect):
            return "all seeds of an arm predict the same, so nothing is known of other seeds"
        if self.verdict.one_seed:
            return "one seed says nothing about retraining"
        loss = f"a loss of more than the margin of {margin} points is not ruled out"
        if self.verdict.word is not Word.UNDECIDED:
            return (
                f"on its own the evidence for {self.compared.row.name} would do, but it was chosen "
                f"as best of {self.best_of} arms, and counting that {loss}"
            )
        return loss

    @property
    def evidence(self) -> str:
        """The comparison in words."""
        text = sentence(self.compared, self.best_of)
        if self.verdict.one_seed or self.verdict.word is Word.UNSTABLE:
            return text
        return f"{text} The interval holds for {NEW_DRAWS}."

    @property
    def deciding(self) -> Deciding | None:
        """The task that contributes most to the word."""
        if not self.tasks or self.verdict.one_seed:
            return None
        why, share = "uncertainty", None
        if self.verdict.word is Word.UNSTABLE:
            why = "collapse"
            task = max(self.tasks, key=lambda c: sum(c.verdict.comparison.collapsed))
        elif self.verdict.word in (Word.BETTER, Word.WORSE):
            sign = 1 if self.verdict.word is Word.BETTER else -1
            why = "gain" if sign > 0 else "loss"
            task = max(self.tasks, key=lambda c: sign * _value(c))
        else:
            task = max(self.tasks, key=_variance)
            total = sum(map(_variance, self.tasks))
            share = _variance(task) / total if total else None
        return Deciding(plain(task.scope), task.sizes[task.scope][0], _value(task), why, share)

    @property
    def decides(self) -> str | None:
        """The same in words."""
        made = self.deciding
        if made is None:
            return None
        if made.why == "collapse":
            text = "the most runs that predict one class"
        elif made.why != "uncertainty":
            text = f"the largest {made.why}, {signed(made.change, 'percent')} points"
        else:
            part = "most" if made.share is None else f"{100 * made.share:.0f} %"
            text = f"{part} of the uncertainty comes from there"
        return f"{made.task} ({made.examples:,} examples): {text}."

    @property
    def stability(self) -> str | None:
        """What is known of runs that predict one class, where none does."""
        if self.verdict.one_seed or any(self.verdict.comparison.collapsed):
            return None
        seeds = min(self.difference.seeds)
        _, high = collapse_rate(0, seeds)
        return (
            f"no run predicts a single class; {seeds} seeds only show that fewer than "
            f"{100 * high:.0f} % of an arm's runs do."
        )

    @property
    def margin(self) -> str | None:
        """A warning of a margin that is narrower than the examples allow."""
        least = margin_needs(self.difference)
        narrow = self.verdict.comparison.margin < least
        if self.verdict.word is not Word.UNDECIDED or self.verdict.one_seed or not narrow:
            return None
        return (
            f"{points(self.verdict.comparison.margin)} points is narrow for these examples: even "
            f"with many seeds, arms that are equal would seldom be shown to be equivalent within "
            f"less than {points(least)}."
        )

    @property
    def delta_m(self) -> RelativeChange:
        """The relative change."""
        return relative_change(self.compared, self.best_of)

    @property
    def relative(self) -> str:
        """The same in words."""
        made, name = self.delta_m, self.compared.reference.name
        if made.value is None or made.interval is None:
            return f"undefined, since {name} scores 0 or less on a task."
        over = "mean over tasks of the" if self.tasks else "the"
        return (
            f"{signed(made.value, 'percent')} % {brackets(made.interval)}, {over} relative change "
            f"to {name}; the verdict rests on points."
        )

    @property
    def step(self) -> NextStep | None:
        """What would settle it."""
        if self.verdict.word is Word.UNDECIDED:
            return next_step(self.compared)
        return fresh_seeds(self.compared) if self.recommendation == "undecided" else None


def _worst(compared: Compared) -> str:
    return f"{compared.scope}, {signed(_value(compared), 'percent')} points"


def _value(compared: Compared) -> float:
    return compared.verdict.comparison.difference.value


def _variance(compared: Compared) -> float:
    return compared.verdict.comparison.difference.variance
