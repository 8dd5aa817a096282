"""MLflow's SQLite file under several trials at once."""

import subprocess
import sys
from pathlib import Path

from mlflow import MlflowClient

from tests.conftest import PROJECT
from tests.helpers.trials import runtime

TRIALS, EPOCHS = ("trial0", "trial1", "trial2", "trial3"), 10

WRITERS = """
import multiprocessing
import sys

import mlflow.store.tracking.sqlalchemy_store
from mlflow.entities import Metric
from trainables.config.trial import Runtime
from trainables.tracking.mlflow import _Store

def write(key):
    store = _Store(Runtime(output_dir=sys.argv[1]))
    with store.lock():
        run = store.run(key, key, {})
    for step in range(int(sys.argv[2])):
        with store.lock():
            store.client.log_batch(run, metrics=[Metric("x", 1.0, 1, step)])

# Forked when all is imported, so that they do write at the same time.
fork = multiprocessing.get_context("fork")
writers = [fork.Process(target=write, args=[key]) for key in sys.argv[3:]]
for writer in writers:
    writer.start()
for writer in writers:
    writer.join()
sys.exit(any(writer.exitcode for writer in writers))
"""


def test_four_processes_write_to_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    root = Path(runtime(tmp_path).output_dir)
    ended = subprocess.run(
        [sys.executable, "-c", WRITERS, str(root), str(EPOCHS), *TRIALS],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    client = MlflowClient(f"sqlite:///{root / 'mlflow.db'}")
    [experiment] = [e for e in client.search_experiments() if e.name == "one-model-or-many"]
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.data.tags["key"] for run in runs) == list(TRIALS)
    for run in runs:
        history = client.get_metric_history(run.info.run_id, "x")
        assert [metric.step for metric in history] == list(range(EPOCHS))
