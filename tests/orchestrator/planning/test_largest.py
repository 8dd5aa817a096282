"""What ``plan`` says of a GPU that is divided among a grid's or a search's trials."""

import json
from pathlib import Path

import pytest

from orchestrator.config.experiment import load_experiment
from orchestrator.planning import resources
from orchestrator.planning.gpu_sharing import GpuSharing, Throughput
from orchestrator.planning.plan import largest, make_plan
from orchestrator.planning.resources import Node, TrialResources
from orchestrator.run_dir.resource_choices import write_choices
from tests.helpers.command import Command, small_grid
from trainables.storage.run_dir import RunDir


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine has two GPUs; the tiny encoder is small beside what is assumed of CUDA."""
    monkeypatch.setattr(resources, "this_machine", lambda: Node(8, 2, 64.0, 1.4))


@pytest.mark.usefixtures("gpus")
def test_a_plan_says_how_a_gpu_is_divided(tiny_bert: Path, command: Command) -> None:
    grid = small_grid(tiny_bert, "seeds=[1,2,3]")
    said = (
        "auto: 1/2 GPU each; the largest trial (shared_encoder tiny) needs about 0.6 GB of 1.4 GB; "
        "by memory alone: the run measures trials an hour first"
    )
    shown = command("plan", *grid)
    assert said in " ".join(shown.out.split())
    planned = json.loads(command("plan", *grid, "--json").out)
    assert planned["gpu"] == said
    assert {trial["resources"]["gpu"] for trial in planned["trials"]} == {0.5}
    assert json.loads(command("plan", *grid, "resources.gpu=0", "--json").out)["gpu"] == ""


@pytest.mark.usefixtures("gpus")
def test_a_plan_shows_what_its_run_has_measured(tiny_bert: Path, command: Command) -> None:
    preset, *overrides = small_grid(tiny_bert, "seeds=[1,2,3]")
    experiment = load_experiment(preset, overrides)
    measured = largest(make_plan(experiment)).config
    assert measured is not None
    run_dir = RunDir(Path("runs") / experiment.name)
    run_dir.root.mkdir(parents=True)
    curve = (Throughput(1, 120.0), Throughput(2, 121.0))
    sharing = GpuSharing(trial=measured.key, curve=curve)
    write_choices(run_dir, TrialResources(1, 1.0, 1, sharing=sharing))
    planned = json.loads(command("plan", preset, *overrides, "--json").out)
    assert planned["gpu"].startswith("auto: one GPU each")
    assert planned["gpu"].endswith("; trials an hour with 1 a GPU: 120, 2: 121")
    assert {trial["resources"]["gpu"] for trial in planned["trials"]} == {1.0}
    # Another trial was not measured.
    other = json.loads(command("plan", preset, *overrides, "training.epochs=9", "--json").out)
    assert other["gpu"].endswith("the run measures trials an hour first")


@pytest.mark.usefixtures("gpus")
def test_a_search_counts_the_largest_batch_of_its_space(
    tiny_bert: Path, command: Command, tmp_path: Path
) -> None:
    space = tmp_path / "space.yaml"
    space.write_text("name: sizes\nparameters: {training.batch_size: {choice: [8, 1024, 16]}}\n")
    shown = command("tune", "demo", str(space), *small_grid(tiny_bert)[1:], "--plan")
    assert shown.code == 0, shown.err
    text = " ".join(shown.out.split())
    # 1,024 examples of 64 tokens take hundreds of megabytes, 16 a few.
    assert "auto: one GPU each; the largest trial (shared_encoder tiny) needs about 1." in text


def test_the_largest_trial_is_named(tiny_bert: Path) -> None:
    preset, *overrides = small_grid(
        tiny_bert, "define.arms.single_task.training={batch_size: 64}", "training.precision=fp32"
    )
    plan = make_plan(load_experiment(preset, overrides))
    assert largest(plan).title == "single_task tiny"
