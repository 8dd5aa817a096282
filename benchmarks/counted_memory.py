"""The memory that ``resources.gpu=auto`` counts, against the memory that training allocates.

    python -m benchmarks.counted_memory data.glue_dir=DIR

A multi-task trial takes a few steps on the CPU, with every example of a batch of maximal length,
while PyTorch's profiler records each allocation. Its peak is compared with the peak that is
counted without training (``trainables/training/gpu_memory.py``), for MiniLM-L6 and for an encoder
of the shape of BERT base (12 layers, 768 wide) with random weights. A GPU's own overhead is in
neither.
"""

import argparse
import itertools
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from unittest.mock import DEFAULT, patch

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.subject import BATCH_SIZE, Subject, write_encoder
from benchmarks.variants import Variant
from trainables.strategies import Step
from trainables.training.gpu_memory import estimate_gpu_memory
from trainables.training.loop import TrainingLoop
from trainables.trial import build

LIMIT = "limits.max_train_examples=500"
"""Texts that are read but not trained on are not compared."""


def filled(step: Step, length: int) -> Step:
    """A step whose examples are all ``length`` tokens long."""
    parts = []
    for part in step.parts:
        tensors = dict(part.tensors)
        for name, tensor in tensors.items():
            if name != "labels":
                tensors[name] = tensor[:, :1].expand(-1, length).contiguous()
        parts.append(replace(part, tensors=tensors))
    return Step(tuple(parts))


def allocated(loop: TrainingLoop, steps: int) -> int:
    """Peak bytes of so many optimiser steps: weights, and all that the allocator gave."""
    step = filled(next(loop.strategy.steps(0)), loop.config.model.max_length)
    with (
        patch.object(loop.strategy, "steps", lambda start: itertools.repeat(step)),
        profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler,
    ):
        running = loop.run()
        for _ in range(steps):
            next(running)
    assert profiler.profiler is not None
    assert profiler.profiler.kineto_results is not None
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    sizes = [event.nbytes() for event in events]  # type: ignore[attr-defined]
    return weights(loop.model) + max(itertools.accumulate(sizes))


def weights(model: torch.nn.Module) -> int:
    """Bytes of parameters and buffers."""
    return sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))


def compare(name: str, steps: int, overrides: list[str]) -> tuple[str, float, float]:
    """An encoder's name, the MB that are counted, and the MB that are allocated."""
    # What is counted is the plain model with its whole vocabulary, since it is not known beforehand
    # how many of its words occur; a trial needs less.
    plain = patch.multiple(build, trim_vocabulary=DEFAULT, take_shortcuts=DEFAULT)
    with Subject(steps, overrides) as subject, plain:
        loop = subject.loop(Variant(name, {"strategy": "shared_encoder"}))
        classes = {task.name: task.classes for task in loop.strategy.tasks}
        count = estimate_gpu_memory(loop.config, classes)
        # The measurement evaluates nothing.
        counted = count.weights + count.states + count.training
        return name, counted / 1e6, allocated(loop, steps) / 1e6


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("overrides", nargs="*", help="settings of a trial: data.glue_dir=DIR")
    options = parser.parse_args(arguments)
    overrides = [LIMIT, "training.precision=fp32", "device=cpu", *options.overrides]
    rows = [compare("minilm-l6", options.steps, overrides)]
    print(f"minilm-l6: {rows[0][2]:.0f} MB", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="one-model-or-many-") as folder:
        write_encoder(Path(folder), options.layers, options.width)
        shape = f"{options.layers} layers, {options.width} wide"
        model = f"define.models.measured={{encoder: {folder}, weights: random}}"
        rows.append(compare(shape, options.steps, [*overrides, model, "model=measured"]))
    print(f"batches of {BATCH_SIZE}, {options.steps} steps, float32\n")
    print(
        "| encoder | counted, MB | allocated, MB | counted / allocated |\n| :-- | --: | --: | --: |"
    )
    for name, counted, taken in rows:
        print(f"| {name} | {counted:.0f} | {taken:.0f} | {counted / taken:.3f} |")


if __name__ == "__main__":
    main()
