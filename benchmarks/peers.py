"""This project beside what a user would run instead: Hugging Face's Trainer, side by side.

    python -m benchmarks.peers data.glue_dir=DIR [--only trial] [--json FILE]

trial   one task's training and evaluation with MiniLM-L6: the same examples, batch size, passes,
        evaluation and threads, in fp32 and bf16. Each run has a process of its own, and the sides
        take turns, in a new random order in each round. Start-up is apart. Memory is what a
        process grows by after its imports. The limit is the time that the matrix products alone
        take for the same texts without padding.
grid    the grid of the preset ``quick`` as it was before the levers of docs/speed.md (2,000
        examples of a task, one pass, batches of 16, two seeds, three arms), start-up included,
        against a Trainer process for each of its ten trials: one after the other on all cores, and
        one on each core at a time, of which the faster counts. Trainer knows no heads for several
        tasks, so that it trains one classifier on all data in place of ``shared_encoder``: the same
        examples.
rest    a no-op trial, and the time between trials (``trial_overhead``); 10,000 trials planned and
        tabulated (``large_grid``).

Prints Markdown; ``--json`` writes all numbers with the environment.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import large_grid, trial_overhead
from benchmarks.subject import CORES
from orchestrator.run_dir.environment import describe_environment
from trainables.seeding import generator

TASKS = ("cola", "mrpc")
WAYS = tuple((side, precision) for side in ("trainer", "trial") for precision in ("fp32", "bf16"))
"""Who trains, and in which number format; the first is what the others are compared with."""

GRID = (
    "limits.max_train_examples=2000",
    "training={epochs: 1, batch_size: 16, learning_rate: 2.0e-4}",
)
SEEDS = (41, 42)


def compare_trials(rounds: int, examples: int, overrides: Sequence[str]) -> dict[str, Any]:
    """Train in every way, ``rounds`` times: task -> way -> figures of each round."""
    runs: dict[str, dict[str, list[Any]]] = {
        task: {name_of(*way): [] for way in WAYS} for task in TASKS
    }
    for turn in range(rounds):
        for task in TASKS:
            for index in generator(0, "turns", task, turn).permutation(len(WAYS)):
                side, precision = WAYS[index]
                limits = [f"limits.max_train_examples={examples}"]
                run = train(side, task, precision, 1, [*limits, *overrides])
                runs[task][name_of(side, precision)].append(run)
                say(f"{task}, {turn + 1} of {rounds}: {name_of(side, precision)}")
    return runs


def train(
    side: str, tasks: str, precision: str, threads: int, overrides: Sequence[str]
) -> dict[str, float]:
    """One training in a process of its own (``benchmarks.one_training``)."""
    command = [sys.executable, "-m", "benchmarks.one_training", "--threads", str(threads)]
    done = subprocess.run(
        [*command, side, tasks, precision, *overrides],
        check=True,
        stdout=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
    )
    return json.loads(done.stdout)


def compare_grids(rounds: int, overrides: Sequence[str]) -> dict[str, list[float]]:
    """Seconds of the whole grid in every way, of each round."""
    ways: dict[str, Callable[[], object]] = {
        "Trainer, one process at a time": lambda: trainer_grid(1, overrides),
        "Trainer, a process on each core": lambda: trainer_grid(CORES, overrides),
        "this project, fp32": lambda: own_grid("fp32", overrides),
        "this project, auto": lambda: own_grid("auto", overrides),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds):
        for index in generator(0, "grids", turn).permutation(len(ways)):
            name = list(ways)[index]
            began = time.perf_counter()
            ways[name]()
            seconds[name].append(time.perf_counter() - began)
            say(f"grid, {turn + 1} of {rounds}: {name}, {seconds[name][-1]:.0f} s")
    return seconds


def trainer_grid(at_once: int, overrides: Sequence[str]) -> None:
    """A Trainer process for each trial of the grid."""
    everything = "cola,sst2,mrpc"
    trainings = ["cola", "sst2", "mrpc", everything, everything]
    with ThreadPoolExecutor(at_once) as pool:
        runs = [
            pool.submit(
                train,
                "trainer",
                tasks,
                "fp32",
                CORES // at_once,
                [*GRID, f"seed={seed}", *overrides],
            )
            for seed in SEEDS
            # The longest first.
            for tasks in reversed(trainings)
        ]
        for run in runs:
            run.result()


def own_grid(precision: str, overrides: Sequence[str]) -> None:
    """The grid by ``run``."""
    with tempfile.TemporaryDirectory(prefix="one-model-or-many-") as folder:
        command = [sys.executable, "-m", "orchestrator", "run", "quick", *GRID]
        settings = [f"seeds=[{','.join(map(str, SEEDS))}]", f"training.precision={precision}"]
        subprocess.run(
            [*command, *settings, *overrides, "--run-dir", f"{folder}/run"],
            check=True,
            stdout=subprocess.DEVNULL,
        )


def name_of(side: str, precision: str) -> str:
    """For tables."""
    return f"{'Trainer' if side == 'trainer' else 'this project'} {precision}"


def say(line: str) -> None:
    """Show progress."""
    print(line, file=sys.stderr, flush=True)


def trials_table(runs: dict[str, Any]) -> str:
    """What ``compare_trials`` returns as Markdown: medians, and the ratio of each round."""
    lines = [
        "| task | trained by | seconds | times as fast | of the limit | start-up | memory "
        "| accuracy |",
        "| :-- | :-- | --: | --: | --: | --: | --: | --: |",
    ]
    for task, ways in runs.items():
        reference = next(iter(ways.values()))
        for name, own in ways.items():
            ratios = [r["seconds"] / o["seconds"] for r, o in zip(reference, own, strict=True)]
            middle = {key: median(run[key] for run in own) for key in own[0]}
            lines.append(
                f"| {task} | {name} | {middle['seconds']:.1f} "
                f"| {median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f}) "
                f"| {middle['limit'] / middle['seconds']:.0%} | {middle['startup']:.1f} s "
                f"| {middle['megabytes']:.0f} MB | {100 * middle['accuracy']:.1f} % |"
            )
    return "\n".join(lines)


def grids_table(seconds: dict[str, list[float]]) -> str:
    """What ``compare_grids`` returns as Markdown; ratios to the faster Trainer of each round."""
    lines = ["| grid of ten trials | seconds | times as fast |", "| :-- | --: | --: |"]
    theirs = zip(*(own for name, own in seconds.items() if name.startswith("Trainer")), strict=True)
    faster = list(map(min, theirs))
    for name, own in seconds.items():
        ratios = [r / o for r, o in zip(faster, own, strict=True)]
        lines.append(f"| {name} | {median(own):.0f} | {median(ratios):.2f} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=("trial", "grid", "rest"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--examples", type=int, default=2000, help="of each task's train, in trial")
    parser.add_argument("--trials", type=int, default=10_000, help="of the large grid, in rest")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    parser.add_argument("overrides", nargs="*", help="settings: data.glue_dir=DIR")
    options = parser.parse_args(arguments)
    results: dict[str, Any] = {"environment": describe_environment()}
    if options.only in (None, "trial"):
        runs = compare_trials(options.rounds, options.examples, options.overrides)
        results["trial"] = runs
        print(trials_table(runs), flush=True)
    if options.only in (None, "grid"):
        seconds = compare_grids(options.rounds, options.overrides)
        results["grid"] = seconds
        print(f"\n{grids_table(seconds)}", flush=True)
    if options.only in (None, "rest"):
        with tempfile.TemporaryDirectory() as folder:
            between = trial_overhead.measure(12, options.overrides, Path(folder))
            large = large_grid.measure(options.trials, Path(folder) / "run")
        results |= {"trial_overhead": between, "large_grid": large}
        print(f"\n{trial_overhead.table(between)}\n\n{large_grid.table(large)}")
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
