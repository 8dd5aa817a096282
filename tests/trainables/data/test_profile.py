"""What the whole splits of a task hold, counted on small tables and on real GLUE."""

from pathlib import Path

import numpy as np
import pytest

from trainables.config.task import TaskConfig
from trainables.config.trial import LimitsConfig
from trainables.data.profile import Overlap, profile, shared_with, without
from trainables.data.sources import prepare_task, read_task
from trainables.data.splits import RawTask, carve
from trainables.data.task import Split
from trainables.errors import DataError


def split(*rows: tuple[str, int]) -> Split:
    """Examples of one text, from texts with their labels; ``|`` separates the texts of a pair."""
    texts = [tuple(text.split("|")) for text, _ in rows]
    return Split(texts, np.array([label for _, label in rows], dtype=np.int64))


RAW = RawTask(
    ("no", "yes", "maybe"),
    {
        "train": split(
            ("a", 0), ("b", 1), ("a", 0), ("a", 1), ("c", 1), ("c", 1), ("d", 0), ("g", 0)
        ),
        "validation": split(("a", 1), ("b", 0), ("B", 1), ("e", 1), ("d", 2)),
        "test": split(("x", 0), ("y", 1)),
    },
    "here",
)


def test_counts() -> None:
    found = profile(RAW)
    assert found.sizes == {"train": 8, "validation": 5, "test": 2}
    assert found.classes == {"train": (4, 4, 0), "validation": (1, 3, 1), "test": (1, 1, 0)}
    # a three times and c twice; a with both labels.
    assert (found.repeated, found.copies, found.contradictions) == (2, 3, 1)
    # a stands there with 1 too, b and d with another label only, B is another text.
    assert found.in_train == {
        "validation": Overlap(examples=3, other_label=2),
        "test": Overlap(examples=0, other_label=0),
    }


def test_a_pair_is_the_same_if_both_texts_are_in_their_places() -> None:
    raw = RawTask(
        ("no", "yes"),
        {"train": split(("a|b", 0), ("b|a", 1)), "validation": split(("a|b", 0), ("a|c", 1))},
        "here",
    )
    found = profile(raw)
    assert (found.repeated, found.contradictions) == (0, 0)
    assert found.in_train["validation"].examples == 1


def test_a_pair_in_the_other_order_is_a_copy_where_the_order_has_no_meaning() -> None:
    splits = {
        "train": split(("a|b", 0), ("b|a", 1), ("c|d", 1), ("e|f", 0)),
        "validation": split(("d|c", 1), ("f|e", 1), ("x|y", 0)),
    }
    raw = RawTask(("no", "yes"), splits, "here")
    found = profile(raw, any_order=True)
    assert (found.repeated, found.copies, found.contradictions) == (1, 1, 1)
    assert found.in_train["validation"] == Overlap(examples=2, other_label=1)
    task = TaskConfig(text=("s", "t"), demo="sentiment", both_orders=True)
    read = prepare_task(
        "t", task, raw, limits=LimitsConfig(), selection_fraction=None, drop_shared=True
    )
    assert sorted(read.splits["train"].texts) == [("a", "b"), ("a", "b"), ("b", "a"), ("b", "a")]
    pairs = [(f"{pair}|x", number) for number in (0, 1) for pair in "abcd"]
    turned = [(text[::-1], number) for text, number in pairs]
    rest, other = carve(split(*pairs, *turned), 0.3, any_order=True)
    assert other.texts
    assert {*map(frozenset, rest.texts)}.isdisjoint(map(frozenset, other.texts))


def test_texts_of_another_tasks_train() -> None:
    assert shared_with(RAW, [("e",), ("x",), ("b",)]) == {"validation": 2, "test": 1}


def test_what_other_splits_hold_is_left_out_of_train_alone() -> None:
    task = TaskConfig(text=("s",), demo="sentiment")
    settings = {"limits": LimitsConfig(), "selection_fraction": None}
    whole = prepare_task("t", task, RAW, **settings)
    dropped = prepare_task("t", task, RAW, drop_shared=True, held_out={("x",)}, **settings)
    assert [text for (text,) in dropped.splits["train"].texts] == ["c", "c", "g"]
    assert dropped.splits["validation"] is whole.splits["validation"]
    assert dropped.fingerprint != whole.fingerprint
    nothing = prepare_task("t", task, RAW, held_out={("x",)}, **settings)
    assert nothing.fingerprint == whole.fingerprint
    assert without(RAW.splits["train"], {("zzz",)}) is RAW.splits["train"]


def files(folder: Path, train: str, validation: str, **changes) -> TaskConfig:
    for name, rows in (("train", train), ("dev", validation)):
        (folder / f"{name}.csv").write_text("s,label\n" + rows)
    content = {
        "text": ("s",),
        "files": {"train": str(folder / "train.csv"), "validation": str(folder / "dev.csv")},
    }
    return TaskConfig.model_validate(content | changes)


ROWS = "good,yes\nbad,no\nfine,yes\ndull,no\n"
OTHERS = "great,yes\npoor,no\n"


@pytest.mark.parametrize("way", ["same path", "link", "copy", "other quoting", "other order"])
def test_one_file_for_two_splits_is_refused(tmp_path: Path, way: str) -> None:
    task = files(tmp_path, ROWS, OTHERS)
    assert task.files is not None
    train, dev = tmp_path / "train.csv", tmp_path / "dev.csv"
    if way == "same path":
        same = task.files.model_copy(update={"validation": f"{tmp_path}/./train.csv"})
        task = task.model_copy(update={"files": same})
    elif way == "link":
        dev.unlink()
        dev.symlink_to(train)
    elif way == "copy":
        dev.write_bytes(train.read_bytes())
    elif way == "other order":
        dev.write_text("s,label\n" + "".join(reversed(ROWS.splitlines(keepends=True))))
    else:
        dev.write_text(train.read_text().replace("good", '"good"'))
    with pytest.raises(DataError, match=r"train and validation hold the same 4 examples .*files"):
        read_task("t", task, "files", None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text": ("s", "label")}, r"define\.tasks\.t\.text: 'label' is the label column"),
        ({"text": ("s",), "label": "s"}, r"define\.tasks\.t\.text: 's' is the label column"),
        ({"text": ("s", "s")}, r"define\.tasks\.t\.text: 's' is there twice"),
    ],
)
def test_a_column_is_one_thing(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_task("t", files(tmp_path, ROWS, OTHERS, **changes), "files", None)


def test_labels_that_are_no_classes_are_refused(tmp_path: Path) -> None:
    ids = "good,u1\nbad,u2\nfine,u3\n"
    with pytest.raises(DataError, match=r"all 3 train examples have different labels; .*t\.label"):
        read_task("t", files(tmp_path, ids, "so,u1\nno,u2\n"), "files", None)


def test_a_drop_that_leaves_one_class_is_refused() -> None:
    task = TaskConfig(text=("s",), demo="sentiment")
    with pytest.raises(DataError, match=r"2 train examples of fewer than 2 classes .*checks\."):
        prepare_task(
            "t",
            task,
            RAW,
            limits=LimitsConfig(),
            selection_fraction=None,
            drop_shared=True,
            held_out={("g",)},
        )


GLUE = {
    "CoLA": {
        "sizes": {"train": 8551, "validation": 1043},
        "classes": {"train": (2528, 6023), "validation": (322, 721)},
        "repeated": 19,
        "copies": 19,
        "contradictions": 11,
        "in_train": {"validation": {"examples": 16, "other_label": 2}},
    },
    "SST-2": {
        "sizes": {"train": 67349, "validation": 872},
        "classes": {"train": (29780, 37569), "validation": (428, 444)},
        # Always pairs: as many texts as copies.
        "repeated": 371,
        "copies": 371,
        "contradictions": 5,
        "in_train": {"validation": {"examples": 0, "other_label": 0}},
    },
    "MRPC": {
        "sizes": {"train": 3668, "validation": 408, "test": 1725},
        "classes": {"train": (1194, 2474), "validation": (129, 279), "test": (578, 1147)},
        "repeated": 0,
        "copies": 0,
        "contradictions": 0,
        "in_train": {s: {"examples": 0, "other_label": 0} for s in ("validation", "test")},
    },
}


@pytest.mark.glue
def test_real_glue(glue_dir: Path) -> None:
    raw = {}
    for folder, expected in GLUE.items():
        text = ("a", "b") if folder == "MRPC" else ("s",)
        task = TaskConfig.model_validate({"text": text, "glue_dir": folder})
        raw[folder] = read_task("t", task, "glue_dir", str(glue_dir))
        assert profile(raw[folder]).model_dump(exclude={"labels"}) == expected
    assert len(set(raw["SST-2"].splits["train"].texts)) == 66_978
    for one in GLUE:
        for other in GLUE.keys() - {one}:
            shared = shared_with(raw[one], raw[other].splits["train"].texts)
            assert set(shared.values()) == {0}
