"""What each trial gets of a machine or cluster, and what is refused."""

import pytest

from orchestrator.config import ResourcesConfig
from orchestrator.resources import Node, TrialResources, share_out
from trainables.errors import ResourceError

LAPTOP = Node(cpus=2, gpus=0)
SERVER = Node(cpus=32, gpus=4)


@pytest.mark.parametrize(
    ("settings", "nodes", "trials", "expected"),
    [
        ({}, [LAPTOP], 20, TrialResources(1, 0, 2)),
        ({}, [LAPTOP], 1, TrialResources(2, 0, 1)),
        ({}, [Node(8, 0)], 3, TrialResources(2, 0, 3)),
        ({}, [SERVER], 20, TrialResources(8, 1, 4)),
        ({"gpu": 0.5}, [SERVER], 20, TrialResources(4, 0.5, 8)),
        ({"gpu": 0}, [SERVER], 64, TrialResources(1, 0, 32)),
        ({"gpu": 1, "cpu": 4}, [SERVER, SERVER], 20, TrialResources(4, 1, 8)),
        ({"gpu": 0.4}, [SERVER], 20, TrialResources(4, 0.4, 8)),
        ({"cpu": 2}, [LAPTOP], 20, TrialResources(2, 0, 1)),
        ({"max_concurrent": 1, "cpu": 1}, [LAPTOP], 20, TrialResources(1, 0, 1)),
        ({}, [LAPTOP, SERVER], 20, TrialResources(8, 1, 4)),
        ({"memory": 4}, [Node(8, 0, 16.0)], 20, TrialResources(2, 0, 4, 4)),
        ({"memory": 16}, [Node(8, 0, 16.0), Node(8, 0, 15.0)], 20, TrialResources(8, 0, 1, 16)),
        ({"memory": 4, "cpu": 1}, [Node(2, 0, 16.0)], 20, TrialResources(1, 0, 2, 4)),
        ({"memory": 4}, [Node(8, 2, 64.0)], 20, TrialResources(4, 1, 2, 4)),
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
