"""The files for ``ray up``, checked as Ray checks them before it asks a cloud for anything."""

import re
from typing import Any

import jsonschema
import pytest
import yaml
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
        assert line.startswith("chmod 600 ~/.ray/auth_token && ")
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
