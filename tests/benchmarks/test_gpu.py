"""The measurement of a GPU runs from end to end, on a CPU with a tiny encoder too."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmarks import gpu
from benchmarks.gpu import LENGTHS, Lengths, Texts, covered, kernels, main
from benchmarks.matrix_rate import matrix_rate
from benchmarks.subject import write_encoder

ON_CUDA = pytest.param(
    "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA: needs a GPU")
)
WAYS = [
    "this project",
    "this project, deterministic=false",
    "HF Trainer",
    "HF Trainer, by length",
]


@pytest.mark.serial
@pytest.mark.parametrize("device", ["cpu", ON_CUDA])
def test_a_device_is_measured(
    device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, "AT_ONCE", (1, 2))
    monkeypatch.setattr(gpu, "LENGTHS", LENGTHS[:1])
    # The batches of the profiled and counted steps.
    monkeypatch.setattr(gpu, "STEPS", 2)
    shape = ["--layers", "1", "--width", "64", "--batch-size", "8"]
    limits = ["--examples", "40", "--rounds", "1", "--seconds", "0.2", "--threads", "1"]
    main(["--device", device, *shape, *limits, "--out", str(tmp_path)])
    content = json.loads((tmp_path / "gpu.json").read_text())
    assert content["environment"]["packages"]["torch"] == torch.__version__
    assert [rate["name"] for rate in content["rates"]] == WAYS
    for rate in content["rates"]:
        assert len(rate["training"]) == len(rate["evaluation"]) == 1
        assert rate["training"][0] > 0
        assert rate["evaluation"][0] > 0
        ours = rate["name"].startswith("this")
        assert (rate["limit_share"] is not None) == ours
        assert (rate["kernel_share"] is not None) == (ours and device == "cuda")
        assert (rate["limit_share"] or 0.5) > 0
        assert 0 < (rate["kernel_share"] or 0.5) <= 1
    curve = content["sharing"]["cola"]["curve"]
    assert [at_once for at_once, _ in curve] == [1, 2]
    assert all(rate > 0 for _, rate in curve)
    assert content["sharing"]["cola"]["chosen"] in (1, 2)
    text = (tmp_path / "gpu.md").read_text()
    assert text in capsys.readouterr().out
    assert "a trial is one pass over the training examples (cola 40)" in text


@pytest.mark.parametrize("lengths", LENGTHS, ids=lambda lengths: lengths.name)
def test_texts_are_as_long_as_the_real_ones(lengths: Lengths, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    write_encoder(tmp_path / "encoder", 1, 64)
    texts = Texts(lengths, tmp_path / "encoder", 400, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "encoder")
    columns = [list(column) for column in zip(*texts.train.texts, strict=True)]
    tokens = [len(ids) for ids in tokenizer(*columns)["input_ids"]]
    special = 1 + lengths.texts
    assert sorted(tokens)[200] - special == pytest.approx(lengths.deciles[5], abs=2)
    assert min(tokens) - special >= lengths.deciles[0]
    assert max(tokens) - special <= lengths.deciles[-1]
    assert sum(texts.train.labels) == 200


@pytest.mark.parametrize(
    ("intervals", "length"),
    [
        ([], 0),
        ([(0, 2), (3, 4)], 3),
        ([(3, 5), (0, 4)], 5),
        ([(0, 10), (1, 2), (9, 12)], 12),
        ([(0, 1), (0, 1)], 1),
    ],
)
def test_kernels_that_overlap_count_once(
    intervals: list[tuple[float, float]], length: float
) -> None:
    assert covered(intervals) == length


def test_copies_and_annotations_are_no_kernels() -> None:
    def event(name: str, device: str = "CUDA", annotation: bool = False) -> Any:
        return SimpleNamespace(
            name=name,
            device_type=SimpleNamespace(name=device),
            is_user_annotation=annotation,
            time_range=SimpleNamespace(start=1.0, end=3.0),
        )

    events = [
        event("ampere_sgemm"),
        event("Memcpy HtoD (Pageable -> Device)"),
        event("Memset (Device)"),
        event("Optimizer.step#AdamW.step", annotation=True),
        event("aten::mm", "CPU"),
    ]
    assert kernels(events) == [(1.0, 3.0)]


def test_the_limit_is_a_rate() -> None:
    assert matrix_rate(64, 32, "fp32", torch.device("cpu")) > 1e6
