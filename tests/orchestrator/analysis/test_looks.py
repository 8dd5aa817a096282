"""Looks at a verdict, and the level of each."""

import pytest

from orchestrator.analysis.looks import Look


@pytest.mark.parametrize(
    ("look", "looks", "number", "level", "next_level", "added"),
    [
        (Look(3, (3,)), (3,), 1, 0.05, 0.025, ()),
        (Look(3, ()), (3,), 1, 0.05, 0.025, ()),
        (Look(3, (3, 5, 10)), (3, 5, 10), 1, 0.025, 0.025, ()),
        (Look(10, (3, 5, 10)), (3, 5, 10), 3, 0.025, 0.025, ()),
        (Look(5, (5,), earlier=(3,)), (3, 5), 2, 0.025, 0.025, (3,)),
        (Look(5, (5,), earlier=(5,)), (5,), 1, 0.05, 0.025, ()),
        # Planned beyond this one and given up after a verdict.
        (Look(3, (3,), earlier=(3, 5, 10)), (3, 5, 10), 1, 0.025, 0.025, (5, 10)),
        (Look(9, (9,), earlier=(3, 5, 6, 7)), (3, 5, 6, 7, 9), 5, 0.025, 0.0125, (3, 5, 6, 7)),
        (Look(2, tuple(range(2, 8))), (2, 3, 4, 5, 6, 7), 1, 0.0125, 0.0125, ()),
        (Look(1, (1,)), (1,), 1, 0.05, 0.025, ()),
        (Look(1, (3,)), (3,), 1, 0.05, 0.05, ()),
    ],
)
def test_all_looks_that_are_or_were_planned_count(
    look: Look,
    looks: tuple[int, ...],
    number: int,
    level: float,
    next_level: float,
    added: tuple[int, ...],
) -> None:
    assert (look.all, look.number, look.level, look.added) == (looks, number, level, added)
    assert look.next_level == next_level


@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_looks_in_any_order_are_the_same(seeds: int) -> None:
    one, other = Look(seeds, (3, 10), (5, 3)), Look(seeds, (10, 3), (3, 5))
    assert (one.all, one.added, one.level) == (other.all, other.added, other.level)
