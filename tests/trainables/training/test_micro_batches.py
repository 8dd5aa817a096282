"""Batches that do not fit into memory: cut further, with the bits of a trial that was told to."""

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.helpers.trials import ARMS, assert_same, finished, runtime, trial_config
from trainables.config.trial import TrialConfig
from trainables.errors import TrialError
from trainables.models.classifier import Classifier
from trainables.results.record import read_record
from trainables.training.checkpoint import save_checkpoint
from trainables.training.micro_batches import Accumulation
from trainables.trial.trial import Trial, run_trial
from trainables.tune.trainable import TrialTrainable

STEP = 4
"""The step, counted from 1, whose batch does not fit."""


def starve(
    monkeypatch: pytest.MonkeyPatch,
    fits: Callable[[int, int], bool],
    error: Callable[[], Exception] = torch.OutOfMemoryError,
    first: int = 2,
) -> list[weakref.ref]:
    """From now on a forward pass fails where ``fits(step, rows)`` is not; in evaluation, step 0.

    The ``first`` micro-batch of an attempt that can fail is the second, so that there is something
    to take back. Gives the logits that failed attempts left behind, as weak references.
    """
    at, passes, failed_logits = [0], [0], []
    run_with_backoff, forward = Accumulation.run_with_backoff, Classifier.forward

    def counted(self: Accumulation, compute: Any, undo: Any, step: int, size: int) -> float:
        def again() -> float:
            at[0], passes[0] = step, 0
            assert not any(logits() is not None for logits in failed_logits), (
                "a failed graph is alive"
            )
            return compute()

        try:
            return run_with_backoff(self, again, undo, step, size)
        finally:
            at[0] = 0

    def limited(self: Classifier, batch: Any, head: str) -> torch.Tensor:
        rows = len(batch["input_ids"])
        passes[0] += 1
        logits = forward(self, batch, head)
        if not fits(at[0], rows) and (passes[0] >= first or at[0] == 0):
            failed_logits.append(weakref.ref(logits))
            raise error()
        return logits

    monkeypatch.setattr(Accumulation, "run_with_backoff", counted)
    monkeypatch.setattr(Classifier, "forward", limited)
    return failed_logits


def accumulated(config: TrialConfig, folder: Path, parts: int) -> tuple[Any, Trial]:
    """A trial that is told to cut its batches into ``parts`` from ``STEP`` on."""
    trial = Trial(config, runtime(folder))
    for progress in trial.run():
        assert trial.loop is not None
        while progress["step"] == STEP - 1 and trial.loop.accumulation.parts < parts:
            trial.loop.accumulation.double(STEP)
    return read_record(trial.run_dir.record(config.key)), trial


@pytest.mark.parametrize("arm", ARMS)
def test_a_step_that_does_not_fit_gives_the_bits_of_one_that_was_told_to_be_smaller(
    arm: str, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = trial_config(arm, tiny_bert, gradient_accumulation=2, epochs=1)
    reference = accumulated(config, tmp_path / "told", 8)
    assert reference[0].accumulation == ((STEP, 8),)
    failed_logits = starve(monkeypatch, lambda step, rows: step < STEP or rows < 2)
    assert_same(reference, finished(config, tmp_path / "starved"))
    assert len(failed_logits) == 2


def test_a_trial_that_goes_on_keeps_the_finer_cut(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = trial_config("shared_encoder", tiny_bert)
    reference = accumulated(config, tmp_path / "told", 2)
    with monkeypatch.context() as scarce:
        starve(scarce, lambda step, rows: step < STEP or rows <= 4, MemoryError, first=1)
        first = Trial(config, runtime(tmp_path / "stopped", checkpoint_every=1e9))
        for progress in first.run():
            if progress["step"] == STEP + 1:
                break
        assert first.loop is not None
        save_checkpoint(first.run_dir.checkpoints(config.key), config.key, first.loop)
    record, trial = finished(config, tmp_path / "stopped", checkpoint_every=1e9)
    assert record.interruptions == 1
    assert_same(reference, (record, trial))


@pytest.mark.parametrize(
    ("error", "known"),
    [
        (lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (lambda: MemoryError(), True),
        (
            lambda: RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 12"),
            True,
        ),
        (lambda: RuntimeError("DefaultCPUAllocator: not enough memory: you tried 8 bytes"), True),
        (lambda: torch.AcceleratorError("CUDA error: out of memory"), True),
        (lambda: RuntimeError("shape '[2]' is invalid for input of size 3"), False),
    ],
)
def test_not_even_one_example_is_one_line_and_the_next_trial_is_well(
    error: Callable[[], Exception],
    known: bool,
    tiny_bert: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = trial_config("single_task", tiny_bert)
    cell = {
        "trial": config.model_dump(mode="json"),
        "runtime": runtime(tmp_path).model_dump(mode="json"),
    }
    trainable = TrialTrainable({"trial_spec": cell})
    with monkeypatch.context() as scarce:
        starve(scarce, lambda step, rows: step == 0, error, first=1)
        result: dict[str, Any] = {"done": False}
        while not result["done"]:
            result = trainable.step()
    assert result["status"] == "failed"
    if known:
        for key in ("training.batch_size", "model.max_length", "resources.memory"):
            assert key in result["error"]
    else:
        assert result["error"].startswith("RuntimeError: shape")
    assert "\n" not in result["error"]
    assert trainable._slices.trial is None
    other = trial_config("single_task", tiny_bert, seed=42)
    trainable.reset_config({"trial_spec": cell | {"trial": other.model_dump(mode="json")}})
    result = {"done": False}
    while not result["done"]:
        result = trainable.step()
    assert result["status"] == "finished"


def test_evaluation_in_smaller_batches_predicts_the_same(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = trial_config("naive_concat_union", tiny_bert, epochs=1)
    plain, trial = finished(config, tmp_path / "plain")
    failed_logits = starve(monkeypatch, lambda step, rows: step > 0 or rows <= 4)
    record, other = finished(config, tmp_path / "small")
    assert failed_logits
    assert record.accumulation == ()
    a, b = (pd.read_parquet(t.run_dir.predictions(config.key)) for t in (trial, other))
    assert a["prediction"].tolist() == b["prediction"].tolist()
    np.testing.assert_allclose(
        np.stack(a["logits"].tolist()), np.stack(b["logits"].tolist()), atol=1e-5
    )
    assert record.results["validation"].keys() == plain.results["validation"].keys()


def test_evaluation_of_which_no_example_fits_is_one_line(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starve(monkeypatch, lambda step, rows: step > 0)
    with pytest.raises(TrialError, match=r"^evaluation does not fit .* model\.max_length"):
        run_trial(trial_config("single_task", tiny_bert), runtime(tmp_path))


@pytest.mark.parametrize("batch_size", [1, 3, 8, 32])
@pytest.mark.parametrize("parts", [1, 2, 3, 32])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 32])
def test_each_doubling_makes_micro_batches_smaller_down_to_one_example(
    batch_size: int, parts: int, size: int
) -> None:
    cut = Accumulation(parts, batch_size)
    size = min(size, batch_size)
    while (before := cut.micro_batch_size(size)) > 1:
        cut.double(step=7)
        assert 1 <= cut.micro_batch_size(size) < before
    assert all(step == 7 for step, _ in cut.changes)
    assert len(cut.changes) <= 1


def test_each_kill_is_heeded_once_also_by_a_trial_that_went_on() -> None:
    cut = Accumulation(1, 32)
    cut.apply_memory_kills(1, step=5)
    cut.apply_memory_kills(1, step=9)
    assert (cut.parts, cut.changes) == (2, [(5, 2)])
    resumed = Accumulation(1, 32)
    resumed.load_state_dict(cut.state_dict())
    resumed.apply_memory_kills(3, step=9)
    assert (resumed.parts, resumed.changes) == (8, [(5, 2), (9, 8)])


def test_a_trial_heeds_the_kills_that_the_driver_counted(tiny_bert: Path, tmp_path: Path) -> None:
    config = trial_config("single_task", tiny_bert)
    trial = Trial(config, runtime(tmp_path))
    kills = trial.run_dir.memory_kills(config.key)
    kills.parent.mkdir()
    kills.write_text("2\n")
    record, _ = finished(config, tmp_path)
    assert record.accumulation == ((1, 4),)
    assert not kills.exists()
