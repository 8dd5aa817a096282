"""What each shortcut saves of an optimiser step, alone and together.

    python -m benchmarks.levers data.glue_dir=DIR [--precision bf16] [--profile]

Trials of one task with MiniLM-L6 and batches of 32 train in one process, in turn: one without any
shortcut of ``trainables/models/shortcuts``, one with each alone, one with all. In each round every
one takes a few steps on the same examples, in a new random order. Printed is the process time of a
step on one thread, which other processes affect least, and its ratio to that without shortcuts, as
the median over the rounds. ``--profile`` prints where the time goes without and with all.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from unittest.mock import patch

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.peers import TASKS, say
from orchestrator.config.experiment import load_single_trial
from orchestrator.planning.grid import Grid, glue_folder
from orchestrator.run_dir.environment import describe_environment
from trainables.config.trial import Runtime
from trainables.data.planned import load_data
from trainables.models.classifier import Classifier
from trainables.models.shortcuts.attention import use_attention
from trainables.models.shortcuts.bert_layers import use_bert_shortcuts
from trainables.models.shortcuts.dropout import use_bit_dropout
from trainables.models.shortcuts.vocabulary import trim_vocabulary
from trainables.training.device import use_threads
from trainables.training.loop import TrainingLoop
from trainables.training.memory import keep_freed_memory
from trainables.trial import build

Take = Callable[[Classifier], None]


def _attention(model: Classifier) -> None:
    """Attention has its masks from random bits too."""
    use_bit_dropout(model)
    use_attention(model.encoder.plain)


def _all(model: Classifier) -> None:
    _attention(model)
    use_bert_shortcuts(model.encoder, first_token_only=True)


WAYS: dict[str, tuple[Take | None, bool]] = {
    "without shortcuts": (None, False),
    "words that occur": (None, True),
    "dropout from random bits": (use_bit_dropout, False),
    "dropout and attention": (_attention, False),
    "hidden states stay in bf16": (
        lambda model: use_bert_shortcuts(model.encoder, first_token_only=False),
        False,
    ),
    "and the last layer's first token": (
        lambda model: use_bert_shortcuts(model.encoder, first_token_only=True),
        False,
    ),
    "all": (_all, True),
}
"""Name -> the shortcuts through the model, and whether its vocabulary is trimmed."""


def loop_of(task: str, precision: str, way: str, overrides: Sequence[str]) -> TrainingLoop:
    """A training loop with the shortcuts of one way."""
    settings = ["training.epochs=1", "training.batch_size=32", f"training.precision={precision}"]
    single = load_single_trial("single_task", [f"tasks=[{task}]", *settings, *overrides])
    [config] = Grid(single).trials_of("single_task", single.model, single.seed)
    folder = glue_folder(single.data.glue_dir)
    take, trims = WAYS[way]
    chosen = {
        "take_shortcuts": take or (lambda model: None),
        "trim_vocabulary": trim_vocabulary if trims else lambda *_: None,
    }
    with tempfile.TemporaryDirectory() as output, patch.multiple(build, **chosen):
        runtime = Runtime(output_dir=output, device="cpu", glue_dir=folder)
        data = load_data(config, folder)
        return build.build_training_loop(config, runtime, data, torch.device("cpu"), precision)


def measure(
    task: str, precision: str, rounds: int, steps: int, overrides: Sequence[str]
) -> dict[str, list[float]]:
    """Milliseconds of a step, of each round, by way."""
    running = {way: loop_of(task, precision, way, overrides).run() for way in WAYS}
    for loop in running.values():
        take(loop, 3)
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(rounds):
        for index in torch.randperm(len(WAYS), generator=torch.Generator().manual_seed(turn)):
            way = list(WAYS)[index]
            began = time.process_time()
            take(running[way], steps)
            times[way].append(1000 * (time.process_time() - began) / steps)
        say(f"{task}: {turn + 1} of {rounds} rounds")
    return times


def take(loop: Iterator[None], steps: int) -> None:
    """Train for so many optimiser steps."""
    for _ in range(steps):
        next(loop)


def table(times: dict[str, dict[str, list[float]]]) -> str:
    """Task -> way -> times as Markdown."""
    head = " | ".join(f"{task}, ms a step | times as fast" for task in times)
    lines = [f"| | {head} |", "| :-- " + "| --: | --: " * len(times) + "|"]
    for way in WAYS:
        cells = []
        for own in times.values():
            ratios = [
                plain / short
                for plain, short in zip(own["without shortcuts"], own[way], strict=True)
            ]
            cells.append(f"{median(own[way]):.0f} | {median(ratios):.2f}")
        lines.append(f"| {way} | {' | '.join(cells)} |")
    return "\n".join(lines)


def profiled(task: str, precision: str, way: str, overrides: Sequence[str]) -> str:
    """Share of a step's time by operation, the ten largest, as one line."""
    loop = loop_of(task, precision, way, overrides).run()
    take(loop, 3)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        take(loop, 5)
    events = sorted(profiler.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    shares = [
        f"{event.key.removeprefix('aten::')} {event.self_cpu_time_total / total:.0%}"
        for event in events[:10]
    ]
    return f"- {task}, {way} ({total / 5000:.0f} ms): {', '.join(shares)}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=3, help="of each way in a round")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("overrides", nargs="*", help="settings of a trial: data.glue_dir=DIR")
    options = parser.parse_args(arguments)
    use_threads(1)
    keep_freed_memory()
    overrides = options.overrides
    times = {
        task: measure(task, options.precision, options.rounds, options.steps, overrides)
        for task in TASKS
    }
    environment = describe_environment()
    print(
        f"{environment['cpu']}, one thread, torch {environment['packages']['torch']}, "
        f"{options.precision}, {options.rounds} rounds of {options.steps} steps\n\n{table(times)}\n"
    )
    for task in TASKS if options.profile else ():
        for way in ("without shortcuts", "all"):
            print(profiled(task, options.precision, way, overrides))


if __name__ == "__main__":
    main()
