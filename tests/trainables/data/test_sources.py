"""Which source is chosen, and the way from a source to a trial."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from trainables.config.task import TaskConfig
from trainables.config.trial import LimitsConfig
from trainables.data.sources import choose_source, load_task
from trainables.data.task import Split, TaskData
from trainables.errors import DataError

OFFERS = {
    "hub": {"name": "me/toy"},
    "glue_dir": "CoLA",
    "demo": "acceptability",
    "files": {"train": "a.csv", "validation": "b.csv"},
}
EVERYWHERE = ("files", "hub", "glue_dir", "demo")


def task(*offered: str, **changes) -> TaskConfig:
    return TaskConfig.model_validate(
        {"text": ("s",)} | {name: OFFERS[name] for name in offered} | changes
    )


@pytest.mark.parametrize(
    ("offered", "requested", "glue_dir", "chosen"),
    [
        (EVERYWHERE, "auto", "/glue", "files"),
        (("hub", "glue_dir", "demo"), "auto", "/glue", "glue_dir"),
        (("hub", "glue_dir", "demo"), "auto", None, "hub"),
        (("glue_dir", "demo"), "auto", None, "demo"),
        (("glue_dir",), "auto", None, "glue_dir"),
        (("demo",), "auto", None, "demo"),
        (("files",), "hub", None, "files"),
        (("demo",), "glue_dir", "/glue", "demo"),
        *[(EVERYWHERE, name, None, name) for name in EVERYWHERE],
    ],
)
def test_choice(offered, requested: str, glue_dir: str | None, chosen: str) -> None:
    assert choose_source("t", task(*offered), requested, glue_dir) == chosen


def test_a_source_that_is_not_offered() -> None:
    with pytest.raises(DataError, match=r"task t cannot come from 'files'.*hub, demo"):
        choose_source("t", task("hub", "demo"), "files", None)


@pytest.fixture
def csv_task(tmp_path: Path) -> TaskConfig:
    for name, size in (("train", 100), ("validation", 40), ("test", 10)):
        rows = "".join(f"{name} {i},{'ham' if i % 4 else 'spam'}\n" for i in range(size))
        (tmp_path / f"{name}.csv").write_text("s,label\n" + rows)
    files = {name: str(tmp_path / f"{name}.csv") for name in ("train", "validation", "test")}
    return task(files=files, labels=("ham", "spam"))


def load(config: TaskConfig, fraction: float | None = None, **limits: int):
    return load_task(
        "mail",
        config,
        "files",
        glue_dir=None,
        limits=LimitsConfig(**limits),
        selection_fraction=fraction,
    )


def test_from_files_to_a_trial(csv_task: TaskConfig) -> None:
    data = load(csv_task, 0.2, max_train_examples=60, max_validation_examples=20)
    sizes = {name: np.bincount(split.labels).tolist() for name, split in data.splits.items()}
    assert sizes == {
        "train": [36, 12],
        "selection": [9, 3],
        "validation": [15, 5],
        "test": [7, 3],
    }
    assert data.labels == ("ham", "spam")
    assert data.origin == "files train.csv, validation.csv, test.csv"
    assert not data.pair


def test_the_same_data_every_time_and_another_fingerprint_for_other_data(
    csv_task: TaskConfig,
) -> None:
    first, again = load(csv_task, 0.2), load(csv_task, 0.2)
    assert first.fingerprint == again.fingerprint
    assert first.splits["selection"].texts == again.splits["selection"].texts
    others = [load(csv_task), load(csv_task, 0.3), load(csv_task, 0.2, max_train_examples=50)]
    assert len({first.fingerprint, *(other.fingerprint for other in others)}) == 4


def test_without_selection_nothing_is_carved(csv_task: TaskConfig) -> None:
    assert set(load(csv_task).splits) == {"train", "validation", "test"}


def only_train(csv_task: TaskConfig, **changes: Any) -> TaskConfig:
    """The task with a validation split that is carved from its train file."""
    assert csv_task.files is not None
    files = {"train": csv_task.files.train, "validation": {"fraction": 0.2}}
    return task(files=files, labels=("ham", "spam"), **changes)


def test_validation_is_carved_from_all_of_train_where_the_user_has_none(
    csv_task: TaskConfig,
) -> None:
    whole = load(only_train(csv_task))
    sizes = {name: np.bincount(split.labels).tolist() for name, split in whole.splits.items()}
    assert sizes == {"train": [60, 20], "validation": [15, 5]}
    assert whole.origin == "files train.csv; validation is 20 % of train, carved"
    data = load(only_train(csv_task), 0.25, max_train_examples=40, max_validation_examples=8)
    sizes = {name: len(split) for name, split in data.splits.items()}
    assert sizes == {"train": 30, "selection": 10, "validation": 8}
    assert set(data.splits["validation"].texts) < set(whole.splits["validation"].texts)
    texts = [text for split in data.splits.values() for text in split.texts]
    assert len(texts) == len(set(texts))
    assert whole.fingerprint != load(csv_task).fingerprint


def test_a_carved_split_that_misses_its_share_says_so(csv_task: TaskConfig, tmp_path: Path) -> None:
    # One group has nine tenths of the rows.
    rows = "".join(f"text {i},{'ham' if i % 2 else 'spam'},{max(i - 89, 0)}\n" for i in range(100))
    (tmp_path / "train.csv").write_text("s,label,author\n" + rows)
    data = load(only_train(csv_task, group="author"))
    assert len(data.splits["validation"]) == 10
    assert data.origin.endswith("; validation is 10 % of train (20 % asked for), carved")


def test_carved_splits_keep_groups_on_one_side(csv_task: TaskConfig, tmp_path: Path) -> None:
    rows = "".join(f"text {i},{'ham' if i % 3 else 'spam'},{i // 6}\n" for i in range(120))
    (tmp_path / "train.csv").write_text("s,label,author\n" + rows)
    splits = load(only_train(csv_task, group="author"), 0.25).splits
    assert {name: len(split) for name, split in splits.items()} == {
        "validation": 24,
        "selection": 24,
        "train": 72,
    }
    authors = {
        name: {int(text.split()[1]) // 6 for (text,) in split.texts}
        for name, split in splits.items()
    }
    assert sum(map(len, authors.values())) == len(set().union(*authors.values())) == 20


def test_a_split_that_cannot_be_carved(csv_task: TaskConfig, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("s,label,author\n" + "x,ham,1\ny,spam,1\n" * 5)
    for changes, reason in (({}, "text"), ({"group": "author"}, "text and in 'author'")):
        copies = only_train(csv_task, **changes)
        with pytest.raises(
            DataError, match=rf"no validation split can be carved.*their {reason}, "
        ):
            load(copies)
    with pytest.raises(DataError, match="no selection split can be carved from train"):
        load(csv_task, 0.5)


@pytest.mark.parametrize("setting", [{"group": "author"}, {"unlabelled": "skip"}])
@pytest.mark.parametrize("source", ["demo", "glue_dir"])
def test_settings_of_columns_are_refused_where_there_are_none(source: str, setting: dict) -> None:
    config = task("demo", "hub", "glue_dir", **setting)
    (name,) = setting
    with pytest.raises(DataError, match=rf"define\.tasks\.t\.{name}=.* comes from {source}"):
        load_task(
            "t", config, source, glue_dir=None, limits=LimitsConfig(), selection_fraction=None
        )


@pytest.mark.parametrize("source", ["demo", "glue_dir"])
def test_numbered_classes_are_not_named_by_other_numbers(source: str) -> None:
    config = task("demo", "glue_dir", labels=("1", "0"))
    with pytest.raises(DataError, match=rf"t\.labels: '1' stands where {source} has class 0"):
        load_task(
            "t", config, source, glue_dir=None, limits=LimitsConfig(), selection_fraction=None
        )


def test_a_cap_that_leaves_one_class(csv_task: TaskConfig) -> None:
    with pytest.raises(DataError, match="needs at least 2 classes"):
        load(csv_task, max_train_examples=1)


def test_demo_is_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def generate(corpus: str) -> dict[str, Split]:
        asked.append(corpus)
        labels = np.array([1, 0])
        return {
            "train": Split([("good",), ("bad",)], labels),
            "validation": Split([("fine",), ("dull",)], labels),
        }

    demo = ModuleType("trainables.data.demo")
    monkeypatch.setattr(demo, "generate", generate, raising=False)
    monkeypatch.setitem(sys.modules, "trainables.data.demo", demo)
    monkeypatch.setattr("trainables.data.demo", demo, raising=False)
    data = load_task(
        "t", task("demo"), "demo", glue_dir=None, limits=LimitsConfig(), selection_fraction=None
    )
    assert asked == ["acceptability"]
    assert data.origin == "demo corpus (generated)"
    assert data.labels == ("0", "1")


def test_a_larger_fraction_of_train_holds_the_smaller_ones_examples() -> None:
    demo = TaskConfig(text=("sentence",), demo="acceptability")

    def texts(fraction: float | None) -> set[tuple[str, ...]]:
        limits = LimitsConfig(max_train_examples=200, train_fraction=fraction)
        data = load_task("t", demo, "demo", glue_dir=None, limits=limits, selection_fraction=None)
        return set(data.splits["train"].texts)

    assert texts(0.1) < texts(0.5) < texts(1.0)
    assert len(texts(0.1)) == 20
    assert texts(1.0) == texts(None)


def test_pairs_in_both_orders_are_trained_on_but_not_measured_or_selected_on() -> None:
    pairs = TaskConfig(text=("sentence1", "sentence2"), demo="paraphrase")

    def load_pairs(task: TaskConfig) -> TaskData:
        limits = LimitsConfig(max_train_examples=50, max_validation_examples=20)
        return load_task("t", task, "demo", glue_dir=None, limits=limits, selection_fraction=0.2)

    plain = load_pairs(pairs)
    both = load_pairs(pairs.model_copy(update={"both_orders": True}))
    first, second = both.splits["train"].texts[:40], both.splits["train"].texts[40:]
    assert first == plain.splits["train"].texts
    assert second == [(b, a) for a, b in first]
    labels = plain.splits["train"].labels
    np.testing.assert_array_equal(both.splits["train"].labels, [*labels, *labels])
    for name in ("selection", "validation"):
        assert both.splits[name].texts == plain.splits[name].texts
    assert both.fingerprint != plain.fingerprint


def test_a_single_text_has_no_orders() -> None:
    with pytest.raises(ValidationError, match="both_orders is for tasks with two text columns"):
        TaskConfig(text=("sentence",), demo="sentiment", both_orders=True)
