"""The Ray of a running grid: who can reach it, and what its dashboard and its metrics show."""

import json
import os
import re
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import grpc
import pytest
from prometheus_client.samples import Sample

from orchestrator.execution.ray.private_api import gcs_service_pb2, gcs_service_pb2_grpc
from tests.conftest import PROJECT
from tests.helpers.prometheus import matching, scraped, trials
from tests.helpers.ray_grid import Grid, assert_nothing_left, session_processes, until, workers
from tests.helpers.sockets import listening
from tools.browser import MissingBrowserError, chromium
from trainables.config.trial import CODE_SCHEMA
from trainables.trial.progress import read_progress
from trainables.tune.prometheus import GAUGES, PREFIX

pytestmark = pytest.mark.ray


class Running:
    """A command that trains, with the dashboard; Ray reports metrics every second.

    Its shell asks for no authentication, and files that it makes are open to everyone unless they
    are closed on purpose.
    """

    def __init__(self, grid: Grid, *settings: str) -> None:
        self.grid = grid
        self.token_file = grid.folder / ".ray" / "auth_token"
        environment = {
            "HOME": str(grid.folder),
            "RAY_metrics_report_interval_ms": "1000",
            "RAY_AUTH_MODE": "disabled",
        }
        umask = os.umask(0)
        try:
            self.process = grid.start("--dashboard", *settings, environment=environment)
        finally:
            os.umask(umask)
        self.traced: list[set[str]] = []

    def wait(self, happens: Callable[[], object]) -> None:
        until(happens, self.process, seconds=180)

    def watch(self) -> set[str]:
        """Keys of the trials at the metrics endpoint now."""
        time.sleep(0.5)
        self.traced.append(trials(self.scraped()))
        return self.traced[-1]

    def scraped(self) -> list[Sample]:
        return scraped(self.process.pid)

    @cached_property
    def first_line(self) -> str:
        """What the command prints first, but for warnings of its data."""
        assert self.process.stdout is not None
        return next(line for line in self.process.stdout if "(checks." not in line)

    @property
    def url(self) -> str:
        """Of the dashboard."""
        match = re.match(r"Ray dashboard: (http://127\.0\.0\.1:\d+) ", self.first_line)
        assert match is not None
        return match[1]

    @property
    def token(self) -> str:
        return self.token_file.read_text(encoding="ascii")

    def ask(self, path: str) -> Any:
        """What the dashboard answers to its page."""
        headers = {"Authorization": f"Bearer {self.token}"}
        with urlopen(Request(self.url + path, headers=headers), timeout=20) as answer:
            return json.load(answer)

    def listening(self) -> dict:
        """The addresses at which its processes listen, and their names."""
        return listening(self.process.pid)

    def port(self, name: str) -> int:
        """Of the one server whose process has this in its name."""
        [port] = [port for (_, port), process in self.listening().items() if name in process]
        return port

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=60)
        assert_nothing_left(self.process.pid, seconds=20)


def test_a_process_of_many_trials_is_not_called_by_one_of_them(
    tiny_bert: Path, tmp_path: Path
) -> None:
    """Two trials of a search in one process: the metrics of the first one end with it."""
    grid = Grid(tmp_path, tiny_bert, command=("tune", "demo", "quick"))
    running = Running(
        grid,
        "arms=[single_task]",
        "tasks=[sentiment]",
        "training.epochs=12",
        "resources.max_concurrent=1",
        "tune={trials: 2, scheduler: none, refit: false}",
        "ray.reuse=true",
    )
    try:
        running.wait(lambda: (grid.folder / ".ray").exists())
        running.wait(lambda: (grid.run_dir.root / "search" / "records").exists())
        running.wait(lambda: len(set().union(*running.traced, running.watch())) == 2)
        running.wait(lambda: len(running.watch()) == 1)
        [actor] = running.ask("/api/v0/actors?detail=1")["data"]["result"]["result"]
        assert (actor["class_name"], actor["repr_name"]) == ("TrialTrainable", "TrialTrainable")
    finally:
        running.stop()


@pytest.fixture(scope="module")
def running(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A grid of two trials, one of which has ended and one of which does not end by itself."""
    running = Running(
        Grid(tmp_path_factory.mktemp("dashboard"), tiny_bert),
        "arms=[naive_concat,shared_encoder]",
        "training.epochs=12",
        "define.arms.shared_encoder.training={epochs: 10000}",
    )
    try:
        running.wait(running.grid.training)
        running.wait(lambda: running.watch() and running.grid.finished())
        running.wait(lambda: running.grid.training() and running.watch())
        yield running
    finally:
        running.stop()


def keys(running: Running) -> tuple[str, str]:
    """Of the trial that has ended and of the one that trains."""
    [ended], [training] = running.grid.finished(), running.grid.training()
    return ended, training


def names(running: Running) -> set[tuple[str, str]]:
    ended, training = keys(running)
    return {
        ("NaiveConcatTrial", f"naive_concat tiny acceptability+sentiment seed 41 ({ended})"),
        ("SharedEncoderTrial", f"shared_encoder tiny acceptability+sentiment seed 41 ({training})"),
    }


def test_every_trial_is_an_actor_of_its_name(running: Running) -> None:
    actors = running.ask("/api/v0/actors?detail=1")["data"]["result"]["result"]
    assert {(actor["class_name"], actor["repr_name"]) for actor in actors} == names(running)


def test_the_job_says_what_it_is(running: Running) -> None:
    [job] = running.ask("/api/jobs/")
    commit = job["metadata"].pop("commit", None)
    assert commit is None or re.fullmatch(r"[0-9a-f]{40}(\+changes)?", commit)
    assert job["metadata"] == {
        "experiment": "demo",
        "run_directory": str(running.grid.run_dir.root),
        "code_schema": str(CODE_SCHEMA),
    }


def test_the_trials_are_found_in_the_dashboard(running: Running) -> None:
    try:
        with chromium() as browser:
            from playwright.sync_api import expect

            page = browser.new_page(viewport={"width": 1500, "height": 900})
            page.goto(f"{running.url}/#/actors")
            page.get_by_label("Authentication Token").last.fill(running.token)
            page.get_by_role("button", name="Submit").click()
            for name, repr_ in names(running):
                row = page.locator("tr", has_text=repr_)
                expect(row).to_contain_text(name, timeout=30_000)
    except MissingBrowserError as error:
        pytest.skip(str(error))


def test_the_gauges_say_where_a_trial_stands(running: Running) -> None:
    _, training = keys(running)
    found = {}
    for sample in running.scraped():
        if sample.labels.get("trial") == training:
            found[sample.name] = sample.value
            tags = {
                name: sample.labels[name] for name in ("arm", "strategy", "model", "task", "seed")
            }
            assert tags == {
                "arm": "shared_encoder",
                "strategy": "shared_encoder",
                "model": "tiny",
                "task": "acceptability+sentiment",
                "seed": "41",
            }
    progress = read_progress(running.grid.run_dir.progress(training))
    assert progress is not None
    assert set(found) == {f"ray_{PREFIX}{name}" for name in GAUGES}
    assert 0 < found["ray_one_or_many_epoch"] <= progress["epoch"] + 1
    assert found["ray_one_or_many_epochs"] == 10_000
    assert found["ray_one_or_many_loss"] > 0
    assert 0 <= found["ray_one_or_many_headline"] <= 1
    assert found["ray_one_or_many_examples_per_second"] > 1
    assert found["ray_one_or_many_gpu_memory_bytes"] == 0


def test_a_trial_that_has_ended_leaves_the_endpoint(running: Running) -> None:
    ended, training = keys(running)
    assert any({ended, training} <= keys for keys in running.traced)
    running.wait(lambda: running.watch() == {training})


def grafana() -> Iterator[Any]:
    """Every query of the Grafana dashboard, and what its legend names."""
    file = PROJECT / "cluster" / "grafana" / "one-model-or-many.json"
    dashboard = json.loads(file.read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            legend = re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
            yield pytest.param(target["expr"], legend, id=panel["title"])
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            match = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
            assert match is not None
            yield pytest.param(match[1], [match[2]], id=f"variable {variable['name']}")


@pytest.mark.parametrize(("query", "legend"), list(grafana()))
def test_grafana_asks_for_what_is_there(query: str, legend: list[str], running: Running) -> None:
    parser = pytest.importorskip("promql_parser", reason="promql-parser is not installed")
    selectors, labels = [], set(legend)

    def visit(node: Any) -> bool:
        if isinstance(node, parser.VectorSelector):
            selectors.append(node)
        if isinstance(node, parser.AggregateExpr) and node.modifier is not None:
            labels.update(node.modifier.labels)
        return True

    # As Grafana fills in "All" and a chosen model.
    filled = query.replace("$model", "tiny|another").replace("$arm", ".*").replace("$task", ".*")
    parser.walk(parser.parse(filled), visit)
    assert selectors
    for selector in selectors:
        # What Ray tells of a node it tells every few seconds, and here it forgets after two.
        found, deadline = [], time.monotonic() + 30
        while not found and time.monotonic() < deadline:
            found = matching(selector, running.scraped())
        assert found, f"nothing matches {selector.name}{selector.matchers}"
        assert labels <= set(found[0].labels)


def test_everything_listens_on_the_loopback_interface(running: Running) -> None:
    assert workers(running.process.pid)
    addresses = running.listening()
    names = " ".join(addresses.values())
    for server in ("gcs_server", "raylet", "dashboard.py", "DashboardAgent", "Trial.train"):
        assert server in names
    assert {str(address) for address, _ in addresses} == {"127.0.0.1"}


def test_the_token_and_the_session_are_closed_to_other_users(running: Running) -> None:
    assert stat.S_IMODE(running.token_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(running.token_file.parent.stat().st_mode) == 0o700
    names = " ".join(session_processes(running.process.pid).values())
    sessions = {Path(path) for path in re.findall(r"(/[^ :=]*)/ray/session_[\w-]+/", names)}
    assert sessions
    assert {stat.S_IMODE(path.stat().st_mode) for path in sessions} == {0o700}


@pytest.mark.parametrize("token", [None, "b" * 64])
def test_the_head_node_refuses_who_has_not_the_token(token: str | None, running: Running) -> None:
    address = f"127.0.0.1:{running.port('gcs_server')}"
    assert asked(address, running.token_file.read_text()) is None
    assert asked(address, token) is grpc.StatusCode.UNAUTHENTICATED


def asked(address: str, token: str | None) -> grpc.StatusCode | None:
    """What a head node says to a list of its jobs: nothing where it gives it."""
    metadata = () if token is None else (("authorization", f"Bearer {token}"),)
    with grpc.insecure_channel(address) as channel:
        stub = gcs_service_pb2_grpc.JobInfoGcsServiceStub(channel)
        request = gcs_service_pb2.GetAllJobInfoRequest()  # type: ignore[attr-defined]
        try:
            stub.GetAllJobInfo(request, timeout=10, metadata=metadata)
        except grpc.RpcError as error:
            return error.code()  # type: ignore[attr-defined]
    return None


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        ("/api/jobs/", None, 401),
        ("/api/jobs/", "b" * 64, 403),
        ("/api/jobs/", "right", 200),
        ("/api/gcs_healthz", None, 200),
    ],
)
def test_the_dashboard_asks_for_the_token(
    path: str, token: str | None, status: int, running: Running
) -> None:
    right = running.token_file.read_text()
    headers = {} if token is None else {"Authorization": f"Bearer {token.replace('right', right)}"}
    try:
        with urlopen(Request(running.url + path, headers=headers), timeout=20) as answer:
            found = answer.status
    except HTTPError as error:
        found = error.code
        error.close()
    assert found == status


def test_the_run_says_where_the_token_is_and_not_what_it_is(running: Running) -> None:
    assert running.first_line == (
        f"Ray dashboard: http://127.0.0.1:{running.first_line.split(':')[3].split()[0]} "
        f"(log in with the token in {running.token_file})\n"
    )
    for pid in session_processes(running.process.pid):
        command = subprocess.run(["ps", "-o", "args=", str(pid)], capture_output=True, text=True)
        assert running.token_file.read_text() not in command.stdout
