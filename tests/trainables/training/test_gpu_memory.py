"""What a trial is counted to take of a GPU; ``benchmarks/counted_memory.py`` measures it too."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers import trials
from tests.helpers.tiny_models import build
from trainables.config.trial import TrialConfig
from trainables.training.gpu_memory import (
    CONTEXT,
    GpuMemoryEstimate,
    LiveMemory,
    estimate_gpu_memory,
)


def counted(encoder: Path, arm: str = "single_task", **settings: Any) -> GpuMemoryEstimate:
    settings.setdefault("precision", "auto")
    config = trials.trial_config(arm, encoder, **settings)
    return estimate_gpu_memory(config, dict.fromkeys(config.tasks, 2))


def with_arm(encoder: Path, arm: dict[str, Any], tasks: int = 3) -> GpuMemoryEstimate:
    """Of a shared encoder with these settings."""
    config = trials.trial_config(
        "shared_encoder", encoder, tasks=tuple(trials.TASKS)[:tasks], precision="auto"
    )
    values = config.model_dump() | {"arm": {"strategy": "shared_encoder"} | arm}
    return estimate_gpu_memory(TrialConfig.model_validate(values), dict.fromkeys(config.tasks, 2))


def test_storages_are_counted_once_and_while_they_live() -> None:
    with LiveMemory() as memory:
        tensor = torch.zeros(1000)
        view = tensor[10:].reshape(2, -1)
        other = view + 1
        assert memory.now == memory.peak == 4096 + 4096
        del tensor
        assert memory.now == 8192
        del view
        assert memory.now == 4096
        other.add_(1)
        assert (memory.now, memory.peak) == (4096, 8192)


@pytest.mark.parametrize("family", ["roberta", "distilbert", "mpnet", "deberta-v2"])
def test_every_family_is_counted(family: str, tmp_path: Path) -> None:
    small = counted(build(family, tmp_path), batch_size=8)
    more = counted(tmp_path, batch_size=16)
    assert small.weights == more.weights
    assert 1.5 < more.training / small.training < 2.1


def test_what_is_assumed_is_added(tiny_bert: Path) -> None:
    fp32 = counted(tiny_bert, precision="fp32")
    assert fp32.total == round(1.15 * fp32.counted) + CONTEXT
    assert fp32.counted == fp32.weights + fp32.states + max(fp32.training, fp32.evaluation)


def test_settings_that_take_memory_are_counted(tiny_bert: Path) -> None:
    plain = counted(tiny_bert, precision="fp32")
    # Two moments of every parameter; buffers and gaps in blocks are the rest of the weights.
    assert plain.states == pytest.approx(2 * plain.weights, rel=0.15)
    assert counted(tiny_bert, precision="bf16").weights == 3 * plain.weights // 2
    assert counted(tiny_bert, precision="fp32", ema_decay=0.9).weights == 2 * plain.weights
    cut = counted(tiny_bert, precision="fp32", gradient_accumulation=4)
    assert cut.training < 0.6 * plain.training
    long = counted(tiny_bert, precision="fp32", model={"max_length": 32})
    assert long.training < 0.6 * plain.training
    evaluated = counted(tiny_bert, precision="fp32", eval_batch_size=512)
    assert evaluated.evaluation > 8 * plain.evaluation
    assert evaluated.counted > plain.counted
    step = counted(tiny_bert, optimizer="adamax", batch_size=1, model={"max_length": 8})
    assert step.training >= 3 * step.states // 2


def test_what_is_not_trained_has_no_gradients(tiny_bert: Path) -> None:
    plain, frozen, lora = (
        with_arm(tiny_bert, arm)
        for arm in ({}, {"freezing": {"name": "all"}}, {"adapter": {"rank": 2}})
    )
    assert frozen.states < plain.states / 2
    assert lora.states < plain.states
    assert frozen.training < plain.training / 2


def test_matrices_that_are_kept_in_half_take_half(tiny_bert: Path) -> None:
    full, half = (
        with_arm(tiny_bert, {"adapter": {"rank": 2, "frozen": frozen}})
        for frozen in ("fp32", "bf16")
    )
    assert half.weights < 0.6 * full.weights
    assert half.states == full.states
    assert half.training == pytest.approx(full.training, rel=0.05)


def test_gradients_that_are_put_aside_are_counted(tiny_bert: Path) -> None:
    joint = {"sampling": {"batch": "joint"}}
    apart = {**joint, "aggregation": {"name": "pcgrad"}}
    two, three = (with_arm(tiny_bert, apart, tasks) for tasks in (2, 3))
    encoder = sum(
        p.numel() * 4
        for name, p in torch_encoder(tiny_bert).named_parameters()
        if "pooler" not in name
    )
    grown = three.training - two.training
    assert encoder <= grown < 1.2 * encoder
    assert with_arm(tiny_bert, joint).training < three.training


def torch_encoder(folder: Path) -> torch.nn.Module:
    from transformers import AutoModel

    return AutoModel.from_pretrained(folder)


def test_one_classifier_has_all_classes(tiny_bert: Path) -> None:
    config = trials.trial_config("naive_concat", tiny_bert, precision="fp32")
    few, many = (estimate_gpu_memory(config, dict.fromkeys(config.tasks, n)) for n in (2, 5000))
    # 32 weights and a bias for each of 15,000 classes, against 6.
    assert many.weights - few.weights == pytest.approx(33 * 4 * 14_994, abs=1024)
