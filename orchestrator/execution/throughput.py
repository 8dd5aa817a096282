"""Measures how many trials an hour a GPU trains with several at once, in processes side by side."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from threading import Timer
from typing import IO

from pydantic import ValidationError

from orchestrator.planning.gpu_sharing import SHORT_SECONDS, GpuSharing, Throughput, goes_on
from trainables.config.trial import Runtime, TrialConfig
from trainables.trial.throughput import READY, ThroughputRequest, ThroughputResult

PIECE_SECONDS = 5.0
"""How long one trial alone trains; the same steps are then taken with several at once."""

LEVEL_SECONDS = 180.0
"""Longest time for a number of trials at once, from the start of their processes."""


class ThroughputError(Exception):
    """Nothing can be measured; says why."""


def measure_sharing(
    config: TrialConfig,
    runtime: Runtime,
    threads: Mapping[int, int],
    *,
    examples: int,
    trials: int,
    seconds: float = PIECE_SECONDS,
) -> GpuSharing:
    """Measure with more and more trials at once, until they are slower or out of memory.

    Args:
        config: the trial that all processes train.
        runtime: device, data and token cache.
        threads: trials at once, ascending from 1 -> CPU threads of each.
        examples: training examples of a whole trial.
        trials: trials of the plan for each GPU; if they take less than ``SHORT_SECONDS`` one after
            the other, no more is measured.
        seconds: how long one trial alone trains.
    """
    try:
        curve = throughput_curve(
            config,
            runtime,
            threads,
            examples,
            seconds,
            lambda curve: goes_on(curve) and not _short(curve, trials),
        )
    except ThroughputError as error:
        return GpuSharing(trial=config.key, note=f"not measured, {error}")
    if len(threads) > 1 and _short(curve, trials):
        minutes = SHORT_SECONDS / 60
        note = f"the trials of a GPU take less than {minutes:g} minutes one after the other"
        return GpuSharing(trial=config.key, note=note)
    return GpuSharing(trial=config.key, curve=tuple(curve))


def throughput_curve(
    config: TrialConfig,
    runtime: Runtime,
    threads: Mapping[int, int],
    examples: int,
    seconds: float = PIECE_SECONDS,
    more: Callable[[list[Throughput]], bool] = goes_on,
) -> list[Throughput]:
    """Measure trials an hour with several numbers of trials at once.

    Args:
        config: the trial that all processes train.
        runtime: device, data and token cache.
        threads: trials at once, ascending from 1 -> CPU threads of each.
        examples: training examples of a whole trial.
        seconds: how long one trial alone trains.
        more: whether to go on after these points.

    Raises:
        ThroughputError: a process fails, for another reason than memory, or takes too long.
    """
    curve: list[Throughput] = []
    request = ThroughputRequest(config=config, runtime=runtime, seconds=seconds)
    for at_once, each in threads.items():
        share = runtime.model_copy(update={"threads": each, "gpu": 1 / at_once})
        results = _side_by_side(request.model_copy(update={"runtime": share}), at_once)
        rate = None
        if all(result.fits for result in results):
            longest = max(result.seconds for result in results)
            rate = 3600 * sum(result.examples for result in results) / longest / examples
            # Every number of trials is measured on the same batches.
            steps = results[0].steps
            request = request.model_copy(update={"seconds": None, "steps": steps})
        curve.append(Throughput(at_once, rate))
        if not more(curve):
            break
    return curve


def _short(curve: list[Throughput], trials: int) -> bool:
    """Whether the trials of a GPU are done soon, one after the other."""
    alone = curve[0].trials_per_hour
    return alone is not None and 3600 * trials / alone < SHORT_SECONDS


def _side_by_side(request: ThroughputRequest, at_once: int) -> list[ThroughputResult]:
    """Train a piece in so many processes, which begin when all are ready."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with ExitStack() as stack:
        errors = stack.enter_context(tempfile.TemporaryFile("w+"))
        processes = []
        for _ in range(at_once):
            process = subprocess.Popen(
                [sys.executable, "-m", "trainables.trial.throughput"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
            )
            processes.append(stack.enter_context(process))
            stack.callback(process.kill)
        timer = Timer(LEVEL_SECONDS, lambda: [process.kill() for process in processes])
        stack.callback(timer.cancel)
        timer.start()
        try:
            for process in processes:
                _write(process, request.model_dump_json())
            answers = [_read(process) for process in processes]
            if any(answer != READY for answer in answers):
                return [_result(answer) for answer in answers if answer != READY]
            for process in processes:
                _write(process, "begin")
            return [_result(_read(process)) for process in processes]
        except (OSError, ValidationError):
            timed_out = not timer.is_alive()
            late = f"no answer within {LEVEL_SECONDS:g} s"
            raise ThroughputError(late if timed_out else _last_line(errors)) from None


def _write(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def _read(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def _result(line: str) -> ThroughputResult:
    return ThroughputResult.model_validate_json(line)


def _last_line(errors: IO[str]) -> str:
    """What a process has printed last: its exception."""
    errors.seek(0)
    lines = [line.strip() for line in errors.read().splitlines() if line.strip()]
    return lines[-1] if lines else "a process died"
