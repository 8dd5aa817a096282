"""What runs on the cluster, called in this process."""

import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from orchestrator.cli import app, cluster_job
from orchestrator.config.experiment import load_experiment
from orchestrator.planning.plan import make_plan
from orchestrator.planning.resources import TrialResources
from orchestrator.run_dir.directory import take, write_metadata
from orchestrator.submit.results import BEGIN, unpacked
from tests.helpers.command import small_grid
from trainables.storage.run_dir import RunDir

HERE = {"python": platform.python_version(), "ray": version("ray")}


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``submit`` sets it up."""
    sender = HERE | {"command": ["submit", "demo"]}
    monkeypatch.setenv("ONE_OR_MANY_SENDER", json.dumps(sender))
    monkeypatch.setattr(sys, "argv", ["job"])


@pytest.mark.parametrize("name", ["python", "ray"])
def test_other_versions_are_one_line(name: str) -> None:
    assert cluster_job.difference(HERE) is None
    line = cluster_job.difference(HERE | {name: "1.2.3"})
    assert line is not None
    assert "1.2.3" in line
    assert HERE[name] in line
    assert "\n" not in line


def test_a_python_that_is_too_old_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(cluster_job, "OLDEST", (99, 0))
    assert cluster_job.main(["run", "demo", "--run-dir", "/x"]) == 2
    assert capsys.readouterr().out.startswith("error: this cluster has Python 3.")


def test_a_package_that_is_missing_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def main(arguments: list[str]) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(app, "main", main)
    assert cluster_job.main(["run", "demo", "--run-dir", "/x"]) == 2
    out, err = capsys.readouterr()
    assert err.endswith(
        "has no package torch; install requirements.txt on every node, as cluster/Dockerfile does\n"
    )
    assert BEGIN not in out


def test_bad_input_sends_nothing(capsys: pytest.CaptureFixture) -> None:
    assert cluster_job.main(["run", "dmo", "--run-dir", "/x"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)


@pytest.mark.parametrize("code", [1, 130])
def test_a_grid_that_did_not_end_sends_a_table_of_what_there_is(
    code: int,
    tiny_bert: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    preset, *overrides = small_grid(tiny_bert)
    experiment = load_experiment(preset, overrides)
    plan = make_plan(experiment)
    run_dir = RunDir(tmp_path / "run")

    def main(arguments: list[str]) -> None:
        # Killed before it could make a table; one of an earlier command is still there.
        take(run_dir, experiment, plan)
        write_metadata(run_dir, experiment, plan, TrialResources(1, 0.0, 1))
        run_dir.table("md").write_text("an old one")
        raise SystemExit(code)

    monkeypatch.setattr(app, "main", main)
    assert cluster_job.main(["run", "demo", "--run-dir", str(run_dir.root)]) == code
    files = unpacked(capsys.readouterr().out)
    assert files is not None
    assert "3 planned, 3 not run" in files["table.md"]


def test_a_run_directory_without_a_plan_sends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(app, "main", lambda arguments: sys.exit(1))
    assert cluster_job.main(["run", "demo", "--run-dir", str(tmp_path)]) == 1
    assert capsys.readouterr().out == ""


def test_the_user_s_own_preset_is_found_where_it_was_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / cluster_job.SENT / "0").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    seen = []
    monkeypatch.setattr(app, "main", lambda arguments: seen.append((Path.cwd(), sys.argv)))
    monkeypatch.setattr(cluster_job, "results", lambda where, code: {})
    assert cluster_job.main(["run", "0/mine.yaml", "--run-dir", "/x"]) == 0
    # What is said about going on is said in words that whoever submitted can type.
    assert seen == [(tmp_path / cluster_job.SENT, ["orchestrator", "submit", "demo"])]
