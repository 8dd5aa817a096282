"""The examples on which arms disagree most, on arrays small enough to check by hand."""

import numpy as np
import pytest

from orchestrator.report.page import disagreements as module
from orchestrator.report.page.confusions import OTHER
from orchestrator.report.page.disagreements import Disagreement, Opinion, disagreements
from orchestrator.report.rows import table_rows
from tests.helpers.records import by_key, record, trial
from trainables.results.predictions import Predictions

LABELS = np.array([0, 0, 1, 1], dtype=np.uint8)


def of(
    arms: dict[str, list[list[float]]], labels: np.ndarray = LABELS, task: str = "sst2"
) -> list[Disagreement]:
    """The disagreements of arms with these predictions, a list for each seed."""
    plan, predictions = [], {}
    headlines = {task: "accuracy" if labels.dtype.kind == "u" else "pearson"}
    for arm, runs in arms.items():
        for seed, run in enumerate(runs):
            planned = trial(arm, headlines, seed=seed)
            plan.append(planned)
            of_run = Predictions(labels, np.array(run).astype(labels.dtype))
            predictions[planned.key] = {task: of_run}
    names = {"sst2": ("no", "yes")} if labels.dtype.kind == "u" else {}
    records = by_key(record(plan[0], {}, status="failed", labels=names))
    return disagreements(table_rows(plan, records, "validation"), predictions)


def test_the_most_disputed_come_first_and_agreement_is_left_out() -> None:
    [found] = of(
        {
            "single_task": [[0, 0, 1, 1], [0, 1, 1, 1]],
            "shared_encoder": [[0, 1, 0, 1], [0, 1, 1, 1]],
        }
    )
    assert (found.task, found.model, found.size, found.differing) == ("sst2", "tiny", 4, 2)
    assert [example.row for example in found.examples] == [1, 2]
    first, second = found.examples
    assert first.label == "no"
    assert first.opinions == (
        Opinion("single_task", 1, 2, "no"),
        Opinion("shared_encoder", 0, 2, "yes"),
    )
    assert second.opinions[1] == Opinion("shared_encoder", 1, 2, "no")


def test_arms_that_agree_or_stand_alone_disagree_on_nothing() -> None:
    assert of({"single_task": [[0, 0, 1, 1]], "shared_encoder": [[0, 0, 1, 1]]}) == []
    assert of({"single_task": [[0, 1, 1, 1]]}) == []


def test_another_task_s_class_has_a_name() -> None:
    [found] = of({"single_task": [[0, 0, 1, 1]], "shared_encoder": [[2, 0, 1, 1]]})
    assert found.examples[0].opinions[1].answer == OTHER


def test_numbers_disagree_by_their_means() -> None:
    targets = np.array([1.0, 2.0, 3.0])
    [found] = of(
        {"single_task": [[1, 2, 3], [1, 2, 4]], "shared_encoder": [[1, 4, 3]]}, targets, "sts"
    )
    assert [example.row for example in found.examples] == [1, 2]
    assert found.examples[1].opinions == (
        Opinion("single_task", None, 2, "3.5"),
        Opinion("shared_encoder", None, 1, "3"),
    )


def test_no_more_are_listed_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_EXAMPLES", 1)
    [found] = of({"single_task": [[0, 0, 1, 1]], "shared_encoder": [[1, 1, 1, 1]]})
    assert ([example.row for example in found.examples], found.differing) == ([0], 2)
