"""Processes forked from one that has imported what commands need: importing it takes seconds."""

import atexit
import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import DupFd  # type: ignore[attr-defined]
from pathlib import Path
from typing import Any, TextIO

PRELOADED = [
    "optuna",
    "orchestrator.cli.app",
    "orchestrator.commands.train",
    "orchestrator.commands.tune",
    "orchestrator.commands.watch",
    "orchestrator.execution.tune_executor",
    "orchestrator.report.tuning.charts",
    "orchestrator.submit.submit",
    # Tune imports both when it is given any callback.
    "ray.air.integrations.mlflow",
    "ray.air.integrations.wandb",
    "trainables.results.evaluate_metric",
    "trainables.storage.conditional_writes",
    "transformers.models.bert.modeling_bert",
]

SERVER = multiprocessing.get_context("forkserver")
"""There is one for all tests of a process, so all take this one."""
SERVER.set_forkserver_preload(PRELOADED)


def forked(target: Callable[..., object], *arguments: object) -> BaseProcess:
    """Call a function in a new process, with the environment of this one."""
    process = SERVER.Process(target=_call, args=(dict(os.environ), target, arguments))
    process.start()
    return process


def _call(
    environment: Mapping[str, str], target: Callable[..., object], arguments: Sequence[object]
) -> None:
    set_environment(environment)
    target(*arguments)


def set_environment(environment: Mapping[str, str]) -> None:
    """Replace the environment, also of what has been imported."""
    os.environ.clear()
    os.environ.update(environment)
    # It sets variables when it is imported.
    importlib.reload(importlib.import_module("orchestrator.execution"))
    from orchestrator.execution.ray import private_api

    private_api.reload_settings()
    private_api.forget_token()


class ForkedCommand:
    """The command line in a process and a session of its own, used as a ``subprocess.Popen``.

    Args:
        arguments: of ``python -m orchestrator``.
        cwd: the working directory.
        environment: all of its variables.
    """

    def __init__(self, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> None:
        self.args = list(arguments)
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        self.stdout: TextIO = os.fdopen(out, encoding="utf-8")
        self.stderr: TextIO = os.fdopen(err, encoding="utf-8")
        ends = _Descriptor(out_end), _Descriptor(err_end)
        self._process = forked(_command, self.args, cwd, dict(environment), *ends)
        os.close(out_end)
        os.close(err_end)
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """See ``subprocess.Popen``."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """See ``subprocess.Popen``."""
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        """See ``subprocess.Popen``."""
        os.kill(self.pid, number)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """See ``subprocess.Popen``."""
        deadline = None if timeout is None else time.monotonic() + timeout
        texts: dict[TextIO, str] = {}

        def read(stream: TextIO) -> None:
            with stream:
                texts[stream] = stream.read()

        readers = [
            threading.Thread(target=read, args=[stream], daemon=True)
            for stream in (self.stdout, self.stderr)
        ]
        for reader in readers:
            reader.start()
        waits: list[Any] = [*readers, self._process]
        for wait in waits:
            wait.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        if self._process.is_alive() or any(reader.is_alive() for reader in readers):
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return texts[self.stdout], texts[self.stderr]


class _Descriptor:
    """A file descriptor that is passed to the new process, where it is an integer."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _detached, (DupFd(self._number),)


def _detached(descriptor: Any) -> int:
    return descriptor.detach()


def _command(
    arguments: list[str], cwd: Path, environment: dict[str, str], out: int, err: int
) -> None:
    """Call the command line as a shell would: nothing of the forking process is left."""
    os.setsid()
    os.chdir(cwd)
    set_environment(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for stream, end in ((1, out), (2, err)):
        os.dup2(end, stream)
        os.close(end)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False, buffering=1)
    sys.argv = ["orchestrator", *arguments]
    from orchestrator.cli.app import main

    try:
        main()
    finally:
        sys.stdout.flush()
        atexit._run_exitfuncs()
