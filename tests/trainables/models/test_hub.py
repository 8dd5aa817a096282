"""The Hub: out of reach, in the cache, and a small imitation that serves a tiny model."""

import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.helpers.tiny_models import build

SHA = "0123456789abcdef0123456789abcdef01234567"
LOCATE = """
import sys
from trainables.config.trial import ModelConfig
from trainables.errors import EncoderError
from trainables.models.source import (locate)
for text in sys.argv[1:]:
    try:
        print(locate(ModelConfig.model_validate_json(text), download_weights=False))
    except EncoderError as error:
        print("EncoderError", error)
"""
"""The first step of a check, which needs no torch and so starts sooner."""
CHECK = """
import sys
from trainables.config.trial import ModelConfig
from trainables.errors import EncoderError
from trainables.models.encoder import check_encoder, load_encoder, load_tokenizer
for text in sys.argv[1:]:
    model = ModelConfig.model_validate_json(text)
    try:
        info = check_encoder(model, "mine")
        count = sum(p.numel() for p in load_encoder(model, 0).parameters())
        print(info.origin, info.parameters == count, len(load_tokenizer(model)))
    except EncoderError as error:
        print("EncoderError", error)
"""


def run(script: str, home: Path, *models: Any, **environment: str) -> tuple[list[str], float]:
    """Run a script on models in a fresh process; its lines and the seconds that it took."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    clean |= {"PYTHONPATH": os.pathsep.join(sys.path), "HF_HOME": str(home), **environment}
    begin = time.monotonic()
    result = subprocess.run(
        [sys.executable, "-c", script, *map(json.dumps, models)],
        env=clean,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout.splitlines(), time.monotonic() - begin


@pytest.fixture
def black_hole() -> Iterator[str]:
    """An address that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


class MiniHub(ThreadingHTTPServer):
    """An imitated Hub with the repositories ``tiny/NAME``; ``asked`` lists the requests."""

    def __init__(self, models: dict[str, Path]) -> None:
        super().__init__(("127.0.0.1", 0), MiniHubHandler)
        self.models = models
        self.asked: list[str] = []


class MiniHubHandler(BaseHTTPRequestHandler):
    server: MiniHub

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        path = self.path.split("?")[0]
        match = re.match(r"(?:/api/models)?/tiny/([\w-]+)(?:/(\w+)/(\w+)(?:/(.+))?)?$", path)
        name, kind, revision, file = match.groups() if match else (None,) * 4
        if name not in self.server.models:
            self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif revision not in (None, "main", SHA):
            self.answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif kind == "resolve":
            self.file(self.server.models[name] / str(file))
        else:
            self.describe(name, tree=kind == "tree")

    do_HEAD = do_GET  # noqa: N815

    def describe(self, name: str, *, tree: bool) -> None:
        files = sorted(self.server.models[name].iterdir())
        if tree:
            content = [
                {"type": "file", "path": f.name, "size": f.stat().st_size, "oid": etag(f)}
                for f in files
            ]
        else:
            siblings = [{"rfilename": f.name} for f in files]
            content = {"id": f"tiny/{name}", "sha": SHA, "siblings": siblings}
        self.answer(200, json.dumps(content).encode(), {})

    def file(self, path: Path) -> None:
        if not path.is_file():
            self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        content = path.read_bytes()
        headers = {"ETag": f'"{etag(path)}"', "X-Repo-Commit": SHA}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
        if wanted:
            content = content[int(wanted[1]) : int(wanted[2]) + 1]
        self.answer(206 if wanted else 200, content, headers)

    def answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


def etag(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()


@pytest.fixture
def hub(tiny_models: dict[str, Path]) -> Iterator[tuple[str, list[str]]]:
    """Address of an imitated Hub with the repositories of ``tiny_models``, and what was asked."""
    with serving(tiny_models) as served:
        yield served


@contextmanager
def serving(models: dict[str, Path]) -> Iterator[tuple[str, list[str]]]:
    """See ``hub``; of other models."""
    with MiniHub(models) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", server.asked
        server.shutdown()
        thread.join()


def test_switched_off_hub_is_one_quick_line(tmp_path: Path) -> None:
    lines, seconds = run(LOCATE, tmp_path, {"encoder": "bert-base-uncased"}, HF_HUB_OFFLINE="1")
    assert len(lines) == 1
    assert lines[0].startswith("EncoderError encoder=bert-base-uncased: ")
    assert "HF_HUB_OFFLINE" in lines[0]
    assert "hf download bert-base-uncased" in lines[0]
    assert seconds < 15


def test_silent_hub_is_one_line_within_seconds(tmp_path: Path, black_hole: str) -> None:
    lines, seconds = run(LOCATE, tmp_path, {"encoder": "bert-base-uncased"}, HF_ENDPOINT=black_hole)
    assert len(lines) == 1
    assert lines[0].startswith("EncoderError encoder=bert-base-uncased: ")
    assert f"{black_hole} gave no usable answer" in lines[0]
    assert seconds < 15


def test_model_is_fetched_once_and_then_needs_no_hub(
    tmp_path: Path, hub: tuple[str, list[str]]
) -> None:
    address, asked = hub
    bert = {"encoder": "tiny/bert", "max_length": 32}
    lines, _ = run(
        CHECK,
        tmp_path,
        bert,
        {"encoder": "tiny/roberta", "max_length": 32},
        {"encoder": "tiny/nonesuch"},
        {"encoder": "tiny/roberta", "revision": "nonesuch"},
        HF_ENDPOINT=address,
    )
    assert lines[0] == "Hub tiny/bert True 102"
    assert lines[1].startswith("Hub tiny/roberta True ")
    assert re.fullmatch(r"EncoderError .*encoder=tiny/nonesuch: .*no such model.*", lines[2])
    assert re.fullmatch(r"EncoderError .*\.revision=nonesuch: .*tiny/roberta has no .*", lines[3])
    names = {line.split("/")[-1] for line in asked if "/resolve/" in line}
    assert names >= {"config.json", "tokenizer.json", "model.safetensors"}

    asked.clear()
    assert run(CHECK, tmp_path, bert, HF_ENDPOINT=address)[0] == ["Hub tiny/bert True 102"]
    assert asked == []


CONVERT = """
import sys
from pathlib import Path
from trainables.models.convert import convert
convert("tiny/old", Path(sys.argv[1].strip('"')))
"""


def test_a_model_with_nothing_but_a_pickle_is_converted_on_demand(tmp_path: Path) -> None:
    """The message of the refusal names the command."""
    old, new = build("bert", tmp_path / "old"), tmp_path / "new"
    tensors = load_file(old / "model.safetensors")
    torch.save(tensors, old / "pytorch_model.bin")
    (old / "model.safetensors").unlink()
    canine = tmp_path / "canine"
    canine.mkdir()
    (canine / "config.json").write_text('{"model_type": "canine"}')
    with serving({"old": old, "canine": canine}) as (address, _):
        models = {"encoder": "tiny/old"}, {"encoder": "tiny/canine"}
        lines, _ = run(CHECK, tmp_path / "home", *models, HF_ENDPOINT=address)
        assert "orchestrator convert tiny/old NEW_FOLDER" in lines[0]
        assert "a canine cannot be used" in lines[1]
        assert run(CONVERT, tmp_path / "home", str(new), HF_ENDPOINT=address)[0] == []
    assert load_file(new / "model.safetensors").keys() == tensors.keys()
    lines, _ = run(CHECK, tmp_path / "home", {"encoder": str(new), "max_length": 32})
    assert lines == [f"folder {new} True 102"]


def test_of_processes_that_start_at_once_one_fetches_the_weights(
    tmp_path: Path, hub: tuple[str, list[str]]
) -> None:
    """The trials of a machine share the Hub's cache, and its locks."""
    address, asked = hub
    script = LOCATE.replace("download_weights=False", "download_weights=True")
    model = {"encoder": "tiny/bert", "max_length": 32}
    with ThreadPoolExecutor(4) as pool:
        ends = [pool.submit(run, script, tmp_path, model, HF_ENDPOINT=address) for _ in range(4)]
        [lines] = {tuple(end.result()[0]) for end in ends}
    assert "repository='tiny/bert'" in lines[0]
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        fetched = [line for line in asked if line.startswith("GET ") and line.endswith(f"/{name}")]
        assert len(fetched) == 1, asked
