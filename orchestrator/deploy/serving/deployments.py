"""The deployments of Ray Serve: one that speaks HTTP, and replicas of the model behind it."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from fastapi import FastAPI
from ray import serve
from ray.exceptions import RayActorError
from ray.serve.handle import DeploymentHandle

from orchestrator.deploy.open import open_predictor
from orchestrator.deploy.predictor import TaskOutput
from orchestrator.deploy.serving.calls import Call, answer_calls
from orchestrator.deploy.serving.schema import Limits
from orchestrator.deploy.serving.web import Web
from orchestrator.execution.ray import private_api

WAIT_SECONDS = 0.003
"""How long a replica waits for more calls to fill a batch."""

BATCH_INPUTS = 256
"""Examples of a batch; a request has fewer."""

ATTEMPTS = 3
"""How often a call is made whose replica dies."""


def _inputs(calls: Sequence[Call]) -> int:
    return sum(len(call.examples) for call in calls)


@serve.deployment
class Model:
    """A replica of the model.

    Args:
        folder: the model.
        threads: CPU threads that it computes with.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        private_api.close_replica_port()
        torch.set_num_threads(threads)
        self._predictor = open_predictor(folder)

    @serve.batch(
        max_batch_size=BATCH_INPUTS, batch_wait_timeout_s=WAIT_SECONDS, batch_size_fn=_inputs
    )
    async def answer(self, calls: list[Call]) -> list[dict[str, np.ndarray]]:
        """Logits of the examples of each call."""
        # In a thread, so that calls are taken in and health is told meanwhile.
        return await asyncio.to_thread(answer_calls, self._predictor, calls)


@serve.deployment
@serve.ingress()
class Gateway:
    """Checks requests, passes their examples on to a replica and answers.

    Args:
        model: the replicas.
        tasks, max_length: see ``Predictor``.
        limits: how much may be asked.
        hosts: see ``Web``.
    """

    def __init__(
        self,
        model: DeploymentHandle,
        tasks: Mapping[str, TaskOutput],
        max_length: int,
        limits: Limits,
        hosts: Sequence[str],
    ) -> None:
        private_api.close_replica_port()
        self._model = model
        self._web = Web(tasks, max_length, self._compute, limits, hosts)

    def __serve_build_asgi_app__(self) -> FastAPI:
        return self._web.app

    async def close(self) -> int:
        """Take no more requests, wait until all are answered, and return how many there were."""
        return await self._web.gate.close()

    async def _compute(self, call: Call) -> Mapping[str, np.ndarray]:
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._model.answer.remote(call)
            except RayActorError:
                # The replica has died: another one answers, or the one that takes its place.
                continue
        return await self._model.answer.remote(call)


def application(
    folder: Path,
    tasks: Mapping[str, TaskOutput],
    max_length: int,
    limits: Limits,
    hosts: Sequence[str],
    *,
    replicas: int,
    threads: int,
) -> serve.Application:
    """What ``serve.run`` runs: see ``Model`` and ``Gateway``."""
    model = Model.options(
        num_replicas=replicas,
        max_ongoing_requests=BATCH_INPUTS,
        ray_actor_options={"num_cpus": threads},
        graceful_shutdown_timeout_s=30,
        health_check_period_s=1,
    ).bind(folder, threads)
    # It takes in more than the limit, to refuse what is above it.
    gateway = Gateway.options(
        max_ongoing_requests=2 * limits.requests + 64,
        ray_actor_options={"num_cpus": 0},
        graceful_shutdown_timeout_s=30,
        health_check_period_s=1,
    )
    return gateway.bind(model, tasks, max_length, limits, hosts)
