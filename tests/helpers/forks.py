"""Processes forked from one that has imported what commands need: importing it takes seconds."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.process import BaseProcess

PRELOADED = ["orchestrator.commands.tune", "orchestrator.execution.tune_executor"]

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(PRELOADED)


def forked(target: Callable[..., object], *arguments: object) -> BaseProcess:
    """Call a function in a new process; its environment is that of the first such process."""
    process = _server.Process(target=target, args=arguments)
    process.start()
    return process
