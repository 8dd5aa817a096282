"""Ray's job API over the network, with time limits and one-line errors."""

import logging
import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import ray
import requests
from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails as JobDetails
from ray.job_submission import JobSubmissionClient

from orchestrator.execution.ray.auth import token_location
from trainables.errors import ClusterLostError, ResourceError
from trainables.secrets import has_credentials

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 120.0
"""For one answer; uploading the code takes less."""

AWAY = (OSError, TimeoutError, requests.RequestException, aiohttp.ClientError)
"""Errors of a failed connection."""


ADVICE = "set RAY_AUTH_MODE=token and its token in RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"

NO_AGENT = (
    "its head node takes no jobs: it has just started, or has no ray[default], or another Ray has "
    "its port 52365 (ray start --dashboard-agent-listen-port)"
)

# Ray's client logs every step to standard error, in the middle of the job's own output.
for _name in ("dashboard.modules.dashboard_sdk", "dashboard.modules.job.sdk"):
    logging.getLogger(f"ray.{_name}").setLevel(logging.CRITICAL)
logging.getLogger("ray._private.runtime_env.packaging").setLevel(logging.CRITICAL)
logging.getLogger("ray._private.authentication").setLevel(logging.CRITICAL)


class _Client(JobSubmissionClient):
    """Ray's client with time limits; without them it waits for ever on a broken network."""

    def _do_request(self, method: str, endpoint: str, **options: Any) -> requests.Response:
        options.setdefault("timeout", (CONNECT_SECONDS, ANSWER_SECONDS))
        return super()._do_request(method, endpoint, **options)


class JobServer:
    """The job server of a cluster.

    Args:
        address: its URL, http://HOST:8265 or https://...

    Raises:
        ResourceError: nothing answers there, it is no job server, or the tokens do not fit; or
            the URL holds a secret.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        if "@" in address or has_credentials(address):
            raise ResourceError(
                "--address: no user, password or token belongs into it, for it is kept and shown; "
                f"{ADVICE}"
            )
        if not self.address.startswith(("http://", "https://")):
            raise ResourceError(
                f"--address {address}: give the URL of the cluster's job server, "
                "http://HOST:8265 (HOST:6379 is another door)"
            )
        try:
            with self._errors(), _without("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
                self._client = _Client(self.address)
        except ClusterLostError as error:
            raise ResourceError(
                f"{error}; is its head node up, with ray[default] and its dashboard, and does a "
                "tunnel lead to it (ray dashboard CLUSTER.yaml, kubectl port-forward, ssh -L)?"
            ) from error

    def jobs(self, prefix: str) -> list[JobDetails]:
        """All jobs whose id begins with ``prefix``, the oldest first."""
        with self._errors():
            jobs = self._client.list_jobs()
        mine = [job for job in jobs if (job.submission_id or "").startswith(prefix)]
        return sorted(mine, key=lambda job: int((job.submission_id or "").rpartition("-")[2]))

    def submit(self, submission_id: str, **job: Any) -> bool:
        """Start a job; False if a job of that id exists.

        ``job`` are ``entrypoint``, ``runtime_env`` and ``metadata`` of Ray's ``submit_job``.
        """
        with self._errors():
            try:
                self._client.submit_job(submission_id=submission_id, **job)
            except RuntimeError as error:
                if "already exists" not in str(error):
                    raise
                return False
        return True

    def job(self, submission_id: str) -> JobDetails:
        """Status of a job."""
        with self._errors():
            return self._client.get_job_info(submission_id)

    def log(self, submission_id: str) -> str:
        """The whole output of a job so far."""
        with self._errors():
            return self._client.get_job_logs(submission_id)

    def stop(self, submission_id: str) -> None:
        """Ask a job to end."""
        with self._errors():
            self._client.stop_job(submission_id)

    async def tail(self, submission_id: str) -> AsyncGenerator[str]:
        """The output of a job from its beginning, in pieces, until it has ended."""
        with self._errors():
            async for piece in self._client.tail_job_logs(submission_id):
                yield piece

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise this project's errors for those of Ray's client.

        Raises:
            ClusterLostError: no answer; another try may get one.
            ResourceError: the cluster refuses.
        """
        try:
            yield
        except AuthenticationError as error:
            raise ResourceError(f"{self.address}: {_refusal(error)}; {ADVICE}") from error
        # Before the next clause: some errors of Ray's client are of both kinds.
        except (requests.HTTPError, ValueError, TypeError, KeyError) as error:
            raise ResourceError(
                f"{self.address}: what answers there is no job server of Ray, or one of another "
                f"version than this ({ray.__version__}): {_last_line(error)}"
            ) from error
        except AWAY as error:
            raise ClusterLostError(f"{self.address}: no answer ({_last_line(error)})") from error
        except RuntimeError as error:
            # Ray's client raises it for every answer that it cannot use.
            message = str(error)
            if "status code 404" in message and "does not exist" in message:
                raise ResourceError(
                    f"{self.address}: the cluster does not know the job any more, so it was "
                    "started anew; the same command goes on with what the run directory holds"
                ) from error
            if "404" in message:
                raise ResourceError(
                    f"{self.address}: what answers there is no job server of Ray (404)"
                ) from error
            if "No available agent" in message:
                raise ClusterLostError(f"{self.address}: {NO_AGENT}") from error
            reason = (
                "the connection broke" if message.startswith("WebSocket") else _last_line(error)
            )
            raise ClusterLostError(f"{self.address}: {reason}") from error


def _refusal(error: AuthenticationError) -> str:
    """What is wrong with the token; the message of Ray's client fills a page."""
    message = " ".join(str(error).split())
    if message.startswith("Authentication required"):
        return "the cluster asks for a token"
    if message.startswith("Authentication failed"):
        return f"the cluster refuses the token in {token_location()}"
    return message.partition(". ")[0]


def _last_line(error: BaseException) -> str:
    """The last line of an error's message, which says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1].rstrip(".") if lines else type(error).__name__)[:300]


@contextmanager
def _without(*names: str) -> Iterator[None]:
    """Unset these variables for the block: for Ray they would override the address."""
    values = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(values)
