"""Encoders of a plan are checked, and texts counted, once for the same files."""

import json
import os
import shutil
from pathlib import Path

import pytest

from orchestrator.config.experiment import load_experiment
from orchestrator.planning.plan import Plan, make_plan
from tests.helpers.command import small_grid
from trainables.data import fact_cache, tokens
from trainables.errors import EncoderError
from trainables.models import encoder


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
    with pytest.raises(EncoderError, match="reads at most 32 tokens"):
        planned(folder)
