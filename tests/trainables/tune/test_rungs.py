"""Trials of a search: measured at their rungs on selection alone, and stopped in between."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers.trials import finished, runtime, trial_config
from tests.trainables.tune.test_trainable import end
from trainables.config.trial import Runtime, SearchConfig, SelectionConfig, TrialConfig
from trainables.results.record import EpochResult, read_record
from trainables.storage.run_dir import RunDir
from trainables.tracking import registry
from trainables.training.loop import TrainingLoop
from trainables.trial.trial import Trial
from trainables.tune.trainable import TrialTrainable

RUNGS = (9, 24, 33)
"""Of 72 examples in two epochs of batches of 8."""


def searched(encoder: Path, arm: str = "single_task", **settings: Any) -> TrialConfig:
    selection = SelectionConfig(enabled="always")
    config = trial_config(arm, encoder, selection=selection, **settings)
    return config.model_copy(update={"search": SearchConfig(rungs=RUNGS)})


def cell(config: TrialConfig, folder: Path, **settings: Any) -> dict[str, Any]:
    return {
        "trial_spec": {
            "key": config.key,
            "trial": config.model_dump(mode="json"),
            "runtime": runtime(folder, **settings).model_dump(mode="json"),
            "resources": {"CPU": 1.0},
        }
    }


def test_a_rung_is_measured_at_the_first_step_that_reaches_it(
    tiny_bert: Path, tmp_path: Path
) -> None:
    _, trial = finished(searched(tiny_bert), tmp_path)
    assert trial.loop is not None
    rungs = trial.loop.state.rungs
    examples_at = [examples for examples, *_ in rungs]
    assert all(rung <= n < rung + 8 for rung, n in zip(RUNGS, examples_at, strict=True))
    # 36 examples remain of 40: the step that reaches the last rung ends the first epoch.
    assert examples_at[-1] == 36
    first = trial.loop.state.history[0].splits["selection"]["acceptability"]
    assert rungs[2][1:] == [trial.loop.headline({"acceptability": first}), first.loss]


def test_measuring_changes_nothing_of_what_is_learned(tiny_bert: Path, tmp_path: Path) -> None:
    config = searched(tiny_bert, "shared_encoder")
    measured, _ = finished(config, tmp_path / "a")
    unmeasured = config.model_copy(update={"search": SearchConfig()})
    plain, _ = finished(unmeasured, tmp_path / "b")
    assert measured.results == plain.results
    assert [e.model_dump(exclude={"seconds"}) for e in measured.history] == [
        e.model_dump(exclude={"seconds"}) for e in plain.history
    ]


def test_validation_is_not_evaluated(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    evaluate = TrainingLoop._evaluate

    def noted(loop: TrainingLoop, names: tuple[str, ...]) -> Any:
        asked.extend(names)
        return evaluate(loop, names)

    monkeypatch.setattr(TrainingLoop, "_evaluate", noted)
    record, _ = finished(searched(tiny_bert, keep="best"), tmp_path)
    assert set(asked) == {"selection"}
    assert set(record.results) == {"train", "selection"}


def test_weights_that_are_no_numbers_are_not_measured(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = TrainingLoop._optimiser_step

    def spoil(loop: TrainingLoop, batch: Any) -> None:
        step(loop, batch)
        if loop.state.step == 2:
            with torch.no_grad():
                next(loop.model.parameters()).fill_(float("nan"))

    monkeypatch.setattr(TrainingLoop, "_optimiser_step", spoil)
    config = searched(tiny_bert)
    trainable = TrialTrainable(cell(config, tmp_path))
    result = end(trainable)
    assert result["status"] == "diverged"
    assert result["rungs"] == []
    record = read_record(RunDir(tmp_path / "run").record(config.key))
    assert (record.status, record.steps) == ("diverged", 2)


def test_every_rung_is_a_result_of_its_own_and_said_again_after_an_interruption(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrialTrainable, "slice_seconds", 1e9)
    configured = cell(searched(tiny_bert), tmp_path, checkpoint_every=1e-6)
    first = TrialTrainable(configured)
    before = [first.step()["rungs"] for _ in range(2)]
    assert [len(rungs) for rungs in before] == [1, 2]
    # Its process dies; another one goes on from its checkpoint.
    results = []
    second = TrialTrainable(configured)
    while not results or not results[-1]["done"]:
        results.append(second.step())
    assert all(result["rungs"][:2] == before[-1] for result in results)
    assert [len(result["rungs"]) for result in results] == [3, 3]


class Followed:
    """A tracker that keeps what it is told."""

    ended: tuple[str, ...] = ()

    def __init__(self, config: TrialConfig, runtime: Runtime) -> None:
        self.key = config.key

    def log(self, epoch: EpochResult) -> None:
        """Nothing to keep."""

    def finish(self, status: str) -> None:
        Followed.ended = (*Followed.ended, f"{self.key} {status}")


def test_a_stopped_trials_tracker_is_ended_and_its_actor_takes_the_next_trial(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = replace(registry.TRACKERS["wandb"], track=Followed)
    monkeypatch.setitem(registry.TRACKERS, "wandb", kind)
    monkeypatch.setattr(TrialTrainable, "slice_seconds", 0.0)
    monkeypatch.setattr(Followed, "ended", ())
    first, second, third = (searched(tiny_bert, seed=seed) for seed in (1, 2, 3))
    trainable = TrialTrainable(cell(first, tmp_path, tracking={"trackers": ["wandb"]}))
    trainable.step()
    assert trainable.reset_config(cell(second, tmp_path, tracking={"trackers": ["wandb"]}))
    assert Followed.ended == (f"{first.key} stopped",)
    assert end(trainable)["status"] == "finished"
    assert trainable.reset_config(cell(third, tmp_path, tracking={"trackers": ["wandb"]}))
    trainable.step()
    trainable.cleanup()
    trainable.cleanup()
    endings = (f"{first.key} stopped", f"{second.key} finished", f"{third.key} stopped")
    assert Followed.ended == endings
    run_dir = RunDir(tmp_path / "run")
    assert not run_dir.record(first.key).exists(), "it may be asked for again"
    assert read_record(run_dir.record(second.key)).status == "finished"


def test_a_trial_that_was_never_stepped_can_be_stopped(tiny_bert: Path, tmp_path: Path) -> None:
    trial = Trial(searched(tiny_bert), runtime(tmp_path))
    trial.stop()
    assert trial.record is None
