"""What was measured of the arms of a run directory: the content of ``cost.json``.

Times and memory differ from one run to the next, so they stand in this file alone, never in a
record. Every request's time is kept, so that a reader can check what is said of them.
"""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from orchestrator.deploy.cost.serving import Scenario
from trainables.config.base import Settings
from trainables.errors import RunDirectoryError
from trainables.results.record import read_checksummed, write_checksummed
from trainables.storage.run_dir import RunDir

COST_SCHEMA = 1


class Spread(Settings):
    """The median of several measurements, and the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Summarise at least one value."""
        return cls(median=median(values), low=min(values), high=max(values))

    def overlaps(self, other: "Spread") -> bool:
        """Whether the two cannot be told apart: their ranges have a value in common."""
        return self.low <= other.high and other.low <= self.high


class Round(Settings):
    """Requests of one kind, one after the other in one process.

    Attributes:
        scenario: what was asked.
        batch_size: inputs of a request.
        process: number of the process, from 0; all arms have as many.
        milliseconds: of each request.
    """

    scenario: Scenario
    batch_size: PositiveInt
    process: NonNegativeInt
    milliseconds: tuple[NonNegativeFloat, ...] = Field(min_length=1)


class Timing(Settings):
    """Requests of one kind over all rounds.

    Attributes:
        scenario: what was asked.
        batch_size: inputs of a request.
        requests: how many were measured.
        p50_ms, p95_ms: quantiles of their times.
        texts_per_second: of the rounds; a pair counts as one text.
    """

    scenario: Scenario
    batch_size: PositiveInt
    requests: PositiveInt
    p50_ms: NonNegativeFloat
    p95_ms: NonNegativeFloat
    texts_per_second: Spread

    @classmethod
    def of(cls, rounds: Sequence[Round], inputs: int) -> Self:
        """Summarise rounds of one kind.

        Args:
            rounds: at least one.
            inputs: texts of a request whose batch size is 1.
        """
        times = [time for one in rounds for time in one.milliseconds]
        p50, p95 = np.quantile(times, [0.5, 0.95]).tolist()
        size = inputs * rounds[0].batch_size
        rates = [1000 * size * len(r.milliseconds) / sum(r.milliseconds) for r in rounds]
        return cls(
            scenario=rounds[0].scenario,
            batch_size=rounds[0].batch_size,
            requests=len(times),
            p50_ms=p50,
            p95_ms=p95,
            texts_per_second=Spread.of(rates),
        )


class Measured(Settings):
    """One deployment: the models of one arm, or of several whose models have the same shape.

    Attributes:
        trials: whose models they are.
        saved: whether their saved weights were loaded; else untrained ones of the same shape.
        models: how many there are.
        passes: of an encoder where all tasks are asked.
        parameters: of all models.
        megabytes: of their weights as they are stored.
        peak_megabytes: the most memory while they are loaded and asked, a value for each process:
            resident memory beyond that of the imports, on a GPU what torch had allocated there.
        timings: for each kind of request.
        rounds: what these follow from.
    """

    trials: tuple[str, ...]
    saved: bool
    models: PositiveInt
    passes: PositiveInt
    parameters: PositiveInt
    megabytes: NonNegativeFloat
    peak_megabytes: tuple[float, ...]
    timings: tuple[Timing, ...]
    rounds: tuple[Round, ...]

    def timing(self, scenario: Scenario, batch_size: int) -> Timing:
        """The requests of one kind.

        Raises:
            KeyError: there are none.
        """
        for timing in self.timings:
            if (timing.scenario, timing.batch_size) == (scenario, batch_size):
                return timing
        raise KeyError(f"{scenario}, {batch_size}")

    @property
    def peak(self) -> Spread:
        """The peak memory of its processes, in megabytes."""
        return Spread.of(self.peak_megabytes)


class ArmCost(Settings):
    """An arm and model.

    Attributes:
        arm, label, tuned, strategy, model: see ``DeployedArm``.
        seed: of the measured models.
        tasks: that it answers.
        trials: keys of that seed's trials.
        seeds: how many had finished.
        training_device_seconds: of one seed, the mean over those; CPU threads or GPUs times
            seconds.
        measured: index of its deployment.
    """

    arm: str
    label: str
    tuned: bool
    strategy: str
    model: str
    seed: NonNegativeInt
    tasks: tuple[str, ...]
    trials: tuple[str, ...]
    seeds: PositiveInt
    training_device_seconds: NonNegativeFloat
    measured: NonNegativeInt


class Cost(Settings):
    """The content of ``cost.json``.

    Attributes:
        schema_version: of this file.
        finished: when it was measured: UTC, ISO 8601.
        device: what computed, ``cpu`` or the name of a GPU.
        threads: CPU threads of a process.
        precision: number format of weights and computation.
        load_average: processes that wanted a CPU in the minute before.
        environment: packages and hardware, see ``describe_environment``.
        texts: task -> how many of its validation examples were asked about.
        texts_of_example: task -> whether an example has one text or two.
        tokens: model -> task -> mean number of tokens of these.
        arms: in the order of the plan.
        deployments: what was measured.
        unfinished: titles of the arms without a finished seed.
    """

    schema_version: Literal[1] = COST_SCHEMA
    finished: str
    device: str
    threads: PositiveInt
    precision: Literal["fp32"] = "fp32"
    load_average: NonNegativeFloat
    environment: dict[str, Any]
    texts: dict[str, PositiveInt]
    texts_of_example: dict[str, Literal[1, 2]]
    tokens: dict[str, dict[str, float]]
    arms: tuple[ArmCost, ...]
    deployments: tuple[Measured, ...]
    unfinished: tuple[str, ...] = ()

    def of(self, arm: ArmCost) -> Measured:
        """What was measured of an arm."""
        return self.deployments[arm.measured]


def write_cost(run_dir: RunDir, cost: Cost) -> None:
    """Write ``cost.json`` with its checksum, atomically, and upload it to an object store."""
    write_checksummed(run_dir.cost, cost.model_dump(mode="json"))
    run_dir.publish(run_dir.cost)


def read_cost(run_dir: RunDir, keys: Iterable[str]) -> Cost | None:
    """What was measured of a run directory; None where nothing was.

    Args:
        run_dir: where ``cost.json`` is.
        keys: of the trials of its plan.

    Raises:
        RunDirectoryError: the file is damaged, of another version, or of other trials.
    """
    if not run_dir.cost.is_file():
        return None
    advice = f"delete it, or measure again: python -m orchestrator cost {run_dir.where}"
    try:
        cost = Cost.model_validate(read_checksummed(run_dir.cost))
        if any(arm.measured >= len(cost.deployments) for arm in cost.arms):
            raise ValueError("an arm without its deployment")
    except (OSError, ValueError, RecursionError) as error:
        raise RunDirectoryError(
            f"{run_dir.cost}: damaged, or of another version; {advice}"
        ) from error
    foreign = {key for arm in cost.arms for key in arm.trials} - set(keys)
    if foreign:
        raise RunDirectoryError(
            f"{run_dir.cost}: was measured of trials that are not in the plan "
            f"({', '.join(sorted(foreign)[:3])}); {advice}"
        )
    return cost
