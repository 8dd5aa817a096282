"""A job server whose answers a test chooses."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any

from ray.job_submission import JobDetails, JobStatus, JobType

from trainables.errors import ClusterLostError


def details(submission_id: str, status: JobStatus = JobStatus.RUNNING, **more: Any) -> JobDetails:
    """A job as the job API describes it."""
    return JobDetails(
        type=JobType.SUBMISSION,
        submission_id=submission_id,
        status=status,
        entrypoint="python -m orchestrator.cli.cluster_job run demo",
        **more,
    )


class Server:
    """A replacement for ``JobServer``.

    Args:
        connections: what each ``tail`` yields, from the log's beginning; an exception is raised.
        jobs: all jobs of the cluster.
        status: of the last job when all connections are used up.
        exit_code: of that job.
    """

    def __init__(
        self,
        connections: Sequence[Sequence[str | Exception]] = ((),),
        jobs: Sequence[JobDetails] = (),
        status: JobStatus = JobStatus.SUCCEEDED,
        exit_code: int | None = 0,
        message: str | None = None,
    ) -> None:
        self.address = "http://cluster:8265"
        self.submitted: list[tuple[str, dict[str, Any]]] = []
        self.stopped: list[str] = []
        self.taken = False
        self._connections = list(connections)
        self._jobs = list(jobs)
        self._end = (status, exit_code, message)
        self._whole = "".join(piece for piece in connections[-1] if isinstance(piece, str))

    def jobs(self, prefix: str) -> list[JobDetails]:
        return [job for job in self._jobs if (job.submission_id or "").startswith(prefix)]

    def submit(self, submission_id: str, **job: Any) -> bool:
        self.submitted.append((submission_id, job))
        return not self.taken

    def stop(self, submission_id: str) -> None:
        self.stopped.append(submission_id)

    def log(self, submission_id: str) -> str:
        return self._whole

    def job(self, submission_id: str) -> JobDetails:
        if self._connections:
            return details(submission_id)
        status, exit_code, message = self._end
        return details(submission_id, status, driver_exit_code=exit_code, message=message)

    async def tail(self, submission_id: str) -> AsyncGenerator[str]:
        pieces = self._connections.pop(0) if self._connections else [self._whole]
        for piece in pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece


LOST = ClusterLostError("http://cluster:8265: no answer (it is away)")
