"""The memory benchmark measures a process of its own, with an encoder of the shape asked for."""

import pytest

from benchmarks.method_memory import main, table, variants
from trainables.config import methods


def test_every_aggregation_is_measured() -> None:
    kinds = {f"aggregation.name={name}" for name in methods.variants("aggregation")}
    assert kinds <= set(variants())
    assert next(iter(variants())) == "aggregation.name=sum"


def test_the_table_compares_with_the_first() -> None:
    text = table({"plain": 100.0, "more": 150.4, "less": 40.0})
    assert text.splitlines()[2:] == [
        "| `plain` | 100 | +0 |",
        "| `more` | 150 | +50 |",
        "| `less` | 40 | -60 |",
    ]


def test_a_process_is_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GLUE_DIR", raising=False)
    shape = "--layers 1 --width 64 --steps 1 --only aggregation.name=pcgrad"
    main([*shape.split(), "limits.max_train_examples=30"])
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("1 layers, 64 wide")
    peak = float(printed[-1].split("|")[2])
    assert 100 < peak < 4000
