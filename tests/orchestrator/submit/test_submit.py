"""From what was typed to an exit code, with a job server that does what the test says."""

import io
import json
from pathlib import Path

import pytest
from ray.job_submission import JobStatus
from rich.console import Console

from orchestrator.submit import follow as following
from orchestrator.submit import submit as submit_module
from orchestrator.submit.package import Request
from orchestrator.submit.results import MANIFEST, packed
from tests.helpers.fake_job_server import LOST, Server, details
from trainables.errors import ClusterLostError, RunDirectoryError

REQUEST = Request(("run", "demo"), "/shared/runs/demo", {}, ("submit", "demo"))
OTHER = Request(("run", "quick"), "/shared/runs/demo", {}, ("submit", "quick"))
WHOLE = "a line\n" + packed({"table.md": "table"})


class Submit:
    """Calls ``submit``; keeps what it says and shows."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.said: list[str] = []
        self.folder = folder
        self._monkeypatch = monkeypatch
        self.console = Console(file=io.StringIO(), width=100)

    def __call__(self, server: Server, stop: bool = False, request: Request = REQUEST) -> int:
        self._monkeypatch.setattr(submit_module, "JobServer", lambda address: server)
        self.said.clear()
        where = self.folder / "fetched"
        arguments = (server.address, request, where, stop, self.console, self.said.append)
        return submit_module.submit(*arguments)


@pytest.fixture
def submit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Submit:
    return Submit(monkeypatch, tmp_path)


def job(number: int, status: JobStatus = JobStatus.RUNNING, request: Request = REQUEST):
    return details(f"{request.prefix}{number}", status, metadata=request.metadata)


def test_a_grid_is_submitted_followed_and_fetched(submit: Submit) -> None:
    server = Server([[WHOLE]])
    assert submit(server) == 0
    [(submission_id, what)] = server.submitted
    assert submission_id == f"{REQUEST.prefix}1"
    assert what["entrypoint"] == "python -m orchestrator.cli.cluster_job run demo"
    assert what["metadata"]["run_dir"] == "/shared/runs/demo"
    assert submit.console.file.getvalue() == "a line\n"  # type: ignore[attr-defined]
    fetched = submit.folder / "fetched"
    assert (fetched / "table.md").read_text() == "table"
    assert json.loads((fetched / MANIFEST).read_text())["job"] == submission_id


def test_an_ended_job_is_followed_by_a_new_one(submit: Submit) -> None:
    server = Server([[WHOLE]], [job(1, JobStatus.FAILED), job(2, JobStatus.STOPPED)])
    assert submit(server) == 0
    assert [name for name, _ in server.submitted] == [f"{REQUEST.prefix}3"]


@pytest.mark.parametrize("status", [JobStatus.RUNNING, JobStatus.PENDING])
def test_a_running_job_is_joined(submit: Submit, status: JobStatus) -> None:
    server = Server([[WHOLE]], [job(1, JobStatus.FAILED), job(2, status)])
    assert submit(server) == 0
    assert not server.submitted
    assert submit.said[0] == f"joined job {REQUEST.prefix}2, which runs already"


def test_two_that_submit_at_once_share_a_job_or_one_is_refused(submit: Submit) -> None:
    class Raced(Server):
        winner = REQUEST

        def submit(self, submission_id: str, **what: object) -> bool:
            self._jobs.append(job(1, request=self.winner))
            return False

    for winner, code in ((REQUEST, 0), (OTHER, None)):
        server = Raced([[WHOLE]])
        server.winner = winner
        if code is None:
            with pytest.raises(RunDirectoryError, match="runs there with other settings"):
                submit(server)
        else:
            assert submit(server) == code


def test_a_cluster_that_has_just_started_is_waited_for(
    submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Starting(Server):
        refusals = 2

        def submit(self, submission_id: str, **what: object) -> bool:
            if self.refusals:
                self.refusals -= 1
                raise ClusterLostError("http://cluster:8265: no available agent")
            return super().submit(submission_id, **what)

    monkeypatch.setattr(submit_module, "PAUSE_SECONDS", 0.01)
    assert submit(Starting([[WHOLE]])) == 0
    assert submit.said[:2] == ["http://cluster:8265: no available agent; trying again"] * 2
    monkeypatch.setattr(submit_module, "READY_SECONDS", 0.1)
    never = Starting([[WHOLE]])
    never.refusals = 10**6
    with pytest.raises(ClusterLostError, match="no available agent"):
        submit(never)


def test_another_grid_is_refused(submit: Submit) -> None:
    server = Server(jobs=[job(1, request=OTHER)])
    with pytest.raises(RunDirectoryError, match=r"^/shared/runs/demo: job .* other settings"):
        submit(server)
    with pytest.raises(RunDirectoryError):
        submit(server, stop=True)
    assert not server.stopped


def test_only_a_running_job_is_stopped(submit: Submit) -> None:
    server = Server([["interrupted\n"]], [job(1)], JobStatus.STOPPED, None)
    assert submit(server, stop=True) == 130
    assert server.stopped == [f"{REQUEST.prefix}1"]
    idle = Server(jobs=[job(1, JobStatus.SUCCEEDED)])
    assert submit(idle, stop=True) == 0
    assert (idle.stopped, submit.said) == ([], ["no job runs on /shared/runs/demo"])


@pytest.mark.parametrize(
    ("status", "exit_code", "message", "code", "said"),
    [
        (JobStatus.FAILED, 1, "", 1, None),
        (JobStatus.FAILED, 2, "", 2, None),
        (JobStatus.FAILED, 130, "", 130, None),
        (JobStatus.FAILED, 127, "", 127, "error: the cluster's shell finds no python: start Ray"),
        (JobStatus.FAILED, -9, "killed\nby", 1, "failed: killed"),
        (JobStatus.FAILED, None, "the head was lost", 1, "failed: the head was lost"),
        (JobStatus.FAILED, None, None, 1, "failed: no reason given"),
        (JobStatus.STOPPED, None, None, 130, "was stopped"),
    ],
)
def test_the_exit_code_is_the_job_s(
    submit: Submit,
    status: JobStatus,
    exit_code: int | None,
    message: str | None,
    code: int,
    said: str | None,
) -> None:
    assert submit(Server([["a line\n"]], (), status, exit_code, message)) == code
    if said is not None:
        assert said in submit.said[-1]
    # Where nothing was sent nothing is written.
    assert not (submit.folder / "fetched").exists()


def test_results_that_do_not_come_whole_are_an_error(submit: Submit) -> None:
    with pytest.raises(ClusterLostError, match=r"does not hold its results whole; they are in"):
        submit(Server([[WHOLE[:-40]]]))
    assert not (submit.folder / "fetched").exists()


def test_results_are_waited_for_as_long_as_a_log_is(
    submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away(Server):
        failures = 3

        def log(self, submission_id: str) -> str:
            if self.failures:
                self.failures -= 1
                raise LOST
            return super().log(submission_id)

    monkeypatch.setattr(following, "FIRST_PAUSE", 0.01)
    assert submit(Away([[WHOLE]])) == 0
    assert submit.said[1:3] == [f"{LOST}; trying again", "connected again"]
    assert (submit.folder / "fetched" / MANIFEST).exists()
    monkeypatch.setattr(following, "LOST_SECONDS", 0.05)
    never = Away([[WHOLE]])
    never.failures = 10**6
    with pytest.raises(ClusterLostError, match="it is away"):
        submit(never)


def test_ctrl_c_leaves_the_job_and_says_how_to_come_back(
    submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(submit_module, "follow", interrupted)
    assert submit(Server()) == 130
    assert submit.said[1:] == [
        f"left job {REQUEST.prefix}1 running; to follow it again: "
        "python -m orchestrator submit demo",
        "to stop it: python -m orchestrator submit demo --stop",
    ]
