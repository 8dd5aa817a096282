"""The command ``submit``: sends a grid to a cluster, follows its job, fetches its tables."""

import shlex
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from rich.console import Console

from orchestrator.submit.follow import Connection, follow, showing
from orchestrator.submit.job_server import JobDetails, JobServer
from orchestrator.submit.package import Request, packaged
from orchestrator.submit.results import check_folder, save, unpacked
from trainables.errors import ClusterLostError, RunDirectoryError
from trainables.storage.retry import Backoff, retry

READY_SECONDS = 60.0
"""How long a cluster that answers may take no job."""

PAUSE_SECONDS = 5.0
"""Between two attempts to start a job."""

FETCHES = 3
"""Attempts to read a block of results that is incomplete."""


def submit(
    address: str,
    request: Request,
    folder: Path | None,
    stop: bool,
    console: Console,
    echo: Callable[[str], None],
) -> int:
    """Start or join the grid's job, follow it to its end and fetch its tables.

    Args:
        address: URL of the cluster's job server.
        request: the grid.
        folder: where its tables go; None means ``runs/cluster/NAME``.
        stop: end the running job instead of starting one.
        console: prints its log.
        echo: prints a line about the job.

    Returns:
        The exit code: the job's own.

    Raises:
        InputError: nothing was sent.
        ClusterLostError: the cluster does not answer any more.
    """
    folder = folder or Path("runs") / "cluster" / PurePosixPath(request.run_dir).name
    check_folder(folder)
    server = JobServer(address)
    running = _running(server, request)
    if stop:
        if running is None:
            echo(f"no job runs on {request.run_dir}")
            return 0
        server.stop(running)
        echo(f"stopping job {running}; finished trials are kept in {request.run_dir}")
    elif running is not None:
        echo(f"joined job {running}, which runs already")
    else:
        running = _start(server, request, echo)
        echo(f"submitted job {running}; run directory on the cluster: {request.run_dir}")
    try:
        with showing(console) as show:
            job = follow(server, running, show, echo)
    except KeyboardInterrupt:
        again = f"python -m orchestrator {shlex.join(request.command)}"
        echo(f"left job {running} running; to follow it again: {again}")
        if not stop:
            echo(f"to stop it: {again} --stop")
        return 130
    _fetch(server, running, job, request, folder, echo)
    return _exit_code(job, echo)


def _running(server: JobServer, request: Request) -> str | None:
    """Id of the job that runs on the request's run directory; None if there is none.

    Raises:
        RunDirectoryError: it runs another grid.
    """
    for job in server.jobs(request.prefix):
        if not job.status.is_terminal():
            if (job.metadata or {}).get("digest") != request.digest:
                raise RunDirectoryError(
                    f"{request.run_dir}: job {job.submission_id} runs there with other settings "
                    f"({job.entrypoint}); choose another --run-dir, or stop it by the command that "
                    "started it, with --stop"
                )
            return job.submission_id
    return None


def _start(server: JobServer, request: Request, echo: Callable[[str], None]) -> str:
    """Start a job, unless another ``submit`` has just started it; gives its id.

    Raises:
        ClusterLostError: the cluster takes no job for ``READY_SECONDS``.
        RunDirectoryError: the other one runs another grid.
    """
    with packaged(request) as folders:
        earlier = server.jobs(request.prefix)
        last = int((earlier[-1].submission_id or "").rpartition("-")[2]) if earlier else 0
        submission_id = f"{request.prefix}{last + 1}"
        job = {
            "entrypoint": request.entrypoint,
            "runtime_env": request.runtime_env(folders),
            "metadata": request.metadata,
        }
        # A cluster that has just started takes no jobs yet. The id keeps a job whose answer was
        # lost from being started twice.
        new = retry(
            lambda: server.submit(submission_id, **job),
            Backoff(READY_SECONDS, PAUSE_SECONDS, PAUSE_SECONDS),
            ClusterLostError,
            lambda error: echo(f"{error}; trying again"),
        )
    if not new:
        _running(server, request)  # It must run what is asked for here.
    return submission_id


def _fetch(
    server: JobServer,
    submission_id: str,
    job: JobDetails,
    request: Request,
    folder: Path,
    echo: Callable[[str], None],
) -> None:
    """Write the tables that the job printed.

    Raises:
        ClusterLostError: the job succeeded and its log does not hold them.
    """
    files = None
    connection = Connection("trying again", echo)
    for _ in range(FETCHES):
        files = unpacked(connection.ask(lambda: server.log(submission_id)))
        if files is not None:
            break
    if files is None:
        if job.driver_exit_code == 0:
            raise ClusterLostError(
                f"job {submission_id}: its log does not hold its results whole; they are in "
                f"{request.run_dir} on the cluster, and the same command fetches them again"
            )
        return
    about = {
        "job": submission_id,
        "cluster": server.address,
        "run_dir": request.run_dir,
        "status": job.status.value,
        "exit_code": job.driver_exit_code,
    }
    save(folder, files, about)
    echo(f"fetched {', '.join(files)} into {folder}")


def _exit_code(job: JobDetails, echo: Callable[[str], None]) -> int:
    """The job's exit code; a failure without one is explained by a line and is 1."""
    status = job.status.value
    if status == "SUCCEEDED":
        return 0
    if status == "STOPPED":
        echo(f"job {job.submission_id} was stopped")
        return 130
    if job.driver_exit_code is None or job.driver_exit_code < 0:
        lines = (job.message or "").strip().splitlines() or ["no reason given"]
        echo(f"error: job {job.submission_id} failed: {lines[0][:300]}")
        return 1
    if job.driver_exit_code == 127:
        echo("error: the cluster's shell finds no python: start Ray with its environment activated")
    return job.driver_exit_code
