"""Evaluation of a model on a whole split; metrics are never averaged over batches."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from trainables.data.batches import evaluation_batches
from trainables.data.tokens import TokenSplit
from trainables.models.classifier import Classifier
from trainables.results.metrics import added, counts, moments, no_moments, ranks, trimmed
from trainables.results.record import Moments, TaskResult
from trainables.strategies.base import Strategy, TrainTask
from trainables.training.device import autocast
from trainables.training.memory import attempt, out_of_memory_error


@dataclass(frozen=True)
class Evaluation:
    """Results of one task on one split.

    Attributes:
        result: confusion matrix or moments, mean loss and share of leaked predictions.
        logits: logits of the task's own classes, float32 of shape ``(examples, classes)``.
        predictions: predicted classes, int64 of shape ``(examples,)``; ``classes`` stands for any
            class of another task.
        labels: gold classes, int64 of shape ``(examples,)``.

    Of a regression, ``logits`` has one column, and ``predictions``, which are the same numbers, and
    ``labels`` are float64.
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
    model.eval()
    trained = strategy.tasks[task]

    def compute(indices: np.ndarray) -> torch.Tensor:
        batch = split.collate(indices)
        batch = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
        return model(batch, strategy.head_of(task)).float()

    order = np.concatenate(evaluation_batches(split.lengths, batch_size))
    computed = []
    # One context for all batches: weights are converted to its number format once.
    with autocast(precision, device):
        done = 0
        while done < len(order):
            indices = order[done : done + batch_size]
            raw = attempt(partial(compute, indices))
            if raw is None:
                if len(indices) == 1:
                    raise out_of_memory_error("evaluation")
                batch_size = -(-len(indices) // 2)
                continue
            computed.append(raw)
            done += len(indices)
            on_batch()
    # Only now does anything wait for the device.
    raw = torch.cat(computed).cpu()[np.argsort(order)]
    logits = strategy.own_logits(task, raw)
    labels = torch.from_numpy(np.array(split.labels))
    predictions = strategy.predictions(task, raw).to(labels.dtype)
    leaked = strategy.leaked(task, raw)
    model.train()
    measured = _regressed if trained.regression else _classified
    result = measured(trained, logits, predictions, labels)
    if leaked is not None:
        result = result.model_copy(update={"leak": int(leaked.sum()) / len(split)})
    return Evaluation(result, logits.numpy(), predictions.numpy(), labels.numpy())


def _classified(
    task: TrainTask, logits: torch.Tensor, predictions: torch.Tensor, labels: torch.Tensor
) -> TaskResult:
    # Imported here for start-up time: a command that plans evaluates nothing.
    from trainables.results.evaluate_metric import Classification

    measured = Classification().compute(
        predictions=predictions, references=labels, classes=task.classes, positive=task.positive
    )
    assert measured is not None
    return TaskResult(
        confusion=measured["confusion"],
        positive=task.positive,
        loss=_finite(torch.nn.functional.cross_entropy(logits, labels)),
    )


def _regressed(
    task: TrainTask, logits: torch.Tensor, predictions: torch.Tensor, labels: torch.Tensor
) -> TaskResult:
    return TaskResult(
        numbers=Moments.of(moments(labels, predictions)),
        ranks=Moments.of(moments(ranks(labels), ranks(predictions))),
        loss=_finite(torch.nn.functional.mse_loss(predictions, labels)),
    )


def _finite(loss: torch.Tensor) -> float | None:
    return float(loss) if torch.isfinite(loss) else None


def no_counts(task: TrainTask) -> np.ndarray:
    """What ``count_predictions`` adds to: ``counts``, or ``moments`` of a regression."""
    if task.regression:
        return no_moments()
    return np.zeros((task.classes, task.classes + 1), np.int64)


def running_result(task: TrainTask, running: np.ndarray) -> TaskResult:
    """The result of what ``count_predictions`` has added up."""
    if task.regression:
        return TaskResult(numbers=Moments.of(running))
    return TaskResult(confusion=trimmed(running).tolist(), positive=task.positive)


def count_predictions(
    strategy: Strategy,
    running: list[np.ndarray],
    tasks: np.ndarray,
    logits: torch.Tensor,
    labels: torch.Tensor,
) -> None:
    """Add the predictions of a training micro-batch to the running results.

    Args:
        strategy: turns logits into predictions.
        running: one array per task, see ``no_counts``; the list is changed in place.
        tasks: index of each example's task, shape ``(batch,)``.
        logits: logits of the head, shape ``(batch, classes of the head)``.
        labels: labels in the head's label space, shape ``(batch,)``.
    """
    for task in np.unique(tasks):
        rows = torch.from_numpy(tasks == task)
        predicted = strategy.predictions(int(task), logits[rows]).numpy()
        own = strategy.own_labels(int(task), labels[rows]).numpy()
        if strategy.tasks[task].regression:
            running[task] = added(running[task], moments(own, predicted))
        else:
            running[task] += counts(own, predicted, strategy.tasks[task].classes)
