"""How a demo corpus is put together: reproducible draws, finished sentences, two splits."""

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
"""Makes the texts of one example of the asked label (True: class 1)."""


class Draw:
    """Random choices made of ``random.Random.random`` alone.

    That stream is the same in every version of Python, whatever PYTHONHASHSEED is.

    Args:
        seed: name of the stream.
        everything: whether the words held out for validation may be drawn.
    """

    def __init__(self, seed: str, everything: bool) -> None:
        self._random = random.Random(seed)
        self._everything = everything

    def one(self, options: Sequence[T]) -> T:
        """Any of ``options``, all equally likely."""
        return options[int(self._random.random() * len(options))]

    def word(self, words: Sequence[T]) -> T:
        """Any of ``words``; where words are held out, none of their last sixth."""
        return self.one(words if self._everything else words[: len(words) - len(words) // HELD_OUT])

    def words(self, words: Sequence[T], count: int) -> list[T]:
        """``count`` different words."""
        found: list[T] = []
        while len(found) < count:
            word = self.word(words)
            if word not in found:
                found.append(word)
        return found

    def coin(self) -> bool:
        """True half of the time."""
        return self._random.random() < 0.5

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """``items`` in random order."""
        order = sorted((self._random.random(), i) for i in range(len(items)))
        return [items[i] for _, i in order]


def sentence(*words: str, end: str = ".") -> str:
    """Words as one sentence: single spaces, a capital, an end; empty words are left out."""
    text = " ".join(word for word in words if word).replace(" ,", ",")
    return text[0].upper() + text[1:] + end


def make_splits(name: str, kinds: Mapping[Build, int], share: float) -> dict[str, Split]:
    """Both splits of a corpus.

    Each kind of example has its part of a split (in proportion to its weight) and, within it, the
    same share of class 1: what a text is about says nothing about its label. Texts differ, also
    between the splits, when case and the order inside a pair are left aside.

    Args:
        name: the corpus, which seeds its stream.
        kinds: builder -> weight.
        share: of class 1.
    """
    seen: set[tuple[str, ...]] = set()
    splits = {}
    for split, size in (("train", TRAIN_SIZE), ("validation", VALIDATION_SIZE)):
        draw = Draw(f"{name} {split}", everything=split == "validation")
        texts, labels = [], []
        for build, label in draw.shuffled(_plan(kinds, share, size)):
            while True:
                example = build(draw, label)
                key = tuple(sorted(text.lower() for text in example))
                if key not in seen:
                    break
            seen.add(key)
            texts.append(example)
            labels.append(int(label))
        splits[split] = Split(texts, np.array(labels, dtype=np.int64))
    return splits


def _plan(kinds: Mapping[Build, int], share: float, size: int) -> list[tuple[Build, bool]]:
    """Builder and label of every example of a split.

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
