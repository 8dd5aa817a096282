"""Builds a trial's training loop from its configuration: data, teachers, strategy and model."""

import torch

from trainables.config.metrics import Positive, f1_of
from trainables.config.task import TaskConfig
from trainables.config.trial import Runtime, TrialConfig
from trainables.data.task import TaskData
from trainables.models.adapter import add_adapter
from trainables.models.classifier import Classifier
from trainables.models.shortcuts.attention import use_attention
from trainables.models.shortcuts.bert_layers import use_bert_shortcuts
from trainables.models.shortcuts.dropout import use_bit_dropout
from trainables.models.shortcuts.vocabulary import trim_vocabulary
from trainables.storage.run_dir import RunDir
from trainables.strategies import Strategy, TrainTask, make_strategy
from trainables.training.loop import TrainingLoop
from trainables.trial.artifacts import load_teacher_distributions, load_weights
from trainables.trial.inputs import load_tokens
from trainables.trial.kept import encoder_of


def build_training_loop(
    config: TrialConfig,
    runtime: Runtime,
    tasks: dict[str, TaskData],
    device: torch.device,
    precision: str,
) -> TrainingLoop:
    """Build the training loop of a trial, at its first step.

    Args:
        config: the trial.
        runtime: where the run directory and the token cache are.
        tasks: the trial's data, task name -> data.
        device: the device to train on.
        precision: ``fp32``, ``bf16`` or ``fp16``.

    Raises:
        InputError: the data, the encoder or the tokenizer cannot be used.
        TrialError: the logits or weights of an upstream trial cannot be used.
    """
    run_dir = RunDir(runtime.output_dir)
    splits = load_tokens(config, runtime, tasks)
    sizes = {name: (len(splits[name]["train"]), task.outputs) for name, task in tasks.items()}
    teachers = load_teacher_distributions(run_dir, config, sizes)
    strategy = make_strategy(
        config.arm,
        [
            TrainTask(
                name,
                task.outputs,
                splits[name]["train"],
                task.labels,
                teachers.get(name),
                _positive(config.tasks[name], task),
            )
            for name, task in tasks.items()
        ],
        config.training,
        config.seed,
    )
    model = _model(config, strategy)
    if config.start_from is not None:
        load_weights(run_dir.weights(config.start_from), model)
    every_split = [split for task in splits.values() for split in task.values()]
    trim_vocabulary(model.encoder, [split.ids for split in every_split], every_split[0].pad_id)
    return TrainingLoop(model.to(device), strategy, list(splits.values()), config, precision)


def _positive(task: TaskConfig, data: TaskData) -> Positive | None:
    """Whose F1 is measured, where the configuration says it."""
    return None if task.positive is None else f1_of(data.labels, task.positive)


def _model(config: TrialConfig, strategy: Strategy) -> Classifier:
    encoder = encoder_of(config.model, config.seed)
    if config.arm.adapter is not None:
        add_adapter(encoder, config.arm.adapter, config.seed)
    kinds = {name: config.arm.task_heads.get(name, config.arm.head) for name in strategy.heads}
    model = Classifier(encoder, strategy.heads, config.seed, config.model.dropout, kinds)
    take_shortcuts(model)
    return model


def take_shortcuts(model: Classifier) -> None:
    """Change how a model is computed, in place; its parameters and their names stay."""
    use_bit_dropout(model)
    use_attention(model.encoder.plain)
    first_token_only = not any(model.head(name).reads_all for name in model.classes)
    use_bert_shortcuts(model.encoder, first_token_only=first_token_only)
