"""Ray started here, clusters joined and left, and clusters that cannot be joined."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from orchestrator.config.experiment import load_experiment
from orchestrator.execution.ray.cluster import connected, runtime_environment
from orchestrator.execution.ray.private_api import PROPAGATED_VARIABLES
from tests.helpers.command import Command, small_grid
from tests.helpers.forks import forked, set_environment
from trainables.errors import ResourceError
from trainables.results.record import read_records
from trainables.storage.run_dir import RunDir

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head without CPUs and two nodes of one core each."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(2):
        cluster.add_node(wait=False, num_cpus=1)
    cluster.wait_for_nodes()
    yield cluster
    cluster.shutdown()


def test_a_cluster_is_joined_and_left_as_it_was(
    cluster: Cluster, command: Command, tiny_bert: Path, tmp_path: Path
) -> None:
    grid = [*small_grid(tiny_bert, "arms=[single_task]"), f"ray.address={cluster.address}"]
    run = command("run", *grid, "resources.cpu=auto", "--run-dir", str(tmp_path / "run"))
    assert (run.code, run.err) == (0, "")
    records = RunDir(tmp_path / "run")
    assert {record.status for record in read_records(records).values()} == {"finished"}
    refused = command("run", *grid, "resources.cpu=2", "--run-dir", str(tmp_path / "another"))
    assert refused.code == 2
    assert "resources.cpu=2: this cluster has at most 1 cores per node" in refused.err
    assert refused.err.count("\n") == 1


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", r"ray\.address=127\.0\.0\.1:1: cannot be reached"),
        ("nowhere:x", r"ray\.address=nowhere:x: cannot be reached"),
        ("ray://127.0.0.1:1", r"ray\.address=ray://127\.0\.0\.1:1: Ray Client cannot run a grid"),
    ],
)
def test_a_cluster_that_cannot_be_joined_is_one_clear_error(address: str, message: str) -> None:
    began = time.monotonic()
    with (
        pytest.raises(ResourceError, match=message) as caught,
        connected(load_experiment("demo", [f"ray.address={address}"])),
    ):
        pass
    assert "\n" not in str(caught.value)
    assert time.monotonic() - began < 25


@pytest.fixture
def web() -> Iterator[str]:
    """Address of something that speaks HTTP."""

    class Quiet(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def mute() -> Iterator[str]:
    """Address of something that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("listener", ["web", "mute"])
def test_what_listens_and_is_no_ray_is_one_clear_error(
    listener: str, request: pytest.FixtureRequest, capfd: pytest.CaptureFixture
) -> None:
    address = request.getfixturevalue(listener)
    began = time.monotonic()
    with (
        pytest.raises(ResourceError, match=rf"^ray\.address={address}: .* is no head node"),
        connected(load_experiment("demo", [f"ray.address={address}"])),
    ):
        pass
    assert time.monotonic() - began < 25
    assert capfd.readouterr() == ("", "")


TOKEN = "a" * 64

GUARDED = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(
    initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
)
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


def join(address: str, environment: dict[str, str], output: Path) -> None:
    """Join a cluster from a shell with this environment; what is printed goes to ``output``."""
    with output.open("wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    set_environment(environment)
    try:
        with connected(load_experiment("demo", [f"ray.address={address}"])):
            print("joined", flush=True)
    except ResourceError as error:
        print(error, flush=True)


def shell(home: Path, **settings: str) -> dict[str, str]:
    """The environment of a shell with these settings for Ray's tokens, and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    return kept | {"HOME": str(home), "RAY_DEDUP_LOGS": "0"} | settings


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a cluster that asks for ``TOKEN``; a process of its own, as one has one token."""
    home = tmp_path_factory.mktemp("cluster")
    process = subprocess.Popen(
        [sys.executable, "-c", GUARDED],
        env=shell(home, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=TOKEN),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.communicate("", timeout=60)


def test_a_token_that_fits_joins_and_one_that_does_not_is_one_clear_error(
    guarded: str, cluster: Cluster, tmp_path: Path
) -> None:
    advice = "; set RAY_AUTH_MODE=token and its token in RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"
    token_file = tmp_path / "token"
    token_file.write_text("b" * 64)
    cases = [
        (guarded, {}, "the cluster asks for a token" + advice),
        (guarded, {"RAY_AUTH_TOKEN": TOKEN}, "the cluster asks for a token" + advice),
        (guarded, {"RAY_AUTH_MODE": "token"}, "the cluster asks for a token" + advice),
        (
            guarded,
            {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token_file)},
            f"the cluster refuses the token in {token_file}" + advice,
        ),
        (
            guarded,
            {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "/nowhere"},
            "RAY_AUTH_TOKEN_PATH is set but file cannot be opened or is empty: /nowhere" + advice,
        ),
        (
            cluster.address,
            {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN},
            "RAY_AUTH_MODE=token is set here, but this cluster lets anyone in; start it with "
            "RAY_AUTH_MODE=token, or set RAY_AUTH_MODE=disabled here",
        ),
    ]
    output = tmp_path / "output"
    for address, settings, message in cases:
        forked(join, address, shell(tmp_path, **settings), output).join()
        assert output.read_text() == f"ray.address={address}: {message}\n", settings
    right = shell(tmp_path, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=TOKEN)
    forked(join, guarded, right, output).join()
    assert output.read_text() == "joined\n"


def test_secrets_do_not_travel_to_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"WANDB_API_KEY", "HF_TOKEN", "RAY_AUTH_TOKEN"}
    names |= {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
    for name in names:
        monkeypatch.setenv(name, "planted secret")
    assert "planted secret" not in str(runtime_environment())
    assert not names & PROPAGATED_VARIABLES
