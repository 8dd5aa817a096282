"""Hugging Face's Trainer on one task, as transformers' example run_glue uses it: the reference.

It needs the package ``accelerate`` (requirements-dev.txt).
"""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from datasets import Dataset
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    EvalPrediction,
    PrinterCallback,
    Trainer,
    TrainingArguments,
    set_seed,
)

from benchmarks.trainer_clock import TrainerClock
from trainables.models.quiet import quiet


@dataclass(frozen=True)
class Examples:
    """The texts and labels of a split.

    Attributes:
        texts: of each example: one or two strings.
        labels: of each example, from 0.
    """

    texts: Sequence[tuple[str, ...]]
    labels: Sequence[int]


@dataclass(frozen=True)
class TrainerRun:
    """What a training with Trainer took.

    Attributes:
        startup: seconds until the first step: encoder, tokens, Trainer.
        training: seconds of all passes, evaluations not included.
        evaluation: seconds of all evaluations.
        steps: optimiser steps.
        trained: training examples that were seen, with repetitions.
        evaluated: validation examples that were predicted, with repetitions.
        accuracy: of the last evaluation.
    """

    startup: float
    training: float
    evaluation: float
    steps: int
    trained: int
    evaluated: int
    accuracy: float


def train_with_trainer(
    encoder: Path,
    train: Examples,
    validation: Examples,
    *,
    batch_size: int,
    epochs: int = 1,
    eval_batch_size: int = 64,
    max_length: int = 128,
    learning_rate: float = 5e-5,
    precision: Literal["fp32", "bf16", "fp16"] = "fp32",
    device: Literal["cpu", "cuda"] = "cpu",
    threads: int = 1,
    group_by_length: bool = False,
    seed: int = 42,
) -> TrainerRun:
    """Fine-tune an encoder for one task, evaluating at the end of each epoch; nothing is saved.

    Trainer's defaults hold, with batches padded to their longest text: fused AdamW, linear decay,
    gradients clipped at 1.

    Args:
        encoder: folder with configuration and tokenizer; without weights they are random.
        train: the training examples.
        validation: the examples that are predicted after each epoch.
        batch_size: examples of an optimiser step.
        epochs: passes over ``train``.
        eval_batch_size: examples of an evaluation batch.
        max_length: tokens that are kept of one example.
        learning_rate: the highest.
        precision: fp16 needs a GPU.
        device: on a machine with several GPUs make one visible: Trainer divides batches among all.
        threads: CPU threads; torch keeps the number afterwards.
        group_by_length: make batches of texts of similar length.
        seed: of the order, the head and dropout.

    Raises:
        ValueError: several GPUs are visible.
        ImportError: ``accelerate`` is missing.
    """
    if device == "cuda" and torch.cuda.device_count() > 1:
        raise ValueError("several GPUs are visible: set CUDA_VISIBLE_DEVICES to one")
    began = time.perf_counter()
    torch.set_num_threads(threads)
    set_seed(seed)
    clock = TrainerClock()
    with quiet(), tempfile.TemporaryDirectory(prefix="one-model-or-many-") as folder:
        tokenizer = AutoTokenizer.from_pretrained(encoder, local_files_only=True)
        half = device == "cuda" and precision != "fp32"
        trainer = Trainer(
            _model(encoder, len(set(train.labels) | set(validation.labels))),
            TrainingArguments(
                output_dir=folder,
                num_train_epochs=epochs,
                per_device_train_batch_size=batch_size,
                per_device_eval_batch_size=eval_batch_size,
                learning_rate=learning_rate,
                bf16=precision == "bf16",
                fp16=precision == "fp16",
                use_cpu=device == "cpu",
                dataloader_pin_memory=device == "cuda",
                train_sampling_strategy="group_by_length" if group_by_length else "random",
                eval_strategy="epoch",
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                disable_tqdm=True,
                seed=seed,
            ),
            # As in run_glue: matrix units like multiples of 8.
            data_collator=DataCollatorWithPadding(
                tokenizer, pad_to_multiple_of=8 if half else None
            ),
            train_dataset=_tokens(tokenizer, train, max_length),
            eval_dataset=_tokens(tokenizer, validation, max_length),
            compute_metrics=_accuracy,
            callbacks=[clock],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    evaluations = [entry for entry in trainer.state.log_history if "eval_runtime" in entry]
    evaluation = sum(entry["eval_runtime"] for entry in evaluations)
    return TrainerRun(
        startup=clock.began - began,
        training=clock.ended - clock.began - evaluation,
        evaluation=evaluation,
        steps=trainer.state.global_step,
        trained=epochs * len(train.labels),
        evaluated=len(evaluations) * len(validation.labels),
        accuracy=evaluations[-1]["eval_accuracy"],
    )


def _model(encoder: Path, classes: int) -> torch.nn.Module:
    """The encoder with a classifier."""
    if (encoder / "model.safetensors").is_file():
        return AutoModelForSequenceClassification.from_pretrained(
            encoder, num_labels=classes, local_files_only=True
        )
    config = AutoConfig.from_pretrained(encoder, num_labels=classes, local_files_only=True)
    return AutoModelForSequenceClassification.from_config(config)


def _tokens(tokenizer: Any, examples: Examples, max_length: int) -> Dataset:
    """Tokens and labels, not padded."""
    columns = [list(texts) for texts in zip(*examples.texts, strict=True)]
    encoded = tokenizer(*columns, truncation=True, max_length=max_length)
    return Dataset.from_dict({**encoded, "label": list(examples.labels)})


def _accuracy(prediction: EvalPrediction) -> dict[str, float]:
    predicted = np.argmax(prediction.predictions, axis=-1)
    return {"accuracy": float(np.mean(predicted == prediction.label_ids))}
