"""Measures how fast a trial trains beside others: a process that trains a piece of it.

    python -m trainables.trial.throughput

Standard input gives a ``ThroughputRequest`` as one line of JSON. The process builds the trial's
model with random weights and takes a few steps, writes the line ``ready``, waits for another line,
so that several processes start together, and trains. It ends with a ``ThroughputResult`` as one
line of JSON, also where memory ran out before it was ready. Nothing is written to the disk but the
token cache.
"""

import itertools
import os
import sys
import time
from typing import TextIO

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from trainables.config.arms import NaiveConcatArm
from trainables.config.base import Settings
from trainables.config.trial import Runtime, TrialConfig
from trainables.data.planned import load_data
from trainables.errors import DivergedError, TrialError
from trainables.training.device import (
    limit_gpu_memory,
    resolve_device,
    resolve_precision,
    use_deterministic,
    use_threads,
)
from trainables.training.loop import TrainingLoop
from trainables.training.memory import is_out_of_memory, limit_memory
from trainables.trial.build import build_training_loop

READY = "ready"
"""The line that says that the piece can begin."""

WARM_UP = 3
"""Steps before the measured ones: buffers, moments and kernels are made in the first."""

ENDLESS = 10**9
"""Optimiser steps of a trial that never comes to an evaluation."""


class ThroughputRequest(Settings):
    """What to measure.

    Attributes:
        config: the trial.
        runtime: device, threads, share of the GPU, and where data and token cache are.
        seconds: training stops after the step that reaches them; None: only after ``steps``.
        steps: training stops after so many; None: only after ``seconds``.
    """

    config: TrialConfig
    runtime: Runtime
    seconds: PositiveFloat | None = None
    steps: PositiveInt | None = None


class ThroughputResult(Settings):
    """What was measured.

    Attributes:
        fits: whether every batch fitted into the process's share of the memory.
        steps: optimiser steps.
        examples: training examples of them.
        seconds: wall-clock time of them.
    """

    fits: bool
    steps: NonNegativeInt = 0
    examples: NonNegativeInt = 0
    seconds: NonNegativeFloat = 0.0


def measure(request: ThroughputRequest, incoming: TextIO, outgoing: TextIO) -> ThroughputResult:
    """Build the trial's training loop and train a piece of it.

    Args:
        request: what to measure.
        incoming: a line of it is waited for when all is ready.
        outgoing: is written the line ``READY`` before.

    Raises:
        InputError: the data or the encoder cannot be used.
    """
    use_threads(request.runtime.threads)
    on_cpu = resolve_device(request.runtime.device).type == "cpu"
    try:
        with limit_memory(request.runtime.memory if on_cpu else None):
            loop = _build(request)
            running = loop.run()
            for _ in range(WARM_UP):
                next(running)
            outgoing.write(f"{READY}\n")
            outgoing.flush()
            if not incoming.readline():
                raise EOFError("nobody waits for the result")
            examples = loop.state.examples
            began = time.perf_counter()
            for steps in itertools.count(1):
                next(running)
                seconds = time.perf_counter() - began
                if steps == request.steps or seconds >= (request.seconds or float("inf")):
                    break
            if loop.device.type == "cuda":
                torch.cuda.synchronize()
            seconds = time.perf_counter() - began
    except Exception as error:
        if not _out_of_memory(error):
            raise
        return ThroughputResult(fits=False)
    return ThroughputResult(
        # Batches that were halved would change what the trial computes.
        fits=not loop.accumulation.changes,
        steps=steps,
        examples=loop.state.examples - examples,
        seconds=seconds,
    )


def _out_of_memory(error: Exception) -> bool:
    """Whether ``error`` says that memory ran out, in the loop even with one example at a time."""
    if isinstance(error, TrialError):
        return not isinstance(error, DivergedError)
    return is_out_of_memory(error) or is_out_of_memory(error.__cause__ or error)


def _build(request: ThroughputRequest) -> TrainingLoop:
    """The trial's loop, without what other trials leave for it and without evaluations."""
    config, runtime = request.config, request.runtime
    device = resolve_device(runtime.device)
    use_deterministic(device, config.training.deterministic)
    limit_gpu_memory(device, runtime.gpu)
    precision = resolve_precision(config.training.precision, device, runtime.precision)
    tasks = load_data(config, runtime.glue_dir)
    training = config.training.model_copy(
        update={"epochs": 1, "early_stopping": None, "keep": "last"}
    )
    arm = config.arm
    if not isinstance(arm, NaiveConcatArm):
        arm = arm.model_copy(update={"distillation": None})
    piece = config.model_copy(
        update={
            "arm": arm,
            "model": config.model.model_copy(update={"weights": "random"}),
            "training": training,
            "total_steps": ENDLESS,
            "teachers": {},
            "start_from": None,
            "changes": (),
            "search": None,
        }
    )
    return build_training_loop(piece, runtime, tasks, device, precision)


def main() -> None:
    """See the module's description."""
    # What libraries print must not come between the lines.
    outgoing = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    request = ThroughputRequest.model_validate_json(sys.stdin.readline())
    result = measure(request, sys.stdin, outgoing)
    outgoing.write(f"{result.model_dump_json()}\n")
    outgoing.close()


if __name__ == "__main__":
    main()
