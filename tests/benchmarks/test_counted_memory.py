"""The memory that is counted for ``resources.gpu=auto`` is what the CPU's allocator gives."""

import pytest

from benchmarks.counted_memory import main

TOLERANCE = 0.05
"""By which share what is counted and what is allocated may differ."""


def test_what_is_counted_is_what_is_allocated(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GLUE_DIR", raising=False)
    embedded = "define.models.minilm-l6={encoder: minilm-l6, num_layers: 1, max_length: 16}"
    shape = ["--layers", "2", "--width", "128", "training.batch_size=8"]
    main([*shape, embedded, "limits.max_train_examples=30"])
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines() if "|" in line]
    assert [row[1].strip() for row in rows[2:]] == ["minilm-l6", "2 layers, 128 wide"]
    for row in rows[2:]:
        assert float(row[2]) == pytest.approx(float(row[3]), rel=TOLERANCE)
