"""Ray's job API over the network: every question has an end, every failure is one line."""

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
"""For one answer; a package of code is uploaded in less."""

AWAY = (OSError, TimeoutError, requests.RequestException, aiohttp.ClientError)
"""What a connection fails with."""


ADVICE = "set RAY_AUTH_MODE=token and its token in RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"

NO_AGENT = (
    "its head node takes no jobs: it has just started, or has no ray[default], or another Ray has "
    "its port 52365 (ray start --dashboard-agent-listen-port)"
)

# Ray's client tells of every step, on standard error, and so would the job's own output be torn.
for _name in ("dashboard.modules.dashboard_sdk", "dashboard.modules.job.sdk"):
    logging.getLogger(f"ray.{_name}").setLevel(logging.CRITICAL)
logging.getLogger("ray._private.runtime_env.packaging").setLevel(logging.CRITICAL)
logging.getLogger("ray._private.authentication").setLevel(logging.CRITICAL)


class _Client(JobSubmissionClient):
    """Ray's client waits for ever where the network drops what it sends."""

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
            with self._asked(), _without("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
                self._client = _Client(self.address)
        except ClusterLostError as error:
            raise ResourceError(
                f"{error}; is its head node up, with ray[default] and its dashboard, and does a "
                "tunnel lead to it (ray dashboard CLUSTER.yaml, kubectl port-forward, ssh -L)?"
            ) from error

    def jobs(self, prefix: str) -> list[JobDetails]:
        """All jobs whose id begins so, the oldest first."""
        with self._asked():
            found = self._client.list_jobs()
        mine = [job for job in found if (job.submission_id or "").startswith(prefix)]
        return sorted(mine, key=lambda job: int((job.submission_id or "").rpartition("-")[2]))

    def submit(self, submission_id: str, **what: Any) -> bool:
        """Start a job; whether there was none of that id.

        ``what`` are ``entrypoint``, ``runtime_env`` and ``metadata`` of Ray's ``submit_job``.
        """
        with self._asked():
            try:
                self._client.submit_job(submission_id=submission_id, **what)
            except RuntimeError as error:
                if "already exists" not in str(error):
                    raise
                return False
        return True

    def job(self, submission_id: str) -> JobDetails:
        """How a job is."""
        with self._asked():
            return self._client.get_job_info(submission_id)

    def log(self, submission_id: str) -> str:
        """All that a job has printed."""
        with self._asked():
            return self._client.get_job_logs(submission_id)

    def stop(self, submission_id: str) -> None:
        """Ask a job to end."""
        with self._asked():
            self._client.stop_job(submission_id)

    async def tail(self, submission_id: str) -> AsyncGenerator[str]:
        """What a job prints, from its beginning, in pieces, until it has ended."""
        with self._asked():
            async for piece in self._client.tail_job_logs(submission_id):
                yield piece

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Every failure as one of ours.

        Raises:
            ClusterLostError: no answer; another try may get one.
            ResourceError: an answer, and it is no.
        """
        try:
            yield
        except AuthenticationError as error:
            raise ResourceError(f"{self.address}: {_refusal(error)}; {ADVICE}") from error
        # Before the next: some of Ray's client are of both kinds.
        except (requests.HTTPError, ValueError, TypeError, KeyError) as error:
            raise ResourceError(
                f"{self.address}: what answers there is no job server of Ray, or one of another "
                f"version than this ({ray.__version__}): {_first(error)}"
            ) from error
        except AWAY as error:
            raise ClusterLostError(f"{self.address}: no answer ({_first(error)})") from error
        except RuntimeError as error:
            # The only kind of error that Ray's client has for an answer that it cannot use.
            told = str(error)
            if "status code 404" in told and "does not exist" in told:
                raise ResourceError(
                    f"{self.address}: the cluster does not know the job any more, so it was "
                    "started anew; the same command goes on with what the run directory holds"
                ) from error
            if "404" in told:
                raise ResourceError(
                    f"{self.address}: what answers there is no job server of Ray (404)"
                ) from error
            if "No available agent" in told:
                raise ClusterLostError(f"{self.address}: {NO_AGENT}") from error
            what = "the connection broke" if told.startswith("WebSocket") else _first(error)
            raise ClusterLostError(f"{self.address}: {what}") from error


def _refusal(error: AuthenticationError) -> str:
    """What is wrong with the token, which Ray's client tells in a page."""
    told = " ".join(str(error).split())
    if told.startswith("Authentication required"):
        return "the cluster asks for a token"
    if told.startswith("Authentication failed"):
        return f"the cluster refuses the token in {token_location()}"
    return told.partition(". ")[0]


def _first(error: BaseException) -> str:
    """What an error says in the end, without the page about where."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1].rstrip(".") if lines else type(error).__name__)[:300]


@contextmanager
def _without(*names: str) -> Iterator[None]:
    """Ray would take these variables of the shell for more than what was asked for."""
    held = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(held)
