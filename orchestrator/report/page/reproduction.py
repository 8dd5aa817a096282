"""What a grid ran with, and the commands that run it again."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.config.experiment import ExperimentConfig, load_experiment
from orchestrator.config.search import TunedExperimentConfig, load_tuned_experiment
from orchestrator.config.stored import upgraded
from orchestrator.text import plain
from search_spaces.presets import preset_names
from search_spaces.yaml_files import read_yaml
from trainables.config.explain import validated
from trainables.errors import ConfigError
from trainables.secrets import redacted
from trainables.storage.run_dir import RunDir

MOST_OVERRIDES = 40
"""Where more keys differ from the preset's, ``config.yaml`` takes the preset's place."""


def environment_lines(content: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Name and text of each thing that is known of the environment."""
    lines = []
    for name, value in content.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {item}" for key, item in value.items())
        elif isinstance(value, list):
            value = ", ".join(map(str, value))
        if value not in (None, ""):
            lines.append((plain(name.replace("_", " ")), plain(str(value))))
    return tuple(lines)


def stored_config(run_dir: RunDir) -> ExperimentConfig | None:
    """What ``config.yaml`` says; None where it is missing, damaged or cannot be read any more."""
    try:
        values = upgraded(read_yaml(run_dir.config))
        return validated(TunedExperimentConfig if "space" in values else ExperimentConfig, values)
    except (ConfigError, OSError):
        return None


def commands(config: ExperimentConfig | None, known: Mapping[str, Any]) -> tuple[str, ...]:
    """Lines of a shell that run a grid again.

    Args:
        config: its ``stored_config``.
        known: its ``environment.json``, see ``read_environment``.
    """
    commit = str(known.get("git_commit") or "")
    lines = []
    if commit:
        changed = "   # and changes that were not committed" * commit.endswith("+changes")
        lines.append(f"git checkout {shlex.quote(commit.removesuffix('+changes'))}{changed}")
    lines += ["make install && . .venv/bin/activate", *_run(config)]
    return tuple(plain(redacted(line)) for line in lines)


def _run(config: ExperimentConfig | None) -> list[str]:
    if config is None:
        return ["# config.yaml is missing, or of another version of this project"]
    command = _from_preset(config)
    if command is not None:
        return [command]
    if isinstance(config, TunedExperimentConfig):
        return [
            "# the search's settings and its space stand in config.yaml, under tune and space",
        ]
    return [
        f"python -m orchestrator run config.yaml --run-dir runs/{config.name}-again"
        "   # config.yaml of this run directory",
    ]


def _from_preset(config: ExperimentConfig) -> str | None:
    """The command with a built-in preset and overrides; None if there is none that is the same."""
    if config.name not in preset_names():
        return None
    arguments = [config.name]
    try:
        if isinstance(config, TunedExperimentConfig):
            arguments.append(config.space.name)
        differing = dict(_differences(_load(arguments, []), config.model_dump(mode="json")))
        overrides = [f"{key}={_written(value)}" for key, value in differing.items()]
        same = _load(arguments, overrides) == config.model_dump(mode="json")
    except ConfigError:
        return None
    if not same or len(overrides) > MOST_OVERRIDES:
        return None
    command = "tune" if isinstance(config, TunedExperimentConfig) else "run"
    return shlex.join(["python", "-m", "orchestrator", command, *arguments, *overrides])


def _load(arguments: list[str], overrides: list[str]) -> dict[str, Any]:
    preset, *space = arguments
    if space:
        loaded = load_tuned_experiment(preset, space[0], overrides)
    else:
        loaded = load_experiment(preset, overrides)
    return loaded.model_dump(mode="json")


def _differences(
    old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """The keys whose values differ, each with the new one."""
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            yield from _differences(before, value, f"{prefix}{key}.")
        elif value != before:
            yield prefix + key, value


def _written(value: Any) -> str:
    """A value of an override, which is YAML."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z/~][\w./:~-]*", value):
        return value
    return json.dumps(value, ensure_ascii=False).replace('", "', '","')
