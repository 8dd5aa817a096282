"""Whether a server answers."""

import http.server
import socket
import threading
from collections.abc import Iterator
from typing import ClassVar

import pytest

from trainables.tracking.reachable import unreachable


class Server(http.server.BaseHTTPRequestHandler):
    """Knows nobody; keeps what it was asked with."""

    headers_seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.headers_seen.append(str(self.headers))
        self.send_error(403)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with http.server.HTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_one_that_answers_is_there_whoever_asks(port: int) -> None:
    assert unreachable(f"http://127.0.0.1:{port}/health") == ""
    assert unreachable(f"http://me:hidden@127.0.0.1:{port}/health") == ""
    assert "hidden" not in "".join(Server.headers_seen)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:9", "no answer (Connection refused)"),
        ("http://me:hidden@127.0.0.1:9", "no answer (Connection refused)"),
        ("http://me:hidden@127.0.0.1:PORT", "no answer (nonnumeric port: 'PORT')"),
        ("http://[::1", "no answer (Invalid IPv6 URL)"),
        ("http://127.0.0.1:99999999999", "no answer ("),
    ],
)
def test_where_nobody_answers_there_is_a_reason_without_a_password(url: str, reason: str) -> None:
    message = unreachable(url)
    assert message.startswith(reason)
    assert "hidden" not in message


def test_what_speaks_another_language_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def speak() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"220 mail\r\n\r\n")

        thread = threading.Thread(target=speak)
        thread.start()
        assert unreachable(f"http://127.0.0.1:{server.getsockname()[1]}") == "no answer (220 mail)"
        thread.join()
