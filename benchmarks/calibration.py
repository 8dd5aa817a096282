"""How often the intervals and verdicts of a comparison are right, on grids with a known truth.

    python -m benchmarks.calibration

Draws grids of three arms and three tasks (``benchmarks/simulated_grids.py``) under quiet and noisy
seeds, with equal and different arms, and asks ``orchestrator.analysis`` about them: how often an
interval covers the true difference, how often equal arms are called different, arms that differ by
the margin equivalent, and whether the advised number of seeds settles a comparison. Beside it stand
the usual ways: a bootstrap over seeds, one over seeds and examples, and a t test over seeds. All
is done for two random seeds. Exits with code 1 if a limit in ``LIMITS`` is passed.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from itertools import product
from math import sqrt
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress
from scipy.special import stdtrit

from benchmarks.simulated_grids import (
    ARMS,
    MACRO,
    MEASURES,
    METRICS,
    Condition,
    Drawn,
)
from orchestrator.analysis.advice import advice
from orchestrator.analysis.intervals import Difference, mean_difference
from orchestrator.analysis.pseudo_values import Runs, of_classes
from orchestrator.analysis.verdicts import Comparison, Word, verdicts
from trainables.seeding import generator

SEEDS = (3, 5, 10)
ADVISED = (3, 5)
"""Numbers of seeds after which advice is followed."""
PAIRS = ((1, 0), (2, 0), (2, 1))
NAMES = (*MEASURES, "macro")
LOOK_LEVEL = 0.025
RESAMPLES = 1000
EXAMPLES_RESAMPLED = 100
"""Sets of examples from which each resample takes one per run."""
MARGIN = 0.02
"""Of the macro average."""
ADVISED_MARGINS = (0.01, 0.02, 0.03)


def conditions() -> list[Condition]:
    """Eight with equal arms, and twelve whose second arm is better by 1, 2 and 4 points."""
    made = []
    for points in (0.0, 1.0, 2.0, 4.0):
        for noise, sd in (("quiet", 0.5), ("noisy", 1.5)):
            for alike, hard, own in (("alike", 0.90, 0.04), ("apart", 0.75, 0.10)):
                for correlation in (0.0, 0.5) if not points else (0.0,):
                    name = f"{noise}, {alike}, correlation {correlation:g}, {points:g} points"
                    made.append(Condition(name, sd, hard, own, correlation, points))
    return made


def advice_conditions() -> list[Condition]:
    """Between quiet and noisy, where advice matters most."""
    return [
        Condition(f"advice, {alike}, {points:g} points", 1.0, hard, own, 0.0, points)
        for points in (0.0, 1.0, 2.0, 4.0)
        for alike, hard, own in (("alike", 0.90, 0.04), ("apart", 0.75, 0.10))
    ]


@dataclass
class Counts:
    """Hits of cases, by what was asked and the number of seeds or the method."""

    hits: dict[str, int] = field(default_factory=dict)
    cases: dict[str, int] = field(default_factory=dict)

    def add(self, key: str, hit: bool) -> None:
        """Count one case."""
        self.hits[key] = self.hits.get(key, 0) + bool(hit)
        self.cases[key] = self.cases.get(key, 0) + 1

    def merge(self, other: "Counts") -> None:
        """Count all of another's."""
        for key, n in other.cases.items():
            self.hits[key] = self.hits.get(key, 0) + other.hits[key]
            self.cases[key] = self.cases.get(key, 0) + n

    def percent(self, key: str) -> float:
        """Hits in percent; NaN without cases."""
        return 100 * self.hits[key] / self.cases[key] if self.cases.get(key) else float("nan")


def count(condition: Condition, seed: int, first: int, grids: int, bootstraps: int) -> Counts:
    """Ask about some grids of a condition.

    Args:
        condition: what they are drawn from.
        seed: of the whole run.
        first, grids: number of the first grid, and how many.
        bootstraps: up to which number grids are also bootstrapped.
    """
    found = Counts()
    truth = {(n, pair): condition.true_difference(n, pair) for n in NAMES for pair in PAIRS}
    for number in range(first, first + grids):
        rng = generator(seed, condition.name, number)
        drawn = {name: model.draw(rng, max(SEEDS)) for name, model in condition.arms.items()}
        runs = runs_of(drawn)
        claims = []
        for seeds in SEEDS:
            few = {name: [arm.only(range(seeds)) for arm in arms] for name, arms in runs.items()}
            made = {key: difference_of(few, *key) for key in truth}
            for (name, pair), one in made.items():
                _count_interval(found, f"{name}|{seeds}", one, truth[name, pair], pair)
            if not condition.points:
                macro = [Comparison(made["macro", p], MARGIN) for p in PAIRS]
                found.add(f"family|{seeds}", _claims(macro, 0.05))
                claims.append(_claims(macro, LOOK_LEVEL))
        if claims:
            found.add("family over looks|3, 5, 10", any(claims))
        if number < bootstraps:
            _bootstrapped(found, drawn, truth, rng)
    return found


def _count_interval(
    found: Counts, where: str, made: Difference, truth: float, pair: tuple[int, int]
) -> None:
    found.add(f"coverage|{where}", abs(made.value - truth) <= made.half_width())
    if not truth:
        found.add(f"false positive|{where}", made.p < 0.05)
    elif pair == PAIRS[0]:
        word = verdicts([Comparison(made, truth)])[0].word
        found.add(f"false equivalent|{where}", word is Word.EQUIVALENT)
        found.add(f"power|{where}", word is Word.BETTER)


def count_advice(condition: Condition, seed: int, first: int, grids: int) -> Counts:
    """Follow the advice on undecided comparisons of some grids."""
    found = Counts()
    for number in range(first, first + grids):
        rng = generator(seed, condition.name, number)
        drawn = {name: model.draw(rng, max(ADVISED)) for name, model in condition.arms.items()}
        for seeds, name in product(ADVISED, NAMES):
            parts = _parts(name)
            tasks = dict.fromkeys(MEASURES[part].task for part in parts)
            now = {task: _first(drawn[task], seeds) for task in tasks}
            measured = difference_of(runs_of(now, parts, 2), name, PAIRS[0])
            for margin in ADVISED_MARGINS:
                comparison = Comparison(measured, margin)
                if verdicts([comparison])[0].word is not Word.UNDECIDED:
                    continue
                told = advice(measured, margin).seeds
                found.add(f"told a number|{seeds}", told is not None)
                if told is None:
                    continue
                then = {task: grid.more(rng, seeds + told) for task, grid in now.items()}
                later = difference_of(runs_of(then, parts, 2), name, PAIRS[0])
                word = verdicts([Comparison(later, margin)])[0].word
                found.add(f"settled|{seeds}", word is not Word.UNDECIDED)
    return found


def _first(grid: Drawn, seeds: int) -> Drawn:
    return Drawn(grid.model, grid.labels, grid.hard, grid.predictions[:, :seeds])


def _claims(comparisons: Sequence[Comparison], level: float) -> bool:
    return any(v.word in (Word.BETTER, Word.WORSE) for v in verdicts(comparisons, level))


def runs_of(
    drawn: dict[str, Drawn], names: Sequence[str] = tuple(MEASURES), arms: int = ARMS
) -> dict[str, list[Runs]]:
    """Measure -> the runs of each of the first arms."""
    return {
        name: [
            of_classes(MEASURES[name].metric, grid.labels, predictions, 2)
            for predictions in grid.predictions[:arms]
        ]
        for name in names
        for grid in [drawn[MEASURES[name].task]]
    }


def difference_of(runs: dict[str, list[Runs]], name: str, pair: tuple[int, int]) -> Difference:
    """One arm minus another of a pair, of a measure or of ``macro``."""
    a, b = pair
    return mean_difference([(runs[part][a], runs[part][b]) for part in _parts(name)])


def macro_differences(runs: dict[str, list[Runs]], seeds: int) -> list[Difference]:
    """Those of ``macro`` from the first seeds alone, of every pair."""
    few = {name: [arm.only(range(seeds)) for arm in runs[name]] for name in MACRO}
    return [difference_of(few, "macro", pair) for pair in PAIRS]


def _parts(name: str) -> tuple[str, ...]:
    """The measures that ``macro`` is the mean of, else the measure itself."""
    return MACRO if name == "macro" else (name,)


def _bootstrapped(
    found: Counts,
    drawn: dict[str, Drawn],
    truth: dict[tuple[str, tuple[int, int]], float],
    rng: np.random.Generator,
) -> None:
    """Count the usual ways for the first two arms."""
    pair = PAIRS[0]
    resamples = {task: _resamples(len(grid.labels), rng) for task, grid in drawn.items()}
    for seeds in SEEDS:
        scores, nested = {}, {}
        for name, measure in MEASURES.items():
            grid, weights = _first(drawn[measure.task], seeds), resamples[measure.task]
            scores[name], nested[name] = _resampled(grid, measure.metric, weights, rng)
        scores["macro"], nested["macro"] = (
            np.mean([values[part] for part in MACRO], axis=0) for values in (scores, nested)
        )
        for name in NAMES:
            apart = scores[name][1] - scores[name][0]
            drawn_seeds = apart[rng.integers(0, seeds, (RESAMPLES, seeds))].mean(axis=1)
            both = nested[name]
            width = -stdtrit(seeds - 1, 0.025) * apart.std(ddof=1) / sqrt(seeds)
            for method, (low, high) in {
                "bootstrap over seeds": np.quantile(drawn_seeds, [0.025, 0.975]),
                "bootstrap over seeds and examples": np.quantile(both, [0.025, 0.975]),
                "t test over seeds": (apart.mean() - width, apart.mean() + width),
            }.items():
                found.add(f"{method}|{name}|{seeds}", low <= truth[name, pair] <= high)


def _resamples(n: int, rng: np.random.Generator) -> np.ndarray:
    """How often each of n examples is drawn, ``(EXAMPLES_RESAMPLED, n)``."""
    return rng.multinomial(n, np.full(n, 1 / n), size=EXAMPLES_RESAMPLED).astype(float)


def _resampled(
    grid: Drawn, metric: str, resamples: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Scores ``(arms, seeds)``, and resampled differences of the first two arms.

    Each resample draws seeds, and for each of them one of the resampled sets of examples.
    """
    ones = (grid.labels == 1).astype(float)
    right = (grid.predictions[:2] == grid.labels).astype(float)
    seeds, n = right.shape[1:]

    def score(weights: np.ndarray) -> np.ndarray:
        """Of every run, ``(arms, seeds, resamples)``, with so many copies of each example."""
        kinds = ones, 1 - ones
        hits = [right @ (weights * kind).T for kind in kinds]
        return METRICS[metric](*hits, *(weights @ kind for kind in kinds))

    whole = score(np.ones((1, n)))[..., 0]
    values = score(resamples)
    picked = rng.integers(0, EXAMPLES_RESAMPLED, (RESAMPLES, seeds))
    chosen = rng.integers(0, seeds, (2, RESAMPLES, seeds))
    means = [values[arm][chosen[arm], picked].mean(axis=1) for arm in (0, 1)]
    return whole, means[1] - means[0]


@dataclass(frozen=True)
class Limit:
    """What must hold of percentages: of their mean, and of each.

    Attributes:
        question: what is counted.
        mean, each: lowest and highest percentage.
        correlations: whether conditions with correlated seeds count, where intervals are too wide.
    """

    question: str
    mean: tuple[float, float]
    each: tuple[float, float]
    correlations: bool = True


LIMITS = (
    Limit("coverage", (93.5, 96.5), (92.5, 98.0), correlations=False),
    Limit("false positive", (0.0, 5.0), (0.0, 7.0)),
    Limit("false equivalent", (0.0, 5.0), (0.0, 8.0)),
    Limit("family", (0.0, 5.0), (0.0, 7.0)),
    Limit("family over looks", (0.0, 6.0), (0.0, 8.5)),
    Limit("settled", (75.0, 90.0), (75.0, 90.0)),
)
"""The limits of a cell are wider than the mean's by what chance does to 2,000 grids."""


@dataclass(frozen=True)
class Result:
    """All counts of one random seed.

    Attributes:
        seed: the random seed.
        cells: condition -> its counts.
    """

    seed: int
    cells: dict[Condition, Counts]

    def percentages(self, question: str, seeds: str | None = None) -> list[float]:
        """Of every cell: a condition, a measure and a number of seeds, or this number alone."""
        return [
            counts.percent(key)
            for counts in self.cells.values()
            for key in counts.cases
            if key.split("|")[0] == question and seeds in (None, key.split("|")[-1])
        ]

    def correlated(self, correlation: float) -> "Result":
        """The conditions in which the seeds of both arms are so correlated."""
        own = {c: n for c, n in self.cells.items() if c.correlation == correlation}
        return Result(self.seed, own)

    def together(self, question: str, seeds: int) -> float:
        """The percentage of all conditions' cases together."""
        total = Counts()
        for counts in self.cells.values():
            total.merge(counts)
        return total.percent(f"{question}|{seeds}")


def passed(result: Result) -> list[str]:
    """The limits that are passed, each in a line."""
    lines = []
    for limit in LIMITS:
        own = result if limit.correlations else result.correlated(0.0)
        if limit.question == "settled":
            values = [own.together("settled", seeds) for seeds in ADVISED]
        else:
            values = own.percentages(limit.question)
        mean = float(np.mean(values))
        for what, value, (low, high) in (
            ("mean", mean, limit.mean),
            ("lowest", min(values), limit.each),
            ("highest", max(values), limit.each),
        ):
            if not low <= value <= high:
                lines.append(
                    f"{limit.question}: {what} {value:.1f} %, outside of {low:g} to {high:g}"
                )
    return lines


QUESTIONS = (
    ("95 % interval covers", "coverage", SEEDS, 0.0),
    ("the same, seeds of both arms correlated .5", "coverage", SEEDS, 0.5),
    ("bootstrap over seeds covers", "bootstrap over seeds", SEEDS, 0.0),
    ("bootstrap over seeds and examples covers", "bootstrap over seeds and examples", SEEDS, 0.0),
    ("t test over seeds covers", "t test over seeds", SEEDS, 0.0),
    ("equal arms called different (at 5 %)", "false positive", SEEDS, None),
    ("any of 3 macro comparisons, after Holm", "family", SEEDS, None),
    ("any at any look (at 2.5 % each)", "family over looks", ("3, 5, 10",), None),
    ("equivalent at a difference of the margin", "false equivalent", SEEDS, None),
)
"""Words, what is counted, for which numbers of seeds, and at which correlation (None: all)."""


def tables(results: Sequence[Result]) -> list[str]:
    """Everything as Markdown: mean of the cells (lowest to highest), a column a random seed."""
    head = "".join(f" random seed {result.seed} |" for result in results)
    lines = [f"| question | seeds |{head}", "|---|--:|" + "--:|" * len(results)]
    for words, question, numbers, correlation in QUESTIONS:
        own = results if correlation is None else [r.correlated(correlation) for r in results]
        for seeds in numbers:
            shown = [_spread(r.percentages(question, str(seeds))) for r in own]
            lines.append(f"| {words} | {seeds} | {' | '.join(shown)} |")
    for words, question in (
        ("undecided comparisons that are told a number of seeds", "told a number"),
        ("of these, settled by that number (promised 80 %)", "settled"),
    ):
        for seeds in ADVISED:
            shown = [f"{result.together(question, seeds):.1f} %" for result in results]
            lines.append(f"| {words} | {seeds} | {' | '.join(shown)} |")
    return [*lines, "", *_power(results)]


def _power(results: Sequence[Result]) -> list[str]:
    """How often a better arm is called better, over all conditions and random seeds."""
    lines = [
        "| better by points of accuracy | seeds | " + " | ".join(NAMES) + " |",
        "|--:|--:|" + "--:|" * len(NAMES),
    ]
    for points in (1.0, 2.0, 4.0):
        cells = [
            counts
            for result in results
            for condition, counts in result.cells.items()
            if condition.points == points and condition not in advice_conditions()
        ]
        for seeds in SEEDS:
            shown = [_spread([c.percent(f"power|{n}|{seeds}") for c in cells]) for n in NAMES]
            lines.append(f"| {points:g} | {seeds} | {' | '.join(shown)} |")
    return lines


def _spread(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.1f} %"
    return f"{np.mean(values):.1f} % ({min(values):.1f} to {max(values):.1f})"


def measure(
    seed: int, grids: int, bootstraps: int, advised: int, workers: int, console: Console
) -> Result:
    """Draw all grids of one random seed and ask about them.

    Args:
        seed: the random seed.
        grids: per condition.
        bootstraps: how many of them are also bootstrapped.
        advised: grids per condition whose advice is followed.
        workers: number of processes.
        console: where progress is shown.
    """
    # The matrices are small: more threads for each would only wait for one another.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    part = 50
    cells = {condition: Counts() for condition in (*conditions(), *advice_conditions())}
    with (
        ProcessPoolExecutor(workers, get_context("spawn")) as pool,
        Progress(console=console) as progress,
    ):
        jobs = {
            pool.submit(count, c, seed, first, min(part, grids - first), bootstraps): c
            for c in conditions()
            for first in range(0, grids, part)
        } | {
            pool.submit(count_advice, c, seed, first, min(part, advised - first)): c
            for c in advice_conditions()
            for first in range(0, advised, part)
        }
        for job in progress.track(as_completed(jobs), len(jobs), description=f"random seed {seed}"):
            cells[jobs[job]].merge(job.result())
    return Result(seed, cells)


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, ask, print Markdown and write the figures; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--grids", type=int, default=2000, help="per condition")
    parser.add_argument("--bootstraps", type=int, default=300, help="of them, bootstrapped as well")
    parser.add_argument("--advised", type=int, default=300, help="grids whose advice is followed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2], help="random seeds")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--json", type=Path, help="also write the counts of every cell here")
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    results = [
        measure(seed, options.grids, options.bootstraps, options.advised, options.workers, console)
        for seed in options.seeds
    ]
    print("\n".join(tables(results)))
    if options.json:
        options.json.write_text(
            json.dumps(
                {
                    str(r.seed): {c.name: [n.hits, n.cases] for c, n in r.cells.items()}
                    for r in results
                }
            )
            + "\n"
        )
    failed = [f"random seed {r.seed}: {line}" for r in results for line in passed(r)]
    print("\n" + ("\n".join(failed) or "All limits are kept."))
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
