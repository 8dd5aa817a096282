"""Ends the command soon after Ray itself has died, for which Ray would wait a minute or more."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil

from orchestrator.execution.signals import signals
from trainables.errors import RayLostError

CHECK_SECONDS = 1.0
"""Between two checks."""
SILENCE_SECONDS = 30.0
"""How long a cluster's GCS may give no answer; Ray's own client ends the process after a minute."""
LEAVING_SECONDS = 20.0
"""How long the main thread may take to leave Ray before the process is ended."""


@contextmanager
def watched(node: Any) -> Iterator[None]:
    """Raise an error in the block soon after Ray has died, and end all of Ray's processes.

    If the block does not end in time, the process ends with the error's line and exit code 1.
    Outside the main thread, which alone can be interrupted, nothing is watched.

    Args:
        node: Ray's ``Node`` of this process.

    Raises:
        RayLostError: Ray has died.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    watchdog = _RayWatchdog(node)
    watchdog.start()
    try:
        try:
            yield
        finally:
            with signals(signal.SIG_IGN):
                watchdog.block_ended.set()
                watchdog.join()
    except BaseException as error:
        if watchdog.death is None:
            raise
        raise RayLostError(watchdog.death) from error


class _RayWatchdog(threading.Thread):
    """Checks Ray until the block ends; if Ray dies, kills its processes and stops the command."""

    def __init__(self, node: Any) -> None:
        super().__init__(name="watch-ray", daemon=True)
        self.death: str | None = None
        self.block_ended = threading.Event()
        self._node = node
        self._answered = time.monotonic()
        self._raylet = _raylet_of(node)

    def run(self) -> None:
        ray_processes: dict[int, psutil.Process] = {}
        while (reason := self._lost()) is None:
            # Before it dies: the children of a dead raylet have no parent.
            ray_processes = _processes_of(self._node)
            if self.block_ended.wait(CHECK_SECONDS):
                return
        self.death = (
            f"{reason}; what is finished or has a checkpoint is kept: run the command again"
        )
        for process in ray_processes.values():
            with suppress(psutil.Error):  # It has ended, or its id was given to another process.
                process.kill()
        main_thread_id = threading.main_thread().ident
        assert main_thread_id is not None
        deadline = time.monotonic() + LEAVING_SECONDS
        while time.monotonic() < deadline:
            # More than once: ``signals.Stop`` acts on the second one at once.
            signal.pthread_kill(main_thread_id, signal.SIGTERM)
            if self.block_ended.wait(1.0):
                return
        print(f"error: {self.death}", file=sys.stderr, flush=True)
        os._exit(1)

    def _lost(self) -> str | None:
        """A sentence on the part of Ray that has died; None if none has."""
        for kind, process in self._node.dead_processes():
            if kind in ("raylet", "gcs_server"):
                return f"Ray on this machine has died ({kind}: exit code {process.returncode})"
        if self._raylet is not None and not self._raylet.is_running():
            return "the raylet that joins this machine to the cluster has died"
        if self._answers():
            self._answered = time.monotonic()
        silent = time.monotonic() - self._answered
        if silent < SILENCE_SECONDS:
            return None
        return f"the cluster at {self._node.gcs_address} has not answered for {silent:.0f} s"

    def _answers(self) -> bool:
        if self._node.is_head():
            return True  # A process of ours.
        host, _, port = self._node.gcs_address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
        except OSError:
            return False
        return True


def _raylet_of(node: Any) -> psutil.Process | None:
    """The raylet of a cluster on this machine that this process has joined."""
    if node.is_head():
        return None
    option = f"--raylet_socket_name={node.raylet_socket_name}"
    for process in psutil.process_iter(["cmdline"]):
        if option in (process.info["cmdline"] or ()):
            return process
    return None


def _processes_of(node: Any) -> dict[int, psutil.Process]:
    """The processes that ``node`` has started, and all their descendants."""
    processes: dict[int, psutil.Process] = {}
    for _, process in node.live_processes():
        with suppress(psutil.Error):
            parent = psutil.Process(process.pid)
            for member in (parent, *parent.children(recursive=True)):
                processes[member.pid] = member
    return processes
