"""The simulation of the winner's curse has the truth that it states."""

import numpy as np
import pytest

from benchmarks.winners_curse import GROUPS, Group, Way, choose, main, table, ways

SEARCHES = 20_000


def means(group: Group, way: Way, *, ceiling: bool = True) -> tuple[float, float]:
    """Apparent gain and true score of the choice."""
    seemed, true = choose(group, way, SEARCHES, np.random.default_rng(0), ceiling=ceiling)
    return float((seemed - true).mean()), float(true.mean())


def test_without_noise_the_best_setting_is_chosen_for_what_it_is() -> None:
    quiet = Group("", 2.0, 0.0, 0.0)
    for way in ways(16):
        gain, true = means(quiet, way)
        assert gain == pytest.approx(0.0, abs=1e-12)
        # The least of n exponential numbers has mean 1/n.
        assert true == pytest.approx(-2.0 / way.trials, rel=0.03)


def test_of_equal_settings_the_gain_is_the_expected_largest_luck() -> None:
    alike = Group("", 0.0, 0.6, 0.8)
    # Means of the largest of 16, and of 3, standard normal numbers.
    assert means(alike, Way(16))[0] == pytest.approx(1.766 * 1.0, abs=0.02)
    only_seeds = Group("", 0.0, 0.0, 1.0)
    assert means(only_seeds, Way(16, 3, 4))[0] == pytest.approx(0.846 / 2, abs=0.02)
    # No seed removes the luck on the split.
    only_split = Group("", 0.0, 1.0, 0.0)
    assert means(only_split, Way(16, 3, 4))[0] == pytest.approx(1.766, abs=0.02)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_re_ranking_flatters_less_and_chooses_better(group: Group) -> None:
    plain, ranked = means(group, Way(16)), means(group, Way(16, 3, 2))
    assert ranked[0] < 0.6 * plain[0]
    assert ranked[1] > plain[1]
    # As much spent on more trials flatters more; with a ceiling it finds no better settings.
    more = means(group, Way(22))
    assert more[0] > plain[0]
    assert more[1] < ranked[1]


def test_without_a_ceiling_more_trials_find_better_settings() -> None:
    macro = GROUPS[0]
    ways = (Way(22), Way(16, 3, 2))
    more, ranked = (means(macro, way, ceiling=False)[1] for way in ways)
    assert more > ranked


def test_the_table_is_the_same_each_time_and_has_a_row_for_each_way(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = table(16, 200, 1)
    assert lines == table(16, 200, 1)
    assert len(lines) == 2 + len(list(ways(16)))
    assert main(["--searches", "200"]) == 0
    assert capsys.readouterr().out.splitlines() == lines
