"""How arms are measured beside each other, with processes that only pretend to compute."""

import os
import signal
import tempfile
from collections.abc import Sequence
from typing import Any

import pytest

from orchestrator.deploy.cost import measure as module
from orchestrator.deploy.cost.arms import DeployedArm
from orchestrator.deploy.cost.measure import KINDS, PROCESSES, ROUNDS, WARM_UP, measure, steps
from orchestrator.deploy.cost.serving import (
    Asked,
    Deployment,
    Input,
    Loaded,
    Pass,
    ServedModel,
    TaskHead,
    WorkerRequest,
)
from trainables.config.methods import HeadConfig
from trainables.config.trial import ModelConfig
from trainables.errors import ResourceError, RunDirectoryError

WORKER = module.Worker

TEXTS = {"a": (("one",),), "b": (("two",),)}


def deployment(models: int, encoder: str = "tiny", folder: str | None = None) -> Deployment:
    """One model for both tasks, or one for each."""
    groups = [("a", "b")] if models == 1 else [("a",), ("b",)]
    served = [
        ServedModel(
            config=ModelConfig(encoder=encoder),
            heads=dict.fromkeys(group, 2),
            kinds=dict.fromkeys(group, HeadConfig()),
            tasks={task: TaskHead(head=task, classes=(0, 1)) for task in group},
            folder=folder,
        )
        for group in groups
    ]
    passes = tuple(Pass(model=index, tasks=group) for index, group in enumerate(groups))
    return Deployment(models=tuple(served), inputs=(Input(texts=1, prefix=None, passes=passes),))


def arm(name: str, models: int, model: str = "tiny", **changes: Any) -> DeployedArm:
    content: dict[str, Any] = {
        "name": name, "label": name, "tuned": False, "strategy": name, "model": model, "seed": 1,
        "tasks": ("a", "b"), "trials": (f"{name}-{model}",), "seeds": 1, "device_seconds": 1.0,
        "parameters": None, "deployment": deployment(models, model),
    }  # fmt: skip
    return DeployedArm(**(content | changes))


class Pretender:
    """Stands for ``Worker``: a request takes a millisecond for each model and input.

    Attributes:
        asked: by all of them, in their order: title and what was asked.
    """

    asked: list[tuple[str, Asked]]
    started: list[str]

    def __init__(self, request: WorkerRequest, title: str, errors: object) -> None:
        self.title = title
        self.models = len(request.deployment.models)
        self.started.append(title)

    def loaded(self) -> Loaded:
        return Loaded(
            device="cpu", parameters=1000 * self.models, weight_bytes=4000 * self.models,
            tokens={"a": 3.0, "b": 3.0},
        )  # fmt: skip

    def ask(self, asked: Asked) -> tuple[float, ...]:
        self.asked.append((self.title, asked))
        return (float(self.models * asked.batch_size),) * asked.requests

    def end(self) -> int:
        return 10_000_000 * self.models

    def kill(self) -> None:
        """Nothing to end."""


@pytest.fixture(autouse=True)
def pretender(monkeypatch: pytest.MonkeyPatch) -> type[Pretender]:
    monkeypatch.setattr(module, "Worker", Pretender)
    Pretender.asked, Pretender.started = [], []
    return Pretender


ARMS = [arm("single_task", 2), arm("shared_encoder", 1)]


def measured(arms: Sequence[DeployedArm], seconds: float = 1.0, **options: Any) -> Any:
    return measure(arms, TEXTS, device="cpu", threads=1, seconds=seconds, **options)


def test_arms_take_turns_and_answer_the_same_requests(pretender: type[Pretender]) -> None:
    measured(ARMS, seconds=24.0)
    turns = [(title, asked) for title, asked in pretender.asked if asked.requests != WARM_UP]
    assert len(turns) == PROCESSES * ROUNDS * len(KINDS) * len(ARMS)
    for (title, asked), (other, same) in zip(turns[::2], turns[1::2], strict=True):
        assert title != other
        assert asked == same
    begins = [title for title, _ in turns[:: 2 * len(KINDS)]]
    assert begins == ["single_task tiny", "shared_encoder tiny"] * PROCESSES


def test_every_kind_is_warmed_up_in_every_process(pretender: type[Pretender]) -> None:
    measured(ARMS, seconds=24.0)
    warm = [a for _, a in pretender.asked if a.requests == WARM_UP]
    assert len(warm) == PROCESSES * len(KINDS) * len(ARMS)
    assert [(a.scenario, a.batch_size) for a in warm[:2]] == [KINDS[0]] * 2
    assert len(pretender.started) == PROCESSES * len(ARMS)


def test_the_time_decides_how_many_requests_there_are() -> None:
    # 24 rounds of 100 ms: a batch of 32 takes both arms 96 ms, a single text 3 ms.
    made = measured(ARMS, seconds=2.4).deployments[0]
    assert {t.batch_size: t.requests for t in made.timings} == {
        1: 33 * PROCESSES * ROUNDS,
        32: 1 * PROCESSES * ROUNDS,
    }
    long = measured(ARMS, seconds=1e6).deployments[0]
    assert {t.requests for t in long.timings} == {module.MOST_REQUESTS * PROCESSES * ROUNDS}


def test_numbers_are_those_of_the_processes() -> None:
    single, shared = measured(ARMS).deployments
    assert (single.models, single.parameters, single.megabytes) == (2, 2000, 0.008)
    assert single.peak_megabytes == (20.0,) * PROCESSES
    assert (single.passes, shared.passes) == (2, 1)
    assert shared.timing("one_task", 1).texts_per_second.median == pytest.approx(1000)
    assert single.timing("all_tasks", 32).texts_per_second.median == pytest.approx(500)
    assert not single.saved


def test_arms_whose_models_have_the_same_shape_are_measured_once() -> None:
    arms = [*ARMS, arm("pcgrad", 1, deployment=deployment(1, folder="/saved"))]
    made = measured(arms)
    assert made.of_arm == (0, 1, 1)
    assert made.deployments[1].trials == ("shared_encoder-tiny",)


def test_models_of_different_encoders_are_measured_apart(pretender: type[Pretender]) -> None:
    made = measured([*ARMS, arm("shared_encoder", 1, "other")], seconds=4.8)
    assert made.of_arm == (0, 1, 2)
    assert list(made.tokens) == ["tiny", "other"]
    order = [title.split()[1] for title in pretender.started]
    assert order == sorted(order, reverse=True)


def test_progress_comes_as_often_as_it_was_said() -> None:
    calls: list[None] = []
    arms = [*ARMS, arm("shared_encoder", 1, "other")]
    measured(arms, on_step=lambda: calls.append(None))
    assert len(calls) == steps(arms)


def test_a_process_that_dies_is_named() -> None:
    request = WorkerRequest(
        deployment=deployment(1), tasks=("a", "b"), texts=TEXTS, device="cpu", threads=1
    )
    with tempfile.TemporaryFile("w+") as errors:
        worker = WORKER(request, "shared_encoder tiny", errors)
        try:
            os.kill(worker.pid, signal.SIGKILL)
            with pytest.raises(ResourceError, match=r"shared_encoder tiny: .*died.*exit code -9"):
                worker.loaded()
        finally:
            worker.kill()


def test_another_model_than_the_trained_one_is_refused() -> None:
    with pytest.raises(RunDirectoryError, match=r"shared_encoder tiny: its models have 1,000 par"):
        measured([arm("shared_encoder", 1, parameters=1234)])
