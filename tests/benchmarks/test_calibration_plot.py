"""The figure shows the counts of a calibration."""

import json
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.calibration import SEEDS, conditions
from benchmarks.calibration_plot import METHODS, main


def test_means_of_every_method_and_number_of_seeds(tmp_path: Path) -> None:
    independent, correlated = (
        next(c.name for c in conditions() if c.correlation == rho) for rho in (0.0, 0.5)
    )
    keys = [f"{question}|macro|{seeds}" for question in METHODS for seeds in SEEDS]
    hits = {key: 70 + number for number, key in enumerate(keys)}
    cells = {
        "1": {independent: [hits, dict.fromkeys(keys, 100)]},
        "2": {correlated: [dict.fromkeys(keys, 0), dict.fromkeys(keys, 100)]},
    }
    (tmp_path / "cells.json").write_text(json.dumps(cells))
    main([str(tmp_path / "cells.json"), str(tmp_path)])
    parts = ElementTree.parse(tmp_path / "calibration.svg").iter()
    texts = {text for part in parts if (text := (part.text or "").strip())}
    assert {f"{70 + number}.0" for number in range(len(keys))} <= texts
    assert {f"{seeds} seeds" for seeds in SEEDS} <= texts
    assert "this project" in texts
