"""The Hub: a folder in its layout, a miniature Hub on this machine, and a Hub that is not there.

The library reads its environment when it is imported, so what depends on it runs in a process of
its own.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PROJECT
from tests.helpers.hub_server import CARD, COMMIT
from trainables.config.task import TaskConfig
from trainables.data.hub import load
from trainables.errors import DataError

ASK = """
import json, sys, time
from trainables.data.hub import load
from trainables.config.task import (TaskConfig)
answers = []
for hub in json.loads(sys.argv[1]):
    begin = time.perf_counter()
    try:
        raw = load("mine", TaskConfig(text=("s",), hub=hub), None)
        answer = [raw.labels, {name: len(split) for name, split in raw.splits.items()}, raw.origin]
    except Exception as error:
        answer = [type(error).__name__, str(error)]
    answers.append([answer, time.perf_counter() - begin])
print(json.dumps(answers))
"""


def ask(home: Path, *hubs: dict[str, Any], endpoint: str, offline: bool = False) -> list:
    """Load every data set of ``hubs`` in a fresh process: its answer and its seconds."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
        "HF_HOME": str(home),
        "HF_ENDPOINT": endpoint,
        "HF_HUB_OFFLINE": str(int(offline)),
        "NO_PROXY": "127.0.0.1",
    }
    command = [sys.executable, "-c", ASK, json.dumps(hubs)]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=environment, cwd=PROJECT
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def miniature() -> Iterator[str]:
    """The address of a running miniature Hub; ``stop`` ends it."""
    command = [sys.executable, "-m", "tests.helpers.hub_server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.kill()


TOY = {"name": "me/toy", "config": "one"}
FOUND = [["neg", "pos"], {"train": 20, "validation": 6}, "Hub me/toy (one)"]


def test_download_and_what_the_hub_refuses(miniature: str, tmp_path: Path) -> None:
    answers = ask(
        tmp_path,
        TOY,
        TOY | {"revision": COMMIT},
        TOY | {"config": "two"},
        TOY | {"revision": "none"},
        TOY | {"validation": "dev"},
        {"name": "me/absent"},
        {"name": "me/broken"},
        {"name": "/no/such/folder"},
        endpoint=miniature,
    )
    default, pinned, *refused = [answer for answer, _ in answers]
    assert default == FOUND
    assert pinned == [*FOUND[:2], f"Hub me/toy (one) at {COMMIT}"]
    assert {kind for kind, _ in refused} == {"DataError"}
    assert all(seconds < 10 for _, seconds in answers)
    config, revision, split, absent, broken, folder = [message for _, message in refused]
    assert "define.tasks.mine.hub" in config
    assert "Available: ['one']" in config
    assert "define.tasks.mine.hub.revision" in revision
    assert "no split 'dev' (define.tasks.mine.hub.validation)" in split
    assert "'train', 'validation'" in split
    assert "me/absent (define.tasks.mine.hub): neither the Hub nor this machine has it" in absent
    assert "503" in broken
    assert "neither the Hub nor this machine has it" in folder


def test_the_cache_serves_when_the_hub_is_gone(miniature: str, tmp_path: Path) -> None:
    assert ask(tmp_path, TOY, endpoint=miniature)[0][0] == FOUND
    for offline in (False, True):
        (default, seconds), (other, _), (absent, _) = ask(
            tmp_path,
            TOY,
            TOY | {"revision": "b" * 40},
            {"name": "me/absent"},
            endpoint="http://127.0.0.1:1",
            offline=offline,
        )
        assert default == FOUND
        assert seconds < 10
        assert "define.tasks.mine.hub.revision): the cache holds another revision" in other[1]
        assert ("HF_HUB_OFFLINE is set" if offline else "refused") in absent[1]


@pytest.fixture
def black_hole() -> Iterator[str]:
    """An address that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_hub_that_never_answers_fails_within_seconds(black_hole: str, tmp_path: Path) -> None:
    begin = time.perf_counter()
    ((kind, message), seconds), ((_, offline_message), offline_seconds) = (
        *ask(tmp_path, TOY, endpoint=black_hole),
        *ask(tmp_path, TOY, endpoint=black_hole, offline=True),
    )
    assert kind == "DataError"
    assert "\n" not in message
    for part in ("define.tasks.mine.hub", "network", "HF_HUB_OFFLINE", "data.source", "timed out"):
        assert part in message
    assert "HF_HUB_OFFLINE is set" in offline_message
    assert seconds < 15
    assert offline_seconds < 5
    assert time.perf_counter() - begin < 40


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set folder of JSON lines with named classes."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    path = tmp_path / "toy"
    path.mkdir()
    (path / "README.md").write_text(CARD)
    for name in ("train", "validation"):
        rows = [{"s": f"{name} {i}", "label": i % 2} for i in range(4)]
        (path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def task(folder: Path, **changes: Any) -> TaskConfig:
    return TaskConfig.model_validate(
        {"text": ("s",), "hub": {"name": str(folder), "config": "one"}} | changes
    )


@pytest.mark.parametrize(
    ("labels", "names", "numbers"),
    [
        (None, ("neg", "pos"), [0, 1, 0, 1]),
        (("pos", "neg"), ("pos", "neg"), [1, 0, 1, 0]),
        (("bad", "good"), ("bad", "good"), [0, 1, 0, 1]),
        (("0", "1"), ("0", "1"), [0, 1, 0, 1]),
        (("neg", "positive"), ("neg", "positive"), [0, 1, 0, 1]),
    ],
)
def test_class_names_and_their_order(folder: Path, labels, names, numbers: list[int]) -> None:
    raw = load("mine", task(folder, labels=labels), None)
    assert raw.labels == names
    assert raw.splits["train"].labels.tolist() == numbers
    assert raw.splits["train"].texts == [(f"train {i}",) for i in range(4)]
    assert raw.origin == "data set folder toy (one)"


def test_declared_names_that_are_numbers_are_names(folder: Path) -> None:
    card = CARD.replace("'0': neg, '1': pos", "'0': '1', '1': '0'")
    (folder / "README.md").write_text(card)
    for labels, numbers in ((None, [0, 1, 0, 1]), (("0", "1"), [1, 0, 1, 0])):
        raw = load("mine", task(folder, labels=labels), None)
        assert raw.labels == (labels or ("1", "0"))
        assert raw.splits["train"].labels.tolist() == numbers


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ("a", "b", "c")}, r"mine\.labels names 3 labels, the data set has 2: neg, pos"),
        ({"labels": ("1", "0")}, r"mine\.labels: '1' stands where .* class 0 as 'neg'"),
        ({"labels": ("pos", "other")}, r"mine\.labels: 'pos' stands where .* class 0 as 'neg'"),
        ({"text": ("sentence",)}, r"no column 'sentence' \(define\.tasks\.mine\.text\).*'s'"),
        ({"kind": "regression"}, r"'label' declares classes \(neg, pos\), and .*kind=regression"),
        ({"label": "labels"}, r"no column 'labels' \(define\.tasks\.mine\.label\); did .*'label'"),
    ],
)
def test_a_data_set_that_is_another_than_the_task_says(folder: Path, changes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load("mine", task(folder, **changes), None)


def test_a_second_validation_split(folder: Path) -> None:
    hub = {"name": str(folder), "config": "one", "mismatched": "train"}
    splits = load("mine", task(folder, hub=hub), None).splits
    assert splits["mismatched"].texts == splits["train"].texts
    with pytest.raises(DataError, match=r"no split 'other' \(define\.tasks\.mine\.hub\.mismatched"):
        load("mine", task(folder, hub=hub | {"mismatched": "other"}), None)


@pytest.mark.parametrize(
    ("split", "way_out"),
    [
        ("train", r"name training examples with labels in define\.tasks\.mine\.hub\.train"),
        ("validation", r"define\.tasks\.mine\.hub\.validation=\{fraction: 0\.2\}"),
        ("test", r"leave define\.tasks\.mine\.hub\.test out"),
    ],
)
def test_hidden_labels(folder: Path, split: str, way_out: str) -> None:
    file = "train" if split == "train" else "validation"
    (folder / f"{file}.jsonl").write_text('{"s": "x", "label": -1}\n')
    hub = {"name": str(folder), "config": "one"}
    if split == "test":
        hub |= {"validation": "train", "test": "validation"}
    with pytest.raises(DataError, match=rf"{file} row 1: the label is hidden \(-1\).*{way_out}"):
        load("mine", task(folder, hub=hub), None)


def test_hidden_labels_among_others_can_be_left_out(folder: Path) -> None:
    rows = [{"s": f"x {i}", "label": label} for i, label in enumerate([0, -1, 1, None])]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(
        DataError, match=r"train row 2: the label is hidden .*mine\.unlabelled=skip"
    ):
        load("mine", task(folder), None)
    raw = load("mine", task(folder, unlabelled="skip"), None)
    assert raw.splits["train"].texts == [("x 0",), ("x 2",)]
    assert raw.origin == "data set folder toy (one); rows without a label left out: 2 of train"


def test_a_damaged_data_set(folder: Path) -> None:
    (folder / "train.jsonl").write_bytes(b"\x00\xff{")
    with pytest.raises(DataError, match=r"cannot be loaded \(define\.tasks\.mine\.hub\)") as caught:
        load("mine", task(folder), None)
    assert "\n" not in str(caught.value)


def test_a_folder_without_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be loaded \(define\.tasks\.mine\.hub\)"):
        load("mine", task(tmp_path), None)


def test_texts_of_a_large_csv_file_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library finds types anew every 10,000 rows, and numbers alone lose their zeros."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    data = tmp_path / "large"
    data.mkdir()
    texts = ["a"] * 10_000 + ["007"] * 50
    for split in ("train", "validation"):
        rows = "".join(f"{text},{row % 2}\n" for row, text in enumerate(texts))
        (data / f"{split}.csv").write_text(f"s,label\n{rows}")
    source = TaskConfig.model_validate({"text": ("s",), "hub": {"name": str(data)}})
    splits = load("mine", source, None).splits
    assert [text for (text,) in splits["train"].texts] == texts


def test_words_of_a_csv_file_that_pandas_takes_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only an empty field is empty, as where the file is named under ``files``."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    words = ["None", "NA", "n/a", "null"]
    rows = "".join(f"x {i},{word},{word}\n" for i, word in enumerate(words)) + "x,,None\ny,z,\n"
    (tmp_path / "toy").mkdir()
    for split in ("train", "validation"):
        (tmp_path / "toy" / f"{split}.csv").write_text(f"s,t,label\n{rows}")
    settings = {"text": ("s", "t"), "unlabelled": "skip", "labels": words}
    hub = TaskConfig.model_validate(settings | {"hub": {"name": str(tmp_path / "toy")}})
    raw = load("mine", hub, None)
    assert [second for _, second in raw.splits["train"].texts] == [*words, ""]
    assert raw.splits["train"].labels.tolist() == [0, 1, 2, 3, 0]
    assert raw.origin.endswith("rows without a label left out: 1 of train, 1 of validation")


@pytest.mark.parametrize("label_first", [False, True])
def test_rows_that_a_quotation_mark_joins_are_refused(
    label_first: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "toy").mkdir()
    rows = [("s", "label"), *((f"row {i}", "ab"[i % 2]) for i in range(9))]
    for split, mark in (("train", '"'), ("validation", "")):
        rows[4], rows[6] = (f"{mark}open", "b"), (f"close{mark}", "b")
        if label_first and mark:
            rows[6] = ('close"', "b")
        written = [row[::-1] if label_first else row for row in rows]
        text = "".join("\t".join(row) + "\n" for row in written)
        (tmp_path / "toy" / f"{split}.tsv").write_text(text)
    source = TaskConfig.model_validate({"text": ("s",), "hub": {"name": str(tmp_path / "toy")}})
    with pytest.raises(DataError, match=r"train row 4: 's' has 3 lines that look.*mine\.quoting"):
        load("mine", source, None)
    (tmp_path / "toy" / "train.tsv").write_text('s\tlabel\n"one\nb, two"\ta\nthree\tb\n')
    assert load("mine", source, None).splits["train"].texts == [("one\nb, two",), ("three",)]
