"""How much of a GPU's memory a trial will take, counted without a GPU and without training it.

A training pass is computed on fake tensors, which have shapes and no content
(``torch._subclasses.fake_tensor``), while the size of every storage that is alive is added up. What
is not counted is assumed: ``CONTEXT`` and ``MARGIN``. Numbers are taken to be float32; in bf16 and
fp16 the activations take less, so for those it is an upper bound.
"""

import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
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
"""Bytes of which CUDA's allocator makes whole multiples."""

MARGIN = 0.15
"""Share of what is counted for gaps between blocks and for work space; an assumption."""


@dataclass(frozen=True)
class Footprint:
    """Bytes of a GPU that a trial takes.

    Attributes:
        weights: encoder and heads, their average and their 16-bit copies where there are such.
        states: what the optimiser keeps.
        training: gradients and activations where they together take most, or what is there while
            the optimiser steps.
        evaluation: activations of the largest evaluation batch.
    """

    weights: int
    states: int
    training: int
    evaluation: int

    @property
    def counted(self) -> int:
        """The most that is alive at once."""
        return self.weights + self.states + max(self.training, self.evaluation)

    @property
    def total(self) -> int:
        """``counted`` with what is assumed."""
        return round(self.counted * (1 + MARGIN)) + CONTEXT


class Alive(TorchDispatchMode):
    """Adds up the storages that are made within it and have not been freed.

    Attributes:
        now: bytes of those that are alive.
        peak: the most so far; may be set back.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Compute as usual and look at what comes out."""
        result = func(*args, **(kwargs or {}))
        tree_map_only(torch.Tensor, self._note, result)
        return result

    def _note(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        known = storage._cdata
        if known in self._known:
            return
        size = -(-storage.nbytes() // BLOCK) * BLOCK
        self._known.add(known)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._freed, known, size)

    def _freed(self, known: int, size: int) -> None:
        self._known.discard(known)
        self.now -= size


def footprint(config: TrialConfig, classes: Mapping[str, int]) -> Footprint:
    """Count what a trial takes at its largest batch: all examples as long as they may be.

    Args:
        config: the trial; its encoder's files are read, its weights are not.
        classes: task -> number of labels.

    Raises:
        EncoderError: the encoder cannot be used.
    """
    arm, training = config.arm, config.training
    heads = dict(classes)
    if arm.strategy == "naive_concat":
        heads = {"all": sum(classes.values())}
    tasks = len(heads)
    batch, aggregated = "one_task", False
    if isinstance(arm, SharedEncoderArm):
        batch, aggregated = arm.sampling.batch, arm.aggregation.name != "sum"
    # Gradients are there already while a later part of a step is computed; methods that combine
    # tasks' gradients put them aside after each part.
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
            again=parts,
        )
    )
    aside = (tasks - 1) * counted.shared if aggregated else 0
    # Adamax makes temporary tensors where AdamW is one fused kernel.
    stepping = counted.trained * (3 if training.optimizer == "adamax" else 1)
    weights = counted.weights * (1 if training.ema_decay is None else 2)
    if training.precision != "fp32":
        weights += counted.weights // 2
    return Footprint(
        weights, 2 * counted.trained, max(counted.training + aside, stepping), counted.evaluation
    )


@dataclass(frozen=True)
class _Passes:
    """What decides how much the passes of a model take.

    Attributes:
        model, adapter: the encoder.
        heads: kind and number of classes of each.
        frozen: whether only the heads are trained.
        batch_size, eval_batch_size: examples of a pass.
        again: whether a pass finds the gradients of another one.
    """

    model: ModelConfig
    adapter: AdapterConfig | None
    heads: tuple[tuple[HeadConfig, int], ...]
    frozen: bool
    batch_size: int
    eval_batch_size: int
    again: bool


@dataclass(frozen=True)
class _Counted:
    """Bytes of one model.

    Attributes:
        weights: parameters and buffers.
        trained: the parameters that are trained.
        shared: those of them that are the encoder's.
        training: what a training pass takes besides.
        evaluation: what an evaluation pass takes besides.
    """

    weights: int
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
    with FakeTensorMode(), Alive() as alive, sdpa_kernel(SDPBackend.MATH):
        _materialise(classifier)
        weights = alive.now
        # Heads that are alike take alike.
        for name in {head: name for name, head in named.items()}.values():
            for _ in range(2 if passes.again else 1):
                alive.peak = alive.now
                batch, labels = _batch(passes.batch_size, length)
                cross_entropy(classifier(batch, name), labels).backward()
                training = max(training, alive.peak - weights)
            classifier.zero_grad(set_to_none=True)
            alive.peak = alive.now
            with torch.no_grad():
                classifier.eval()(_batch(passes.eval_batch_size, length)[0], name)
            classifier.train()
            evaluation = max(evaluation, alive.peak - weights)
    return _Counted(
        weights,
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
    """The model that is trained, without content."""
    config = read_architecture(model, locate(model, download_weights=False).folder)
    with quiet(), torch.device("meta"):
        encoder = Encoder(fresh_model(model, config))
        if adapter is not None:
            add_adapter(encoder, adapter, seed=0)
        classes = {name: number for name, (_, number) in heads.items()}
        kinds = {name: kind for name, (kind, _) in heads.items()}
        return Classifier(encoder, classes, seed=0, dropout=model.dropout, kinds=kinds).train()


def _materialise(module: nn.Module) -> None:
    """Give every parameter and buffer a fake one in its place; shared ones stay shared."""
    made: dict[int, Any] = {}
    for part in module.modules():
        tables: list[dict[str, Any]] = [part._parameters, part._buffers]
        for there in tables:
            for name, old in there.items():
                if old is None:
                    continue
                if id(old) not in made:
                    new = torch.zeros(old.shape, dtype=old.dtype)
                    if isinstance(old, nn.Parameter):
                        new = nn.Parameter(new, requires_grad=old.requires_grad)
                    made[id(old)] = new
                there[name] = made[id(old)]


def _batch(examples: int, length: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """A batch and its labels (see ``TokenSplit.collate``)."""
    names = ("input_ids", "attention_mask", "token_type_ids", "texts")
    batch = {name: torch.ones(examples, length, dtype=torch.long) for name in names}
    return batch, torch.zeros(examples, dtype=torch.long)


def _size(module: nn.Module) -> int:
    """Bytes of what is trained."""
    return sum(p.numel() * p.element_size() for p in module.parameters() if p.requires_grad)
