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
        labels: label names, in the order of their numbers.
        splits: ``train`` and ``validation``; if they exist, ``mismatched`` and, with true labels,
            ``test``.
        origin: one line that says where the examples came from, without absolute paths.
    """

    labels: tuple[str, ...]
    splits: dict[str, Split]
    origin: str


def fingerprint(labels: tuple[str, ...], splits: Mapping[str, Split]) -> str:
    """Hexadecimal SHA-256 over label names, split names, texts and label numbers.

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
        digest.update(split.labels.astype("<i8").tobytes())
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
    counts = np.bincount(split.labels)
    lowest = np.minimum(counts, 1) if limit >= np.count_nonzero(counts) else np.zeros_like(counts)
    chosen = _draw(split, _shares(counts, limit, lowest, counts), "cap")
    return split.take(chosen)


def carve(train: Split, fraction: float) -> tuple[Split, Split]:
    """Divide ``train`` into a smaller ``train`` and ``selection``, stratified by label.

    ``selection`` gets ``fraction`` of the examples (rounded). A class with two or more examples has
    at least one on each side; the example of a class with a single one stays in ``train``.

    Returns:
        The smaller ``train``, and ``selection``.
    """
    counts = np.bincount(train.labels)
    highest = np.maximum(counts - 1, 0)
    wanted = max(round(fraction * len(train)), 1)
    chosen = _draw(train, _shares(counts, wanted, np.minimum(highest, 1), highest), "selection")
    return train.take(np.setdiff1d(np.arange(len(train)), chosen)), train.take(chosen)


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
    seed = fingerprint((purpose,), {"": split})
    generator = np.random.default_rng(int(seed, 16))
    drawn = [
        generator.permutation(np.flatnonzero(split.labels == label))[:share]
        for label, share in enumerate(shares)
    ]
    return np.sort(np.concatenate(drawn))


def check(name: str, raw: RawTask, fields: int) -> None:
    """Check that a task can be trained and evaluated.

    Raises:
        DataError: a missing or empty split, another number of text fields than the task names,
            a label out of range, or fewer than two classes in ``train``.
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
        low, high = int(split.labels.min()), int(split.labels.max())
        if low < 0 or high >= len(raw.labels):
            raise DataError(
                f"{prefix}: the {split_name} split has label {low if low < 0 else high}, outside "
                f"0..{len(raw.labels) - 1}; give define.tasks.{name}.labels every label"
            )
    classes = np.unique(raw.splits["train"].labels)
    if len(classes) < 2:
        raise DataError(
            f"{prefix}: every train example is labelled {raw.labels[classes[0]]!r}; "
            "a classifier needs at least 2 classes"
        )
