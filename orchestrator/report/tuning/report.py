"""Write the report of a hyperparameter search in every format; same search, same bytes."""

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from orchestrator.report.markup import md, md_view
from orchestrator.report.terminal import print_header, print_view
from orchestrator.report.tuning.gain import Change
from orchestrator.report.tuning.notes import PAIRED, READING, header, notes
from orchestrator.report.tuning.page import tuning_html
from orchestrator.report.tuning.views import changes_view, group_name, views_of
from orchestrator.search.summary import GroupSummary, SearchSummary, Spent
from orchestrator.text import csv_text
from trainables.atomic import write_text
from trainables.storage.run_dir import RunDir

TUNING_SCHEMA = 1

COLUMNS = (
    "group",
    "index",
    "rerank_seed",
    "key",
    "status",
    "reason",
    "score",
    "examples",
    "full",
    "seconds",
)
"""Of ``tuning.csv``, before a column per parameter."""


def write_tuning(
    run_dir: RunDir, summary: SearchSummary, gained: Sequence[Change] = ()
) -> list[Path]:
    """Write ``tuning.md``, ``.csv``, ``.json`` and ``.html``, each one atomically; gives them.

    Args:
        run_dir: the run directory.
        summary: the search.
        gained: how much tuning changes the answer, which is not said where there is none.
    """
    contents = {
        "md": tuning_markdown(summary, gained),
        "csv": tuning_csv(summary),
        "json": tuning_json(summary, gained),
        "html": tuning_html(summary, gained),
    }
    for ending, content in contents.items():
        write_text(run_dir.tuning(ending), content)
    return [run_dir.tuning(ending) for ending in contents]


def print_tuning(console: Console, summary: SearchSummary, gained: Sequence[Change] = ()) -> None:
    """Print arms, groups, chosen settings, notes and what tuning changes; nothing is cut off."""
    print_header(console, header(summary))
    views = views_of(summary)
    for view in [*views, changes_view(gained)] if gained else views:
        console.print()
        console.print(Text(view.title, style="bold"))
        print_view(console, view, view)
    if gained:
        console.print(Text(PAIRED, style="dim", overflow="fold"))
    for line in notes(summary, gained):
        console.print(Text(line, overflow="fold"))


def tuning_markdown(summary: SearchSummary, gained: Sequence[Change] = ()) -> str:
    """Header, what tuning changes, arms, groups, chosen settings, notes."""
    parts = ["\n".join(f"- {md(name)}: {md(text)}" for name, text in header(summary))]
    if gained:
        parts += [md_view(changes_view(gained)), md(PAIRED)]
    parts += map(md_view, views_of(summary))
    lines = notes(summary, gained)
    if lines:
        parts += ["### Notes", "\n".join(f"- {md(line)}" for line in lines)]
    parts += ["### How to read this", *map(md, READING)]
    return "\n\n".join(parts) + "\n"


def tuning_csv(summary: SearchSummary) -> str:
    """One line per trial, groups in order and trials in the order of their start.

    Those with which settings are ranked again come last in a group, with their seeds.

    Scores are unrounded fractions, empty where not finite; a parameter that a trial does not have
    is empty.
    """
    keys = tuple(dict.fromkeys(key for group in summary.groups for key in group.parameters))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, *map(csv_text, keys)])
    for group in summary.groups:
        for trial in group.trials:
            writer.writerow(
                [
                    csv_text(group_name(group)),
                    trial.index,
                    trial.seed,
                    csv_text(trial.key),
                    trial.status,
                    csv_text(trial.reason),
                    _finite(trial.score),
                    trial.examples,
                    trial.full,
                    trial.seconds,
                    *(_csv_value(trial.settings.get(key)) for key in keys),
                ]
            )
    return text.getvalue()


def _csv_value(value: Any) -> Any:
    if isinstance(value, str):
        return csv_text(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    return csv_text(json.dumps(value, sort_keys=True, default=str))


def tuning_json(summary: SearchSummary, gained: Sequence[Change] = ()) -> str:
    """Everything in the report, as JSON with a ``schema_version``; not finite numbers are null."""
    content = {
        "schema_version": TUNING_SCHEMA,
        "space": summary.space,
        "search": summary.search,
        "scheduler": summary.scheduler,
        "seed": summary.seed,
        "spent": _spent(summary.spent),
        "arms": {
            arm: _spent(Spent.of(trial for group in groups for trial in group.trials))
            for arm, groups in summary.arms.items()
        },
        "groups": [_group(group) for group in summary.groups],
        "changes": [asdict(change) for change in gained],
        "notes": notes(summary, gained),
    }
    text = json.dumps(_finite(content), indent=1, ensure_ascii=False, allow_nan=False, default=str)
    return text + "\n"


def _spent(spent: Spent) -> dict[str, Any]:
    return asdict(spent) | {"share": spent.share, "share_saved": spent.share_saved}


def _group(group: GroupSummary) -> dict[str, Any]:
    return asdict(group) | {
        "spent": _spent(group.spent),
        "best": group.best,
        "rerank_scores": {trial.index: group.rerank_scores(trial.index) for trial in group.reruns},
        "tied": [trial.index for trial in group.tied],
        "best_so_far": group.best_so_far,
    }


def _finite(value: Any) -> Any:
    """The value with none in place of every number that is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
