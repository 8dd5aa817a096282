"""The models of an arm as they are deployed, and how requests go through them.

An arm answers a request with one or more *passes*, each of one model over one padded batch. Tasks
whose examples have equally many texts can be asked about the same input; a model that has a head
for several of them answers these in one pass. ``single_task`` needs a pass for each task, and so
does ``naive_concat`` with ``task_prefix``, whose inputs differ.
"""

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from trainables.config.base import Settings
from trainables.config.methods import HeadConfig
from trainables.config.trial import ModelConfig

Scenario = Literal["one_task", "all_tasks"]
SCENARIOS: tuple[Scenario, ...] = ("one_task", "all_tasks")
"""A request asks one task about one input, or all tasks about one input of each kind."""

BATCH_SIZES = (1, 32)
"""Inputs of a request."""


class TaskHead(Settings):
    """Where a task's answer stands.

    Attributes:
        head: name of the head.
        classes: for each label of the task, the head's class that it is.
    """

    head: str
    classes: tuple[NonNegativeInt, ...]


class ServedModel(Settings):
    """One model of a deployment.

    Attributes:
        config: its encoder.
        heads: head -> number of classes.
        kinds: head -> its configuration.
        tasks: task -> where its answer stands.
        folder: the saved model; None: untrained weights of the same shape.
    """

    config: ModelConfig
    heads: dict[str, PositiveInt]
    kinds: dict[str, HeadConfig]
    tasks: dict[str, TaskHead]
    folder: str | None = None


class Pass(Settings):
    """One model's answer for some tasks, from one pass of its encoder.

    Attributes:
        model: index of the model.
        tasks: what it answers.
    """

    model: NonNegativeInt
    tasks: tuple[str, ...]


class Input(Settings):
    """What is tokenized once and goes through one or more passes.

    Attributes:
        texts: of each example.
        prefix: put before the first text as ``PREFIX: text``; None for none.
        passes: in which it is read.
    """

    texts: Literal[1, 2]
    prefix: str | None
    passes: tuple[Pass, ...]


class Deployment(Settings):
    """All models of an arm.

    Attributes:
        models: to load.
        inputs: what they are given where all tasks are asked.
    """

    models: tuple[ServedModel, ...]
    inputs: tuple[Input, ...]

    @property
    def passes(self) -> int:
        """Passes of an encoder where all tasks are asked."""
        return sum(len(given.passes) for given in self.inputs)

    @property
    def shape(self) -> str:
        """Equal for deployments that do the same work, whatever their weights."""
        models = tuple(model.model_copy(update={"folder": None}) for model in self.models)
        return self.model_copy(update={"models": models}).model_dump_json()


class WorkerRequest(Settings):
    """What a process is to load and how.

    Attributes:
        deployment: the models.
        tasks: those that are asked, in the order in which requests name them.
        texts: task -> examples, each of one or two texts.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        threads: CPU threads.
    """

    deployment: Deployment
    tasks: tuple[str, ...]
    texts: dict[str, tuple[tuple[str, ...], ...]]
    device: str
    threads: PositiveInt


class Loaded(Settings):
    """What a process says once its models are loaded.

    Attributes:
        device: its name.
        parameters: of all models.
        weight_bytes: of all models, as they are stored.
        tokens: task -> mean number of tokens of its examples, special ones included.
    """

    device: str
    parameters: PositiveInt
    weight_bytes: PositiveInt
    tokens: dict[str, float]


class Asked(Settings):
    """Requests of one kind, one after the other; the first ones are always the same.

    Attributes:
        scenario: what is asked.
        batch_size: inputs of a request.
        requests: how many.
    """

    scenario: Scenario
    batch_size: PositiveInt
    requests: PositiveInt = 1


class WorkerAnswer(Settings):
    """One line of a process.

    Attributes:
        loaded: the first answer.
        milliseconds: of each request.
        peak_bytes: the last answer: the most memory that the process took more than after its
            imports, on a GPU the most that torch had allocated there.
        error: in place of all: the class of an error and its message.
    """

    loaded: Loaded | None = None
    milliseconds: tuple[float, ...] = ()
    peak_bytes: int | None = None
    error: tuple[str, str] | None = Field(default=None)
