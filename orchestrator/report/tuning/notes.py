"""Header, reading hints and notes of a search's report."""

from collections.abc import Iterable

from orchestrator.report.tuning.gain import Change
from orchestrator.report.tuning.views import group_name
from orchestrator.search.summary import GroupSummary, SearchSummary, TrialSummary
from orchestrator.text import count, plain
from trainables.results.status import TrialStatus

ENDED_BADLY = (TrialStatus.DIVERGED, TrialStatus.FAILED, TrialStatus.UNFINISHED)

READING = (
    "A score is the headline metric on the selection split, which is carved from train: macro, the "
    "mean over tasks, for arms that learn several tasks at once. The validation split is not read "
    "by the search.",
    "Budgets are training examples. Full budget: what all trials would have seen without being "
    "stopped. Saved: what trials that the scheduler stopped did not see; what diverged, failed or "
    "unfinished trials did not see is no saving.",
    "A stopped trial's score is its last one, after fewer examples than a finished trial's.",
    "The best score of many trials is partly luck. Where the best settings of a group were ranked "
    "again, the mean over new seeds has chosen, and says what they really score on selection "
    "better than the search does.",
)
"""How to read the report, in every format."""

PAIRED = (
    "Difference of each arm to single_task of the same model on the reported split, in points "
    "(MCC: as a fraction), both at the preset's settings and both tuned, and what the arm itself "
    "gained. Paired by seed: mean, and from the lowest to the highest seed. That range leaves out "
    "the luck of the search: another one may choose other settings."
)
"""How to read "how much tuning changes the answer"."""


def header(summary: SearchSummary) -> tuple[tuple[str, str], ...]:
    """Name and text of every line above the report."""
    spent = summary.spent
    share, saved = (
        "" if value is None else f" ({100 * value:.1f} %)"
        for value in (spent.share, spent.share_saved)
    )
    lines = (
        ("space", summary.space),
        ("search", summary.search),
        ("scheduler", summary.scheduler),
        ("seed", str(summary.seed)),
        ("trials", f"{spent.trials} in {len(summary.groups)} groups"),
        (
            "budget",
            f"{count(spent.examples)} training examples of {count(spent.full)}{share}; saved by "
            f"early stopping: {count(spent.saved)}{saved}",
        ),
    )
    return tuple((name, plain(text)) for name, text in lines)


def notes(summary: SearchSummary, changes: Iterable[Change] = ()) -> tuple[str, ...]:
    """One line for everything that did not go as planned, or that makes a choice weak."""
    collected = []
    for group in summary.groups:
        lines = (*_ended_badly(group), *_of_choice(group))
        collected += [f"{group_name(group)}: {line}" for line in lines]
    if any(trial.schedule for group in summary.groups for trial in group.tried):
        collected.append(
            "Settings that changed while a trial was trained are shown as they were at its end; "
            "tuned rows are trained with the whole schedule of the chosen trial."
        )
    if len({len(group.tried) for group in summary.groups}) > 1:
        collected.append("The groups do not have the same number of trials (yet).")
    collected += [f"{c.label}, {c.model}: {line}" for c in changes for line in c.notes]
    return tuple(plain(line) for line in collected)


def _ended_badly(group: GroupSummary) -> list[str]:
    """Trials that diverged, failed or are unfinished; equal reasons share a line."""
    indices: dict[tuple[str, str], list[int]] = {}
    for trial in group.tried:
        if trial.status in ENDED_BADLY:
            indices.setdefault((trial.status, trial.reason), []).append(trial.index)
    return [
        f"trial{'s' * (len(trials) > 1)} {', '.join(map(str, trials))} {status}"
        f"{f' ({reason})' if reason and reason != status else ''}"
        for (status, reason), trials in indices.items()
    ]


def _of_choice(group: GroupSummary) -> list[str]:
    """Why the choice of a group's settings is weak, or why there is none."""
    values = [trial.value for trial in group.tried if trial.value is not None]
    choice = group.choice
    if not group.tried:
        return ["no trial was started"]
    if choice is None:
        finished = any(trial.status == TrialStatus.FINISHED for trial in group.tried)
        return ["no settings were chosen" + ("" if finished else ": no trial has finished")]
    if len(group.tried) == 1:
        return ["one trial only, so nothing was compared"]
    if group.reranked:
        return _of_reranking(group, choice)
    lines = []
    if group.reruns:
        lines.append("its best settings are not ranked again yet, so the search alone has chosen")
    if len(values) > 1 and len(set(values)) == 1:
        lines.append(f"all {len(values)} scores are equal, so the loss on selection alone decided")
        return lines
    if group.tied:
        others = ", ".join(str(trial.index) for trial in group.tied)
        lines.append(
            f"trial {choice.index} was chosen for its loss on selection; as good to the last "
            f"digit: {others}"
        )
    if choice.value is not None and group.best is not None and group.best > choice.value:
        lines.append(
            "a trial that did not see its full budget has a higher last score than the chosen one"
        )
    return lines


def _of_reranking(group: GroupSummary, choice: TrialSummary) -> list[str]:
    """What the ranking with new seeds has changed, and which settings it has left out."""
    lines = []
    finished = [trial for trial in group.tried if trial.status == TrialStatus.FINISHED]
    first = max(finished, key=lambda trial: (trial.value or 0.0, trial is choice))
    if first is not choice:
        lines.append(
            f"trial {first.index} scored best in the search, with new seeds trial {choice.index}"
        )
    return lines + [
        f"trial {rerun.index} was left out, as it {rerun.status} with seed {rerun.seed} "
        f"({rerun.reason})"
        for rerun in group.reruns
        if rerun.status in ENDED_BADLY
    ]
