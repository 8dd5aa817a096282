"""Tests divided among several workers (pytest-xdist), and those that must be alone after them.

Nothing here matters unless pytest is told ``-n 2 --dist loadgroup``, as ``make test`` does.
"""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadGroupScheduling
from xdist.scheduler.protocol import Scheduling

ALONE = ("ray", "serial")
"""Marks of tests that start clusters, or measure time or memory that others would disturb."""


class FilesThenAlone(LoadGroupScheduling):
    """Hands out file by file; last of all, to one worker, the tests that must be alone."""

    def _split_scope(self, nodeid: str) -> str:
        group = super()._split_scope(nodeid)
        return nodeid.partition("::")[0] if group == nodeid else group


class Worker:
    """What one worker does besides running its tests."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is the same for all workers of a run."""
        self._gate = (folder / "gate").open("w")

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=_must_be_alone)
        for item in items:
            if _must_be_alone(item):
                item.add_marker(pytest.mark.xdist_group("alone"))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """A test that must be alone waits until no other worker runs one."""
        fcntl.flock(self._gate, fcntl.LOCK_EX if _must_be_alone(item) else fcntl.LOCK_SH)
        try:
            return (yield)
        finally:
            fcntl.flock(self._gate, fcntl.LOCK_UN)


def _must_be_alone(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) for name in ALONE)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    if config.getoption("dist") != "loadgroup":
        return None
    # In the order of the collection, where those that must be alone are last.
    config.option.loadscopereorder = False
    return FilesThenAlone(config, log)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        return
    import torch

    # Two workers that each take all cores would be slower than one.
    torch.set_num_threads(1)
    # Where there is no terminal, readline tells child processes a size all the same.
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)
    config.pluginmanager.register(Worker(Path(config.option.basetemp).parent))
