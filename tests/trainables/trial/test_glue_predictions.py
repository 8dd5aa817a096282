"""Predictions for GLUE's test change no number of a trial, and its saved model gives them too."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.config.experiment import load_experiment
from orchestrator.planning.plan import make_plan
from orchestrator.run_dir.remote import run_dir_at
from tests.helpers.command import tiny
from tests.helpers.glue_folder import TESTS, write_glue
from tests.helpers.trials import finished, runtime
from trainables.config.trial import TrialConfig
from trainables.errors import ConfigError, DataError, RunDirectoryError
from trainables.trial.glue_predictions import load_tests, predict_saved, read_test_predictions
from trainables.trial.trial import run_trial


def planned(arm: str, tasks: str, encoder: Path, glue: Path, *overrides: str) -> TrialConfig:
    """The first trial of an arm on a small GLUE folder."""
    experiment = load_experiment(
        "demo",
        [
            tiny(encoder), "models=[tiny]", f"tasks=[{tasks}]", f"arms=[{arm}]", "seeds=[1]",
            f"data.glue_dir={glue}", "data.source=glue_dir", "training.epochs=1",
            "training.batch_size=4", "training.precision=fp32", *overrides,
        ],
    )  # fmt: skip
    return make_plan(experiment).trials[0].config


@pytest.mark.parametrize(
    ("arm", "tasks", "files"),
    [
        ("single_task", "cola", ["CoLA"]),
        ("naive_concat", "cola,rte", ["CoLA", "RTE"]),
        ("naive_concat_union", "cola,rte", ["CoLA", "RTE"]),
        ("shared_encoder", "rte,stsb,mnli", ["RTE", "STS-B", "MNLI-m", "MNLI-mm", "AX"]),
    ],
)
def test_predictions_are_beside_the_record_and_change_nothing_in_it(
    arm: str, tasks: str, files: list[str], tiny_bert: Path, tmp_path: Path
) -> None:
    glue = write_glue(tmp_path / "glue")
    own = [
        "define.arms.naive_concat_union.mask_other_tasks=false",
        "define.arms.naive_concat_union.task_prefix=true",
        "define.arms.naive_concat.label_space=positions",
    ]
    plain = planned(arm, tasks, tiny_bert, glue, *own)
    asked = planned(arm, tasks, tiny_bert, glue, *own, "training.predict_test=true")
    assert plain.key != asked.key
    settings: dict[str, Any] = {"glue_dir": str(glue)}
    without, _ = finished(plain, tmp_path / "without", **settings)
    record, trial = finished(asked, tmp_path / "with", save_model=True, **settings)
    assert record.results == without.results
    assert read_test_predictions(trial.run_dir, plain.key) is None
    predictions = read_test_predictions(trial.run_dir, asked.key)
    assert predictions is not None
    assert {name: len(own) for name, own in predictions.items()} == {n: TESTS[n] for n in files}
    saved = predict_saved(
        trial.run_dir.model(asked.key),
        asked,
        runtime(tmp_path / "with", **settings),
        load_tests(asked, str(glue)),
    )
    for name, of_trial in predictions.items():
        np.testing.assert_allclose(saved[name], of_trial, atol=1e-5)
        if name != "STS-B":
            assert set(of_trial) <= set(range(3 if name in ("MNLI-m", "MNLI-mm", "AX") else 2))


def test_predictions_and_models_lie_in_an_object_store_too(tiny_bert: Path, tmp_path: Path) -> None:
    glue = write_glue(tmp_path / "glue")
    config = planned("single_task", "rte", tiny_bert, glue, "training.predict_test=true")
    url = (tmp_path / "store").as_uri()
    settings = {"store": url, "save_model": True, "glue_dir": str(glue)}
    trial = run_trial(config, runtime(tmp_path, **settings))
    assert not trial.run_dir.test_predictions(config.key).exists()
    there = run_dir_at(url)
    predictions = read_test_predictions(there, config.key)
    assert predictions is not None
    there.fetch_folder(there.model(config.key))
    saved = predict_saved(
        there.model(config.key),
        config,
        runtime(tmp_path, glue_dir=str(glue)),
        load_tests(config, str(glue)),
    )
    assert saved["RTE"].tolist() == predictions["RTE"].tolist()


def test_a_test_file_that_is_missing_is_found_by_the_plan(tiny_bert: Path, tmp_path: Path) -> None:
    glue = write_glue(tmp_path / "glue")
    (glue / "CoLA" / "test.tsv").unlink()
    planned("single_task", "cola", tiny_bert, glue)
    with pytest.raises(DataError, match=r"CoLA/test\.tsv: no such file"):
        planned("single_task", "cola", tiny_bert, glue, "training.predict_test=true")


def test_tasks_that_are_not_glue_s_have_nothing_to_predict(tiny_bert: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"training\.predict_test: sentiment is none of GLUE's"):
        planned("single_task", "sentiment", tiny_bert, tmp_path, "training.predict_test=true")


def test_one_of_glue_s_tasks_is_answered_once(tiny_bert: Path, tmp_path: Path) -> None:
    twice = "define.tasks.again={text: [sentence], labels: [bad, good], glue_dir: CoLA}"
    glue = write_glue(tmp_path / "glue")
    with pytest.raises(DataError, match=r"tasks cola and again are both GLUE's CoLA"):
        planned(
            "shared_encoder", "cola,again", tiny_bert, glue, twice, "training.predict_test=true"
        )


def test_a_damaged_file_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    glue = write_glue(tmp_path / "glue")
    config = planned("single_task", "cola", tiny_bert, glue, "training.predict_test=true")
    _, trial = finished(config, tmp_path, glue_dir=str(glue))
    path = trial.run_dir.test_predictions(config.key)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RunDirectoryError, match=r"test\.parquet: damaged"):
        read_test_predictions(trial.run_dir, config.key)
