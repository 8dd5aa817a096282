"""Show a job's log to its end, through lost connections."""

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
from trainables.storage.retry import Backoff, Clock, Sleep, retry

SILENCE_SECONDS = 45.0
"""A job prints something every 30 s; after a longer silence a new connection is made."""

LOST_SECONDS = 900.0
"""How long a cluster may give no answer."""

FIRST_PAUSE, LONGEST_PAUSE = 2.0, 10.0
"""Between two attempts to reach a cluster."""

Answer = TypeVar("Answer")

Show = Callable[[str], None]
"""Called with the output of a job, in pieces of any length."""


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
    echo: Callable[[str], None],
    sleep: Sleep = time.sleep,
    now: Clock = time.monotonic,
) -> JobDetails:
    """Show a job's log from its beginning to its end.

    Args:
        server: where the job is.
        submission_id: its id.
        show: called with its output, every character once.
        echo: called with a line when the connection is lost and when it is back.
        sleep: waits so many seconds.
        now: gives seconds.

    Returns:
        How the job ended.

    Raises:
        ClusterLostError: no answer for ``LOST_SECONDS``.
        ResourceError: the cluster does not know the job.
    """
    reader = _Reader(server, submission_id, show)
    connection = Connection("the job goes on, trying again", echo, sleep, now)
    while True:
        try:
            job = server.job(submission_id)
            connection.restored()
            asyncio.run(reader.read())
            if job.status.is_terminal():
                return job
        except TimeoutError:
            continue
        except ClusterLostError as error:
            connection.wait(error)


class Connection:
    """A connection to a cluster that is lost now and then.

    Args:
        meanwhile: what is done after a loss, for the message.
        echo: called with a line when the connection is lost and when it is back.
        sleep: waits so many seconds.
        now: gives seconds.
    """

    def __init__(
        self,
        meanwhile: str,
        echo: Callable[[str], None],
        sleep: Sleep = time.sleep,
        now: Clock = time.monotonic,
    ) -> None:
        self._meanwhile, self._echo, self._sleep = meanwhile, echo, sleep
        self._backoff = Backoff(LOST_SECONDS, FIRST_PAUSE, LONGEST_PAUSE, now)
        self._is_lost = False

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """The answer of a cluster, as soon as there is one.

        Raises:
            ClusterLostError: no answer for ``LOST_SECONDS``.
        """
        answer = retry(question, self._backoff, ClusterLostError, self._lose, self._sleep)
        self.restored()
        return answer

    def restored(self) -> None:
        """Note that the cluster has answered."""
        if self._is_lost:
            self._echo("connected again")
        self._is_lost = False
        self._backoff.reset()

    def wait(self, error: ClusterLostError) -> None:
        """Wait after ``error`` before the next attempt.

        Raises:
            ClusterLostError: no answer for ``LOST_SECONDS``.
        """
        pause = self._backoff.next_pause()
        if pause is None:
            raise error
        self._lose(error)
        self._sleep(pause)

    def _lose(self, error: Exception) -> None:
        if not self._is_lost:
            self._echo(f"{error}; {self._meanwhile}")
        self._is_lost = True


class _Reader:
    """Reads a log from its beginning, possibly several times; shows every character once."""

    def __init__(self, server: JobServer, submission_id: str, show: Show) -> None:
        self._server = server
        self._id = submission_id
        self._show = show
        self._shown = 0

    async def read(self) -> None:
        """Read until the log ends.

        Raises:
            ClusterLostError: the connection was lost.
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
                if at > self._shown:
                    self._show(piece[self._shown - at :])
                    self._shown = at
