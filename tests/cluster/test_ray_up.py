"""The files for ``ray up``, checked as Ray checks them before it asks a cloud for anything."""

import json
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.command_runner import DockerCommandRunner
from ray.autoscaler._private.util import prepare_config, validate_config

from tests.conftest import PROJECT

CLOUDS = ("aws", "gcp")


def read(cloud: str) -> dict[str, Any]:
    """As Ray reads it."""
    text = (PROJECT / "cluster" / f"{cloud}.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


def commands(config: dict[str, Any]) -> list[str]:
    """Every command of it, in any list."""
    return [line for key, lines in config.items() if key.endswith("_commands") for line in lines]


class Machine:
    """Stands for a machine with Docker and the image of ``cluster/Dockerfile``, as SSH leads there.

    Attributes:
        ran: the commands that it was given.
    """

    cluster_name, ssh_user = "one-or-many", "ubuntu"

    def __init__(self) -> None:
        self.ran: list[str] = []
        image = (PROJECT / "cluster" / "Dockerfile").read_text(encoding="utf-8")
        self._variables = re.findall(r"^ENV (HOME=\S+)$", image, re.MULTILINE)

    def run(self, command: str, **options: Any) -> bytes:
        self.ran.append(command)
        answers = {
            ".Config.Env": json.dumps(self._variables),
            ".State.Running": "false",
            "command -v docker": "/usr/bin/docker",
            "/proc/meminfo": "MemAvailable: 1000000 kB",
            # What Docker gives the image's user, whatever the image says.
            "printenv HOME": "/home/ray",
        }
        return next((text for words, text in answers.items() if words in command), "").encode()


def mounted_token(config: dict[str, Any]) -> tuple[Path, Path]:
    """Where the token lies on a machine, and where Ray's launcher mounts it in the container."""
    machine = Machine()
    runner = DockerCommandRunner(
        config["docker"],
        log_prefix="",
        node_id="node",
        provider=None,
        auth_config=config["auth"],
        cluster_name=machine.cluster_name,
        process_runner=None,
        use_internal_ip=True,
    )
    runner.ssh_command_runner = machine  # type: ignore[assignment]
    runner.run_init(as_head=True, file_mounts=dict(config["file_mounts"]), sync_run_yet=True)
    [start] = [command for command in machine.ran if command.startswith("docker run ")]
    [(source, target)] = re.findall(r"-v (\S+):(\S+)", start)
    return Path(source), Path(target)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_token_is_mounted_where_ray_looks_for_it(cloud: str) -> None:
    assert mounted_token(read(cloud))[1] == Path("/home/ray/.ray/auth_token")


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_token_can_be_read_in_the_container_and_by_no_other_user_of_the_machine(
    cloud: str, tmp_path: Path
) -> None:
    """Whatever number the machine's user has and whatever rights the token's file came with."""
    config = read(cloud)
    place = tmp_path / mounted_token(config)[0].relative_to("/tmp")
    place.parent.mkdir(parents=True)
    place.touch(0o600)
    [command] = [line for line in config["initialization_commands"] if "auth_token" in line]
    subprocess.run(["bash", "-c", command.replace("/tmp/", f"{tmp_path}/")], check=True)
    assert stat.S_IMODE(place.stat().st_mode) == 0o644
    folders = [path for path in place.parents if path.is_relative_to(tmp_path / "ray_tmp_mount")]
    assert 0o700 in [stat.S_IMODE(path.stat().st_mode) for path in folders]


@pytest.mark.parametrize("cloud", CLOUDS)
def test_ray_accepts_it(cloud: str) -> None:
    config = read(cloud)
    prepared = prepare_config(config)
    validate_config(prepared)
    # What stands there counts: Ray's defaults fill in what is missing, and add nothing to it.
    for key in ("head_setup_commands", "head_start_ray_commands", "worker_start_ray_commands"):
        assert prepared[key][-len(config[key]) :] == config[key]
    assert set(prepared["available_node_types"]) == {"head", "gpu"}
    with pytest.raises(jsonschema.ValidationError, match="idle_minutes"):
        validate_config(prepared | {"idle_minutes": 5})


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_node_asks_for_the_token_and_none_is_open(cloud: str) -> None:
    config = read(cloud)
    starts = [line for line in commands(config) if "ray start" in line]
    assert len(starts) == 2
    for line in starts:
        assert "RAY_AUTH_MODE=token" in line
    assert config["file_mounts"] == {"~/.ray/auth_token": "~/.ray/auth_token"}
    [host] = re.findall(r"--dashboard-host=(\S+)", " ".join(starts))
    assert host == "127.0.0.1"
    nodes = [node["node_config"] for node in config["available_node_types"].values()]
    if cloud == "aws":
        # Ray would make a group that lets the world try SSH, if one node lacked it.
        assert all(node["SecurityGroupIds"] for node in nodes)
    else:
        assert config["provider"]["use_internal_ips"]
        for node in nodes:
            assert all("accessConfigs" not in network for network in node["networkInterfaces"])


@pytest.mark.parametrize("cloud", CLOUDS)
def test_all_nodes_share_storage_and_the_gpu_nodes_are_there(cloud: str) -> None:
    config = read(cloud)
    mounts = [line for line in config["initialization_commands"] if " mount " in line]
    assert len(mounts) == 1
    assert mounts[0].startswith("mountpoint -q /shared || ")
    assert "--volume /shared:/shared" in config["docker"]["run_options"]
    head, gpu = (config["available_node_types"][name] for name in ("head", "gpu"))
    assert head["resources"]["CPU"] == 0
    assert gpu["resources"]["GPU"] == 4
    assert gpu["min_workers"] == gpu["max_workers"] == config["max_workers"] == 2


@pytest.mark.parametrize("cloud", CLOUDS)
def test_what_is_to_be_changed_says_so(cloud: str) -> None:
    """A value that stands for the user's own is announced on its line or above it."""
    lines = (PROJECT / "cluster" / f"{cloud}.yaml").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        value = line.partition("# ")[0]
        if "-CHANGE" in value or "REGISTRY" in value:
            assert any("# CHANGE" in near for near in lines[max(0, number - 4) : number + 1]), line
