"""Planning and reporting of a large grid, whose records and predictions are drawn, not trained.

    python -m benchmarks.large_grid [--trials 10000] [--json FILE]

The grid has five arms on the demo's three tasks, two models and as many seeds as it takes. Each
trial has a record with three epochs, and predictions on validation splits as large as those of
CoLA, SST-2 and MRPC. Prints, as Markdown, the time and the peak memory of a new process that

- plans the grid, where data and encoders are known from an earlier plan;
- reads plan and records and makes the table without verdict, which needs no predictions;
- reports with everything for the first time, and a second time.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.commands.report import report
from orchestrator.config.experiment import ExperimentConfig, load_experiment
from orchestrator.planning.plan import Plan, make_plan
from orchestrator.planning.resources import TrialResources
from orchestrator.report.table import comparison
from orchestrator.run_dir.directory import read_plan, write_metadata
from trainables.config.trial import TrialConfig
from trainables.garbage import paused_collection
from trainables.results.metrics import counts, trimmed
from trainables.results.record import TaskResult, TrialRecord, read_records, write_record
from trainables.storage.run_dir import RunDir

ARMS = ("single_task", "naive_concat", "naive_concat_union", "shared_encoder", "shared_encoder_dwa")
MODELS = ("minilm-l6", "minilm-l3")
PER_SEED = 7 * len(MODELS)
"""Trials of one seed: ``single_task`` has one for each of the three tasks."""

VALIDATION = {
    "acceptability": (1043, 0.69, 0.82),
    "sentiment": (872, 0.51, 0.91),
    "paraphrase": (408, 0.68, 0.84),
}
"""Task -> examples, share of class 1, and mean accuracy of the runs."""

EPOCHS = 3


def plan_grid(root: Path, trials: int) -> None:
    """Plan the grid."""
    _, plan = _plan(trials)
    assert all(trial.key for trial in plan.trials)


def tabulate(root: Path, trials: int) -> None:
    """Make the table of a run directory without verdict."""
    run_dir = RunDir(root)
    # As ``report`` does.
    with paused_collection():
        table = comparison(read_plan(run_dir), read_records(run_dir))
    assert table.rows


def report_all(root: Path, trials: int) -> None:
    """Report with everything, as the command does."""
    assert report(root).table.comparisons


def _plan(trials: int) -> tuple[ExperimentConfig, Plan]:
    seeds = list(range(max(1, trials // PER_SEED)))
    experiment = load_experiment(
        "demo",
        [f"seeds={seeds}", f"arms=[{','.join(ARMS)}]", f"models=[{','.join(MODELS)}]"],
    )
    return experiment, make_plan(experiment)


def draw_run_dir(root: Path, trials: int) -> int:
    """Make a run directory in which all trials of the grid have ended.

    Returns:
        How many trials there are.
    """
    # Imports torch, which takes memory that is not to be measured.
    from trainables.training.evaluation import Evaluation
    from trainables.trial.artifacts import write_predictions

    experiment, plan = _plan(trials)
    run_dir = RunDir(root)
    for folder in (run_dir.root, run_dir.predictions("").parent):
        folder.mkdir(parents=True)
    write_metadata(run_dir, experiment, plan, TrialResources(cpu=1, gpu=0, slots=1))
    rng = np.random.default_rng(0)
    labels = {
        task: (rng.random(size) < positives).astype(np.int64)
        for task, (size, positives, _) in VALIDATION.items()
    }
    for trial in plan.trials:
        evaluations = {}
        for task in trial.config.tasks:
            true = labels[task]
            accuracy = VALIDATION[task][2] + 0.01 * rng.standard_normal()
            predicted = np.where(rng.random(len(true)) < accuracy, true, 1 - true)
            logits = rng.standard_normal((len(true), 2)).astype(np.float32)
            result = TaskResult(confusion=trimmed(counts(true, predicted, 2)).tolist(), loss=0.4)
            evaluations[task] = Evaluation(result, logits, predicted, true)
        write_predictions(run_dir.predictions(trial.key), {"validation": evaluations})
        results = {task: evaluation.result for task, evaluation in evaluations.items()}
        write_record(run_dir, _record(trial.key, trial.config, results))
    return len(plan.trials)


def _record(key: str, config: TrialConfig, results: dict[str, TaskResult]) -> TrialRecord:
    return TrialRecord.model_validate(
        {
            "key": key,
            "title": config.title,
            "status": "finished",
            "config": config,
            "origins": dict.fromkeys(results, "drawn by benchmarks.large_grid"),
            "labels": {task: config.tasks[task].labels for task in results},
            "examples_per_split": {
                task: {"train": 360, "validation": VALIDATION[task][0]} for task in results
            },
            "results": {"train": results, "validation": results},
            "history": [
                {
                    "epoch": epoch,
                    "step": 23 * epoch,
                    "examples": 360 * epoch,
                    "seconds": 10.0 * epoch,
                    "learning_rate": 1e-4 / epoch,
                    "train_loss": 1 / epoch,
                    "splits": {"train": results, "validation": results},
                }
                for epoch in range(1, EPOCHS + 1)
            ],
            "reported_epoch": EPOCHS,
            "stop_reason": "budget",
            "parameters": 22_700_000,
            "trained_parameters": 22_700_000,
            "steps": 23 * EPOCHS,
            "examples": 360 * EPOCHS,
            "train_seconds": 30.0,
        }
    )


def _measured(work: Callable[[Path, int], None], root: Path, trials: int) -> dict[str, float]:
    """Seconds and CPU seconds of the work in this process, and its peak memory in MB (Linux)."""
    began, cpu = time.perf_counter(), time.process_time()
    work(root, trials)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    megabytes = int(peak.split()[1]) / 1000
    return {"seconds": round(seconds, 2), "cpu": round(cpu, 2), "megabytes": round(megabytes)}


STEPS = {
    "plan": plan_grid,
    "read plan and records, table without verdict": tabulate,
    "first report": report_all,
    "second report": report_all,
}
"""What is measured, in this order."""


def measure(trials: int, root: Path) -> dict[str, Any]:
    """Draw a grid of about ``trials`` trials in ``root`` and measure every step of ``STEPS``.

    Returns:
        ``trials``, and ``steps``: what is measured -> ``seconds``, ``cpu`` (seconds of processor
        time) and peak ``megabytes``.
    """
    number = draw_run_dir(root, trials)
    steps = {}
    for name, work in STEPS.items():
        # A process each, so that none is helped by what another one has in memory.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            steps[name] = pool.apply(_measured, (work, root, trials))
    return {"trials": number, "steps": steps}


def table(result: Mapping[str, Any]) -> str:
    """What ``measure`` returns as Markdown."""
    head = f"| {result['trials']:,} trials | time | CPU time | peak memory |"
    lines = [head, "|---|--:|--:|--:|"]
    for name, step in result["steps"].items():
        times = f"{step['seconds']:.1f} s | {step['cpu']:.1f} s"
        lines.append(f"| {name} | {times} | {step['megabytes']:.0f} MB |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--run-dir", type=Path, help="a new folder, which is kept")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        result = measure(options.trials, options.run_dir or Path(folder) / "run")
    print(table(result))
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
