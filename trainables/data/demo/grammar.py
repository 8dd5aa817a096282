"""Shared machinery of the demo corpora: reproducible draws, sentences and splits."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from trainables.data.demo.lexicon import HELD_OUT
from trainables.data.task import Split

TRAIN_SIZE = 2000
VALIDATION_SIZE = 400

T = TypeVar("T")
Build = Callable[["Draw", bool], tuple[str, ...]]
"""Generates the texts of one example with the given label (True for class 1)."""


class Draw:
    """Random choices that use ``random.Random.random`` alone.

    That stream is the same in every version of Python, whatever PYTHONHASHSEED is.

    Args:
        seed: the seed, any text.
        held_out: whether to draw the words held out for validation too.
    """

    def __init__(self, seed: str, held_out: bool) -> None:
        self._random = random.Random(seed)
        self._held_out = held_out

    def choice(self, options: Sequence[T]) -> T:
        """One of ``options``, all equally likely."""
        return options[int(self._random.random() * len(options))]

    def word(self, words: Sequence[T]) -> T:
        """One of ``words``; without ``held_out`` none of their last sixth."""
        return self.choice(
            words if self._held_out else words[: len(words) - len(words) // HELD_OUT]
        )

    def words(self, words: Sequence[T], count: int) -> list[T]:
        """``count`` different words of ``words``, in the order drawn."""
        drawn: list[T] = []
        while len(drawn) < count:
            word = self.word(words)
            if word not in drawn:
                drawn.append(word)
        return drawn

    def coin(self) -> bool:
        """True half of the time."""
        return self._random.random() < 0.5

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """``items`` in random order."""
        order = sorted((self._random.random(), i) for i in range(len(items)))
        return [items[i] for _, i in order]


def sentence(*words: str, end: str = ".") -> str:
    """Join words to a sentence with a capital and ``end``; empty words are left out."""
    text = " ".join(word for word in words if word).replace(" ,", ",")
    return text[0].upper() + text[1:] + end


def make_splits(name: str, kinds: Mapping[Build, int], share: float) -> dict[str, Split]:
    """Generate both splits of a corpus.

    Each kind of example has a part of a split in proportion to its weight and, within it, the same
    share of class 1, so the kind says nothing about the label. No text occurs twice, not even in
    the other split, with another case or with the sentences of a pair swapped.

    Args:
        name: name of the corpus, which seeds the random choices.
        kinds: function that generates an example -> weight.
        share: share of class 1.
    """
    used: set[tuple[str, ...]] = set()
    splits = {}
    for split, size in (("train", TRAIN_SIZE), ("validation", VALIDATION_SIZE)):
        draw = Draw(f"{name} {split}", held_out=split == "validation")
        texts, labels = [], []
        for build, label in draw.shuffled(_plan(kinds, share, size)):
            while True:
                example = build(draw, label)
                key = tuple(sorted(text.lower() for text in example))
                if key not in used:
                    break
            used.add(key)
            texts.append(example)
            labels.append(int(label))
        splits[split] = Split(texts, np.array(labels, dtype=np.int64))
    return splits


def _plan(kinds: Mapping[Build, int], share: float, size: int) -> list[tuple[Build, bool]]:
    """The generating function and label of every example of a split.

    Rounding is cumulative over the kinds, so that the split's size and class share are met.
    """
    plan: list[tuple[Build, bool]] = []
    total, weight, positives = sum(kinds.values()), 0, 0
    for build, part in kinds.items():
        weight += part
        count = round(size * weight / total) - len(plan)
        good = min(count, round(share * size * weight / total) - positives)
        positives += good
        plan += [(build, True)] * good + [(build, False)] * (count - good)
    return plan
