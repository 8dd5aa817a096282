"""Builds what ``submit`` sends to the cluster: code, the user's own files, and the command."""

import hashlib
import json
import os
import platform
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import orchestrator
import search_spaces
import trainables
from orchestrator.config.experiment import ExperimentConfig, load_experiment
from orchestrator.config.search import TunedExperimentConfig, load_tuned_experiment
from orchestrator.monitor.log_snapshot import SECONDS as PICTURES
from orchestrator.run_dir.environment import git_commit
from trainables.errors import ConfigError
from trainables.secrets import check_run_directory

SHARED = "/shared"
"""Where the files in ``cluster/`` mount the file system that all nodes share."""

SENT = "one_or_many_sent"
"""Folder with the user's own preset and space."""

SENDER = "ONE_OR_MANY_SENDER"
"""Variable that describes the sending machine to the job, as JSON."""

DATABASE = "sqlite:///"
"""How the address of a database file begins; its path follows."""

SETTINGS = ("HF_HUB_OFFLINE", "WANDB_MODE")
"""Variables of this shell that are set on the cluster too. None of them is secret."""


@dataclass(frozen=True)
class Request:
    """A grid as a job.

    Attributes:
        arguments: of ``python -m orchestrator`` on the cluster.
        run_dir: the run directory on the cluster; a path or URL.
        files: the user's own files: path below ``SENT`` -> content.
        command: the command line that was typed here.
    """

    arguments: tuple[str, ...]
    run_dir: str
    files: dict[str, bytes]
    command: tuple[str, ...]

    @property
    def entrypoint(self) -> str:
        """The shell command of the job."""
        return shlex.join(["python", "-m", "orchestrator.cli.cluster_job", *self.arguments])

    @property
    def prefix(self) -> str:
        """How the ids of all jobs on this run directory begin; a counter follows."""
        name = re.sub(r"[^A-Za-z0-9_.-]", "-", PurePosixPath(self.run_dir).name)[:40]
        return f"{name}-{hashlib.sha256(self.run_dir.encode()).hexdigest()[:10]}-"

    @property
    def digest(self) -> str:
        """A hash of the arguments and of the contents of the files."""
        files = {path: hashlib.sha256(file).hexdigest() for path, file in self.files.items()}
        return hashlib.sha256(json.dumps([self.arguments, files]).encode()).hexdigest()

    @property
    def metadata(self) -> dict[str, str]:
        """Shown by the job API and the dashboard."""
        return {"run_dir": self.run_dir, "digest": self.digest, "commit": git_commit() or ""}

    def runtime_env(self, folders: list[str]) -> dict[str, Any]:
        """The job's environment; ``folders`` are those of ``packaged``.

        They are sent as ``py_modules``: a ``working_dir`` is unpacked anew by every node, and nodes
        that share a machine would replace it while others use it.
        """
        sender = {
            "python": platform.python_version(),
            "ray": version("ray"),
            "command": self.command,
        }
        variables = {name: os.environ[name] for name in SETTINGS if name in os.environ}
        variables |= {
            SENDER: json.dumps(sender),
            "ONE_OR_MANY_COMMIT": git_commit() or "",
            # The code that is sent comes before a copy in whose folder Ray may have been started.
            "PYTHONSAFEPATH": "1",
            # Seconds between two snapshots of the live view in the log.
            PICTURES: "10",
            # Time for a stopped grid to write its results.
            "RAY_JOB_STOP_WAIT_TIME_S": "60",
        }
        return {"py_modules": folders, "env_vars": variables}


def load(preset: str, space: str | None, overrides: list[str]) -> ExperimentConfig:
    """Load and check the configuration.

    Raises:
        ConfigError: names the first wrong setting.
    """
    if space is None:
        return load_experiment(preset, overrides)
    return load_tuned_experiment(preset, space, overrides)


def make_request(
    experiment: ExperimentConfig,
    preset: str,
    overrides: list[str],
    space: str | None,
    run_dir: str | None,
    command: list[str],
) -> Request:
    """The request for a configuration that has been checked.

    Raises:
        ConfigError: a key or run directory that cannot be used on a cluster.
        RunDirectoryError: a run directory's URL holds a secret.
    """
    if experiment.ray.address is not None or experiment.ray.dashboard:
        raise ConfigError("ray: a submitted grid runs on the cluster of --address; leave it out")
    _check_paths(experiment)
    name = experiment.name if space is None else f"{experiment.name}-{Path(space).stem}"
    where = run_dir or f"{SHARED}/runs/{name}"
    check_run_directory(where)
    if not where.startswith("/") and "://" not in where:
        raise ConfigError(
            f"--run-dir {where}: give a path from / or a URL that all nodes of the cluster share; "
            "the cluster does not know this folder"
        )
    files: dict[str, bytes] = {}
    arguments = ["run" if space is None else "tune"]
    for given in (preset, space):
        if given is not None and given.endswith((".yaml", ".yml")):
            sent_as = f"{len(files)}/{Path(given).name}"
            files[sent_as] = Path(given).read_bytes()
            given = sent_as
        arguments += [] if given is None else [given]
    arguments += [*overrides, "ray.address=auto", "--run-dir", where]
    return Request(tuple(arguments), where, files, tuple(command))


def _check_paths(experiment: ExperimentConfig) -> None:
    """Refuse relative paths, which name files and folders of this machine.

    Raises:
        ConfigError: names the key.
        RunDirectoryError: an earlier search's URL holds a secret.
    """
    given = {
        f"define.tasks.{name}.files.{split}": path
        for name, task in experiment.task_configs().items()
        for split, path in (task.files.paths if task.files else {}).items()
    }
    for name in experiment.models:
        encoder = experiment.model_config_of(name).encoder
        if Path(encoder).is_dir():
            given[f"define.models.{name}.encoder"] = encoder
    folders = {"glue_dir": experiment.data.glue_dir, "cache_dir": experiment.data.cache_dir}
    given |= {f"data.{key}": path for key, path in folders.items() if path is not None}
    runs = experiment.tracking.mlflow.tracking_uri
    if runs is not None and runs.startswith(DATABASE):
        given["tracking.mlflow.tracking_uri"] = runs
    earlier = experiment.tune.warm_start if isinstance(experiment, TunedExperimentConfig) else None
    if earlier is not None:
        check_run_directory(earlier)
        if "://" not in earlier:
            given["tune.warm_start"] = earlier
    for key, path in given.items():
        if not path.removeprefix(DATABASE).startswith("/"):
            raise ConfigError(
                f"{key}={path}: the cluster does not have this machine's files; put it where all "
                f"nodes share it, and give its path from / (for example {SHARED}/...)"
            )


@contextmanager
def packaged(request: Request) -> Iterator[list[str]]:
    """Temporary folders to send: the three packages and the user's own YAML files."""
    with TemporaryDirectory(prefix="one-or-many-") as temporary:
        root = Path(temporary)
        folders = []
        for module in (orchestrator, search_spaces, trainables):
            source = Path(str(module.__file__)).parent
            ignored = shutil.ignore_patterns("__pycache__", ".*")
            folders.append(shutil.copytree(source, root / source.name, ignore=ignored))
        if request.files:
            folders.append(root / SENT)
        for path, content in request.files.items():
            target = root / SENT / path
            target.parent.mkdir(parents=True)
            target.write_bytes(content)
        yield [str(folder) for folder in folders]
