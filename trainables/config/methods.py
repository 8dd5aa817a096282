"""The methods of an arm: for each kind a union of settings, told apart by ``name``.

A class holds the settings of one method, or of several that have the same ones. So a setting of
another method is an unknown key, and the message names the methods that have it.
"""

from collections.abc import Mapping
from functools import cache, partial
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BeforeValidator, Field, NonNegativeFloat, PositiveFloat, PositiveInt

from trainables.config.base import Settings

Kind = TypeVar("Kind")


def _named(default: str, values: Any) -> Any:
    """A section without a ``name`` is the default method's."""
    return {"name": default, **values} if isinstance(values, dict) else values


def _default(name: str) -> BeforeValidator:
    return BeforeValidator(partial(_named, name))


class _Sampling(Settings):
    batch: Literal["one_task", "mixed", "joint"] = Field(
        default="one_task",
        description="what a step holds: a batch of one task (one_task), examples of all tasks as "
        "they are drawn (mixed), or examples of every task (joint); batch_size examples in any "
        "case",
    )


class PlainSampling(_Sampling):
    """Ways of choosing each step's tasks that have no settings of their own."""

    name: Literal["interleave", "proportional", "annealed", "uniform", "round_robin"] = Field(
        default="interleave", description="how each step's tasks are chosen"
    )


class PowerSampling(_Sampling):
    """Tasks are drawn in proportion to a power of their number of examples."""

    name: Literal["power"] = Field(default="power", description="how each step's tasks are chosen")
    exponent: float = Field(
        default=0.5, ge=0, le=1, description="a task is drawn in proportion to examples ** exponent"
    )


SamplingConfig = Annotated[
    PlainSampling | PowerSampling, Field(discriminator="name"), _default("interleave")
]
"""How a step's tasks are chosen (see ``trainables/strategies/task_sampling.py``)."""


_WEIGHTING = "how much each task's loss counts"


class PlainWeighting(Settings):
    """Loss weightings without settings."""

    name: Literal["equal", "random", "log"] = Field(default="equal", description=_WEIGHTING)


class FixedWeighting(Settings):
    """Weights that the configuration gives."""

    name: Literal["fixed"] = Field(default="fixed", description=_WEIGHTING)
    weights: dict[str, NonNegativeFloat] = Field(
        default_factory=dict, description="task -> weight; 1 for a task that is not named"
    )


class BySizeWeighting(Settings):
    """Weights in proportion to a power of the tasks' sizes."""

    name: Literal["by_size"] = Field(default="by_size", description=_WEIGHTING)
    power: float = Field(
        default=1.0, ge=-1, le=1, description="a task's weight is proportional to examples ** power"
    )


class DwaWeighting(Settings):
    """Dynamic weight average."""

    name: Literal["dwa"] = Field(default="dwa", description=_WEIGHTING)
    temperature: PositiveFloat = Field(
        default=2.0,
        description="temperature of the softmax over the tasks' rates; higher is more even",
    )


_LEARNING_RATE = "rate at which Adam learns the weights, beside the model"


class LearnedWeighting(Settings):
    """Weightings that learn one number per task."""

    name: Literal["uncertainty", "famo"] = Field(description=_WEIGHTING)
    learning_rate: PositiveFloat = Field(default=0.025, description=_LEARNING_RATE)


class GradNormWeighting(Settings):
    """Gradient normalisation."""

    name: Literal["gradnorm"] = Field(default="gradnorm", description=_WEIGHTING)
    alpha: NonNegativeFloat = Field(
        default=1.5, description="strength of the pull to equal training rates; 0: none"
    )
    learning_rate: PositiveFloat = Field(default=0.025, description=_LEARNING_RATE)


WeightingConfig = Annotated[
    PlainWeighting
    | FixedWeighting
    | BySizeWeighting
    | DwaWeighting
    | LearnedWeighting
    | GradNormWeighting,
    Field(discriminator="name"),
    _default("equal"),
]
"""How much each task's loss counts (see ``trainables/training/weighting``)."""


_AGGREGATION = "how the tasks' gradients become the encoder's gradient"


class PlainAggregation(Settings):
    """Gradient aggregations without settings; ``sum`` is plain backpropagation."""

    name: Literal[
        "sum",
        "mgda",
        "pcgrad",
        "imtl_g",
        "aligned_mtl",
        "upgrad",
        "nash_mtl",
        "config",
        "graddrop",
        "random",
    ] = Field(default="sum", description=_AGGREGATION)


class CagradAggregation(Settings):
    """Conflict-averse gradient descent."""

    name: Literal["cagrad"] = Field(default="cagrad", description=_AGGREGATION)
    c: float = Field(
        default=0.5,
        ge=0,
        lt=1,
        description="radius of the search around the mean gradient, as a share of its length",
    )


AggregationConfig = Annotated[
    PlainAggregation | CagradAggregation, Field(discriminator="name"), _default("sum")
]
"""How tasks' gradients become the encoder's (see ``trainables/training/aggregation``)."""


_FREEZING = (
    "which parts of the encoder are trained: all of it (none), the heads alone (all), or layer "
    "after layer from the last to the first (gradual)"
)


class PlainFreezing(Settings):
    """The whole encoder is trained from the start (none), or never (all)."""

    name: Literal["none", "all"] = Field(default="none", description=_FREEZING)


class GradualFreezing(Settings):
    """Layers are unfrozen one after the other."""

    name: Literal["gradual"] = Field(default="gradual", description=_FREEZING)
    until: float = Field(
        default=0.5, gt=0, le=1, description="share of training after which no layer is frozen"
    )


FreezingConfig = Annotated[
    PlainFreezing | GradualFreezing, Field(discriminator="name"), _default("none")
]
"""What of the encoder is trained (see ``trainables/training/freezing.py``)."""


class HeadConfig(Settings):
    """A classifier on top of the encoder (see ``trainables/models/heads.py``)."""

    name: Literal["pooler", "first_token", "mean", "mlp", "san"] = Field(
        default="pooler",
        description="the kind of head; san, the stochastic answer network, is for pairs of texts",
    )
    dropout: float | None = Field(
        default=None, ge=0, lt=1, description="dropout of the head; None: that of the model"
    )


class AdapterConfig(Settings):
    """LoRA on a frozen encoder (see ``trainables/models/adapter.py``)."""

    name: Literal["lora"] = Field(default="lora", description="the kind of adapter")
    rank: PositiveInt = Field(default=8, description="rank of the adapter's two matrices")
    alpha: PositiveInt = Field(default=16, description="the adapter is scaled by alpha / rank")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="dropout of the adapter's input")
    frozen: Literal["fp32", "bf16"] | None = Field(
        default=None,
        description="number format in which the frozen matrices are kept, which are computed with "
        "in that of `training.precision`; None: bf16 in decoders, XLNet and text-to-text encoders, "
        "fp32 elsewhere",
    )


class DistillationConfig(Settings):
    """Learning from other trials' predictions (see ``trainables/training/distillation.py``)."""

    teachers: str = Field(description="the arm whose trials of the same model are the teachers")
    seeds: Literal["same", "all"] = Field(
        default="same",
        description="the teachers of the student's seed (same), or of all seeds as an ensemble",
    )
    gold_weight: Annotated[float, Field(ge=0, le=1)] | Literal["annealed"] = Field(
        default="annealed",
        description="share of the gold label in the target, the rest being the teacher's "
        "prediction; annealed: from 0 to 1 over training",
    )


METHODS: dict[str, Any] = {
    "sampling": SamplingConfig,
    "weighting": WeightingConfig,
    "aggregation": AggregationConfig,
    "freezing": FreezingConfig,
}
"""Section of an arm -> the union of its methods' settings."""


@cache
def variants(section: str) -> dict[str, type[Settings]]:
    """Method -> the class of its settings, for a section of ``METHODS``.

    >>> variants("freezing")["gradual"].__name__
    'GradualFreezing'
    """
    classes = get_args(get_args(METHODS[section])[0])
    return {name: kind for kind in classes for name in names_of(kind)}


def names_of(kind: type[Settings]) -> tuple[str, ...]:
    """The methods whose settings a class of this module holds."""
    return get_args(kind.model_fields["name"].annotation)


def own_settings(section: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values of a section of ``METHODS`` without the settings of its other methods.

    >>> own_settings("weighting", {"name": "equal", "temperature": 3.0})
    {'name': 'equal'}
    """
    others = _settings_of_others(section, str(values.get("name")))
    return {key: value for key, value in values.items() if key not in others}


@cache
def _settings_of_others(section: str, method: str) -> frozenset[str]:
    """The settings that other methods of a section have and ``method`` has not."""
    kinds = variants(section)
    if method not in kinds:
        return frozenset()
    every = {key for kind in kinds.values() for key in kind.model_fields}
    return frozenset(every - kinds[method].model_fields.keys())
