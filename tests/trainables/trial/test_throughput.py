"""A piece of a trial is trained to see how fast it is."""

import io
from pathlib import Path

import pytest

from tests.helpers.trials import ARMS, runtime, trial_config
from trainables.config.trial import SelectionConfig
from trainables.trial.throughput import READY, ThroughputRequest, measure


@pytest.mark.parametrize("arm", ["distilled", "naive_concat", "gradual_unfreezing", "lora_shared"])
def test_a_piece_needs_nothing_of_other_trials(
    arm: str, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distilled = {"strategy": "shared_encoder", "distillation": {"teachers": "single_task"}}
    monkeypatch.setitem(ARMS, "distilled", distilled)
    config = trial_config(
        arm, tiny_bert, selection=SelectionConfig(enabled="always"), early_stopping={}
    )
    needs = {"teachers": dict.fromkeys(config.tasks, ("missing",)), "start_from": "missing"}
    config = config.model_copy(update=needs)
    request = ThroughputRequest(config=config, runtime=runtime(tmp_path), steps=20)
    outgoing = io.StringIO()
    result = measure(request, io.StringIO("begin\n"), outgoing)
    assert outgoing.getvalue() == f"{READY}\n"
    # More than a pass, without an evaluation.
    assert (result.fits, result.steps) == (True, 20)
    assert 20 < result.examples <= 160
    assert result.seconds > 0
    assert not list((tmp_path / "run").iterdir())


def test_it_ends_when_the_time_is_over(tiny_bert: Path, tmp_path: Path) -> None:
    config = trial_config("single_task", tiny_bert)
    request = ThroughputRequest(config=config, runtime=runtime(tmp_path), seconds=0.1)
    result = measure(request, io.StringIO("begin\n"), io.StringIO())
    assert result.seconds >= 0.1
    assert result.steps > 1


def test_it_ends_when_nobody_waits(tiny_bert: Path, tmp_path: Path) -> None:
    config = trial_config("single_task", tiny_bert)
    request = ThroughputRequest(config=config, runtime=runtime(tmp_path), steps=1)
    with pytest.raises(EOFError):
        measure(request, io.StringIO(), io.StringIO())


@pytest.mark.parametrize("failing", ["build", "step"])
def test_a_batch_that_would_be_halved_does_not_fit(
    failing: str, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_memory(*arguments: object, **named: object) -> None:
        raise MemoryError

    where = {
        "build": "trainables.trial.throughput.build_training_loop",
        "step": "trainables.training.gradients.StepGradients.add",
    }
    monkeypatch.setattr(where[failing], out_of_memory)
    config = trial_config("single_task", tiny_bert)
    request = ThroughputRequest(config=config, runtime=runtime(tmp_path), steps=1)
    assert not measure(request, io.StringIO("begin\n"), io.StringIO()).fits
