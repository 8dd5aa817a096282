"""Everything that decides the numbers of one trial, and what only decides where it runs.

``TrialConfig`` is hashed into the trial's key: two trials with the same key are the same trial.
``Runtime`` holds paths, device and trackers, which change nothing that is measured.
"""

import hashlib
import json
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    model_validator,
)
from pydantic_core import to_json

from trainables.config.arms import ArmConfig
from trainables.config.base import Settings
from trainables.config.flat import flattened, unflattened
from trainables.config.schedules import Segment, SettingChange
from trainables.config.task import TaskConfig
from trainables.config.tracking import TrackingConfig

CODE_SCHEMA = 3
"""Raised whenever a change of the code changes the numbers that a trial gives.

3: other dropout masks on CPUs, bf16 on those that have matrix units for it.
"""


# JSON values have no cycles.
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False)


def canonical(content: dict[str, Any]) -> str:
    """JSON values as JSON text that does not depend on the order of keys."""
    return _CANONICAL.encode(content)


class ModelConfig(Settings):
    """An encoder: an embedded alias, a Hub name or a local folder."""

    encoder: str = Field(
        min_length=1, description="minilm-l6 (embedded), the name of a Hub model or a local folder"
    )
    revision: str | None = Field(
        default=None, description="branch, tag or commit on the Hub; None: the main branch"
    )
    num_layers: PositiveInt | None = Field(
        default=None, description="keep only the first layers of the encoder; None: all"
    )
    weights: Literal["pretrained", "random"] = Field(
        default="pretrained",
        description="pretrained weights, or the architecture alone, initialised from the seed "
        "(random)",
    )
    max_length: int = Field(
        default=128, ge=8, description="tokens that are kept of one example, special ones included"
    )
    dropout: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="dropout of encoder and heads; None: the encoder's own",
    )


Warmup = Annotated[str, Field(pattern=r"^(\d+ steps?|\d+(\.\d+)? epochs?)$")]


class EarlyStopping(Settings):
    """Stop when the headline (macro over tasks) on ``selection`` no longer improves."""

    patience: PositiveInt = Field(
        default=1, description="epochs without improvement after which training stops"
    )
    min_delta: NonNegativeFloat = Field(
        default=0.0, description="least gain in the headline metric that counts as improvement"
    )


class TrainingConfig(Settings):
    """Optimisation and evaluation of one trial."""

    budget: Literal["passes", "steps"] = Field(
        default="passes",
        description="what is equal for all arms: each sees each example `epochs` times (passes), "
        "or every trial takes as many optimiser steps as a multi-task trial (steps)",
    )
    epochs: PositiveInt = Field(default=3, description="passes over the training data")
    batch_size: PositiveInt = Field(default=32, description="examples per optimiser step")
    gradient_accumulation: PositiveInt = Field(
        default=1, description="micro-batches into which a batch is split, which saves memory"
    )
    eval_batch_size: PositiveInt = Field(default=64, description="examples per evaluation batch")
    evaluate_test: bool = Field(
        default=False,
        description="evaluate the test split too, once at the end, where its true labels exist",
    )
    predict_test: bool = Field(
        default=False,
        description="predict GLUE's test splits, whose labels are hidden, once at the end, for "
        "`submission`",
    )
    # MT-DNN (Liu et al. 2019): adamax, learning rate 5e-5, batches of 32, 5 epochs, linear decay
    # after a warm-up of 0.1, clipping at 1.
    optimizer: Literal["adamw", "adamax"] = Field(
        default="adamw", description="the optimiser, in both cases with decoupled weight decay"
    )
    learning_rate: PositiveFloat = Field(
        default=5e-5, description="highest learning rate, reached after the warm-up"
    )
    layer_decay: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="learning rate of a layer as a share of that of the layer above it; no effect "
        "on a frozen encoder",
    )
    weight_decay: NonNegativeFloat = Field(
        default=0.01, description="decoupled weight decay, of weight matrices alone"
    )
    adam_beta1: float = Field(
        default=0.9, ge=0, lt=1, description="decay of the optimiser's first moment"
    )
    adam_beta2: float = Field(
        default=0.999, ge=0, lt=1, description="decay of the optimiser's second moment"
    )
    adam_epsilon: PositiveFloat = Field(
        default=1e-8, description="added to the denominator of the optimiser's update"
    )
    schedule: Literal["linear", "cosine", "constant"] = Field(
        default="linear",
        description="learning rate after the warm-up: falls to 0 in a line (linear) or along half "
        "a wave (cosine), or stays (constant)",
    )
    warmup: Annotated[float, Field(ge=0, lt=1)] | Warmup = Field(
        default=0.0,
        description="steps over which the learning rate rises from 0: a share of all steps, or a "
        "text such as 500 steps or 0.5 epochs",
    )
    label_smoothing: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of the target that is spread evenly over all classes",
    )
    class_weights: Literal["none", "balanced"] = Field(
        default="none",
        description="weight of an example in the training loss: 1, or by its class examples / "
        "(classes x examples of the class), counted on the task's training examples, in "
        "naive_concat on those of all its tasks together (balanced)",
    )
    max_grad_norm: NonNegativeFloat = Field(
        default=1.0, description="norm to which gradients are clipped; 0: no clipping"
    )
    ema_decay: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="decay of the exponential moving average of the weights that is evaluated and "
        "kept; None: no average",
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        default="auto",
        description="number format of the computation; auto: bf16 on a GPU and on CPUs with matrix "
        "units for it (AMX), fp16 on a GPU without bf16, fp32 elsewhere; the same for all trials "
        "of a grid",
    )
    deterministic: bool = Field(
        default=True,
        description="the same numbers bit for bit each time on the same kind of GPU; false: also "
        "algorithms that add up in any order, such as fused attention; nothing changes on a CPU",
    )
    length_bucketing: bool = Field(
        default=True, description="make batches of examples of similar length"
    )
    early_stopping: EarlyStopping | None = Field(
        default=None,
        description="stop when the selection split's metric no longer improves; None: never",
    )
    gradient_cosines: PositiveInt | None = Field(
        default=None,
        description="of shared_encoder: measure the cosines between the tasks' gradients of the "
        "encoder after every so many optimiser steps and after each epoch, which changes nothing "
        "else; None: never",
    )
    keep: Literal["last", "best"] = Field(
        default="last", description="epoch that is reported; best is chosen on the selection split"
    )


class SelectionConfig(Settings):
    """The split that is carved from ``train`` where something must be selected."""

    enabled: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="whether the split is carved; auto: where early stopping, keep=best or a "
        "search needs it",
    )
    fraction: float = Field(
        default=0.1,
        gt=0,
        lt=1,
        description="share of the training split that is carved, where it is",
    )

    def carved_fraction(self, training: TrainingConfig) -> float | None:
        """The share of ``train`` that is carved for a trial with ``training``; None: nothing is."""
        needed = training.early_stopping is not None or training.keep == "best"
        if self.enabled == "always" or (self.enabled == "auto" and needed):
            return self.fraction
        return None


class LimitsConfig(Settings):
    """Caps per task; the same examples are kept in every trial and seed."""

    max_train_examples: PositiveInt | dict[str, PositiveInt] | None = Field(
        default=None,
        description="training examples that are kept of each task, or of some ({sst2: 4000}); "
        "None: all",
    )
    train_fraction: float | None = Field(
        default=None, gt=0, le=1, description="share of them that is kept, rounded up; None: all"
    )
    max_validation_examples: PositiveInt | None = Field(
        default=None,
        description="validation examples that are kept of each task and validation split; "
        "None: all",
    )

    def of(self, task: str) -> "LimitsConfig":
        """The limits of one task, with its own number of training examples."""
        if not isinstance(self.max_train_examples, dict):
            return self
        return self.model_copy(update={"max_train_examples": self.max_train_examples.get(task)})


class SearchConfig(Settings):
    """A trial of a hyperparameter search: measured on ``selection`` alone, never on validation."""

    rungs: tuple[PositiveInt, ...] = Field(
        default=(),
        description="training examples after which it is measured, besides the ends of epochs",
    )
    segment: Segment | None = Field(
        default=None, description="the part of training at whose end it stops; None: all of it"
    )

    def measured(self, before: int, after: int) -> bool:
        """Whether a step from ``before`` to ``after`` training examples reaches a rung."""
        return any(before < rung <= after for rung in self.rungs)


class DropConfig(Settings):
    """Which training examples are left out because their text is evaluated somewhere."""

    own: bool = Field(description="those that stand in another split of their own task")
    tasks: dict[str, TaskConfig] = Field(
        description="tasks of the grid; what stands in a split other than train of one of them is "
        "left out of the others"
    )
    sources: dict[str, str] = Field(description="task -> where its data is read from")


class TrialConfig(Settings):
    """What one trial trains, on what, and how; all of it decides the numbers.

    Where the context of a validation is a dictionary, configurations that differ in their seeds
    alone are validated once: the dictionary keeps the first one, and the others are copies of it
    that share its sections.
    """

    arm_name: str = Field(description="name of the arm")
    arm: ArmConfig = Field(description="strategy and methods")
    tasks: dict[str, TaskConfig] = Field(description="name -> task")
    sources: dict[str, str] = Field(description="task -> source that was chosen for it")
    fingerprints: dict[str, str] = Field(description="task -> fingerprint of its data")
    model_name: str = Field(description="name of the model")
    model: ModelConfig = Field(description="the encoder")
    seed: NonNegativeInt = Field(description="seed of everything random in the trial")
    training: TrainingConfig = Field(description="optimisation and evaluation")
    selection: SelectionConfig = Field(description="the selection split")
    limits: LimitsConfig = Field(description="caps on the examples of each task")
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
    code_schema: PositiveInt = Field(
        default=2, description="version of the numbers that the code gives; 2 did not write it"
    )
    corrections: tuple[str, ...] = Field(
        default=(),
        description="what earlier versions did in another way for its encoder, such as segments",
    )
    search: SearchConfig | None = Field(
        default=None,
        description="how a trial of a search is measured; None: it is a trial of a comparison",
    )

    drop: DropConfig | None = Field(
        default=None, description="training examples that are left out; fingerprints tell of it"
    )
    pooled_by: Literal["name"] | None = Field(
        default=None,
        description="how naive_concat pools classes whose names stand in another order in another "
        "task; None: the label numbers are those of the one classifier",
    )
    ignored: dict[str, Any] = Field(
        default={},
        description="settings of the arm that its methods do not use, by their dotted keys; "
        "earlier versions accepted them and made them part of the key",
    )

    @model_validator(mode="before")
    @classmethod
    def _unflatten(cls, values: Any) -> Any:
        """Accept the arm of a file that an earlier version wrote (see ``flat.py``)."""
        if not isinstance(values, dict) or not isinstance(values.get("arm"), dict):
            return values
        arm, ignored = unflattened(values["arm"])
        return {**values, "arm": arm} | ({"ignored": ignored} if ignored else {})

    @model_validator(mode="after")
    def _changes_fit(self) -> Self:
        for number, change in enumerate(self.changes):
            if number and change.at <= self.changes[number - 1].at:
                raise ValueError("changes: each one must be later than the one before")
            TrainingConfig.model_validate(self.training.model_dump() | change.training)
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _differs_in_its_seed(
        cls, values: Any, validate: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        if info.context is None or not isinstance(values, dict):
            return validate(values)
        seed = values.get("seed")
        if type(seed) is not int or seed < 0:
            return validate(values)
        # As JSON, because equal dictionaries may hold 1 and True.
        others = to_json({**values, "seed": None})
        if others not in info.context:
            info.context[others] = validate(values)
        return info.context[others].model_copy(update={"seed": seed})

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits that identify the trial by its content.

        Where the data lies (paths, Hub or folder) does not enter: the fingerprints do.
        """
        content = self.model_dump(mode="json", exclude={"sources", "tasks", "ignored", "drop"})
        content["tasks"] = {name: task.measure for name, task in self.tasks.items()}
        content["arm"] = flattened(content["arm"], self.ignored)
        content["arm"].pop("label")
        if content["arm"]["adapter"] is not None and content["arm"]["adapter"]["frozen"] is None:
            content["arm"]["adapter"].pop("frozen")
        if content["search"] is not None and content["search"]["segment"] is None:
            content["search"].pop("segment")
        for name in ("changes", "tuned", "search", "pooled_by", "corrections"):
            # Trials without them keep the keys that they ever had.
            if not content[name]:
                content.pop(name)
        for name, default in (
            ("class_weights", "none"),
            ("deterministic", True),
            ("predict_test", False),
            # No number of the training depends on it, but a record without is no answer to it.
            ("gradient_cosines", None),
        ):
            if content["training"][name] == default:
                content["training"].pop(name)
        return hashlib.sha256(canonical(content).encode()).hexdigest()[:12]

    @property
    def evaluated(self) -> tuple[str, ...]:
        """The splits that are evaluated after each epoch, the one that is reported last.

        Not every task has all of them.
        """
        if self.search is not None:
            return ("selection",)
        return ("selection", "mismatched", "validation")

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
    precision: Literal["fp32", "bf16", "fp16"] | None = Field(
        default=None,
        description="what training.precision=auto became for all trials of the grid; None: what "
        "this machine has decides",
    )
    glue_dir: str | None = Field(
        default=None, description="folder in GLUE's download layout; None if not used"
    )
    cache_dir: str | None = Field(
        default=None, description="token cache; None: the user's cache folder"
    )
    tracking: TrackingConfig = Field(default=TrackingConfig(), description="experiment trackers")
    resume_from: str | None = Field(
        default=None,
        description="checkpoint folder to continue from; None: the trial's own newest, if any",
    )
    save_model: bool = Field(default=False, description="keep the trained model")
    artifacts: tuple[Literal["teacher_logits", "weights"], ...] = Field(
        default=(), description="what to write for the trials that depend on this one"
    )
    checkpoint_every: NonNegativeFloat = Field(default=300.0, description="seconds; 0: never")
    keep_checkpoints: bool = Field(default=False, description="also of a trial that has ended")
    storage_timeout: NonNegativeFloat = Field(
        default=600.0, description="seconds to wait for a run directory that is gone or full"
    )
    gpu: NonNegativeFloat = Field(
        default=1.0, description="share of its GPU that a GPU trial is held to"
    )
    memory: PositiveFloat | None = Field(
        default=None, description="GB of host memory that a CPU trial is held to; None: no limit"
    )
