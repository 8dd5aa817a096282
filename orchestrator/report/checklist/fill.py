"""Fills in checklists and writes them as Markdown or JSON; the same records give the same bytes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.report.checklist.facts import SUBJECTS, Answer, RunFacts
from orchestrator.report.checklist.lists import CHECKLISTS, Checklist, Item
from orchestrator.report.markup import md
from orchestrator.text import plain

SCHEMA = 1
AUTHORS = "for the authors"


@dataclass(frozen=True)
class FilledItem:
    """A question with what the records say of its subjects.

    Attributes:
        item: the question.
        answers: subject -> answer; empty where the question is about the paper itself.
    """

    item: Item
    answers: dict[str, Answer]


@dataclass(frozen=True)
class FilledList:
    """A checklist with answers."""

    checklist: Checklist
    items: tuple[FilledItem, ...]


def fill(facts: RunFacts) -> tuple[FilledList, ...]:
    """Answer every item of every checklist from the records."""
    answers = {subject: ask(facts) for subject, ask in SUBJECTS.items()}
    return tuple(
        FilledList(
            checklist,
            tuple(
                FilledItem(item, {subject: answers[subject] for subject in item.subjects})
                for item in checklist.items
            ),
        )
        for checklist in CHECKLISTS
    )


def markdown(name: str, filled: Sequence[FilledList]) -> str:
    """All lists: each item with what it asks, the answers, and the files that say them."""
    parts = [
        f"# Reproducibility checklists of {md(plain(name))}",
        "Filled in from the records of the run directory, whose files are named in parentheses. "
        "What they do not say is not known, and is not guessed.",
    ]
    for one in filled:
        parts.append(f"## {md(one.checklist.name)}, {md(one.checklist.version)}")
        parts.append("\n".join(line for item in one.items for line in _lines(item)))
    return "\n\n".join(parts) + "\n"


def _lines(filled: FilledItem) -> list[str]:
    head = f"- **{filled.item.number}** {md(filled.item.about)}"
    if not filled.answers:
        return [f"{head}: not known, {AUTHORS}"]
    lines = [head]
    for subject, answer in filled.answers.items():
        known = answer.text if answer.known else f"not known ({answer.text})"
        sources = f" ({', '.join(answer.sources)})" if answer.known else ""
        lines.append(f"  - {subject}: {md(plain(known) + sources)}")
    return lines


def to_json(name: str, filled: Sequence[FilledList]) -> str:
    """The same for machines: ``answer`` is null where something is not known, and ``missing`` says
    what."""
    lists = [
        {
            "name": one.checklist.name,
            "version": one.checklist.version,
            "items": [
                {
                    "number": item.item.number,
                    "about": item.item.about,
                    "answers": [_content(*answer) for answer in item.answers.items()]
                    or [{"subject": None, "answer": None, "missing": AUTHORS, "sources": []}],
                }
                for item in one.items
            ],
        }
        for one in filled
    ]
    content = {"schema_version": SCHEMA, "run_dir": plain(name), "lists": lists}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _content(subject: str, answer: Answer) -> dict[str, Any]:
    text = plain(answer.text)
    return {
        "subject": subject,
        "answer": text if answer.known else None,
        "missing": None if answer.known else text,
        "sources": list(answer.sources),
    }
