"""Everything that decides the numbers of one trial, and what only decides where it runs.

``TrialConfig`` is hashed into the trial's key: two trials with the same key are the same trial.
``Runtime`` holds paths, device and trackers, which change nothing that is measured.
"""

import hashlib
import json
from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from trainables.config.arms import ArmConfig
from trainables.config.base import Settings
from trainables.config.schedules import Segment, SettingChange
from trainables.config.task import TaskConfig
from trainables.config.tracking import MlflowConfig, TrackerName, WandbConfig

CODE_SCHEMA = 2
"""Raised whenever a change of the code changes the numbers that a trial gives."""


class ModelConfig(Settings):
    """An encoder: an embedded alias, a Hub name or a local folder."""

    encoder: str = Field(min_length=1, description="minilm-l6, a Hub name or a folder")
    revision: str | None = Field(default=None, description="Hub branch, tag or commit")
    num_layers: PositiveInt | None = Field(default=None, description="keep only the first layers")
    weights: Literal["pretrained", "random"] = Field(
        default="pretrained",
        description="random: the architecture alone, initialised from the seed",
    )
    max_length: int = Field(default=128, ge=8, description="tokens kept of one example")
    dropout: float | None = Field(
        default=None, ge=0, lt=1, description="in encoder and heads; none: the encoder's own"
    )


Warmup = Annotated[str, Field(pattern=r"^(\d+ steps?|\d+(\.\d+)? epochs?)$")]


class EarlyStopping(Settings):
    """Stop when the headline (macro over tasks) on ``selection`` no longer improves."""

    patience: PositiveInt = Field(default=1, description="epochs without improvement")
    min_delta: NonNegativeFloat = 0.0


class TrainingConfig(Settings):
    """Optimisation and evaluation of one trial."""

    budget: Literal["passes", "steps"] = Field(
        default="passes",
        description="passes: each arm sees each example `epochs` times; "
        "steps: every trial takes as many optimiser steps as a multi-task trial",
    )
    epochs: PositiveInt = 3
    batch_size: PositiveInt = Field(default=32, description="examples per optimiser step")
    gradient_accumulation: PositiveInt = Field(
        default=1, description="micro-batches into which a batch is cut"
    )
    eval_batch_size: PositiveInt = 64
    evaluate_test: bool = Field(
        default=False,
        description="evaluate the test split too, once at the end, where its true labels exist",
    )
    # MT-DNN (Liu et al. 2019): adamax, learning rate 5e-5, batches of 32, 5 epochs, linear decay
    # after a warm-up of 0.1, clipping at 1.
    optimizer: Literal["adamw", "adamax"] = "adamw"
    learning_rate: PositiveFloat = 5e-5
    layer_decay: float = Field(
        default=1.0, gt=0, le=1, description="rate of a layer, as a share of the next one's"
    )
    weight_decay: NonNegativeFloat = 0.01
    adam_beta1: float = Field(default=0.9, ge=0, lt=1)
    adam_beta2: float = Field(default=0.999, ge=0, lt=1)
    adam_epsilon: PositiveFloat = 1e-8
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warmup: Annotated[float, Field(ge=0, lt=1)] | Warmup = Field(
        default=0.0, description="share of the steps, or a text: 500 steps, 0.5 epochs"
    )
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="share of the gold label that all classes divide"
    )
    max_grad_norm: NonNegativeFloat = Field(default=1.0, description="0: no clipping")
    ema_decay: float | None = Field(
        default=None, gt=0, lt=1, description="evaluate and keep averaged weights; none: not"
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    length_bucketing: bool = Field(
        default=True, description="batches of examples of similar length"
    )
    early_stopping: EarlyStopping | None = None
    keep: Literal["last", "best"] = Field(
        default="last", description="which epoch is reported; best is chosen on selection"
    )


class SelectionConfig(Settings):
    """The split that is carved from ``train`` where something must be selected."""

    enabled: Literal["auto", "always", "never"] = Field(
        default="auto", description="auto: where early stopping or keep=best need it"
    )
    fraction: float = Field(default=0.1, gt=0, lt=1)

    def carved(self, training: TrainingConfig) -> float | None:
        """The share of ``train`` that is carved; none: nothing is."""
        needed = training.early_stopping is not None or training.keep == "best"
        if self.enabled == "always" or (self.enabled == "auto" and needed):
            return self.fraction
        return None


class LimitsConfig(Settings):
    """Caps per task; the same examples are kept in every trial and seed."""

    max_train_examples: PositiveInt | None = None
    train_fraction: float | None = Field(
        default=None, gt=0, le=1, description="share of them that is kept, rounded up"
    )
    max_validation_examples: PositiveInt | None = None


class SearchConfig(Settings):
    """A trial of a hyperparameter search: measured on ``selection`` alone, never on validation."""

    rungs: tuple[PositiveInt, ...] = Field(
        default=(),
        description="training examples after which it is measured, besides the ends of epochs",
    )
    segment: Segment | None = Field(
        default=None, description="the part of training at whose end it stops; none: all of it"
    )

    def measured(self, before: int, seen: int) -> bool:
        """Whether a step from ``before`` to ``seen`` training examples reaches a rung."""
        return any(before < rung <= seen for rung in self.rungs)


class TrialConfig(Settings):
    """What one trial trains, on what, and how; all of it decides the numbers."""

    arm_name: str
    arm: ArmConfig
    tasks: dict[str, TaskConfig]
    sources: dict[str, str] = Field(description="task -> source that was chosen for it")
    fingerprints: dict[str, str] = Field(description="task -> fingerprint of its data")
    model_name: str
    model: ModelConfig
    seed: NonNegativeInt
    training: TrainingConfig
    selection: SelectionConfig
    limits: LimitsConfig
    total_steps: PositiveInt | None = Field(
        default=None, description="optimiser steps where the budget is matched in steps"
    )
    teachers: dict[str, tuple[str, ...]] = Field(
        default={}, description="task -> keys of the trials whose predictions it learns from"
    )
    start_from: str | None = Field(
        default=None, description="key of the trial whose weights it starts from"
    )
    changes: tuple[SettingChange, ...] = Field(
        default=(), description="settings of training that change on the way, the earliest first"
    )
    tuned: bool = Field(default=False, description="its settings were found by a search")
    search: SearchConfig | None = Field(
        default=None, description="of a trial of a search; none: a trial of a comparison"
    )

    @model_validator(mode="after")
    def _changes_fit(self) -> Self:
        for number, change in enumerate(self.changes):
            if number and change.at <= self.changes[number - 1].at:
                raise ValueError("changes: each one must be later than the one before")
            TrainingConfig.model_validate(self.training.model_dump() | change.training)
        return self

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits that identify the trial by its content.

        Where the data lies (paths, Hub or folder) does not enter: the fingerprints do.
        """
        content = self.model_dump(mode="json", exclude={"sources", "tasks"})
        content["tasks"] = {name: task.headline for name, task in self.tasks.items()}
        content["arm"].pop("label")
        if content["search"] is not None and content["search"]["segment"] is None:
            content["search"].pop("segment")
        for name in ("changes", "tuned", "search"):
            # Trials that have nothing to do with a search keep the keys that they ever had.
            if not content[name]:
                content.pop(name)
        content["code_schema"] = CODE_SCHEMA
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    @property
    def evaluated(self) -> tuple[str, ...]:
        """The splits that are evaluated after each epoch, the one that is reported last."""
        return ("selection",) if self.search is not None else ("selection", "validation")

    @property
    def needs(self) -> frozenset[str]:
        """Keys of the trials that must have finished before this one can start."""
        teachers = {key for keys in self.teachers.values() for key in keys}
        return frozenset(teachers | ({self.start_from} if self.start_from else set()))

    @property
    def earlier(self) -> "TrialConfig | None":
        """The trial that ends where this one's segment begins, and is the same up to there."""
        segment = self.search.segment if self.search is not None else None
        if self.search is None or segment is None or segment.number == 1:
            return None
        before = Segment(number=segment.number - 1, of=segment.of)
        return self.model_copy(
            update={
                "changes": tuple(c for c in self.changes if c.at < before.until),
                "search": self.search.model_copy(update={"segment": before}),
            }
        )

    @property
    def has_next_segment(self) -> bool:
        """Whether it is a segment after which others may come."""
        segment = self.search.segment if self.search is not None else None
        return segment is not None and segment.has_next

    @property
    def title(self) -> str:
        """A name for humans, for example ``single_task minilm-l6 cola seed 41``."""
        task = f" {next(iter(self.tasks))}" if self.arm.strategy == "single_task" else ""
        tuned = " tuned" if self.tuned else ""
        return f"{self.arm_name}{tuned} {self.model_name}{task} seed {self.seed}"


class Runtime(Settings):
    """Where a trial runs and what it leaves behind; changes nothing that is measured."""

    output_dir: str = Field(description="the run directory")
    store: str | None = Field(
        default=None, description="its URL where it is an object store; output_dir is then a copy"
    )
    device: str = Field(default="auto", description="auto, cpu, mps, cuda or cuda:N")
    threads: PositiveInt = Field(default=1, description="CPU threads")
    glue_dir: str | None = None
    cache_dir: str | None = Field(
        default=None, description="token cache; none: the user's cache folder"
    )
    tracking: tuple[TrackerName, ...] = ()
    wandb: WandbConfig = WandbConfig()
    mlflow: MlflowConfig = MlflowConfig()
    resume_from: str | None = Field(default=None, description="a checkpoint folder")
    save_model: bool = False
    artifacts: tuple[Literal["teacher_logits", "weights"], ...] = Field(
        default=(), description="what to write for the trials that depend on this one"
    )
    checkpoint_every: NonNegativeFloat = Field(default=300.0, description="seconds; 0: never")
    keep_checkpoints: bool = Field(default=False, description="also of a trial that has ended")
    patience: NonNegativeFloat = Field(
        default=600.0, description="seconds to wait for a run directory that is gone or full"
    )
    gpu: NonNegativeFloat = Field(
        default=1.0, description="share of its GPU that a GPU trial is held to"
    )
    memory: PositiveFloat | None = Field(
        default=None, description="GB of host memory that a CPU trial is held to; none: no limit"
    )
