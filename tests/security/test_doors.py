"""Who can reach the Ray of a run: nobody from another machine, and nobody without the token."""

import os
import re
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import grpc
import pytest

from orchestrator.execution.ray.private_api import gcs_service_pb2, gcs_service_pb2_grpc
from tests.helpers.ray_grid import Grid, assert_nothing_left, session_processes, until, workers
from tests.helpers.sockets import listening

pytestmark = pytest.mark.ray


class Running:
    """A grid that trains, with the dashboard; its shell asked for no authentication."""

    def __init__(self, grid: Grid, home: Path) -> None:
        self.token_file = home / ".ray" / "auth_token"
        self.process = grid.start("training.epochs=10000", "--dashboard")
        self.said = ""
        self._grid = grid

    def wait(self) -> None:
        """Until a worker trains."""
        until(self._grid.training, self.process, seconds=120)
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()

    def port(self, of: str) -> int:
        """Of the one server whose process is called ``of``."""
        [port] = [port for (_, port), name in self.listening().items() if of in name]
        return port

    def listening(self) -> dict:
        return listening(self.process.pid)


@pytest.fixture(scope="module")
def running(
    tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory, umask: None
) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("doors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.delenv("RAY_AUTH_TOKEN", raising=False)
        patch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
        running = Running(Grid(folder, tiny_bert), folder)
        try:
            running.wait()
            yield running
        finally:
            running.process.send_signal(signal.SIGINT)
            running.process.communicate(timeout=60)
            assert_nothing_left(running.process.pid)


@pytest.fixture(scope="module")
def umask() -> Iterator[None]:
    """What is made is open to everyone unless it is closed on purpose."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_everything_listens_on_the_loopback_interface(running: Running) -> None:
    assert workers(running.process.pid)
    addresses = running.listening()
    names = " ".join(addresses.values())
    for server in ("gcs_server", "raylet", "dashboard.py", "DashboardAgent", "Trial.train"):
        assert server in names
    assert {str(address) for address, _ in addresses} == {"127.0.0.1"}


def test_the_token_and_the_session_are_closed_to_other_users(running: Running) -> None:
    assert stat.S_IMODE(running.token_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(running.token_file.parent.stat().st_mode) == 0o700
    names = " ".join(session_processes(running.process.pid).values())
    sessions = {Path(path) for path in re.findall(r"(/[^ :=]*)/ray/session_[\w-]+/", names)}
    assert sessions
    assert {stat.S_IMODE(path.stat().st_mode) for path in sessions} == {0o700}


@pytest.mark.parametrize("token", [None, "b" * 64])
def test_the_head_node_refuses_who_has_not_the_token(token: str | None, running: Running) -> None:
    address = f"127.0.0.1:{running.port('gcs_server')}"
    assert asked(address, running.token_file.read_text()) is None
    assert asked(address, token) is grpc.StatusCode.UNAUTHENTICATED


def asked(address: str, token: str | None) -> grpc.StatusCode | None:
    """What a head node says to a list of its jobs: nothing where it gives it."""
    metadata = () if token is None else (("authorization", f"Bearer {token}"),)
    with grpc.insecure_channel(address) as channel:
        stub = gcs_service_pb2_grpc.JobInfoGcsServiceStub(channel)
        request = gcs_service_pb2.GetAllJobInfoRequest()  # type: ignore[attr-defined]
        try:
            stub.GetAllJobInfo(request, timeout=10, metadata=metadata)
        except grpc.RpcError as error:
            return error.code()  # type: ignore[attr-defined]
    return None


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        ("/api/jobs/", None, 401),
        ("/api/jobs/", "b" * 64, 403),
        ("/api/jobs/", "right", 200),
        ("/api/gcs_healthz", None, 200),
    ],
)
def test_the_dashboard_asks_for_the_token(
    path: str, token: str | None, status: int, running: Running
) -> None:
    right = running.token_file.read_text()
    headers = {} if token is None else {"Authorization": f"Bearer {token.replace('right', right)}"}
    url = re.search(r"http://127\.0\.0\.1:\d+", running.said)
    assert url is not None
    try:
        with urlopen(Request(url[0] + path, headers=headers), timeout=20) as answer:
            found = answer.status
    except HTTPError as error:
        found = error.code
        error.close()
    assert found == status


def test_the_run_says_where_the_token_is_and_not_what_it_is(running: Running) -> None:
    assert running.said == (
        f"Ray dashboard: http://127.0.0.1:{running.said.split(':')[3].split()[0]} "
        f"(log in with the token in {running.token_file})\n"
    )
    for pid in session_processes(running.process.pid):
        command = subprocess.run(["ps", "-o", "args=", str(pid)], capture_output=True, text=True)
        assert running.token_file.read_text() not in command.stdout
