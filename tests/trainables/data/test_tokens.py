"""The token cache: the tokenizer's own numbers, built once, made anew when damaged."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertTokenizer, PreTrainedTokenizerBase

from tests.helpers.forks import SERVER
from trainables.data import token_cache, tokens
from trainables.data.splits import fingerprint
from trainables.data.task import Split, TaskData
from trainables.data.tokens import (
    TokenSplit,
    padded_length,
    tokenize_task,
    tokenizer_fingerprint,
)
from trainables.errors import DataError, EncoderError

WORDS = ["the", "cat", "sat", "mat", "on", "a", "big", "##s", "mine", ":", ".", '"', "dog"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def make_tokenizer(*extra: str, **options) -> PreTrainedTokenizerBase:
    vocabulary = {word: number for number, word in enumerate([*SPECIAL, *WORDS, *extra])}
    return BertTokenizer(vocab=vocabulary, **options)


def make_task(size: int = 50, pair: bool = False, word: str = "cat") -> TaskData:
    def text(i: int) -> str:
        return " ".join(["the", word, *(["sat on", "a big"][i % 2],) * (i % 5)])

    texts = [(text(i), text(3 * i + 1)) if pair else (text(i),) for i in range(size)]
    splits = {
        "train": Split(texts, np.arange(size, dtype=np.int64) % 2),
        "validation": Split(texts[:7], np.arange(7, dtype=np.int64) % 2),
    }
    labels = ("n", "p")
    return TaskData("mine", labels, splits, fingerprint(labels, splits), "test", pair)


def tokenize(task: TaskData, cache: Path, **changes) -> dict[str, TokenSplit]:
    options = {"tokenizer": make_tokenizer(), "max_length": 16, "prefix": None} | changes
    return tokenize_task(task, **options, cache_dir=cache)


def folders(cache: Path) -> list[Path]:
    return [path for path in (cache / "tokens").iterdir() if path.is_dir()]


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that were built; and this process has verified none yet."""
    built: list[Path] = []
    build = token_cache.build

    def counting(folder: Path, make) -> None:
        built.append(folder)
        build(folder, make)

    monkeypatch.setattr(token_cache, "build", counting)
    monkeypatch.setattr(token_cache, "_verified", set())
    return built


@pytest.mark.parametrize("pair", [False, True])
@pytest.mark.parametrize("max_length", [8, 16])
@pytest.mark.parametrize("prefix", [None, "mine"])
@pytest.mark.parametrize("inputs", [["input_ids", "attention_mask"], None])
def test_a_batch_is_what_the_tokenizer_gives(
    tmp_path: Path, pair: bool, max_length: int, prefix: str | None, inputs
) -> None:
    tokenizer = make_tokenizer(padding_side="left")
    if inputs is not None:
        tokenizer.model_input_names = inputs
    task = make_task(pair=pair)
    data = tokenize(task, tmp_path, tokenizer=tokenizer, max_length=max_length, prefix=prefix)
    indices = np.array([4, 49, 0, 7, 7])
    batch = data["train"].collate(indices)
    columns = list(zip(*(task.splits["train"].texts[i] for i in indices), strict=True))
    first = [text if prefix is None else f"mine: {text}" for text in columns[0]]
    second = list(columns[1]) if pair else None
    tokenizer.padding_side = "right"
    expected = tokenizer(
        first,
        second,
        truncation="longest_first",
        max_length=max_length,
        padding=True,
        return_tensors="pt",
    )
    texts = batch.pop("texts", None)
    assert (texts is not None) == pair
    if texts is not None:
        for row, row_texts in enumerate(texts.tolist()):
            assert row_texts == [0 if t is None else t + 1 for t in expected.sequence_ids(row)]
    assert set(batch) == {*expected, "labels"}
    assert ("token_type_ids" in batch) == (inputs is None)
    for name, tensor in expected.items():
        assert torch.equal(batch[name], tensor), name
        assert batch[name].dtype == torch.int64
    assert batch["labels"].tolist() == [i % 2 for i in indices]
    assert data["train"].lengths[indices].tolist() == expected["attention_mask"].sum(1).tolist()
    if pair and inputs is None:
        assert batch["token_type_ids"].sum() > 0


def test_batches_have_few_lengths() -> None:
    known = {1: 1, 15: 15, 16: 16, 17: 18, 33: 36, 63: 64, 65: 72, 127: 128, 128: 128, 500: 512}
    assert {longest: padded_length(longest) for longest in known} == known
    lengths = range(1, 1025)
    assert all(0 <= padded_length(n) - n <= n / 8 for n in lengths)
    assert len(set(map(padded_length, lengths))) == 16 + 6 * 8
    # No longer than the longest text, which may be as long as the encoder can read.
    sizes = np.array([3, 17, 35])
    split = TokenSplit(
        ids=np.ones(sizes.sum(), np.int32),
        segments=None,
        texts=None,
        offsets=np.concatenate([[0], np.cumsum(sizes)]),
        labels=np.zeros(3, np.int64),
        pad_id=7,
    )
    batch = split.collate(np.array([0, 1]))
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (2, 18)
    assert batch["attention_mask"].sum(dim=1).tolist() == [3, 17]
    assert batch["input_ids"][:, 17].tolist() == [7, 7]
    assert split.collate(np.array([2]))["input_ids"].shape == (1, 35)


def test_splits_are_memory_maps_that_a_batch_does_not_touch(tmp_path: Path) -> None:
    split = tokenize(make_task(), tmp_path)["train"]
    assert len(split) == 50
    assert isinstance(split.ids, np.memmap)
    assert (split.ids.dtype, split.offsets.dtype, split.labels.dtype) == (
        np.int32,
        np.int64,
        np.int64,
    )
    before = split.collate(np.array([1, 2]))
    before["labels"] += 1
    before["input_ids"].zero_()
    assert split.collate(np.array([1, 2]))["labels"].tolist() == [1, 0]


def test_tokenised_once_per_content(tmp_path: Path, builds: list[Path]) -> None:
    for _ in range(2):
        tokenize(make_task(), tmp_path)
    assert len(builds) == 1
    changes = [
        {"max_length": 8},
        {"prefix": "mine"},
        {"prefix": ""},
        {"tokenizer": make_tokenizer("bird")},
        {"tokenizer": make_tokenizer(do_lower_case=False)},
        {"tokenizer": make_tokenizer(truncation_side="left")},
    ]
    for change in changes:
        tokenize(make_task(), tmp_path, **change)
    tokenize(make_task(word="dog"), tmp_path)
    assert len(set(builds)) == len(builds) == 2 + len(changes)


def test_fingerprint_of_a_tokenizer_forgets_its_last_call() -> None:
    tokenizer = make_tokenizer()
    before = tokenizer_fingerprint(tokenizer)
    tokenizer(["the cat", "a"], truncation=True, max_length=3, padding="max_length")
    assert tokenizer_fingerprint(tokenizer) == before


SIZES = {"cat": 3000, "dog": 500, "mat": 400}
"""Tasks that several processes ask for: a word that all their texts have, and their examples."""

DEATHS = dict(zip(SIZES, ("before the first file", "amid the second", "unnamed"), strict=True))


def _ask(cache: str, barrier, words: tuple[str, ...], built) -> None:
    """What one of several processes does."""
    build = token_cache.build

    def counting(folder: Path, make) -> None:
        with built.get_lock():
            built.value += 1
        build(folder, make)

    token_cache.build = counting
    torch.set_num_threads(1)
    barrier.wait(60)
    for word in words:
        data = tokenize(make_task(size=SIZES[word], word=word), Path(cache))
        assert len(data["train"]) == SIZES[word]
        batch = data["train"].collate(np.array([SIZES[word] - 9]))
        assert batch["input_ids"].tolist() == [make_tokenizer()(f"the {word} a big").input_ids]
        assert batch["labels"].tolist() == [1]


def _die(cache: str, barrier, word: str) -> None:
    """What a process does that holds the lock when the others come, and is killed as it builds."""
    build, save, saved = token_cache.build, np.save, []

    def die(*_) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def building(folder: Path, make) -> None:
        barrier.wait(60)
        time.sleep(0.1)
        if DEATHS[word] == "before the first file":
            die()
        build(folder, make)

    def saving(file, array) -> None:
        if DEATHS[word] == "amid the second" and saved:
            file.write(b"half")
            file.flush()
            die()
        save(file, array)
        saved.append(file)

    token_cache.build, token_cache.np.save, token_cache.sync_folder = building, saving, die
    tokenize(make_task(size=SIZES[word], word=word), Path(cache))


def test_of_processes_that_ask_at_once_the_living_read_whole_tokens_whoever_is_killed(
    tmp_path: Path,
) -> None:
    barrier, built = SERVER.Barrier(8), SERVER.Value("i", 0)
    words, cache = tuple(SIZES), str(tmp_path)
    dying = [SERVER.Process(target=_die, args=(cache, barrier, word)) for word in words]
    asking = [
        SERVER.Process(target=_ask, args=(cache, barrier, words[i % 3 :] + words[: i % 3], built))
        for i in range(5)
    ]
    for process in (*dying, *asking):
        process.start()
    for process in (*dying, *asking):
        process.join(120)
    assert [process.exitcode for process in dying] == [-signal.SIGKILL] * 3
    assert [process.exitcode for process in asking] == [0] * 5
    assert built.value == 3
    # Nor is anything left of what the dead had begun.
    assert len(folders(tmp_path)) == 3
    assert all(token_cache.is_intact(folder) for folder in folders(tmp_path))


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "shorter": lambda folder: os.truncate(folder / "train.ids.npy", 200),
    "flipped": lambda folder: _flip(folder / "train.ids.npy"),
    "lost": lambda folder: (folder / "train.segments.npy").unlink(),
    "no manifest": lambda folder: (folder / "manifest.json").unlink(),
    "half a manifest": lambda folder: os.truncate(folder / "manifest.json", 30),
    "empty manifest": lambda folder: (folder / "manifest.json").write_text("{}"),
    "other manifest": lambda folder: (folder / "manifest.json").write_text(
        json.dumps(json.loads((folder / "manifest.json").read_text()) | {"files": {}})
    ),
    "list manifest": lambda folder: (folder / "manifest.json").write_text("[1]"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_folder_is_built_again(tmp_path: Path, builds: list[Path], damage: str) -> None:
    expected = np.array(tokenize(make_task(), tmp_path)["train"].ids)
    (folder,) = folders(tmp_path)
    token_cache._verified.clear()
    DAMAGE[damage](folder)
    data = tokenize(make_task(), tmp_path)
    assert len(builds) == 2
    assert (data["train"].ids == expected).all()
    assert data["train"].segments is not None
    tokenize(make_task(), tmp_path)
    assert len(builds) == 2


def test_a_changed_size_is_seen_at_every_opening(tmp_path: Path, builds: list[Path]) -> None:
    tokenize(make_task(), tmp_path)
    tokenize(make_task(), tmp_path)
    os.truncate(folders(tmp_path)[0] / "train.labels.npy", 140)
    tokenize(make_task(), tmp_path)
    assert len(builds) == 2


def test_what_a_killed_build_left_is_cleared_away(tmp_path: Path) -> None:
    tokenize(make_task(), tmp_path)
    (folder,) = folders(tmp_path)
    left_over = folder.parent / f".{folder.name}.killed"
    shutil.copytree(folder, left_over)
    shutil.rmtree(folder)
    tokenize(make_task(), tmp_path)
    assert folders(tmp_path) == [folder]
    assert not left_over.exists()


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be used: Not a directory; set data.cache_dir or"):
        tokenize(make_task(), tmp_path / "file")


FULL_DISK = """
import resource
from pathlib import Path
from tests.trainables.data.test_tokens import make_task, tokenize
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    tokenize(make_task(size=3000), Path({cache!r}))
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_disk_that_fills_up_leaves_nothing_behind(tmp_path: Path) -> None:
    code = FULL_DISK.format(cache=str(tmp_path))
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert "DataError" in result.stdout
    assert "set data.cache_dir or" in result.stdout
    assert folders(tmp_path) == []


def test_a_read_only_cache_is_read_and_what_it_lacks_is_made_for_this_process(
    tmp_path: Path, monkeypatch
) -> None:
    expected = tokenize(make_task(), tmp_path)
    other = tokenize(make_task(word="dog", pair=True), tmp_path / "other")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(tokens.filelock, "FileLock", refuse)
    for task, reference in ((make_task(), expected), (make_task(word="dog", pair=True), other)):
        tokenized = tokenize(task, tmp_path)
        for split in task.splits:
            batch = tokenized[split].collate(np.arange(7))
            for name, tensor in reference[split].collate(np.arange(7)).items():
                assert torch.equal(batch[name], tensor)
    assert len(folders(tmp_path)) == 1
    with pytest.raises(DataError, match=r"Permission denied; set data\.cache_dir or"):
        tokenize(make_task(), tmp_path / "new")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"ONE_OR_MANY_CACHE": "/own", "XDG_CACHE_HOME": "/xdg"}, "/own"),
        ({"XDG_CACHE_HOME": "/xdg"}, "/xdg/one-model-or-many"),
        ({}, "/home/me/.cache/one-model-or-many"),
    ],
)
def test_default_cache_dir(monkeypatch, environment: dict[str, str], expected: str) -> None:
    for name in ("ONE_OR_MANY_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **environment}.items():
        monkeypatch.setenv(name, value)
    assert token_cache.default_cache_dir() == Path(expected)


def test_a_tokenizer_without_padding(tmp_path: Path) -> None:
    tokenizer = make_tokenizer()
    tokenizer.pad_token = None
    with pytest.raises(EncoderError, match="no padding token"):
        tokenize(make_task(), tmp_path, tokenizer=tokenizer)


def test_a_text_of_which_no_token_is_left(tmp_path: Path) -> None:
    """An empty text is one where the tokenizer, like many decoders', adds nothing to it."""
    task = make_task()
    task.splits["train"].texts[3] = ("",)
    assert tokenize(task, tmp_path)["train"].lengths[3] == 2
    bare = make_tokenizer()
    bare.backend_tokenizer.post_processor = None  # type: ignore[attr-defined]
    with pytest.raises(DataError, match=r"example 3 \(from 0\) is empty"):
        tokenize(task, tmp_path, tokenizer=bare)
