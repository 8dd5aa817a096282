"""A server's HTTP interface in this process, in front of a fake model."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn

from orchestrator.commands.serve import LOOPBACK
from orchestrator.deploy.serving.calls import Call, answer_calls
from orchestrator.deploy.serving.schema import Limits
from orchestrator.deploy.serving.web import Web
from tests.helpers.fake_predictor import FakePredictor

LIMITS = Limits(body_bytes=2000, inputs=4, characters=100, requests=3)


@dataclass
class Served:
    """Asks ``web`` without a network.

    Attributes:
        calls: what the model was asked.
        open: where requests wait until it is set.
    """

    predictor: FakePredictor = field(default_factory=FakePredictor)
    calls: list[Call] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()
        self.web = Web(self.predictor.tasks, 64, self._compute, LIMITS, LOOPBACK)

    async def _compute(self, call: Call) -> Mapping[str, np.ndarray]:
        self.calls.append(call)
        await self.open.wait()
        [logits] = answer_calls(self.predictor, [call])
        return logits

    def client(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.web.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        async def one() -> httpx.Response:
            async with self.client() as client:
                return await client.request(method, path, **request)

        return run(one())

    def predict(self, *inputs: Any, **more: Any) -> httpx.Response:
        return self.ask("POST", "/predict", json={"inputs": list(inputs), **more})


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end."""
    return asyncio.run(asyncio.wait_for(work, 30))


@pytest.fixture
def served() -> Served:
    return Served()


@contextmanager
def listening() -> Iterator[str]:
    """The URL of the interface in front of a fake model, on a port of its own."""
    config = uvicorn.Config(Served().web.app, port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
