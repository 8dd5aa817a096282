"""The report of a hyperparameter search as grids of short texts, the same for every format."""

import json
from collections.abc import Sequence
from typing import Any

from orchestrator.report.columns import metric_title, metric_unit
from orchestrator.report.rows import Stat
from orchestrator.report.tuning.gain import Change
from orchestrator.report.views import NAMES, Field, Head, View
from orchestrator.search.summary import STATUSES, GroupSummary, SearchSummary, Spent, TrialSummary
from orchestrator.text import DASH, count, duration, number, plain, signed
from trainables.results.status import TrialStatus

ALWAYS = (TrialStatus.FINISHED, TrialStatus.STOPPED)
"""Statuses that have a column even where no trial has them."""


def score_title(metric: str) -> str:
    """What a group's scores are, with their unit: ``macro %``, ``acc %``, ``MCC``."""
    return "macro %" if metric == "macro" else metric_title(metric)


def arm_name(group: GroupSummary) -> str:
    """A group's arm, with the task where it is searched for each task on its own."""
    return plain(group.label if group.task is None else f"{group.label}, {group.task}")


def group_name(group: GroupSummary) -> str:
    """A group for humans: ``single_task, cola, minilm-l6``."""
    return f"{arm_name(group)}, {plain(group.model)}"


def setting_text(value: Any) -> str:
    """A sampled value as a short text: 0.0003, 32, true, none, power."""
    if isinstance(value, str):
        return plain(value)
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return str(value)
    return plain(json.dumps(value, sort_keys=True, default=str))


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Dotted key -> the shortest unique ending of it; ``name`` never alone."""
    names = {}
    for key in keys:
        parts = key.split(".")
        fewest = 2 if parts[-1] == "name" else 1
        endings = (".".join(parts[-n:]) for n in range(fewest, len(parts) + 1))
        others = [f".{other}" for other in keys if other != key]
        names[key] = next((e for e in endings if not any(o.endswith(f".{e}") for o in others)), key)
    return {key: plain(name) for key, name in names.items()}


def groups_view(summary: SearchSummary) -> View:
    """A row per group: trials by status, examples spent and saved, time, best score."""
    shown = _statuses(summary)
    heads = (*NAMES, *_spent_heads(shown), Head("best", "score"))
    rows = (
        (
            Field(arm_name(group)),
            Field(plain(group.model)),
            *_spent_fields(group.spent, shown),
            _score(group.best, group),
        )
        for group in summary.groups
    )
    return View("Search, group by group", heads, tuple(rows))


def arms_view(summary: SearchSummary) -> View:
    """A row per arm, its groups added up, and one for the whole search."""
    shown = _statuses(summary)
    heads = (*NAMES, Head("groups"), *_spent_heads(shown))
    rows = [
        (
            Field(plain(groups[0].label)),
            Field(", ".join(dict.fromkeys(plain(group.model) for group in groups))),
            Field(str(len(groups))),
            *_spent_fields(Spent.of(trial for g in groups for trial in g.trials), shown),
        )
        for groups in summary.arms.values()
    ]
    whole = (Field("all"), Field(DASH), Field(str(len(summary.groups))))
    rows.append((*whole, *_spent_fields(summary.spent, shown)))
    return View("Search, arm by arm", heads, tuple(rows))


def _statuses(summary: SearchSummary) -> tuple[str, ...]:
    trials = summary.spent.by_status
    return tuple(status for status in STATUSES if trials[status] or status in ALWAYS)


def _spent_heads(shown: Sequence[str]) -> tuple[Head, ...]:
    return (
        Head("trials"),
        *(Head(name) for name in shown),
        Head("examples", "spent"),
        Head("of full", "budget %"),
        Head("saved by", "stopping %"),
        Head("train", "time"),
    )


def _spent_fields(spent: Spent, shown: Sequence[str]) -> tuple[Field, ...]:
    shares = (spent.share, spent.share_saved)
    return (
        Field(str(spent.trials)),
        *(Field(str(spent.by_status[name])) for name in shown),
        Field(count(spent.examples)),
        *(Field(DASH if share is None else f"{100 * share:.1f}") for share in shares),
        Field(duration(spent.seconds)),
    )


def _score(score: float | None, group: GroupSummary) -> Field:
    if score is None:
        return Field(DASH)
    return Field(number(score, metric_unit(group.metric)), score_title(group.metric))


def chosen_view(summary: SearchSummary) -> View:
    """A row per group: the chosen trial, its score and its settings."""
    keys = tuple(dict.fromkeys(key for group in summary.groups for key in group.parameters))
    heads = (*NAMES, Head("trial"), Head("score"), *parameter_heads(keys))
    rows = []
    for group in summary.groups:
        names = (Field(arm_name(group)), Field(plain(group.model)))
        choice = group.choice
        if choice is None:
            rows.append((*names, *[Field(DASH)] * (len(heads) - 2)))
            continue
        score = _score(choice.value, group)
        values = (Field(scheduled(choice, key)) for key in keys)
        rows.append((*names, Field(str(choice.index)), score, *values))
    return View("Chosen settings", heads, tuple(rows))


def rerank_view(summary: SearchSummary) -> View:
    """A row per setting that was ranked again: its score in the search, and with new seeds."""
    heads = (*NAMES, Head("trial"), Head("score", "in the search"), Head("with", "new seeds"))
    rows = []
    for group in summary.groups:
        unit = metric_unit(group.metric)
        for index in dict.fromkeys(rerun.index for rerun in group.reruns):
            scores = group.rerank_scores(index)
            again = Stat.of(dict(enumerate(scores)))
            spread = "" if again is None or again.std is None else f"±{number(again.std, unit)}"
            seeds = sum(rerun.index == index for rerun in group.reruns)
            chosen = group.reranked and index == group.chosen
            rows.append(
                (
                    Field(arm_name(group)),
                    Field(plain(group.model)),
                    Field(str(index), bold=chosen),
                    _score(group.tried[index].value, group),
                    Field(
                        DASH if again is None else number(again.mean, unit),
                        f"{spread} ({len(scores)} of {seeds} seeds)".strip(),
                        bold=chosen,
                    ),
                )
            )
    return View("The best settings, ranked again", heads, tuple(rows))


def views_of(summary: SearchSummary) -> tuple[View, ...]:
    """The views of a whole search, in the order of every format."""
    again = (rerank_view(summary),) if any(group.reruns for group in summary.groups) else ()
    return (arms_view(summary), groups_view(summary), *again, chosen_view(summary))


def scheduled(trial: TrialSummary, key: str) -> str:
    """A setting of a trial, also where it changed on the way: ``0.0001, from 50 % on 0.00012``."""
    parts = [(at, values[key]) for at, values in trial.schedule if key in values]
    if len(parts) < 2:
        return setting_text(trial.settings[key]) if key in trial.settings else DASH
    (_, first), *later = parts
    return ", ".join(
        [setting_text(first), *(f"from {100 * at:.3g} % on {setting_text(v)}" for at, v in later)]
    )


def trials_view(group: GroupSummary) -> View:
    """A row per trial of a group, in the order of their start, however it ended."""
    keys = group.parameters
    heads = (
        Head("trial"),
        Head("status", numeric=False),
        Head("reason", numeric=False),
        Head("score", score_title(group.metric)),
        Head("examples", "of full"),
        Head("time"),
        *parameter_heads(keys),
        Head("key", numeric=False),
    )
    rows = (
        (
            Field(str(trial.index), bold=trial.index == group.chosen),
            Field(trial.status),
            Field(plain(trial.reason)),
            Field(DASH if trial.value is None else number(trial.value, metric_unit(group.metric))),
            Field(count(trial.examples), f"/ {count(trial.full)}"),
            Field(duration(trial.seconds)),
            *parameter_fields(trial, keys),
            Field(plain(trial.key)),
        )
        for trial in group.tried
    )
    return View(group_name(group), heads, tuple(rows))


def parameter_heads(keys: Sequence[str]) -> tuple[Head, ...]:
    """A head per dotted key: its short name, below it the rest of the key."""
    names = short_names(keys)
    return tuple(
        Head(name, plain(key).removesuffix(name).strip(".")) for key, name in names.items()
    )


def parameter_fields(trial: TrialSummary, keys: Sequence[str]) -> tuple[Field, ...]:
    """The settings of a trial; a dash where it does not have the key."""
    return tuple(
        Field(setting_text(trial.settings[k]) if k in trial.settings else DASH) for k in keys
    )


def changes_view(changes: Sequence[Change]) -> View:
    """Differences in points (MCC: as a fraction), at the preset's settings, tuned, and the gain."""
    heads = (
        *NAMES,
        Head("of", numeric=False),
        Head("to single_task", "at the preset's settings"),
        Head("to single_task", "tuned"),
        Head("gain", "by tuning"),
        Head("seeds"),
    )
    rows = []
    for change in changes:
        for task in (None, *change.tasks):
            metric = "macro" if task is None else change.tasks[task]
            of = score_title(metric) if task is None else f"{plain(task)} {score_title(metric)}"
            stats = change.stats(task)
            rows.append(
                (
                    Field(change.label),
                    Field(change.model),
                    Field(of.replace(" %", "")),
                    *(_range(stat, metric_unit(metric)) for stat in stats),
                    Field(_seeds(stats)),
                )
            )
    return View("How much tuning changes the answer", heads, tuple(rows))


def _range(stat: Stat | None, unit: str) -> Field:
    """Mean and, of several seeds, the lowest and the highest."""
    if stat is None:
        return Field(DASH)
    low, high = (signed(extreme(stat.by_seed.values()), unit) for extreme in (min, max))
    return Field(signed(stat.mean, unit), f"({low} to {high})" if stat.n > 1 else "")


def _seeds(stats: Sequence[Stat | None]) -> str:
    """Number of paired seeds; where they differ, of each column."""
    counts = [stat.n for stat in stats if stat is not None]
    if len(set(counts)) < 2:
        return str(counts[0] if counts else 0)
    return " / ".join("0" if stat is None else str(stat.n) for stat in stats)
