"""The part of the Hugging Face Hub that takes uploads, served on 127.0.0.1."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TOKEN = "hf_" + "x" * 34


class Uploads:
    """What was uploaded.

    Attributes:
        address: of the server.
        private: repository -> whether it was made private.
        files: repository -> file -> content.
        cards: model cards that were to be validated.
        full: whether commits are refused from now on.
    """

    def __init__(self) -> None:
        self.address = ""
        self.private: dict[str, bool] = {}
        self.files: dict[str, dict[str, bytes]] = {}
        self.cards: list[str] = []
        self.full = False


def _created(uploads: Uploads, content: dict[str, Any]) -> dict[str, str]:
    name = f"{content.get('organization') or 'me'}/{content['name']}"
    private = content.get("private") or content.get("visibility") == "private"
    uploads.private[name] = bool(private)
    uploads.files.setdefault(name, {})
    return {"url": f"{uploads.address}/{name}", "id": name}


def _modes(content: dict[str, Any]) -> dict[str, Any]:
    """Every file is sent inside the commit, none to a storage of large files."""
    modes = {"uploadMode": "regular", "shouldIgnore": False}
    return {"files": [{"path": file["path"], **modes} for file in content["files"]]}


def _committed(uploads: Uploads, repository: str, body: bytes) -> dict[str, str]:
    for line in map(json.loads, body.splitlines()):
        if line["key"] == "file":
            content = base64.b64decode(line["value"]["content"])
            uploads.files[repository][line["value"]["path"]] = content
    return {"commitUrl": f"{uploads.address}/{repository}/commit/a", "commitOid": "a"}


def _posted(uploads: Uploads, path: str, body: bytes) -> Any:
    """The answer to a request; None to one that is refused."""
    if path == "/api/repos/create":
        return _created(uploads, json.loads(body))
    if path == "/api/validate-yaml":
        uploads.cards.append(json.loads(body)["content"])
        return {"errors": [], "warnings": []}
    if "/preupload/" in path:
        return _modes(json.loads(body))
    if "/commit/" in path and not uploads.full:
        return _committed(uploads, "/".join(path.split("/")[3:5]), body)
    return None


def _handler(uploads: Uploads) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Stay silent."""

        def do_GET(self) -> None:
            if self.headers.get("authorization") != f"Bearer {TOKEN}":
                self._send(401, {"error": "Invalid credentials"})
            elif self.path.startswith("/api/whoami"):
                self._send(200, {"name": "me", "type": "user", "orgs": []})
            else:
                self._send(404, {"error": "not there"})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            answer = _posted(uploads, self.path.partition("?")[0], body)
            self._send(507 if answer is None else 200, answer or {"error": "full"})

        def _send(self, status: int, content: Any) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


@contextmanager
def taking_uploads() -> Iterator[Uploads]:
    """Serve until the block ends."""
    uploads = Uploads()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(uploads))
    uploads.address = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield uploads
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
