"""Encoders of a plan: checked once for the same files, and what is made of peculiar ones."""

import json
import os
import shutil
from pathlib import Path

import pytest

from orchestrator.config.experiment import load_experiment
from orchestrator.planning import resources
from orchestrator.planning.plan import Plan, make_plan
from orchestrator.planning.resources import Node
from tests.helpers.command import Command, small_grid
from tests.helpers.tiny_encoders import build_encoder
from trainables.data import fact_cache, tokens
from trainables.errors import EncoderError
from trainables.models import encoder

LORA = "define.arms.shared_encoder.adapter={rank: 2}"


@pytest.fixture
def folder(tmp_path: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the tiny encoder whose files are old; this process knows no facts yet."""
    monkeypatch.setattr(fact_cache, "_memory", {})
    copy = tmp_path / "encoder"
    shutil.copytree(tiny_bert, copy)
    for path in copy.iterdir():
        os.utime(path, (1e9, 1e9))
    return copy


def planned(folder: Path) -> Plan:
    """The plan of two small tasks, as another process would make it."""
    fact_cache._memory.clear()
    preset, *overrides = small_grid(folder, f"data.cache_dir={folder.parent / 'cache'}")
    return make_plan(load_experiment(preset, overrides))


def test_what_is_known_is_not_found_out_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = planned(folder)

    def used(*_: object) -> None:
        raise AssertionError("what was found out before is found out again")

    for module, name in (
        (encoder, "check_encoder"),
        (encoder, "load_tokenizer"),
        (tokens, "count_longer"),
    ):
        monkeypatch.setattr(module, name, used)
    again = planned(folder)
    assert again.encoders == first.encoders
    assert again.facts == first.facts
    assert [trial.key for trial in again.trials] == [trial.key for trial in first.trials]
    assert again.longest_first() == first.longest_first()


def test_an_encoder_that_changes_is_checked_again(folder: Path) -> None:
    planned(folder)
    config = folder / "config.json"
    content = json.loads(config.read_text()) | {"max_position_embeddings": 32}
    config.write_text(json.dumps(content))
    os.utime(config, (1e9 + 1, 1e9 + 1))
    with pytest.raises(EncoderError, match=r"its config\.json makes it"):
        planned(folder)


@pytest.mark.parametrize("name", ["longformer", "xlm", "flaubert", "ibert", "xmod"])
def test_memory_that_cannot_be_counted_gets_a_gpu(
    name: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "this_machine", lambda: Node(8, 2, 64.0, 16.0))
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
