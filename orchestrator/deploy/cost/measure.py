"""Measures arms beside each other: fresh processes, warmed up, in alternating rounds.

Arms of one model are measured together, those whose models have the same shape once. Each of
``PROCESSES`` times all of them are loaded in processes of their own; then every kind of request is
made in ``ROUNDS`` rounds, in which one arm after the other answers the same requests, in one order
and then in the reverse one. The requests of all rounds are the same, so that rounds differ by noise
alone. Only one process computes at a time.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from statistics import median
from typing import IO

import trainables.errors
from orchestrator.deploy.cost.arms import DeployedArm
from orchestrator.deploy.cost.results import Measured, Round, Timing
from orchestrator.deploy.cost.serving import (
    BATCH_SIZES,
    SCENARIOS,
    Asked,
    Loaded,
    Scenario,
    WorkerAnswer,
    WorkerRequest,
)
from trainables.errors import ResourceError, RunDirectoryError

PROCESSES = 3
"""That measure each deployment, one after the other: speed also differs between processes."""

ROUNDS = 2
"""Of each kind of request in a process."""

WARM_UP = 3
"""Requests of each kind before the measured ones; they also tell how many fit into the time."""

MOST_REQUESTS = 100
"""Of one kind in a round."""

KINDS: tuple[tuple[Scenario, int], ...] = tuple((s, b) for s in SCENARIOS for b in BATCH_SIZES)
"""Scenario and batch size of all requests."""

Texts = Mapping[str, tuple[tuple[str, ...], ...]]
"""Task -> examples, each of one or two texts."""


@dataclass(frozen=True)
class Measurement:
    """What was measured of several arms.

    Attributes:
        deployments: those of different shape.
        of_arm: for each arm the index of its deployment.
        device: what computed.
        tokens: model -> task -> mean number of tokens of the texts.
    """

    deployments: tuple[Measured, ...]
    of_arm: tuple[int, ...]
    device: str
    tokens: dict[str, dict[str, float]]


def steps(arms: Sequence[DeployedArm]) -> int:
    """How often ``measure`` calls ``on_step`` for these arms."""
    return len({arm.model for arm in arms}) * PROCESSES * (1 + ROUNDS * len(KINDS))


def measure(
    arms: Sequence[DeployedArm],
    texts: Texts,
    *,
    device: str,
    threads: int,
    seconds: float,
    on_step: Callable[[], None] = lambda: None,
) -> Measurement:
    """Measure arms; those of the same shape once.

    Args:
        arms: at least one.
        texts: what they are asked about.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        threads: CPU threads of a process.
        seconds: about how long requests are made, of all arms together; loading comes on top.
        on_step: called after each part, see ``steps``.

    Raises:
        InputError: a model or the device cannot be used.
        RunDirectoryError: a model has another size than the one that was trained.
        ResourceError: a process died.
    """
    models = list(dict.fromkeys(arm.model for arm in arms))
    deployments: list[Measured] = []
    of_shape: dict[tuple[str, str], int] = {}
    tokens: dict[str, dict[str, float]] = {}
    device_name = ""
    for model in models:
        subjects: dict[str, _Subject] = {}
        for arm in arms:
            if arm.model == model:
                subjects.setdefault(arm.deployment.shape, _Subject(arm))
        asked = _Session(texts, device, threads, seconds / len(models), on_step)
        measured = asked.measure(list(subjects.values()))
        for shape, subject in zip(subjects, measured, strict=True):
            of_shape[model, shape] = len(deployments)
            deployments.append(subject.measured())
            tokens.setdefault(model, {}).update(subject.loaded[0].tokens)
            device_name = subject.loaded[0].device
    return Measurement(
        deployments=tuple(deployments),
        of_arm=tuple(of_shape[arm.model, arm.deployment.shape] for arm in arms),
        device=device_name,
        tokens=tokens,
    )


@dataclass
class _Subject:
    """An arm while it is measured."""

    arm: DeployedArm
    loaded: list[Loaded] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)

    def load(self, loaded: Loaded) -> None:
        """Take note of what a process has loaded.

        Raises:
            RunDirectoryError: it is another model than the one that was trained.
        """
        expected = self.arm.parameters
        if expected is not None and loaded.parameters != expected:
            raise RunDirectoryError(
                f"{self.arm.title}: its models have {loaded.parameters:,} parameters, those that "
                f"were trained had {expected:,}; restore the encoder's files, or run the "
                "experiment again in another run directory"
            )
        self.loaded.append(loaded)

    def measured(self) -> Measured:
        """What came of it."""
        deployment, loaded = self.arm.deployment, self.loaded[0]
        kinds = len({given.texts for given in deployment.inputs})
        timings = []
        for scenario, batch_size in KINDS:
            own = [r for r in self.rounds if (r.scenario, r.batch_size) == (scenario, batch_size)]
            timings.append(Timing.of(own, kinds if scenario == "all_tasks" else 1))
        return Measured(
            trials=self.arm.trials,
            saved=all(model.folder is not None for model in deployment.models),
            models=len(deployment.models),
            passes=deployment.passes,
            parameters=loaded.parameters,
            megabytes=loaded.weight_bytes / 1e6,
            peak_megabytes=tuple(peak / 1e6 for peak in self.peaks),
            timings=tuple(timings),
            rounds=tuple(self.rounds),
        )


@dataclass(frozen=True)
class _Session:
    """The arms of one model, measured together; see ``measure``."""

    texts: Texts
    device: str
    threads: int
    seconds: float
    on_step: Callable[[], None]

    def measure(self, subjects: Sequence[_Subject]) -> Sequence[_Subject]:
        """Fill in what is measured."""
        requests: dict[tuple[Scenario, int], int] = {}
        for process in range(PROCESSES):
            with ExitStack() as stack:
                # Started together, since their imports take seconds.
                workers = []
                for subject in subjects:
                    errors = stack.enter_context(tempfile.TemporaryFile("w+"))
                    workers.append(Worker(self._request(subject.arm), subject.arm.title, errors))
                    stack.callback(workers[-1].kill)
                for subject, worker in zip(subjects, workers, strict=True):
                    subject.load(worker.loaded())
                warm = {kind: [_warm_up(worker, kind) for worker in workers] for kind in KINDS}
                requests = requests or {kind: self._requests(took) for kind, took in warm.items()}
                self.on_step()
                for number in range(ROUNDS):
                    self._round(subjects, workers, requests, process, number)
                for subject, worker in zip(subjects, workers, strict=True):
                    subject.peaks.append(worker.end())
        return subjects

    def _round(
        self,
        subjects: Sequence[_Subject],
        workers: Sequence["Worker"],
        requests: Mapping[tuple[Scenario, int], int],
        process: int,
        number: int,
    ) -> None:
        """Let all arms answer the same requests of every kind, in turns."""
        pairs = list(zip(subjects, workers, strict=True))
        for scenario, batch_size in KINDS:
            count = requests[scenario, batch_size]
            asked = Asked(scenario=scenario, batch_size=batch_size, requests=count)
            for subject, worker in pairs if number % 2 == 0 else reversed(pairs):
                times = worker.ask(asked)
                made = Round(
                    scenario=scenario, batch_size=batch_size, process=process, milliseconds=times
                )
                subject.rounds.append(made)
            self.on_step()

    def _requests(self, seconds: Sequence[float]) -> int:
        """How many requests of a kind fit into a round.

        Args:
            seconds: that one takes, of each arm.
        """
        share = self.seconds / (PROCESSES * ROUNDS * len(KINDS))
        return max(1, min(MOST_REQUESTS, int(share / max(sum(seconds), 1e-6))))

    def _request(self, arm: DeployedArm) -> WorkerRequest:
        return WorkerRequest(
            deployment=arm.deployment,
            tasks=arm.tasks,
            texts={task: self.texts[task] for task in arm.tasks},
            device=self.device,
            threads=self.threads,
        )


def _warm_up(worker: "Worker", kind: tuple[Scenario, int]) -> float:
    """Make the first requests of a kind; seconds that one takes."""
    asked = Asked(scenario=kind[0], batch_size=kind[1], requests=WARM_UP)
    return median(worker.ask(asked)) / 1000


class Worker:
    """A process that has loaded a deployment, see ``orchestrator.deploy.cost.worker``.

    Args:
        request: what it loads.
        title: of the arm, for messages.
        errors: takes its standard error.

    Attributes:
        pid: of the process.
    """

    def __init__(self, request: WorkerRequest, title: str, errors: IO[str]) -> None:
        self._title = title
        self._errors = errors
        threads = str(request.threads)
        environment = {
            "PYTHONPATH": os.pathsep.join(sys.path),
            "OMP_NUM_THREADS": threads,
            # Of the tokenizer.
            "RAYON_NUM_THREADS": threads,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator.deploy.cost.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | environment,
        )
        self.pid = self._process.pid
        self._write(request.model_dump_json())

    def loaded(self) -> Loaded:
        """What it has loaded; waits for it.

        Raises:
            InputError: a model or the device cannot be used.
            ResourceError: the process died.
        """
        loaded = self._read().loaded
        assert loaded is not None
        return loaded

    def ask(self, asked: Asked) -> tuple[float, ...]:
        """Milliseconds of each of several requests.

        Raises:
            ResourceError: the process died.
        """
        self._write(asked.model_dump_json())
        return self._read().milliseconds

    def end(self) -> int:
        """Bytes of memory at the highest; the process ends.

        Raises:
            ResourceError: the process died.
        """
        assert self._process.stdin is not None
        self._process.stdin.close()
        peak = self._read().peak_bytes
        assert peak is not None
        return peak

    def kill(self) -> None:
        """End the process."""
        # What it has not read is lost with it.
        with suppress(BrokenPipeError), self._process:
            self._process.kill()

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        # Of a process that has died, the answer, or that there is none, says why.
        with suppress(BrokenPipeError):
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()

    def _read(self) -> WorkerAnswer:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ResourceError(
                f"{self._title}: its process died while it was measured ({self._last_line()})"
            )
        answer = WorkerAnswer.model_validate_json(line)
        if answer.error is not None:
            kind, message = answer.error
            raise getattr(trainables.errors, kind)(message)
        return answer

    def _last_line(self) -> str:
        """What the process printed last: its exception."""
        code = self._process.wait()
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors.read().splitlines() if line.strip()]
        return lines[-1] if lines and code > 0 else f"exit code {code}"
