"""Ray started here, clusters joined and left, and clusters that cannot be joined."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from orchestrator.config import load_experiment
from orchestrator.connection import connected
from tests.orchestrator.grid import Grid, ended
from trainables.errors import ResourceError
from trainables.record import read_records

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head without CPUs and two nodes of one core each."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(2):
        cluster.add_node(wait=False, num_cpus=1)
    cluster.wait_for_nodes()
    yield cluster
    cluster.shutdown()


def test_a_cluster_is_joined_and_left_as_it_was(
    cluster: Cluster, tiny_bert: Path, tmp_path: Path
) -> None:
    grid = Grid(tmp_path, tiny_bert)
    address = f"ray.address={cluster.address}"
    run = ended(grid.start(address, "arms=[single_task]", "resources.cpu=auto"))
    assert run.code == 0, run
    assert run.err == ""
    assert {record.status for record in read_records(grid.layout).values()} == {"finished"}
    shutil.rmtree(grid.layout.records)
    refused = ended(grid.start(address, "arms=[single_task]", "resources.cpu=2"))
    assert refused.code == 2
    assert "resources.cpu=2: this cluster has at most 1 cores per node" in refused.err
    assert refused.err.count("\n") == 1


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", r"ray\.address=127\.0\.0\.1:1: cannot be reached"),
        ("nowhere:x", r"ray\.address=nowhere:x: cannot be reached"),
        ("ray://127.0.0.1:1", r"ray\.address=ray://127\.0\.0\.1:1: Ray Client cannot run a grid"),
    ],
)
def test_a_cluster_that_cannot_be_joined_is_one_clear_error(
    address: str, message: str, tiny_bert: Path, tmp_path: Path
) -> None:
    overrides = [*Grid(tmp_path, tiny_bert).overrides(), f"ray.address={address}"]
    began = time.monotonic()
    with (
        pytest.raises(ResourceError, match=message) as caught,
        connected(load_experiment("demo", overrides)),
    ):
        pass
    assert "\n" not in str(caught.value)
    assert time.monotonic() - began < 25
