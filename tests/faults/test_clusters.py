"""Nodes of a cluster that are lost while their trials run, and return."""

import time
from collections.abc import Iterator

import pytest
from ray.cluster_utils import Cluster

from tests.faults.conftest import Figure, Figures, Size
from tests.helpers.ray_grid import Grid, ended, until
from tests.helpers.reference_run import ReferenceRun

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture
def cluster(soak: bool) -> Iterator[Cluster]:
    """A head without CPUs."""
    if not soak:
        pytest.skip("only in make soak: test_jobs.py loses a node too")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    yield cluster
    cluster.shutdown()


def test_nodes_that_are_lost_and_return_change_nothing(
    grid: Grid,
    size: Size,
    cluster: Cluster,
    reference_run: ReferenceRun,
    figures: Figures,
    quiet: float | None,
) -> None:
    """One of two nodes; then the other one, so that none is left; then both come back."""
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    began = time.monotonic()
    process = grid.start(f"ray.address={cluster.address}")
    lost = 0
    for _ in range(size.absences):
        until(grid.checkpointed, process)
        for node in nodes:
            cluster.remove_node(node, allow_graceful=False)
            lost += 1
            time.sleep(2.0)
        # A while in which there is none.
        time.sleep(3.0)
        nodes = [cluster.add_node(wait=False, num_cpus=1) for _ in range(2)]
    run = ended(process, seconds=600)
    assert run.code == 0, run
    assert run.err == ""
    reference_run.assert_same(grid.run_dir)
    extra = None if quiet is None else time.monotonic() - began - quiet
    figures.append(Figure("node lost", lost, len(reference_run.trials), extra=extra))
