"""The measurement of shortcuts trains with each of them, and compares within a round."""

from pathlib import Path

import pytest

from benchmarks.levers import WAYS, loop_of, profiled, table, take
from tests.helpers.command import tiny
from trainables.models.shortcuts.dropout import BitDropout
from trainables.models.shortcuts.vocabulary import UsedEmbeddings


@pytest.fixture
def settings(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A small trial."""
    monkeypatch.delenv("GLUE_DIR", raising=False)
    return [tiny(tiny_bert), "model=tiny", "limits.max_train_examples=400"]


@pytest.mark.parametrize("way", WAYS)
def test_a_way_has_its_shortcuts(way: str, settings: list[str]) -> None:
    loop = loop_of("sentiment", "bf16", way, settings)
    modules = list(loop.model.modules())
    dropped = way == "all" or way.startswith("dropout")
    assert any(isinstance(module, BitDropout) for module in modules) == dropped
    trimmed = way in ("all", "words that occur")
    assert any(isinstance(module, UsedEmbeddings) for module in modules) == trimmed
    take(loop.run(), 1)
    assert loop.state.step == 1


def test_the_table_has_the_median_of_the_ratios_of_each_round() -> None:
    times = {"cola": {way: [8.0, 2.0, 8.0] for way in WAYS} | {"all": [4.0, 2.0, 2.0]}}
    assert table(times).splitlines()[-1] == "| all | 2 | 2.00 |"


def test_the_profile_names_the_largest_operations(settings: list[str]) -> None:
    line = profiled("sentiment", "fp32", "all", settings)
    assert line.startswith("- sentiment, all (")
    assert line.count("%") == 10
