"""The bars of a comparison show its numbers."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from benchmarks.peers_plot import main


def figures(seconds: float, megabytes: float) -> dict[str, Any]:
    return {"seconds": seconds, "megabytes": megabytes, "accuracies": {"cola": 0.5, "mrpc": 0.5}}


def drawn(path: Path) -> list[str]:
    """The texts of an SVG."""
    return [text for e in ElementTree.parse(path).iter() if (text := (e.text or "").strip())]


def test_a_plot_for_each_comparison(tmp_path: Path) -> None:
    trial = {
        "cola": {"Trainer fp32": [figures(8, 100)], "this project fp32": [figures(4, 90)]},
        "mrpc": {"Trainer fp32": [figures(30, 300)], "this project fp32": [figures(20, 200)]},
    }
    multitask = {
        "tasknet fp32": [figures(90, 500), figures(80, 500)],
        "this project bf16": [figures(45, 410), figures(10, 412)],
    }
    results = tmp_path / "peers.json"
    results.write_text(json.dumps({"grid": {}, "trial": trial, "multitask": multitask}))
    main([str(results), str(tmp_path)])

    texts = drawn(tmp_path / "peers-trial.svg")
    assert "times as fast as Trainer fp32" in texts
    assert {"cola, this project fp32", "2.00", "90", "mrpc, this project fp32", "1.50"} <= set(
        texts
    )

    texts = drawn(tmp_path / "peers-multitask.svg")
    assert "times as fast as tasknet fp32" in texts
    assert {"cola, mrpc, this project bf16", "5.00", "411"} <= set(texts)


def test_what_was_not_measured_is_not_drawn(tmp_path: Path) -> None:
    results = tmp_path / "peers.json"
    results.write_text(json.dumps({"grid": {"this project, fp32": [3.0]}}))
    main([str(results), str(tmp_path)])
    assert list(tmp_path.iterdir()) == [results]


def test_equal_numbers_are_the_same_image(tmp_path: Path) -> None:
    results = tmp_path / "peers.json"
    results.write_text(json.dumps({"trial": {"cola": {"Trainer fp32": [figures(8, 100)]}}}))
    images = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        main([str(results), str(folder)])
        images.append((folder / "peers-trial.svg").read_bytes())
    assert images[0] == images[1]
