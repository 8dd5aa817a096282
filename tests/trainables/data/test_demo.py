"""The demo corpora: what they promise about labels, repetitions, and counting words."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from trainables.data.demo import CORPORA, acceptability, generate, paraphrase
from trainables.data.demo.__main__ import main
from trainables.data.demo.baselines import bag_of_words, majority
from trainables.data.demo.grammar import TRAIN_SIZE, VALIDATION_SIZE, Draw
from trainables.data.task import Split
from trainables.errors import DataError

PROJECT = Path(__file__).resolve().parents[3]
POSITIVE_SHARE = {
    "acceptability": (0.65, 0.70),
    "sentiment": (0.5, 0.5),
    "paraphrase": (0.64, 0.66),
}
BALANCED = {"acceptability": acceptability.PHENOMENA, "paraphrase": paraphrase.KINDS}
"""Sentiment is meant to be told by its words, within limits."""

by_corpus = pytest.mark.parametrize("corpus", CORPORA)
by_kind = pytest.mark.parametrize(
    "build",
    [build for kinds in BALANCED.values() for build in kinds],
    ids=[f"{corpus}-{build.__name__}" for corpus, kinds in BALANCED.items() for build in kinds],
)


@pytest.fixture(scope="module")
def corpora() -> dict[str, dict[str, Split]]:
    return {corpus: generate(corpus) for corpus in CORPORA}


@by_corpus
def test_sizes_labels_and_class_shares(corpus: str, corpora) -> None:
    low, high = POSITIVE_SHARE[corpus]
    assert {name: len(split) for name, split in corpora[corpus].items()} == {
        "train": TRAIN_SIZE,
        "validation": VALIDATION_SIZE,
    }
    for split in corpora[corpus].values():
        assert split.labels.dtype == np.int64
        assert split.labels.shape == (len(split),)
        assert set(split.labels) == {0, 1}
        assert low <= split.labels.mean() <= high
        assert {len(texts) for texts in split.texts} == {2 if corpus == "paraphrase" else 1}


@by_corpus
def test_no_text_twice(corpus: str, corpora) -> None:
    """Also not in another case, in the other split, or as a pair the other way round."""
    texts = [texts for split in corpora[corpus].values() for texts in split.texts]
    keys = {tuple(sorted(text.lower() for text in example)) for example in texts}
    assert len(keys) == len(texts)


@by_corpus
def test_texts_are_clean_and_short(corpus: str, corpora) -> None:
    for split in corpora[corpus].values():
        for text in (text for texts in split.texts for text in texts):
            assert text == " ".join(text.split())
            assert not {" ,", " .", ",,", "/"} & {text[i : i + 2] for i in range(len(text))}
            assert 3 <= len(text.split()) <= 20, text


@by_corpus
def test_validation_has_words_that_training_never_shows(corpus: str, corpora) -> None:
    training_words, asked = (
        {word for texts in corpora[corpus][name].texts for text in texts for word in text.split()}
        for name in ("train", "validation")
    )
    assert len(asked - training_words) >= 5


def test_other_processes_generate_the_same(corpora) -> None:
    code = (
        "import json; from trainables.data.demo import CORPORA, generate\n"
        "for splits in map(generate, reversed(CORPORA)):\n"
        "    print(json.dumps([[s.texts, s.labels.tolist()] for s in splits.values()]))"
    )
    process = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout.splitlines() == [
        json.dumps([[s.texts, s.labels.tolist()] for s in corpora[corpus].values()])
        for corpus in reversed(CORPORA)
    ]


def test_generating_leaves_the_global_random_states_alone() -> None:
    before = random.getstate(), np.random.get_state()[1].tobytes()  # type: ignore[union-attr]
    generate("sentiment")
    assert (random.getstate(), np.random.get_state()[1].tobytes()) == before  # type: ignore[union-attr]


@by_kind
def test_counting_words_cannot_know_the_label_of_a_kind(build) -> None:
    """Within each kind, no word's mean count depends on the label."""
    size, draw = 3000, Draw(f"test {build.__name__}", held_out=True)
    texts = [" ".join(build(draw, bool(label))) for label in (0, 1) for _ in range(size)]
    vectorizer = CountVectorizer(token_pattern=r"\w+|[^\w\s]")
    counts = vectorizer.fit(texts).transform(texts).toarray()  # (examples, words)
    bad, good = counts[:size], counts[size:]
    spread = np.sqrt((bad.var(axis=0) + good.var(axis=0)) / size)
    gap = np.abs(bad.mean(axis=0) - good.mean(axis=0))
    # 5 standard errors: by chance, less than one word in a million.
    revealing = vectorizer.get_feature_names_out()[gap > 5 * spread + 1e-9]
    assert not len(revealing), (
        f"{build.__name__}: the counts of {revealing} differ between the labels"
    )


@pytest.mark.parametrize("build", list(paraphrase.KINDS), ids=lambda build: build.__name__)
def test_overlap_cannot_know_the_label_of_a_pair(build) -> None:
    draw = Draw(f"overlap {build.__name__}", held_out=True)

    def overlap(label: bool) -> float:
        first, second = (
            set(text.lower().replace(",", "").rstrip(".").split()) for text in build(draw, label)
        )
        return len(first & second) / len(first | second)

    means = [np.mean([overlap(label) for _ in range(2000)]) for label in (False, True)]
    assert means[1] == pytest.approx(means[0], abs=0.02)


@by_corpus
def test_counting_words_against_the_majority_class(corpus: str, corpora) -> None:
    floor, words = majority(corpora[corpus]), bag_of_words(corpora[corpus])
    said = f"{corpus}: majority class {floor}; words {words}"
    assert floor.matthews == 0, said
    if corpus == "sentiment":
        assert 0.6 <= words.accuracy <= 0.9, said
    else:
        assert abs(words.matthews) < 0.2, said
        assert words.accuracy < floor.accuracy + 0.04, said


def test_the_command_shows_every_corpus(capsys: pytest.CaptureFixture[str]) -> None:
    main()
    out = capsys.readouterr().out
    for corpus in CORPORA:
        assert corpus in out
    assert out.count("majority class") == out.count("word pairs") == len(CORPORA)


def test_an_unknown_corpus_is_named() -> None:
    with pytest.raises(DataError, match=r"'cola'.*acceptability, sentiment, paraphrase"):
        generate("cola")
