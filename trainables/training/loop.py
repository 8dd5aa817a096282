"""The training loop of one trial, the same for every strategy.

Reads top to bottom. ``TrainingLoop.run`` yields after every optimiser step, so that its caller (a
Tune Trainable, the command line, a debugger) can report, save or stop between any two steps.
"""

import math
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch

from trainables.config.trial import TrialConfig
from trainables.data.tokens import TokenSplit
from trainables.models.classifier import Classifier
from trainables.results.metrics import macro
from trainables.results.record import EpochResult, TaskResult, mean_loss
from trainables.strategies.base import Step, Strategy
from trainables.training.clipping import clip_gradients
from trainables.training.cosines import CosineMeter
from trainables.training.divergence import check_finite, check_weights
from trainables.training.early_stopping import update_best
from trainables.training.evaluation import (
    Evaluation,
    count_predictions,
    evaluate_task,
    no_counts,
    running_result,
)
from trainables.training.freezing import Freezing
from trainables.training.gradients import StepGradients
from trainables.training.micro_batches import Accumulation
from trainables.training.optimizer import apply_settings, learning_rate, make_optimizer
from trainables.training.setting_schedule import SettingSchedule
from trainables.training.state import LoopState, Stateful
from trainables.training.weight_average import WeightAverage

Evaluations = dict[str, dict[str, Evaluation]]
"""Split -> task -> evaluation; not every task has every split."""


class TrainingLoop:
    """Trains ``model`` over the batches of ``strategy`` for ``total_steps`` optimiser steps.

    A segment of a trial ends earlier, at ``setting_schedule.end``.

    An *epoch* is a share ``1 / training.epochs`` of the steps; if the budget is matched in passes,
    it is one pass over the data. After each epoch all splits in ``config.evaluated`` are evaluated.

    Args:
        model: the model, already on its device.
        strategy: the source of the batches.
        splits: one dictionary per task (split name -> tokens), in the strategy's order of tasks.
        config: the trial.
        precision: ``fp32``, ``bf16`` or ``fp16``.

    Attributes:
        state: counters and results so far, see ``LoopState``.
        best_weights: weights of the best epoch on the CPU; None unless ``training.keep`` is
            ``best`` and an epoch has ended.
        loss: mean training loss of the last step; NaN before the first.
        on_evaluation_batch: called after every batch of an evaluation.
    """

    def __init__(
        self,
        model: Classifier,
        strategy: Strategy,
        splits: list[dict[str, TokenSplit]],
        config: TrialConfig,
        precision: str,
    ) -> None:
        self.model = model
        self.strategy = strategy
        self.splits = splits
        self.config = config
        self.training = config.training
        self.precision = precision
        self.device = next(model.parameters()).device
        self.total_steps = config.total_steps or self.training.epochs * strategy.steps_per_pass
        self.setting_schedule = SettingSchedule(config, self.total_steps)
        self.optimizer = make_optimizer(
            model, self.training, per_layer=self.setting_schedule.is_dynamic
        )
        decay = self.training.ema_decay
        self.average = None if decay is None else WeightAverage(model, decay)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision == "fp16")
        self.accumulation = Accumulation(
            self.training.gradient_accumulation, self.training.batch_size
        )
        self.gradients = StepGradients(
            model,
            strategy,
            config,
            self.scaler,
            self.accumulation,
            precision,
            self.total_steps,
        )
        every = self.training.gradient_cosines
        self.cosines = (
            None if every is None else CosineMeter(model, strategy, self.gradients, every)
        )
        self.freezing = Freezing(model, config.arm.freezing, self.total_steps)
        self.state = LoopState(running=self._no_counts())
        self.best_weights: dict[str, torch.Tensor] | None = None
        self.loss = math.nan
        self.on_evaluation_batch: Callable[[], None] = lambda: None
        self._evaluations: Evaluations = {}
        self._evaluated_epoch = 0

    @property
    def stateful(self) -> dict[str, Stateful]:
        """The parts that a checkpoint saves besides the weights and ``state``, by name."""
        parts: dict[str, Stateful] = {
            "optimizer": self.optimizer,
            "scaler": self.scaler,
            "accumulation": self.accumulation,
            "weighting": self.gradients.weighting,
        }
        if self.average is not None:
            parts["average"] = self.average
        if self.cosines is not None:
            parts["cosines"] = self.cosines
        return parts

    @property
    def evaluated_model(self) -> Classifier:
        """The model to evaluate and save: the averaged one if there is an average."""
        return self.model if self.average is None else self.average.model

    @property
    def done(self) -> bool:
        """Whether training has ended, at its last step or by early stopping."""
        return self.state.step >= self.setting_schedule.end or self.state.stopped_early

    def run(self) -> Iterator[None]:
        """Train from the current state to the end; yields after every optimiser step.

        Raises:
            DivergedError: the loss, the gradients or the weights became NaN or infinite.
            TrialError: not even a single example fits into memory.
        """
        self.model.train()
        if self.done:
            return
        for batch in self.strategy.steps(self.state.step):
            started = time.perf_counter()
            self._optimiser_step(batch)
            self.state.train_seconds += time.perf_counter() - started
            epoch_ends = self.state.step == self.epoch_end(self.epoch)
            if self.cosines is not None and (epoch_ends or self.cosines.is_due(self.state.step)):
                started = time.perf_counter()
                self.cosines.measure(self.state.step)
                self.state.eval_seconds += time.perf_counter() - started
            if epoch_ends:
                self._end_epoch()
            search, examples = self.config.search, self.state.examples
            if search is not None and search.measured(examples - len(batch), examples):
                self._measure(fresh=not epoch_ends)
            yield
            if self.done:
                return

    @property
    def epoch(self) -> int:
        """The epoch of the last step, counted from 1."""
        return max(1, math.ceil(self.state.step * self.training.epochs / self.total_steps))

    def epoch_end(self, epoch: int) -> int:
        """Number of optimiser steps after which ``epoch`` (counted from 1) ends."""
        return epoch * self.total_steps // self.training.epochs

    def _optimiser_step(self, step: Step) -> None:
        now = self.state.step + 1, self.total_steps
        self.freezing.apply(self.state.step)
        training = self.setting_schedule.at(self.state.step)
        if self.setting_schedule.is_dynamic:
            apply_settings(self.optimizer, training)
            self.gradients.smoothing = training.label_smoothing
        rate = learning_rate(self.state.step, self.total_steps, training)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        outcome = self.accumulation.run_with_backoff(
            lambda: self.gradients.add(step, self.state.step),
            lambda: self.optimizer.zero_grad(set_to_none=True),
            self.state.step + 1,
            len(step),
        )
        check_finite("the training loss", outcome.loss, *now)
        if self.training.max_grad_norm:
            self.scaler.unscale_(self.optimizer)
            norm = clip_gradients(self.model, self.training.max_grad_norm)
            # With fp16 the scaler skips steps whose gradients overflow, by design.
            if not self.scaler.is_enabled():
                check_finite("the gradients' norm", float(norm), *now)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.gradients.weighting.update(
            outcome.losses, outcome.norms, lambda: self.gradients.losses(step, self.state.step)
        )
        if self.average is not None:
            self.average.update_parameters(self.model)
        for outputs in outcome.outputs:
            count_predictions(self.strategy, self.state.running, *outputs)
        self.loss = outcome.loss
        self.state.step += 1
        self.state.examples += len(step)
        self.state.loss_sum += outcome.loss
        self.state.loss_steps += 1

    def _end_epoch(self) -> None:
        state = self.state
        check_weights(self.model, state.step, self.total_steps)
        started = time.perf_counter()
        self._evaluations = self._evaluate(self.config.evaluated)
        self._evaluated_epoch = self.epoch
        state.eval_seconds += time.perf_counter() - started
        running = {
            task.name: running_result(task, counted)
            for task, counted in zip(self.strategy.tasks, state.running, strict=True)
        }
        evaluated = {
            split: {name: evaluation.result for name, evaluation in evaluations.items()}
            for split, evaluations in self._evaluations.items()
        }
        epoch = EpochResult(
            epoch=self.epoch,
            step=state.step,
            examples=state.examples,
            seconds=state.train_seconds + state.eval_seconds,
            learning_rate=learning_rate(
                state.step - 1, self.total_steps, self.setting_schedule.at(state.step - 1)
            ),
            train_loss=state.loss_sum / state.loss_steps,
            splits={"train": running, **evaluated},
            gradient_cosines=() if self.cosines is None else self.cosines.end_epoch(),
        )
        state.history.append(epoch)
        self.gradients.weighting.end_epoch()
        state.loss_sum, state.loss_steps, state.running = 0.0, 0, self._no_counts()
        if "selection" in evaluated:
            score = self.headline(evaluated["selection"])
            assert score is not None, "a selection split that leaves it undefined is refused"
            self._select(score)

    def _measure(self, fresh: bool) -> None:
        """Add a rung: evaluate ``selection`` anew if ``fresh``, else use the epoch's evaluation."""
        check_weights(self.model, self.state.step, self.total_steps)
        started = time.perf_counter()
        evaluations = self._evaluate(("selection",)) if fresh else self._evaluations
        results = {task: evaluation.result for task, evaluation in evaluations["selection"].items()}
        score, loss = self.headline(results), mean_loss(results.values())
        assert score is not None, "a selection split that leaves it undefined is refused"
        self.state.rungs.append([self.state.examples, score, loss])
        self.state.eval_seconds += time.perf_counter() - started

    def _select(self, score: float) -> None:
        """Update early stopping and the best weights with an epoch's score on selection."""
        best = update_best(self.state, self.training, score, self.epoch, self.total_steps)
        if best and self.training.keep == "best":
            self.best_weights = {
                name: tensor.detach().cpu().clone()
                for name, tensor in self.evaluated_model.tensors().items()
            }

    def headline(self, results: dict[str, TaskResult]) -> float | None:
        """Mean of the tasks' headline metrics, from their results on one split.

        None where the split's labels leave all of them undefined.
        """
        tasks = self.config.tasks
        return macro([r.score(tasks[name].headline) for name, r in results.items()])

    @property
    def reported_epoch(self) -> int | None:
        """The epoch whose weights and results are reported; None for a segment that has a next."""
        if self.config.has_next_segment:
            return None
        if self.training.keep == "best":
            return self.state.best_epoch
        return self.state.history[-1].epoch

    def finish(self) -> Evaluations:
        """Put the reported epoch's weights into the model and return its evaluations."""
        if self.average is not None:
            self.model.load_state_dict(self.average.model.state_dict())
            self.average = None
        reported = self.reported_epoch
        if reported is None:
            if self._evaluated_epoch != self.epoch or self.state.step != self.epoch_end(self.epoch):
                self._evaluations = self._evaluate(self.config.evaluated)
        elif reported != self._evaluated_epoch:
            if self.best_weights is not None:
                self.model.load_state_dict(self.best_weights, strict=False)
            self._evaluations = self._evaluate(self.config.evaluated)
            self._evaluated_epoch = reported
        if self.training.evaluate_test and "test" not in self._evaluations:
            self._evaluations |= self._evaluate(("test",))
        return self._evaluations

    def teacher_logits(self) -> dict[str, np.ndarray]:
        """The model's logits on the training splits, for its students.

        Returns:
            Task -> float32 of shape ``(examples, classes)``.
        """
        train = self._evaluate(("train",))["train"]
        return {task: evaluation.logits for task, evaluation in train.items()}

    def _evaluate(self, names: tuple[str, ...]) -> Evaluations:
        evaluations: Evaluations = {}
        for split in names:
            tasks = zip(self.strategy.tasks, self.splits, strict=True)
            for index, (task, splits) in enumerate(tasks):
                if split in splits:
                    evaluation = self.evaluate(index, splits[split])
                    evaluations.setdefault(split, {})[task.name] = evaluation
        return evaluations

    def evaluate(self, task: int, split: TokenSplit) -> Evaluation:
        """Evaluate the model on examples of one task, given by its index (see ``evaluate_task``).

        Raises:
            TrialError: not even a single example fits into memory.
        """
        return evaluate_task(
            self.evaluated_model,
            self.strategy,
            task,
            split,
            batch_size=self.training.eval_batch_size,
            device=self.device,
            precision=self.precision,
            on_batch=self.on_evaluation_batch,
        )

    def _no_counts(self) -> list[np.ndarray]:
        return [no_counts(task) for task in self.strategy.tasks]
