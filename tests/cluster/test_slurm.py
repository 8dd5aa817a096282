"""The Slurm script, with stand-ins for Slurm's commands that run everything on this machine."""

import itertools
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.conftest import PROJECT
from tests.helpers.command import small_grid
from tests.helpers.ray_grid import assert_nothing_left

SCRIPT = PROJECT / "cluster" / "slurm.sh"
STUBS = PROJECT / "tests" / "cluster" / "slurm"

FAKE_RAY = """#!/usr/bin/env bash
case $1 in
    start) {start} ;;
    health-check) {health} ;;
esac
"""

FAKE_PYTHON = """#!/usr/bin/env bash
case "$*" in
    -c*) exec {python} "$@" ;;
    "- "*) {wait} ;;
    *) {run} ;;
esac
"""

PORT = 20000 + 12345 % 10000 * 4

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def ray_tmp() -> Iterator[Path]:
    """A folder with a name that is short enough for Ray's sockets; empty in the end."""
    with TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)
        assert not list(Path(folder).iterdir())


@pytest.fixture
def start(tmp_path: Path, ray_tmp: Path) -> Start:
    """Start the script as Slurm would, in ``tmp_path``, where the project is."""
    for name in ("orchestrator", "search_spaces", "trainables"):
        (tmp_path / name).symlink_to(PROJECT / name)

    def start(
        *arguments: str,
        venv: Path = Path(sys.prefix),
        nodes: str = "node[1-2]",
        addresses: str = "fd00::7 192.0.2.7 172.17.0.1",
        delay: float = 0,
    ) -> subprocess.Popen[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        return subprocess.Popen(
            ["bash", str(SCRIPT), *arguments],
            env=kept
            | {
                "PATH": f"{STUBS}:{os.environ['PATH']}",
                "STUB_LOG": str(tmp_path / "calls"),
                "SLURM_JOB_ID": "12345",
                "STUB_ADDRESSES": addresses,
                "STUB_DELAY": str(delay),
                "SLURM_JOB_NODELIST": nodes,
                "SLURM_SUBMIT_DIR": str(tmp_path),
                "SLURM_CPUS_PER_TASK": "1",
                "RAY_TMPDIR": str(ray_tmp),
                "ONE_OR_MANY_CACHE": str(tmp_path / "cache"),
                "VENV": str(venv),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return start


def fake(folder: Path, **programs: str) -> Path:
    """An environment in which ``ray`` and ``python`` are these shell scripts."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "activate").write_text(f'PATH="{folder}/bin:$PATH"\n')
    for name, text in programs.items():
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    return folder


def fakes(
    folder: Path,
    ray: str = "exec sleep 600",
    health: str = "exit 0",
    wait: str = "cat > /dev/null",
    run: str = "exit 0",
) -> Path:
    """The same, for what a test says of them."""
    return fake(
        folder / "venv",
        ray=FAKE_RAY.format(start=ray, health=health),
        python=FAKE_PYTHON.format(python=sys.executable, wait=wait, run=run),
    )


def own_addresses() -> str:
    """What this machine is called in a network; skips the test where it is in none."""
    done = subprocess.run(["hostname", "--all-ip-addresses"], capture_output=True, text=True)
    if not [address for address in done.stdout.split() if ":" not in address]:
        pytest.skip("this machine has no IPv4 address but that of its loopback")
    return done.stdout


def assert_clean(folder: Path, session: int) -> None:
    """No process and no token is left; ``ray_tmp`` looks for Ray's own files."""
    assert_nothing_left(session, seconds=15)
    assert not list(folder.glob(".ray-*"))


@pytest.mark.ray
@pytest.mark.slow
def test_a_grid_runs_on_all_nodes_and_nothing_stays_behind(
    start: Start, tmp_path: Path, tiny_bert: Path
) -> None:
    grid = small_grid(tiny_bert, "arms=[single_task]", "resources.cpu=1")
    process = start(*grid, addresses=own_addresses())
    token = None
    while token is None and process.poll() is None:
        token = next(tmp_path.glob(".ray-12345-*/token"), None)
        time.sleep(0.01)
    assert token is not None
    assert stat.S_IMODE(token.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, (out, err)
    assert "run directory: runs/demo" in out
    assert (tmp_path / "runs" / "demo" / "table.md").is_file()
    assert "2 of 2 done" in out
    calls = (tmp_path / "calls").read_text()
    for node in ("node1", "node2"):
        assert f"--cpus-per-task=1 --nodelist={node} bash -c" in calls
    assert_clean(tmp_path, process.pid)


@pytest.mark.parametrize(
    ("arguments", "command"), [("demo", "run demo"), ("tune demo quick", "tune demo quick")]
)
def test_the_exit_code_is_the_grid_s(
    start: Start, tmp_path: Path, arguments: str, command: str
) -> None:
    process = start(*arguments.split(), venv=fakes(tmp_path, run='echo "ran $*"; exit 3'))
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (3, "")
    assert out == f"ran -m orchestrator {command} ray.address=192.0.2.7:{PORT}\n"
    assert_clean(tmp_path, process.pid)


@pytest.mark.parametrize(
    ("nodes", "addresses", "head"),
    [
        ("node[1-2]", "", None),
        ("node[1-2]", "127.0.0.1 fd00::7", None),
        ("node[1-2]", "10.1.0.7", "10.1.0.7"),
        ("node1", "", "127.0.1.1"),
    ],
)
def test_the_head_takes_an_address_that_the_other_nodes_reach(
    start: Start, tmp_path: Path, nodes: str, addresses: str, head: str | None
) -> None:
    """A machine's own name leads Debian's to 127.0.1.1, where each node would find itself."""
    venv = fakes(tmp_path, run='echo "$*"')
    process = start("demo", venv=venv, nodes=nodes, addresses=addresses)
    out, err = process.communicate(timeout=30)
    if head is None:
        expected = "error: node1 has no IPv4 address that other nodes can reach\n"
        assert (process.returncode, out, err) == (1, "", expected)
    else:
        assert (process.returncode, err) == (0, "")
        assert f" ray.address={head}:" in out
        assert f"--node-ip-address={head} " in (tmp_path / "calls").read_text()
    assert_clean(tmp_path, process.pid)


def test_a_head_that_does_not_start_ends_the_job(start: Start, tmp_path: Path) -> None:
    process = start("demo", venv=fakes(tmp_path, ray="echo no port; exit 1", health="exit 1"))
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, "")
    assert err == "no port\nerror: Ray's head node does not start on node1\n"
    assert_clean(tmp_path, process.pid)


def test_the_end_of_its_time_is_told_to_the_grid(start: Start, tmp_path: Path) -> None:
    """It keeps what it has and gives its exit code; then all else ends."""
    grid = "trap 'sleep 1; echo kept; exit 130' TERM; echo running; while :; do sleep 0.1; done"
    process = start("demo", venv=fakes(tmp_path, run=grid))
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    # Slurm signals the batch shell alone.
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "kept\n")
    assert_clean(tmp_path, process.pid)


@pytest.mark.ray
@pytest.mark.slow
def test_a_real_grid_is_told_too(start: Start, tmp_path: Path, tiny_bert: Path) -> None:
    grid = small_grid(tiny_bert, "arms=[single_task]", "resources.cpu=1", "training.epochs=500")
    process = start(*grid, addresses=own_addresses())
    assert process.stdout is not None
    # A core on each of two nodes: both trials at once.
    started = (line for line in process.stdout if line.startswith("started "))
    assert len(list(itertools.islice(started, 2))) == 2
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 130, (out, err)
    assert "interrupted; finished trials are kept in runs/demo" in err
    assert_clean(tmp_path, process.pid)


@pytest.mark.parametrize(("during", "delay"), [("health", 0), ("wait", 0), ("wait", 0.5)])
def test_a_job_whose_time_is_up_before_the_grid_begins_starts_none(
    start: Start, tmp_path: Path, during: str, delay: float
) -> None:
    """While the head node starts, and while other nodes do not join it or have hardly begun."""
    began = tmp_path / "began"
    step = {"health": f"touch {began}; sleep 1", "wait": f"touch {began}; exec sleep 500"}[during]
    venv = fakes(tmp_path, run="echo running", **{during: step})
    process = start("demo", venv=venv, delay=delay)
    while not began.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err.endswith("interrupted before the grid began\n")
    assert_clean(tmp_path, process.pid)


def test_a_driver_that_is_killed_leaves_nothing(start: Start, tmp_path: Path) -> None:
    process = start("demo", venv=fakes(tmp_path, run="echo $$; exec sleep 500"))
    assert process.stdout is not None
    os.kill(int(process.stdout.readline()), signal.SIGKILL)
    process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGKILL
    assert_clean(tmp_path, process.pid)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((), "usage: sbatch cluster/slurm.sh PRESET"), (("demo",), "error: no /nowhere here")],
)
def test_a_wrong_call_is_one_line(start: Start, arguments: tuple[str, ...], message: str) -> None:
    process = start(*arguments, venv=Path("/nowhere"))
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (2, "")
    assert err.startswith(message)
    assert err.count("\n") == 1


def test_the_script_is_well_written() -> None:
    for script in (SCRIPT, *STUBS.iterdir()):
        subprocess.run(["bash", "-n", str(script)], check=True)
        shellcheck = Path(sys.prefix) / "bin" / "shellcheck"
        done = subprocess.run([shellcheck, str(script)], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, "")
