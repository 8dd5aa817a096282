"""Which GPU each trial sees, on nodes that differ, with GPUs that only Ray believes in.

The nodes' own settings are hostile: without this project's, a trial without a GPU would see all of
its node's, and a trial with one would see the others too.
"""

import io
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import ray
from ray import cloudpickle
from ray.cluster_utils import Cluster
from rich.console import Console

from orchestrator.config.experiment import ExperimentConfig, load_experiment
from orchestrator.execution.executor import each
from orchestrator.execution.ray import nodes as ray_nodes
from orchestrator.execution.ray.cluster import connected
from orchestrator.execution.ray.nodes import devices_of, on_a_gpu
from orchestrator.execution.throughput import throughput_curve
from orchestrator.execution.tune_executor import TuneExecutor
from orchestrator.monitor.live_view import LiveView
from orchestrator.monitor.state import Expected, GridProgress
from orchestrator.planning.gpu_sharing import GpuSharing, Throughput
from orchestrator.planning.plan import PlannedTrial
from orchestrator.planning.resources import GpuNeed, Node, ResourceChoices, feasible
from tests.helpers.trials import runtime, trial_config
from trainables.errors import ResourceError
from trainables.results.record import read_records
from trainables.storage.run_dir import RunDir
from trainables.tune.trainable import TrialTrainable

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    # Ray leaves a socket to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

HOSTILE = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "1",
}
UUID = "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6"
NODES = ((2, 2, "3,5"), (1, 1, UUID), (2, 0, "7"))
"""Cores, GPUs, and what of its GPUs the node may use."""


class Noting(TrialTrainable):
    """Notes what its process sees, waits for as many others as fit, and trains on the CPU."""

    def setup(self, config: dict[str, Any]) -> None:
        self._note(config)
        notes = self._folder(config)
        wanted = int((notes / "together").read_text())
        deadline = time.monotonic() + 120
        while len({json.loads(p.read_text())["pid"] for p in notes.glob("*.json")}) < wanted:
            assert time.monotonic() < deadline, "the others do not come"
            time.sleep(0.1)
        super().setup(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._note(new_config)
        return super().reset_config(new_config)

    def _folder(self, config: dict[str, Any]) -> Path:
        return Path(config["trial_spec"]["runtime"]["output_dir"]) / "notes"

    def _note(self, config: dict[str, Any]) -> None:
        config["trial_spec"]["runtime"]["device"] = "cpu"
        note = {
            "pid": os.getpid(),
            "seen": os.environ.get("CUDA_VISIBLE_DEVICES"),
            "given": [str(gpu) for gpu in ray.get_gpu_ids()],
        }
        path = self._folder(config) / f"{config['trial_spec']['key']}.json"
        path.with_suffix(".part").write_text(json.dumps(note))
        path.with_suffix(".part").rename(path)


@dataclass
class Connected:
    """What the tests share."""

    experiment: ExperimentConfig
    nodes: list[Node]
    encoder: Path
    folder: Path

    def run(self, name: str, trials: int, **resources: Any) -> list[dict[str, Any]]:
        """Run trials; what each noted, those that ran in one process together."""
        update = {"resources": self.experiment.resources.model_copy(update=resources)}
        experiment = self.experiment.model_copy(update=update)
        run_dir = RunDir(self.folder / name)
        planned = [
            PlannedTrial(trial_config("single_task", self.encoder, seed=seed, epochs=1), 40, 1.0)
            for seed in range(trials)
        ]
        given = feasible(experiment, self.nodes, trials)
        notes = run_dir.root / "notes"
        notes.mkdir(parents=True)
        (notes / "together").write_text(str(given.slots))
        expected = [Expected(t.key, t.config.title, "tiny", 40) for t in planned]
        view = LiveView(GridProgress(expected, given.slots), Console(file=io.StringIO()))
        with view:
            TuneExecutor(experiment, trainable=Noting).run(
                each(planned), run_dir, view, resources=given, glue_dir=None, artifacts={}
            )
        assert {r.status for r in read_records(run_dir, {}).values()} == {"finished"}
        found = [json.loads(path.read_text()) for path in notes.glob("*.json")]
        assert len(found) == trials
        return sorted(found, key=lambda note: note["pid"])


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for cpus, gpus, visible in NODES:
        environment = HOSTILE | {"CUDA_VISIBLE_DEVICES": visible}
        cluster.add_node(num_cpus=cpus, num_gpus=gpus, env_vars=environment)
    cluster.wait_for_nodes()
    yield cluster
    cluster.shutdown()


@pytest.fixture(scope="module")
def joined(
    cluster: Cluster, tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Connected]:
    folder = tmp_path_factory.mktemp("gpus")
    settings = [
        "ray.reuse=true",
        "resources={cpu: 1, gpu: auto}",
        f"data.cache_dir={folder / 'cache'}",
    ]
    experiment = load_experiment("demo", [f"ray.address={cluster.address}", *settings])
    with connected(experiment) as nodes:
        cloudpickle.register_pickle_by_value(sys.modules[__name__])
        yield Connected(experiment, nodes, tiny_bert, folder)


def by_process(notes: list[dict[str, Any]]) -> dict[int, set[str]]:
    """What each process saw, over all of its trials."""
    found: dict[int, set[str]] = {}
    for note in notes:
        found.setdefault(note["pid"], set()).add(note["seen"])
    return found


def test_whole_gpus_are_seen_by_one_trial_each(joined: Connected) -> None:
    assert sorted((n.cpus, n.gpus) for n in joined.nodes) == [(1, 1), (2, 0), (2, 2)]
    notes = joined.run("whole", trials=7, gpu=1.0)
    seen = by_process(notes)
    # At once, on different GPUs, each its own until it ends; of those that a node may use alone.
    assert sorted(map(sorted, seen.values())) == [["3"], ["5"], [UUID]]
    assert all(note["given"] == [note["seen"]] for note in notes)


def test_shares_are_of_one_gpu(joined: Connected) -> None:
    notes = joined.run("shares", trials=3, gpu=0.5)
    seen = sorted(device for devices in by_process(notes).values() for device in devices)
    # Two cores, so two trials on the first node, which is half of what its GPUs could take.
    assert len(seen) == 3
    assert seen[0] == seen[1]
    assert seen[0] in ("3", "5")
    assert seen[2] == UUID


def test_trials_without_gpus_see_none(joined: Connected) -> None:
    notes = joined.run("none", trials=1, gpu=0.0)
    assert [(note["seen"], note["given"]) for note in notes] == [("", [])]


def test_a_gpu_whose_memory_nobody_knows_is_not_divided(joined: Connected) -> None:
    given = feasible(joined.experiment, joined.nodes, 10)
    assert (given.gpu, given.slots) == (1.0, 3)
    assert given.why == "auto: one GPU each; how much memory the GPUs have is not known"


def test_each_node_is_asked_for_its_gpus_while_they_are_taken(joined: Connected) -> None:
    def asked() -> float:
        return float(len(os.environ["CUDA_VISIBLE_DEVICES"].split(",")))

    ids = {n["NodeID"]: n["Resources"].get("GPU", 0) for n in ray.nodes()}
    able = [node for node, gpus in ids.items() if gpus]
    busy = ray.util.placement_group([{"GPU": 1}] * 3)
    assert busy.wait(30)
    try:
        answers = devices_of(able, asked)
    finally:
        ray.util.remove_placement_group(busy)
    assert answers == {node: ids[node] for node in able}


def test_trials_an_hour_are_measured_where_a_gpu_is(joined: Connected, tmp_path: Path) -> None:
    config = trial_config("single_task", joined.encoder)
    # The GPUs are Ray's belief alone, so that the processes train on the node's CPU.
    asked = partial(
        throughput_curve, config, runtime(tmp_path), {1: 1, 2: 1}, examples=80, seconds=0.2
    )
    curve = on_a_gpu(asked)
    assert [point.at_once for point in curve] == [1, 2]
    assert all(point.trials_per_hour for point in curve)


def made(sharing: GpuSharing | None) -> ResourceChoices:
    return ResourceChoices(sharing=sharing)


def test_memory_alone_decides_where_nothing_can_be_measured(joined: Connected) -> None:
    config = trial_config("single_task", joined.encoder)
    need = GpuNeed("single_task tiny", 3.9, config, examples=80)
    nodes = [replace(node, gpu_memory=24.0) for node in joined.nodes]
    output = io.StringIO()
    with TuneExecutor(joined.experiment, Console(file=output, width=200)) as executor:
        executor._nodes = [replace(node, cpus=8 * node.cpus) for node in nodes]
        preview = executor.resources(100, lambda: need)
        assert preview.why.endswith("by memory alone: the run measures trials an hour first")
        assert output.getvalue() == ""
        given = executor.resources(100, lambda: need, measure=True)
        assert (given.gpu, preview.gpu) == (0.1666, 0.1666)
        assert "by memory alone: not measured, " in given.why
        assert "device=cuda: this machine lacks that GPU" in given.why
        assert given.why in output.getvalue()
        # The same again for a run that continues, whatever could be measured now.
        assert executor.resources(100, lambda: need, made(given.sharing), measure=True) == given
        curve = (Throughput(1, 120.0), Throughput(2, 190.0))
        kept = GpuSharing(trial=config.key, curve=curve)
        assert executor.resources(100, lambda: need, made(kept), measure=True).gpu == 0.5


def test_a_gpu_that_is_taken_is_not_waited_for_long(
    joined: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_nodes, "MEASURE_SECONDS", 0.5)
    busy = ray.util.placement_group([{"GPU": 1}] * 3)
    assert busy.wait(30)
    try:
        with pytest.raises(ResourceError):
            on_a_gpu(os.getpid)
    finally:
        ray.util.remove_placement_group(busy)
