"""Arms: a strategy with its method settings, the unit that a row of the table shows."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from trainables.config.base import DependentSettings, Settings
from trainables.config.methods import (
    AdapterConfig,
    AggregationConfig,
    DistillationConfig,
    FreezingConfig,
    HeadConfig,
    PlainAggregation,
    PlainFreezing,
    PlainSampling,
    PlainWeighting,
    SamplingConfig,
    WeightingConfig,
)

_DISTILLATION = "learn from the predictions of other trials; None: from the labels alone"


class _Arm(Settings):
    label: str | None = Field(
        default=None, description="what a table row is called; None: the arm's name"
    )
    tasks: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="those of the grid's tasks that the arm is trained on; None: all",
    )
    train_fraction: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="share of each task's training examples that the arm sees; None: that of "
        "`limits`",
    )
    training: dict[str, Any] = Field(
        default={}, description="settings of `training` that this arm has instead of the grid's"
    )
    head: HeadConfig = Field(
        default=HeadConfig(), description="the classifier on top of the encoder"
    )
    task_heads: dict[str, HeadConfig] = Field(
        default={}, description="task -> its head, where it is another one than `head`"
    )
    freezing: FreezingConfig = Field(
        default=PlainFreezing(), description="which parts of the encoder are trained"
    )
    adapter: AdapterConfig | None = Field(
        default=None,
        description="train an adapter on the frozen encoder; None: train the encoder itself",
    )

    @model_validator(mode="after")
    def _frozen_once(self) -> Self:
        if self.adapter is not None and self.freezing.name != "none":
            raise ValueError(
                f"freezing.name={self.freezing.name}: an adapter freezes the encoder already; "
                "leave one of the two out"
            )
        return self


class SingleTaskArm(_Arm):
    """One encoder and one head per task, one trial per task."""

    strategy: Literal["single_task"] = Field(description="how models are trained over the tasks")
    start_from: str | None = Field(
        default=None,
        description="the arm whose trial of the same model and seed gives the first weights, for "
        "fine-tuning per task after multi-task training; None: start from the pretrained encoder",
    )
    distillation: DistillationConfig | None = Field(default=None, description=_DISTILLATION)


class NaiveConcatArm(_Arm, DependentSettings):
    """All examples pooled, one classifier, no notion of task."""

    only_with: ClassVar = {"mask_other_tasks": ("label_space", ("union",))}

    strategy: Literal["naive_concat"] = Field(description="how models are trained over the tasks")
    label_space: Literal["shared", "positions", "union"] = Field(
        default="shared",
        description="the classes of the one classifier. shared: each label name is a class, where "
        "all tasks have the same names; label k of every task is class k, where no two tasks share "
        "a name. positions: label k of every task is class k, whatever the names. union: one class "
        "per task and label",
    )
    mask_other_tasks: bool = Field(
        default=True, description="of union: predict among the classes of the asked task alone"
    )
    task_prefix: bool = Field(
        default=False, description="put the name of the task before each text"
    )


class SharedEncoderArm(_Arm):
    """One encoder, a head per task, trained together."""

    strategy: Literal["shared_encoder"] = Field(description="how models are trained over the tasks")
    sampling: SamplingConfig = Field(
        default=PlainSampling(),
        description="how each step's tasks are chosen; no effect with one task",
    )
    weighting: WeightingConfig = Field(
        default=PlainWeighting(),
        description="how much each task's loss counts; no effect with one task",
    )
    aggregation: AggregationConfig = Field(
        default=PlainAggregation(),
        description="how the tasks' gradients become the encoder's; no effect with one task",
    )
    distillation: DistillationConfig | None = Field(default=None, description=_DISTILLATION)

    @model_validator(mode="after")
    def _methods_fit(self) -> Self:
        batch = self.sampling.batch
        if self.weighting.name in ("gradnorm", "famo") and batch != "joint":
            raise ValueError(
                f"weighting.name={self.weighting.name} compares all tasks in every step, and with "
                f"sampling.batch={batch} a step may lack some; set sampling.batch=joint"
            )
        if self.aggregation.name != "sum" and batch == "one_task":
            raise ValueError(
                f"aggregation.name={self.aggregation.name} combines the gradients of several "
                "tasks, and with sampling.batch=one_task a step has one; set sampling.batch=joint"
            )
        frozen = self.freezing.name != "none"
        if frozen and (self.aggregation.name != "sum" or self.weighting.name == "gradnorm"):
            raise ValueError(
                f"freezing.name={self.freezing.name}: aggregation and weighting.name=gradnorm work "
                "on the encoder's gradients; set freezing.name=none"
            )
        return self


ArmConfig = Annotated[
    SingleTaskArm | NaiveConcatArm | SharedEncoderArm, Field(discriminator="strategy")
]
STRATEGIES = ("single_task", "naive_concat", "shared_encoder")
