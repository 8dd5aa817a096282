"""What is asked of CUDA, as far as it can be seen without a GPU."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch

from trainables.training.device import (
    CONTEXT,
    limit_gpu_memory,
    smallest_gpu,
    use_deterministic,
)

GB = 1_000_000_000
CUDA = torch.device("cuda", 0)


@pytest.fixture
def settings() -> Iterator[None]:
    """Put PyTorch's own settings back."""
    kinds = ("flash", "mem_efficient", "cudnn")
    before = {kind: getattr(torch.backends.cuda, f"{kind}_sdp_enabled")() for kind in kinds}
    yield
    torch.use_deterministic_algorithms(False)
    for kind, enabled in before.items():
        getattr(torch.backends.cuda, f"enable_{kind}_sdp")(enabled)


@pytest.mark.usefixtures("settings")
def test_attention_whose_gradients_differ_from_run_to_run_is_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    use_deterministic(torch.device("cpu"), True)
    assert torch.backends.cuda.flash_sdp_enabled()
    use_deterministic(CUDA, True)
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cuda.flash_sdp_enabled()
    assert not torch.backends.cuda.mem_efficient_sdp_enabled()
    assert not torch.backends.cuda.cudnn_sdp_enabled()
    assert torch.backends.cuda.math_sdp_enabled()
    # The next trial of the process may be another one.
    use_deterministic(CUDA, False)
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cuda.flash_sdp_enabled()
    assert torch.backends.cuda.mem_efficient_sdp_enabled()
    assert torch.backends.cuda.cudnn_sdp_enabled()


def gpus(monkeypatch: pytest.MonkeyPatch, *memories: int) -> None:
    """Let PyTorch tell of GPUs with so many bytes each."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(memories))

    def properties(gpu: int | torch.device) -> SimpleNamespace:
        number = gpu.index if isinstance(gpu, torch.device) else gpu
        return SimpleNamespace(total_memory=memories[number])

    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)


@pytest.mark.parametrize(
    ("memories", "smallest"), [((24 * GB, 16 * GB, 80 * GB), 16.0), ((8 * GB,), 8.0), ((), None)]
)
def test_the_smallest_gpu_is_told(
    memories: tuple[int, ...], smallest: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(monkeypatch, *memories)
    assert smallest_gpu() == smallest


def test_a_gpu_that_does_not_answer_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(gpu: int) -> None:
        raise RuntimeError("CUDA error: no CUDA-capable device is detected")

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", broken)
    assert smallest_gpu() is None


@pytest.mark.parametrize(
    ("share", "allowed"),
    [(1.0, 24 * GB), (0.25, 6 * GB - CONTEXT), (0.01, 0.12 * GB)],
)
def test_a_trial_is_held_to_its_share(
    share: float, allowed: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(monkeypatch, 24 * GB)
    held = []
    monkeypatch.setattr(
        torch.cuda, "set_per_process_memory_fraction", lambda share, gpu: held.append((share, gpu))
    )
    limit_gpu_memory(torch.device("cpu"), share)
    assert held == []
    limit_gpu_memory(CUDA, share)
    assert held == [(pytest.approx(allowed / (24 * GB)), CUDA)]
