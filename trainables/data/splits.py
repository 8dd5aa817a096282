"""Operations on a task's splits: limits, the selection split, checks and the fingerprint.

Every random choice is seeded with the fingerprint of the data it is made on, so it is the same in
every trial and for every seed, and changes when the data change.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trainables.data.task import Split
from trainables.errors import DataError


@dataclass(frozen=True)
class RawTask:
    """The data of a task as its source provides it.

    Attributes:
        labels: label names, in the order of their numbers; none of a regression.
        splits: ``train`` and ``validation``; if they exist, ``mismatched`` and, with true labels,
            ``test``.
        origin: one line that says where the examples came from, without absolute paths.
    """

    labels: tuple[str, ...]
    splits: dict[str, Split]
    origin: str


def fingerprint(labels: tuple[str, ...], splits: Mapping[str, Split]) -> str:
    """Hexadecimal SHA-256 over label names, split names, texts and label numbers or targets.

    Every string is preceded by its length in bytes and every list by its length, so that different
    contents are never encoded alike. Splits are added in the order of their names.
    """
    digest = hashlib.sha256()
    _update(digest, labels)
    for name in sorted(splits):
        split = splits[name]
        _update(digest, (name,))
        digest.update(np.fromiter(map(len, split.texts), "<i8", len(split)).tobytes())
        _update(digest, [text for example in split.texts for text in example])
        digest.update(split.labels.astype(f"<{split.labels.dtype.kind}8").tobytes())
    return digest.hexdigest()


def _update(digest: "hashlib._Hash", strings: list[str] | tuple[str, ...]) -> None:
    """Add a list of strings to ``digest``: their number, their lengths, then all their bytes."""
    encoded = [string.encode("utf-8") for string in strings]
    lengths = np.fromiter(map(len, encoded), "<i8", len(encoded))
    digest.update(len(encoded).to_bytes(8, "little"))
    digest.update(lengths.tobytes())
    digest.update(b"".join(encoded))


def cap(split: Split, limit: int | None) -> Split:
    """A random stratified subset of at most ``limit`` examples, in their original order.

    Each class that occurs keeps at least one example if ``limit`` allows it. None for no limit.
    """
    if limit is None or len(split) <= limit:
        return split
    counts = np.bincount(split.strata)
    lowest = np.minimum(counts, 1) if limit >= np.count_nonzero(counts) else np.zeros_like(counts)
    chosen = _draw(split, _shares(counts, limit, lowest, counts), "cap")
    return split.take(chosen)


def carve(
    train: Split, fraction: float, purpose: str = "selection", *, any_order: bool = False
) -> tuple[Split, Split]:
    """Divide ``train`` into a smaller ``train`` and another split, stratified (``Split.strata``).

    The other split gets ``fraction`` of the examples (rounded), as nearly as blocks allow: copies
    of a text and the examples of a group stay together. A class with two or more blocks has
    at least one on each side, and a class with a single one stays in ``train``, where other classes
    in the same blocks allow it.

    Args:
        train: the examples.
        fraction: share of them.
        purpose: name of the other split; another name draws other examples.
        any_order: whether a pair in the other order is a copy.

    Returns:
        The smaller ``train``, and the other split, which is empty if nothing can be carved.
    """
    counts = np.bincount(train.strata)
    highest = np.maximum(counts - 1, 0)
    wanted = max(round(fraction * len(train)), 1)
    shares = _shares(counts, wanted, np.minimum(highest, 1), highest)
    chosen = _draw_blocks(train, _blocks(train, any_order), shares, purpose)
    return train.take(np.setdiff1d(np.arange(len(train)), chosen)), train.take(chosen)


def _blocks(split: Split, any_order: bool) -> np.ndarray:
    """The block of each example, int64 of shape ``(examples,)``: the index of one in it.

    Two examples are in one block if they have the same texts or group, or both share one with a
    third, and so on.
    """
    blocks = list(range(len(split)))

    def root(example: int) -> int:
        while blocks[example] != example:
            blocks[example] = example = blocks[blocks[example]]
        return example

    for values in (
        split.same_texts(any_order),
        () if split.groups is None else split.groups.tolist(),
    ):
        first: dict[object, int] = {}
        for example, value in enumerate(values):
            blocks[root(example)] = root(first.setdefault(value, example))
    return np.array([root(example) for example in range(len(split))])


class _BlockDraw:
    """Whole blocks that are drawn until their classes have about the wanted numbers of examples.

    Args:
        labels: of all examples, int64 of shape ``(examples,)``.
        shares: wanted examples of each class, int64 of shape ``(classes,)``.

    Attributes:
        taken: drawn examples of each class, int64 of shape ``(classes,)``.
        chosen: the drawn examples.
    """

    def __init__(self, labels: np.ndarray, shares: np.ndarray) -> None:
        self.taken = np.zeros_like(shares)
        self.chosen: list[int] = []
        self._labels = labels
        self._shares = shares
        self._most = np.bincount(labels) - 1

    def content(self, block: list[int]) -> np.ndarray:
        """Examples of each class in a block, shape ``(classes,)``."""
        return np.bincount(self._labels[block], minlength=len(self._shares))

    def distance(self, block: list[int] | None = None) -> int:
        """How many examples are missing or too many, with ``block``."""
        taken = self.taken if block is None else self.taken + self.content(block)
        return int(np.abs(taken - self._shares).sum())

    def fits(self, block: list[int]) -> bool:
        """Whether every class of ``block`` still has an example that is not drawn."""
        added = self.content(block)
        return bool(((self.taken + added <= self._most) | (added == 0)).all())

    def take(self, block: list[int]) -> None:
        """Draw a block."""
        self.taken += self.content(block)
        self.chosen += block


def _draw_blocks(split: Split, blocks: np.ndarray, shares: np.ndarray, purpose: str) -> np.ndarray:
    """Sorted indices of whole blocks with about ``shares[k]`` examples of every class ``k``.

    Blocks are taken in a random order, each if it brings the classes nearer to their shares. Then
    every class that was left out gets the block that takes the classes least far from them.
    """
    generator = _generator(split, purpose)
    ranks = np.empty(len(split))
    for label in range(len(shares)):
        members = generator.permutation(np.flatnonzero(split.strata == label))
        ranks[members] = (np.arange(len(members)) + 0.5) / max(len(members), 1)
    ordered: dict[int, list[int]] = {}
    for example in np.argsort(ranks, kind="stable").tolist():
        ordered.setdefault(int(blocks[example]), []).append(example)
    draw = _BlockDraw(split.strata, shares)
    for block in ordered.values():
        if not draw.distance():
            break
        if draw.distance(block) < draw.distance() and draw.fits(block):
            draw.take(block)
    for label in np.flatnonzero(shares):
        if not draw.taken[label]:
            holders = [block for block in ordered.values() if draw.content(block)[label]]
            possible = [block for block in holders if draw.fits(block)]
            if possible:
                draw.take(min(possible, key=draw.distance))
    return np.sort(np.array(draw.chosen, dtype=np.int64))


def in_both_orders(split: Split) -> Split:
    """All pairs, followed by the same pairs with their two texts swapped."""
    swapped = [texts[::-1] for texts in split.texts]
    return Split([*split.texts, *swapped], np.tile(split.labels, 2))


def _shares(counts: np.ndarray, total: int, lowest: np.ndarray, highest: np.ndarray) -> np.ndarray:
    """Number of examples to draw from each class: largest-remainder rounding within bounds.

    Args:
        counts: examples per class, shape ``(classes,)``.
        total: examples to draw in all.
        lowest: fewest examples per class, shape ``(classes,)``.
        highest: most examples per class, shape ``(classes,)``.

    Returns:
        Examples per class, shape ``(classes,)``; they sum to ``total`` if the bounds allow it.
    """
    exact = counts * (total / counts.sum())
    shares = np.clip(np.floor(exact).astype(np.int64), lowest, highest)
    while (missing := total - shares.sum()) != 0:
        step = 1 if missing > 0 else -1
        possible = shares < highest if step > 0 else shares > lowest
        if not possible.any():
            break
        shares[np.argmax(np.where(possible, step * (exact - shares), -np.inf))] += step
    return shares


def _draw(split: Split, shares: np.ndarray, purpose: str) -> np.ndarray:
    """Sorted indices of ``shares[k]`` random examples of every class ``k``."""
    generator = _generator(split, purpose)
    drawn = [
        generator.permutation(np.flatnonzero(split.strata == label))[:share]
        for label, share in enumerate(shares)
    ]
    return np.sort(np.concatenate(drawn))


def _generator(split: Split, purpose: str) -> np.random.Generator:
    """The source of randomness for a choice among the examples of a split."""
    return np.random.default_rng(int(fingerprint((purpose,), {"": split}), 16))


def check(name: str, raw: RawTask, fields: int) -> None:
    """Check that a task can be trained and evaluated.

    Raises:
        DataError: a missing or empty split, another number of text fields than the task names,
            a label out of range, or fewer than two classes or targets in ``train``.
    """
    prefix = f"task {name} ({raw.origin})"
    for split_name in ("train", "validation"):
        if split_name not in raw.splits:
            raise DataError(f"{prefix}: it has no {split_name} split, which every task needs")
    for split_name, split in raw.splits.items():
        if not len(split):
            raise DataError(f"{prefix}: the {split_name} split is empty; give it examples")
        numbers = {len(texts) for texts in split.texts}
        if numbers != {fields}:
            raise DataError(
                f"{prefix}: its examples have {' or '.join(map(str, sorted(numbers)))} text "
                f"field(s), define.tasks.{name}.text names {fields}"
            )
        if not raw.labels:
            continue
        low, high = int(split.labels.min()), int(split.labels.max())
        if low < 0 or high >= len(raw.labels):
            raise DataError(
                f"{prefix}: the {split_name} split has label {low if low < 0 else high}, outside "
                f"0..{len(raw.labels) - 1}; give define.tasks.{name}.labels every label"
            )
    classes = np.unique(raw.splits["train"].labels)
    if len(classes) < 2 and not raw.labels:
        raise DataError(
            f"{prefix}: every train example has the target {classes[0]:g}; there is nothing to "
            "learn from equal targets"
        )
    if len(classes) < 2:
        raise DataError(
            f"{prefix}: every train example is labelled {raw.labels[classes[0]]!r}; "
            "a classifier needs at least 2 classes"
        )
