"""A grid as a job of a cluster that asks for a token: nodes and connections are lost under it."""

import dataclasses
import json
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.execution.ray import private_api
from orchestrator.monitor.log_snapshot import is_snapshot
from orchestrator.run_dir.environment import git_commit
from orchestrator.submit.job_server import JobServer
from orchestrator.submit.results import BEGIN, MANIFEST, NAMES, unpacked
from tests.helpers.cluster_jobs import TOKEN, JobCluster, Wire, job_cluster
from tests.helpers.forks import ForkedCommand
from tests.helpers.ray_grid import Grid, ended, until
from tests.helpers.reference_run import ReferenceRun
from trainables.errors import ResourceError
from trainables.results.record import read_records

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobCluster]:
    """The one of this file."""
    with job_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def wire(cluster: JobCluster) -> Iterator[Wire]:
    """A wire to its job server."""
    wire = Wire(cluster.port)
    yield wire
    wire.close()


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The right one, for what this process asks the cluster."""
    set_token(monkeypatch, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN})
    yield
    monkeypatch.undo()
    set_token(monkeypatch, {})


def set_token(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    """What a shell's settings are for a process that starts; Ray keeps what it has read."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    private_api.reload_settings()
    private_api.forget_token()


def submit(grid: Grid, url: str, *more: str) -> ForkedCommand:
    """The command, in a process of its own; its tables go to ``fetched``."""
    command = dataclasses.replace(grid, command=("submit", "demo", "--address", url))
    return command.start(
        *more,
        "--to",
        str(grid.folder / "fetched"),
        environment={"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN},
    )


def says(process: ForkedCommand, pattern: str) -> str:
    """The next lines of standard error up to one that has ``pattern``; gives that line."""
    assert process.stderr is not None
    for line in process.stderr:
        if re.search(pattern, line):
            return line
    raise AssertionError(process.communicate())


def test_lost_nodes_and_connections_change_nothing(
    grid: Grid, cluster: JobCluster, wire: Wire, reference_run: ReferenceRun, token: None
) -> None:
    process = submit(grid, wire.url)
    job = says(process, "^submitted job ").split()[2].rstrip(";")
    # The same command again joins it, and leaves it by Ctrl-C.
    second, third = submit(grid, cluster.url), submit(grid, cluster.url, "seeds=[7]")
    assert says(second, f"^joined job {job}, ")
    assert second.stdout is not None
    assert second.stdout.readline()
    second.send_signal(signal.SIGINT)
    left = ended(second, seconds=120)
    assert left.code == 130
    again = re.search(rf"^left job {job} running; to follow it again: (.*)$", left.err, re.M)
    assert again is not None
    assert f"to stop it: {again[1]} --stop\n" in left.err

    # Another grid is not let into its run directory.
    other = ended(third, seconds=120)
    assert other.code == 2
    assert f"job {job} runs there with other settings" in other.err
    assert other.err.count("\n") == 1

    until(grid.checkpointed, process)
    wire.cut()
    cluster.say("lose a node")
    assert says(process, "; the job goes on, trying again$")
    cluster.say("add a node")
    wire.mend()
    assert says(process, "^connected again$")

    run = ended(process)
    assert run.code == 0, run
    assert TOKEN not in run.out + run.err
    reference_run.assert_same(grid.run_dir)
    # Every line of the log was shown once, whatever was lost on the way.
    log = JobServer(cluster.url).log(job)
    shown, _, block = log.partition(BEGIN)
    assert any(map(is_snapshot, shown.splitlines()))
    assert [line.split() for line in run.out.splitlines()] == [
        line.split() for line in shown.splitlines() if not is_snapshot(line)
    ]
    assert block.count(BEGIN) == 0
    # The tables are here, whole.
    fetched = grid.folder / "fetched"
    there = {name for name in NAMES if (grid.run_dir.root / name).is_file()}
    assert {path.name for path in fetched.iterdir()} == there | {MANIFEST}
    for name in there:
        assert (fetched / name).read_bytes() == (grid.run_dir.root / name).read_bytes()
    about = json.loads((fetched / MANIFEST).read_text())
    assert (about["job"], about["exit_code"]) == (job, 0)
    assert unpacked(log) is not None
    # It says of which commit the code was that was sent.
    there = json.loads((fetched / "environment.json").read_text())
    assert there["git_commit"] == git_commit()
    for record in read_records(grid.run_dir).values():
        assert record.status == "finished"


def test_a_stopped_grid_keeps_what_it_has(
    grid: Grid, cluster: JobCluster, tmp_path: Path, token: None
) -> None:
    long = dataclasses.replace(
        grid, folder=tmp_path, settings=(*grid.settings, "training.epochs=500")
    )
    process = submit(long, cluster.url)
    until(long.run_dir.plan.exists, process)
    stopping = ended(submit(long, cluster.url, "--stop"), seconds=180)
    run = ended(process, seconds=120)
    assert (stopping.code, run.code) == (130, 130)
    assert "finished trials are kept" in stopping.err
    # How to go on is said to whoever submitted, in words that can be typed there.
    assert "continue with: python -m orchestrator submit demo" in run.out
    table = (long.folder / "fetched" / "table.md").read_text()
    assert "trials: 4 planned, 4 not run" in table


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"RAY_AUTH_MODE": "disabled"}, "the cluster asks for a token; set RAY_AUTH_MODE=token"),
        (
            {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "b" * 64},
            "the cluster refuses the token in the environment variable RAY_AUTH_TOKEN; set ",
        ),
        (
            {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "", "RAY_AUTH_TOKEN_PATH": "/nowhere"},
            "RAY_AUTH_TOKEN_PATH is set but file cannot be opened or is empty: /nowhere; set ",
        ),
    ],
)
def test_a_token_that_does_not_fit_is_one_clear_error(
    settings: dict[str, str],
    message: str,
    cluster: JobCluster,
    token: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_token(monkeypatch, settings)
    began = time.monotonic()
    with pytest.raises(ResourceError, match=rf"^{cluster.url}: {message}") as caught:
        JobServer(cluster.url)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - began < 10
