"""Arms: a strategy with its method settings, the unit that a row of the table shows."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from trainables.config.base import Settings


class SamplingConfig(Settings):
    """How a step's tasks are chosen (see ``trainables/strategies/task_sampling.py``)."""

    name: Literal["interleave", "proportional", "power", "annealed", "uniform", "round_robin"] = (
        "interleave"
    )
    exponent: float = Field(default=0.5, ge=0, le=1, description="of power: p ~ n ** exponent")
    batch: Literal["one_task", "mixed", "joint"] = Field(
        default="one_task",
        description="what a step holds: one task's batch, examples of all tasks as they are drawn, "
        "or examples of every task; batch_size examples in any case",
    )


class DistillationConfig(Settings):
    """Learning from other trials' predictions (see ``trainables/training/distillation.py``)."""

    teachers: str = Field(description="an arm, whose trials of the same model teach")
    seeds: Literal["same", "all"] = Field(
        default="same", description="teachers of the student's seed, or of all as an ensemble"
    )
    gold_weight: Annotated[float, Field(ge=0, le=1)] | Literal["annealed"] = Field(
        default="annealed",
        description="share of the gold label in the target; annealed: from 0 to 1 over training",
    )


class HeadConfig(Settings):
    """A classifier on top of the encoder (see ``trainables/models/heads.py``)."""

    name: Literal["pooler", "first_token", "mean", "mlp", "san"] = Field(
        default="pooler", description="san: the stochastic answer network, for pairs of texts"
    )
    dropout: float | None = Field(default=None, ge=0, lt=1, description="none: the model's")


class AdapterConfig(Settings):
    """LoRA on a frozen encoder (see ``trainables/models/adapter.py``)."""

    name: Literal["lora"] = "lora"
    rank: PositiveInt = 8
    alpha: PositiveInt = Field(default=16, description="the adapter is scaled by alpha / rank")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="of the adapter's input")


class WeightingConfig(Settings):
    """How much each task's loss counts (see ``trainables/training/weighting``)."""

    name: Literal[
        "equal", "fixed", "by_size", "uncertainty", "dwa", "random", "gradnorm", "famo", "log"
    ] = "equal"
    weights: dict[str, NonNegativeFloat] = Field(
        default_factory=dict, description="of fixed: task -> weight; 1 where not named"
    )
    power: float = Field(default=1.0, ge=-1, le=1, description="of by_size: w ~ n ** power")
    temperature: PositiveFloat = Field(default=2.0, description="of dwa")
    alpha: NonNegativeFloat = Field(default=1.5, description="of gradnorm: pull to equal rates")
    learning_rate: PositiveFloat = Field(
        default=0.025, description="of the weights that uncertainty, gradnorm and famo learn"
    )


class AggregationConfig(Settings):
    """How tasks' gradients become the encoder's (see ``trainables/training/aggregation``)."""

    name: Literal[
        "sum",
        "mgda",
        "pcgrad",
        "cagrad",
        "imtl_g",
        "aligned_mtl",
        "upgrad",
        "nash_mtl",
        "config",
        "graddrop",
        "random",
    ] = "sum"
    c: float = Field(default=0.5, ge=0, lt=1, description="of cagrad: radius around the mean")


class FreezingConfig(Settings):
    """What of the encoder is trained (see ``trainables/training/freezing.py``)."""

    name: Literal["none", "all", "gradual"] = Field(
        default="none",
        description="all: only the heads are trained; gradual: layers are unfrozen one by one",
    )
    until: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="of gradual: share of training after which all layers are unfrozen",
    )


class _Arm(Settings):
    label: str | None = Field(
        default=None, description="how a table row calls it; none: the arm's name"
    )
    tasks: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="of the grid's tasks, those of this arm; none: all"
    )
    train_fraction: float | None = Field(
        default=None, gt=0, le=1, description="share of each task's training examples that it sees"
    )
    training: dict[str, Any] = Field(
        default={}, description="settings of `training` that are this arm's own"
    )
    head: HeadConfig = HeadConfig()
    task_heads: dict[str, HeadConfig] = Field(
        default={}, description="task -> its head, where it is not `head`"
    )
    freezing: FreezingConfig = FreezingConfig()

    @model_validator(mode="after")
    def _frozen_once(self) -> Self:
        if self.adapter is not None and self.freezing.name != "none":
            raise ValueError(
                f"freezing.name={self.freezing.name}: an adapter freezes the encoder already; "
                "leave one of the two out"
            )
        return self

    adapter: AdapterConfig | None = Field(
        default=None, description="train an adapter on the frozen encoder; none: the whole encoder"
    )


class SingleTaskArm(_Arm):
    """One encoder and one head per task, one trial per task."""

    strategy: Literal["single_task"]
    start_from: str | None = Field(
        default=None,
        description="an arm, whose trial of the same model and seed gives the first weights: "
        "fine-tuning per task after multi-task training",
    )
    distillation: DistillationConfig | None = None


class NaiveConcatArm(_Arm):
    """All examples pooled, one classifier, no notion of task."""

    strategy: Literal["naive_concat"]
    label_space: Literal["shared", "union"] = "shared"
    mask_other_tasks: bool = Field(
        default=True, description="union: predict only among the asked task's classes"
    )
    task_prefix: bool = Field(default=False, description="prepend the task's name to the text")


class SharedEncoderArm(_Arm):
    """One encoder, a head per task, trained together."""

    strategy: Literal["shared_encoder"]
    sampling: SamplingConfig = SamplingConfig()
    weighting: WeightingConfig = WeightingConfig()
    aggregation: AggregationConfig = AggregationConfig()
    distillation: DistillationConfig | None = None

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
        if self.weighting.weights and self.weighting.name != "fixed":
            raise ValueError(
                f"weighting.weights are not used by weighting.name={self.weighting.name}; "
                "set weighting.name=fixed"
            )
        return self


ArmConfig = Annotated[
    SingleTaskArm | NaiveConcatArm | SharedEncoderArm, Field(discriminator="strategy")
]
STRATEGIES = ("single_task", "naive_concat", "shared_encoder")
