"""Curves of a few characters."""

import math

import pytest

from orchestrator.monitor.sparkline import ASCII_BARS, POINTS, Curves, Series, sparkline
from tests.helpers.run_folders import word


@pytest.mark.parametrize(
    ("values", "width", "line"),
    [
        ([], 8, ""),
        ([3.0], 8, "▄"),
        ([1.0, 1.0, 1.0], 8, "▄▄▄"),
        ([0, 1, 2, 3, 4, 5, 6, 7], 8, "▁▂▃▄▅▆▇█"),
        ([7, 0], 8, "█▁"),
        ([-1.0, 0.0, 1.0], 8, "▁▅█"),
        # Halves of the values become their means: 0.5 and 2.5 of 0 to 3.
        ([0, 1, 2, 3], 2, "▁█"),
        ([0, 0, 0, 8, 8, 8], 3, "▁▅█"),
        ([1e308, -1e308], 8, "▄▄"),
    ],
)
def test_a_sparkline_goes_from_the_lowest_to_the_highest(
    values: list[float], width: int, line: str
) -> None:
    assert sparkline(values, width) == line


def test_a_terminal_without_unicode_gets_other_bars() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8, ASCII_BARS) == ASCII_BARS


def test_a_long_series_keeps_its_course_in_few_points() -> None:
    series = Series()
    for value in range(100_000):
        series.add(float(value))
    series.add(math.nan)
    assert len(series.values) <= POINTS
    assert series.values == sorted(series.values)
    assert sparkline(series.values, 8) == "▁▂▃▄▅▆▇█"


def test_an_evaluation_is_a_point_once_however_often_it_is_told() -> None:
    curves = Curves()
    for epoch, headline in (
        (0.9, None),
        (1.0, 0.5),
        (1.4, 0.5),
        (2.0, 0.5),
        (2.2, 0.5),
        (3.0, 0.7),
    ):
        curves.add(word(epoch=epoch, headline=headline))
    curves.add(word(epoch=3.0, headline=0.1, loss=9.0, phase="evaluating"))
    assert curves.headline.values == [0.5, 0.5, 0.7]
    assert max(curves.loss.values) < 9.0
