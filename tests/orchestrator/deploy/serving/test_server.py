"""The server as users start it: no answer lost or swapped under load, also when a replica dies.

Tests share one server, which the last one stops.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.serve_load import Load, ask, expected, free_port, texts
from orchestrator.deploy.open import open_predictor
from tests.conftest import PROJECT
from tests.helpers.command import Command
from tests.helpers.forks import ForkedCommand
from tests.helpers.ray_grid import (
    assert_nothing_left,
    ended,
    session_processes,
    signal_all,
)
from tests.helpers.sockets import listening
from tests.orchestrator.deploy.conftest import write_model

pytestmark = pytest.mark.ray

CLIENTS = 16


class Server:
    """``serve`` in a process of its own, as soon as it answers."""

    def __init__(self, model: Path) -> None:
        self.model = model
        self.port = free_port()
        words = ["serve", str(model), "--port", str(self.port), "--threads", "1"]
        self.process = ForkedCommand(words, PROJECT, os.environ | {"RAY_ADDRESS": "127.0.0.1:1"})
        self.line = self.process.stdout.readline()
        self.answered = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def load(self, requests: int, at: Callable[[int], None] = lambda number: None) -> Load:
        """Ask so many texts."""
        asked = texts(requests)
        right = expected(open_predictor(self.model), asked)
        load = asyncio.run(ask(self.url, asked, right, CLIENTS, at))
        self.answered += load.right
        return load

    def replicas(self, deployment: str) -> list[int]:
        """Processes of a deployment's replicas."""
        name = f"ray::ServeReplica:one-model-or-many:{deployment}"
        return [
            pid for pid, own in session_processes(self.process.pid).items() if own.startswith(name)
        ]


@pytest.fixture(scope="module")
def server(
    encoders: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served") / "model"
    started = Server(write_model(folder, encoders("bert"), one="mean", two="mean"))
    yield started
    signal_all(session_processes(started.process.pid), signal.SIGKILL)
    started.process.stdout.close()
    started.process.stderr.close()


def test_every_answer_is_the_models_own(server: Server) -> None:
    assert server.line == f"serving one, two at {server.url} (Ctrl-C ends it)\n"
    load = server.load(400)
    assert (load.right, load.swapped, load.lost) == (400, 0, [])
    metrics = httpx.get(f"{server.url}/metrics").text
    assert 'one_or_many_requests_total{code="200"} 400.0' in metrics


def test_only_this_machine_is_listened_to(server: Server) -> None:
    addresses = listening(server.process.pid)
    assert ("127.0.0.1", server.port) in {(str(address), port) for address, port in addresses}
    assert all(address.is_loopback for address, _ in addresses), addresses


def test_a_replica_that_is_killed_is_replaced_and_nothing_is_lost(server: Server) -> None:
    [killed] = server.replicas("Model")

    def kill(number: int) -> None:
        if number == 100:
            os.kill(killed, signal.SIGKILL)

    load = server.load(300, kill)
    assert (load.right, load.swapped, load.lost) == (300, 0, [])
    [replaced] = server.replicas("Model")
    assert replaced != killed


def test_a_port_that_is_taken_is_named(server: Server, command: Command) -> None:
    taken = command("serve", str(server.model), "--port", str(server.port))
    assert taken.code == 2
    assert taken.err.startswith(f"error: --host 127.0.0.1 --port {server.port}: cannot be listened")


def test_at_sigterm_what_was_let_in_is_answered(server: Server) -> None:
    def stop(number: int) -> None:
        if number == 100:
            server.process.send_signal(signal.SIGTERM)

    load = server.load(2000, stop)
    assert load.right >= 100 - CLIENTS
    assert load.swapped == 0
    end = ended(server.process)
    assert (end.code, end.err) == (0, "")
    # The others were refused, or came when nobody listened any more.
    assert end.out == (
        f"stopped: every request that was let in is answered, {server.answered} of them\n"
    )
    assert_nothing_left(server.process.pid)
