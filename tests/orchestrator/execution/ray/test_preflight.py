"""Nodes that do not see the run directory, the data or an encoder are told before trials start."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from orchestrator.execution.ray.preflight import check_nodes
from orchestrator.planning.plan import PlannedTrial
from tests.helpers.command import Command, small_grid
from tests.helpers.object_store import NewBucket
from tests.helpers.plans import plan_of
from trainables.errors import DataError, EncoderError, InputError, RunDirectoryError
from trainables.storage import node_probe
from trainables.storage.node_probe import ProbeRequest, probe
from trainables.storage.run_dir import RunDir

Probe = Callable[[ProbeRequest, str], dict[str, str]]


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    (tmp_path / "run").mkdir()
    return RunDir(tmp_path / "run")


@pytest.fixture
def trials(tiny_bert: Path, tmp_path: Path) -> list[PlannedTrial]:
    """Trials on files of the user's own and on a folder with an encoder."""
    shutil.copytree(tiny_bert, tmp_path / "encoder")
    rows = "text,label\n" + "".join(f"text {i},{i % 2}\n" for i in range(40))
    for split in ("train", "dev"):
        (tmp_path / f"{split}.csv").write_text(rows + f"{split},1\n")
    preset, *overrides = small_grid(
        tmp_path / "encoder",
        "arms=[single_task]",
        "tasks=[mine]",
        "define.tasks.mine={text: [text], label: label, files: "
        f"{{train: {tmp_path}/train.csv, validation: {tmp_path}/dev.csv}}}}",
    )
    return list(plan_of(preset, overrides)[1].trials)


def nodes(*there: Probe) -> Any:
    """Stands for a cluster whose nodes answer so."""

    def ask(call: Probe, wanted: ProbeRequest) -> Mapping[str, dict[str, str]]:
        return {f"node-{n} (10.0.0.{n})": each(wanted, str(n)) for n, each in enumerate(there)}

    return ask


def moved(path: Path, aside: Path) -> Probe:
    """A node that has not got ``path``."""

    def answer(wanted: ProbeRequest, node: str) -> dict[str, str]:
        path.rename(aside)
        try:
            return probe(wanted, node)
        finally:
            aside.rename(path)

    return answer


def elsewhere(folder: Path) -> Probe:
    """A node that has a folder of its own under the run directory's name."""

    def answer(wanted: ProbeRequest, node: str) -> dict[str, str]:
        folder.mkdir(exist_ok=True)
        found = probe(replace(wanted, run_dir=str(folder)), node)
        return {wanted.run_dir if p == str(folder) else p: what for p, what in found.items()}

    return answer


def blind(wanted: ProbeRequest, node: str) -> dict[str, str]:
    """A node that sees what is written here; what it writes is lost."""
    answer = probe(wanted, node)
    (Path(wanted.run_dir) / answer["written"]).unlink()
    return answer


def test_nodes_that_see_all_of_it_are_not_talked_about(
    run_dir: RunDir, trials: list[PlannedTrial]
) -> None:
    check_nodes(nodes(probe, probe), run_dir, trials, None)
    assert list(run_dir.root.iterdir()) == []


def test_a_node_that_lacks_something_is_named(
    run_dir: RunDir, trials: list[PlannedTrial], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.execution.ray.preflight.SEEN_SECONDS", 0.1)
    aside, run, encoder = tmp_path / "aside", run_dir.root, tmp_path / "encoder"
    cases: list[tuple[Probe, type[InputError], str]] = [
        (moved(run, aside), RunDirectoryError, f"{run}: node node-1 (10.0.0.1) has no such folder"),
        (elsewhere(tmp_path / "own"), RunDirectoryError, "has another folder of that name; put it"),
        (blind, RunDirectoryError, "what node node-1 (10.0.0.1) writes there is not seen here"),
        (moved(tmp_path / "train.csv", aside), DataError, "train.csv: node node-1 (10.0.0.1) has"),
        (moved(encoder, aside), EncoderError, f"{encoder}: node node-1 (10.0.0.1) has not got it"),
    ]
    for answer, kind, told in cases:
        with pytest.raises(kind) as refused:
            check_nodes(nodes(probe, answer), run_dir, trials, None)
        assert told in str(refused.value)
        assert list(run.iterdir()) == [], "what was written for the question stays"


def test_other_data_on_a_node_are_told(
    run_dir: RunDir, trials: list[PlannedTrial], tmp_path: Path
) -> None:
    def shorter(wanted: ProbeRequest, node: str) -> dict[str, str]:
        os.truncate(tmp_path / "dev.csv", 10)
        return probe(wanted, node)

    with pytest.raises(DataError, match=r"dev\.csv: node node-0 .* has other files there than"):
        check_nodes(nodes(shorter), run_dir, trials, None)


def test_a_node_that_cannot_reach_an_object_store_is_named(
    s3: NewBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = RunDir(tmp_path)
    run_dir.url = s3()
    check_nodes(nodes(probe), run_dir, [], None)
    assert node_probe.Store(run_dir.url).files() == {}

    def away(wanted: ProbeRequest, node: str) -> dict[str, str]:
        away = "s3://bucket/x?endpoint_override=127.0.0.1:9&scheme=http"
        found = probe(replace(wanted, run_dir=away), node)
        return {wanted.run_dir if path == away else path: what for path, what in found.items()}

    with pytest.raises(RunDirectoryError, match=r"node node-0 .* cannot use it \(.*NETWORK_CONN"):
        check_nodes(nodes(away), run_dir, [], None)


def test_a_node_without_the_package_for_an_object_store_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = RunDir(tmp_path)
    run_dir.url = f"memory://{tmp_path.name}/there"

    def lacking(url: str) -> None:
        """What fsspec does where it lacks the package that knows a scheme."""
        raise ImportError("Install x to access y")

    def bare(wanted: ProbeRequest, node: str) -> dict[str, str]:
        with monkeypatch.context() as patch:
            patch.setattr("fsspec.core.url_to_fs", lacking)
            return probe(wanted, node)

    with pytest.raises(RunDirectoryError, match=r"node node-1 .* cannot use it \(.*Install x to"):
        check_nodes(nodes(probe, bare), run_dir, [], None)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, Path]]:
    """A node that sees this machine's files, and one that has a disk of its own at a folder."""
    folder = tmp_path_factory.mktemp("of-this-machine")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    cluster.add_node(num_cpus=1)
    start = f"mount -t tmpfs none {folder} && exec {sys.executable} -m ray.scripts.scripts start"
    node = subprocess.Popen(
        [
            "unshare",
            "--mount",
            "sh",
            "-c",
            f"{start} --address={cluster.address} --num-cpus=1 --block",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield cluster, folder
    node.terminate()
    node.wait(30)
    cluster.shutdown()


@pytest.mark.ray
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a process a disk of its own")
def test_a_real_node_with_a_disk_of_its_own_is_found_before_any_trial_starts(
    cluster: tuple[Cluster, Path], command: Command, tiny_bert: Path
) -> None:
    import ray

    joined, folder = cluster
    ray.init(joined.address)
    deadline = time.monotonic() + 60
    while sum(node["Alive"] for node in ray.nodes()) < 3:
        assert time.monotonic() < deadline, "the node does not come up"
        time.sleep(0.2)
    ray.shutdown()
    grid = [*small_grid(tiny_bert), f"ray.address={joined.address}"]
    ended = command("run", *grid, "--run-dir", str(folder / "run"))
    assert ended.code == 2, ended
    assert ended.err.count("\n") == 1, ended
    assert f"{folder}/run: node " in ended.err
    assert " has no such folder; put it on a file system that all nodes share" in ended.err
    assert not (folder / "run" / "records").exists()
