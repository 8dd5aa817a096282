"""Training that leaves the finite numbers ends as diverged, whatever it was that left them."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers.trials import runtime, trial_config
from trainables.errors import DivergedError
from trainables.results.record import read_record
from trainables.storage.run_dir import RunDir
from trainables.training.divergence import check_finite, check_weights
from trainables.training.gradients import StepGradients, StepOutcome
from trainables.trial import trial as trial_module
from trainables.trial.trial import run_trial


def poison(monkeypatch: pytest.MonkeyPatch, step: int, what: str) -> None:
    """From ``step`` (counted from 0) on ``what`` is not finite after the backward pass."""
    whole = StepGradients.add

    def poisoned(self: StepGradients, batch: Any, number: int) -> StepOutcome:
        outcome = whole(self, batch, number)
        if number < step:
            return outcome
        parameter = next(p for p in self._model.parameters() if p.grad is not None)
        with torch.no_grad():
            if what == "gradient":
                assert parameter.grad is not None
                parameter.grad[0] = math.inf
            if what == "weight":
                parameter[0] = math.nan
        if what == "loss":
            outcome.loss = math.inf
        return outcome

    monkeypatch.setattr(StepGradients, "add", poisoned)


@pytest.mark.parametrize(
    ("what", "last", "message"),
    [
        ("loss", False, r"^the training loss became inf at step 3 of 10: "),
        ("gradient", False, r"^the gradients' norm became inf at step 3 of 10: "),
        ("loss", True, r"^the training loss became inf at step 10 of 10: "),
        ("gradient", True, r"^the gradients' norm became inf at step 10 of 10: "),
        ("weight", True, r"^a weight of .* became nan at step 10 of 10: "),
    ],
)
def test_it_is_recorded_as_diverged_even_if_it_was_the_last_step(
    what: str,
    last: bool,
    message: str,
    tiny_bert: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poison(monkeypatch, 9 if last else 2, what)
    config = trial_config("single_task", tiny_bert)
    with pytest.raises(DivergedError, match=message):
        run_trial(config, runtime(tmp_path))
    record = read_record(RunDir(tmp_path / "run").record(config.key))
    assert record.status == "diverged"
    assert len(record.history) == (1 if last else 0)
    assert "training.learning_rate" in (record.error or "")


def test_a_gradient_that_overflows_in_fp16_is_a_step_left_out_and_no_divergence(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial_module, "resolve_precision", lambda *_: "fp16")
    poison(monkeypatch, 2, "gradient")
    config = trial_config("single_task", tiny_bert)
    run_trial(config, runtime(tmp_path))
    record = read_record(RunDir(tmp_path / "run").record(config.key))
    assert (record.status, record.steps) == ("finished", 10)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_named(value: float) -> None:
    with pytest.raises(DivergedError, match=f"^it became {value} at step 3 of 7: lower"):
        check_finite("it", value, 3, 7)
    model = torch.nn.Linear(2, 2)
    check_weights(model, 3, 7)
    with torch.no_grad():
        model.bias[1] = value
    with pytest.raises(DivergedError, match=f"^a weight of bias became {value} at step 3"):
        check_weights(model, 3, 7)
