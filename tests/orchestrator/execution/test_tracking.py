"""A grid with all trackers at once, killed and continued; its files are read back."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.config.experiment import load_experiment
from orchestrator.execution.tracking import sync_hint, tracked
from tests.conftest import PROJECT
from tests.helpers.command import Command, small_grid
from tests.helpers.ray_grid import Ended, Grid, ended, until
from tests.helpers.read_trackers import READERS
from trainables.results.record import read_records
from trainables.tracking.base import values_of
from trainables.tracking.wandb_files import records_in


@pytest.fixture(scope="module")
def continued(
    tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Grid, Ended]]:
    """A grid whose driver was killed when its trials were with all trackers, and run again."""
    settings = (
        "arms=[single_task]",
        "training.epochs=20",
        "tracking.trackers=[wandb,tensorboard,mlflow]",
    )
    grid = Grid(tmp_path_factory.mktemp("tracked"), tiny_bert, settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        killed = grid.start("--local")
        until(lambda: grid.checkpointed() and begun(grid), killed)
        os.kill(killed.pid, signal.SIGKILL)
        killed.communicate(timeout=60)
        yield grid, ended(grid.start("--local"))
    grid.end()


def begun(grid: Grid) -> bool:
    root = grid.run_dir.root
    kinds = ("wandb/offline-run-*/*.wandb", "tensorboard/*/events.*", "mlflow.db", "curves/*.csv")
    return all(any(root.glob(kind)) for kind in kinds)


@pytest.mark.parametrize("name", READERS)
def test_every_tracker_has_every_epoch_of_a_killed_and_continued_grid_once(
    name: str, continued: tuple[Grid, Ended]
) -> None:
    grid, run = continued
    assert (run.code, run.err) == (0, "")
    assert "was dropped" not in run.out
    records = read_records(grid.run_dir)
    assert len(records) == 2
    assert any(record.interruptions for record in records.values())
    for key, record in records.items():
        seen = READERS[name](grid.run_dir.root, key)
        expected = sorted(
            (value, epoch.step)
            for epoch in record.history
            for value in values_of(epoch, record.config)
        )
        assert [(value, step) for value, step, _ in seen.points] == expected
        assert (seen.status, seen.runs) == ("finished", 1)


def test_the_report_is_an_artifact(continued: tuple[Grid, Ended]) -> None:
    grid, _ = continued
    root = grid.run_dir.root
    [folder] = root.glob("wandb/offline-run-*-report-*")
    [file] = folder.glob("*.wandb")
    key = file.stem.removeprefix("run-")
    artifacts = [
        {entry.path for entry in record.request.log_artifact.artifact.manifest.contents}
        for record in records_in(file)
        if record.WhichOneof("record_type") == "request"
    ] + [
        {entry.path for entry in record.artifact.manifest.contents}
        for record in records_in(file)
        if record.WhichOneof("record_type") == "artifact"
    ]
    assert any({"report.html", "table.md", "results.csv"} <= found for found in artifacts)
    assert {p.name for p in root.glob("mlartifacts/*/artifacts/*")} >= {"report.html", "table.md"}
    assert in_mlflow_title(root, key) == "report of demo"
    assert any((root / "tensorboard" / "report").glob("events.*"))


def in_mlflow_title(root: Path, key: str) -> str:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{root / 'mlflow.db'}")
    experiments = [e.experiment_id for e in client.search_experiments()]
    [run] = client.search_runs(experiments, f"tags.`key` = '{key}'")
    assert run.info.status == "FINISHED"
    return str(run.info.run_name)


def test_the_printed_command_finds_every_offline_run(continued: tuple[Grid, Ended]) -> None:
    grid, run = continued
    hint = sync_hint(grid.run_dir.root)
    assert run.out.splitlines().count(hint) == 1
    command = hint.rpartition(": ")[2].replace("wandb sync", f"{sys.executable} -m wandb sync", 1)
    asked = subprocess.run(
        ["bash", "-c", f"{command} --dry-run"],
        cwd=PROJECT,
        env=os.environ | {"WANDB_MODE": "online"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    there = [path.name for path in grid.run_dir.root.glob("wandb/offline-run-*")]
    said = asked.stdout + asked.stderr
    # The report, the two trials, and what one of them had before it was killed.
    assert len(there) >= 4
    assert f"{len(there)} run(s)" in said or all(name in said for name in there)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (
            ["tracking.trackers=[tensorboard]"],
            "the package tensorboard is not installed; `make install-",
        ),
        (
            ["tracking.trackers=[mlflow]", "tracking.mlflow.tracking_uri=http://127.0.0.1:9"],
            "http://127.0.0.1:9: no answer (Connection refused); start the server",
        ),
        (
            ["tracking.trackers=[mlflow]", "tracking.mlflow.tracking_uri=http://127.0.0.1:PORT"],
            "http://127.0.0.1:PORT: no answer (nonnumeric port: 'PORT'); start the server",
        ),
        (
            [
                "tracking.trackers=[mlflow]",
                "tracking.mlflow.tracking_uri=mssql+absent://127.0.0.1/runs",
            ],
            "mssql+absent://127.0.0.1/runs: no address of a database",
        ),
        (
            [
                "tracking.trackers=[mlflow]",
                f"tracking.mlflow.tracking_uri=sqlite:///{__file__}/runs.db",
            ],
            f"sqlite:///{__file__}/runs.db: {__file__} is no folder that can be written to",
        ),
        (
            [
                "tracking.trackers=[mlflow]",
                "tracking.mlflow.tracking_uri=postgresql+asyncpg://127.0.0.1/runs",
            ],
            "postgresql+asyncpg://127.0.0.1/runs: its driver is missing (",
        ),
    ],
)
def test_what_is_missing_is_one_warning(
    settings: list[str],
    reason: str,
    command: Command,
    tiny_bert: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    absent = {"tensorboard"}
    monkeypatch.setattr(
        "trainables.tracking.registry.find_spec", lambda package: None if package in absent else 1
    )
    ending = command("plan", *small_grid(tiny_bert, *settings))
    assert (ending.code, ending.err) == (0, "")
    [line] = [line for line in ending.out.splitlines() if line.startswith("warning: tracking")]
    assert line.startswith(f"warning: {settings[0]}: {reason}")
    assert line.endswith("; goes on without it")


def test_the_sync_command_is_printed_after_ctrl_c_until_all_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "wandb" / "offline-run-1-key" / "run-key.wandb"
    file.parent.mkdir(parents=True)
    file.touch()
    printed = StringIO()
    console = Console(file=printed)
    with pytest.raises(KeyboardInterrupt), tracked(load_experiment("demo", []), tmp_path, console):
        raise KeyboardInterrupt
    assert printed.getvalue() == (
        f"send the offline runs to W&B with: wandb sync {tmp_path}/wandb/offline-run-*\n"
    )
    file.with_name("run-key.wandb.synced").touch()
    assert sync_hint(tmp_path) == ""
