"""MLflow tracker: one run per trial, in the run directory's SQLite file or at a tracking URI.

Runs are tagged with the trial's key, so a resumed trial continues the same run.
"""

import glob
import logging
import os
import re
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from filelock import FileLock

from trainables.config.tracking import MLFLOW_STORES
from trainables.config.trial import Runtime, TrialConfig
from trainables.results.record import EpochResult
from trainables.secrets import redacted
from trainables.tracking.base import Report, cell_of, tags_of, values_of
from trainables.tracking.reachable import SECONDS, unreachable

SQLITE = "sqlite:///"
ENDINGS = {"finished": "FINISHED", "stopped": "KILLED"}
"""MLflow's run status for a trial's end; any other is FAILED."""

MOST_PARAMETERS, LONGEST_VALUE = 100, 6000
"""Parameters per request and characters per value that MLflow accepts."""


class MlflowTracker:
    """Logs one trial as an MLflow run."""

    def __init__(self, config: TrialConfig, runtime: Runtime) -> None:
        self._config = config
        self._store = _Store(runtime)
        with self._store.lock():
            self._run = self._store.run(
                config.key,
                config.title,
                {
                    "cell": cell_of(config),
                    "strategy": config.arm.strategy,
                    "model": config.model_name,
                    "tasks": ", ".join(config.tasks),
                    "seed": str(config.seed),
                    "tags": ", ".join(tags_of(config)),
                },
            )
            self._store.log_parameters(self._run, config.model_dump(mode="json"))
            logged = self._store.client.get_metric_history(self._run, "epoch")
        self._logged_steps = {metric.step for metric in logged}

    def log(self, epoch: EpochResult) -> None:
        """See ``Tracker.log``."""
        from mlflow.entities import Metric

        if epoch.step in self._logged_steps:
            return
        now = int(time.time() * 1000)
        values = values_of(epoch, self._config)
        metrics = [Metric(_name(key), value, now, epoch.step) for key, value in values.items()]
        with self._store.lock():
            self._store.client.log_batch(self._run, metrics=metrics)

    def finish(self, status: str) -> None:
        """See ``Tracker.finish``."""
        with self._store.lock():
            self._store.client.set_tag(self._run, "status", status)
            self._store.client.set_terminated(self._run, ENDINGS.get(status, "FAILED"))


class _Store:
    """MLflow's tracking store: a SQLite file, a server or a database."""

    def __init__(self, runtime: Runtime) -> None:
        _quiet()
        from mlflow import MlflowClient

        self._uri = uri_of(runtime)
        with self.lock():
            if self._uri.startswith(SQLITE):
                _create_database(self._uri)
            self.client = MlflowClient(self._uri)
            self._experiment = self._experiment_of(runtime)

    def lock(self) -> AbstractContextManager[Any]:
        """A lock for concurrent trials: SQLite gives up on a locked file after a few seconds."""
        if not self._uri.startswith(SQLITE):
            return nullcontext()
        return FileLock(self._uri.removeprefix(SQLITE) + ".lock")

    def _experiment_of(self, runtime: Runtime) -> str:
        """The id of the configured MLflow experiment, which is created if it does not exist."""
        from mlflow.exceptions import MlflowException

        experiment = self.client.get_experiment_by_name(runtime.tracking.mlflow.experiment)
        if experiment is not None:
            return experiment.experiment_id
        folder = Path(runtime.output_dir).resolve() / "mlartifacts"
        try:
            return self.client.create_experiment(
                runtime.tracking.mlflow.experiment,
                # A server stores its files itself.
                artifact_location=folder.as_uri() if self._uri.startswith(SQLITE) else None,
            )
        except MlflowException:
            # Another trial has created it in the meantime.
            experiment = self.client.get_experiment_by_name(runtime.tracking.mlflow.experiment)
            if experiment is None:
                raise
            return experiment.experiment_id

    def run(self, key: str, title: str, tags: dict[str, str]) -> str:
        """The id of the run with the tag ``key``, resumed if it exists, else created."""
        runs = self.client.search_runs([self._experiment], f"tags.`key` = '{key}'", max_results=1)
        if runs:
            run = runs[0].info.run_id
            self.client.update_run(run, status="RUNNING")
            return run
        tags = {"key": key} | tags
        return self.client.create_run(self._experiment, run_name=title, tags=tags).info.run_id

    def log_parameters(self, run: str, values: dict[str, Any]) -> None:
        """Log a configuration under its dotted keys.

        Parameters logged before are left as they are, because MLflow refuses to change them: file
        locations are not part of a trial's key and may differ when the trial is resumed.
        """
        from mlflow.entities import Param

        logged = self.client.get_run(run).data.params
        new = [
            Param(name, str(value)[:LONGEST_VALUE])
            for name, value in _flat(values)
            if name not in logged
        ]
        for first in range(0, len(new), MOST_PARAMETERS):
            self.client.log_batch(run, params=new[first : first + MOST_PARAMETERS])


def _create_database(uri: str) -> None:
    """Create a SQLite file with MLflow's tables if there is none.

    The file is moved to its place when it is complete: MLflow refuses one whose tables were being
    created when its process was killed.
    """
    from mlflow import MlflowClient
    from sqlalchemy.engine import make_url

    url = make_url(uri)
    if not url.database or Path(url.database).exists():
        return
    file = Path(url.database)
    for remains in file.parent.glob(f"{glob.escape(file.name)}.unfinished-*"):
        remains.unlink()
    # A name of its own, since MLflow keeps its connections to a name as long as the process runs.
    unfinished = Path(f"{file}.unfinished-{uuid.uuid4().hex[:8]}")
    MlflowClient(str(url.set(database=str(unfinished)))).search_experiments()
    unfinished.rename(file)


def _quiet() -> None:
    """Switch off MLflow's telemetry and log output, and shorten its timeouts.

    Environment variables that the user has set are left as they are.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _flat(values: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        name = f"{before}{_part(key)}"
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{name}.")
        elif value is not None:
            yield name, value


def _part(text: str) -> str:
    return re.sub(r"[^\w :-]", "_", text, flags=re.ASCII) or "_"


def _name(key: str) -> str:
    """A metric's name with the characters that MLflow accepts."""
    return "/".join(map(_part, key.split("/")))


def uri_of(runtime: Runtime) -> str:
    """The tracking URI: as configured, else ``MLFLOW_TRACKING_URI``, else the SQLite file."""
    given = runtime.tracking.mlflow.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    return given or f"{SQLITE}{Path(runtime.output_dir).resolve() / 'mlflow.db'}"


def publish(report: Report, runtime: Runtime) -> None:
    """Log a grid's table and report as artifacts of a run of their own."""
    store = _Store(runtime)
    with store.lock():
        run = store.run(report.key, report.title, {"tags": "report"})
        for file in report.files:
            store.client.log_artifact(run, str(file))
        store.client.set_terminated(run, "FINISHED")


def missing(runtime: Runtime) -> str:
    """Why the tracking URI cannot be used; empty if it can."""
    uri = uri_of(runtime)
    if uri.startswith(("http://", "https://")):
        reason = unreachable(uri.rstrip("/") + "/health")
        advice = "start the server, or leave mlflow.tracking_uri out for a SQLite file"
        return redacted(f"{uri}: {reason}; {advice}") if reason else ""
    if not uri.startswith(MLFLOW_STORES):
        stores = ", ".join(MLFLOW_STORES)
        return redacted(f"MLFLOW_TRACKING_URI={uri}: MLflow keeps no runs there, but at {stores}")
    if uri.startswith("databricks"):
        return ""
    reason = _no_database(uri)
    return redacted(f"{uri.partition('?')[0]}: {reason}") if reason else ""


def _no_database(uri: str) -> str:
    """Why a database cannot be used; empty if its driver is installed and it answers."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        url = make_url(uri)
        url.get_dialect().import_dbapi()
        if url.host and url.port:
            socket.create_connection((url.host, url.port), SECONDS).close()
    except (ArgumentError, NoSuchModuleError, ValueError):
        return "no address of a database"
    except ImportError as error:
        return f"its driver is missing ({error}); install the package"
    except OSError as error:
        return f"no answer ({error.strerror or error}); start the database"
    file = Path(url.database or "").absolute()
    folder = next(parent for parent in file.parents if parent.exists())
    if not url.host and not (folder.is_dir() and os.access(folder, os.W_OK)):
        return f"{folder} is no folder that can be written to"
    return ""
