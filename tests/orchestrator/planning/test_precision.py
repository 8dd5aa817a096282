"""The number format of training.precision=auto: what all nodes compute well, chosen once."""

from dataclasses import replace

import pytest

from orchestrator.config.experiment import load_experiment
from orchestrator.planning import resources
from orchestrator.planning.resources import (
    Node,
    ResourceChoices,
    TrialResources,
    feasible,
    this_machine,
)
from trainables.training import device

WITH = Node(2, 0, bf16=True)
WITHOUT = Node(2, 0)
GPU = Node(8, 1, gpu_memory=24.0, gpu_bf16=True)
OLD_GPU = Node(8, 1, gpu_memory=24.0, bf16=True)


def given(*overrides: str, nodes: list[Node], **chosen: str) -> TrialResources:
    experiment = load_experiment("demo", list(overrides))
    return feasible(experiment, nodes, 10, choices=ResourceChoices.model_validate(chosen))


@pytest.mark.parametrize(
    ("nodes", "gpu", "expected"),
    [
        ([WITH], "auto", "bf16"),
        ([WITHOUT], "auto", "fp32"),
        ([WITH, WITH], "auto", "bf16"),
        ([WITH, WITHOUT], "auto", "fp32"),
        ([GPU], "1", "bf16"),
        ([OLD_GPU], "1", "fp16"),
        ([GPU, OLD_GPU], "1", "fp16"),
        # Only nodes that can get a trial count.
        ([GPU, WITH], "1", "bf16"),
        ([GPU, WITHOUT], "1", "bf16"),
        ([GPU], "0", "fp32"),
        ([OLD_GPU], "0", "bf16"),
    ],
)
def test_it_is_what_all_nodes_with_trials_compute_well(
    nodes: list[Node], gpu: str, expected: str
) -> None:
    assert given(f"resources.gpu={gpu}", nodes=nodes).precision == expected


def test_a_node_that_is_too_small_for_a_trial_does_not_count() -> None:
    nodes = [replace(WITH, cpus=8), WITHOUT]
    assert given("resources.cpu=4", nodes=nodes).precision == "bf16"


@pytest.mark.parametrize("nodes", [[WITH], [WITHOUT]])
def test_what_was_chosen_is_kept_whatever_there_is_now(nodes: list[Node]) -> None:
    assert given(nodes=nodes, precision="bf16").precision == "bf16"
    assert given(nodes=nodes, precision="fp32").precision == "fp32"


@pytest.mark.parametrize("asked", ["fp32", "bf16"])
def test_what_is_asked_for_holds(asked: str) -> None:
    setting = f"training.precision={asked}"
    assert given(setting, nodes=[WITHOUT]).precision == asked
    assert given(setting, nodes=[WITH], precision="fp32").precision == asked


def test_this_machine_says_what_torch_says() -> None:
    assert this_machine().bf16 == device.bf16_units() == resources._says_bf16_units()
