"""The long table of all numbers."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from orchestrator.report.results import COLUMNS, write_results
from tests.helpers.records import by_key, record, right, trial
from trainables.results.record import TrialRecord
from trainables.storage.run_dir import RunDir

Written = Callable[[TrialRecord], pd.DataFrame]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Writes the results of one record and reads them."""

    def write(of: TrialRecord) -> pd.DataFrame:
        write_results(RunDir(tmp_path), by_key(of))
        return pd.read_csv(RunDir(tmp_path).results)

    return write


def test_one_row_per_task_split_and_metric(written: Written) -> None:
    planned = trial("single_task", ["cola"])
    frame = written(record(planned, {"cola": [[3, 1], [1, 3]]}))
    assert tuple(frame.columns) == COLUMNS
    assert dict(zip(frame["metric"], frame["value"], strict=True)) == {
        "accuracy": 0.75,
        "f1": 0.75,
        "matthews": 0.5,
    }
    assert list(frame.loc[frame["headline"], "metric"]) == ["matthews"]
    assert set(frame["split"]) == {"validation"}


def test_loss_and_leak_are_metrics_where_known(written: Written) -> None:
    planned = trial("naive_concat_union", ["sst2"])
    result = {"confusion": right(8, 10), "loss": 0.4, "leak": 0.02}
    frame = written(record(planned, results={"validation": {"sst2": result}}))
    values = dict(zip(frame["metric"], frame["value"], strict=True))
    assert (values["loss"], values["leak"]) == (0.4, 0.02)


def test_a_trial_without_results_keeps_a_row_per_task(written: Written) -> None:
    failed = record(trial(), status="failed", error="out of memory")
    frame = written(failed)
    assert list(frame["task"]) == ["cola", "sst2", "mrpc"]
    assert set(frame["status"]) == {"failed"}
    assert list(frame["value"].isna()) == [True] * 3, "no number is made up"


def test_the_file_is_the_same_whatever_the_order_of_the_records(tmp_path: Path) -> None:
    records = by_key(*(record(trial(seed=seed)) for seed in (42, 41, 43)))
    run_dir = RunDir(tmp_path)
    write_results(run_dir, records)
    first = run_dir.results.read_bytes()
    assert list(pd.read_csv(run_dir.results)["seed"].unique()) == [41, 42, 43]
    write_results(run_dir, dict(reversed(records.items())))
    assert run_dir.results.read_bytes() == first


def test_several_tasks_are_summarised_too(written: Written) -> None:
    planned = trial("shared_encoder")
    results = {"cola": [[3, 1], [1, 3]], "sst2": [[4, 0], [0, 4]], "mrpc": [[0, 2], [0, 2]]}
    frame = written(record(planned, results))
    value = frame.set_index(["task", "metric"])["value"]
    assert value.loc["macro", "headline"] == pytest.approx((0.5 + 1.0 + 0.5) / 3)
    assert value.loc["pooled", "accuracy"] == pytest.approx(16 / 20)
    assert frame[frame["headline"]]["task"].tolist() == ["cola", "sst2", "mrpc", "macro"]
