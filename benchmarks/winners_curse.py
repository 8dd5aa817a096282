"""How much the chosen settings of a search flatter themselves, with and without re-ranking.

Searches are drawn, not run. Each of the settings of a group has a true score, the mean over endless
seeds and endless examples of the same kind. What a search sees of it is

    true score + luck on the selection split + luck of the seed

where the luck on the split is the setting's own (what all settings share moves no choice) and the
same for all its seeds, so that no re-ranking removes it. The setting that looks best is chosen;
with re-ranking the ``top`` ones are trained with further seeds first, and the highest mean over
these seeds is chosen. Its gain is what it seemed to score minus its true score, its regret the
best possible true score minus its own.

Luck is normal. True scores fall from the best possible one with the squared distance in two
settings that matter, so they are exponential below it; with ``--no-ceiling`` they are normal, and
the best possible one is the expected best of ``--trials``. All in points of the headline metric
(0.01 of a correlation is one).

Magnitudes are those of the preset ``quick`` on GLUE (MiniLM-L6, three arms, three seeds), scaled
from the validation to the selection splits: the standard deviation over seeds, and of what no seed
removes of the examples' noise; and of the six settings in docs/tuning.md, less that noise.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Group:
    """What is searched: standard deviations in points.

    Attributes:
        name: what the score is.
        settings: of the true scores of settings.
        split: of a setting's luck on the selection split.
        seed: of its luck with a seed.
    """

    name: str
    settings: float
    split: float
    seed: float


GROUPS = (
    Group("macro", 3.5, 0.4, 1.0),
    Group("cola MCC", 8.0, 0.9, 2.3),
    Group("sst2 acc", 0.5, 0.7, 1.2),
    Group("mrpc acc", 3.0, 0.4, 1.3),
    Group("macro, settings alike", 0.7, 0.4, 1.0),
)


@dataclass(frozen=True)
class Way:
    """How settings are chosen.

    Attributes:
        trials: settings that are tried with one seed.
        top: how many of them are re-ranked.
        seeds: further seeds of each of those; 0: no re-ranking.
        with_first: whether the seed of the search counts in the mean as well.
    """

    trials: int
    top: int = 1
    seeds: int = 0
    with_first: bool = False

    @property
    def trainings(self) -> int:
        """Its cost, if the search stops no trial."""
        return self.trials + self.top * self.seeds

    def __str__(self) -> str:
        if not self.seeds:
            return f"{self.trials} trials"
        also = " and the search's" if self.with_first else ""
        return f"{self.trials} trials, top {self.top}, {self.seeds} new seeds{also}"


def ways(trials: int) -> Iterator[Way]:
    """The ways that are compared."""
    yield Way(trials)
    for top in (2, 3, 5):
        for seeds in (1, 2, 3):
            yield Way(trials, top, seeds)
    yield Way(trials, 3, 2, with_first=True)
    # What re-ranking three settings with two seeds costs, spent on the search.
    yield Way(trials + 3 * 2)


def choose(
    group: Group, way: Way, searches: int, rng: np.random.Generator, *, ceiling: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """What many searches choose.

    Args:
        group: what is searched.
        way: how.
        searches: how many.
        rng: the source of chance.
        ceiling: whether true scores are exponential below 0, else normal around 0.

    Returns:
        Apparent and true score of each choice, in points, both of shape ``(searches,)``.
    """
    shape = (searches, way.trials)
    draw = rng.standard_exponential(shape) if ceiling else rng.standard_normal(shape)
    true = -group.settings * draw
    on_split = true + group.split * rng.standard_normal(shape)
    seen = on_split + group.seed * rng.standard_normal(shape)
    top = np.argsort(-seen, axis=1)[:, : way.top]
    scores = np.take_along_axis(seen, top, axis=1)
    if way.seeds:
        luck = group.seed * rng.standard_normal((*top.shape, way.seeds))
        again = np.take_along_axis(on_split, top, axis=1)[..., None] + luck
        if way.with_first:
            again = np.concatenate([scores[..., None], again], axis=2)
        scores = again.mean(axis=2)
    best = scores.argmax(axis=1)[:, None]
    chosen = np.take_along_axis(top, best, axis=1)
    return scores.max(axis=1), np.take_along_axis(true, chosen, axis=1)[:, 0]


def table(trials: int, searches: int, seed: int, *, ceiling: bool = True) -> list[str]:
    """Markdown: a row per way; of each group mean gain and mean regret."""
    normal = np.random.default_rng(seed).standard_normal((searches, trials))
    possible = 0.0 if ceiling else float(normal.max(axis=1).mean())
    lines = [
        f"| chosen among | trainings | {' | '.join(group.name for group in GROUPS)} |",
        f"|---|{'--:|' * (1 + len(GROUPS))}",
    ]
    for way in ways(trials):
        cells = [str(way), str(way.trainings)]
        for number, group in enumerate(GROUPS):
            rng = np.random.default_rng([seed, number])
            seemed, true = choose(group, way, searches, rng, ceiling=ceiling)
            regret = possible * group.settings - true.mean()
            cells.append(f"{(seemed - true).mean():.2f}, {regret:.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw and print; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=16, help="settings of a group")
    parser.add_argument("--searches", type=int, default=20_000, help="that are drawn")
    parser.add_argument("--seed", type=int, default=1, help="random seed")
    parser.add_argument("--no-ceiling", action="store_true", help="normal true scores")
    options = parser.parse_args(arguments)
    ceiling = not options.no_ceiling
    print("\n".join(table(options.trials, options.searches, options.seed, ceiling=ceiling)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
