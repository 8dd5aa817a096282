"""The lists ask every question once, and every subject answers one."""

from collections import Counter

import pytest

from orchestrator.report.checklist.facts import SUBJECTS
from orchestrator.report.checklist.lists import ARR, CHECKLISTS, NEURIPS, PINEAU, Checklist


@pytest.mark.parametrize(("checklist", "items"), [(ARR, 18), (NEURIPS, 16), (PINEAU, 21)])
def test_every_question_is_there_once(checklist: Checklist, items: int) -> None:
    numbers = Counter(item.number for item in checklist.items)
    assert len(numbers) == items
    assert set(numbers.values()) == {1}


def test_every_subject_is_asked_for_and_every_one_asked_for_exists() -> None:
    asked = {s for one in CHECKLISTS for item in one.items for s in item.subjects}
    assert asked == SUBJECTS.keys()
