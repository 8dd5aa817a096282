"""The Trainable between Tune and a trial, driven as Tune drives it, without a cluster."""

import weakref
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers.trials import runtime, trial_config
from trainables.results.record import TrialRecord, read_record
from trainables.storage.run_dir import RunDir
from trainables.trial.trial import Trial, run_trial
from trainables.tune.trainable import NAMED, TrialTrainable, trainable_of


def cell(folder: Path, encoder: Path, arm: str = "single_task", **settings: Any) -> dict[str, Any]:
    config = trial_config(arm, encoder, **settings)
    return {
        "trial_spec": {
            "key": config.key,
            "trial": config.model_dump(mode="json"),
            "runtime": runtime(folder).model_dump(mode="json"),
            "resources": {"CPU": 1.0},
        }
    }


def end(trainable: TrialTrainable) -> dict[str, Any]:
    """Step a trial to its end; its last result."""
    for _ in range(1000):
        result = trainable.step()
        if result["done"]:
            return result
    raise AssertionError("the trial does not end")


def record_of(config: dict[str, Any]) -> TrialRecord:
    run_dir = RunDir(config["trial_spec"]["runtime"]["output_dir"])
    return read_record(run_dir.record(config["trial_spec"]["key"]))


def measured(record: TrialRecord) -> dict[str, Any]:
    timed = {"train_seconds", "eval_seconds", "started", "finished", "history"}
    history = [epoch.model_dump(exclude={"seconds"}) for epoch in record.history]
    return record.model_dump(exclude=timed) | {"history": history}


@pytest.mark.parametrize("slice_seconds", [0.0, 1e9])
def test_a_reused_actor_gives_the_bits_of_a_fresh_process(
    slice_seconds: float, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrialTrainable, "slice_seconds", slice_seconds)
    first, second = (cell(tmp_path, tiny_bert, "shared_encoder", seed=seed) for seed in (41, 42))
    trainable = TrialTrainable(first)
    end(trainable)
    assert trainable.reset_config(second)
    assert end(trainable)["status"] == "finished"
    config = trial_config("shared_encoder", tiny_bert, seed=42)
    run_trial(config, runtime(tmp_path / "alone"))
    alone = read_record(RunDir(tmp_path / "alone" / "run").record(config.key))
    assert measured(record_of(second)) == measured(alone)


def test_a_failed_trial_is_recorded_and_the_next_one_trains(
    tiny_bert: Path, tmp_path: Path
) -> None:
    failing = cell(tmp_path, tiny_bert, learning_rate=1e30)
    following = cell(tmp_path, tiny_bert)
    trainable = TrialTrainable(failing)
    result = end(trainable)
    assert result["status"] == "diverged" == record_of(failing).status
    assert result["error"] == record_of(failing).error
    assert trainable.reset_config(following)
    assert end(trainable)["status"] == "finished" == record_of(following).status


def test_the_memory_of_a_trial_is_free_when_it_has_ended(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrialTrainable, "slice_seconds", 0.0)
    trainable = TrialTrainable(cell(tmp_path, tiny_bert))
    assert not trainable.step()["done"]
    loop = getattr(trainable._slices.trial, "loop", None)
    assert loop is not None
    model = weakref.ref(loop.model)
    del loop
    assert model() is not None
    end(trainable)
    assert model() is None


def test_an_unusable_gpu_ends_the_process_and_not_the_trial(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unusable(trial: Trial) -> Any:
        raise torch.AcceleratorError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(Trial, "_prepare", unusable)
    config = cell(tmp_path, tiny_bert)
    trainable = TrialTrainable(config)
    with pytest.raises(torch.AcceleratorError):
        trainable.step()
    assert not RunDir(tmp_path / "run").record(config["trial_spec"]["key"]).exists()


@pytest.mark.parametrize("resources", [{"CPU": 2.0}, {"CPU": 1.0, "GPU": 0.5}])
def test_tune_reserves_what_the_trial_was_given(resources: dict[str, float]) -> None:
    request = TrialTrainable.default_resource_request({"trial_spec": {"resources": resources}})
    assert request.bundles == [resources]


@pytest.mark.parametrize(
    ("arm", "name", "task"),
    [
        ("single_task", "SingleTaskTrial", "acceptability"),
        ("naive_concat", "NaiveConcatTrial", "acceptability+sentiment+paraphrase"),
        ("shared_encoder", "SharedEncoderTrial", "acceptability+sentiment+paraphrase"),
    ],
)
def test_a_process_for_one_trial_is_called_by_it(
    arm: str, name: str, task: str, tiny_bert: Path, tmp_path: Path
) -> None:
    config = cell(tmp_path, tiny_bert, arm)
    key = config["trial_spec"]["key"]
    assert trainable_of(arm, reuse=False) == name
    trainable = NAMED[arm](config)
    assert repr(trainable) == f"{arm} tiny {task} seed 41 ({key})"
    with pytest.raises(RuntimeError, match=f"{key}.*for one trial alone"):
        trainable.reset_config(config)


def test_a_process_for_many_trials_has_the_name_of_none(tiny_bert: Path, tmp_path: Path) -> None:
    assert trainable_of("single_task", reuse=True) == "TrialTrainable"
    assert repr(TrialTrainable(cell(tmp_path, tiny_bert))) == "TrialTrainable"
