"""Follows a job's log to its end, through lost connections, and shows it."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager, nullcontext
from typing import TypeVar

from rich.console import Console
from rich.live import Live
from rich.text import Text

from orchestrator.monitor.log_snapshot import is_snapshot, read_snapshot
from orchestrator.submit.job_server import JobDetails, JobServer
from orchestrator.submit.results import BEGIN, END
from orchestrator.text import plain
from trainables.errors import ClusterLostError

SILENCE_SECONDS = 45.0
"""A job says something every 30 s; after more the connection is made anew, for it may be dead."""

PATIENCE_SECONDS = 900.0
"""How long a cluster may give no answer."""

RETRY_SECONDS = 2.0

Answer = TypeVar("Answer")

Show = Callable[[str], None]
"""Takes what a job prints, in pieces of any length."""


@contextmanager
def showing(console: Console) -> Iterator[Show]:
    """Print a job's lines as they come, without the block that holds its results.

    On a terminal the job's live view stands below them, as it was when the job drew it last.
    """
    rest = ""
    hidden = False
    live = Live(console=console, auto_refresh=False, transient=True)

    def show(piece: str) -> None:
        nonlocal rest, hidden
        *lines, rest = (rest + piece).split("\n")
        for line in lines:
            hidden = hidden or line.startswith(BEGIN)
            if is_snapshot(line):
                snapshot = read_snapshot(line)
                if snapshot is not None and console.is_terminal:
                    live.update(snapshot, refresh=True)
            elif not hidden:
                # Whatever a job prints moves no cursor and rings no bell here.
                shown = line if line.isprintable() else plain(line)
                console.print(Text(shown), soft_wrap=True, highlight=False)
            hidden = hidden and line != END

    with live if console.is_terminal else nullcontext():
        yield show
        if rest and not hidden:
            show("\n")


def follow(
    server: JobServer,
    submission_id: str,
    show: Show,
    say: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> JobDetails:
    """Show a job's log from its beginning to its end; gives how it ended.

    Args:
        server: where the job is.
        submission_id: its id.
        show: is given what it prints, every character once.
        say: is told when the connection is lost and when it is back.
        sleep: waits so many seconds.
        now: gives seconds.

    Raises:
        ClusterLostError: no answer for ``PATIENCE_SECONDS``.
        ResourceError: the cluster does not know the job.
    """
    reader = _Reader(server, submission_id, show)
    patience = _Patience("the job goes on, trying again", say, sleep, now)
    while True:
        try:
            job = server.job(submission_id)
            patience.heard()
            asyncio.run(reader.read())
            if job.status.is_terminal():
                return job
        except TimeoutError:
            continue
        except ClusterLostError as error:
            patience.lost(error)


def patiently(
    ask: Callable[[], Answer],
    say: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> Answer:
    """What a cluster answers, whenever it does.

    Raises:
        ClusterLostError: no answer for ``PATIENCE_SECONDS``.
    """
    patience = _Patience("trying again", say, sleep, now)
    while True:
        try:
            answer = ask()
        except ClusterLostError as error:
            patience.lost(error)
        else:
            patience.heard()
            return answer


class _Patience:
    """How long a cluster has not answered, and what is said of that."""

    def __init__(
        self,
        meanwhile: str,
        say: Callable[[str], None],
        sleep: Callable[[float], None],
        now: Callable[[], float],
    ) -> None:
        self._meanwhile, self._say, self._sleep, self._now = meanwhile, say, sleep, now
        self._heard, self._lost = now(), False

    def heard(self) -> None:
        """It has answered."""
        if self._lost:
            self._say("connected again")
        self._heard, self._lost = self._now(), False

    def lost(self, error: ClusterLostError) -> None:
        """It has not; waits before it is asked again, or raises ``error``."""
        if self._now() - self._heard > PATIENCE_SECONDS:
            raise error
        if not self._lost:
            self._say(f"{error}; {self._meanwhile}")
        self._lost = True
        self._sleep(RETRY_SECONDS)


class _Reader:
    """Reads a log again and again from its beginning; shows of it what was not shown before."""

    def __init__(self, server: JobServer, submission_id: str, show: Show) -> None:
        self._server = server
        self._id = submission_id
        self._show = show
        self._seen = 0

    async def read(self) -> None:
        """Until the log ends.

        Raises:
            ClusterLostError: it was lost.
            TimeoutError: nothing came for ``SILENCE_SECONDS``.
        """
        at = 0
        async with aclosing(self._server.tail(self._id)) as pieces:
            while True:
                try:
                    piece = await asyncio.wait_for(anext(pieces), SILENCE_SECONDS)
                except StopAsyncIteration:
                    return
                at += len(piece)
                if at > self._seen:
                    self._show(piece[self._seen - at :])
                    self._seen = at
