"""This project beside what users would run instead: Hugging Face's Trainer, and tasknet on it.

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
multitask
        ``shared_encoder`` on the three tasks of that grid beside tasknet, which has a head for
        each task; as in ``trial`` otherwise. tasknet has an environment of its own,
        which is made in ``build`` the first time; ``--tasknet-python`` names another.
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
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from benchmarks import large_grid, trial_overhead
from benchmarks.one_training import load_config
from benchmarks.subject import CORES
from benchmarks.tasknet_runs import tasknet_python, train_with_tasknet
from orchestrator.run_dir.environment import describe_environment
from trainables.seeding import generator

TASKS = ("cola", "mrpc")
PRECISIONS = ("fp32", "bf16")
SIDES = {"trainer": "Trainer", "tasknet": "tasknet", "trial": "this project"}
"""Who trains, for tables."""

GRID = (
    "limits.max_train_examples=2000",
    "training={epochs: 1, batch_size: 16, learning_rate: 2.0e-4}",
)
GRID_TASKS = ("cola", "sst2", "mrpc")
SEEDS = (41, 42)

FIGURES = ("seconds", "limit", "startup", "megabytes", "accuracy")
"""Of a training, for tables."""

Result = TypeVar("Result")


def take_turns(
    rounds: int, what: str, ways: Mapping[str, Callable[[], Result]]
) -> dict[str, list[Result]]:
    """Call all ways in each round, in a new random order: name -> result of each round."""
    results: dict[str, list[Result]] = {name: [] for name in ways}
    for turn in range(rounds):
        for index in generator(0, "turns", what, turn).permutation(len(ways)):
            name = list(ways)[index]
            results[name].append(ways[name]())
            say(f"{what}, {turn + 1} of {rounds}: {name}")
    return results


def compare_trials(rounds: int, examples: int, overrides: Sequence[str]) -> dict[str, Any]:
    """Train in every way: task -> way -> figures of each round; the first way is the reference."""
    settings = [f"limits.max_train_examples={examples}", *overrides]
    return {
        task: take_turns(
            rounds,
            task,
            {
                f"{SIDES[side]} {precision}": partial(train, side, task, precision, 1, settings)
                for side in ("trainer", "trial")
                for precision in PRECISIONS
            },
        )
        for task in TASKS
    }


def compare_multitask(
    rounds: int, examples: int, tasknet: Path | None, overrides: Sequence[str]
) -> dict[str, list[Any]]:
    """Train three tasks in every way: way -> figures of each round; the first is the reference."""
    tasks, arm = ",".join(GRID_TASKS), "shared_encoder"
    settings = [*GRID, f"limits.max_train_examples={examples}", *overrides]
    python = tasknet or tasknet_python()
    ways: dict[str, Callable[[], Any]] = {}
    for precision in PRECISIONS:
        trial = load_config(tasks, precision, settings, arm)
        ways[f"{SIDES['tasknet']} {precision}"] = partial(train_with_tasknet, python, *trial, 1)
    for precision in PRECISIONS:
        ways[f"{SIDES['trial']} {precision}"] = partial(
            train, "trial", tasks, precision, 1, settings, arm
        )
    return take_turns(rounds, arm, ways)


def train(
    side: str,
    tasks: str,
    precision: str,
    threads: int,
    overrides: Sequence[str],
    arm: str | None = None,
) -> dict[str, Any]:
    """One training in a process of its own (``benchmarks.one_training``)."""
    command = [sys.executable, "-m", "benchmarks.one_training", "--threads", str(threads)]
    if arm is not None:
        command += ["--arm", arm]
    done = subprocess.run(
        [*command, side, tasks, precision, *overrides],
        check=True,
        stdout=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
    )
    return json.loads(done.stdout)


def compare_grids(rounds: int, overrides: Sequence[str]) -> dict[str, list[float]]:
    """Seconds of the whole grid in every way, of each round."""
    ways = {
        "Trainer, one process at a time": lambda: trainer_grid(1, overrides),
        "Trainer, a process on each core": lambda: trainer_grid(CORES, overrides),
        "this project, fp32": lambda: own_grid("fp32", overrides),
        "this project, auto": lambda: own_grid("auto", overrides),
    }
    return take_turns(rounds, "grid", {name: partial(timed, way) for name, way in ways.items()})


def timed(way: Callable[[], None]) -> float:
    """Seconds of a call."""
    began = time.perf_counter()
    way()
    return time.perf_counter() - began


def trainer_grid(at_once: int, overrides: Sequence[str]) -> None:
    """A Trainer process for each trial of the grid."""
    everything = ",".join(GRID_TASKS)
    trainings = [*GRID_TASKS, everything, everything]
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


def say(line: str) -> None:
    """Show progress."""
    print(line, file=sys.stderr, flush=True)


def ratios_of(reference: Sequence[float], own: Sequence[float]) -> list[float]:
    """How many times as fast each round is, from the seconds of both."""
    return [r / o for r, o in zip(reference, own, strict=True)]


def ratio_cell(reference: Sequence[dict[str, Any]], own: Sequence[dict[str, Any]]) -> str:
    """Times as fast: median, lowest and highest of the rounds."""
    ratios = ratios_of([run["seconds"] for run in reference], [run["seconds"] for run in own])
    return f"{median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"


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
            middle = {key: median(run[key] for run in own) for key in FIGURES}
            lines.append(
                f"| {task} | {name} | {middle['seconds']:.1f} "
                f"| {ratio_cell(reference, own)} "
                f"| {middle['limit'] / middle['seconds']:.0%} | {middle['startup']:.1f} s "
                f"| {middle['megabytes']:.0f} MB | {100 * middle['accuracy']:.1f} % |"
            )
    return "\n".join(lines)


def multitask_table(runs: dict[str, list[Any]]) -> str:
    """What ``compare_multitask`` returns as Markdown: medians, and the ratio of each round."""
    reference = next(iter(runs.values()))
    tasks = list(reference[0]["accuracies"])
    lines = [
        "| trained by | examples | seconds | times as fast | start-up | memory | "
        + " | ".join(f"{task} accuracy" for task in tasks)
        + " |",
        "| :-- | --: | --: | --: | --: | --: |" + " --: |" * len(tasks),
    ]
    for name, own in runs.items():
        middle = {
            key: median(run[key] for run in own)
            for key in ("examples", "seconds", "startup", "megabytes")
        }
        accuracies = (median(run["accuracies"][task] for run in own) for task in tasks)
        lines.append(
            f"| {name} | {middle['examples']:.0f} | {middle['seconds']:.1f} "
            f"| {ratio_cell(reference, own)} | {middle['startup']:.1f} s "
            f"| {middle['megabytes']:.0f} MB | "
            + " | ".join(f"{100 * accuracy:.1f} %" for accuracy in accuracies)
            + " |"
        )
    return "\n".join(lines)


def grids_table(seconds: dict[str, list[float]]) -> str:
    """What ``compare_grids`` returns as Markdown; ratios to the faster Trainer of each round."""
    lines = ["| grid of ten trials | seconds | times as fast |", "| :-- | --: | --: |"]
    theirs = zip(*(own for name, own in seconds.items() if name.startswith("Trainer")), strict=True)
    faster = list(map(min, theirs))
    for name, own in seconds.items():
        ratio = median(ratios_of(faster, own))
        lines.append(f"| {name} | {median(own):.0f} | {ratio:.2f} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=("trial", "grid", "multitask", "rest"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--examples", type=int, default=2000, help="of each task's train, in trial and multitask"
    )
    parser.add_argument("--trials", type=int, default=10_000, help="of the large grid, in rest")
    parser.add_argument(
        "--tasknet-python", type=Path, metavar="PYTHON", help="of an environment with tasknet"
    )
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
    if options.only in (None, "multitask"):
        multitask = compare_multitask(
            options.rounds, options.examples, options.tasknet_python, options.overrides
        )
        results["multitask"] = multitask
        print(f"\n{multitask_table(multitask)}", flush=True)
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
