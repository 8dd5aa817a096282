"""MLflow's SQLite file under several trials at once."""

import subprocess
import sys
from pathlib import Path

from mlflow import MlflowClient

from tests.conftest import PROJECT
from tests.trials import runtime

PROCESSES, EPOCHS = 4, 10

WRITER = """
import sys

from trainables.config import Runtime
from trainables.tracking.mlflow import _Store
from mlflow.entities import Metric

store = _Store(Runtime(output_dir=sys.argv[1]))
with store.alone():
    run = store.run(sys.argv[2], sys.argv[2], {})
for step in range(int(sys.argv[3])):
    with store.alone():
        store.client.log_batch(run, metrics=[Metric("x", 1.0, 1, step)])
"""


def test_four_processes_write_to_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    root = Path(runtime(tmp_path).output_dir)
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(root), f"trial{i}", str(EPOCHS)],
            cwd=PROJECT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(PROCESSES)
    ]
    for writer in writers:
        _, err = writer.communicate(timeout=240)
        assert (writer.returncode, err) == (0, "")
    client = MlflowClient(f"sqlite:///{root / 'mlflow.db'}")
    [experiment] = [e for e in client.search_experiments() if e.name == "one-model-or-many"]
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.data.tags["key"] for run in runs) == [f"trial{i}" for i in range(PROCESSES)]
    for run in runs:
        history = client.get_metric_history(run.info.run_id, "x")
        assert [metric.step for metric in history] == list(range(EPOCHS))
