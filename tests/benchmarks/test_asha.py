"""The benchmark's table; the searches themselves are tested with the command tune."""

from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.asha import table
from orchestrator.commands.tune_report import TuningOutcome
from orchestrator.report.rows import Stat
from orchestrator.search.summary import GroupSummary, SearchSummary, TrialSummary
from trainables.results.status import TrialStatus


def outcome(spent: list[int], scores: dict[int, float]) -> Any:
    """A search of one group whose trials saw so many examples of 100, and its tuned row."""
    tried = tuple(
        TrialSummary(n, str(n), {}, TrialStatus.FINISHED, "", n / 10, examples, 100, 1.0, ())
        for n, examples in enumerate(spent)
    )
    group = GroupSummary("single_task", "s", "single_task", "m", "t", "accuracy", tried, 1, {})
    summary = SearchSummary("space", "random", "asha", 0, (group,))
    stat = Stat.of(scores)
    row = SimpleNamespace(tuned=True, arm="single_task", model="m", headline=lambda task: stat)
    default = SimpleNamespace(tuned=False, arm="single_task", model="m")
    return TuningOutcome(summary, (default, row), (), None, (), (), 0, ())  # type: ignore[arg-type]


def test_the_table_says_what_was_spent_and_found() -> None:
    full = outcome([100, 100], {1: 0.7, 2: 0.8, 3: 0.9})
    asha = outcome([20, 50], {1: 0.6, 2: 0.8, 3: 0.7})
    _, _, line, _, last = table(full, asha)
    assert [field.strip() for field in line.split("|")[1:-1]] == [
        "single_task t",
        "2",
        "200",
        "35.0 %",
        "0.100",
        "0.100",
        "0.800 ± 0.058",
        "0.700 ± 0.058",
        "-0.100",
        "0.058",
    ]
    assert last == "ASHA spent 35.0 % of the examples of the full search."


def test_a_choice_without_a_score_is_no_result() -> None:
    nothing = outcome([], {})
    with pytest.raises(AssertionError):
        table(nothing, nothing)
