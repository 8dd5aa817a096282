"""How verdicts from a few seeds of real runs stand beside the other seeds of the same runs.

    python -m benchmarks.real_seeds RUN_DIR [RUN_DIR ...]

Takes finished run directories of one grid with many seeds, draws 3, 5 and 10 of them again and
again, and asks the project's own report about them: does a verdict agree with the seeds that were
not drawn, does its interval cover their difference, and is a comparison settled by the number of
seeds that was advised? Beside it: what seeds and agreements of these runs are like in terms of
``benchmarks/simulated_grids.py``, and ``benchmarks.calibration`` again with grids of that kind.

It describes one grid. All draws share its examples, and the seeds that were not drawn are no truth:
their own mean is off by chance as well.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri, owens_t

from benchmarks.calibration import SEEDS, Counts, count
from benchmarks.simulated_grids import Condition, Task
from orchestrator.analysis.verdicts import Word
from orchestrator.report.comparisons import Compared, compared
from orchestrator.report.rows import PlannedTrial, table_rows
from orchestrator.run_dir.directory import read_margins, read_plan
from trainables.results.predictions import Predictions, PredictionsCache
from trainables.results.record import TrialRecord, read_records
from trainables.seeding import generator
from trainables.storage.run_dir import RunDir

OTHERS = 5
"""So many seeds must be left that were not drawn."""
CLAIMS = {Word.BETTER: 1, Word.WORSE: -1}


@dataclass(frozen=True)
class Runs:
    """The trials of one grid, of all its run directories.

    Attributes:
        plan: every trial of a seed that has ended in all arms and tasks.
        records: key -> record.
        predictions: key -> task -> predictions on the validation split.
        margins: of the first directory, see ``read_margins``.
    """

    plan: tuple[PlannedTrial, ...]
    records: Mapping[str, TrialRecord]
    predictions: Mapping[str, Mapping[str, Predictions]]
    margins: Mapping[str, float]

    @property
    def seeds(self) -> list[int]:
        """Those of the plan, sorted."""
        return sorted({trial.config.seed for trial in self.plan})

    def compared(self, seeds: Sequence[int]) -> dict[tuple[str, ...], Compared]:
        """What the report says of some seeds: (model, arm, reference, scope) -> comparison."""
        plan = [trial for trial in self.plan if trial.config.seed in seeds]
        rows = table_rows(plan, self.records, PredictionsCache.SPLIT)
        made = compared(rows, (), self.predictions, self.margins)
        return {(c.model, c.row.label, c.reference.label, c.scope): c for c in made}


def read_runs(run_dirs: Sequence[Path], arms: Sequence[str] | None = None) -> Runs:
    """Read the trials of run directories.

    Args:
        run_dirs: of the same grid but for its seeds.
        arms: the arms that count; None: all.

    Raises:
        RunDirectoryError: a file is missing or damaged.
    """
    plan: dict[str, PlannedTrial] = {}
    records: dict[str, TrialRecord] = {}
    predictions: dict[str, dict[str, Predictions]] = {}
    for path in run_dirs:
        run_dir = RunDir(path)
        cache = PredictionsCache(run_dir)
        ended = read_records(run_dir, {})
        for trial in read_plan(run_dir):
            if arms is None or trial.config.arm_name in arms:
                plan[trial.key] = trial
                if (record := ended.get(trial.key)) is not None and record.results:
                    records[trial.key], predictions[trial.key] = record, cache.read(record)
        cache.save()
    planned = Counter(trial.config.seed for trial in plan.values())
    done = Counter(plan[key].config.seed for key in records)
    whole = {seed for seed, trials in done.items() if trials == max(planned.values())}
    return Runs(
        tuple(trial for trial in plan.values() if trial.config.seed in whole),
        records,
        predictions,
        read_margins(RunDir(run_dirs[0])),
    )


def agreement(runs: Runs, draws: int, seed: int) -> dict[int, Counts]:
    """Number of seeds -> how verdicts of so many agree with the seeds that were not drawn."""
    found = {}
    for number in (n for n in SEEDS if n + OTHERS <= len(runs.seeds)):
        counts = found[number] = Counts()
        for draw in track(range(draws), f"{number} seeds", console=Console(stderr=True)):
            order = generator(seed, "real seeds", number, draw).permutation(runs.seeds).tolist()
            others = runs.compared(order[number:])
            for name, now in runs.compared(order[:number]).items():
                _count(counts, now, others[name])
                if now.advice is None or now.advice.seeds is None:
                    continue
                more = number + now.advice.seeds
                counts.add("told a number", True)
                if more <= len(order):
                    then = runs.compared(order[:more])[name]
                    counts.add("settled", then.verdict.word is not Word.UNDECIDED)
    return found


def _count(counts: Counts, now: Compared, others: Compared) -> None:
    """Count one verdict against the seeds that were not drawn."""
    low, high = now.verdict.interval
    apart = others.verdict.comparison.difference.value
    counts.add("covers", low <= apart <= high)
    for word in Word:
        counts.add(word, now.verdict.word is word)
    if (side := CLAIMS.get(now.verdict.word)) is not None:
        counts.add("contradicted", CLAIMS.get(others.verdict.word) == -side)
        counts.add("other side", side * apart < 0)


@dataclass(frozen=True)
class Fit:
    """What runs of one task are like.

    Attributes:
        task: the same for the simulation, with a seed's standard deviation in points as noise.
        accuracy: of a mean run.
        same_arm, other_arm: share of the examples that two runs both have right or both wrong.
    """

    task: Task
    accuracy: float
    same_arm: float
    other_arm: float


def fits(runs: Runs) -> dict[str, Fit]:
    """Task -> its fit, over all arms; tasks have two classes."""
    hits: dict[str, dict[str, list[np.ndarray]]] = {}
    labels: dict[str, np.ndarray] = {}
    for trial in runs.plan:
        for name, own in runs.predictions[trial.key].items():
            by_arm = hits.setdefault(name, {}).setdefault(trial.config.arm_name, [])
            by_arm.append(own.labels == own.predictions)
            labels[name] = own.labels
    return {name: _fit(labels[name], by_arm) for name, by_arm in hits.items()}


def _fit(labels: np.ndarray, by_arm: Mapping[str, Sequence[np.ndarray]]) -> Fit:
    arms = [np.array(own) for own in by_arm.values()]
    right = np.concatenate(arms)
    least = 0.5 / len(labels)
    positives = float(np.mean(labels == 1))
    low, high = (
        float(np.clip(right[:, labels == kind].mean(), least, 1 - least)) for kind in (0, 1)
    )
    sd = float(np.sqrt(np.mean([arm.mean(axis=1).var(ddof=1) for arm in arms])))
    same = float(np.mean([(a == b).mean() for arm in arms for a, b in combinations(arm, 2)]))
    other = float(
        np.mean([(a == b).mean() for x, y in combinations(arms, 2) for a in x for b in y])
    )
    shares = np.array([1 - positives, positives])
    own, together = (_correlation(shares, np.array([low, high]), s) for s in (same, other))
    difficulty = (together, max(0.0, own - together))
    task = Task(len(labels), positives, (low, high), 100 * sd, difficulty)
    return Fit(task, float(right.mean()), same, other)


def _correlation(shares: np.ndarray, recalls: np.ndarray, agreement: float) -> float:
    """Of two runs' hidden scores, so that they agree on so many examples, in [0, .999]."""

    def excess(rho: float) -> float:
        bound = ndtri(recalls)
        both = ndtr(bound) - 2 * owens_t(bound, np.sqrt((1 - rho) / (1 + rho)))
        return float(shares @ (1 - 2 * recalls + 2 * both)) - agreement

    low, high = 0.0, 0.999
    if excess(low) >= 0:
        return low
    root: Any = high if excess(high) <= 0 else brentq(excess, low, high)
    return float(root)


def simulated(fitted: Mapping[str, Fit], grids: int) -> Counts:
    """``benchmarks.calibration`` of grids of CoLA, SST-2 and MRPC of this kind, with equal arms."""
    tasks = {name: fit.task for name, fit in fitted.items()}
    return count(Condition("fitted", 1.0, 0.0, 0.0, tasks=tasks), 1, 0, grids, 0)


def report(runs: Runs, draws: int, grids: int, seed: int) -> list[str]:
    """Everything as Markdown."""
    lines = ["| model | comparison | on | all seeds | word |", "|---|---|---|--:|---|"]
    for (model, arm, reference, scope), made in runs.compared(runs.seeds).items():
        low, high = (f"{100 * bound:+.2f}" for bound in made.verdict.interval)
        value = f"{100 * made.verdict.comparison.difference.value:+.2f} [{low}, {high}]"
        lines.append(f"| {model} | {arm} - {reference} | {scope} | {value} | {made.verdict.word} |")
    lines += [f"\n{len(runs.seeds)} seeds; points of each headline metric; 95 % intervals.\n"]
    lines += _agreement_lines(agreement(runs, draws, seed))
    fitted = fits(runs)
    lines += ["", *_fit_lines(fitted)]
    return [*lines, "", *_simulation_lines(simulated(fitted, grids))]


def _simulation_lines(counts: Counts) -> list[str]:
    lines = ["| simulated with these, equal arms | 3 seeds | 5 | 10 |", "|---|--:|--:|--:|"]
    for words, question in (
        ("95 % interval covers", "coverage"),
        ("called different (at 5 %)", "false positive"),
    ):
        shown = [
            f"{np.mean([counts.percent(k) for k in counts.cases if _asks(k, question, n)]):.1f} %"
            for n in SEEDS
        ]
        lines.append(f"| {words} | {' | '.join(shown)} |")
    return lines


def _asks(key: str, question: str, seeds: int) -> bool:
    return key.split("|")[0] == question and key.split("|")[-1] == str(seeds)


def _agreement_lines(found: Mapping[int, Counts]) -> list[str]:
    lines = [
        "| of the comparisons from | " + " | ".join(f"{n} seeds" for n in found) + " |",
        "|---|" + "--:|" * len(found),
    ]
    for words, question in (
        ("interval covers the other seeds' difference", "covers"),
        *((f"word: {word}", str(word)) for word in Word),
        ("better or worse, the others say the opposite", "contradicted"),
        ("better or worse, the others' difference has the other sign", "other side"),
        ("settled by the advised number of seeds, where there are so many", "settled"),
    ):
        shown = [_share(counts, question) for counts in found.values()]
        lines.append(f"| {words} | {' | '.join(shown)} |")
    return lines


def _share(counts: Counts, question: str) -> str:
    cases = counts.cases.get(question, 0)
    return f"{counts.percent(question):.1f} % of {cases}" if cases else "–"


def _fit_lines(fitted: Mapping[str, Fit]) -> list[str]:
    lines = [
        "| task | accuracy % | SD over seeds, points | two runs agree, same arm % | other arm % |"
        " difficulty for all | for an arm |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, fit in fitted.items():
        difficulty = fit.task.difficulty or (0.0, 0.0)
        lines.append(
            f"| {name} | {100 * fit.accuracy:.1f} | {fit.task.noise:.2f} | "
            f"{100 * fit.same_arm:.1f} | {100 * fit.other_arm:.1f} | "
            f"{difficulty[0]:.2f} | {difficulty[1]:.2f} |"
        )
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Read, draw and print; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run_dirs", type=Path, nargs="+", metavar="RUN_DIR")
    parser.add_argument("--arms", nargs="+", help="the arms that count; all by default")
    parser.add_argument("--draws", type=int, default=300, help="of each number of seeds")
    parser.add_argument("--grids", type=int, default=2000, help="simulated in the end")
    parser.add_argument("--seed", type=int, default=1, help="of the draws")
    options = parser.parse_args(arguments)
    runs = read_runs(options.run_dirs, options.arms)
    if len(runs.seeds) < min(SEEDS) + OTHERS:
        print(f"{len(runs.seeds)} seeds have ended, {min(SEEDS) + OTHERS} are needed")
        return 2
    print("\n".join(report(runs, options.draws, options.grids, options.seed)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
