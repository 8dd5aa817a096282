"""The measurement of errors over several looks, on a few grids."""

import pytest

from benchmarks import looks
from orchestrator.analysis.looks import LEVEL


def test_more_looks_and_higher_levels_err_at_least_as_often(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = looks.conditions()[:1]
    monkeypatch.setattr(looks, "conditions", lambda: first)
    found = looks.errors(grids=8, seed=1)
    for level, less in zip(looks.LEVELS, looks.LEVELS[1:], strict=False):
        for those in looks.LOOKS:
            assert found[those, level] >= found[those, less]
            assert found[looks.LOOKS[-1], level] >= found[those, level] or min(those) < 3
    assert max(found.values()) > [0.0]
    looks.main(["--grids", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(looks.LOOKS)
    assert lines[0] == f"| looks | at {100 * LEVEL:g} % each | at 2.5 % each | at 1.25 % each |"
