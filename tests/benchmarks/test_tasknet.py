"""tasknet gets the examples that a trial trains, in an environment with the same libraries."""

import ast
import json
import sys
from pathlib import Path

import pytest

from benchmarks.one_training import load_config, train
from benchmarks.tasknet_runs import REQUIREMENTS, job_of
from tests.conftest import PROJECT
from tests.helpers.command import tiny
from tests.test_architecture import imported


def pins(path: Path) -> dict[str, str]:
    """Package -> version, of a file of requirements."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


def test_a_job_holds_the_examples_that_a_trial_trains(
    tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GLUE_DIR", raising=False)
    limits = ["limits.max_train_examples=24", "limits.max_validation_examples=10"]
    settings = ["training={epochs: 2, batch_size: 8}", tiny(tiny_bert), "model=tiny", *limits]
    config, glue = load_config("sentiment,paraphrase", "fp32", settings, "shared_encoder")
    job = json.loads(json.dumps(job_of(config, glue, 1)))
    assert (Path(job["encoder"]) / "config.json").is_file()
    sizes = [
        len(job["tasks"][task][split]["labels"])
        for task in ("sentiment", "paraphrase")
        for split in ("train", "validation")
    ]
    assert sizes == [24, 10, 24, 10]
    assert {len(texts) for texts in job["tasks"]["paraphrase"]["train"]["texts"]} == {2}
    trial = train("trial", config, glue, job["threads"])
    assert trial.examples == job["epochs"] * sum(sizes)
    assert list(trial.accuracies) == list(job["tasks"])


def test_both_sides_have_the_same_libraries() -> None:
    ours = pins(PROJECT / "requirements.txt") | pins(PROJECT / "requirements-dev.txt")
    theirs = pins(REQUIREMENTS)
    assert theirs.keys() - ours.keys() == {"tasknet", "tasksource"}
    assert {name: ours[name] for name in theirs.keys() & ours.keys()}.items() <= theirs.items()


def test_the_script_imports_only_what_its_environment_has() -> None:
    """It runs where the packages of the project are not."""
    names: set[str] = set()
    for module in ("tasknet_training", "resident_memory", "trainer_clock"):
        source = PROJECT / "benchmarks" / f"{module}.py"
        names |= set(imported(ast.parse(source.read_text(encoding="utf-8"))))
    ours = {name for name in names if name.startswith("benchmarks")}
    assert ours == {
        "benchmarks.resident_memory",
        "benchmarks.resident_memory.most_resident",
        "benchmarks.resident_memory.resident",
        "benchmarks.trainer_clock",
        "benchmarks.trainer_clock.TrainerClock",
    }
    packages = {name.partition(".")[0] for name in names - ours} - sys.stdlib_module_names
    assert packages <= pins(REQUIREMENTS).keys()
