"""What a plan makes of encoders that are peculiar."""

import json
from pathlib import Path

import pytest

from orchestrator.commands import session
from orchestrator.config.experiment import load_experiment
from orchestrator.planning.plan import make_plan
from orchestrator.planning.resources import Node
from tests.helpers.command import Command, small_grid
from tests.helpers.tiny_encoders import build_encoder

LORA = "define.arms.shared_encoder.adapter={rank: 2}"


@pytest.mark.parametrize("name", ["longformer", "xlm", "flaubert", "ibert", "xmod"])
def test_memory_that_cannot_be_counted_gets_a_gpu(
    name: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "this_machine", lambda: Node(8, 2, 64.0, 16.0))
    folder = build_encoder(name, tmp_path / "m")
    planned = command("plan", *small_grid(folder), "--json")
    assert planned.code == 0, planned.err
    content = json.loads(planned.out)
    assert content["gpu"].startswith("auto: one GPU each; what ")
    assert "tiny needs cannot be counted" in content["gpu"]
    assert {trial["resources"]["gpu"] for trial in content["trials"]} == {1.0}


@pytest.mark.parametrize("name", ["squeezebert", "ibert"])
def test_an_adapter_that_reaches_nothing_is_refused(
    name: str, command: Command, tmp_path: Path
) -> None:
    grid = small_grid(build_encoder(name, tmp_path / "m"))
    assert command("plan", *grid).code == 0
    ended = command("plan", *grid, LORA)
    assert ended.code == 2
    assert "define.arms.shared_encoder.adapter: tiny cannot have one" in ended.err


def keys(folder: Path, tasks: str) -> dict[str, tuple[str, ...]]:
    """Key -> corrections of a grid's trials; the model's name and folder are the same for all."""
    preset, *overrides = small_grid(folder, f"tasks=[{tasks}]", "arms=[shared_encoder]")
    plan = make_plan(load_experiment(preset, overrides))
    return {trial.key: trial.config.corrections for trial in plan.trials}


def test_what_was_corrected_enters_the_keys_of_the_trials_that_it_changes(tmp_path: Path) -> None:
    """Of texts alone a pair's segments change nothing."""
    folder = tmp_path / "m"
    build_encoder("bert", folder)
    single, pairs = keys(folder, "sentiment"), keys(folder, "paraphrase")
    build_encoder("bert with a generic tokenizer", folder)
    assert keys(folder, "sentiment") == single
    corrected = keys(folder, "paraphrase")
    assert corrected.keys() != pairs.keys()
    assert list(corrected.values()) == [("segments",)]
