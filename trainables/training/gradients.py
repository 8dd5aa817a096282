"""The gradients of one optimiser step: forward, weigh, backward, aggregate.

Nothing that a checkpoint keeps moves here, so a step's gradients can be computed again.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from trainables.config.arms import NaiveConcatArm, SharedEncoderArm
from trainables.config.trial import TrialConfig
from trainables.models.classifier import Classifier
from trainables.seeding import derive_seed
from trainables.strategies.base import Part, Step, TrainTask
from trainables.training.aggregation import Row, make_aggregation
from trainables.training.device import autocast
from trainables.training.distillation import gold_weight, soft_targets
from trainables.training.layer_depth import GradientNorm, last_shared_layer
from trainables.training.micro_batches import Accumulation
from trainables.training.weighting import make_weighting

_PLAIN = SharedEncoderArm(strategy="shared_encoder")


@dataclass
class StepOutcome:
    """What a step's forward and backward passes have shown.

    Attributes:
        losses: mean loss of each task, unweighted, shape ``(tasks,)``; NaN for a task that is not
            in the step.
        norms: norm of its gradient in the last shared layer; 0 where no weighting asks for it.
        loss: the step's mean loss per example, unweighted.
        outputs: tasks, logits and labels of each micro-batch, on the CPU.
    """

    losses: np.ndarray
    norms: np.ndarray
    loss: float = 0.0
    outputs: list[tuple[np.ndarray, Tensor, Tensor]] = field(default_factory=list)


class StepGradients:
    """Computes the gradients of a step as the arm's methods have it.

    Attributes:
        weighting: how much each task's loss counts.
        aggregation: how the tasks' gradients become the shared encoder's.
        smoothing: share of the gold label that all classes divide.
    """

    def __init__(
        self,
        model: Classifier,
        tasks: list[TrainTask],
        config: TrialConfig,
        scaler: torch.amp.GradScaler,
        accumulation: Accumulation,
        precision: str,
        total_steps: int,
    ) -> None:
        # A strategy without such methods is like a shared encoder with none of them.
        arm = config.arm if isinstance(config.arm, SharedEncoderArm) else _PLAIN
        shared = [p for p in model.encoder.parameters() if p.requires_grad]
        self.weighting = make_weighting(arm.weighting, tasks, config.seed)
        self.aggregation = make_aggregation(arm.aggregation, shared, len(tasks), config.seed)
        self._model = model
        self._tasks = len(tasks)
        self._seed = config.seed
        self._scaler = scaler
        self._accumulation = accumulation
        self._precision = precision
        self._device = next(model.parameters()).device
        self._distillation = (
            None if isinstance(config.arm, NaiveConcatArm) else (config.arm.distillation)
        )
        self.smoothing = config.training.label_smoothing
        self._total_steps = total_steps
        self._norm = GradientNorm(last_shared_layer(model) if self.weighting.norms else [])

    def add(self, step: Step, number: int) -> StepOutcome:
        """Add the gradients of step ``number`` (counted from 0) to the parameters'."""
        first = self.losses(step, number) if self.weighting.losses_first else self._nothing()
        weights = self.weighting.weights(number, first).tolist()
        seen = StepOutcome(self._nothing(), self._nothing())
        rows: list[Row] = []
        self._seed_dropout(number)
        for part in step.parts:
            share, weight, before = len(part) / len(step), weights[part.task], seen.loss
            self._norm.mark()
            for tasks, tensors in self._micro_batches(step, part):
                logits, labels, target = self._forward(part, tensors, number)
                # However a batch is cut, by task or into micro-batches, each example counts alike.
                loss = self._loss(logits, target) * (len(labels) / len(step))
                self._scaler.scale(loss * weight).backward()
                seen.loss += loss.item()
                seen.outputs.append((tasks, logits.detach().cpu(), labels.cpu()))
            seen.losses[part.task] = (seen.loss - before) / share
            seen.norms[part.task] = self._norm.added(self._scaler.get_scale() * share * weight)
            rows += self.aggregation.take(share)
        self.aggregation.combine(rows, number)
        return seen

    @torch.no_grad()
    def losses(self, step: Step, number: int) -> np.ndarray:
        """Mean losses of a step's tasks under the same dropout as its gradients."""
        losses = self._nothing()
        self._seed_dropout(number)
        for part in step.parts:
            losses[part.task] = 0.0
            for _, tensors in self._micro_batches(step, part):
                logits, labels, target = self._forward(part, tensors, number)
                losses[part.task] += self._loss(logits, target).item() * len(labels) / len(part)
        return losses

    def _forward(
        self, part: Part, tensors: dict[str, Tensor], number: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, labels, and what the logits are to become: the labels or distributions."""
        labels = tensors.pop("labels")
        with autocast(self._precision, self._device):
            logits = self._model(tensors, part.head).float()
        if self._distillation is None:
            return logits, labels, labels
        weight = gold_weight(self._distillation, number, self._total_steps)
        targets = soft_targets(labels, tensors["teacher"], weight, self.smoothing)
        return logits, labels, targets

    def _loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean loss of a micro-batch.

        Labels are smoothed over the classes that the loss is over, which are all of the head's
        (Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer Vision",
        section 7): of a pooled classifier with a union label space, other tasks' classes too.
        Distributions come with their gold part smoothed.
        """
        smoothing = self.smoothing if self._distillation is None else 0.0
        return cross_entropy(logits, target, label_smoothing=smoothing)

    def _micro_batches(
        self, step: Step, part: Part
    ) -> Iterator[tuple[np.ndarray, dict[str, Tensor]]]:
        """Tasks and tensors of a part, in pieces that fit the device."""
        micro = self._accumulation.micro(len(step))
        for start in range(0, len(part), micro):
            rows = slice(start, start + micro)
            tensors = {name: t[rows].to(self._device) for name, t in part.tensors.items()}
            yield part.tasks[rows], tensors

    def _seed_dropout(self, number: int) -> None:
        torch.manual_seed(derive_seed(self._seed, "dropout", number))

    def _nothing(self) -> np.ndarray:
        return np.full(self._tasks, np.nan)
