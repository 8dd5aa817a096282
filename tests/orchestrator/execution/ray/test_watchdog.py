"""A Ray that dies: noticed, told in one line, and left, whatever the main thread is stuck in."""

import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

import pytest

from orchestrator.execution.ray import watchdog
from orchestrator.execution.ray.watchdog import watched
from orchestrator.execution.signals import interrupt, signals
from tests.conftest import PROJECT
from trainables.errors import RayLostError

pytestmark = pytest.mark.serial


@dataclass
class Node:
    """What is asked of Ray's ``Node``."""

    processes: dict[str, subprocess.Popen] = field(default_factory=dict)
    head: bool = True
    gcs_address: str = ""
    raylet_socket_name: str = "/nowhere"

    def is_head(self) -> bool:
        return self.head

    def live_processes(self) -> list[tuple[str, subprocess.Popen]]:
        return [(k, p) for k, p in self.processes.items() if p.poll() is None]

    def dead_processes(self) -> list[tuple[str, subprocess.Popen]]:
        return [(k, p) for k, p in self.processes.items() if p.poll() is not None]


def sleeper() -> subprocess.Popen:
    """A process with a child of its own."""
    return subprocess.Popen(["sh", "-c", "sleep 60 & wait"])


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "CHECK_SECONDS", 0.05)
    monkeypatch.setattr(watchdog, "SILENCE_SECONDS", 0.3)


@pytest.mark.parametrize("part", ["raylet", "gcs_server"])
def test_a_dead_part_of_ray_interrupts_the_block_and_takes_the_others_with_it(part: str) -> None:
    node = Node({"raylet": sleeper(), "gcs_server": sleeper(), "log_monitor": sleeper()})
    death = threading.Timer(0.5, node.processes[part].kill)
    death.start()
    with (
        signals(interrupt),
        pytest.raises(RayLostError, match=rf"{part}: exit code -9\).*run the command again"),
        watched(node),
    ):
        time.sleep(60)
    assert all(process.wait(5) for process in node.processes.values())


def test_ray_goes_on_without_the_parts_that_a_grid_does_not_need() -> None:
    node = Node({"raylet": sleeper(), "log_monitor": sleeper()})
    node.processes["log_monitor"].kill()
    with signals(interrupt), watched(node):
        time.sleep(0.5)
    assert node.processes["raylet"].poll() is None
    processes = watchdog._processes_of(node)
    assert len(processes) == 2
    for process in processes.values():
        process.kill()
    node.processes["raylet"].wait()


def test_a_cluster_may_be_silent_for_a_while_and_no_longer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with signals(interrupt), watched(Node(head=False, gcs_address=address)):
            time.sleep(0.6)
    began = time.monotonic()
    with (
        signals(interrupt),
        pytest.raises(RayLostError, match=f"the cluster at {address} has not answered for 0 s"),
        watched(Node(head=False, gcs_address=address)),
    ):
        time.sleep(60)
    assert time.monotonic() - began > 0.3


def test_what_the_block_raises_by_itself_stays_what_it_is() -> None:
    with pytest.raises(KeyError), watched(Node()):
        raise KeyError


def test_a_block_that_cannot_be_left_ends_with_the_process() -> None:
    script = (
        "import signal, subprocess, time\n"
        "from orchestrator.execution.ray import watchdog\n"
        "from tests.orchestrator.execution.ray.test_watchdog import Node\n"
        "watchdog.CHECK_SECONDS, watchdog.LEAVING_SECONDS = 0.05, 0.5\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "with watchdog.watched(Node({'raylet': subprocess.Popen(['false'])})):\n"
        "    time.sleep(60)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 1
    assert run.stderr.startswith("error: Ray on this machine has died (raylet: exit code 1); ")
    assert run.stderr.count("\n") == 1
