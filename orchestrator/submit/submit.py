"""The command ``submit``, from what was typed to the tables in a local folder."""

import shlex
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from rich.console import Console

from orchestrator.submit.follow import follow, patiently, showing
from orchestrator.submit.job_server import JobDetails, JobServer
from orchestrator.submit.package import Request, packaged
from orchestrator.submit.results import check_folder, save, unpacked
from trainables.errors import ClusterLostError, RunDirectoryError

READY_SECONDS = 60.0
"""How long a cluster that answers may take no job."""

FETCHES = 3
"""Attempts to read a block of results that is there and not whole."""


def submit(
    address: str,
    request: Request,
    folder: Path | None,
    stop: bool,
    console: Console,
    say: Callable[[str], None],
) -> int:
    """Start or join the grid's job, follow it to its end and fetch what it made.

    Args:
        address: URL of the cluster's job server.
        request: the grid.
        folder: where its tables go; none: ``runs/cluster/NAME``.
        stop: end the running job in place of starting one.
        console: where its log is shown.
        say: is told what else there is to say.

    Returns:
        The exit code: the job's own.

    Raises:
        InputError: nothing was sent.
        ClusterLostError: the cluster gives no answer any more.
    """
    folder = folder or Path("runs") / "cluster" / PurePosixPath(request.run_dir).name
    check_folder(folder)
    server = JobServer(address)
    running = _running(server, request)
    if stop:
        if running is None:
            say(f"no job runs on {request.run_dir}")
            return 0
        server.stop(running)
        say(f"stopping job {running}; finished trials are kept in {request.run_dir}")
    elif running is not None:
        say(f"joined job {running}, which runs already")
    else:
        running = _start(server, request, say)
        say(f"submitted job {running}; run directory on the cluster: {request.run_dir}")
    try:
        with showing(console) as show:
            job = follow(server, running, show, say)
    except KeyboardInterrupt:
        again = f"python -m orchestrator {shlex.join(request.command)}"
        say(f"left job {running} running; to follow it again: {again}")
        if not stop:
            say(f"to stop it: {again} --stop")
        return 130
    _fetch(server, running, job, request, folder, say)
    return _exit_code(job, say)


def _running(server: JobServer, request: Request) -> str | None:
    """Id of the job that runs on the request's run directory.

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


def _start(server: JobServer, request: Request, say: Callable[[str], None]) -> str:
    """A new job, or the one that another ``submit`` started at this moment.

    Raises:
        ClusterLostError: the cluster takes no job for ``READY_SECONDS``.
        RunDirectoryError: the other one runs another grid.
    """
    with packaged(request) as folders:
        earlier = server.jobs(request.prefix)
        last = int((earlier[-1].submission_id or "").rpartition("-")[2]) if earlier else 0
        submission_id = f"{request.prefix}{last + 1}"
        what = {
            "entrypoint": request.entrypoint,
            "runtime_env": request.runtime_env(folders),
            "metadata": request.metadata,
        }
        end = time.monotonic() + READY_SECONDS
        while True:
            try:
                new = server.submit(submission_id, **what)
                break
            except ClusterLostError as error:
                # A cluster that has just started takes no jobs yet. The id keeps a job whose answer
                # was lost from being started twice.
                if time.monotonic() > end:
                    raise
                say(f"{error}; trying again")
                time.sleep(READY_SECONDS / 12)
    if not new:
        _running(server, request)  # It must run what is asked for here.
    return submission_id


def _fetch(
    server: JobServer,
    submission_id: str,
    job: JobDetails,
    request: Request,
    folder: Path,
    say: Callable[[str], None],
) -> None:
    """Write the tables that the job sent; says so where it sent none."""
    files = None
    for _ in range(FETCHES):
        files = unpacked(patiently(lambda: server.log(submission_id), say))
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
    say(f"fetched {', '.join(files)} into {folder}")


def _exit_code(job: JobDetails, say: Callable[[str], None]) -> int:
    """The job's exit code as this command's; says why where the job gave none."""
    status = job.status.value
    if status == "SUCCEEDED":
        return 0
    if status == "STOPPED":
        say(f"job {job.submission_id} was stopped")
        return 130
    if job.driver_exit_code is None or job.driver_exit_code < 0:
        lines = (job.message or "").strip().splitlines() or ["no reason given"]
        say(f"error: job {job.submission_id} failed: {lines[0][:300]}")
        return 1
    if job.driver_exit_code == 127:
        say("error: the cluster's shell finds no python: start Ray with its environment activated")
    return job.driver_exit_code
