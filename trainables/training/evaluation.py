"""Evaluation of a model on a whole split; metrics are never averaged over batches."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from trainables.data.batches import evaluation_batches
from trainables.data.tokens import TokenSplit
from trainables.models.classifier import Classifier
from trainables.results.metrics import counts
from trainables.results.record import TaskResult
from trainables.strategies.base import Strategy
from trainables.training.device import autocast
from trainables.training.memory import attempt, out_of_memory_error


@dataclass(frozen=True)
class Evaluation:
    """Results of one task on one split.

    Attributes:
        result: confusion matrix, mean cross-entropy and share of leaked predictions.
        logits: logits of the task's own classes, float32 of shape ``(examples, classes)``.
        predictions: predicted classes, int64 of shape ``(examples,)``; ``classes`` stands for any
            class of another task.
        labels: gold classes, int64 of shape ``(examples,)``.
    """

    result: TaskResult
    logits: np.ndarray
    predictions: np.ndarray
    labels: np.ndarray


@torch.no_grad()
def evaluate_task(
    model: Classifier,
    strategy: Strategy,
    task: int,
    split: TokenSplit,
    *,
    batch_size: int,
    device: torch.device,
    precision: str,
    on_batch: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Evaluate ``model`` on one task's whole ``split``, in evaluation mode.

    A batch that does not fit into memory is halved, and so are those after it. Up to rounding the
    logits do not depend on the batch size (a smaller batch may be padded less and summed in another
    order), so a prediction can differ only where two classes are equally likely.

    Args:
        model: the model, which is left in training mode.
        strategy: chooses the head of the task and interprets its logits.
        task: index of the task.
        split: the examples.
        batch_size: examples per batch.
        device: the device of the model.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        on_batch: called after every batch.

    Raises:
        TrialError: not even a single example fits into memory.
    """
    # Imported here for start-up time: a command that plans evaluates nothing.
    from trainables.results.evaluate_metric import Classification

    model.eval()
    classes = strategy.tasks[task].classes
    logits = torch.empty(len(split), classes)
    predictions = torch.empty(len(split), dtype=torch.int64)
    labels = torch.empty(len(split), dtype=torch.int64)
    metric = Classification()
    leaks = 0
    leaking = False

    def compute(indices: np.ndarray) -> torch.Tensor:
        batch = split.collate(indices)
        labels[indices] = batch.pop("labels")
        batch = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
        with autocast(precision, device):
            raw = model(batch, strategy.head_of(task))
        return raw.float().cpu()

    order = np.concatenate(evaluation_batches(split.lengths, batch_size))
    while len(order):
        indices = order[:batch_size]
        raw = attempt(partial(compute, indices))
        if raw is None:
            if len(indices) == 1:
                raise out_of_memory_error("evaluation")
            batch_size = -(-len(indices) // 2)
            continue
        order = order[batch_size:]
        on_batch()
        logits[indices] = strategy.own_logits(task, raw)
        predictions[indices] = strategy.predictions(task, raw)
        metric.add_batch(predictions=predictions[indices], references=labels[indices])
        leaked = strategy.leaked(task, raw)
        if leaked is not None:
            leaking = True
            leaks += int(leaked.sum())
    model.train()
    positive = strategy.tasks[task].positive
    measured = metric.compute(classes=classes, positive=positive)
    assert measured is not None
    loss = float(torch.nn.functional.cross_entropy(logits, labels))
    result = TaskResult(
        confusion=measured["confusion"],
        positive=positive,
        loss=loss if np.isfinite(loss) else None,
        leak=leaks / len(split) if leaking else None,
    )
    return Evaluation(result, logits.numpy(), predictions.numpy(), labels.numpy())


def count_predictions(
    strategy: Strategy,
    running: list[np.ndarray],
    tasks: np.ndarray,
    logits: torch.Tensor,
    labels: torch.Tensor,
) -> None:
    """Add the predictions of a training micro-batch to the running confusion matrices.

    Args:
        strategy: turns logits into predictions.
        running: one matrix per task, shape ``(classes, classes + 1)``; changed in place.
        tasks: index of each example's task, shape ``(batch,)``.
        logits: logits of the head, shape ``(batch, classes of the head)``.
        labels: labels in the head's label space, shape ``(batch,)``.
    """
    for task in np.unique(tasks):
        rows = torch.from_numpy(tasks == task)
        predicted = strategy.predictions(int(task), logits[rows]).numpy()
        own = strategy.own_labels(int(task), labels[rows]).numpy()
        running[task] += counts(own, predicted, strategy.tasks[task].classes)
