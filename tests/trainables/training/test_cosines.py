"""Cosines between the tasks' gradients: known values, and a training that does not notice them."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import cosine_similarity, cross_entropy

from orchestrator.config.experiment import load_experiment, load_single_trial
from orchestrator.planning.disk import disk_use
from orchestrator.planning.grid import Grid
from orchestrator.planning.plan import make_plan
from tests.helpers.command import small_grid
from tests.helpers.trials import finished, runtime, trial_config, weights
from trainables.config.trial import LimitsConfig, SearchConfig, TrialConfig
from trainables.errors import ConfigError, TrialError
from trainables.results.record import TrialRecord, read_record
from trainables.tracking.base import values_of
from trainables.training import cosines as measuring
from trainables.training.aggregation import Row
from trainables.training.checkpoint import save_checkpoint
from trainables.training.cosines import cosines
from trainables.training.gpu_memory import estimate_gpu_memory
from trainables.trial.trial import Trial

SMALL: dict[str, Any] = {
    "limits": LimitsConfig(max_train_examples=16, max_validation_examples=8),
    "model": {"num_layers": 1},
    "eval_batch_size": 8,
}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[1.0, 0.0], [0.0, 2.0]], (0.0,)),
        ([[1.0, 0.0], [3.0, 0.0], [-2.0, 0.0]], (1.0, -1.0, -1.0)),
        ([[1.0, 0.0], [1.0, 1.0]], (math.sqrt(0.5),)),
        ([[0.0, 0.0], [1.0, 1.0]], (None,)),
        ([[math.nan, 0.0], [1.0, 1.0]], (None,)),
        ([[math.inf, 0.0], [1.0, 1.0]], (None,)),
    ],
)
def test_known_cosines(rows: list[list[float]], expected: tuple[float | None, ...]) -> None:
    # Each row over two parameters; the second task does not reach a third one.
    made = [Row([torch.tensor(row[:1]), torch.tensor(row[1:]), None], 1.0) for row in rows]
    made[0].gradients[2] = torch.tensor([5.0]) * 0
    assert cosines(made) == pytest.approx(expected)


def trained(config: TrialConfig, folder: Path) -> tuple[TrialRecord, Trial, bytes]:
    record, trial = finished(config, folder)
    logits = pd.read_parquet(trial.run_dir.predictions(config.key))["logits"].tolist()
    return record, trial, np.concatenate(logits).tobytes()


@pytest.mark.parametrize(
    "arm",
    [
        "shared_encoder",
        "shared_encoder_mixed",
        "shared_encoder_gradnorm",
        "shared_encoder_famo",
        "shared_encoder_pcgrad",
        "gradual_unfreezing",
        "lora_shared",
    ],
)
def test_training_is_the_same_bit_for_bit_with_and_without(
    arm: str, tiny_bert: Path, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {**SMALL, "ema_decay": 0.9} if arm == "shared_encoder" else SMALL
    without = trained(trial_config(arm, tiny_bert, **settings), tmp_path / "without")
    measured = trial_config(arm, tiny_bert, gradient_cosines=2, **settings)
    record, trial, logits = trained(measured, tmp_path / "measured")
    assert logits == without[2]
    mine, plain = weights(trial), weights(without[1])
    assert all(torch.equal(tensor, plain[name]) for name, tensor in mine.items())
    other = {"seconds", "gradient_cosines"}
    for a, b in zip(record.history, without[0].history, strict=True):
        assert a.model_dump(exclude=other) == b.model_dump(exclude=other)
    ours, theirs = trial.loop, without[1].loop
    assert ours is not None
    assert theirs is not None
    moments = [loop.optimizer.state_dict()["state"] for loop in (ours, theirs)]
    for of_one, of_other in zip(*(m.values() for m in moments), strict=True):
        assert all(torch.equal(of_one[k], of_other[k]) for k in of_one if k != "step")
    found = [m for epoch in record.history for m in epoch.gradient_cosines]
    ends = {epoch.step for epoch in record.history}
    due = [n for n in range(1, record.steps + 1) if n % 2 == 0 or n in ends]
    # With gradual unfreezing, the encoder has no gradients at first.
    assert [m.step for m in found] == due[len(due) - len(found) :]
    assert found
    for m in found:
        assert len(m.values) == 3
        assert all(value is None or -1 <= value <= 1 for value in m.values)
    assert len({m.values for m in found}) == len(found)
    assert record.key != without[0].key
    assert not any(epoch.gradient_cosines for epoch in without[0].history)
    assert "gradient_cosines" not in without[0].model_dump()["history"][0]


def test_a_measurement_is_the_cosine_of_plain_gradients_and_leaves_nothing(
    tiny_bert: Path, tmp_path: Path
) -> None:
    config = trial_config("shared_encoder", tiny_bert, gradient_cosines=1, **SMALL)
    trial = Trial(config, runtime(tmp_path))
    steps = trial.run()
    next(steps)
    loop = trial.loop
    assert loop is not None
    meter = loop.cosines
    assert meter is not None
    torch.manual_seed(5)
    state = torch.get_rng_state()
    meter.measured = []
    meter.measure(7)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in loop.model.parameters())
    assert loop.model.training
    loop.model.eval()
    flat = []
    for number, task in enumerate(loop.strategy.tasks):
        part = meter._part(number, 7)
        tensors = dict(part.tensors)
        labels = tensors.pop("labels")
        cross_entropy(loop.model(tensors, task.name), labels).backward()
        gradients = [p.grad for p in loop.model.encoder.parameters() if p.grad is not None]
        flat.append(torch.cat([gradient.flatten() for gradient in gradients]).double())
        loop.model.zero_grad(set_to_none=True)
    expected = [
        float(cosine_similarity(flat[i], flat[j], dim=0)) for i, j in ((0, 1), (0, 2), (1, 2))
    ]
    assert meter.measured[0].values == pytest.approx(expected, abs=1e-5)
    # The batches are none that training takes at this step, but the same ones each time.
    meter.measure(7)
    assert meter.measured[0] == meter.measured[1]


def test_a_trial_that_goes_on_has_the_same_measurements(tiny_bert: Path, tmp_path: Path) -> None:
    config = trial_config("shared_encoder", tiny_bert, gradient_cosines=2, **SMALL)
    trial = Trial(config, runtime(tmp_path))
    saved = []
    for _ in trial.run():
        assert trial.loop is not None
        saved.append(save_checkpoint(tmp_path / "saved" / config.key, config.key, trial.loop))
    whole = read_record(trial.run_dir.record(config.key))
    # In the middle of an epoch, with a measurement that no epoch has taken yet.
    record, _ = finished(config, tmp_path / "other", resume_from=str(saved[-1]))
    assert [e.gradient_cosines for e in record.history] == [
        e.gradient_cosines for e in whole.history
    ]


def test_trackers_log_the_mean_of_an_epoch(tiny_bert: Path, tmp_path: Path) -> None:
    config = trial_config("shared_encoder", tiny_bert, gradient_cosines=1, **SMALL)
    record, trial = finished(config, tmp_path)
    epoch = record.history[0]
    values = values_of(epoch, config)
    assert values["gradient_cosine/acceptability-paraphrase"] == pytest.approx(
        np.mean(np.array([m.values[1] for m in epoch.gradient_cosines], dtype=float))
    )
    curves = pd.read_csv(trial.run_dir.curves(config.key))
    assert "gradient_cosine/sentiment-paraphrase" in curves


def test_gradients_that_do_not_fit_into_memory_name_the_key(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "attempt", lambda compute: None)
    config = trial_config("shared_encoder", tiny_bert, gradient_cosines=1, **SMALL)
    with pytest.raises(TrialError, match=r"^training.gradient_cosines: .* do not fit"):
        finished(config, tmp_path)


def test_only_trials_with_several_tasks_and_one_encoder_have_another_key(tiny_bert: Path) -> None:
    def keys(*more: str) -> dict[str, str]:
        plan = make_plan(load_experiment("demo", small_grid(tiny_bert, *more)[1:]))
        return {trial.config.title: trial.key for trial in plan.trials}

    before, after = keys(), keys("training.gradient_cosines=10")
    changed = {title for title, key in after.items() if before[title] != key}
    assert changed
    assert all(title.startswith("shared_encoder") for title in changed)
    own = keys("define.arms.shared_encoder.training.gradient_cosines=10")
    assert {title for title, key in own.items() if before[title] != key} == changed


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            ("arms=[naive_concat]", "training.gradient_cosines=5"),
            "training.gradient_cosines: naive_concat: a naive_concat model has no gradients",
        ),
        (
            ("tasks=[sentiment]", "arms=[shared_encoder]", "training.gradient_cosines=5"),
            "one task alone has no gradients to compare",
        ),
        (
            ("define.arms.single_task.training.gradient_cosines=5",),
            "define.arms.single_task.training.gradient_cosines: a single_task model has no",
        ),
        (
            (
                "arms=[shared_encoder]",
                "define.arms.shared_encoder.freezing.name=all",
                "training.gradient_cosines=5",
            ),
            "freezing.name=all leaves the encoder without gradients",
        ),
        (("training.gradient_cosines=0",), "training.gradient_cosines: "),
    ],
)
def test_what_cannot_be_measured_is_refused(
    overrides: tuple[str, ...], words: str, tiny_bert: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        make_plan(load_experiment("demo", small_grid(tiny_bert, *overrides)[1:]))
    assert words in str(caught.value)


def test_one_trial_of_another_strategy_is_refused_and_a_search_does_not_measure(
    tiny_bert: Path,
) -> None:
    settings = ["data.source=demo", "tasks=[sentiment,acceptability]", f"model={tiny_bert}"]
    single = load_single_trial("naive_concat", [*settings, "training.gradient_cosines=5"])
    with pytest.raises(ConfigError, match="naive_concat model has no gradients"):
        Grid(single).trials_of("naive_concat", str(tiny_bert), 1)
    overrides = small_grid(tiny_bert, "training.gradient_cosines=5")[1:]
    grid = Grid(load_experiment("demo", overrides), SearchConfig())
    assert grid.training_of("shared_encoder").gradient_cosines is None


def test_memory_and_disk_are_counted(tiny_bert: Path) -> None:
    plain = trial_config("shared_encoder", tiny_bert, **SMALL)
    measured = trial_config("shared_encoder", tiny_bert, gradient_cosines=1, **SMALL)
    classes = dict.fromkeys(plain.tasks, 2)
    less, more = (estimate_gpu_memory(c, classes).training for c in (plain, measured))
    assert more > less
    plans = [
        make_plan(load_experiment("demo", small_grid(tiny_bert, *more)[1:]))
        for more in ((), ("training.gradient_cosines=1",))
    ]
    experiment = load_experiment("demo", small_grid(tiny_bert)[1:])
    uses = [disk_use(experiment, plan, plan.trials, 1).after for plan in plans]
    assert uses[1] > uses[0]
