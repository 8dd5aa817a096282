"""Properties of caps, carving, checks and fingerprints."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.data.splits import RawTask, cap, carve, check, fingerprint
from trainables.data.task import Split
from trainables.errors import DataError

COUNTS = st.lists(st.integers(0, 30), min_size=2, max_size=4).filter(lambda c: sum(c) > 1)


def make_split(counts: list[int], word: str = "text") -> Split:
    labels = np.repeat(np.arange(len(counts)), counts)
    np.random.default_rng(0).shuffle(labels)
    return Split([(f"{word} {i}",) for i in range(len(labels))], labels.astype(np.int64))


@given(COUNTS, st.integers(1, 80))
def test_cap_keeps_shares_and_order(counts: list[int], limit: int) -> None:
    split = make_split(counts)
    capped = cap(split, limit)
    assert len(capped) == min(limit, len(split))
    positions = [int(text.split()[1]) for (text,) in capped.texts]
    assert positions == sorted(set(positions))
    assert (split.labels[positions] == capped.labels).all()
    kept = np.bincount(capped.labels, minlength=len(counts))
    if len(split) > limit >= np.count_nonzero(counts):
        exact = np.array(counts) * limit / len(split)
        assert (kept[np.array(counts) > 0] >= 1).all()
        assert (np.abs(kept - exact) < len(counts)).all()


@given(COUNTS, st.floats(0.01, 0.99))
def test_carve_divides_and_leaves_every_class_on_both_sides(
    counts: list[int], fraction: float
) -> None:
    train = make_split(counts)
    rest, selection = carve(train, fraction)
    assert sorted(rest.texts + selection.texts) == sorted(train.texts)
    for label, count in enumerate(counts):
        inside = int((selection.labels == label).sum())
        if count < 2:
            assert inside == 0
        else:
            assert 1 <= inside <= count - 1
            assert abs(inside - fraction * count) < len(counts) + 1


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 2), st.integers(0, 12))), st.data())
def test_carve_divides_no_text_and_no_group(
    rows: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    rows = [*rows, (20, 0, 20), (21, 0, 21), (22, 1, 22), (23, 1, 23)]
    texts, labels, groups = zip(*rows, strict=True)
    with_groups = data.draw(st.booleans())
    train = Split(
        [(f"text {text}",) for text in texts],
        np.array(labels),
        np.array(groups) if with_groups else None,
    )
    rest, other = carve(train, data.draw(st.floats(0.01, 0.99)))
    assert sorted(rest.texts + other.texts) == sorted(train.texts)
    assert not set(rest.texts) & set(other.texts)
    if with_groups:
        assert rest.groups is not None
        assert other.groups is not None
        assert not {*rest.groups.tolist()} & {*other.groups.tolist()}
    for label in (0, 1):
        assert label in rest.labels
        assert label in other.labels
    assert set(train.labels.tolist()) == set(rest.labels.tolist())


def test_carve_without_copies_draws_what_it_always_did() -> None:
    """A known value: keys of trials with a selection split depend on it."""
    _, selection = carve(make_split([30, 20, 10]), 0.1)
    numbers = [int(text.split()[1]) for (text,) in selection.texts]
    assert numbers == [10, 14, 20, 22, 35, 44]


@pytest.mark.parametrize("size", [2, 7])
def test_carve_with_groups_comes_near_the_fraction_and_the_classes_shares(size: int) -> None:
    split = make_split([600, 300, 100])
    groups = np.arange(1000) // size
    _, selection = carve(Split(split.texts, split.labels, groups), 0.2)
    counts = np.bincount(selection.labels, minlength=3)
    assert np.abs(counts - [120, 60, 20]).sum() <= 2 * size


def test_carve_another_split_draws_other_examples() -> None:
    split = make_split([60, 40])
    assert carve(split, 0.2)[1].texts != carve(split, 0.2, "validation")[1].texts


@pytest.mark.parametrize("groups", [None, np.zeros(6, dtype=np.int64)])
def test_carve_takes_nothing_where_all_hangs_together(groups: np.ndarray | None) -> None:
    texts = [("same",)] * 6 if groups is None else [(str(i),) for i in range(6)]
    rest, other = carve(Split(texts, np.array([0, 1] * 3), groups), 0.5)
    assert (len(rest), len(other)) == (6, 0)


def scored(targets: list[float]) -> Split:
    return Split([(f"text {i}",) for i in range(len(targets))], np.array(targets))


@given(st.lists(st.floats(0, 5), min_size=100, max_size=300), st.floats(0.1, 0.9))
def test_a_regression_is_carved_by_quantile(targets: list[float], fraction: float) -> None:
    train = scored(targets)
    rest, selection = carve(train, fraction)
    assert sorted(rest.texts + selection.texts) == sorted(train.texts)
    assert abs(len(selection) - fraction * len(train)) < 11
    strata = dict(zip(train.texts, train.strata.tolist(), strict=True))
    whole, drawn = (
        np.bincount([strata[text] for text in split.texts], minlength=10)
        for split in (train, selection)
    )
    assert (np.abs(drawn - fraction * whole) < 3).all()


def test_the_quantiles_of_a_regression() -> None:
    assert scored([float(i) for i in range(100)]).strata.tolist() == [i // 10 for i in range(100)]
    assert scored([0.0] * 50 + [5.0] * 50).strata.tolist() == [0] * 50 + [1] * 50
    assert scored([3.0, 1.0, 2.0]).strata.tolist() == [0, 0, 0]
    assert len(cap(scored([0.1 * i for i in range(30)]), 7)) == 7


def test_a_fingerprint_tells_targets_from_each_other_and_from_classes() -> None:
    prints = {
        fingerprint((), {"train": split})
        for split in (scored([1.0, 2.0]), scored([1.0, 2.5]), make_split([0, 1, 1], "text"))
    }
    assert len(prints) == 3


def test_equal_targets_are_refused() -> None:
    splits = {"train": scored([2.0, 2.0]), "validation": scored([2.0, 3.0])}
    with pytest.raises(DataError, match="every train example has the target 2;"):
        check("t", RawTask((), splits, "files"), 1)
    check("t", RawTask((), {"train": splits["validation"], "validation": splits["train"]}, ""), 1)


@pytest.mark.parametrize(
    "draw", [lambda s: cap(s, 50), lambda s: carve(s, 0.3)[1]], ids=["cap", "carve"]
)
def test_random_subsets_depend_on_the_data_alone(draw) -> None:
    np.random.seed(1)
    first = draw(make_split([60, 40]))
    np.random.seed(2)
    assert draw(make_split([60, 40])).texts == first.texts
    numbers = [text.split()[1] for (text,) in first.texts]
    others = [text.split()[1] for (text,) in draw(make_split([60, 40], word="other")).texts]
    assert numbers != others


def test_known_shares() -> None:
    _, selection = carve(make_split([700, 300]), 0.1)
    assert np.bincount(selection.labels).tolist() == [70, 30]
    assert np.bincount(cap(make_split([700, 300]), 10).labels).tolist() == [7, 3]


BASE = {
    "train": Split([("ab", "c")], np.array([0])),
    "validation": Split([("d", "")], np.array([1])),
}


@pytest.mark.parametrize(
    ("labels", "changed"),
    [
        (("n", "p"), {"train": Split([("a", "bc")], np.array([0]))}),
        (("n", "p"), {"train": Split([("ab", "d")], np.array([0]))}),
        (("n", "p"), {"train": Split([("ab", "c")], np.array([1]))}),
        (("n", "p"), {"train": Split([("ab",), ("c",)], np.array([0]))}),
        (("n", "p"), {"test": Split([("ab", "c")], np.array([0]))}),
        (("np", ""), {}),
        (("p", "n"), {}),
    ],
)
def test_fingerprint_tells_contents_apart(labels, changed) -> None:
    assert fingerprint(labels, BASE | changed) != fingerprint(("n", "p"), BASE)


def test_fingerprint_ignores_the_order_of_splits_and_is_stable() -> None:
    backwards = dict(reversed(BASE.items()))
    assert fingerprint(("n", "p"), backwards) == fingerprint(("n", "p"), BASE)
    # A known value: caches and trial keys must survive a new version of the code.
    expected = "dfdddb7ff8464af84c8944252898bf0180abf3ba45946b17701672a930c1e01a"
    assert fingerprint(("n", "p"), BASE) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": Split([], np.array([], dtype=np.int64))}, "train split is empty"),
        ({"train": make_split([5, 0])}, "'n'; a classifier needs at least 2 classes"),
        ({"train": make_split([2, 2, 2])}, r"train split has label 2, outside 0\.\.1"),
        ({"validation": Split([("x",)], np.array([-1]))}, "validation split has label -1"),
        ({"validation": Split([("x", "y")], np.array([0]))}, r"define\.tasks\.mine\.text names 1"),
    ],
)
def test_check_refuses(change: dict[str, Split], message: str) -> None:
    splits = {"train": make_split([3, 3]), "validation": make_split([1, 1])} | change
    with pytest.raises(DataError, match=message):
        check("mine", RawTask(("n", "p"), splits, "files"), 1)


def test_check_needs_validation() -> None:
    with pytest.raises(DataError, match="no validation split"):
        check("mine", RawTask(("n", "p"), {"train": make_split([3, 3])}, "files"), 1)


def test_check_allows_a_label_that_never_occurs() -> None:
    splits = {"train": make_split([3, 3]), "validation": make_split([1, 1])}
    check("mine", RawTask(("n", "p", "never"), splits, "files"), 1)
