"""Which classes ``naive_concat``'s one classifier has, and which of them are a task's own."""

import pytest

from trainables.data.label_space import label_space

SENTIMENT = ("negative", "positive")


@pytest.mark.parametrize(
    ("labels", "name", "classes", "by"),
    [
        ({"a": SENTIMENT, "b": SENTIMENT}, "shared", {"a": (0, 1), "b": (0, 1)}, "name"),
        ({"a": SENTIMENT, "b": SENTIMENT[::-1]}, "shared", {"a": (0, 1), "b": (1, 0)}, "name"),
        (
            {"a": ("x", "y", "z"), "b": ("z", "x", "y"), "c": ("y", "z", "x")},
            "shared",
            {"a": (0, 1, 2), "b": (2, 0, 1), "c": (1, 2, 0)},
            "name",
        ),
        ({"a": SENTIMENT, "b": ("no", "yes")}, "shared", {"a": (0, 1), "b": (0, 1)}, "position"),
        ({"a": SENTIMENT}, "shared", {"a": (0, 1)}, "position"),
        (
            {"a": SENTIMENT, "b": SENTIMENT[::-1]},
            "positions",
            {"a": (0, 1), "b": (0, 1)},
            "position",
        ),
        ({"a": SENTIMENT, "b": ("x", "y", "z")}, "union", {"a": (0, 1), "b": (2, 3, 4)}, "union"),
    ],
)
def test_classes(labels: dict, name, classes: dict, by: str) -> None:
    space = label_space(labels, name)
    assert (space.classes, space.by) == (classes, by)
    assert space.size == len({index for own in classes.values() for index in own})
    assert space.reordered == any(list(own) != sorted(own) for own in classes.values())


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"a": SENTIMENT, "b": ("x", "y", "z")}, r"equal numbers of labels \(a 2, b 3\)"),
        ({"a": SENTIMENT, "b": ("negative", "neutral")}, "a and b share 'negative' but not all"),
        # Two tasks alike and a third one that is not.
        ({"a": ("no", "yes"), "b": SENTIMENT, "c": SENTIMENT}, "b and c share 'negative' but"),
        # By position, one would be the other's opposite.
        (
            {"a": ("Negative", "Positive"), "b": SENTIMENT[::-1]},
            "a and b have 'Positive' and 'positive', which are alike but not the same",
        ),
        ({"a": ("not_same", "same"), "b": ("equal", "not same")}, "'not_same' and 'not same'"),
        ({"a": ("0", "1"), "b": ("1.0", "0.0")}, "'1' and '1.0', which are alike"),
        ({"a": ("caf\u00e9", "x"), "b": ("y", "CAFE\u0301")}, "which are alike"),
    ],
)
def test_names_that_are_partly_equal_have_no_shared_space(labels: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        label_space(labels, "shared")
