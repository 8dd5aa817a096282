"""What MLflow's own rules must not do to a trial."""

from pathlib import Path
from typing import Any

import alembic.command
import pytest
from mlflow import MlflowClient

from tests.helpers.trials import runtime, trial_config
from trainables.tracking.mlflow import MlflowTracker


def test_a_trial_goes_on_although_what_is_not_in_its_key_has_changed(
    tiny_bert: Path, tmp_path: Path
) -> None:
    """MLflow refuses another value for a parameter that is there."""
    config = trial_config("single_task", tiny_bert)
    moved = config.model_copy(
        update={
            "arm": config.arm.model_copy(update={"label": "another"}),
            "sources": {"acceptability": "another"},
        }
    )
    assert moved.key == config.key
    settings = runtime(tmp_path)
    for trial in (config, moved):
        tracker = MlflowTracker(trial, settings)
    tracker.finish("finished")
    client = MlflowClient(f"sqlite:///{Path(settings.output_dir) / 'mlflow.db'}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    [run] = client.search_runs(experiments)
    assert run.info.status == "FINISHED"
    assert run.data.params["sources.acceptability"] == config.sources["acceptability"]


def test_another_trial_may_make_the_experiment_in_the_same_moment(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, settings = trial_config("single_task", tiny_bert), runtime(tmp_path)
    MlflowTracker(config, settings)
    asked = MlflowClient.get_experiment_by_name
    answers: list[Any] = []

    def late(client: MlflowClient, name: str) -> Any:
        answers.append(asked(client, name) if answers else None)
        return answers[-1]

    monkeypatch.setattr(MlflowClient, "get_experiment_by_name", late)
    MlflowTracker(config, settings).finish("finished")
    assert len(answers) == 2


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it is done."""


def test_a_process_killed_while_mlflow_creates_its_tables_does_not_stop_later_ones(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow itself refuses a file in which some of its tables are missing."""
    config, settings = trial_config("single_task", tiny_bert), runtime(tmp_path)
    file = Path(settings.output_dir) / "mlflow.db"

    def killed(*arguments: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(alembic.command, "upgrade", killed)
        with pytest.raises(Killed):
            MlflowTracker(config, settings)
    assert not file.exists()
    assert list(file.parent.glob("mlflow.db.unfinished-*"))
    MlflowTracker(config, settings).finish("finished")
    assert {path.name for path in file.parent.glob("mlflow*")} == {"mlflow.db", "mlflow.db.lock"}
    client = MlflowClient(f"sqlite:///{file}")
    [run] = client.search_runs([e.experiment_id for e in client.search_experiments()])
    assert run.info.status == "FINISHED"
