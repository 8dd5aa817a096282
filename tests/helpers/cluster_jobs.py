"""A cluster that asks for a token and takes jobs, and a wire to it that can be cut."""

import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

TOKEN = "a" * 64

_CLUSTER = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(
    initialize_head=True,
    head_node_args={
        "num_cpus": 0,
        "include_dashboard": True,
        "dashboard_port": int(sys.argv[1]),
        # Any other Ray of this machine has the usual one.
        "dashboard_agent_listen_port": int(sys.argv[2]),
    },
)
nodes = [cluster.add_node(wait=False, num_cpus=1) for _ in range(2)]
cluster.wait_for_nodes()
print("up", flush=True)
for line in sys.stdin:
    if line == "lose a node\\n":
        cluster.remove_node(nodes.pop(), allow_graceful=False)
    else:
        nodes.append(cluster.add_node(wait=False, num_cpus=1))
    print("done", flush=True)
cluster.shutdown()
"""


@dataclass(frozen=True)
class JobCluster:
    """A head without CPUs and two nodes of one core each, in a process of its own."""

    process: subprocess.Popen[str]
    port: int

    @property
    def url(self) -> str:
        """Of its job server."""
        return f"http://127.0.0.1:{self.port}"

    def say(self, line: str) -> None:
        """``lose a node`` or ``add a node``; returns when it is done."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"


@contextmanager
def job_cluster(folder: Path) -> Iterator[JobCluster]:
    """A cluster whose working directory and token cache are in ``folder``."""
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        port, agent = one.getsockname()[1], other.getsockname()[1]
    # The environment of a shell in which it was activated; nothing of this one's for tokens.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    process = subprocess.Popen(
        [sys.executable, "-c", _CLUSTER, str(port), str(agent)],
        cwd=folder,
        env=kept
        | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": TOKEN,
            "ONE_OR_MANY_CACHE": str(folder / "cache"),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    yield JobCluster(process, port)
    process.communicate("", timeout=60)


class Wire:
    """Forwards connections to a port of this machine until it is cut."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._open: list[socket.socket] = []
        self._whole = True
        self._server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """This end of it."""
        return f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def cut(self) -> None:
        """End all connections and take none that lives."""
        self._whole = False
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def mend(self) -> None:
        """Forward again."""
        self._whole = True

    def close(self) -> None:
        """For good."""
        self.cut()
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._server.accept()
                if not self._whole:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._to))
                self._open += [near, far]
                threading.Thread(target=_pump, args=(near, far), daemon=True).start()


def _pump(near: socket.socket, far: socket.socket) -> None:
    with suppress(OSError, ValueError), near, far:
        while True:
            for source in select.select([near, far], [], [])[0]:
                data = source.recv(65536)
                if not data:
                    return
                (far if source is near else near).sendall(data)
