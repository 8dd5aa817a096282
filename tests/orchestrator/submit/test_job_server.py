"""Whatever answers, or does not, is one clear line."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from orchestrator.submit import job_server
from orchestrator.submit.job_server import JobServer
from trainables.errors import ClusterLostError, ResourceError

VERSION = '{"version": "4", "ray_version": "2.60.0", "ray_commit": "", "session_name": ""}'


class Web:
    """An HTTP server; ``answers`` are path -> (status, text), anything else is 404."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, str]] = {}
        answers = self.answers

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, text = answers.get(self.path, (404, "404: Not Found"))
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def web() -> Iterator[Web]:
    web = Web()
    thread = threading.Thread(target=web.server.serve_forever, args=(0.01,))
    thread.start()
    yield web
    web.server.shutdown()
    thread.join()
    web.server.server_close()


@pytest.mark.parametrize(
    ("status", "text", "message"),
    [
        (404, "not here", "what answers there is no job server of Ray"),
        (200, "<html>hello</html>", "what answers there is no job server of Ray"),
        (200, '{"hello": 1}', "what answers there is no job server of Ray"),
        (200, "[]", "what answers there is no job server of Ray"),
        (500, "oh", "what answers there is no job server of Ray"),
        (401, "who?", "the cluster asks for a token; set RAY_AUTH_MODE=token"),
    ],
)
def test_what_is_no_job_server_is_told(web: Web, status: int, text: str, message: str) -> None:
    web.answers["/api/version"] = (status, text)
    with pytest.raises(ResourceError, match=f"^{web.url}: {message}") as caught:
        JobServer(web.url)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("address", ["127.0.0.1:6379", "ray://host:10001", "auto", ""])
def test_an_address_that_is_no_url_is_told(address: str) -> None:
    with pytest.raises(ResourceError, match=r"^--address .*: give the URL"):
        JobServer(address)


@pytest.mark.parametrize(
    "address",
    ["https://me:SECRET@host:8265", "me:SECRET@host:8265", "http://host:8265/?token=SECRET"],
)
def test_an_address_with_a_secret_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(ResourceError, match=r"^--address: no user, password or token") as caught:
        JobServer(address)
    assert "SECRET" not in str(caught.value)


def test_nothing_that_listens_is_told() -> None:
    with pytest.raises(ResourceError, match=r"^http://127.0.0.1:1: no answer .*ray\[default\]"):
        JobServer("http://127.0.0.1:1")


def test_a_server_that_says_nothing_is_given_up(
    monkeypatch: pytest.MonkeyPatch, unused: str
) -> None:
    monkeypatch.setattr(job_server, "ANSWER_SECONDS", 0.1)
    with pytest.raises(ResourceError, match="no answer"):
        JobServer(unused)


@pytest.fixture
def unused() -> Iterator[str]:
    """URL of something that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_the_shell_s_cluster_is_not_taken_for_the_one_asked_for(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.answers["/api/version"] = (200, VERSION)
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:1")
    web.answers["/api/jobs/"] = (200, "[]")
    server = JobServer(web.url)
    assert server.jobs("demo-") == []
    web.answers["/api/jobs/"] = (200, '[{"type": "of tomorrow"}]')
    with pytest.raises(ResourceError, match="another version than this") as caught:
        server.jobs("demo-")
    assert "\n" not in str(caught.value)


def test_questions_that_get_no_use_out_of_a_server_are_told(web: Web) -> None:
    web.answers["/api/version"] = (200, VERSION)
    server = JobServer(web.url)
    web.answers["/api/jobs/x"] = (404, "Job x does not exist")
    with pytest.raises(ResourceError, match="does not know the job any more"):
        server.job("x")
    web.answers["/api/jobs/x"] = (500, "No available agent to submit job, please try again later")
    with pytest.raises(ClusterLostError, match=r"takes no jobs: .*ray\[default\].* 52365"):
        server.job("x")
    web.answers["/api/jobs/x"] = (500, "Traceback\n  page\nValueError: no agent on the head")
    with pytest.raises(ClusterLostError, match=r"ValueError: no agent on the head$"):
        server.job("x")
