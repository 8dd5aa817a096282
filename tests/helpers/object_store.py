"""Servers on this machine in place of object stores, and what lies in them."""

import hashlib
import io
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from pyarrow import fs

from trainables.storage.object_store import Store

NewBucket = Callable[[], str]
"""Makes an empty bucket and gives its URL."""

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture(scope="session")
def s3() -> Iterator[NewBucket]:
    """An S3 server (moto's), as long as the tests run; other processes reach it too."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application, one_at_a_time = DomainDispatcherApplication(create_backend_app), threading.Lock()

    def serve(environ: Any, start_response: Any) -> Iterable[bytes]:
        """Moto compares versions for a conditional write and writes in two steps, S3 in one."""
        if environ["REQUEST_METHOD"] != "PUT":
            return application(environ, start_response)
        # Not while others wait: who sends it may be suspended.
        chunked = environ.pop("HTTP_TRANSFER_ENCODING", "") == "chunked"
        length = -1 if chunked else int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        with one_at_a_time:
            return list(application(environ, start_response))

    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        server = make_server("127.0.0.1", 0, serve, threaded=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        host, port = server.host, server.port
        number = count()

        def new_bucket() -> str:
            name = f"bucket-{next(number)}-{os.getpid()}"
            maker = fs.S3FileSystem(
                endpoint_override=f"{host}:{port}", scheme="http", allow_bucket_creation=True
            )
            maker.create_dir(name)
            return f"s3://{name}/runs/one?endpoint_override={host}:{port}&scheme=http"

        yield new_bucket
        server.shutdown()
        thread.join()


def fetch_all(url: str, folder: Path) -> Path:
    """A copy of all that lies in an object store's folder, as a run directory on the disk."""
    store = Store(url)
    for name, seen in store.files().items():
        store.download(name, folder / name, seen)
    return folder


@dataclass
class FakeObject:
    """An object of a ``FakeBucket``."""

    content: bytes
    generation: int
    modified: float

    @property
    def headers(self) -> dict[str, str]:
        """Its ETag is made from the content, as S3 does it."""
        digest = hashlib.md5(self.content, usedforsecurity=False).hexdigest()
        return {
            "ETag": f'"{digest}"',
            "x-goog-generation": str(self.generation),
            "Last-Modified": formatdate(self.modified, usegmt=True),
        }


class FakeBucket:
    """A server for objects whose answers can be chosen: S3's, Google's and Azure's protocol.

    Attributes:
        objects: by the last part of their names.
        faults: what befalls the writes to come, one each: ``conflict`` (409, nothing is written),
            ``lost`` (written, and the connection breaks), ``broken`` (it breaks before).
        heeds_conditions: whether a write may be refused.
        url: of the server.
    """

    def __init__(self) -> None:
        self.objects: dict[str, FakeObject] = {}
        self.faults: list[str] = []
        self.heeds_conditions = True
        self._generations = count(1)
        self._one_at_a_time = threading.Lock()
        bucket = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                fault = bucket.faults.pop(0) if bucket.faults else ""
                if fault == "broken":
                    return self._break()
                status = 409 if fault == "conflict" else bucket._put(self._name, content, self)
                return self._break() if fault == "lost" else self._answer(status, b"")

            def do_GET(self) -> None:
                stored = bucket.objects.get(self._name)
                self._answer(404 if stored is None else 200, stored.content if stored else b"")

            @property
            def _name(self) -> str:
                return unquote(urlsplit(self.path).path.rpartition("/")[2])

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                stored = bucket.objects.get(self._name)
                for name, value in (stored.headers if stored and status == 200 else {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _break(self) -> None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()

    def put(self, name: str, content: bytes, age: float = 0.0) -> None:
        """Write an object, as if that had been done ``age`` seconds ago."""
        self.objects[name] = FakeObject(content, next(self._generations), time.time() - age)

    def _put(self, name: str, content: bytes, request: BaseHTTPRequestHandler) -> int:
        """Write an object if the request's conditions hold; gives the answer's status."""
        with self._one_at_a_time:
            headers, stored = request.headers, self.objects.get(name)
            etag = stored.headers["ETag"] if stored else None
            generation = str(stored.generation) if stored else "0"
            expected = headers.get("If-Match"), headers.get("x-goog-if-generation-match")
            if self.heeds_conditions:
                if expected[0] and stored is None:
                    return 404
                if expected[0] not in (None, etag) or expected[1] not in (None, generation):
                    return 412
                if headers.get("If-None-Match") == "*" and stored:
                    return 412
            self.put(name, content)
            return 200
