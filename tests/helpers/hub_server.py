"""A Hugging Face Hub in miniature: one data set, ``me/toy``, served on 127.0.0.1.

It answers the requests that ``datasets.load_dataset`` makes, so the real client can be tested
without a network. Run as a program, it prints its port and serves until it is ended.
"""

import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "a" * 40
CARD = """---
configs:
- config_name: one
  data_files:
  - {split: train, path: train.jsonl}
  - {split: validation, path: validation.jsonl}
dataset_info:
- config_name: one
  features:
  - {name: s, dtype: string}
  - name: label
    dtype: {class_label: {names: {'0': neg, '1': pos}}}
---
"""


def _rows(count: int) -> str:
    return "".join(json.dumps({"s": f"text {i}", "label": i % 2}) + "\n" for i in range(count))


FILES = {
    name: text.encode()
    for name, text in {
        "README.md": CARD,
        "train.jsonl": _rows(20),
        "validation.jsonl": _rows(6),
    }.items()
}


class Handler(BaseHTTPRequestHandler):
    """The part of the Hub's HTTP interface that a download needs."""

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        """Information about the data set, its list of files, or a file."""
        path = self.path.partition("?")[0]
        if path.startswith("/api/datasets/me/toy/tree/"):
            self._send(
                200,
                [
                    {"type": "file", "path": name, "size": len(content), "oid": _etag(content)}
                    for name, content in FILES.items()
                ],
            )
        elif path.endswith("/revision/none"):
            self._send(404, {"error": "no revision"}, {"X-Error-Code": "RevisionNotFound"})
        elif path.startswith("/api/datasets/me/broken"):
            self._send(503, {"error": "down"})
        elif path.startswith("/api/datasets/me/toy"):
            files = [{"rfilename": name} for name in FILES]
            self._send(200, {"id": "me/toy", "sha": COMMIT, "siblings": files})
        elif path.startswith("/datasets/me/toy/resolve/"):
            name = path.split("/", 6)[6]
            headers = {"X-Repo-Commit": COMMIT}
            if name in FILES:
                self._send(200, FILES[name], headers | {"ETag": f'"{_etag(FILES[name])}"'})
            else:
                self._send(404, {}, headers | {"X-Error-Code": "EntryNotFound"})
        else:
            self._send(404, {"error": "no data set"}, {"X-Error-Code": "RepoNotFound"})

    do_HEAD = do_GET  # noqa: N815  (the name that the base class looks for)

    def _send(self, status: int, content: object, headers: dict[str, str] | None = None) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _etag(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
