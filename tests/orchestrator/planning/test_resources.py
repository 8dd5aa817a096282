"""What each trial gets of a machine or cluster, and what is refused."""

import math
from collections.abc import Mapping

import pytest

from orchestrator.config.runtime import ResourcesConfig
from orchestrator.planning.gpu_sharing import GpuSharing, Throughput
from orchestrator.planning.resources import GpuNeed, Node, TrialResources, share_out
from trainables.errors import ResourceError

LAPTOP = Node(cpus=2, gpus=0)
SERVER = Node(cpus=32, gpus=4)


@pytest.mark.parametrize(
    ("settings", "nodes", "trials", "expected"),
    [
        ({}, [LAPTOP], 20, TrialResources(1, 0, 2)),
        ({}, [LAPTOP], 1, TrialResources(2, 0, 1)),
        ({}, [Node(8, 0)], 3, TrialResources(2, 0, 3)),
        ({"gpu": 1}, [SERVER], 20, TrialResources(8, 1, 4)),
        ({"gpu": 0.5}, [SERVER], 20, TrialResources(4, 0.5, 8)),
        ({"gpu": 0}, [SERVER], 64, TrialResources(1, 0, 32)),
        ({"gpu": 1, "cpu": 4}, [SERVER, SERVER], 20, TrialResources(4, 1, 8)),
        ({"gpu": 0.4}, [SERVER], 20, TrialResources(4, 0.4, 8)),
        ({"cpu": 2}, [LAPTOP], 20, TrialResources(2, 0, 1)),
        ({"max_concurrent": 1, "cpu": 1}, [LAPTOP], 20, TrialResources(1, 0, 1)),
        ({"gpu": 1}, [LAPTOP, SERVER], 20, TrialResources(8, 1, 4)),
        ({"memory": 4}, [Node(8, 0, 16.0)], 20, TrialResources(2, 0, 4, 4)),
        ({"memory": 16}, [Node(8, 0, 16.0), Node(8, 0, 15.0)], 20, TrialResources(8, 0, 1, 16)),
        ({"memory": 4, "cpu": 1}, [Node(2, 0, 16.0)], 20, TrialResources(1, 0, 2, 4)),
        ({"memory": 4, "gpu": 1}, [Node(8, 2, 64.0)], 20, TrialResources(4, 1, 2, 4)),
        # Nodes that differ: each fills its GPUs, and those without any have no trials.
        ({"gpu": 1}, [Node(32, 4), Node(4, 4), Node(64, 0)], 20, TrialResources(1, 1, 8)),
        ({"gpu": 0.5}, [Node(12, 1), Node(12, 2)], 20, TrialResources(3, 0.5, 6)),
        ({"gpu": 1}, [Node(2, 4)], 20, TrialResources(1, 1, 2)),
        ({"gpu": 1, "cpu": 8}, [Node(32, 2), Node(4, 4)], 20, TrialResources(8, 1, 2)),
        # What Ray makes of shares: ten-thousandths, and never two GPUs' rests together.
        ({"gpu": 1 / 3}, [Node(32, 2)], 20, TrialResources(5, 0.3333, 6)),
        ({"gpu": 1 / 6}, [Node(12, 1)], 20, TrialResources(2, 0.1666, 6)),
        ({"gpu": 0.6}, [Node(8, 3)], 20, TrialResources(2, 0.6, 3)),
    ],
)
def test_auto_divides_what_there_is(
    settings: dict, nodes: list[Node], trials: int, expected: TrialResources
) -> None:
    assert share_out(ResourcesConfig.model_validate(settings), nodes, trials) == expected


@pytest.mark.parametrize(
    ("settings", "nodes", "message"),
    [
        ({"gpu": 1}, [LAPTOP], r"resources\.gpu=1: this machine has no GPU"),
        ({"gpu": 0.00005}, [SERVER], r"resources\.gpu=5e-05: Ray counts GPUs in ten-thousandths"),
        ({"gpu": 0.5}, [LAPTOP, LAPTOP], r"resources\.gpu=0\.5: this cluster has no GPU"),
        ({"cpu": 3}, [LAPTOP], r"resources\.cpu=3: this machine has at most 2 cores"),
        (
            {"memory": 17},
            [Node(2, 0, 16.0)],
            r"resources\.memory=17: this machine has at most 16\.0 GB per node for trials",
        ),
        ({"memory": 17, "gpu": 1}, [Node(2, 0, 64.0), Node(2, 1, 16.0)], r"at most 16\.0 GB"),
        ({"cpu": 64}, [SERVER, LAPTOP], r"resources\.cpu=64: this cluster has at most 32 cores"),
    ],
)
def test_what_no_node_can_give_is_refused(settings: dict, nodes: list[Node], message: str) -> None:
    with pytest.raises(ResourceError, match=message):
        share_out(ResourcesConfig.model_validate(settings), nodes, 20)


@pytest.mark.parametrize("nodes", [[LAPTOP], [SERVER], [LAPTOP, SERVER], [SERVER, SERVER]])
@pytest.mark.parametrize("gpu", ["auto", 0, 0.25])
@pytest.mark.parametrize("trials", [1, 3, 20, 500])
def test_running_trials_never_use_more_cores_than_there_are(
    nodes: list[Node], gpu: object, trials: int
) -> None:
    if gpu == 0.25 and nodes == [LAPTOP]:
        gpu = 0
    shared = share_out(ResourcesConfig.model_validate({"gpu": gpu}), nodes, trials)
    assert shared.slots * shared.cpu <= sum(node.cpus for node in nodes)
    assert 1 <= shared.slots <= trials


@pytest.mark.parametrize(
    ("nodes", "trials", "gigabytes", "gpu", "slots"),
    [
        ([Node(32, 1, gpu_memory=24.0)], 100, 5.1, 0.25, 4),
        # The GPU with the least memory counts, wherever it is.
        ([Node(32, 1, gpu_memory=80.0), Node(32, 1, gpu_memory=16.0)], 100, 5.1, 0.3333, 6),
        # A core for each, eight at most, and no GPU without a trial where there are few.
        ([Node(4, 2, gpu_memory=80.0)], 100, 1.0, 0.5, 4),
        ([Node(64, 1, gpu_memory=80.0)], 100, 1.0, 0.125, 8),
        ([Node(32, 4, gpu_memory=80.0)], 5, 1.0, 0.5, 5),
        ([Node(32, 4, gpu_memory=80.0)], 4, 1.0, 1, 4),
        ([Node(32, 2, gpu_memory=24.0)], 100, 30.0, 1, 2),
        ([Node(32, 2, gpu_memory=24.0), Node(64, 0)], 100, 11.9, 0.5, 4),
    ],
)
def test_auto_divides_a_gpu_by_what_the_largest_trial_needs(
    nodes: list[Node], trials: int, gigabytes: float, gpu: float, slots: int
) -> None:
    need = GpuNeed("shared_encoder bert-base", gigabytes)
    shared = share_out(ResourcesConfig(), nodes, trials, lambda: need)
    assert (shared.gpu, shared.slots) == (gpu, slots)
    smallest = min(node.gpu_memory for node in nodes if node.gpu_memory)
    each = "one GPU" if gpu == 1 else f"1/{int(1 / gpu)} GPU"
    said = f"auto: {each} each; the largest trial (shared_encoder bert-base) needs about "
    assert shared.why.startswith(f"{said}{gigabytes:.1f} GB of {smallest:.1f} GB")
    assert ("smaller parts" in shared.why) == (gigabytes > smallest)


def test_what_is_measured_decides_up_to_what_fits() -> None:
    asked = []

    def measure(need: GpuNeed, threads: Mapping[int, int], trials: int) -> GpuSharing:
        asked.append((need.title, dict(threads), trials))
        return GpuSharing(trial="a", curve=(Throughput(1, 120), Throughput(2, 190.4)))

    nodes = [Node(14, 2, gpu_memory=24.0), Node(64, 0)]
    need = GpuNeed("shared_encoder bert-base", 3.9)
    shared = share_out(ResourcesConfig(), nodes, 100, lambda: need, measure)
    assert asked == [("shared_encoder bert-base", {1: 7, 2: 3, 4: 1, 6: 1}, 50)]
    assert (shared.gpu, shared.slots) == (0.5, 4)
    assert shared.why == (
        "auto: 1/2 GPU each; the largest trial (shared_encoder bert-base) needs about 3.9 GB of "
        "24.0 GB; trials an hour with 1 a GPU: 120, 2: 190"
    )
    assert shared.sharing == measure(need, {}, 0)
    # Threads that were asked for are those of the measurement, and cores are not promised twice.
    asked.clear()
    share_out(ResourcesConfig(cpu=3), nodes, 100, lambda: need, measure)
    assert asked == [("shared_encoder bert-base", {1: 3, 2: 3}, 50)]


@pytest.mark.parametrize("gigabytes", [13.0, 30.0, math.inf])
def test_nothing_is_measured_where_one_trial_fits(gigabytes: float) -> None:
    def measure(need: GpuNeed, threads: Mapping[int, int], trials: int) -> GpuSharing:
        raise AssertionError("measured")

    nodes = [Node(32, 1, gpu_memory=24.0)]
    need = GpuNeed("shared_encoder bert-base", gigabytes)
    shared = share_out(ResourcesConfig(), nodes, 100, lambda: need, measure)
    assert (shared.gpu, shared.sharing) == (1, None)


@pytest.mark.parametrize(
    ("settings", "nodes"),
    [({}, [LAPTOP]), ({"gpu": 0}, [SERVER]), ({"gpu": 0.5}, [SERVER]), ({}, [SERVER, SERVER])],
)
def test_nothing_is_counted_where_no_gpu_is_to_be_divided(
    settings: dict, nodes: list[Node]
) -> None:
    def need() -> GpuNeed:
        raise AssertionError("counted")

    shared = share_out(ResourcesConfig.model_validate(settings), nodes, 20, need)
    known = settings or not nodes[0].gpus
    assert shared.why == (
        "" if known else "auto: one GPU each; how much memory the GPUs have is not known"
    )
