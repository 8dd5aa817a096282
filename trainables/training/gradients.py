"""The gradients of one optimiser step: forward, weight the losses, backward, aggregate.

Computing them changes nothing that a checkpoint saves, so a step's gradients can be recomputed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from trainables.config.arms import NaiveConcatArm, SharedEncoderArm
from trainables.config.trial import TrialConfig
from trainables.models.classifier import Classifier
from trainables.seeding import derive_seed
from trainables.strategies.base import Part, Step, Strategy
from trainables.training.aggregation import Row, make_aggregation
from trainables.training.class_weights import balanced
from trainables.training.device import autocast
from trainables.training.distillation import gold_weight, mixed_targets, soft_targets
from trainables.training.layer_depth import GradientNorm, last_shared_layer
from trainables.training.micro_batches import Accumulation
from trainables.training.weighting import make_weighting

_PLAIN = SharedEncoderArm(strategy="shared_encoder")


@dataclass
class StepOutcome:
    """Losses, gradient norms and outputs of one step.

    Attributes:
        losses: mean unweighted loss of each task, shape ``(tasks,)``; NaN for a task that is not
            in the step.
        norms: norm of each task's gradient in the last shared layer, shape ``(tasks,)``; 0.0 if
            the weighting does not need it, NaN for a task that is not in the step.
        loss: mean unweighted loss per example of the step.
        outputs: task indices, logits and labels of each micro-batch, on the CPU.
    """

    losses: np.ndarray
    norms: np.ndarray
    loss: float = 0.0
    outputs: list[tuple[np.ndarray, Tensor, Tensor]] = field(default_factory=list)


class StepGradients:
    """Computes the gradients of a step with the methods that the arm configures.

    Attributes:
        weighting: the loss weighting method.
        aggregation: the method that combines the tasks' gradients of the shared encoder.
        smoothing: label smoothing, in [0, 1).
    """

    def __init__(
        self,
        model: Classifier,
        strategy: Strategy,
        config: TrialConfig,
        scaler: torch.amp.GradScaler,
        accumulation: Accumulation,
        precision: str,
        total_steps: int,
    ) -> None:
        # The other strategies have no such methods: they use a shared encoder's defaults.
        arm = config.arm if isinstance(config.arm, SharedEncoderArm) else _PLAIN
        tasks = strategy.tasks
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
            None if isinstance(config.arm, NaiveConcatArm) else config.arm.distillation
        )
        self.smoothing = config.training.label_smoothing
        self._regressions = {
            strategy.head_of(number) for number, task in enumerate(tasks) if task.regression
        }
        self._class_weights: dict[str, Tensor] = {}
        if config.training.class_weights == "balanced":
            self._class_weights = {
                head: balanced(counts).to(self._device)
                for head, counts in strategy.class_counts.items()
            }
        self._total_steps = total_steps
        self._norm = GradientNorm(last_shared_layer(model) if self.weighting.norms else [])

    def add(self, step: Step, number: int) -> StepOutcome:
        """Add the gradients of step ``number`` (counted from 0) to the parameters' ``grad``."""
        first = self.losses(step, number) if self.weighting.losses_first else self._nan_per_task()
        weights = self.weighting.weights(number, first).tolist()
        outcome = StepOutcome(self._nan_per_task(), self._nan_per_task())
        rows: list[Row] = []
        losses: list[list[Tensor]] = []
        outputs: list[tuple[np.ndarray, Tensor, Tensor]] = []
        self._seed_dropout(number)
        for part in step.parts:
            share, weight = len(part) / len(step), weights[part.task]
            losses.append([])
            self._norm.mark()
            for tasks, tensors in self._micro_batches(step, part):
                logits, labels, target = self._forward(part, tensors, number)
                # Every example has the same weight, whatever its task and micro-batch.
                loss = self._loss(logits, target, part.head) * (len(labels) / len(step))
                self._scaler.scale(loss * weight).backward()
                losses[-1].append(loss.detach())
                outputs.append((tasks, logits.detach(), labels))
            outcome.norms[part.task] = self._norm.added(self._scaler.get_scale() * share * weight)
            rows += self.aggregation.take(share)
        self.aggregation.combine(rows, number)
        # Only now does anything wait for the device.
        for part, own in zip(step.parts, losses, strict=True):
            loss = sum(torch.stack(own).tolist())
            outcome.losses[part.task] = loss / (len(part) / len(step))
            outcome.loss += loss
        outcome.outputs = [(tasks, logits.cpu(), labels.cpu()) for tasks, logits, labels in outputs]
        return outcome

    @torch.no_grad()
    def losses(self, step: Step, number: int) -> np.ndarray:
        """Mean loss of each task of a step, with the same dropout masks as its gradients.

        Returns:
            Shape ``(tasks,)``; NaN for a task that is not in the step.
        """
        losses = self._nan_per_task()
        self._seed_dropout(number)
        for part in step.parts:
            own = []
            for _, tensors in self._micro_batches(step, part):
                logits, labels, target = self._forward(part, tensors, number)
                own.append(self._loss(logits, target, part.head) * (len(labels) / len(part)))
            losses[part.task] = sum(torch.stack(own).tolist())
        return losses

    def of_part(self, part: Part, number: int) -> list[Tensor | None]:
        """Gradient of a part's mean loss in the parameters of the encoder that are trained now.

        Only computed: the parameters' ``grad`` stays as it is.

        Args:
            part: the examples.
            number: the step whose loss it is (see ``add``), counted from 0.

        Returns:
            One per parameter, in its shape; none where the part does not reach it. With fp16
            multiplied by the loss scale.
        """
        shared = [p for p in self._model.encoder.parameters() if p.requires_grad]
        total: list[Tensor | None] = [None] * len(shared)
        for _, tensors in self._micro_batches(Step((part,)), part) if shared else ():
            logits, labels, target = self._forward(part, tensors, number)
            loss = self._loss(logits, target, part.head) * (len(labels) / len(part))
            scaled = loss * self._scaler.get_scale()
            for index, added in enumerate(torch.autograd.grad(scaled, shared, allow_unused=True)):
                before = total[index]
                total[index] = added if before is None or added is None else before.add_(added)
        return total

    def _forward(
        self, part: Part, tensors: dict[str, Tensor], number: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, labels, and the targets of the loss, with distillation other ones than labels."""
        labels = tensors.pop("labels")
        with autocast(self._precision, self._device):
            logits = self._model(tensors, part.head).float()
        if self._distillation is None:
            return logits, labels, labels
        weight = gold_weight(self._distillation, number, self._total_steps)
        if part.head in self._regressions:
            return logits, labels, mixed_targets(labels, tensors["teacher"], weight)
        targets = soft_targets(labels, tensors["teacher"], weight, self.smoothing)
        return logits, labels, targets

    def _loss(self, logits: Tensor, target: Tensor, head: str) -> Tensor:
        """Mean loss of a micro-batch: cross-entropy, or squared error in a regression.

        Labels are smoothed over all classes of the head (Szegedy et al. 2016, "Rethinking the
        Inception Architecture for Computer Vision", section 7); in a pooled classifier with a
        union label space that includes the classes of other tasks. Distributions come with their
        gold part already smoothed. Class weights multiply each class's term of the loss, and the
        sum is divided by the number of examples, not by their weights: so an example's part in a
        step does not depend on the micro-batch that it is in.
        """
        if head in self._regressions:
            return mse_loss(logits[:, 0], target.float())
        smoothing = self.smoothing if self._distillation is None else 0.0
        weights = self._class_weights.get(head)
        if weights is None:
            return cross_entropy(logits, target, label_smoothing=smoothing)
        total = cross_entropy(
            logits, target, weight=weights, label_smoothing=smoothing, reduction="sum"
        )
        return total / len(logits)

    def _micro_batches(
        self, step: Step, part: Part
    ) -> Iterator[tuple[np.ndarray, dict[str, Tensor]]]:
        """Task indices and tensors of each micro-batch of a part, on the device."""
        size = self._accumulation.micro_batch_size(len(step))
        for start in range(0, len(part), size):
            rows = slice(start, start + size)
            tensors = {name: t[rows].to(self._device) for name, t in part.tensors.items()}
            yield part.tasks[rows], tensors

    def _seed_dropout(self, number: int) -> None:
        torch.manual_seed(derive_seed(self._seed, "dropout", number))

    def _nan_per_task(self) -> np.ndarray:
        return np.full(self._tasks, np.nan)
