"""The plan and a single trial say whose F1 is measured and what the labels leave out of it."""

from pathlib import Path

import pytest

from orchestrator.config.experiment import load_experiment
from orchestrator.planning.plan import make_plan
from orchestrator.planning.scoring import scoring
from tests.helpers.command import small_grid
from trainables.errors import DataError


def planned(folder: Path, bert: Path, train: str, validation: str, *overrides: str) -> str:
    """What is said of a task whose splits have these labels, one letter per example."""
    for name, labels in (("train", train), ("validation", validation)):
        rows = "".join(f"a text {i},{label}\n" for i, label in enumerate(labels))
        (folder / f"{name}.csv").write_text("text,label\n" + rows)
    files = f"{{train: {folder}/train.csv, validation: {folder}/validation.csv}}"
    config = load_experiment(
        "demo",
        [
            *small_grid(bert)[1:],
            f"define.tasks.t={{text: [text], headline: f1, files: {files}}}",
            "tasks=[t]",
            "arms=[single_task]",
            *overrides,
        ],
    )
    return scoring(config.task_configs()["t"], make_plan(config).tasks["t"])


@pytest.mark.parametrize(
    ("train", "validation", "overrides", "text"),
    [
        ("abab", "ab", (), "headline F1 of b"),
        ("abab", "ab", ("define.tasks.t.positive=a",), "headline F1 of a"),
        ("abab", "ab", ("define.tasks.t.positive=macro",), "headline macro F1"),
        ("abab", "ab", ("define.tasks.t.headline=accuracy",), "headline acc, F1 of b"),
        ("0101", "01", ("define.tasks.t.positive=0",), "headline F1 of 0"),
        (
            "abcabc",
            "ab",
            (),
            "headline macro F1; macro F1 is the mean over the 2 of 3 classes that validation has, "
            "and of the others those that are predicted: no validation label is 'c'",
        ),
        (
            "abcabc",
            "ab",
            ("define.tasks.t.positive=c",),
            "headline F1 of c; F1 is n/a and left out of macro: no validation label is 'c'",
        ),
        (
            "abab",
            "bb",
            ("define.tasks.t.headline=matthews",),
            "headline MCC, F1 of b; F1 and MCC are n/a and left out of macro: every validation "
            "label is 'b'",
        ),
    ],
)
def test_the_line_of_a_task(
    tmp_path: Path,
    tiny_bert: Path,
    train: str,
    validation: str,
    overrides: tuple[str, ...],
    text: str,
) -> None:
    assert planned(tmp_path, tiny_bert, train, validation, *overrides) == text


def test_a_positive_that_is_no_label_is_refused(tmp_path: Path, tiny_bert: Path) -> None:
    with pytest.raises(DataError, match=r"define\.tasks\.t\.positive=abs: .*there are 'a', 'b'"):
        planned(tmp_path, tiny_bert, "abab", "ab", "define.tasks.t.positive=abs")


def test_nothing_is_selected_by_a_metric_that_is_undefined(tmp_path: Path, tiny_bert: Path) -> None:
    stopping = "training.early_stopping={}"
    with pytest.raises(DataError, match=r"of a alone, which leaves the headline f1 undefined"):
        planned(tmp_path, tiny_bert, "aaaaaaaaab", "ab", stopping)
    by_accuracy = "define.tasks.t.headline=accuracy"
    assert planned(tmp_path, tiny_bert, "aaaaaaaaab", "ab", stopping, by_accuracy)
