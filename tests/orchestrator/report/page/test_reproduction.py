"""The commands that run a grid again are exact."""

import shlex
from typing import Any

import pytest

from orchestrator.config.experiment import load_experiment
from orchestrator.config.search import load_tuned_experiment
from orchestrator.report.page.reproduction import (
    commands,
    environment_lines,
    stored_config,
)
from orchestrator.run_dir.directory import read_environment, write_config
from trainables.storage.run_dir import RunDir

OVERRIDES = [
    "seeds=[1,2]",
    "data.glue_dir=/data/my glue",
    "training.learning_rate=3e-5",
    "training.early_stopping={patience: 1}",
    "limits.max_train_examples={sst2: 10}",
    "margins={macro: 1.5}",
    "define.arms.shared_encoder.sampling={name: power, exponent: 0.75}",
]


@pytest.mark.parametrize("overrides", [[], OVERRIDES, *([one] for one in OVERRIDES)])
def test_the_command_loads_the_same_configuration(overrides: list[str]) -> None:
    config = load_experiment("quick", overrides)
    words = shlex.split(commands(config, {})[-1])
    assert words[:5] == ["python", "-m", "orchestrator", "run", "quick"]
    assert load_experiment("quick", words[5:]) == config


def test_a_search_is_run_again_with_its_space() -> None:
    config = load_tuned_experiment("quick", "small", ["tune.trials=4", "seeds=[1]"])
    words = shlex.split(commands(config, {})[-1])
    assert words[:6] == ["python", "-m", "orchestrator", "tune", "quick", "small"]
    assert load_tuned_experiment("quick", "small", words[6:]) == config


def test_what_no_preset_gives_is_run_from_the_stored_file(tmp_path: Any) -> None:
    config = load_experiment("quick", ["name=mine"])
    line = commands(config, {})[-1]
    assert line.startswith("python -m orchestrator run config.yaml --run-dir runs/mine-again")
    run_dir = RunDir(tmp_path)
    write_config(run_dir, config)
    assert load_experiment(str(run_dir.config), []) == config
    assert stored_config(run_dir) == config


@pytest.mark.parametrize(
    ("commit", "line"),
    [
        ("a1b2", "git checkout a1b2"),
        ("a1b2+changes", "git checkout a1b2 # and changes that were not committed"),
    ],
)
def test_the_code_is_named_as_far_as_it_is_known(commit: str, line: str) -> None:
    config = load_experiment("quick", [])
    assert commands(config, {"git_commit": commit})[0] == line
    assert commands(config, {"git_commit": None})[0].startswith("make install")


def test_what_is_missing_or_damaged_is_not_made_up(tmp_path: Any) -> None:
    run_dir = RunDir(tmp_path)
    for content in (None, "{", "[1]"):
        if content is not None:
            run_dir.environment.write_text(content)
            run_dir.config.write_text(content)
        assert read_environment(run_dir) == {}
        assert stored_config(run_dir) is None
    assert commands(None, {})[-1].startswith("# config.yaml is missing")


def test_the_environment_in_lines() -> None:
    known = {"python": "3.11", "packages": {"a": "1", "b": "2"}, "gpus": [], "memory_gib": 4.0}
    assert environment_lines(known) == (
        ("python", "3.11"),
        ("packages", "a 1, b 2"),
        ("memory gib", "4.0"),
    )
