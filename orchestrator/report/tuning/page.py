"""The report of a hyperparameter search as one HTML page with its charts."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from orchestrator.report.columns import metric_unit
from orchestrator.report.render import templates
from orchestrator.report.tuning.charts import (
    best_so_far_chart,
    importance_chart,
    parallel_chart,
    slice_chart,
)
from orchestrator.report.tuning.gain import Change
from orchestrator.report.tuning.notes import PAIRED, READING, header, notes
from orchestrator.report.tuning.views import changes_view, score_title, trials_view, views_of
from orchestrator.report.views import View
from orchestrator.search.summary import GroupSummary, SearchSummary
from orchestrator.text import count, number


@dataclass(frozen=True)
class _Chart:
    title: str
    text: str
    svg: Markup


@dataclass(frozen=True)
class _Group:
    line: str
    charts: tuple[_Chart, ...]
    trials: View


def tuning_html(summary: SearchSummary, changes: Sequence[Change] = ()) -> str:
    """One page that needs nothing else: no script, font or picture from elsewhere."""
    return (
        templates()
        .get_template("tuning.html.j2")
        .render(
            header=header(summary),
            changes=changes_view(changes),
            paired=PAIRED,
            views=views_of(summary),
            notes=notes(summary, changes),
            reading=READING,
            groups=[_group(group, i) for i, group in enumerate(summary.groups)],
        )
    )


def _group(group: GroupSummary, index: int) -> _Group:
    drawn = (
        ("Best score so far", "trials one after another", best_so_far_chart(group, index)),
        (
            "Importance of the parameters",
            "what the scores of this group depend on",
            importance_chart(group, index),
        ),
        (
            "Parallel coordinates",
            "a line per trial, darker: higher score; orange: chosen; dashed: stopped or "
            "unfinished; red dots: no score",
            parallel_chart(group, index),
        ),
        (
            "Score against each parameter",
            "filled: finished; hollow: stopped or unfinished; star: chosen; red cross: diverged, "
            "failed or not measured, at the bottom",
            slice_chart(group, index),
        ),
    )
    charts = tuple(_Chart(title, text, svg) for title, text, svg in drawn if svg is not None)
    return _Group(_line(group), charts, trials_view(group))


def _line(group: GroupSummary) -> str:
    """The group in a sentence."""
    spent = group.spent
    by_status = ", ".join(f"{n} {name}" for name, n in spent.by_status.items() if n)
    parts = [
        f"{spent.trials} trial{'s' * (spent.trials != 1)}{f' ({by_status})' if by_status else ''}"
    ]
    parts.append(f"{count(spent.examples)} of {count(spent.full)} training examples")
    choice = group.choice
    if choice is None:
        parts.append("nothing chosen")
    elif choice.value is not None:
        score = number(choice.value, metric_unit(group.metric))
        parts.append(f"chosen: trial {choice.index}, {score_title(group.metric)} {score}")
    return "; ".join(parts) + "."
