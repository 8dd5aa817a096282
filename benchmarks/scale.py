"""The driver's cost for a large grid: thousands of trials on many GPUs, all simulated.

    python -m benchmarks.scale [--trials 2000] [--gpus 64] [--median 60]

Ray is told that this machine has so many GPUs, and the project's Ray Tune executor schedules a
real plan over them. Trials compute nothing (``benchmarks/stub.py``): each waits for some seconds
and reports once a second as a real one does. Real trials take minutes to hours, so here trials
start and end more often than on a cluster; if they were much shorter, processes would be free
again before all of them have started. Prints, as Markdown: the share of time in which the slots
were busy, from the first trial of the last slot to the start of the last trial; the time between a
trial's end and the next one's start in the same slot; and the driver's memory and CPU time. The
live view is drawn as on a terminal.
"""

import argparse
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil
from rich.console import Console

from benchmarks import stub
from orchestrator.commands.report import report
from orchestrator.config.experiment import load_experiment
from orchestrator.execution.executor import each
from orchestrator.execution.stages import expected_of
from orchestrator.execution.tune_executor import TuneExecutor
from orchestrator.monitor.live_view import LiveView
from orchestrator.monitor.state import GridProgress
from orchestrator.planning.dependencies import artifacts_of
from orchestrator.planning.plan import largest, make_plan
from orchestrator.planning.resources import Node
from orchestrator.run_dir.directory import lock_run_dir, write_metadata
from trainables.results.record import read_records
from trainables.storage.run_dir import RunDir

PER_SEED = 5
"""Trials of the preset ``demo`` with one model and one seed."""


@dataclass
class Samples:
    """The driver's memory while it runs: numbers of ended trials, and MB at the same times."""

    ended: list[int] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)

    @property
    def kilobytes_per_trial(self) -> float:
        """Slope of a straight line through all samples after the first tenth of the trials."""
        first = max(self.ended) // 10
        kept = [(n, mb) for n, mb in zip(self.ended, self.megabytes, strict=True) if n >= first]
        ended, megabytes = np.array(kept).T
        return 1000 * float(np.polyfit(ended, megabytes, 1)[0])


@dataclass(frozen=True)
class Slots:
    """Use of the slots.

    Attributes:
        first: Unix seconds of the first start of a trial.
        full: of the first start in the slot that was filled last.
        last: of the last start of a trial; after that slots have nothing to do.
        busy: share of the slots' time between ``full`` and ``last`` in which a trial ran.
        gaps: seconds between a trial's end and the next one's start in the same slot.
    """

    first: float
    full: float
    last: float
    busy: float
    gaps: np.ndarray


def slots(lines: Sequence[str]) -> Slots:
    """The use of the slots, from the lines of ``stub.slots_file``.

    Raises:
        ValueError: no slot had a second trial.
    """
    runs: dict[int, list[tuple[float, float]]] = {}
    for line in map(json.loads, lines):
        runs.setdefault(line["slot"], []).append((line["began"], line["ended"]))
    gaps: list[float] = []
    for spans in runs.values():
        spans.sort()
        gaps += [after[0] - before[1] for before, after in pairwise(spans)]
    if not gaps:
        raise ValueError("give more trials than GPUs: no slot had a second one")
    first = min(spans[0][0] for spans in runs.values())
    full = max(spans[0][0] for spans in runs.values())
    last = max(began for spans in runs.values() for began, _ in spans)
    busy = sum(
        max(0.0, min(ended, last) - max(began, full))
        for spans in runs.values()
        for began, ended in spans
    )
    return Slots(first, full, last, busy / (len(runs) * (last - full)), np.array(gaps))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the simulation and print its costs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--gpus", type=int, default=64)
    parser.add_argument("--median", type=float, default=60.0, help="seconds of a trial")
    parser.add_argument("--run-dir", type=Path, help="a new folder, which is kept")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        root = options.run_dir or Path(folder) / "run"
        print("\n".join(measure(options.trials, options.gpus, options.median, RunDir(root))))


def measure(trials: int, gpus: int, median: float, run_dir: RunDir) -> list[str]:
    """Run ``trials`` trials (in steps of five) and give the lines of the table."""
    os.environ[stub.MEDIAN] = str(median)
    began = time.perf_counter()
    experiment = load_experiment(
        "demo",
        [
            f"seeds={list(range(max(1, trials // PER_SEED)))}",
            "models=[minilm-l6]",
            "resources={cpu: 1, gpu: 1}",
        ],
    )
    plan = make_plan(experiment)
    planned = time.perf_counter() - began
    samples = Samples()
    with ExitStack() as stack:
        nowhere = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
        console = Console(file=nowhere, force_terminal=True, width=100, height=50)
        stack.enter_context(lock_run_dir(run_dir, experiment, plan, console))
        with TuneExecutor(
            experiment, console, machine=Node(gpus, gpus), trainable=stub.StubTrial
        ) as executor:
            resources = executor.resources(len(plan.trials), lambda: largest(plan))
            write_metadata(run_dir, experiment, plan, resources)
            progress = GridProgress(map(expected_of, plan.longest_first()), resources.slots)
            ready, cpu = time.time(), time.process_time()
            with LiveView(progress, console) as view, _sampled(progress, samples):
                executor.run(
                    each(plan.longest_first()),
                    run_dir,
                    view,
                    resources=resources,
                    glue_dir=plan.glue_dir,
                    artifacts=artifacts_of(plan.trials),
                )
            took, cpu = time.time() - ready, time.process_time() - cpu
        reporting = time.perf_counter()
        report(run_dir.root)
        reporting = time.perf_counter() - reporting
    assert len(read_records(run_dir)) == len(plan.trials)
    usage = slots(stub.slots_file(run_dir.root).read_text(encoding="utf-8").splitlines())
    seconds = [stub.duration(trial.key, median) for trial in plan.trials]
    rows = {
        "trials, simulated GPUs": f"{len(plan.trials):,}, {gpus}",
        "seconds of a trial: median, longest": f"{np.median(seconds):.1f}, {max(seconds):.1f}",
        "planning": f"{planned:.1f} s",
        "from a running Ray to the first trial, to a trial in every slot": (
            f"{usage.first - ready:.1f} s, {usage.full - ready:.1f} s"
        ),
        "all trials": f"{took:.0f} s",
        "slots busy, from all filled to the last start": f"{100 * usage.busy:.1f} %",
        "from a trial's end to the next start: median, 95th percentile": (
            f"{1000 * np.median(usage.gaps):.0f} ms, {1000 * np.quantile(usage.gaps, 0.95):.0f} ms"
        ),
        "driver's CPU time per trial": f"{1000 * cpu / len(plan.trials):.0f} ms",
        "driver's share of a core": f"{100 * cpu / took:.0f} %",
        "driver's peak memory": f"{max(samples.megabytes):.0f} MB",
        "of it, growth per trial": f"{samples.kilobytes_per_trial:.0f} kB",
        "table and report": f"{reporting:.1f} s",
    }
    return ["| | |", "|---|--:|", *(f"| {name} | {value} |" for name, value in rows.items())]


@contextmanager
def _sampled(progress: GridProgress, samples: Samples) -> Iterator[None]:
    """Record this process's memory twice a second while the block runs."""
    ended = threading.Event()
    process = psutil.Process()

    def sample() -> None:
        while True:
            counts = progress.counts()
            samples.ended.append(sum(n for state, n in counts.items() if state.is_finished()))
            samples.megabytes.append(process.memory_info().rss / 1e6)
            if ended.wait(0.5):
                return

    thread = threading.Thread(target=sample, name="memory", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


if __name__ == "__main__":
    main()
