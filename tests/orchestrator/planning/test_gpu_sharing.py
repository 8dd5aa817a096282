"""How many trials share a GPU, decided on hand-made curves of trials an hour."""

import pytest

from orchestrator.planning.gpu_sharing import GpuSharing, Throughput, choose, goes_on, levels

Rates = dict[int, float | None]

CURVES: dict[str, tuple[Rates, int]] = {
    "rising": ({1: 100, 2: 180, 4: 300, 8: 400}, 8),
    "rising, then flat": ({1: 100, 2: 180, 4: 186, 8: 188}, 2),
    "flat": ({1: 100, 2: 103, 4: 104, 8: 104.9}, 1),
    "rising slowly": ({1: 100, 2: 104, 4: 108, 8: 112}, 4),
    "rising by exactly the least gain": ({1: 100, 2: 105}, 2),
    "falling": ({1: 100, 2: 80}, 1),
    "rising, then falling": ({1: 100, 2: 180, 4: 120}, 2),
    "out of memory at 4": ({1: 100, 2: 180, 4: None}, 2),
    "flat, out of memory at 4": ({1: 100, 2: 101, 4: None}, 1),
    "out of memory alone": ({1: None}, 1),
    "alone": ({1: 100}, 1),
}
"""Name -> trials at once and trials an hour, and how many are to share a GPU."""


def curve_of(rates: Rates) -> tuple[Throughput, ...]:
    return tuple(Throughput(*point) for point in rates.items())


@pytest.mark.parametrize("name", CURVES)
def test_the_number_of_trials_is_chosen_by_trials_an_hour(name: str) -> None:
    rates, best = CURVES[name]
    assert choose(curve_of(rates), most=8) == best


def test_no_more_trials_share_a_gpu_than_fit_into_its_memory() -> None:
    rising = curve_of(CURVES["rising"][0])
    assert [choose(rising, most) for most in (1, 2, 3, 4, 7, 8)] == [1, 2, 2, 4, 4, 8]


def test_memory_alone_decides_where_nothing_was_measured() -> None:
    assert choose([], most=5) == 5
    sharing = GpuSharing(trial="a", note="not measured, no GPU is free")
    assert sharing.choose(5) == 5
    assert sharing.describe() == "by memory alone: not measured, no GPU is free"


@pytest.mark.parametrize(
    ("most", "expected"),
    [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])],
)
def test_powers_of_two_and_the_most_are_measured(most: int, expected: list[int]) -> None:
    assert levels(most) == expected


@pytest.mark.parametrize(
    ("rates", "more"),
    [
        ({}, True),
        ({1: 100}, True),
        ({1: None}, False),
        ({1: 100, 2: 180}, True),
        ({1: 100, 2: 100}, True),
        ({1: 100, 2: 99}, False),
        ({1: 100, 2: 180, 4: None}, False),
    ],
)
def test_measuring_ends_where_trials_are_slower_or_out_of_memory(rates: Rates, more: bool) -> None:
    assert goes_on(curve_of(rates)) == more


def test_a_plan_shows_the_curve_and_a_run_directory_keeps_it() -> None:
    rates: Rates = {1: 1234.5, 2: 190, 4: 3.14159, 8: None}
    sharing = GpuSharing(trial="a", curve=curve_of(rates))
    assert sharing.describe() == (
        "trials an hour with 1 a GPU: 1,234, 2: 190, 4: 3.1, 8: out of memory"
    )
    assert GpuSharing.model_validate_json(sharing.model_dump_json()) == sharing
