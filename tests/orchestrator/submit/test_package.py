"""What is sent to a cluster, and what cannot be."""

import json
from pathlib import Path

import pytest

from orchestrator.submit.package import SENT, Request, load, make_request, packaged
from tests.conftest import PROJECT
from trainables.errors import ConfigError, RunDirectoryError

DATA = "define.tasks.mine={text: [a], label: b, files: {train: %s, validation: /shared/b.csv}}"


def request(*overrides: str, preset: str = "demo", **options: str | None) -> Request:
    space, run_dir = options.get("space"), options.get("run_dir")
    experiment = load(preset, space, list(overrides))
    return make_request(experiment, preset, list(overrides), space, run_dir, ["submit", preset])


def test_a_grid_becomes_the_command_of_a_job() -> None:
    run = request("seeds=[1, 2]")
    assert run.entrypoint == (
        "python -m orchestrator.cli.cluster_job run demo 'seeds=[1, 2]' ray.address=auto "
        "--run-dir /shared/runs/demo"
    )
    tuned = request(space="quick", run_dir="s3://bucket/x")
    assert tuned.arguments == (
        "tune",
        "demo",
        "quick",
        "ray.address=auto",
        "--run-dir",
        tuned.run_dir,
    )
    assert request(space="quick").run_dir == "/shared/runs/demo-quick"


def test_the_id_follows_from_the_run_directory() -> None:
    one, same, other = request(), request("seeds=[7]"), request(run_dir="/shared/else/demo")
    assert one.prefix == same.prefix
    assert one.prefix != other.prefix
    assert one.digest == request().digest != same.digest
    # Whatever a path has in it; Ray's ids are parts of addresses and files' names.
    odd = request(run_dir="/shared/a b/ü?" + "x" * 200).prefix
    assert set(odd) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert len(odd) < 60


def test_a_preset_or_space_that_was_edited_is_another_grid(tmp_path: Path) -> None:
    """The command is the same; a running job that was sent the old file is not joined."""
    files = {"preset": tmp_path / "mine.yaml", "space": tmp_path / "space.yaml"}
    files["preset"].write_text((PROJECT / "search_spaces/presets/demo.yaml").read_text())
    files["space"].write_text((PROJECT / "search_spaces/spaces/quick.yaml").read_text())
    given = {name: str(path) for name, path in files.items()}
    digests = {request(**given).digest}
    for path in files.values():
        path.write_text(path.read_text() + "# edited\n")
        edited = request(**given)
        # What is sent is what was hashed, whatever happens to the file meanwhile.
        content = path.read_bytes()
        path.write_text("half")
        with packaged(edited) as folders:
            [sent] = Path(folders[-1]).rglob(path.name)
            assert sent.read_bytes() == content
        path.write_bytes(content)
        digests.add(edited.digest)
    assert len(digests) == 3
    assert request(**given).digest in digests


@pytest.mark.parametrize(
    ("overrides", "run_dir"),
    [
        ((), "s3://KEY:SECRET@bucket/x"),
        ((), "abfs://box@a.dfs.core.windows.net/x?sig=SECRET"),
        (("tune.warm_start=s3://KEY:SECRET@bucket/x",), None),
    ],
)
def test_a_url_with_keys_is_not_sent(overrides: tuple[str, ...], run_dir: str | None) -> None:
    with pytest.raises(RunDirectoryError, match="keys do not belong into") as caught:
        request(*overrides, space="quick", run_dir=run_dir)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "run_dir", "message"),
    [
        (["seds=1"], None, "seds: unknown key; did you mean seeds?"),
        (["ray.address=auto"], None, "ray: a submitted grid runs on the cluster of --address"),
        (["ray.dashboard=true"], None, "ray: a submitted grid runs on the cluster of --address"),
        ([], "runs/demo", "--run-dir runs/demo: give a path from /"),
        (["data.glue_dir=glue"], None, "data.glue_dir=glue: the cluster does not have"),
        (["data.cache_dir=cache"], None, "data.cache_dir=cache: the cluster does not have"),
        (
            ["tracking.mlflow.tracking_uri=sqlite:///mlflow.db"],
            None,
            "tracking.mlflow.tracking_uri=sqlite:///mlflow.db: the cluster does not have",
        ),
        (["models=[.]"], None, r"define.models...encoder=.: the cluster does not have"),
        (
            [DATA % "a.csv", "tasks=[mine]"],
            None,
            "define.tasks.mine.files.train=a.csv: the cluster does not have this machine's files",
        ),
    ],
)
def test_what_makes_no_sense_there_is_refused_here(
    overrides: list[str], run_dir: str | None, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        request(*overrides, run_dir=run_dir)
    assert str(caught.value).startswith(message.replace("...", "." * 3))
    assert "\n" not in str(caught.value)


def test_an_earlier_search_is_one_of_the_cluster() -> None:
    with pytest.raises(ConfigError, match=r"^tune\.warm_start=runs/x: the cluster does not have"):
        request("tune.warm_start=runs/x", space="quick")


def test_places_that_the_cluster_can_reach_are_sent() -> None:
    places = (
        "data.cache_dir=/tmp/cache",
        "tracking.mlflow.tracking_uri=sqlite:////shared/mlflow.db",
        "tune.warm_start=s3://bucket/x",
    )
    assert request(*places, space="quick").arguments[3:6] == places
    for place in (
        "tracking.mlflow.tracking_uri=http://host:5000",
        "tune.warm_start=/shared/runs/x",
    ):
        assert place in request(place, space="quick").arguments


def test_the_code_and_the_preset_are_sent_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset = tmp_path / "mine.yaml"
    preset.write_text((PROJECT / "search_spaces/presets/demo.yaml").read_text())
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    run = request(preset=str(preset))
    with packaged(run) as folders:
        sent = {
            path.relative_to(Path(folders[0]).parent).as_posix()
            for folder in folders
            for path in Path(folder).rglob("*")
            if path.is_file()
        }
        environment = json.dumps(run.runtime_env(folders))
    code = {
        path.relative_to(PROJECT).as_posix()
        for name in ("orchestrator", "search_spaces", "trainables")
        for path in (PROJECT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sent == code | {f"{SENT}/0/mine.yaml"}
    assert run.arguments[1] == "0/mine.yaml"
    assert "k" * 40 not in environment
    assert not Path(folders[0]).exists()
