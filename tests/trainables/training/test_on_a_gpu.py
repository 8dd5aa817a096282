"""What only a GPU can show; skipped where there is none."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.subject import write_encoder
from tests.conftest import PROJECT
from tests.helpers.trials import assert_same, finished, runtime, trial_config
from trainables.config.trial import TrialConfig
from trainables.results.record import read_record
from trainables.storage.run_dir import RunDir
from trainables.training import device
from trainables.training.gpu_memory import CONTEXT, estimate_gpu_memory
from trainables.training.memory import release_memory

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA: needs a GPU"),
    pytest.mark.serial,
]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Large enough that activations, and not the allocator's blocks, take the memory."""
    folder = tmp_path_factory.mktemp("models") / "encoder"
    write_encoder(folder, layers=4, width=256)
    return folder


def config_of(encoder: Path, arm: str = "shared_encoder", **training: Any) -> TrialConfig:
    model = {"weights": "random", "max_length": 64}
    return trial_config(arm, encoder, model=model, epochs=1, **training)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_the_same_seed_gives_the_same_bits(encoder: Path, tmp_path: Path, precision: str) -> None:
    config = config_of(encoder, precision=precision)
    first, other = (finished(config, tmp_path / name, device="cuda") for name in ("one", "other"))
    assert first[0].device == "cuda:0"
    assert_same(first, other)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_trial_trains_with_fused_attention(encoder: Path, tmp_path: Path, precision: str) -> None:
    config = config_of(encoder, precision=precision, deterministic=False)
    record, _ = finished(config, tmp_path, device="cuda")
    assert record.status == "finished"
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("arm", ["single_task", "naive_concat", "shared_encoder_pcgrad"])
def test_no_more_is_allocated_than_is_counted(
    encoder: Path, tmp_path: Path, arm: str, precision: str
) -> None:
    config = config_of(encoder, arm, precision=precision, batch_size=16)
    release_memory()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    finished(config, tmp_path, device="cuda")
    taken = torch.cuda.max_memory_allocated() - before
    counted = estimate_gpu_memory(config, dict.fromkeys(config.tasks, 2))
    assert taken <= counted.total - CONTEXT


def test_two_trials_share_a_gpu(encoder: Path, tmp_path: Path) -> None:
    """At once, in two processes; each gives the numbers that it gives alone."""
    configs = [config_of(encoder, batch_size=size) for size in (8, 16)]
    program = (
        "import sys; from trainables.config.trial import Runtime, TrialConfig; "
        "from trainables.trial.trial import run_trial; "
        "run_trial(TrialConfig.model_validate_json(sys.argv[1]), "
        "Runtime.model_validate_json(sys.argv[2]))"
    )
    shared = runtime(tmp_path / "together", device="cuda", gpu=0.5).model_dump_json()
    processes = [
        subprocess.Popen([sys.executable, "-c", program, c.model_dump_json(), shared], cwd=PROJECT)
        for c in configs
    ]
    assert [process.wait(300) for process in processes] == [0, 0]
    for number, config in enumerate(configs):
        together = read_record(RunDir(tmp_path / "together" / "run").record(config.key))
        alone, _ = finished(config, tmp_path / str(number), device="cuda")
        assert json.dumps(numbers(together)) == json.dumps(numbers(alone))


def numbers(record: Any) -> list[Any]:
    return [epoch.model_dump(mode="json", exclude={"seconds"}) for epoch in record.history]


def test_a_batch_that_does_not_fit_is_halved(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The share is then of what the allocator gives alone.
    monkeypatch.setattr(device, "CONTEXT", 0)
    config = config_of(encoder, "single_task", precision="fp32", batch_size=32)
    counted = estimate_gpu_memory(config, dict.fromkeys(config.tasks, 2))
    total = torch.cuda.get_device_properties(0).total_memory
    # Room for weights, states and about half of a batch's activations.
    room = counted.weights + counted.states + counted.training // 2
    release_memory()
    try:
        record, _ = finished(config, tmp_path, device="cuda", gpu=room / total)
        assert record.accumulation
        assert record.accumulation[0][1] >= 2
    finally:
        device.limit_gpu_memory(torch.device("cuda", 0), 1.0)
