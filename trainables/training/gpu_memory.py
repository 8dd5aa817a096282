"""Estimates how much GPU memory a trial needs, without a GPU and without training it.

A training pass is run on fake tensors, which have shapes but no content
(``torch._subclasses.fake_tensor``), while the sizes of all live storages are added up. ``CONTEXT``
and ``MARGIN`` are assumptions for what cannot be counted. Activations are taken as float32; with
bf16 and fp16 they are smaller, so there the estimate is an upper bound.
"""

import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
    UnsupportedFakeTensorException,
)
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from trainables.config.arms import SharedEncoderArm
from trainables.config.methods import AdapterConfig, HeadConfig
from trainables.config.trial import ModelConfig, TrialConfig
from trainables.models.adapter import add_adapter
from trainables.models.architecture import fresh_model, read_architecture
from trainables.models.classifier import Classifier
from trainables.models.encoder import Encoder
from trainables.models.quiet import quiet
from trainables.models.source import locate
from trainables.training.device import CONTEXT

BLOCK = 512
"""CUDA's allocator rounds sizes up to multiples of this many bytes."""

MARGIN = 0.15
"""Assumed share to add for fragmentation and workspaces."""


NOT_TRACEABLE = (
    DataDependentOutputException,
    DynamicOutputShapeException,
    UnsupportedFakeTensorException,
)
"""What a pass on fake tensors raises where the model looks at the content of its inputs."""


class UncountableError(Exception):
    """A model whose memory cannot be counted without running it."""


@dataclass(frozen=True)
class GpuMemoryEstimate:
    """Bytes of GPU memory that a trial needs.

    Attributes:
        weights: encoder and heads, plus their moving average and 16-bit copies if it has them.
        states: the optimiser's state.
        training: the peak of gradients and activations, or of the optimiser's step if larger.
        evaluation: activations of the largest evaluation batch.
    """

    weights: int
    states: int
    training: int
    evaluation: int

    @property
    def counted(self) -> int:
        """The largest amount in use at once."""
        return self.weights + self.states + max(self.training, self.evaluation)

    @property
    def total(self) -> int:
        """``counted`` plus the assumed margin and CUDA context."""
        return round(self.counted * (1 + MARGIN)) + CONTEXT


class LiveMemory(TorchDispatchMode):
    """Adds up the storages that are allocated within it and have not been freed.

    Attributes:
        now: bytes of the storages in use.
        peak: the largest ``now`` so far; may be reset.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.peak = 0
        self._storages: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run the operation and count the storages of its results."""
        result = func(*args, **(kwargs or {}))
        tree_map_only(torch.Tensor, self._count, result)
        return result

    def _count(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        address = storage._cdata
        if address in self._storages:
            return
        size = -(-storage.nbytes() // BLOCK) * BLOCK
        self._storages.add(address)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._freed, address, size)

    def _freed(self, address: int, size: int) -> None:
        self._storages.discard(address)
        self.now -= size


def estimate_gpu_memory(config: TrialConfig, classes: Mapping[str, int]) -> GpuMemoryEstimate:
    """Estimate a trial's GPU memory with the largest batch: every example of maximal length.

    Args:
        config: the trial; the encoder's configuration is read, its weights are not.
        classes: task -> number of labels.

    Raises:
        EncoderError: the encoder cannot be used.
        UncountableError: the model looks at the content of its inputs, which fake tensors lack.
    """
    try:
        return _estimate(config, classes)
    except NOT_TRACEABLE as error:
        raise UncountableError(f"{config.model_name}: {type(error).__name__}") from error


def _estimate(config: TrialConfig, classes: Mapping[str, int]) -> GpuMemoryEstimate:
    arm, training = config.arm, config.training
    heads = dict(classes)
    if arm.strategy == "naive_concat":
        heads = {"all": sum(classes.values())}
    tasks = len(heads)
    batch, aggregated = "one_task", False
    if isinstance(arm, SharedEncoderArm):
        batch, aggregated = arm.sampling.batch, arm.aggregation.name != "sum"
    # While a later part of a step is computed, the gradients of earlier parts exist already;
    # aggregation methods set them aside after each part.
    parts = training.gradient_accumulation > 1 or (
        batch != "one_task" and tasks > 1 and not aggregated
    )
    counted = _count(
        _Passes(
            model=config.model,
            adapter=arm.adapter,
            heads=tuple((arm.task_heads.get(name, arm.head), n) for name, n in heads.items()),
            frozen=arm.freezing.name == "all",
            batch_size=-(-training.batch_size // training.gradient_accumulation),
            eval_batch_size=training.eval_batch_size,
            accumulates=parts,
        )
    )
    # So does the measurement of gradients' cosines.
    several = aggregated or training.gradient_cosines is not None
    aside = (tasks - 1) * counted.shared if several else 0
    # Adamax needs temporary tensors, AdamW is one fused kernel.
    stepping = counted.trained * (3 if training.optimizer == "adamax" else 1)
    weights = counted.weights * (1 if training.ema_decay is None else 2)
    if training.precision != "fp32":
        weights += (counted.weights - counted.half) // 2
    return GpuMemoryEstimate(
        weights, 2 * counted.trained, max(counted.training + aside, stepping), counted.evaluation
    )


@dataclass(frozen=True)
class _Passes:
    """The settings that determine the memory of a model's passes; a cache key.

    Attributes:
        model, adapter: the encoder.
        heads: configuration and number of classes of each head.
        frozen: whether only the heads are trained.
        batch_size, eval_batch_size: examples per pass.
        accumulates: whether gradients of an earlier pass exist during a pass.
    """

    model: ModelConfig
    adapter: AdapterConfig | None
    heads: tuple[tuple[HeadConfig, int], ...]
    frozen: bool
    batch_size: int
    eval_batch_size: int
    accumulates: bool


@dataclass(frozen=True)
class _Counted:
    """Bytes of a model and its passes.

    Attributes:
        weights: parameters and buffers.
        half: those of them that are kept in 16 bits.
        trained: the trainable parameters.
        shared: the trainable parameters of the encoder.
        training: peak of a training pass, besides the weights.
        evaluation: peak of an evaluation pass, besides the weights.
    """

    weights: int
    half: int
    trained: int
    shared: int
    training: int
    evaluation: int


@lru_cache(maxsize=64)
def _count(passes: _Passes) -> _Counted:
    named = {str(number): head for number, head in enumerate(passes.heads)}
    length = passes.model.max_length
    classifier = _skeleton(passes.model, passes.adapter, named)
    if passes.frozen:
        classifier.encoder.requires_grad_(False)
    training = evaluation = 0
    with FakeTensorMode(), LiveMemory() as memory, sdpa_kernel(SDPBackend.MATH):
        _materialise(classifier)
        weights = memory.now
        # One head of each configuration is enough.
        for name in {head: name for name, head in named.items()}.values():
            for _ in range(2 if passes.accumulates else 1):
                memory.peak = memory.now
                batch, labels = _batch(passes.batch_size, length)
                cross_entropy(classifier(batch, name), labels).backward()
                training = max(training, memory.peak - weights)
            classifier.zero_grad(set_to_none=True)
            memory.peak = memory.now
            with torch.no_grad():
                classifier.eval()(_batch(passes.eval_batch_size, length)[0], name)
            classifier.train()
            evaluation = max(evaluation, memory.peak - weights)
    half = sum(p.nbytes for p in classifier.parameters() if p.dtype == torch.bfloat16)
    return _Counted(
        weights,
        half,
        _size(classifier),
        _size(classifier.encoder),
        training,
        evaluation,
    )


def _skeleton(
    model: ModelConfig,
    adapter: AdapterConfig | None,
    heads: Mapping[str, tuple[HeadConfig, int]],
) -> Classifier:
    """The model to train, on the meta device: shapes without content."""
    config = read_architecture(model, locate(model, download_weights=False).folder)
    with quiet(), torch.device("meta"):
        encoder = Encoder(fresh_model(model, config), model.max_length)
        if adapter is not None:
            add_adapter(encoder, adapter, seed=0)
        classes = {name: number for name, (_, number) in heads.items()}
        kinds = {name: kind for name, (kind, _) in heads.items()}
        return Classifier(encoder, classes, seed=0, dropout=model.dropout, kinds=kinds).train()


def _materialise(module: nn.Module) -> None:
    """Replace every parameter and buffer by a fake tensor; shared ones stay shared."""
    made: dict[int, Any] = {}
    for part in module.modules():
        tables: list[dict[str, Any]] = [part._parameters, part._buffers]
        for tensors in tables:
            for name, old in tensors.items():
                if old is None:
                    continue
                if id(old) not in made:
                    new = torch.zeros(old.shape, dtype=old.dtype)
                    if isinstance(old, nn.Parameter):
                        new = nn.Parameter(new, requires_grad=old.requires_grad)
                    made[id(old)] = new
                tensors[name] = made[id(old)]


def _batch(examples: int, length: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """A batch of the largest size and its labels (see ``TokenSplit.collate``)."""
    names = ("input_ids", "attention_mask", "token_type_ids", "texts")
    batch = {name: torch.ones(examples, length, dtype=torch.long) for name in names}
    return batch, torch.zeros(examples, dtype=torch.long)


def _size(module: nn.Module) -> int:
    """Bytes of the trainable parameters."""
    return sum(p.numel() * p.element_size() for p in module.parameters() if p.requires_grad)
